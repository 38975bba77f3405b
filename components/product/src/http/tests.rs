//! What the service answers before it needs its database, and what it says of itself. The rest is tested over HTTP, with a host.

use bulkhead_sdk::serde_json::{self, Value, json};
use bulkhead_sdk::wit::bulkhead::service::types::Header;
use bulkhead_sdk::{Principal, Request};

use super::service;

const ID: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";

fn send(method: &str, target: &str, body: &Value) -> (u16, Value) {
    send_as(Some(&["admin", "customer"]), method, target, body)
}

/// Sends a request of somebody with these roles, or of nobody.
fn send_as(roles: Option<&[&str]>, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let response = service().handle(&Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        route: "/products/...".to_owned(),
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

fn wrong_fields(method: &str, target: &str, body: &Value) -> Vec<String> {
    let (status, problem) = send(method, target, body);
    assert_eq!(status, 422, "{problem}");
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect()
}

#[test]
fn a_product_with_many_errors_reports_every_error() {
    let body =
        json!({"category_id": "x", "name": " ", "price": 19.99, "stock_quantity": -1, "colour": "red"});
    assert_eq!(
        wrong_fields("POST", "/products", &body),
        ["category_id", "name", "price", "sku", "stock_quantity", "colour"]
    );
}

#[test]
fn prices_outside_their_range_are_refused() {
    for price in [json!("-1.00"), json!("10000000.00"), json!("1.999"), json!(1), json!(null), json!("")] {
        let body = json!({"category_id": ID, "name": "n", "price": price, "sku": "s"});
        assert_eq!(wrong_fields("POST", "/products", &body), ["price"], "{price}");
    }
}

#[test]
fn stock_does_not_change_by_patch() {
    let path = format!("/products/{ID}");
    let (_, problem) = send("PATCH", &path, &json!({"stock_quantity": 5}));
    let message = problem["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("/stock"), "{problem}");
}

#[test]
fn a_stock_change_is_a_nonzero_whole_number() {
    for delta in [json!(0), json!(1.5), json!("1"), json!(1_000_001), json!(null)] {
        let path = format!("/products/{ID}/stock");
        assert_eq!(wrong_fields("POST", &path, &json!({"delta": delta})), ["delta"], "{delta}");
    }
}

#[test]
fn every_invalid_filter_is_reported() {
    let target = "/products?category=x&min_price=1.999&max_price=x&in_stock=yes&sort=age&limit=201&cursor=x&colour=red";
    assert_eq!(
        wrong_fields("GET", target, &Value::Null),
        ["category", "min_price", "max_price", "in_stock", "sort", "limit", "cursor", "colour"]
    );
}

#[test]
fn a_search_without_words_finds_nothing() {
    for target in ["/products?q=%22%2A", "/products?q=-&sort=name"] {
        assert_eq!(
            send("GET", target, &Value::Null),
            (200, json!({"items": [], "next_cursor": null})),
            "{target}"
        );
    }
}

#[test]
fn a_category_whose_name_yields_no_slug_must_state_one() {
    assert_eq!(wrong_fields("POST", "/categories", &json!({"name": "北京"})), ["slug"]);
    assert_eq!(wrong_fields("POST", "/categories", &json!({"name": "a", "slug": "A B"})), ["slug"]);
}

#[test]
fn a_caller_without_the_role_is_refused_before_any_other_error_is_reported() {
    let (one, image, review) =
        (format!("/products/{ID}"), format!("/products/{ID}/images/{ID}"), format!("/products/{ID}/reviews"));
    for (method, target, role, other) in [
        ("POST", "/categories", "admin", "customer"),
        ("PATCH", &format!("/categories/{ID}"), "admin", "customer"),
        ("DELETE", &format!("/categories/{ID}"), "admin", "customer"),
        ("POST", "/products", "admin", "customer"),
        ("PATCH", &one, "admin", "customer"),
        ("DELETE", &one, "admin", "customer"),
        ("GET", &format!("{one}/stock"), "admin", "customer"),
        ("POST", &format!("{one}/stock"), "admin", "customer"),
        ("POST", &format!("{one}/images"), "admin", "customer"),
        ("DELETE", &image, "admin", "customer"),
        ("POST", &review, "customer", "admin"),
    ] {
        // All of it is wrong: what is told is who may ask.
        let target = format!("{target}?x=1");
        let body = json!({"colour": "red"});
        let refused = |roles: Option<&[&str]>| {
            let (status, problem) = send_as(roles, method, &target, &body);
            (status, problem["code"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(refused(None), (401, "unauthenticated".to_owned()), "{method} {target}");
        assert_eq!(refused(Some(&[other])), (403, "forbidden".to_owned()), "{method} {target}");
        assert_eq!(refused(Some(&[role])), (422, "invalid".to_owned()), "{method} {target}");
    }
}

#[test]
fn images_are_https() {
    let path = format!("/products/{ID}/images");
    assert_eq!(wrong_fields("POST", &path, &json!({"image_url": "http://a.example/1.png"})), ["image_url"]);
}

#[test]
fn the_description_lists_published_events_and_every_schema_is_json() {
    let description = service().description();
    assert_eq!(
        description.publishes,
        [
            "category.changed",
            "product.changed",
            "product.deleted",
            "product.stock-reserved",
            "product.stock-rejected",
            "product.stock-released"
        ]
    );
    assert_eq!(
        description.subscribes,
        ["order.placed", "order.cancelled", "order.shipped", "user.deleted", "product.words-due"]
    );
    assert_eq!(description.routes.len(), 22);
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
    }
}

#[test]
fn the_migrations_are_numbered_from_one() {
    let versions: Vec<u32> = service().migrations().iter().map(|migration| migration.version).collect();
    assert!(versions.iter().copied().eq((1..).take(versions.len())), "{versions:?}");
    assert!(!versions.is_empty());
}
