//! Where an order goes when the customer keeps the address with the user service: that is asked, before anything is written.

use bulkhead_testing::{Fault, Reply, Service, Value, json};

use super::*;

const ADDRESS: &str = "0198f3a1-7c3e-7d52-8a07-0000000000d1";

fn of_address() -> String {
    format!("GET /users/{ADA}/addresses/{ADDRESS}")
}

fn of_user() -> String {
    format!("GET /users/{ADA}")
}

fn address() -> Reply {
    Reply::json(
        200,
        json!({
            "id": ADDRESS, "user_id": ADA, "address_line1": "2 Quay", "address_line2": "Back yard",
            "city": "Hamburg", "state": "HH", "postal_code": "20095", "country": "DE", "is_default": true,
        }),
    )
}

fn user() -> Reply {
    Reply::json(200, json!({"id": ADA, "email": "ada@x.example", "first_name": "Ada", "last_name": "King"}))
}

/// The order service beside a user service that answers so.
#[track_caller]
fn beside(answers: Vec<(&str, Reply)>) -> Service {
    with_replicas(Service::with("order").stand_in_table("user", answers).start().service("order"))
}

#[track_caller]
fn usual() -> Service {
    beside(vec![(&of_address(), address()), (&of_user(), user())])
}

/// Ada orders leeks to this address.
fn to(order: &Service, shipping: Value) -> Request {
    ordering(order, &body_with(&[(LEEKS, 1)], json!({"shipping": shipping})))
}

fn kept_address() -> Value {
    json!({"address_id": ADDRESS})
}

#[test]
fn an_order_uses_the_saved_address_and_the_name_of_the_customer() {
    let order = usual();
    let answer = to(&order, kept_address()).send().status(201);
    let id = answer.json()["shipping"]["id"].clone();
    let _ = answer.includes(json!({"shipping": {
        "id": id, "recipient_name": "Ada King", "address_line1": "2 Quay", "address_line2": "Back yard",
        "city": "Hamburg", "state": "HH", "postal_code": "20095", "country": "DE",
        "tracking_number": null, "carrier": null, "shipping_status": "pending",
    }}));
    let called = [of_address(), of_user()].map(|line| format!("user {line}"));
    assert_eq!(order.calls(), called);
}

#[test]
fn a_given_recipient_name_avoids_the_lookup_of_the_customer() {
    let order = beside(vec![(&of_address(), address())]);
    let shipping = json!({"address_id": ADDRESS, "recipient_name": "Cy Young"});
    let answer = to(&order, shipping).send().status(201);
    let _ = answer.includes(json!({"shipping": {"recipient_name": "Cy Young", "city": "Hamburg"}}));
    assert_eq!(order.calls(), [format!("user {}", of_address())]);
}

#[test]
fn missing_parts_of_an_address_are_null() {
    let plain = json!({
        "address_line1": "2 Quay", "address_line2": null, "city": "Ulm", "state": null, "postal_code": "89073",
        "country": "DE",
    });
    let order = beside(vec![(&of_address(), Reply::json(200, plain)), (&of_user(), user())]);
    let answer = to(&order, kept_address()).send().status(201);
    let _ = answer.includes(json!({"shipping": {"address_line2": null, "state": null}}));
}

#[test]
fn a_full_address_calls_no_other_service() {
    let order = usual();
    let _ = ordering(&order, &basket()).send().status(201);
    assert!(order.calls().is_empty());
}

#[test]
fn the_address_is_looked_up_under_the_customer_with_the_principal_of_the_caller() {
    let order = with_replicas(
        Service::with("order")
            .stand_in("user", |call| {
                assert_eq!((call.principal(), call.caller(), call.query()), (Some(ROOT), "order", None));
                if call.path().contains("/addresses/") { address() } else { user() }
            })
            .start()
            .service("order"),
    );
    let body = body_with(&[(LEEKS, 1)], json!({"shipping": kept_address(), "user_id": BO}));
    let _ = admin(order.post("/orders")).json(body).send().status(201);
    let called = [format!("user GET /users/{BO}/addresses/{ADDRESS}"), format!("user GET /users/{BO}")];
    assert_eq!(order.calls(), called);
}

/// Nothing was ordered.
#[track_caller]
fn nothing(order: &Service) {
    assert_eq!(order.rows("SELECT * FROM \"order\""), json!([]));
    assert_eq!((timers(order), published(order)), (vec![], vec![]));
}

#[test]
fn a_missing_address_or_customer_is_409() {
    for answers in [vec![], vec![(of_address(), address())]] {
        let order = beside(answers.iter().map(|(line, reply)| (line.as_str(), reply.clone())).collect());
        let answer = to(&order, kept_address()).send().problem(409, "unknown-address");
        let _ = answer.includes(json!({"constraint": "user_address.id", "address_id": ADDRESS}));
        nothing(&order);
    }
}

#[test]
fn unknown_products_and_users_are_reported_before_an_unknown_address() {
    let order = beside(vec![]);
    let body = body_with(&[(UNKNOWN, 1)], json!({"shipping": kept_address()}));
    let _ = ordering(&order, &body).send().problem(409, "unknown-product");
    nothing(&order);
}

#[test]
fn a_failing_user_service_is_503_and_a_late_one_504() {
    let ok = || Reply::status(200);
    for (status, code, first, second) in [
        (503, "unavailable", Reply::problem(500, "internal"), ok()),
        (503, "unavailable", Reply::problem(503, "unavailable"), ok()),
        (503, "unavailable", Reply::problem(401, "unauthenticated"), ok()),
        (503, "unavailable", Reply::problem(403, "forbidden"), ok()),
        (503, "unavailable", address(), Reply::problem(500, "internal")),
        (504, "deadline-exceeded", Reply::problem(504, "deadline-exceeded"), ok()),
        (504, "deadline-exceeded", address(), Reply::problem(504, "deadline-exceeded")),
    ] {
        let order = beside(vec![(&of_address(), first), (&of_user(), second)]);
        let answer = to(&order, kept_address()).send().problem(status, code);
        assert_eq!(answer.header_value("retry-after").is_some(), status == 503);
        nothing(&order);
    }
}

#[test]
fn an_answer_of_the_user_service_that_is_not_an_address_is_500() {
    for (first, second) in [
        (Reply::status(200), user()),
        (Reply::json(200, json!({"city": "Ulm"})), user()),
        (address(), Reply::json(200, json!({"first_name": "Ada"}))),
    ] {
        let order = beside(vec![(&of_address(), first), (&of_user(), second)]);
        let _ = to(&order, kept_address()).send().problem(500, "internal");
        nothing(&order);
    }
}

#[test]
fn each_failed_call_is_503_and_the_next_request_works() {
    for call in [1, 2] {
        let order = usual();
        let answer = to(&order, kept_address()).failing(Fault::Call(call)).send().problem(503, "unavailable");
        let _ = answer.header("retry-after", "1");
        nothing(&order);
        let _ = to(&order, kept_address()).send().status(201);
    }
}
