//! Users and products that go, in every state of an order.

use bulkhead_tests::shop::{id, order_body, settled};
use bulkhead_tests::{Customer, database};
use serde_json::{Value, json};

use super::{Market, UNHURRIED};

/// An order in each state in which it can stay, by its state.
fn orders_in_every_state(market: &mut Market, customer: &mut Customer) -> Vec<(&'static str, String)> {
    let reserved = market.place(customer, "tok_declined");
    market.until_payment(&reserved, "declined");
    let [paid, shipped, delivered, cancelled] =
        [(); 4].map(|()| market.place_until(customer, "tok_ok", "paid"));
    for order in [&shipped, &delivered] {
        market.ship(order);
    }
    market.post(&delivered, "deliver", &Value::Null).expect(200);
    market.post(&cancelled, "cancel", &Value::Null).expect(200);
    let scarce = market.products[0].clone();
    let rejected = id(&customer.client.post("/orders", &order_body(&[(&scarce, 100)], "tok_ok")).expect(201));
    market.until(&rejected, "rejected");
    vec![
        ("reserved", reserved),
        ("paid", paid),
        ("shipped", shipped),
        ("delivered", delivered),
        ("cancelled", cancelled),
        ("rejected", rejected),
    ]
}

#[test]
fn orders_of_a_deleted_user_are_cancelled_unless_shipped_and_anonymized() {
    let mut market = Market::new(1, UNHURRIED);
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| market.host.customer(name));
    let orders = orders_in_every_state(&mut market, &mut ada);
    let others = market.place_until(&mut bo, "tok_ok", "paid");
    let before = market.order(&others);
    // One that is on its way when the user goes.
    let pending = market.place(&mut ada, "tok_ok");

    let deleted = ada.client.delete(&format!("/users/{}", ada.id));
    deleted.expect(204);
    settled(&mut market.admin, &deleted);
    for (status, order) in &orders {
        let expected = match *status {
            "reserved" => ["cancelled", "voided", "cancelled"],
            "paid" => ["cancelled", "refunded", "cancelled"],
            "shipped" => ["shipped", "captured", "shipped"],
            "delivered" => ["delivered", "captured", "delivered"],
            "cancelled" => ["cancelled", "refunded", "cancelled"],
            _ => ["rejected", "voided", "cancelled"],
        };
        assert_eq!(market.stands(order), expected, "{status}");
        let last = market.history(order).pop().unwrap();
        assert_eq!(last == "user-deleted: cancelled", matches!(*status, "reserved" | "paid"), "{last}");
    }
    assert_eq!(market.stands(&pending)[0], "cancelled");
    let all = orders.iter().map(|(_, order)| order).chain([&pending]);
    for order in all {
        let order = market.order(order);
        assert_eq!(order["user_id_ref"], Value::Null);
        for field in [
            "recipient_name",
            "address_line1",
            "address_line2",
            "city",
            "state",
            "postal_code",
            "country",
            "tracking_number",
        ] {
            assert_eq!(order["shipping"][field], Value::Null, "{field}");
        }
    }
    assert!(market.rows("SELECT token FROM order_payment WHERE token IS NOT NULL").is_empty());
    assert_eq!(market.order(&others), before, "what is another's stays");

    // What comes later still does, for nobody in particular.
    let (_, shipped) = &orders[2];
    market.post(shipped, "deliver", &Value::Null).expect(200);
    let delivered = format!(
        "SELECT json_extract(data, '$.user_id') FROM _bulkhead_outbox WHERE subject = '{shipped}' AND type = 'order.delivered'"
    );
    assert_eq!(market.rows(&delivered), ["00000000-0000-0000-0000-000000000000"]);
    // Two are sold, one is reserved for another, and all else is available again.
    market.until_stock([7, 1, 2]);
    database::check(&database::open(&market.site.database("order")));
}

#[test]
fn order_for_a_deleted_user_is_refused() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let mut body = market.body("tok_ok");
    body["user_id"] = json!(ada.id);
    let registered = ada.client.patch(&format!("/users/{}", ada.id), &json!({"last_name": "Other"}));
    settled(&mut market.admin, &registered);
    market.admin.post("/orders", &body).expect(201);
    let deleted = market.admin.delete(&format!("/users/{}", ada.id));
    settled(&mut market.admin, &deleted);
    let problem = market.admin.post("/orders", &body).problem(409, "unknown-user");
    assert_eq!(problem["users"], json!([ada.id]));
    ada.client.post("/orders", &market.body("tok_ok")).problem(401, "invalid-token");
}

#[test]
fn user_with_more_orders_than_fit_one_unit_of_work_is_fully_forgotten() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    for _ in 0..250 {
        market.place(&mut ada, "tok_declined");
    }
    market.admin.delete(&format!("/users/{}", ada.id)).expect(204);
    let of_ada = format!("/orders?user_id={}", ada.id);
    bulkhead_tests::shop::eventually(&mut market.admin, &of_ada, |page| {
        page["items"].as_array().is_some_and(Vec::is_empty)
    });
    let open =
        "SELECT id FROM \"order\" WHERE status NOT IN ('cancelled', 'rejected') OR user_id_ref IS NOT NULL";
    assert!(market.rows(open).is_empty());
    assert!(market.rows("SELECT id FROM order_shipping WHERE recipient_name IS NOT NULL").is_empty());
    market.until_stock([10, 0, 0]);
}

#[test]
fn product_is_deleted_if_nothing_is_reserved_and_its_orders_stay_unchanged() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let orders = orders_in_every_state(&mut market, &mut ada);
    let product = format!("/products/{}", market.products[0]);
    // Reserved and paid ones hold it.
    market.until_stock([6, 2, 2]);
    market.admin.delete(&product).problem(409, "product-reserved");
    for (status, order) in &orders {
        if matches!(*status, "reserved" | "paid") {
            market.post(order, "cancel", &Value::Null).expect(200);
        }
    }
    market.until_stock([8, 0, 2]);
    let before: Vec<Value> = orders.iter().map(|(_, order)| market.order(order)).collect();
    let deleted = market.admin.delete(&product);
    deleted.expect(204);
    settled(&mut market.admin, &deleted);
    for ((status, order), before) in orders.iter().zip(before) {
        assert_eq!(market.order(order), before, "{status}");
    }
    let (_, shipped) = &orders[2];
    market.post(shipped, "deliver", &Value::Null).expect(200);
    let problem = ada.client.post("/orders", &market.body("tok_ok")).problem(409, "unknown-product");
    assert_eq!(problem["products"], json!([market.products[0]]));
}

#[test]
fn order_of_a_product_deleted_before_reservation_is_rejected() {
    let mut market = Market::new(2, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    // The order service may not have heard of it yet: then the product service rejects the order.
    market.admin.delete(&format!("/products/{}", market.products[1])).expect(204);
    let answer = ada.client.post("/orders", &market.body("tok_ok"));
    match answer.status {
        409 => drop(answer.problem(409, "unknown-product")),
        _ => drop(market.until(&id(&answer.expect(201)), "rejected")),
    }
    market.until_stock([10, 0, 0]);
}
