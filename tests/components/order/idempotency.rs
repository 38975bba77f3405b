//! `Idempotency-Key`: the effects of all requests with a key are those of one.

use bulkhead_testing::{Fault, Service, Value, json};

use super::*;

#[track_caller]
fn orders(order: &Service) -> usize {
    order.rows("SELECT id FROM \"order\"").as_array().expect("rows").len()
}

#[test]
fn an_order_with_a_key_is_placed_once() {
    let order = start();
    let send = || ordering(&order, &basket()).idempotency_key("k").send().status(201);
    let first = send().replayed(false);
    let before = kept(&order);
    let again = send().replayed(true).body(first.json());
    let _ = again.header("location", &format!("/orders/{}", first.text_of("id")));
    assert_eq!((kept(&order), published(&order)), (before, vec!["order.placed".to_owned()]));
    // Another key is another order.
    let _ = ordering(&order, &basket()).idempotency_key("l").send().status(201).replayed(false);
    assert_eq!(orders(&order), 2);
}

#[test]
fn a_key_belongs_to_one_body_and_one_customer() {
    let order = start();
    let _ = ordering(&order, &basket()).idempotency_key("k").send().status(201);
    let answer = ordering(&order, &body(&[(LEEKS, 1)])).idempotency_key("k").send();
    let _ = answer.problem(422, "idempotency-key-reused");
    assert_eq!(orders(&order), 1);
    let answer = customer(order.post("/orders"), BO).json(basket()).idempotency_key("k").send();
    let _ = answer.status(201).replayed(false);
    assert_eq!(orders(&order), 2);
}

#[test]
fn a_payment_with_a_key_is_tried_once() {
    let order = start();
    let id = declined(&order);
    let send = || {
        let request = admin(order.post(format!("/orders/{id}/payment"))).json(payment("tok_declined"));
        request.idempotency_key("k").send().status(200)
    };
    let first = send().replayed(false);
    let _ = send().replayed(true).body(first.json());
    assert_eq!(order.rows("SELECT count(*) AS n FROM order_payment_attempt"), json!([{"n": 2}]));
}

#[test]
fn an_action_repeated_with_its_key_gets_the_same_answer() {
    for what in ["cancel", "ship"] {
        let order = start();
        let id = paid(&order);
        published_before(&order);
        let send = || doing(&order, &id, what).idempotency_key("k").send().status(200);
        let first = send().replayed(false);
        let _ = send().replayed(true).body(first.json());
        assert_eq!(published(&order).len(), 1);
        // Without the key it is another request, and too late.
        let _ = doing(&order, &id, what).send().problem(409, "order-state");
    }
    let order = start();
    let id = standing(&order, "shipped");
    let first = doing(&order, &id, "deliver").idempotency_key("k").send().status(200);
    let again = doing(&order, &id, "deliver").idempotency_key("k").send().status(200);
    let _ = again.replayed(true).body(first.json());
}

#[test]
fn a_key_is_free_after_a_refused_or_failed_request() {
    let order = start();
    let send = |body: &Value| ordering(&order, body).idempotency_key("k");
    let _ = send(&body(&[(UNKNOWN, 1)])).send().problem(409, "unknown-product");
    let _ = send(&basket()).failing(Fault::Commit).send().problem(503, "unavailable");
    assert_eq!(orders(&order), 0);
    let _ = send(&basket()).send().status(201).replayed(false);
    assert_eq!(orders(&order), 1);
}
