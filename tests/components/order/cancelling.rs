//! `POST /orders/{id}/cancel`: until an order is shipped, with a refund at once.

use bulkhead_testing::{Service, json};

use super::*;

/// Cancels an order, and checks that this is told.
#[track_caller]
fn cancel(order: &Service, id: &str) -> Answer {
    published_before(order);
    let answer = customer(order.post(format!("/orders/{id}/cancel")), ADA).send().status(200);
    order.expect_published(json!([{
        "type": "order.cancelled",
        "subject": id,
        "data": {"id": id, "user_id": ADA, "reason": "customer"},
    }]));
    answer
}

#[test]
fn an_order_that_is_not_paid_is_cancelled_and_its_payment_voided() {
    for status in ["pending", "reserved"] {
        let order = start();
        let id = standing(&order, status);
        let answer = cancel(&order, &id);
        let answer = answer.includes(json!({
            "id": id, "status": "cancelled", "updated_at": order.now(), "total_amount": "40.73",
            "payment": {"payment_status": "voided", "transaction_id": null, "paid_at": null},
            "shipping": {"shipping_status": "cancelled"},
        }));
        assert_eq!(answer.json(), read(&order, &id));
        assert_eq!(history(&order, &id).last().expect("an entry"), "cancelled: cancelled");
        assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
    }
}

#[test]
fn an_order_that_is_paid_is_refunded_at_once() {
    let order = start();
    let id = paid(&order);
    let before = read(&order, &id)["payment"].clone();
    let answer = cancel(&order, &id);
    let _ = answer.includes(json!({
        "status": "cancelled",
        "payment": {
            "payment_status": "refunded", "amount": "40.73", "paid_at": before["paid_at"],
            "transaction_id": before["transaction_id"],
        },
        "shipping": {"shipping_status": "cancelled"},
    }));
    assert_eq!(
        order.rows("SELECT attempt, amount, state, transaction_id FROM gateway_charge"),
        json!([{
            "attempt": 1, "amount": 4073, "state": "refunded", "transaction_id": before["transaction_id"],
        }])
    );
}

#[test]
fn an_undecided_attempt_is_voided() {
    let order = start();
    let id = reserved_with(&order, "tok_flaky");
    run_due_timers(&order);
    let at = later(&order.now(), MILLISECOND);
    let _ = cancel(&order, &id);
    assert_eq!(
        order.rows("SELECT attempt, tries, outcome, decided_at FROM order_payment_attempt"),
        json!([{"attempt": 1, "tries": 1, "outcome": "voided", "decided_at": at}])
    );
    assert_eq!(
        order.rows("SELECT asked, state FROM gateway_charge"),
        json!([{"asked": 0, "state": "voided"}])
    );
    // The timers that wait find it so.
    let before = order.rows("SELECT * FROM gateway_charge");
    order.advance(TIME_TO_PAY);
    assert_eq!(stands(&order, &id), ["cancelled", "voided", "cancelled"]);
    assert_eq!(order.rows("SELECT * FROM gateway_charge"), before);
    order.expect_published(json!([]));
    assert!(timers(&order).is_empty());
}

#[test]
fn item_names_do_not_follow_the_product_once_an_order_is_cancelled() {
    let order = start();
    let id = placed(&order);
    let _ = cancel(&order, &id);
    product_changed(&order, LEEKS, "Onions", "1.00");
    let _ = admin(order.get(format!("/orders/{id}"))).send().includes(json!({
        "items": [{"product_name": "Potatoes"}, {"product_name": "Leeks"}],
    }));
}

#[test]
fn an_order_is_cancelled_once() {
    let order = start();
    let id = placed(&order);
    let _ = cancel(&order, &id);
    let before = kept(&order);
    let answer = doing(&order, &id, "cancel").send().problem(409, "order-state");
    let _ = answer.includes(json!({"constraint": "order.status", "order_status": "cancelled"}));
    assert_eq!(kept(&order), before);
    order.expect_published(json!([]));
}

#[test]
fn an_admin_cancels_for_the_customer() {
    let order = start();
    let id = placed(&order);
    published_before(&order);
    let _ = done(&order, &id, "cancel");
    order.expect_published(json!([{
        "type": "order.cancelled",
        "subject": id,
        "data": {"id": id, "user_id": ADA, "reason": "customer"},
    }]));
}
