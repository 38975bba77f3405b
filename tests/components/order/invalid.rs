//! What is wrong with a request is told, all at once, and changes nothing.

use bulkhead_testing::{Value, json};

use super::*;

/// The fields that are wrong.
#[track_caller]
fn wrong(request: Request) -> Vec<String> {
    let problem = request.send().problem(422, "invalid").json();
    let errors = problem["errors"].as_array().expect("errors").iter();
    errors.map(|error| error["field"].as_str().expect("a field").to_owned()).collect()
}

fn path(id: &str, what: &str) -> String {
    format!("/orders/{id}/{what}")
}

#[test]
fn an_order_with_many_errors_reports_every_error() {
    let order = start();
    let before = kept(&order);
    let body = json!({
        "items": [{"product_id": "x", "quantity": 0}, {"quantity": 1.5, "colour": "red"}],
        "shipping": {"recipient_name": " ", "address_line2": "", "country": "de", "planet": "Mars"},
        "payment": {"method": "", "token": 7},
        "expected_total": 19.99,
        "coupon": "x",
    });
    let expected = [
        "items[0].product_id",
        "items[0].quantity",
        "items[1].product_id",
        "items[1].quantity",
        "items[1].colour",
        "shipping.recipient_name",
        "shipping.address_line1",
        "shipping.address_line2",
        "shipping.city",
        "shipping.postal_code",
        "shipping.country",
        "shipping.planet",
        "payment.method",
        "payment.token",
        "expected_total",
        "coupon",
    ];
    assert_eq!(wrong(ordering(&order, &body)), expected);
    assert_eq!(wrong(ordering(&order, &json!({}))), ["items", "shipping", "payment"]);
    assert_eq!((kept(&order), published(&order)), (before, vec![]));
}

#[test]
fn each_field_rule_of_an_order_is_enforced() {
    let order = start();
    let line = |length: usize| "ä".repeat(length);
    let shipping = |changes: Value| {
        let mut shipping = basket()["shipping"].clone();
        shipping.as_object_mut().expect("members").extend(changes.as_object().expect("changes").clone());
        json!({"shipping": shipping})
    };
    let paying = |method: Value, token: Value| json!({"payment": {"method": method, "token": token}});
    for (changes, field) in [
        (json!({"items": []}), "items"),
        (json!({"items": null}), "items"),
        (json!({"items": [{"product_id": LEEKS, "quantity": "1"}]}), "items[0].quantity"),
        (json!({"items": [{"product_id": LEEKS, "quantity": null}]}), "items[0].quantity"),
        (json!({"items": [{"product_id": null, "quantity": 1}]}), "items[0].product_id"),
        (json!({"shipping": null}), "shipping"),
        (json!({"shipping": "here"}), "shipping"),
        (shipping(json!({"recipient_name": line(202)})), "shipping.recipient_name"),
        (shipping(json!({"address_line1": line(201)})), "shipping.address_line1"),
        (shipping(json!({"address_line2": line(201)})), "shipping.address_line2"),
        (shipping(json!({"city": line(101)})), "shipping.city"),
        (shipping(json!({"city": "Ulm\nDonau"})), "shipping.city"),
        (shipping(json!({"state": line(101)})), "shipping.state"),
        (shipping(json!({"postal_code": line(21)})), "shipping.postal_code"),
        (shipping(json!({"country": "ZZ"})), "shipping.country"),
        (json!({"shipping": {"address_id": "x"}}), "shipping.address_id"),
        (json!({"shipping": {"address_id": UNKNOWN, "city": "Ulm"}}), "shipping.city"),
        (
            json!({"shipping": {"address_id": UNKNOWN, "recipient_name": line(202)}}),
            "shipping.recipient_name",
        ),
        (paying(json!(line(51)), json!("tok_ok")), "payment.method"),
        (paying(json!("card"), json!("")), "payment.token"),
        (paying(json!("card"), json!("tok ok")), "payment.token"),
        (paying(json!("card"), json!("t".repeat(201))), "payment.token"),
        (json!({"expected_total": "5"}), "expected_total"),
        (json!({"expected_total": "1.234"}), "expected_total"),
        (json!({"expected_total": "10000000.00"}), "expected_total"),
        (json!({"user_id": "me"}), "user_id"),
        (json!({"ordered_at": "yesterday"}), "ordered_at"),
    ] {
        assert_eq!(wrong(ordering(&order, &body_with(&[(LEEKS, 1)], changes.clone()))), [field], "{changes}");
    }
}

#[test]
fn each_field_of_an_order_is_accepted_up_to_its_maximum_length() {
    let order = start();
    let line = |length: usize| "ä".repeat(length);
    let shipping = json!({
        "recipient_name": line(201), "address_line1": line(200), "address_line2": line(200), "city": line(100),
        "state": line(100), "postal_code": line(20), "country": "ZW",
    });
    let payment = json!({"method": line(50), "token": "t".repeat(200)});
    let body = body_with(&[(LEEKS, 1)], json!({"shipping": shipping, "payment": payment}));
    let answer = ordering(&order, &body).send().status(201);
    let _ = answer.includes(json!({"shipping": shipping, "payment": {"payment_method": line(50)}}));
}

#[test]
fn a_product_occurs_once_in_an_order() {
    let order = start();
    let upper = LEEKS.to_uppercase();
    let body = body(&[(LEEKS, 1), (POTATOES, 1), (LEEKS, 1), (&upper, 1)]);
    assert_eq!(wrong(ordering(&order, &body)), ["items[2].product_id", "items[3].product_id"]);
}

#[test]
fn errors_in_a_payment_or_ship_request_are_reported() {
    let order = start();
    let id = declined(&order);
    let line = "ä".repeat(101);
    for (what, body, fields) in [
        ("payment", json!({}), &["method", "token"][..]),
        ("payment", json!({"method": "card", "token": "a b", "amount": "1.00"}), &["token", "amount"]),
        ("payment", json!({"method": "ä".repeat(51), "token": "t".repeat(201)}), &["method", "token"]),
        ("ship", json!({}), &["carrier", "tracking_number"]),
        (
            "ship",
            json!({"carrier": " ", "tracking_number": 7, "weight": 1}),
            &["carrier", "tracking_number", "weight"],
        ),
        ("ship", json!({"carrier": line, "tracking_number": line}), &["carrier", "tracking_number"]),
    ] {
        assert_eq!(wrong(admin(order.post(path(&id, what))).json(&body)), fields, "{body}");
    }
}

#[test]
fn a_refused_token_is_not_echoed() {
    let order = start();
    let id = declined(&order);
    for token in ["tok secret", &"tok_secret".repeat(100)] {
        let paying = payment(token);
        let again = admin(order.post(path(&id, "payment"))).json(&paying);
        for request in [ordering(&order, &body_with(&[(LEEKS, 1)], json!({"payment": paying}))), again] {
            let answer = request.send().problem(422, "invalid");
            assert!(!answer.text().contains("secret"), "{}", answer.text());
        }
    }
}

/// Each endpoint that takes a body.
fn with_body(id: &str) -> [String; 3] {
    ["/orders".to_owned(), path(id, "payment"), path(id, "ship")]
}

#[test]
fn a_body_must_be_json_with_the_json_media_type() {
    let order = start();
    let id = declined(&order);
    for path in with_body(&id) {
        let post = || admin(order.post(&path));
        for text in ["", "{", "{\"a\": 1, \"a\": 2}", "{} {}"] {
            let _ = post().body(text, "application/json").send().problem(400, "malformed-json");
        }
        let _ = post().body("{}", "text/plain").send().problem(415, "unsupported-media-type");
        let _ = post().json(json!([])).send().problem(422, "invalid");
    }
}

#[test]
fn an_unknown_query_parameter_is_reported() {
    let order = start();
    let id = placed(&order);
    for path in [
        format!("/orders/{id}"),
        "/orders/by-number/2026-000001".to_owned(),
        path(&id, "history"),
        "/orders".to_owned(),
    ] {
        assert_eq!(wrong(admin(order.get(&path)).query("colour", "red")), ["colour"]);
    }
    for what in ["cancel", "payment", "ship", "deliver"] {
        assert_eq!(wrong(doing(&order, &id, what).query("colour", "red")), ["colour"]);
    }
}

#[test]
fn an_unexpected_body_is_refused() {
    let order = start();
    let id = paid(&order);
    for what in ["cancel", "deliver"] {
        let answer = doing(&order, &id, what).json(json!({"reason": "late"})).send();
        assert!((400..500).contains(&answer.status_code()), "{}", answer.text());
    }
    assert_eq!(stands(&order, &id)[0], "paid");
}

#[test]
fn a_malformed_path_segment_is_404() {
    let order = start();
    let short = &ADA[..35];
    for path in [
        "/orders/7",
        "/orders/7/history",
        "/orders/by-number/7",
        "/orders/by-number/2017-1",
        "/orders/",
        short,
    ] {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/orders/{path}") };
        let _ = admin(order.get(&path)).send().problem(404, "not-found");
    }
    for what in ["cancel", "payment", "ship", "deliver"] {
        let _ = doing(&order, "7", what).send().problem(404, "not-found");
    }
}

#[test]
fn an_unsupported_method_is_405_with_the_allowed_methods() {
    let order = start();
    let id = placed(&order);
    for (method, path, allow) in [
        ("DELETE", "/orders".to_owned(), "GET, HEAD, OPTIONS, POST"),
        ("PATCH", format!("/orders/{id}"), "GET, HEAD, OPTIONS"),
        ("PUT", "/orders/by-number/2026-000001".to_owned(), "GET, HEAD, OPTIONS"),
        ("POST", path(&id, "history"), "GET, HEAD, OPTIONS"),
        ("GET", path(&id, "cancel"), "OPTIONS, POST"),
        ("GET", path(&id, "payment"), "OPTIONS, POST"),
        ("PUT", path(&id, "ship"), "OPTIONS, POST"),
        ("DELETE", path(&id, "deliver"), "OPTIONS, POST"),
    ] {
        let answer = admin(order.request(method, &path)).send().problem(405, "method-not-allowed");
        let _ = answer.header("allow", allow);
        let _ = admin(order.request("OPTIONS", &path)).send().status(204).header("allow", allow);
    }
}
