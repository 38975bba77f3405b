//! Requests through a whole service: what is answered before a handler runs, and what is made of what it gives.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "bodies and queries that nothing but their errors is wanted of"
)]

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::wit::bulkhead::service::types::Header;
use crate::{
    Access, Body, Change, Compute, Created, Integer, Json, Limit, List, NoContent, Patch, Path, Principal,
    Problem, Query, Request, Response, Result, Service, Text, Transaction, Uuid, body, choice, query, reply,
};

choice! {
    /// A colour.
    pub enum Colour {
        Red = "red",
        Blue = "blue",
    }
}

body! {
    /// An order.
    pub struct OrderInput {
        /// What is ordered.
        pub items: List<Item, 1, 3>,
        pub colour: Option<Colour>,
        pub gift: bool = false,
    }
}

body! {
    pub struct Item {
        pub sku: Text<1, 5>,
        pub quantity: Integer<1, 10>,
    }
}

body! {
    pub struct Changes {
        pub name: Change<Text<1, 5>>,
        pub parent: Patch<Uuid>,
    }
}

query! {
    pub struct Filter {
        /// Only of this colour.
        pub colour: Option<Colour>,
        pub minimum: Integer<0, 9>,
        pub limit: Limit,
    }
}

crate::problems! {
    /// There is none left.
    pub SOLD_OUT = 409 "sold-out"
}

crate::roles! {
    pub Staff = "staff" | "admin"
}

reply! {
    pub struct Echo {
        pub text: String,
    }
}

fn echo(text: impl std::fmt::Debug) -> Json<Echo> {
    Json(Echo { text: format!("{text:?}") })
}

fn service() -> Service {
    Service::new("A test.")
        .get("/orders", "Lists.", |Query(filter): Query<Filter>| Ok(echo(filter.colour.map(Colour::as_str))))
        .post("/orders", "Creates.", |Body(new): Body<OrderInput>, _transaction: Transaction| {
            let quantities: Vec<i64> = new.items.iter().map(|item| item.quantity.get()).collect();
            Ok(Created { location: "/orders/1".to_owned(), body: echo((quantities, new.gift)).0 })
        })
        .answers_with(&[SOLD_OUT])
        .get("/orders/{id}", "Gives.", |Path(id): Path<Uuid>| Ok(echo(id)))
        .patch("/orders/{id}", "Changes.", |Path(_): Path<Uuid>, Body(changes): Body<Changes>| {
            Ok(echo(changes))
        })
        .delete("/orders/{id}", "Deletes.", |_: Principal, Path(_): Path<Uuid>| Ok(NoContent))
        .post("/close", "Closes.", |_: Staff, _: Compute, Query(_): Query<Filter>| Ok(NoContent))
        .put("/orders", "Replaces.", |Query(_): Query<Filter>, Body(_): Body<OrderInput>| Ok(NoContent))
        .get("/fails", "Fails.", || Err::<Response, _>(Problem::internal("secret")))
}

fn request(method: &str, target: &str, body: &str) -> Request {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        route: "/...".to_owned(),
        headers: vec![Header { name: "content-type".to_owned(), value: b"application/json".to_vec() }],
        body: body.as_bytes().to_vec(),
        principal: None,
        peer: "127.0.0.1".to_owned(),
        caller: None,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    }
}

fn send(method: &str, target: &str, body: &str) -> (u16, Value) {
    let response = service().handle(&request(method, target, body));
    (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
}

/// The fields and messages of a 422.
fn errors(method: &str, target: &str, body: &str) -> Vec<String> {
    let (status, problem) = send(method, target, body);
    assert_eq!((status, &problem["code"]), (422, &json!("invalid")), "{problem}");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().map(|error| format!("{} {}", text(&error["field"]), text(&error["message"]))).collect()
}

const ID: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";

#[test]
fn a_handler_gets_what_it_asks_for() {
    assert_eq!(send("GET", "/orders?minimum=3&colour=r%65d", ""), (200, json!({"text": "Some(\"red\")"})));
    assert_eq!(send("GET", &format!("/orders/{ID}"), ""), (200, json!({"text": ID})));
    let body = r#"{"items": [{"sku": "a", "quantity": 2}, {"quantity": 3, "sku": "b"}], "colour": null}"#;
    assert_eq!(send("POST", "/orders", body), (201, json!({"text": "([2, 3], false)"})));
}

#[test]
fn a_created_resource_has_a_location() {
    let response =
        service().handle(&request("POST", "/orders", r#"{"items": [{"sku": "a", "quantity": 2}]}"#));
    assert!(response.headers.iter().any(|header| header.name == "location" && header.value == b"/orders/1"));
}

#[test]
fn every_error_of_a_body_is_reported_at_once() {
    let body = r#"{"items": [{"sku": "", "quantity": 11}, {"quantity": "2", "size": 1}, 7], "colour": "green", "x": 1}"#;
    assert_eq!(
        errors("POST", "/orders", body),
        [
            "items[0].sku must have 1 to 5 characters",
            "items[0].quantity must be a whole number from 1 to 10",
            "items[1].sku is missing",
            "items[1].quantity must be a number, not a string",
            "items[1].size is not a known field",
            "items[2] must be an object, not a number",
            "colour must be one of red, blue",
            "x is not a known field",
        ]
    );
    assert_eq!(errors("POST", "/orders", "[]"), [" must be an object, not a list"]);
    assert_eq!(errors("POST", "/orders", r#"{"items": []}"#), ["items must have 1 to 3 items"]);
    assert_eq!(
        errors("POST", "/orders", r#"{"items": [{"sku": "a", "quantity": 1.5}], "gift": null}"#),
        ["items[0].quantity must be a whole number from 1 to 10", "gift must be true or false, not null"]
    );
}

#[test]
fn every_error_of_a_query_is_reported_at_once_with_those_of_the_body() {
    assert_eq!(
        errors("GET", "/orders?colour=green&limit=0&x=1&minimum=%ff", ""),
        [
            "colour must be one of red, blue",
            "minimum is not UTF-8 in percent-encoding",
            "limit must be a whole number from 1 to 200",
            "x is not a known query parameter",
        ]
    );
    assert_eq!(
        errors("GET", "/orders?colour=red&colour=red", ""),
        ["colour stands more than once", "minimum is missing"]
    );
    assert_eq!(
        errors("PUT", "/orders?minimum=x", "{}"),
        ["minimum must be a whole number from 0 to 9", "items is missing"]
    );
    assert_eq!(errors("GET", &format!("/orders/{ID}?x=1"), ""), ["x is not a known query parameter"]);
    assert_eq!(
        errors("POST", "/orders?x=1&y", r#"{"z": 1}"#),
        [
            "x is not a known query parameter",
            "y is not a known query parameter",
            "items is missing",
            "z is not a known field"
        ]
    );
}

#[test]
fn a_field_of_a_patch_has_three_states() {
    let path = format!("/orders/{ID}");
    for (body, text) in [
        ("{}", "Changes { name: Change(None), parent: Absent }"),
        (r#"{"parent": null}"#, "Changes { name: Change(None), parent: Null }"),
    ] {
        assert_eq!(send("PATCH", &path, body), (200, json!({"text": text})));
    }
    let (status, answer) = send("PATCH", &path, &format!(r#"{{"name": "n", "parent": "{ID}"}}"#));
    assert_eq!(status, 200, "{answer}");
    assert!(answer["text"].as_str().expect("text").contains("Value(0198f3a1"), "{answer}");
    assert_eq!(errors("PATCH", &path, r#"{"name": null}"#), ["name must be a string, not null"]);
}

#[test]
fn malformed_json_is_distinguished_from_invalid_values() {
    for body in ["", "{", "{\"items\": [}", "\u{feff}{}", &"[".repeat(100_000), r#"{"items": 1, "items": 2}"#]
    {
        let (status, problem) = send("POST", "/orders", body);
        assert_eq!((status, &problem["code"]), (400, &json!("malformed-json")), "{problem}");
    }
    let mut latin = request("POST", "/orders", "");
    latin.body = b"{\"items\": \"\xe9\"}".to_vec();
    assert_eq!(service().handle(&latin).status, 400);
}

#[test]
fn a_body_of_another_type_is_refused() {
    let mut plain = request("POST", "/orders", "{}");
    plain.headers[0].value = b"text/plain".to_vec();
    assert_eq!(service().handle(&plain).status, 415);
    plain.headers.clear();
    assert_eq!(service().handle(&plain).status, 415);
    let mut compressed = request("POST", "/orders", "{}");
    compressed.headers.push(Header { name: "content-encoding".to_owned(), value: b"gzip".to_vec() });
    assert_eq!(service().handle(&compressed).status, 415);
}

#[test]
fn unknown_paths_methods_and_ids_have_their_problems() {
    for (method, target, status, code) in [
        ("GET", "/orders/", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/orders/7", 404, "not-found"),
        ("GET", "/orders/%ff", 404, "not-found"),
        ("GET", "/orders/7?x=1", 404, "not-found"),
        ("PATCH", "/orders/7?x=1", 404, "not-found"),
        ("DELETE", &format!("/orders/{ID}?x=1"), 401, "unauthenticated"),
        ("DELETE", "/orders", 405, "method-not-allowed"),
        ("OPTIONS", "/nothing", 404, "not-found"),
        ("DELETE", &format!("/orders/{ID}"), 401, "unauthenticated"),
        ("GET", "/fails", 500, "internal"),
    ] {
        let (found, problem) = send(method, target, "");
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{method} {target}");
        assert_eq!(problem["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    let response = service().handle(&request("DELETE", "/orders", ""));
    assert!(
        response
            .headers
            .iter()
            .any(|header| header.name == "allow" && header.value == b"GET, HEAD, OPTIONS, POST, PUT")
    );
}

/// A request of somebody with these roles.
fn as_role(roles: &[&str], method: &str, target: &str) -> Request {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    let principal = Principal { subject: "someone".to_owned(), roles, expires_at: None };
    Request { principal: Some(principal), ..request(method, target, "") }
}

#[test]
fn a_missing_role_is_reported_before_any_other_error() {
    for (roles, status, code) in [
        (None, 401, "unauthenticated"),
        (Some(&[] as &[&str]), 403, "forbidden"),
        (Some(&["other"]), 403, "forbidden"),
        (Some(&["other", "staff"]), 422, "invalid"),
        (Some(&["admin"]), 422, "invalid"),
    ] {
        let request = match roles {
            Some(roles) => as_role(roles, "POST", "/close?x=1"),
            None => request("POST", "/close?x=1", ""),
        };
        let response = service().handle(&request);
        let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!((response.status, &problem["code"]), (status, &json!(code)), "{roles:?}");
    }
    assert_eq!(service().handle(&as_role(&["staff"], "POST", "/close?minimum=1")).status, 204);
}

#[test]
fn an_unread_body_must_be_empty() {
    let delete = |body: &str| Request {
        body: body.as_bytes().to_vec(),
        ..as_role(&[], "DELETE", &format!("/orders/{ID}"))
    };
    for (body, status) in
        [("", 204), ("{}", 204), ("null", 204), ("{", 400), ("[]", 422), (r#"{"a": 1}"#, 422)]
    {
        assert_eq!(service().handle(&delete(body)).status, status, "{body}");
    }
    let unknown = Request { principal: None, ..delete("{") };
    assert_eq!(service().handle(&unknown).status, 401);
    let path = format!("/orders/{ID}?x=1");
    assert_eq!(errors("GET", &path, r#"{"a": 1}"#), ["x is not a known query parameter"]);
}

#[test]
fn the_description_gives_the_access_of_a_route_and_whether_it_computes() {
    let routes = service().description().routes;
    let find = |method: &str, path: &str| {
        let route = routes.iter().find(|route| route.method == method && route.path == path);
        route.map(|route| (route.access.clone(), route.computes)).expect("a route")
    };
    assert!(matches!(find("GET", "/orders"), (Access::Public, false)));
    assert!(matches!(find("DELETE", "/orders/{id}"), (Access::Authenticated, false)));
    let (access, computes) = find("POST", "/close");
    assert!(matches!(access, Access::Roles(roles) if roles == ["staff", "admin"]) && computes);
}

#[test]
fn head_is_answered_as_get_because_the_host_removes_the_body() {
    for path in [format!("/orders/{ID}"), "/nothing".to_owned()] {
        let [head, get] = ["HEAD", "GET"].map(|method| service().handle(&request(method, &path, "")));
        assert_eq!((head.status, head.body), (get.status, get.body), "{path}");
    }
}

#[test]
fn options_lists_the_methods_of_a_path() {
    let response = service().handle(&request("OPTIONS", "/orders", ""));
    assert_eq!((response.status, response.find("allow")), (204, Some(&b"GET, HEAD, OPTIONS, POST, PUT"[..])));
    assert!(response.body.is_empty());
}

#[test]
fn an_integer_may_be_written_with_a_zero_fraction() {
    for (quantity, status) in [("2.0", 201), ("2e0", 201), ("2.5", 422), ("1e300", 422), ("-0.0", 422)] {
        let body = format!(r#"{{"items": [{{"sku": "a", "quantity": {quantity}}}]}}"#);
        assert_eq!(send("POST", "/orders", &body).0, status, "{quantity}");
    }
}

#[test]
fn the_description_gives_the_input_and_output_of_a_route() {
    let description = service().description();
    let route = description.routes.iter().find(|route| route.method == "POST").expect("a route");
    assert_eq!((route.path.as_str(), route.answers[0].status), ("/orders", 201));
    let problems: Vec<(u16, &str)> =
        route.problems.iter().map(|kind| (kind.status, kind.code.as_str())).collect();
    assert_eq!(problems, [(409, "sold-out")]);
    let schema: Value =
        serde_json::from_str(route.request_schema.as_deref().expect("a schema")).expect("JSON");
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "title": "OrderInput",
            "description": "An order.",
            "additionalProperties": false,
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array", "minItems": 1, "maxItems": 3, "description": "What is ordered.",
                    "items": {
                        "type": "object", "title": "Item", "additionalProperties": false,
                        "required": ["sku", "quantity"],
                        "properties": {
                            "sku": {
                                "type": "string", "minLength": 1, "maxLength": 5,
                                "pattern": concat!(
                                    r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f]",
                                    r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$",
                                ),
                            },
                            "quantity": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10},
                        },
                    },
                },
                "colour": {
                    "anyOf": [
                        {"type": "string", "title": "Colour", "enum": ["red", "blue"]}, {"type": "null"},
                    ],
                },
                "gift": {"type": "boolean"},
            },
        })
    );
    let route = description.routes.iter().find(|route| route.path == "/orders/{id}").expect("a route");
    assert_eq!((route.path_parameters[0].name.as_str(), route.path_parameters.len()), ("id", 1));
    let route = description.routes.first().expect("a route");
    let required: Vec<(&str, bool)> = route
        .query_parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.required))
        .collect();
    assert_eq!(required, [("colour", false), ("minimum", true), ("limit", false)]);
    let schemas: Vec<Value> = route
        .query_parameters
        .iter()
        .map(|parameter| serde_json::from_str(&parameter.schema).expect("JSON"))
        .collect();
    // No parameter of a query can be null.
    assert_eq!(schemas[0], json!({"type": "string", "title": "Colour", "enum": ["red", "blue"]}));
    assert_eq!(schemas[2]["format"], "int32");
}

#[test]
#[should_panic(expected = "the route GET /a/{id}/{part} has 2 path parameters, and its handler takes 1")]
fn a_path_with_more_parameters_than_its_handler_is_refused() {
    let _ = Service::new("").get("/a/{id}/{part}", "", |Path(_): Path<Uuid>| Ok(NoContent));
}

#[test]
#[should_panic(expected = "the route GET /a has 0 path parameters, and its handler takes 2")]
fn a_path_with_fewer_parameters_than_its_handler_is_refused() {
    let _ = Service::new("").get("/a", "", |Path(_): Path<(Uuid, Uuid)>| Ok(NoContent));
}

#[test]
#[should_panic(expected = "the route GET /a/{name} is there already")]
fn a_duplicate_route_is_refused() {
    let handler = |Path(_): Path<Uuid>| Ok(NoContent);
    let _ = Service::new("").get("/a/{id}", "", handler).get("/a/{name}", "", handler);
}

#[test]
fn an_invalid_route_is_reported_where_it_is_declared() {
    thread_local!(static FILE: RefCell<String> = RefCell::default());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        FILE.set(panic.location().map(|place| place.file().to_owned()).unwrap_or_default());
        before(panic);
    }));
    let wrong: [fn() -> Service; 4] = [
        || Service::new("").get("/a/{id}", "", |Path(_): Path<(Uuid, Uuid)>| Ok(NoContent)),
        || Service::new("").answers_with(&[SOLD_OUT]),
        || Service::new("").repeatable(),
        || Service::new("").put("/a/{id}", "", |Path(_): Path<Uuid>| Ok(NoContent)).repeatable(),
    ];
    for make in wrong {
        std::panic::catch_unwind(make).expect_err("it is refused");
        assert_eq!(FILE.take(), file!());
    }
}

#[test]
fn an_event_without_a_handler_is_rejected() {
    let event = crate::wit::bulkhead::service::types::Event {
        id: ID.to_owned(),
        source: "other".to_owned(),
        type_: "other.happened".to_owned(),
        subject: "1".to_owned(),
        time: "2026-01-02T03:04:05.678Z".to_owned(),
        trace_id: String::new(),
        data: "{}".to_owned(),
        attempt: 1,
    };
    let result: Result<(), crate::HandleError> = service().handle_event(event);
    assert!(matches!(result, Err(crate::HandleError::Reject(text)) if text.contains("other.happened")));
}
