//! Each way that an order can go, step by step.

use super::*;

#[test]
fn an_order_is_placed_reserved_paid_shipped_and_delivered() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    assert_eq!(shop.stands(&id), ["pending", "pending", "pending"]);
    shop.stocks_are([10, 0, 0], [5, 0, 0]);

    shop.consumes("order", "product", "order.placed");
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    assert_eq!(shop.stands(&id)[0], "pending", "it has not heard of it yet");

    shop.consumes("product", "order", "product.stock-reserved");
    assert_eq!(shop.stands(&id), ["reserved", "pending", "pending"]);

    shop.run_due_timers();
    assert_eq!(shop.stands(&id), ["paid", "captured", "pending"]);
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    assert_eq!(
        deliveries(&shop.app.settle()),
        [
            "order > report: order.placed",
            "order > report: order.paid",
            "product > report: product.stock-reserved",
        ]
    );
    shop.agrees();

    shop.does(&id, "ship");
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.consumes("order", "product", "order.shipped");
    shop.stocks_are([7, 0, 3], [3, 0, 2]);
    assert_eq!(deliveries(&shop.app.settle()), ["order > report: order.shipped"]);
    shop.agrees();

    shop.does(&id, "deliver");
    assert_eq!(deliveries(&shop.app.settle()), ["order > report: order.delivered"]);
    assert_eq!(shop.stands(&id), ["delivered", "captured", "delivered"]);
    assert_eq!(shop.causes(&id), ["placed", "stock-reserved", "payment-captured", "shipped", "delivered"]);
    assert_eq!(
        shop.published(&shop.order, &id),
        ["order.placed", "order.paid", "order.shipped", "order.delivered"]
    );
    assert_eq!(shop.published(&shop.product, &id), ["product.stock-reserved"]);
    shop.app.advance(TIME_TO_PAY);
    assert!(shop.app.step().is_none(), "the end of the time to pay is no matter of what is paid");
    shop.agrees();
}

#[test]
fn an_order_that_exceeds_the_stock_is_rejected_entirely_and_nothing_is_released() {
    let shop = Shop::open();
    let id = shop.ordering(&shop.ada, 1, 6, "tok_ok").send().status(201).text_of("id");
    shop.consumes("order", "product", "order.placed");
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(shop.published(&shop.product, &id), ["product.stock-rejected"]);
    shop.consumes("product", "order", "product.stock-rejected");
    assert_eq!(shop.stands(&id), ["rejected", "voided", "cancelled"]);
    let _ = shop.doing(&id, "cancel").send().problem(409, "order-state");
    assert_eq!(
        deliveries(&shop.app.settle()),
        ["order > report: order.placed", "order > report: order.rejected"]
    );
    assert_eq!(shop.causes(&id), ["placed", "stock-rejected"]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.rejected"]);
    shop.app.advance(TIME_TO_PAY);
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    shop.agrees();
}

#[test]
fn a_paid_order_that_is_cancelled_is_refunded_and_its_stock_is_released() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_ok");
    shop.agrees();
    shop.does(&id, "cancel");
    assert_eq!(shop.stands(&id), ["cancelled", "refunded", "cancelled"]);
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.consumes("order", "product", "order.cancelled");
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(deliveries(&shop.app.settle()), ["order > report: order.cancelled"]);
    assert_eq!(shop.published(&shop.product, &id), ["product.stock-reserved", "product.stock-released"]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.paid", "order.cancelled"]);
    shop.agrees();
}

#[test]
fn a_reserved_order_that_is_cancelled_is_voided_and_its_stock_is_released() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_declined");
    assert_eq!(shop.stands(&id), ["reserved", "declined", "pending"]);
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.agrees();
    shop.does(&id, "cancel");
    shop.settles();
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.cancelled"]);
    shop.agrees();
}

#[test]
fn a_shipped_order_is_not_cancelled_and_its_stock_stays_sold() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_ok");
    shop.does(&id, "ship");
    let _ = shop.doing(&id, "cancel").send().problem(409, "order-state");
    shop.settles();
    shop.stocks_are([7, 0, 3], [3, 0, 2]);
    assert_eq!(shop.published(&shop.product, &id), ["product.stock-reserved"]);
    shop.agrees();
}

#[test]
fn the_shortages_published_for_a_customer_are_those_of_the_product_service() {
    let shop = Shop::open();
    let id = shop.ordering(&shop.ada, 11, 6, "tok_ok").send().status(201).text_of("id");
    shop.settles();
    let rejected = shop.order.published().into_iter().find(|event| event.kind == "order.rejected");
    let rejected = rejected.expect("order.rejected was published");
    assert_eq!(
        (rejected.subject.as_str(), rejected.data),
        (
            id.as_str(),
            json!({
                "id": id,
                "user_id": shop.ada,
                "shortages": [
                    {"product_id": shop.potatoes, "requested": 11, "available": 10},
                    {"product_id": shop.leeks, "requested": 6, "available": 5},
                ],
            })
        )
    );
    shop.agrees();
}
