//! What an order takes, as it stands: everything else is 409 `order-state` to a client, and no matter of an event's, which came too late.

use bulkhead_testing::{Service, json};

use super::*;

/// What can be done to an order, and the status that each has after it where it can.
const ACTIONS: [&str; 4] = ["cancel", "payment", "ship", "deliver"];

#[test]
fn an_order_accepts_only_what_its_status_allows() {
    for (status, expected) in [
        ("pending", ["cancelled", "-", "-", "-"]),
        ("reserved", ["cancelled", "paid", "-", "-"]),
        ("paid", ["cancelled", "-", "shipped", "-"]),
        ("shipped", ["-", "-", "-", "delivered"]),
        ("delivered", ["-", "-", "-", "-"]),
        ("rejected", ["-", "-", "-", "-"]),
        ("cancelled", ["-", "-", "-", "-"]),
    ] {
        for (what, expected) in ACTIONS.into_iter().zip(expected) {
            let order = start();
            let id = standing(&order, status);
            published_before(&order);
            if expected != "-" {
                let _ = done(&order, &id, what).includes(json!({"status": expected}));
                continue;
            }
            let before = kept(&order);
            let answer = doing(&order, &id, what).send().problem(409, "order-state");
            let _ = answer.includes(json!({"constraint": "order.status", "order_status": status}));
            assert_eq!(kept(&order), before, "{status} {what}");
            order.expect_published(json!([]));
        }
    }
}

/// Delivers one of product's answers, whatever the order makes of it.
#[track_caller]
fn answered(order: &Service, id: &str, what: &str) {
    match what {
        "reserved" => reserve(order, id),
        _ => reject(order, id),
    }
}

#[test]
fn late_stock_events_change_nothing() {
    for status in &STATUSES[1..] {
        for what in ["reserved", "rejected"] {
            let order = start();
            let id = standing(&order, status);
            published_before(&order);
            let before = kept(&order);
            answered(&order, &id, what);
            assert_eq!(kept(&order), before, "{status} {what}");
            order.expect_published(json!([]));
        }
    }
}

#[test]
fn the_payment_timeout_cancels_only_unpaid_orders() {
    for status in STATUSES {
        let order = start();
        let id = standing(&order, status);
        published_before(&order);
        order.advance(TIME_TO_PAY);
        let open = matches!(status, "pending" | "reserved");
        assert_eq!(stands(&order, &id)[0], if open { "cancelled" } else { status });
        assert_eq!(published(&order), if open { vec!["order.cancelled"] } else { vec![] }, "{status}");
        assert!(timers(&order).is_empty(), "{status}");
    }
}

#[test]
fn payment_and_shipping_statuses_match_the_order_status() {
    for (status, expected) in [
        ("pending", ["pending", "pending", "pending"]),
        ("reserved", ["reserved", "declined", "pending"]),
        ("paid", ["paid", "captured", "pending"]),
        ("shipped", ["shipped", "captured", "shipped"]),
        ("delivered", ["delivered", "captured", "delivered"]),
        ("rejected", ["rejected", "voided", "cancelled"]),
        ("cancelled", ["cancelled", "refunded", "cancelled"]),
    ] {
        let order = start();
        let id = standing(&order, status);
        assert_eq!(stands(&order, &id), expected);
    }
}
