//! Payments that do not work at once, and the end of the time to pay.

use super::*;

#[test]
fn a_declined_order_keeps_its_stock_until_its_payment_timeout() {
    let shop = Shop::open();
    let id = shop.places("tok_declined");
    let placed = shop.app.now();
    shop.settles();
    assert_eq!(shop.stands(&id), ["reserved", "declined", "pending"]);
    shop.agrees();
    // To a millisecond before the end.
    let due = shop.order.timers().remove(0);
    assert_eq!((due.kind.as_str(), due.subject.as_str()), ("order.payment-due", id.as_str()));
    let left = TIME_TO_PAY - since(&placed, &shop.app.now());
    shop.app.advance(left - MILLISECOND * 2);
    assert_eq!(shop.app.settle(), []);
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    assert_eq!(shop.stands(&id)[0], "reserved");
    shop.app.advance(MILLISECOND * 10);
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    assert_eq!(
        deliveries(&shop.app.settle()),
        ["order > product: order.cancelled", "order > report: order.cancelled"]
    );
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(shop.causes(&id), ["placed", "stock-reserved", "payment-declined", "payment-overdue"]);
    let _ = shop.doing(&id, "payment").send().problem(409, "order-state");
    shop.agrees();
}

/// The time from one to another, of the same hour.
fn since(from: &str, to: &str) -> Duration {
    let part = |time: &str| {
        let digits = |range: std::ops::Range<usize>| time[range].parse::<u64>().expect("digits");
        Duration::from_millis((digits(14..16) * 60 + digits(17..19)) * 1000 + digits(20..23))
    };
    part(to) - part(from)
}

#[test]
fn a_declined_order_is_paid_in_time_and_shipped() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_declined");
    shop.does(&id, "payment");
    assert_eq!(shop.stands(&id), ["paid", "captured", "pending"]);
    shop.settles();
    shop.agrees();
    shop.app.advance(TIME_TO_PAY);
    shop.does(&id, "ship");
    shop.settles();
    shop.stocks_are([7, 0, 3], [3, 0, 2]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.paid", "order.shipped"]);
    shop.agrees();
}

#[test]
fn a_gateway_that_fails_twice_captures_the_money_once() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_flaky");
    assert_eq!(shop.stands(&id), ["reserved", "pending", "pending"]);
    shop.agrees();
    shop.app.advance(Duration::from_millis(150));
    assert_eq!(shop.stands(&id), ["paid", "captured", "pending"]);
    shop.settles();
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.paid"]);
    shop.agrees();
}

#[test]
fn an_order_without_a_stock_event_in_time_is_cancelled_and_keeps_no_stock() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    shop.app.advance(TIME_TO_PAY + MILLISECOND);
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    shop.consumes("order", "product", "order.placed");
    shop.stocks_are([7, 3, 0], [3, 2, 0]);
    shop.consumes("order", "product", "order.cancelled");
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    shop.settles();
    assert_eq!(shop.causes(&id), ["placed", "payment-overdue"]);
    assert_eq!(shop.published(&shop.order, &id), ["order.placed", "order.cancelled"]);
    shop.agrees();
}

#[test]
fn a_stock_event_that_waits_past_the_payment_timeout_is_too_late() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    shop.consumes("order", "product", "order.placed");
    shop.app.advance(TIME_TO_PAY + MILLISECOND);
    shop.consumes("product", "order", "product.stock-reserved");
    assert_eq!(shop.stands(&id), ["cancelled", "voided", "cancelled"]);
    shop.settles();
    shop.stocks_are([10, 0, 0], [5, 0, 0]);
    assert_eq!(shop.causes(&id), ["placed", "payment-overdue"]);
    shop.agrees();
}
