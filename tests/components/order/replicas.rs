//! What the service keeps of products and users: names that follow, prices that hold from then on, and who may be ordered for.

use bulkhead_testing::{Service, Value, json};

use super::*;

/// The names of an order's items.
#[track_caller]
fn names(order: &Service, id: &str) -> Vec<String> {
    let items = read(order, id)["items"].as_array().expect("items").clone();
    items.iter().map(|item| item["product_name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn item_names_follow_the_product_until_the_order_is_shipped_or_has_ended() {
    for status in STATUSES {
        let order = start();
        let id = standing(&order, status);
        let (before, entries) = (read(&order, &id), history(&order, &id));
        published_before(&order);
        product_changed(&order, LEEKS, "Onions", "1.00");
        let open = matches!(status, "pending" | "reserved" | "paid");
        assert_eq!(names(&order, &id), ["Potatoes", if open { "Onions" } else { "Leeks" }], "{status}");
        // Nothing else does.
        let mut after = read(&order, &id);
        after["items"][1]["product_name"] = json!("Leeks");
        assert_eq!((after, history(&order, &id)), (before, entries), "{status}");
        order.expect_published(json!([]));
    }
}

#[test]
fn item_names_in_all_open_orders_follow_the_product() {
    let order = start();
    let ids = [(); 3].map(|()| placed(&order));
    let other = ordering(&order, &body(&[(POTATOES, 1)])).send().status(201).text_of("id");
    product_changed(&order, LEEKS, "Onions", "19.99");
    for id in &ids {
        assert_eq!(names(&order, id), ["Potatoes", "Onions"]);
    }
    assert_eq!(names(&order, &other), ["Potatoes"]);
}

#[test]
fn a_duplicate_change_takes_effect_once() {
    let order = start();
    let id = placed(&order);
    let data = json!({"id": LEEKS, "name": "Onions", "price": "2.00", "sku": "1", "category_id": UNKNOWN});
    let _ = order.event("product.changed").subject(LEEKS).data(data).deliver_twice().consumed();
    assert_eq!(names(&order, &id), ["Potatoes", "Onions"]);
    assert_eq!(
        order.rows(&format!("SELECT name, price FROM product WHERE id = '{LEEKS}'")),
        json!([{"name": "Onions", "price": "2.00"}])
    );
}

#[test]
fn a_product_is_ordered_in_its_latest_known_state() {
    let order = start();
    product_changed(&order, LEEKS, "Onions", "2.50");
    let answer = ordering(&order, &body(&[(LEEKS, 3)])).send().status(201);
    let _ = answer.includes(json!({
        "total_amount": "7.50", "items": [{"product_name": "Onions", "unit_price": "2.50", "quantity": 3}],
    }));
}

#[test]
fn a_deleted_product_leaves_its_orders_unchanged() {
    let order = start();
    let id = placed(&order);
    let before = read(&order, &id);
    let _ =
        order.event("product.deleted").subject(LEEKS).data(json!({"id": LEEKS})).deliver_twice().consumed();
    assert_eq!(read(&order, &id), before);
    assert_eq!(order.rows(&format!("SELECT * FROM product WHERE id = '{LEEKS}'")), json!([]));
}

#[test]
fn an_admin_orders_for_users_as_soon_as_they_are_known() {
    let order = start();
    let body = body_with(&[(LEEKS, 1)], json!({"user_id": UNKNOWN}));
    let _ = admin(order.post("/orders")).json(&body).send().problem(409, "unknown-user");
    let data = json!({"id": UNKNOWN, "first_name": "Cy"});
    let _ = order.event("user.changed").subject(UNKNOWN).data(data).deliver_twice().consumed();
    let _ = admin(order.post("/orders")).json(&body).send().status(201);
}

#[test]
fn a_malformed_change_is_rejected_and_leaves_product_and_orders_unchanged() {
    let order = start();
    let id = placed(&order);
    let before = kept(&order);
    let whole = json!({"id": LEEKS, "name": "Onions", "price": "2.00", "sku": "1", "category_id": UNKNOWN});
    let mut wrong = vec![Value::Null, json!([])];
    for member in ["id", "name", "price"] {
        for value in [Value::Null, json!(7)] {
            let mut data = whole.clone();
            data[member] = value;
            wrong.push(data);
        }
        let mut data = whole.clone();
        data.as_object_mut().expect("members").remove(member);
        wrong.push(data);
    }
    for (number, data) in wrong.iter().enumerate() {
        let event = order.event("product.changed").subject(format!("subject-{number}")).data(data);
        let _ = event.deliver().rejected("");
    }
    assert_eq!(kept(&order), before);
    assert_eq!(names(&order, &id), ["Potatoes", "Leeks"]);
}
