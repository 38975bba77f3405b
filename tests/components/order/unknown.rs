//! What the shop does not know is named, all of it, and nothing is ordered.

use bulkhead_testing::{Service, Value, json};

use super::*;

const ELSE: &str = "0198f3a1-7c3e-7d52-8a07-0000000000fe";

/// Whoever sends this is told this, and nothing is kept or published.
#[track_caller]
fn refused(order: &Service, request: Request, code: &str, members: Value) {
    published_before(order);
    let before = kept(order);
    let _ = request.send().problem(409, code).includes(members);
    assert_eq!(kept(order), before);
    order.expect_published(json!([]));
}

#[test]
fn each_unknown_product_is_named_in_the_order_of_the_items() {
    let order = start();
    let body = body(&[(UNKNOWN, 1), (LEEKS, 1), (ELSE, 1)]);
    let members = json!({
        "constraint": "order_item.product_id_ref", "users": [], "products": [UNKNOWN, ELSE],
    });
    refused(&order, ordering(&order, &body), "unknown-product", members);
}

#[test]
fn an_unknown_customer_is_named_with_the_unknown_products() {
    let order = start();
    for (items, products) in
        [(vec![(LEEKS, 1)], json!([])), (vec![(ELSE, 1), (LEEKS, 1), (UNKNOWN, 1)], json!([ELSE, UNKNOWN]))]
    {
        let body = body_with(&items, json!({"user_id": UNKNOWN}));
        let members = json!({"constraint": "order.user_id_ref", "users": [UNKNOWN], "products": products});
        refused(&order, admin(order.post("/orders")).json(body), "unknown-user", members);
    }
}

#[test]
fn a_deleted_user_cannot_order_and_nobody_can_order_for_them() {
    let order = start();
    user_deleted(&order, ADA);
    let members = json!({"users": [ADA], "products": []});
    refused(&order, ordering(&order, &basket()), "unknown-user", members.clone());
    let body = body_with(&[(LEEKS, 1)], json!({"user_id": ADA}));
    refused(&order, admin(order.post("/orders")).json(body), "unknown-user", members);
}

#[test]
fn a_deleted_user_stays_deleted_when_an_older_event_arrives_later() {
    let order = start();
    user_deleted(&order, ADA);
    user_changed(&order, ADA, "Ada");
    let body = body_with(&[(LEEKS, 1)], json!({"user_id": ADA}));
    let members = json!({"users": [ADA], "products": []});
    refused(&order, admin(order.post("/orders")).json(body), "unknown-user", members);
}

#[test]
fn a_product_that_is_deleted_is_unknown() {
    let order = start();
    let event = order.event("product.deleted").subject(LEEKS).data(json!({"id": LEEKS}));
    let _ = event.deliver().consumed();
    let members = json!({"users": [], "products": [LEEKS]});
    refused(&order, ordering(&order, &basket()), "unknown-product", members);
}

#[test]
fn unknown_products_are_reported_before_a_changed_price() {
    let order = start();
    let body = body_with(&[(UNKNOWN, 1)], json!({"expected_total": "1.00"}));
    refused(&order, ordering(&order, &body), "unknown-product", json!({"products": [UNKNOWN]}));
}
