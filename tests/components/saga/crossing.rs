//! Events that cross on their way: whatever comes first, nothing is kept that should not be.

use super::*;

#[test]
fn an_order_cancelled_before_product_knows_of_it_releases_its_stock() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    shop.does(&id, "cancel");
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    // One log keeps its order: it is set aside and given back.
    shop.consumes("order", "product", "order.placed");
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.consumes("order", "product", "order.cancelled");
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    shop.consumes("product", "order", "product.stock-reserved");
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    shop.settles();
    assert_eq!(shop.causes(&id), ["placed", "cancelled"]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.cancelled"]);
    shop.agrees();
}

/// Cancels an order whose stock is set aside while that is on its way to the order service.
#[track_caller]
fn crossing() -> (Shop, String) {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    shop.consumes("order", "product", "order.placed");
    shop.does(&id, "cancel");
    (shop, id)
}

#[track_caller]
fn has_ended((shop, id): (Shop, String)) {
    shop.settles();
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(shop.causes(&id), ["placed", "cancelled"]);
    assert_eq!(shop.published(&shop.product, &id), ["product.stock-reserved", "product.stock-released"]);
    assert_eq!(shop.order.rows("SELECT * FROM order_payment_attempt"), json!([]), "nobody asked for money");
    shop.agrees();
}

#[test]
fn the_stock_event_arrives_before_product_consumes_the_cancellation() {
    let (shop, id) = crossing();
    shop.consumes("product", "order", "product.stock-reserved");
    assert_eq!(shop.stands(&id)[0], "cancelled");
    shop.run_due_timers();
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.consumes("order", "product", "order.cancelled");
    has_ended((shop, id));
}

#[test]
fn product_consumes_the_cancellation_before_its_stock_event_arrives() {
    let (shop, id) = crossing();
    shop.consumes("order", "product", "order.cancelled");
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    shop.consumes("product", "order", "product.stock-reserved");
    has_ended((shop, id));
}

#[test]
fn a_rejection_that_crosses_a_cancellation_changes_nothing_more() {
    for answer_first in [true, false] {
        let shop = Shop::open();
        let id = shop.ordering(&shop.ada, 11, 0, "tok_ok").send().status(201).text_of("id");
        shop.consumes("order", "product", "order.placed");
        shop.does(&id, "cancel");
        if answer_first {
            shop.consumes("product", "order", "product.stock-rejected");
        } else {
            shop.consumes("order", "product", "order.cancelled");
        }
        shop.settles();
        assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
        shop.stocks_are([10, 0, 0], [5, 0, 0]);
        assert_eq!(shop.published(&shop.product, &id), ["product.stock-rejected"]);
        assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.cancelled"]);
        shop.agrees();
    }
}

#[test]
fn an_order_is_cancelled_after_its_stock_is_reserved_and_before_the_gateway_is_asked() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    shop.consumes("order", "product", "order.placed");
    shop.consumes("product", "order", "product.stock-reserved");
    shop.does(&id, "cancel");
    // The timer of the attempt finds it given up.
    shop.run_due_timers();
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    assert_eq!(shop.order.rows("SELECT * FROM gateway_charge"), json!([]));
    shop.settles();
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.cancelled"]);
    shop.agrees();
}

#[test]
fn stock_is_sold_even_when_product_consumes_the_shipment_late() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    shop.consumes("order", "product", "order.placed");
    shop.consumes("product", "order", "product.stock-reserved");
    shop.run_due_timers();
    shop.does(&id, "ship");
    shop.does(&id, "deliver");
    assert_eq!(shop.stands(&id), ["delivered", "captured", "delivered"]);
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.consumes("order", "product", "order.shipped");
    shop.stocks_are([7, 0, 3], [3, 0, 2]);
    shop.settles();
    shop.agrees();
}
