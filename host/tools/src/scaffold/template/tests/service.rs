//! The service as its clients see it. Each test runs the very component, with a database and a clock of its own.

use std::time::Duration;

use bulkhead_testing::{Service, json};

#[test]
fn entry_is_stored_and_published() {
    let service = Service::start("{{name}}");
    let answer = service.post("/{{name}}").json(json!({"text": " Hello,\n  world "})).send().status(201);
    let (id, created_at) = (answer.text_of("id"), answer.text_of("created_at"));
    let entry = json!({"id": id, "text": "Hello, world", "created_at": created_at});
    answer.header("location", &format!("/{{name}}/{id}")).body(&entry);

    // The next reader sees it, the database has it, and whoever subscribes hears of it.
    service.get(format!("/{{name}}/{id}")).send().status(200).body(&entry);
    assert_eq!(service.rows("SELECT id, text FROM entry"), json!([{"id": id, "text": "Hello, world"}]));
    let data = json!({"id": id, "text": "Hello, world"});
    service.expect_published(json!([{"type": "{{name}}.created", "subject": id, "data": data}]));
}

#[test]
fn invalid_entry_is_refused_and_neither_stored_nor_published() {
    let service = Service::start("{{name}}");
    for body in [json!({}), json!({"text": " "}), json!({"text": 7}), json!({"text": "a", "size": 1})] {
        service.post("/{{name}}").json(body).send().problem(422, "invalid");
    }
    assert_eq!(service.rows("SELECT id FROM entry"), json!([]));
    service.expect_published(json!([]));
    service.get("/{{name}}/0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60").send().problem(404, "not-found");
}

#[test]
fn entries_are_listed_newest_first_page_by_page() {
    let service = Service::start("{{name}}");
    for text in ["first", "second", "third"] {
        service.post("/{{name}}").json(json!({"text": text})).send().status(201);
        service.advance(Duration::from_secs(1));
    }
    let page = service.get("/{{name}}").query("limit", "2").send().status(200).json();
    assert_eq!((&page["items"][0]["text"], &page["items"][1]["text"]), (&json!("third"), &json!("second")));
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = service.get("/{{name}}").query("limit", "2").query("cursor", cursor).send().json();
    assert_eq!((&page["items"][0]["text"], &page["next_cursor"]), (&json!("first"), &json!(null)));
}

/// A route without a test fails this one.
#[test]
fn every_endpoint_and_subscription_has_a_test() {
    bulkhead_testing::coverage("{{name}}").check();
}
