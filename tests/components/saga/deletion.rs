//! A customer who deletes their account while orders are open.

use super::*;

#[track_caller]
fn deletes(shop: &Shop) {
    let _ = customer(shop.user.delete(format!("/users/{}", shop.ada)), &shop.ada).send().status(204);
}

/// The order says nothing of who it was for.
#[track_caller]
fn is_forgotten(shop: &Shop, id: &str) {
    let order = shop.read(id);
    assert_eq!(order["user_id_ref"], Value::Null);
    for part in ["recipient_name", "address_line1", "city", "postal_code", "country"] {
        assert_eq!(order["shipping"][part], Value::Null, "{part}");
    }
    let text = order.to_string();
    assert!(!text.contains(&shop.ada) && !text.contains("Quay") && !text.contains("Tester"), "{text}");
}

#[test]
fn a_paid_order_is_refunded_and_its_stock_is_released() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_ok");
    deletes(&shop);
    assert_eq!(shop.stands(&id)[0], "paid", "it has not heard of it yet");
    shop.consumes("user", "order", "user.deleted");
    assert_eq!(shop.stands(&id), ["cancelled", "refunded", "cancelled"]);
    shop.consumes("order", "product", "order.cancelled");
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    shop.settles();
    is_forgotten(&shop, &id);
    assert_eq!(shop.causes(&id).last().map(String::as_str), Some("user-deleted"));
    shop.agrees();
}

#[test]
fn an_order_with_a_pending_reservation_is_cancelled_whichever_event_comes_first() {
    for deletion_first in [true, false] {
        let shop = Shop::open();
        let id = shop.places("tok_ok");
        shop.consumes("order", "product", "order.placed");
        deletes(&shop);
        if deletion_first {
            shop.consumes("user", "order", "user.deleted");
            shop.consumes("product", "order", "product.stock-reserved");
        } else {
            shop.consumes("product", "order", "product.stock-reserved");
            shop.consumes("user", "order", "user.deleted");
        }
        shop.settles();
        assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
        shop.stocks_are([10, 0, 0], [5, 0, 0]);
        assert_eq!(shop.order.rows("SELECT * FROM gateway_charge"), json!([]));
        is_forgotten(&shop, &id);
        shop.agrees();
    }
}

#[test]
fn an_order_unknown_to_product_is_cancelled_and_keeps_no_stock() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    deletes(&shop);
    shop.consumes("user", "order", "user.deleted");
    shop.consumes("order", "product", "order.placed");
    shop.consumes("order", "product", "order.cancelled");
    shop.settles();
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    shop.agrees();
}

#[test]
fn a_shipped_order_continues_without_a_name() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_ok");
    shop.does(&id, "ship");
    deletes(&shop);
    shop.settles();
    assert_eq!(shop.stands(&id), ["shipped", "captured", "shipped"]);
    is_forgotten(&shop, &id);
    shop.does(&id, "deliver");
    shop.settles();
    assert_eq!(shop.stands(&id), ["delivered", "captured", "delivered"]);
    shop.stocks_are([7, 0, 3], [3, 0, 2]);
    shop.agrees();
}

#[test]
fn an_order_placed_with_a_still_valid_token_is_cancelled_as_well() {
    let shop = Shop::open();
    deletes(&shop);
    let id = shop.places("tok_ok");
    shop.settles();
    assert_eq!(shop.stands(&id)[0], "cancelled");
    is_forgotten(&shop, &id);
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    let _ = shop.ordering(&shop.ada, 1, 0, "tok_ok").send().problem(409, "unknown-user");
    shop.agrees();
}

#[test]
fn a_review_is_kept_without_its_author() {
    let shop = Shop::open();
    let path = format!("/products/{}/reviews", shop.leeks);
    let review = json!({"rating": 5, "comment": "Long."});
    let _ = customer(shop.product.post(&path), &shop.ada).json(review).send().status(201);
    let read = || items(&shop.product.get(&path).send().status(200)).remove(0);
    assert_eq!((&read()["first_name"], &read()["user_id_ref"]), (&json!("Ada"), &json!(shop.ada)));
    deletes(&shop);
    shop.settles();
    let review = read();
    assert_eq!(
        [&review["first_name"], &review["user_id_ref"], &review["rating"], &review["comment"]],
        [&Value::Null, &Value::Null, &json!(5), &json!("Long.")]
    );
    shop.agrees();
}

#[test]
fn the_order_of_another_customer_continues() {
    let shop = Shop::open();
    let bo = shop.registers("Bo");
    let adas = shop.places("tok_ok");
    let bos = shop.ordering(&bo, 1, 1, "tok_ok").send().status(201).text_of("id");
    deletes(&shop);
    shop.settles();
    assert_eq!([&adas, &bos].map(|id| shop.stands(id)[0].clone()), ["cancelled", "paid"]);
    assert_eq!(shop.read(&bos)["user_id_ref"], json!(bo));
    shop.stocks_are([9, 1, 0], [4, 1, 0]);
    shop.agrees();
}
