//! Who may ask for what, and what every path says to a request that it can't take.

use bulkhead_testing::{Request, Service, json};

use super::{ADA, Asks as _, NOBODY, everything, with_product};

/// Every route that not everybody may use: with the role that it wants.
fn guarded(path: &str) -> Vec<(&'static str, String, &'static str)> {
    let category = format!("/categories/{NOBODY}");
    vec![
        ("POST", "/categories".to_owned(), "admin"),
        ("PATCH", category.clone(), "admin"),
        ("DELETE", category, "admin"),
        ("POST", "/products".to_owned(), "admin"),
        ("PATCH", path.to_owned(), "admin"),
        ("DELETE", path.to_owned(), "admin"),
        ("GET", format!("{path}/stock"), "admin"),
        ("POST", format!("{path}/stock"), "admin"),
        ("POST", format!("{path}/images"), "admin"),
        ("DELETE", format!("{path}/images/{NOBODY}"), "admin"),
        ("POST", format!("{path}/reviews"), "customer"),
    ]
}

#[test]
fn without_a_token_nothing_is_changed_and_no_stock_is_shown() {
    let (service, path) = with_product();
    let before = everything(&service);
    for (method, target, _) in guarded(&path) {
        // All of it is wrong: what is told is who may ask.
        let request = service.request(method, &target).query("x", 1).json(json!({"colour": "red"}));
        let answer = request.send().problem(401, "unauthenticated").header("www-authenticate", "Bearer");
        assert_eq!(answer.json()["errors"], json!(null), "{method} {target}");
    }
    let review = format!("{path}/reviews/{NOBODY}");
    let answer = service.delete(review).send().problem(401, "unauthenticated");
    answer.header("www-authenticate", "Bearer");
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn with_another_role_nothing_is_changed_and_no_stock_is_shown() {
    let (service, path) = with_product();
    let before = everything(&service);
    for (method, target, role) in guarded(&path) {
        let other = if role == "admin" { "customer" } else { "admin" };
        for roles in [&[][..], &[other]] {
            let request = service.request(method, &target).principal(ADA).json(json!({"colour": "red"}));
            let request = roles.iter().fold(request, |request, role| request.role(role));
            let answer = request.send().problem(403, "forbidden");
            answer.includes(json!({"detail": format!("this needs the role {role}")}));
        }
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn everybody_can_read_the_catalogue() {
    let (service, path) = with_product();
    for target in [
        "/categories",
        "/categories/by-slug/food",
        "/products",
        &path,
        "/products/by-sku/1",
        &format!("{path}/images"),
        &format!("{path}/reviews"),
    ] {
        let nobody = service.get(target).send().status(200);
        let customer = service.get(target).customer(ADA).send().status(200);
        assert_eq!(nobody.text(), customer.text(), "{target}");
    }
}

#[test]
fn a_path_lists_its_allowed_methods() {
    let (service, path) = with_product();
    for (target, allowed) in [
        ("/categories", "GET, HEAD, OPTIONS, POST"),
        (&*format!("/categories/{NOBODY}"), "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/categories/by-slug/food", "GET, HEAD, OPTIONS"),
        ("/products", "GET, HEAD, OPTIONS, POST"),
        (&path, "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/products/by-sku/1", "GET, HEAD, OPTIONS"),
        (&format!("{path}/stock"), "GET, HEAD, OPTIONS, POST"),
        (&format!("{path}/images"), "GET, HEAD, OPTIONS, POST"),
        (&format!("{path}/images/{NOBODY}"), "DELETE, GET, HEAD, OPTIONS"),
        (&format!("{path}/reviews"), "GET, HEAD, OPTIONS, POST"),
        (&format!("{path}/reviews/{NOBODY}"), "DELETE, GET, HEAD, OPTIONS"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = service.request(method, target).admin();
            if !allowed.split(", ").any(|allowed| allowed == method) {
                request.send().problem(405, "method-not-allowed").header("allow", allowed);
            }
        }
        service.request("OPTIONS", target).send().status(204).header("allow", allowed).empty();
    }
}

/// A request by somebody who may, with a body that would do.
fn sensible(service: &Service, method: &str, target: &str) -> Request {
    let request = service.request(method, target).principal(ADA).role("admin").role("customer");
    match (method, target) {
        ("POST", target) if target.ends_with("/stock") => request.json(json!({"delta": 1})),
        ("POST", target) if target.ends_with("/images") => {
            request.json(json!({"image_url": "https://a.example/1"}))
        }
        ("POST", target) if target.ends_with("/reviews") => request.json(json!({"rating": 5})),
        ("PATCH", _) => request.json(json!({"name": "Another"})),
        _ => request,
    }
}

/// Every path that names one thing, with the methods that it has.
fn single(product: &str, category: &str, part: &str) -> Vec<(&'static str, String)> {
    let mut all =
        vec![("GET", format!("/categories/{category}")), ("PATCH", format!("/categories/{category}"))];
    all.push(("DELETE", format!("/categories/{category}")));
    for method in ["GET", "PATCH", "DELETE"] {
        all.push((method, format!("/products/{product}")));
    }
    for list in ["stock", "images", "reviews"] {
        all.push(("GET", format!("/products/{product}/{list}")));
        all.push(("POST", format!("/products/{product}/{list}")));
    }
    for list in ["images", "reviews"] {
        all.push(("GET", format!("/products/{product}/{list}/{part}")));
        all.push(("DELETE", format!("/products/{product}/{list}/{part}")));
    }
    all
}

#[test]
fn missing_resources_and_malformed_ids_are_404() {
    let (service, path) = with_product();
    let before = everything(&service);
    for id in [NOBODY, "7", "00000000", "0198f3a17c3e7d528a07ffffffffffff", "%20", "a%2Fb"] {
        for (method, target) in single(id, id, id) {
            sensible(&service, method, &target).send().problem(404, "not-found");
        }
        for list in ["images", "reviews"] {
            for method in ["GET", "DELETE"] {
                sensible(&service, method, &format!("{path}/{list}/{id}")).send().problem(404, "not-found");
            }
        }
    }
    for target in ["/categories/by-slug/drink", "/categories/by-slug/A%20B", "/products/by-sku/2"] {
        service.get(target).send().problem(404, "not-found");
    }
    for target in ["/categories/", "/products/by-sku", "/products/by-sku/1/stock", "/products/by-sku/1/2"] {
        service.get(target).send().problem(404, "not-found");
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn an_unknown_query_parameter_is_named() {
    let (service, path) = with_product();
    for (method, target) in single(super::id_of(&path), NOBODY, NOBODY) {
        let answer = sensible(&service, method, &target).query("colour", "red").send();
        answer.problem(422, "invalid").names_field("colour");
    }
    for target in ["/categories", "/categories/by-slug/food", "/products", "/products/by-sku/1"] {
        service.get(target).query("colour", "red").send().problem(422, "invalid").names_field("colour");
    }
    for target in ["/categories", "/products"] {
        let answer = service.post(target).admin().json(json!({})).query("colour", "red").send();
        answer.problem(422, "invalid").names_field("colour").names_field("name");
    }
}

#[test]
fn a_body_must_be_json_with_the_json_media_type() {
    let (service, path) = with_product();
    let before = everything(&service);
    let category = format!("/categories/{NOBODY}");
    for (method, target) in [
        ("POST", "/categories"),
        ("PATCH", &*category),
        ("POST", "/products"),
        ("PATCH", &path),
        ("POST", &format!("{path}/stock")),
        ("POST", &format!("{path}/images")),
        ("POST", &format!("{path}/reviews")),
    ] {
        let request = || service.request(method, target).principal(ADA).role("admin").role("customer");
        let answer = request().body("{}", "text/plain").send().problem(415, "unsupported-media-type");
        answer.header("accept", "application/json");
        request().body("{", "application/json").send().problem(400, "malformed-json");
        request().body("", "application/json").send().problem(400, "malformed-json");
        let answer = request().json(json!([])).send().problem(422, "invalid");
        answer.names_field("");
        request().json(json!({"colour": "red"})).send().problem(422, "invalid").names_field("colour");
    }
    assert_eq!(everything(&service), before);
}

#[test]
fn a_delete_accepts_no_body() {
    let (service, path) = with_product();
    let answer = service.delete(&path).admin().json(json!({"force": true})).send();
    answer.problem(422, "invalid").names_field("force");
    service.delete(&path).admin().json(json!({})).send().status(204);
}
