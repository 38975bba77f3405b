//! The service's own timers, to the millisecond.

use bulkhead_testing::{Service, json};

use super::*;

/// Moves the clock to a time so much later than another, but for a millisecond, and checks what is so; then to it, and checks again.
#[track_caller]
fn just_before_and_at(order: &Service, (from, by): (&str, Duration), before: impl Fn(), at: impl Fn()) {
    let target = later(from, by);
    order.advance(until(order, &target) - MILLISECOND);
    before();
    order.advance(MILLISECOND);
    assert_eq!(order.now(), target);
    at();
}

#[test]
fn an_unpaid_order_is_cancelled_at_its_payment_timeout_and_not_before() {
    for status in ["pending", "reserved"] {
        let order = start();
        let from = later(&order.now(), MILLISECOND);
        let id = standing(&order, status);
        published_before(&order);
        let before = order.rows("SELECT status, updated_at FROM \"order\"");
        just_before_and_at(
            &order,
            (&from, TIME_TO_PAY),
            || assert_eq!(order.rows("SELECT status, updated_at FROM \"order\""), before),
            || {
                let expected = json!([{"status": "cancelled", "updated_at": later(&from, TIME_TO_PAY)}]);
                assert_eq!(order.rows("SELECT status, updated_at FROM \"order\""), expected);
            },
        );
        order.expect_published(json!([{
            "type": "order.cancelled",
            "subject": id,
            "data": {"id": id, "user_id": ADA, "reason": "payment"},
        }]));
        assert_eq!(stands(&order, &id), ["cancelled", "voided", "cancelled"]);
        assert_eq!(history(&order, &id).last().expect("an entry"), "payment-overdue: cancelled");
        assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
    }
}

#[test]
fn the_gateway_is_asked_as_soon_as_the_stock_is_reserved() {
    let order = start();
    let id = reserved_with(&order, "tok_ok");
    published_before(&order);
    run_due_timers(&order);
    let now = order.now();
    let paid = read(&order, &id);
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    let (at, transaction) = (paid["payment"]["paid_at"].clone(), paid["payment"]["transaction_id"].clone());
    assert_eq!((&at, &paid["updated_at"]), (&json!(now), &at));
    order.expect_published(json!([{
        "type": "order.paid",
        "subject": id,
        "data": {"id": id, "user_id": ADA, "payment_id": paid["payment"]["id"], "amount": "40.73", "paid_at": at},
    }]));
    assert_eq!(
        order.rows("SELECT * FROM gateway_charge"),
        json!([{
            "order_id": id, "attempt": 1, "amount": 4073, "asked": 0, "state": "captured", "transaction_id": transaction,
        }])
    );
    assert_eq!(
        order.rows("SELECT attempt, tries, outcome, decided_at FROM order_payment_attempt"),
        json!([{"attempt": 1, "tries": 1, "outcome": "captured", "decided_at": at}])
    );
    // What it was paid with is forgotten.
    assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
}

#[test]
fn a_decline_leaves_the_order_reserved_and_publishes_nothing() {
    for token in ["tok_declined", "tok_unheard_of", "TOK_OK"] {
        let order = start();
        let id = reserved_with(&order, token);
        published_before(&order);
        run_due_timers(&order);
        let now = order.now();
        assert_eq!(stands(&order, &id), ["reserved", "declined", "pending"], "{token}");
        assert_eq!(history(&order, &id)[1..], ["stock-reserved: reserved", "payment-declined: reserved"]);
        order.expect_published(json!([]));
        assert_eq!(
            order.rows("SELECT tries, outcome, decided_at FROM order_payment_attempt"),
            json!([{"tries": 1, "outcome": "declined", "decided_at": now}])
        );
        assert_eq!(
            order.rows("SELECT state, transaction_id FROM gateway_charge"),
            json!([{"state": "declined", "transaction_id": null}])
        );
        assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
        assert_eq!(timers(&order).len(), 1, "the end of the time to pay alone");
    }
}

#[test]
fn an_unavailable_gateway_is_asked_again_after_50_and_then_100_milliseconds() {
    let order = start();
    let id = reserved_with(&order, "tok_flaky");
    let asked = || order.rows("SELECT tries, outcome FROM order_payment_attempt");
    let tries = |count: i64| json!([{"tries": count, "outcome": null}]);
    run_due_timers(&order);
    published_before(&order);
    // It was due when the stock was set aside, and taken a millisecond later.
    let mut from = order.now();
    assert_eq!(asked(), tries(1));
    for (wait, before) in [(50, 1), (100, 2)] {
        let wait = Duration::from_millis(wait);
        let next = timers(&order).remove(0);
        assert_eq!(next, ["order.payment-attempt".to_owned(), id.clone(), later(&from, wait)]);
        just_before_and_at(
            &order,
            (&from, wait),
            || assert_eq!(asked(), tries(before)),
            || {
                assert_ne!(asked(), tries(before));
            },
        );
        from = order.now();
    }
    assert_eq!(asked(), json!([{"tries": 3, "outcome": "captured"}]));
    assert_eq!(
        order.rows("SELECT asked, state FROM gateway_charge"),
        json!([{"asked": 2, "state": "captured"}])
    );
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    assert_eq!(read(&order, &id)["payment"]["paid_at"], from);
    assert_eq!(published(&order), ["order.paid"]);
    // Neither try stands in the history: nothing happened to the order.
    assert_eq!(history(&order, &id).len(), 3);
}

#[test]
fn a_permanently_unavailable_gateway_is_given_up_at_the_payment_timeout() {
    // 60 ms to pay: the first try and the second are within them.
    let order = Service::with("order").config("order", "payment_timeout", "60ms").start().service("order");
    let order = with_replicas(order);
    let id = reserved_with(&order, "tok_flaky");
    published_before(&order);
    order.advance(Duration::from_secs(60));
    assert_eq!(stands(&order, &id), ["cancelled", "voided", "cancelled"]);
    assert_eq!(published(&order), ["order.cancelled"]);
    assert_eq!(
        order.rows("SELECT tries, outcome FROM order_payment_attempt"),
        json!([{"tries": 2, "outcome": "voided"}])
    );
    assert_eq!(
        order.rows("SELECT asked, state FROM gateway_charge"),
        json!([{"asked": 1, "state": "voided"}])
    );
    assert!(timers(&order).is_empty());
}

#[test]
fn the_earlier_of_a_due_attempt_and_a_due_payment_timeout_counts() {
    let order = start();
    let id = placed(&order);
    reserve(&order, &id);
    published_before(&order);
    // Both are due by now, and taken in the order of their times: it is paid, and then it is too late to be overdue.
    order.advance(TIME_TO_PAY);
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    assert_eq!(published(&order), ["order.paid"]);
}

#[test]
fn each_order_has_its_own_payment_timeout() {
    let order = start();
    let first = placed(&order);
    order.advance(Duration::from_secs(60));
    let second = placed(&order);
    order.advance(TIME_TO_PAY - Duration::from_secs(60));
    assert_eq!([&first, &second].map(|id| stands(&order, id)[0].clone()), ["cancelled", "pending"]);
    order.advance(Duration::from_secs(60));
    assert_eq!(stands(&order, &second)[0], "cancelled");
}

#[test]
fn an_order_that_does_not_await_payment_has_no_timer() {
    for status in STATUSES {
        let order = start();
        let id = standing(&order, status);
        let due = order.rows("SELECT payment_due_at FROM \"order\"")[0]["payment_due_at"].clone();
        let due = due.as_str().expect("a time").to_owned();
        let waits = matches!(status, "pending" | "reserved");
        let expected = waits.then(|| ["order.payment-due".to_owned(), id.clone(), due]);
        assert_eq!(timers(&order), Vec::from_iter(expected), "{status}");
        // Nor has it one once its customer is gone, wherever it stood.
        user_deleted(&order, ADA);
        assert_eq!(timers(&order), Vec::<[String; 3]>::new(), "{status}, and its customer is deleted");
    }
}

#[test]
fn an_abandoned_attempt_is_not_retried() {
    // For a new attempt, and for the customer's cancelling.
    for what in ["payment", "cancel"] {
        let order = start();
        let other = placed(&order);
        let id = reserved_with(&order, "tok_flaky");
        run_due_timers(&order);
        assert_eq!(timers(&order).len(), 3, "the next try, and the end of the time of both");
        let _ = done(&order, &id, what);
        let left: Vec<String> = timers(&order).into_iter().map(|[_, subject, _]| subject).collect();
        assert_eq!(left, [other], "{what}: another's is as it was");
    }
}

#[test]
fn timers_stay_when_the_request_that_would_cancel_them_fails() {
    let order = start();
    let id = declined(&order);
    let before = timers(&order);
    let request = customer(order.post(format!("/orders/{id}/cancel")), ADA);
    let _ = request.failing(bulkhead_testing::Fault::Commit).send().problem(503, "unavailable");
    assert_eq!(timers(&order), before);
    let _ = customer(order.post(format!("/orders/{id}/cancel")), ADA).send().status(200);
    assert!(timers(&order).is_empty());
}
