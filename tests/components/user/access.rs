//! Who may do what, on every path.

use bulkhead_testing::{Request, Service, Value, json};

use super::{As as _, NOBODY, PASSWORD, added, everything, new_address, prefer, registered, start, untraced};

/// All that is a user's, with bodies that are taken.
fn own_routes(user: &str, address: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let user = format!("/users/{user}");
    let passwords = json!({"current_password": PASSWORD, "new_password": "battery staple"});
    vec![
        ("GET", user.clone(), None),
        ("PATCH", user.clone(), Some(json!({"first_name": "Eve"}))),
        ("DELETE", user.clone(), None),
        ("PUT", format!("{user}/password"), Some(passwords)),
        ("GET", format!("{user}/addresses"), None),
        ("POST", format!("{user}/addresses"), Some(new_address())),
        ("GET", format!("{user}/addresses/{address}"), None),
        ("PUT", format!("{user}/addresses/{address}"), Some(new_address())),
        ("DELETE", format!("{user}/addresses/{address}"), None),
        ("GET", format!("{user}/preferences"), None),
        ("GET", format!("{user}/preferences/theme"), None),
        ("PUT", format!("{user}/preferences/theme"), Some(json!({"value": "light"}))),
        ("DELETE", format!("{user}/preferences/theme"), None),
    ]
}

fn request(users: &Service, (method, path, body): &(&str, String, Option<Value>)) -> Request {
    let request = users.request(method, path);
    match body {
        Some(body) => request.json(body),
        None => request,
    }
}

/// A service with a user who has an address and a preference; their ids.
fn with_ada() -> (Service, String, String) {
    let users = start();
    let ada = registered(&users, "Ada");
    let address = added(&users, &ada);
    prefer(&users, &ada, "theme");
    let _ = users.published();
    (users, ada, address)
}

#[test]
fn user_resources_without_a_token_are_401() {
    let (users, ada, address) = with_ada();
    let before = everything(&users);
    let others = [("GET", "/users".to_owned(), None), ("GET", "/sessions/current".to_owned(), None)];
    for route in own_routes(&ada, &address).into_iter().chain(others) {
        let answer = request(&users, &route).send().problem(401, "unauthenticated");
        let _ = answer.header("www-authenticate", "Bearer");
        // Whatever else is wrong.
        let answer = request(&users, &route).query("colour", "red").send();
        let _ = answer.problem(401, "unauthenticated");
    }
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn resources_of_another_user_are_answered_like_nonexistent_ones() {
    let (users, ada, address) = with_ada();
    let eve = registered(&users, "Eve");
    let (before, _) = (everything(&users), users.published());
    let nobodys =
        untraced(&users.get(format!("/users/{NOBODY}")).user(&eve).send().problem(404, "not-found"));
    for route in own_routes(&ada, &address) {
        for request in [request(&users, &route), request(&users, &route).query("colour", "red")] {
            let answer = request.user(&eve).send().problem(404, "not-found");
            assert_eq!(untraced(&answer), nobodys, "{route:?}");
        }
        let answer = request(&users, &route).principal("service:order").send();
        assert_eq!(untraced(&answer.problem(404, "not-found")), nobodys, "{route:?}");
        let roles = request(&users, &route).principal(&eve).role("administrator").role("Admin");
        assert_eq!(untraced(&roles.send().problem(404, "not-found")), nobodys, "{route:?}");
    }
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn resources_of_a_user_are_for_that_user_and_for_admins() {
    for is_admin in [false, true] {
        for place in 0..own_routes("", "").len() {
            let (users, ada, address) = with_ada();
            let route = &own_routes(&ada, &address)[place];
            let request = request(&users, route);
            let answer = if is_admin { request.admin() } else { request.user(&ada) }.send();
            let expected = match (route.0, place) {
                ("POST", _) => 201,
                ("DELETE", _) | ("PUT", 3) => 204,
                _ => 200,
            };
            let _ = answer.status(expected);
        }
    }
}

#[test]
fn an_id_is_case_insensitive() {
    let (users, ada, _) = with_ada();
    let capitals = ada.to_uppercase();
    let _ = users.get(format!("/users/{capitals}")).user(&ada).send().includes(json!({"id": ada}));
    let _ = users.get(format!("/users/{ada}")).user(&capitals).send().includes(json!({"id": ada}));
}

#[test]
fn a_malformed_path_segment_is_404() {
    let (users, ada, address) = with_ada();
    for id in ["7", "%20", &ada.replace('-', ""), &format!("%7B{ada}%7D"), "current"] {
        for route in own_routes(id, &address) {
            let _ = request(&users, &route).admin().send().problem(404, "not-found");
        }
    }
    for path in ["addresses/7", "preferences/a%20b", "preferences/%2F", "nothing", ""] {
        let _ = users.get(format!("/users/{ada}/{path}")).user(&ada).send().problem(404, "not-found");
    }
    let _ = users.get("/users/").admin().send().problem(404, "not-found");
    let _ = users.get("/sessions").admin().send().problem(405, "method-not-allowed");
    let _ = users.get("/sessions/7").admin().send().problem(404, "not-found");
}

#[test]
fn a_missing_user_is_404_for_an_admin_too() {
    let (users, _, address) = with_ada();
    let before = everything(&users);
    for route in own_routes(NOBODY, &address) {
        let _ = request(&users, &route).admin().send().problem(404, "not-found");
    }
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn resources_of_one_user_are_not_found_under_another() {
    let (users, ada, address) = with_ada();
    let bo = registered(&users, "Bo");
    let before = everything(&users);
    let is_there = |(method, path, _): &(&str, String, _)| {
        path.ends_with(&address) || path.ends_with("theme") && *method != "PUT"
    };
    for route in own_routes(&bo, &address).into_iter().filter(is_there) {
        let _ = request(&users, &route).user(&bo).send().problem(404, "not-found");
        let _ = request(&users, &route).admin().send().problem(404, "not-found");
    }
    assert_eq!(everything(&users), before);
    let _ = users.get(format!("/users/{ada}/addresses/{address}")).user(&ada).send().status(200);
}

#[test]
fn another_method_is_answered_with_the_allowed_methods() {
    let (users, ada, address) = with_ada();
    for (path, wrong, allow) in [
        ("/users".to_owned(), "DELETE", "GET, HEAD, OPTIONS, POST"),
        (format!("/users/{ada}"), "PUT", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        (format!("/users/{ada}/password"), "GET", "OPTIONS, PUT"),
        (format!("/users/{ada}/addresses"), "DELETE", "GET, HEAD, OPTIONS, POST"),
        (format!("/users/{ada}/addresses/{address}"), "PATCH", "DELETE, GET, HEAD, OPTIONS, PUT"),
        (format!("/users/{ada}/preferences"), "POST", "GET, HEAD, OPTIONS"),
        (format!("/users/{ada}/preferences/theme"), "PATCH", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/sessions".to_owned(), "GET", "OPTIONS, POST"),
        ("/sessions/current".to_owned(), "DELETE", "GET, HEAD, OPTIONS"),
        ("/.well-known/jwks.json".to_owned(), "POST", "GET, HEAD, OPTIONS"),
    ] {
        let answer = users.request(wrong, &path).admin().send();
        let _ = answer.problem(405, "method-not-allowed").header("allow", allow);
        let _ = users.request("OPTIONS", &path).send().status(204).header("allow", allow).empty();
    }
}

#[test]
fn an_unread_body_field_or_query_parameter_is_refused() {
    let (users, ada, address) = with_ada();
    let before = everything(&users);
    for route in own_routes(&ada, &address) {
        let answer = request(&users, &route).query("colour", "red").user(&ada).send();
        assert_eq!(super::wrong_fields(answer), ["colour"], "{route:?}");
        if let Some(mut body) = route.2.clone() {
            body["colour"] = "red".into();
            let answer = request(&users, &(route.0, route.1.clone(), Some(body))).user(&ada).send();
            assert_eq!(super::wrong_fields(answer), ["colour"], "{route:?}");
        }
    }
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}
