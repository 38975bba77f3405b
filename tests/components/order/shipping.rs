//! `POST /orders/{id}/ship` and `/deliver`.

use bulkhead_testing::json;

use super::*;

#[test]
fn a_paid_order_is_given_to_a_carrier() {
    let order = start();
    let id = paid(&order);
    published_before(&order);
    let answer = done(&order, &id, "ship");
    let answer = answer.includes(json!({
        "status": "shipped", "updated_at": order.now(),
        "payment": {"payment_status": "captured"},
        "shipping": {
            "recipient_name": "Ada Lovelace", "carrier": "Royal Mail", "tracking_number": "RM1", "shipping_status": "shipped",
        },
    }));
    assert_eq!(answer.json(), read(&order, &id));
    order.expect_published(json!([{
        "type": "order.shipped",
        "subject": id,
        "data": {"id": id, "user_id": ADA, "carrier": "Royal Mail"},
    }]));
    assert_eq!(
        history(&order, &id),
        ["placed: pending", "stock-reserved: reserved", "payment-captured: paid", "shipped: shipped"]
    );
}

#[test]
fn a_shipped_order_is_delivered() {
    let order = start();
    let id = standing(&order, "shipped");
    published_before(&order);
    let answer = done(&order, &id, "deliver");
    let answer = answer.includes(json!({
        "status": "delivered", "updated_at": order.now(),
        "payment": {"payment_status": "captured"},
        "shipping": {"carrier": "Royal Mail", "tracking_number": "RM1", "shipping_status": "delivered"},
    }));
    assert_eq!(answer.json(), read(&order, &id));
    order.expect_published(json!([
        {"type": "order.delivered", "subject": id, "data": {"id": id, "user_id": ADA}},
    ]));
    assert_eq!(history(&order, &id).last().expect("an entry"), "delivered: delivered");
}

#[test]
fn a_carrier_and_a_tracking_number_have_at_most_100_characters() {
    let order = start();
    let id = paid(&order);
    let line = "ä".repeat(100);
    let body = json!({"carrier": line, "tracking_number": line});
    let answer = admin(order.post(format!("/orders/{id}/ship"))).json(&body).send().status(200);
    let _ = answer.includes(json!({"shipping": body}));
}

#[test]
fn the_event_of_an_order_without_a_customer_names_the_deleted_user() {
    let order = start();
    let id = standing(&order, "shipped");
    user_deleted(&order, ADA);
    published_before(&order);
    let _ = done(&order, &id, "deliver").includes(json!({"user_id_ref": null, "status": "delivered"}));
    order.expect_published(json!([
        {"type": "order.delivered", "subject": id, "data": {"id": id, "user_id": NOBODY}},
    ]));
}
