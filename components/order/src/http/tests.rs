//! What the service answers before it needs its database, and what it says of itself. The rest is tested over HTTP, with a host.

use bulkhead_sdk::serde_json::{self, Value, json};
use bulkhead_sdk::wit::bulkhead::service::types::{Event, Header};
use bulkhead_sdk::{Access, HandleError, Principal, Request};

use super::service;

const ID: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";
const OTHER: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e61";

/// Sends a request of somebody with these roles, or of nobody.
fn send_as(roles: Option<&[&str]>, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let response = service().handle(&Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        route: "/orders/...".to_owned(),
        headers: vec![Header { name: "content-type".to_owned(), value: b"application/json".to_vec() }],
        body: body.to_string().into_bytes(),
        principal: roles.map(|roles| Principal {
            subject: ID.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            expires_at: None,
        }),
        peer: "127.0.0.1".to_owned(),
        caller: None,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    });
    (response.status, serde_json::from_slice(&response.body).expect("JSON"))
}

const CUSTOMER: Option<&[&str]> = Some(&["customer"]);
const ADMIN: Option<&[&str]> = Some(&["admin"]);

#[track_caller]
fn wrong_fields(roles: Option<&[&str]>, method: &str, target: &str, body: &Value) -> Vec<String> {
    let (status, problem) = send_as(roles, method, target, body);
    assert_eq!(status, 422, "{problem}");
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect()
}

/// An order that nothing is wrong with, but for these changes.
fn order(changes: Value) -> Value {
    let mut order = json!({
        "items": [{"product_id": ID, "quantity": 1}],
        "shipping": {
            "recipient_name": "Ada Lovelace", "address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE",
        },
        "payment": {"method": "card", "token": "tok_ok"},
    });
    let changes = changes.as_object().expect("changes").clone();
    order.as_object_mut().expect("an order").extend(changes);
    order
}

#[test]
fn an_order_with_many_errors_reports_every_error() {
    let wrong = json!({
        "items": [{"product_id": "x", "quantity": 0}, {"quantity": 1.5, "colour": "red"}],
        "shipping": {"recipient_name": " ", "address_line2": "", "country": "de", "planet": "Mars"},
        "payment": {"method": "", "token": 7},
        "expected_total": 19.99,
        "coupon": "x",
    });
    assert_eq!(
        wrong_fields(CUSTOMER, "POST", "/orders", &wrong),
        [
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
        ]
    );
    assert_eq!(wrong_fields(CUSTOMER, "POST", "/orders", &json!({})), ["items", "shipping", "payment"]);
}

#[test]
fn an_order_lists_each_product_at_most_once() {
    let line = |id: &str| json!({"product_id": id, "quantity": 1});
    let items = json!([line(ID), line(OTHER), line(ID), line(&ID.to_uppercase())]);
    assert_eq!(
        wrong_fields(CUSTOMER, "POST", "/orders", &order(json!({"items": items}))),
        ["items[2].product_id", "items[3].product_id"]
    );
}

#[test]
fn an_order_has_1_to_200_items_of_1_to_10000() {
    for items in
        [json!([]), json!(vec![json!({"product_id": ID, "quantity": 1}); 201]), json!(null), json!({})]
    {
        assert_eq!(wrong_fields(CUSTOMER, "POST", "/orders", &order(json!({"items": items}))), ["items"]);
    }
    for quantity in [json!(0), json!(-1), json!(10_001), json!(1.5), json!("1"), json!(null)] {
        let items = json!([{"product_id": ID, "quantity": quantity}]);
        assert_eq!(
            wrong_fields(CUSTOMER, "POST", "/orders", &order(json!({"items": items}))),
            ["items[0].quantity"],
            "{quantity}"
        );
    }
}

#[test]
fn an_address_is_given_in_full_or_by_id_but_not_both() {
    let both = json!({"address_id": ID, "city": "Ulm", "recipient_name": null});
    let wrong = wrong_fields(CUSTOMER, "POST", "/orders", &order(json!({"shipping": both})));
    assert_eq!(wrong, ["shipping.city"]);
    let wrong = order(json!({"shipping": {"address_id": "x", "recipient_name": ""}}));
    assert_eq!(
        wrong_fields(CUSTOMER, "POST", "/orders", &wrong),
        ["shipping.address_id", "shipping.recipient_name"]
    );
    for shipping in [json!(null), json!("here"), json!([])] {
        assert_eq!(
            wrong_fields(CUSTOMER, "POST", "/orders", &order(json!({"shipping": shipping}))),
            ["shipping"]
        );
    }
}

#[test]
fn a_customer_cannot_set_user_id_or_ordered_at() {
    for changes in
        [json!({"user_id": OTHER}), json!({"user_id": ID}), json!({"ordered_at": "2017-01-01T11:53:26Z"})]
    {
        let (status, problem) = send_as(CUSTOMER, "POST", "/orders", &order(changes));
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    }
}

#[test]
fn an_admin_must_name_the_user_and_cannot_order_in_the_future() {
    assert_eq!(wrong_fields(ADMIN, "POST", "/orders", &order(json!({}))), ["user_id"]);
    let changes = json!({"user_id": ID, "ordered_at": "9999-01-01T00:00:00Z"});
    assert_eq!(wrong_fields(ADMIN, "POST", "/orders", &order(changes)), ["ordered_at"]);
    let changes = json!({"user_id": "me", "ordered_at": "yesterday"});
    assert_eq!(wrong_fields(ADMIN, "POST", "/orders", &order(changes)), ["user_id", "ordered_at"]);
}

#[test]
fn a_refused_payment_token_is_not_echoed() {
    for token in ["tok secret", &"tok_secret".repeat(100)] {
        let payment = json!({"method": "card", "token": token});
        let placed = send_as(CUSTOMER, "POST", "/orders", &order(json!({"payment": payment})));
        for (status, problem) in
            [placed, send_as(CUSTOMER, "POST", &format!("/orders/{ID}/payment"), &payment)]
        {
            assert_eq!(status, 422, "{problem}");
            assert!(!problem.to_string().contains("secret"), "{problem}");
        }
    }
}

#[test]
fn errors_in_a_ship_request_are_reported_per_field() {
    let wrong = json!({"carrier": " ", "weight": 1});
    assert_eq!(
        wrong_fields(ADMIN, "POST", &format!("/orders/{ID}/ship"), &wrong),
        ["carrier", "tracking_number", "weight"]
    );
}

#[test]
fn every_invalid_filter_is_reported() {
    let target = "/orders?status=lost&user_id=me&limit=0&cursor=x&sort=age";
    for roles in [CUSTOMER, ADMIN] {
        assert_eq!(
            wrong_fields(roles, "GET", target, &Value::Null),
            ["status", "user_id", "limit", "cursor", "sort"]
        );
    }
}

#[test]
fn a_customer_who_asks_for_the_orders_of_another_user_sees_none() {
    let (status, page) = send_as(CUSTOMER, "GET", &format!("/orders?user_id={OTHER}"), &Value::Null);
    assert_eq!((status, page), (200, json!({"items": [], "next_cursor": null})));
}

#[test]
fn a_malformed_path_segment_is_404() {
    for target in ["/orders/7", "/orders/7/history", "/orders/by-number/7", "/orders/by-number/2017-1"] {
        let (status, problem) = send_as(ADMIN, "GET", target, &Value::Null);
        assert_eq!((status, &problem["code"]), (404, &json!("not-found")), "{target}");
    }
}

#[test]
fn an_unauthorized_caller_is_refused_before_any_other_error_is_reported() {
    for route in service().description().routes {
        let target =
            format!("{}?x=1", route.path.replace("{id}", ID).replace("{order_number}", "2017-000001"));
        let body = json!({"colour": "red"});
        let status_for = |roles: Option<&[&str]>| send_as(roles, &route.method, &target, &body).0;
        assert_eq!(status_for(None), 401, "{target}");
        for roles in [&[][..], &["staff"]] {
            assert_eq!(status_for(Some(roles)), 403, "{target}");
        }
        let Access::Roles(roles) = &route.access else { panic!("{target} is for everybody") };
        for role in ["admin", "customer"] {
            let expected = if roles.iter().any(|held| held == role) { 422 } else { 403 };
            assert_eq!(status_for(Some(&[role])), expected, "{role} {target}");
        }
    }
}

#[test]
fn events_and_timers_whose_data_does_not_match_their_type_are_rejected() {
    let description = service().description();
    for event_type in description.subscribes.iter().map(String::as_str).chain(["order.placed", "nothing"]) {
        let event = Event {
            id: ID.to_owned(),
            source: "product".to_owned(),
            type_: event_type.to_owned(),
            subject: ID.to_owned(),
            time: "2026-01-02T03:04:05.678Z".to_owned(),
            data: "{\"id\": 7}".to_owned(),
            attempt: 1,
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        };
        assert!(matches!(service().handle_event(event), Err(HandleError::Reject(_))), "{event_type}");
    }
}

#[test]
fn the_description_lists_published_and_consumed_events_and_every_schema_is_json() {
    let description = service().description();
    assert_eq!(
        description.publishes,
        [
            "order.placed",
            "order.paid",
            "order.cancelled",
            "order.rejected",
            "order.shipped",
            "order.delivered"
        ]
    );
    assert_eq!(
        description.subscribes,
        [
            "product.changed",
            "product.stock-reserved",
            "product.stock-rejected",
            "user.deleted",
            "order.payment-due",
            "order.payment-attempt",
            "order.forget-user"
        ]
    );
    assert_eq!(description.routes.len(), 9);
    for route in &description.routes {
        let parameters =
            route.path_parameters.iter().chain(&route.query_parameters).map(|parameter| &parameter.schema);
        for schema in parameters
            .chain(&route.request_schema)
            .chain(route.answers.iter().filter_map(|answer| answer.schema.as_ref()))
        {
            serde_json::from_str::<Value>(schema).unwrap_or_else(|error| panic!("{}: {error}", route.path));
        }
        assert_eq!(route.path_parameters.len(), route.path.matches('{').count(), "{}", route.path);
        assert!(!route.computes, "{}", route.path);
    }
}

#[test]
fn a_payment_token_is_write_only() {
    for route in service().description().routes {
        let answered: String = route.answers.into_iter().filter_map(|answer| answer.schema).collect();
        assert!(!answered.contains("\"token\"") && !answered.contains("writeOnly"), "{}", route.path);
        let asked = route.request_schema.unwrap_or_default();
        assert_eq!(asked.contains("\"token\""), asked.contains("writeOnly"), "{}", route.path);
    }
}

#[test]
fn the_migrations_are_numbered_from_one() {
    let versions: Vec<u32> = service().migrations().iter().map(|migration| migration.version).collect();
    assert!(versions.iter().copied().eq((1..).take(versions.len())), "{versions:?}");
    assert!(!versions.is_empty());
}
