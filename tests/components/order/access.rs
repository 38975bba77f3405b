//! Who may: 401 for nobody, 403 for another role, 404 for what is another customer's.

use bulkhead_testing::{Service, Value, json};

use super::*;

/// Each endpoint, of this order, and whether it is for customers as well.
fn endpoints(id: &str) -> Vec<(&'static str, String, Value, bool)> {
    let number = "/orders/by-number/2026-000001".to_owned();
    let carriage = json!({"carrier": "Royal Mail", "tracking_number": "RM1"});
    vec![
        ("GET", "/orders".to_owned(), Value::Null, true),
        ("POST", "/orders".to_owned(), basket(), true),
        ("GET", format!("/orders/{id}"), Value::Null, true),
        ("GET", number, Value::Null, true),
        ("GET", format!("/orders/{id}/history"), Value::Null, true),
        ("POST", format!("/orders/{id}/cancel"), Value::Null, true),
        ("POST", format!("/orders/{id}/payment"), payment("tok_ok"), true),
        ("POST", format!("/orders/{id}/ship"), carriage, false),
        ("POST", format!("/orders/{id}/deliver"), Value::Null, false),
    ]
}

fn request(order: &Service, (method, path, body): (&str, &str, &Value)) -> Request {
    let request = order.request(method, path);
    if body.is_null() { request } else { request.json(body) }
}

#[test]
fn every_endpoint_requires_its_role() {
    let order = start();
    let id = placed(&order);
    published_before(&order);
    let before = kept(&order);
    for (method, path, body, for_customers) in endpoints(&id) {
        let send = || request(&order, (method, &path, &body));
        let answer = send().send().problem(401, "unauthenticated");
        let _ = answer.header("www-authenticate", "Bearer");
        let _ = send().principal(ADA).send().problem(403, "forbidden");
        let _ = send().principal(ADA).role("staff").role("Admin").send().problem(403, "forbidden");
        if for_customers {
            // Whose subject is no user's has no orders, and whoever stands for the deleted has none either.
            for subject in ["service:product", NOBODY] {
                let _ = send().principal(subject).role("customer").send().problem(403, "forbidden");
            }
        } else {
            let _ = customer(send(), ADA).send().problem(403, "forbidden");
        }
    }
    assert_eq!(kept(&order), before);
    order.expect_published(json!([]));
}

#[test]
fn an_order_of_another_customer_is_404_like_a_missing_one() {
    let order = start();
    let id = placed(&order);
    published_before(&order);
    let before = kept(&order);
    let answer_for = |path: &str, method: &str, body: &Value| {
        let mut problem =
            customer(request(&order, (method, path, body)), BO).send().problem(404, "not-found").json();
        problem.as_object_mut().expect("an object").remove("trace_id");
        problem
    };
    for (method, path, body, for_customers) in endpoints(&id) {
        if path == "/orders" || !for_customers {
            continue;
        }
        let absent = path.replace(&id, UNKNOWN).replace("2026-000001", "2026-000002");
        assert_eq!(answer_for(&path, method, &body), answer_for(&absent, method, &body), "{path}");
    }
    assert_eq!(kept(&order), before);
    order.expect_published(json!([]));
}

#[test]
fn a_missing_order_is_404_for_an_admin() {
    let order = start();
    for (method, path, body, _) in endpoints(UNKNOWN) {
        if path != "/orders" {
            let _ = admin(request(&order, (method, &path, &body))).send().problem(404, "not-found");
        }
    }
}

#[test]
fn a_caller_with_both_roles_is_an_admin() {
    let order = start();
    let id = placed(&order);
    let both = |request: Request| request.principal(BO).role("customer").role("admin");
    let _ = both(order.get(format!("/orders/{id}"))).send().status(200);
    let _ = both(order.post("/orders")).json(basket()).send().problem(422, "invalid").names_field("user_id");
}

#[test]
fn a_customer_can_pay_and_cancel_their_order() {
    let order = start();
    let ada = |request: Request| customer(request, ADA);
    let id = declined(&order);
    let pay = ada(order.post(format!("/orders/{id}/payment"))).json(payment("tok_ok"));
    let _ = pay.send().status(200).includes(json!({"status": "paid"}));
    let cancel = ada(order.post(format!("/orders/{id}/cancel")));
    let _ = cancel.send().status(200).includes(json!({"status": "cancelled"}));
}
