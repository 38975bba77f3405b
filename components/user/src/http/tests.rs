//! What the service answers before it needs its database, and what it says of itself. The rest is tested over HTTP, with a host.

use bulkhead_sdk::serde_json::{self, Value, json};
use bulkhead_sdk::wit::bulkhead::service::types::Header;
use bulkhead_sdk::{Access, Principal, Request};

use super::service;

const ID: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";
const OTHER: &str = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e61";

/// The caller.
#[derive(Clone, Copy)]
enum As {
    Nobody,
    Customer(&'static str),
    Admin,
}

fn send(who: As, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let principal = |subject: &str, role: &str| {
        Some(Principal { subject: subject.to_owned(), roles: vec![role.to_owned()], expires_at: None })
    };
    let response = service().handle(&Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        route: "/users/...".to_owned(),
        headers: vec![Header { name: "content-type".to_owned(), value: b"application/json".to_vec() }],
        body: body.to_string().into_bytes(),
        principal: match who {
            As::Nobody => None,
            As::Customer(subject) => principal(subject, "customer"),
            As::Admin => principal("00000000-0000-7000-8000-000000000001", "admin"),
        },
        peer: "127.0.0.1".to_owned(),
        caller: None,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    });
    (response.status, serde_json::from_slice(&response.body).expect("JSON"))
}

fn wrong_fields(who: As, method: &str, target: &str, body: &Value) -> Vec<String> {
    let (status, problem) = send(who, method, target, body);
    assert_eq!(status, 422, "{problem}");
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect()
}

/// All routes of what is a user's, with a body that each takes.
fn own_routes(id: &str) -> Vec<(&'static str, String, Value)> {
    let user = format!("/users/{id}");
    let address =
        json!({"address_line1": "Main St 1", "city": "Ulm", "postal_code": "89073", "country": "DE"});
    let passwords = json!({"current_password": "correct horse", "new_password": "battery staple"});
    vec![
        ("GET", user.clone(), Value::Null),
        ("PATCH", user.clone(), json!({})),
        ("DELETE", user.clone(), Value::Null),
        ("PUT", format!("{user}/password"), passwords),
        ("GET", format!("{user}/addresses"), Value::Null),
        ("POST", format!("{user}/addresses"), address.clone()),
        ("GET", format!("{user}/addresses/{ID}"), Value::Null),
        ("PUT", format!("{user}/addresses/{ID}"), address),
        ("DELETE", format!("{user}/addresses/{ID}"), Value::Null),
        ("GET", format!("{user}/preferences"), Value::Null),
        ("GET", format!("{user}/preferences/theme"), Value::Null),
        ("PUT", format!("{user}/preferences/theme"), json!({"value": "dark"})),
        ("DELETE", format!("{user}/preferences/theme"), Value::Null),
    ]
}

#[test]
fn a_user_with_many_errors_reports_every_error() {
    let body = json!({"email": "ada", "password": "short", "first_name": " ", "admin": true});
    assert_eq!(
        wrong_fields(As::Nobody, "POST", "/users", &body),
        ["email", "password", "first_name", "last_name", "admin"]
    );
}

#[test]
fn a_refused_password_is_not_echoed() {
    for password in ["tr0ub4dor".to_owned(), "tr0ub4dor".repeat(200)] {
        let user = json!({"email": "a@b", "password": password, "first_name": "A", "last_name": "B"});
        let login = json!({"email": "a", "password": password});
        for (target, body) in [("/users", user), ("/sessions", login)] {
            let (status, problem) = send(As::Nobody, "POST", target, &body);
            assert_eq!(status, 422, "{problem}");
            assert!(!problem.to_string().contains("tr0ub4dor"), "{problem}");
        }
    }
}

#[test]
fn user_resources_without_credentials_are_401() {
    let others =
        [("GET", "/users".to_owned(), Value::Null), ("GET", "/sessions/current".to_owned(), Value::Null)];
    for (method, target, body) in own_routes(ID).into_iter().chain(others) {
        // Whatever else is wrong.
        for body in [body, json!({"colour": "red"})] {
            let (status, problem) = send(As::Nobody, method, &target, &body);
            assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")), "{method} {target}");
        }
    }
}

#[test]
fn resources_of_another_user_are_answered_like_nonexistent_ones() {
    let nobodys = send(As::Admin, "GET", "/users/7", &Value::Null);
    assert_eq!(nobodys.0, 404);
    for (who, id) in [(As::Customer(OTHER), ID), (As::Customer(ID), "7"), (As::Customer("service:order"), ID)]
    {
        for (method, target, body) in own_routes(id) {
            for body in [body, json!({"colour": "red"})] {
                assert_eq!(send(who, method, &target, &body), nobodys, "{method} {target}");
            }
        }
    }
}

#[test]
fn the_list_of_users_is_for_admins() {
    let (status, problem) = send(As::Customer(ID), "GET", "/users", &Value::Null);
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    assert_eq!(
        wrong_fields(As::Admin, "GET", "/users?limit=0&cursor=x&email=a", &Value::Null),
        ["limit", "cursor", "email"]
    );
}

#[test]
fn every_invalid_field_is_reported_to_the_user_and_to_an_admin() {
    for who in [As::Customer(ID), As::Admin] {
        let user = format!("/users/{ID}");
        let wrong = json!({"email": null, "first_name": "a\nb", "password": "correct horse"});
        assert_eq!(wrong_fields(who, "PATCH", &user, &wrong), ["email", "first_name", "password"]);
        let wrong = json!({"current_password": 7, "new_password": "short"});
        let target = format!("{user}/password");
        assert_eq!(wrong_fields(who, "PUT", &target, &wrong), ["current_password", "new_password"]);
        let wrong = json!({
            "address_line1": "", "address_line2": "", "city": "c".repeat(101), "state": 1, "country": "de", "is_default": 1,
        });
        for (method, target) in [("POST", "addresses".to_owned()), ("PUT", format!("addresses/{ID}"))] {
            assert_eq!(
                wrong_fields(who, method, &format!("{user}/{target}"), &wrong),
                ["address_line1", "address_line2", "city", "state", "postal_code", "country", "is_default"]
            );
        }
        let wrong = json!({"value": "v".repeat(2001)});
        assert_eq!(wrong_fields(who, "PUT", &format!("{user}/preferences/theme"), &wrong), ["value"]);
    }
}

#[test]
fn a_malformed_path_segment_is_404() {
    let user = format!("/users/{ID}");
    for target in ["addresses/7", "preferences/a%20b", "preferences/..", "preferences/%2F", "nothing"] {
        let (status, problem) = send(As::Customer(ID), "GET", &format!("{user}/{target}"), &Value::Null);
        assert_eq!((status, &problem["code"]), (404, &json!("not-found")), "{target}");
    }
}

#[test]
fn a_login_with_a_malformed_email_is_invalid() {
    let wrong = json!({"email": "ada", "password": "p".repeat(1001), "remember": true});
    assert_eq!(wrong_fields(As::Nobody, "POST", "/sessions", &wrong), ["email", "password", "remember"]);
}

#[test]
fn a_service_has_no_session() {
    let (status, problem) = send(As::Customer("service:order"), "GET", "/sessions/current", &Value::Null);
    assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")));
}

#[test]
fn the_administrator_has_a_session_and_is_not_a_user_of_the_database() {
    let (status, session) = send(As::Admin, "GET", "/sessions/current", &Value::Null);
    let expected =
        json!({"user_id": "00000000-0000-7000-8000-000000000001", "roles": ["admin"], "expires_at": null});
    assert_eq!((status, session), (200, expected));
}

#[test]
fn each_route_states_its_access_and_whether_it_computes() {
    let public = [("POST", "/users"), ("POST", "/sessions"), ("GET", "/.well-known/jwks.json")];
    let computing = [("POST", "/users"), ("POST", "/sessions"), ("PUT", "/users/{id}/password")];
    for route in service().description().routes {
        let name = (route.method.as_str(), route.path.as_str());
        let expected = match name {
            ("GET", "/users") => "roles admin",
            _ if public.contains(&name) => "public",
            _ => "authenticated",
        };
        let access = match &route.access {
            Access::Public => "public".to_owned(),
            Access::Authenticated => "authenticated".to_owned(),
            Access::Roles(roles) => format!("roles {}", roles.join(" ")),
        };
        assert_eq!(access, expected, "{name:?}");
        assert_eq!(route.computes, computing.contains(&name), "{name:?}");
    }
}

#[test]
fn the_description_lists_published_events_and_every_schema_is_json() {
    let description = service().description();
    assert_eq!(description.publishes, ["user.changed", "user.deleted"]);
    assert!(description.subscribes.is_empty());
    assert_eq!(description.routes.len(), 18);
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
fn passwords_are_write_only() {
    for route in service().description().routes {
        let answered: String = route.answers.into_iter().filter_map(|answer| answer.schema).collect();
        assert!(!answered.contains("\"password") && !answered.contains("writeOnly"), "{}", route.path);
        let Some(asked) = route.request_schema else { continue };
        let schema: Value = serde_json::from_str(&asked).expect("JSON");
        for (name, field) in schema["properties"].as_object().expect("properties") {
            assert_eq!(name.contains("password"), field["writeOnly"] == json!(true), "{} {name}", route.path);
        }
    }
}

#[test]
fn the_migrations_are_numbered_from_one() {
    let versions: Vec<u32> = service().migrations().iter().map(|migration| migration.version).collect();
    assert_eq!(versions, [1]);
}
