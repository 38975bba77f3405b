//! `POST /orders/{id}/payment`: to pay again after a decline, within the time allowed.

use bulkhead_testing::{Service, json};

use super::*;

/// Ada pays with this.
fn paying(order: &Service, id: &str, token: &str) -> Request {
    let body = json!({"method": "invoice", "token": token});
    customer(order.post(format!("/orders/{id}/payment")), ADA).json(body)
}

#[test]
fn an_order_that_was_declined_is_paid_again() {
    let order = start();
    let id = declined(&order);
    published_before(&order);
    let answer = paying(&order, &id, "tok_ok").send().status(200);
    let now = order.now();
    let answer = answer.includes(json!({
        "status": "paid", "updated_at": now,
        "payment": {
            "payment_method": "invoice", "payment_status": "captured", "amount": "40.73", "paid_at": now,
        },
        "shipping": {"shipping_status": "pending"},
    }));
    let paid = answer.json();
    assert_eq!(paid, read(&order, &id));
    assert!(!answer.text().contains("tok_ok"));
    order.expect_published(json!([{
        "type": "order.paid",
        "subject": id,
        "data": {
            "id": id, "user_id": ADA, "payment_id": paid["payment"]["id"], "amount": "40.73", "paid_at": now,
        },
    }]));
    assert_eq!(
        order.rows("SELECT attempt, payment_method, tries, outcome FROM order_payment_attempt"),
        json!([
            {"attempt": 1, "payment_method": "card", "tries": 1, "outcome": "declined"},
            {"attempt": 2, "payment_method": "invoice", "tries": 1, "outcome": "captured"},
        ])
    );
    assert_eq!(
        order.rows("SELECT attempt, amount, state FROM gateway_charge"),
        json!([
            {"attempt": 1, "amount": 4073, "state": "declined"},
            {"attempt": 2, "amount": 4073, "state": "captured"},
        ])
    );
}

#[test]
fn a_second_decline_is_answered_with_200() {
    let order = start();
    let id = declined(&order);
    published_before(&order);
    let answer = paying(&order, &id, "tok_declined").send().status(200);
    let _ = answer.includes(json!({
        "status": "reserved", "updated_at": order.now(),
        "payment": {"payment_method": "invoice", "payment_status": "declined", "transaction_id": null, "paid_at": null},
    }));
    order.expect_published(json!([]));
    let declined = "payment-declined: reserved";
    assert_eq!(history(&order, &id)[2..], [declined, declined]);
    assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
}

#[test]
fn an_unavailable_gateway_leaves_the_payment_pending_and_is_asked_again() {
    let order = start();
    let id = declined(&order);
    published_before(&order);
    let answer = paying(&order, &id, "tok_flaky").send().status(200);
    let _ = answer.includes(json!({
        "status": "reserved", "updated_at": order.now(),
        "payment": {"payment_method": "invoice", "payment_status": "pending"},
    }));
    let due = later(&order.now(), Duration::from_millis(50));
    assert_eq!(timers(&order)[0], ["order.payment-attempt".to_owned(), id.clone(), due]);
    assert_eq!(order.timers()[0].data, json!({"order_id": id, "attempt": 2}));
    order.advance(Duration::from_millis(150));
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    assert_eq!(published(&order), ["order.paid"]);
}

#[test]
fn an_undecided_attempt_is_replaced_by_a_new_one() {
    let order = start();
    let id = reserved_with(&order, "tok_flaky");
    run_due_timers(&order);
    let at = later(&order.now(), MILLISECOND);
    let _ = paying(&order, &id, "tok_ok").send().status(200).includes(json!({"status": "paid"}));
    assert_eq!(
        order.rows("SELECT attempt, tries, outcome, decided_at FROM order_payment_attempt"),
        json!([
            {"attempt": 1, "tries": 1, "outcome": "voided", "decided_at": at},
            {"attempt": 2, "tries": 1, "outcome": "captured", "decided_at": at},
        ])
    );
    assert_eq!(
        order.rows("SELECT attempt, state FROM gateway_charge"),
        json!([{"attempt": 1, "state": "voided"}, {"attempt": 2, "state": "captured"}])
    );
    // Nobody asks about the first any more.
    published_before(&order);
    let before = order.rows("SELECT * FROM gateway_charge");
    order.advance(Duration::from_secs(60));
    assert_eq!(order.rows("SELECT * FROM gateway_charge"), before);
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    order.expect_published(json!([]));
}

#[test]
fn an_attempt_replaced_by_another_undecided_one_is_not_retried() {
    let order = start();
    let id = reserved_with(&order, "tok_flaky");
    run_due_timers(&order);
    let answer = paying(&order, &id, "tok_flaky").send().status(200);
    let _ = answer.includes(json!({"payment": {"payment_status": "pending"}}));
    let timers = order.timers().into_iter().filter(|timer| timer.kind == "order.payment-attempt");
    let tried: Vec<Value> = timers.map(|timer| timer.data).collect();
    assert_eq!(tried, [json!({"order_id": id, "attempt": 2})]);
    order.advance(Duration::from_millis(150));
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    assert_eq!(
        order.rows("SELECT attempt, asked, state FROM gateway_charge"),
        json!([{"attempt": 1, "asked": 0, "state": "voided"}, {"attempt": 2, "asked": 2, "state": "captured"}])
    );
}

/// A gateway may have taken the money of an attempt whose outcome never got back.
#[test]
fn a_gateway_that_has_decided_gives_the_same_answer_again() {
    for (state, transaction, expected) in
        [("captured", "'test-1'", ["paid", "captured"]), ("declined", "NULL", ["reserved", "declined"])]
    {
        let order = start();
        let id = reserved_with(&order, "tok_ok");
        order.write(&format!(
            "INSERT INTO gateway_charge (order_id, attempt, amount, asked, state, transaction_id) \
             VALUES ('{id}', 1, 4073, 0, '{state}', {transaction})"
        ));
        let before = order.rows("SELECT * FROM gateway_charge");
        run_due_timers(&order);
        assert_eq!(order.rows("SELECT * FROM gateway_charge"), before);
        assert_eq!(stands(&order, &id)[..2], expected, "{state}");
        assert_eq!(read(&order, &id)["payment"]["transaction_id"], before[0]["transaction_id"], "{state}");
    }
}

#[test]
fn an_attempt_that_never_reached_the_gateway_is_replaced_as_well() {
    let order = start();
    let id = reserved_with(&order, "tok_declined");
    let _ = paying(&order, &id, "tok_ok").send().status(200).includes(json!({"status": "paid"}));
    published_before(&order);
    run_due_timers(&order);
    assert_eq!(stands(&order, &id), ["paid", "captured", "pending"]);
    assert_eq!(
        order.rows("SELECT attempt, tries, outcome FROM order_payment_attempt"),
        json!([
            {"attempt": 1, "tries": 0, "outcome": "voided"}, {"attempt": 2, "tries": 1, "outcome": "captured"},
        ])
    );
    order.expect_published(json!([]));
}

#[test]
fn an_order_has_at_most_20_payment_attempts() {
    let order = start();
    let id = declined(&order);
    for attempt in 2..=20 {
        let answer = paying(&order, &id, "tok_declined").send().status(200);
        let _ = answer.includes(json!({"payment": {"payment_status": "declined"}}));
        assert_eq!(order.rows("SELECT count(*) AS n FROM order_payment_attempt"), json!([{"n": attempt}]));
    }
    published_before(&order);
    let before = kept(&order);
    let answer = paying(&order, &id, "tok_ok").send().problem(409, "too-many-payments");
    let _ = answer.includes(json!({"constraint": "order_payment_attempt"}));
    assert_eq!(kept(&order), before);
    order.expect_published(json!([]));
}

#[test]
fn an_order_can_be_paid_until_its_payment_timeout() {
    let order = start();
    let id = declined(&order);
    let due = order.rows("SELECT payment_due_at FROM \"order\"")[0]["payment_due_at"].clone();
    let due = due.as_str().expect("a time");
    order.advance(until(&order, due) - MILLISECOND * 3);
    // Each request is a millisecond later: this is the last in time.
    let answer = paying(&order, &id, "tok_declined").send().status(200);
    let _ = answer.includes(json!({"status": "reserved"}));
    assert_eq!(later(&order.now(), MILLISECOND * 2), due);
    let _ = paying(&order, &id, "tok_declined").send().status(200);
    // And this comes when it is over, before the timer has said so.
    published_before(&order);
    let before = kept(&order);
    let answer = paying(&order, &id, "tok_ok").send().problem(409, "order-state");
    assert_eq!(order.now(), due);
    let _ =
        answer.includes(json!({"order_status": "reserved", "detail": "the time to pay this order is over"}));
    assert_eq!(kept(&order), before);
    order.expect_published(json!([]));
}
