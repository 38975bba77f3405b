//! Calls from one service to another: `relay` passes requests on to `hostile`, and tells what came of them.

use bulkhead_tests::{Answer, Client, Manifest, Site, database, shop};
use http::Method;
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Asks the relay to call a service.
fn relay(client: &mut Client, method: Method, service: &str, path: &str, body: &Value) -> Answer {
    let path = format!("/relay/{service}?path={}", shop::escape(path));
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("traceparent", parent.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client.send(method, &path, &headers, body.into())
}

/// The body that the called service answered.
fn body_of(report: &Value) -> Value {
    serde_json::from_str(report["body"].as_str().unwrap()).unwrap()
}

#[test]
fn effects_of_a_called_service_are_kept_and_have_the_trace_of_the_request() {
    let site = Site::guests();
    let host = site.start();
    let mut client = host.client();
    let note = json!({"id": "called", "body": "x"});
    let report = relay(&mut client, Method::POST, "hostile", "/notes", &note).expect(200);
    assert_eq!((&report["status"], &body_of(&report)["id"]), (&json!(201), &json!("called")), "{report}");
    assert_eq!(client.get("/notes/called").expect(200)["id"], "called");
    let report = relay(&mut client, Method::GET, "hostile", "/notes/called", &Value::Null).expect(200);
    assert_eq!(report["status"], 200, "{report}");
    let report = relay(&mut client, Method::GET, "hostile", "/notes/nobody", &Value::Null).expect(200);
    assert_eq!(report["status"], 404, "{report}");
    assert_eq!(body_of(&report)["trace_id"], TRACE, "{report}");
    let connection = database::open(&site.database("hostile"));
    assert_eq!(database::texts(&connection, "SELECT trace_id FROM _bulkhead_outbox"), [TRACE]);
}

#[test]
fn trap_in_a_called_service_is_an_error_answer_to_its_caller() {
    let site = Site::guests();
    let host = site.start();
    let mut client = host.client();
    for _ in 0..5 {
        let path = "/hostile/trap?id=culprit";
        let report = relay(&mut client, Method::POST, "hostile", path, &Value::Null).expect(200);
        assert_eq!(
            (&report["status"], &body_of(&report)["code"]),
            (&json!(500), &json!("internal")),
            "{report}"
        );
    }
    client.get("/notes/culprit").problem(404, "not-found");
    client.post("/notes", &json!({"id": "after", "body": "x"})).expect(201);
}

#[test]
fn request_and_its_calls_share_one_deadline() {
    // The called service alone would have time enough.
    let manifest = Manifest::guests()
        .set("service.relay.limits.request_timeout", "1s")
        .set("service.hostile.limits.request_timeout", "30s")
        .set("service.hostile.limits.lease_hold", "30s");
    let site = Site::new(&manifest);
    let host = site.start();
    let mut client = host.client();
    let answer = relay(&mut client, Method::POST, "hostile", "/hostile/loop?id=culprit", &Value::Null);
    match answer.status {
        // The relay's own time is up as well; whether it still gets to say so is a matter of microseconds.
        200 => {
            let report = answer.value();
            assert!(report["error"] == "deadline-exceeded" || report["status"] == 504, "{answer}");
        }
        _ => {
            answer.problem(504, "deadline-exceeded");
        }
    }
    client.get("/notes/culprit").problem(404, "not-found");
    client.post("/notes", &json!({"id": "after", "body": "x"})).expect(201);
}

#[test]
fn a_call_that_the_manifest_does_not_grant_is_refused() {
    let manifest = Manifest::guests().set("service.relay.calls", vec!["user"]);
    let site = Site::new(&manifest);
    let host = site.start();
    let mut client = host.client();
    let note = json!({"id": "refused", "body": "x"});
    for service in ["hostile", "relay", "nobody", "...", "a b"] {
        let report = relay(&mut client, Method::POST, &shop::escape(service), "/notes", &note).expect(200);
        assert_eq!(report["error"], "not-allowed", "{service}: {report}");
    }
    client.get("/notes/refused").problem(404, "not-found");
}

#[test]
fn malformed_call_is_refused_before_it_is_sent() {
    let manifest = Manifest::guests().set("service.hostile.limits.body", "1KiB");
    let site = Site::new(&manifest);
    let host = site.start();
    let mut client = host.client();
    let large = json!({"id": "large", "body": "x".repeat(2_000)});
    let small = json!({"id": "small", "body": "x"});
    for (path, body) in
        [("/notes", &large), ("notes", &small), ("", &small), ("http://elsewhere/notes", &small)]
    {
        let answer = relay(&mut client, Method::POST, "hostile", path, body);
        if path.is_empty() {
            // The relay itself wants a path.
            answer.invalid(&["path"]);
        } else {
            assert_eq!(answer.expect(200)["error"], "invalid-request", "{path}: {answer}");
        }
    }
    assert!(shop::read_all(&mut client, "/notes?", 50).is_empty());
}

/// Has the relay make a POST of the headers and the body that it is given. The request to the relay itself is a GET, whose key means nothing.
fn relay_keyed(client: &mut Client, path: &str, keys: &[&str], body: &Value) -> Value {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
    let path = format!("/relay/hostile?method=POST&path={}", shop::escape(path));
    client.send(Method::GET, &path, &headers, body.to_string().into()).expect(200)
}

#[test]
fn call_with_an_invalid_key_is_refused_and_has_no_effect() {
    let host = Site::guests().start();
    let mut client = host.client();
    let long = "k".repeat(256);
    for (number, keys) in
        [&[""][..], &["a b"], &["k", "k"], &["k\u{e9}"], &[long.as_str()]].into_iter().enumerate()
    {
        let note = json!({"id": format!("n{number}"), "body": "x"});
        let report = relay_keyed(&mut client, "/notes", keys, &note);
        assert_eq!(report["error"], "invalid-request", "{keys:?}: {report}");
        assert!(report["detail"].as_str().unwrap().contains("Idempotency-Key"), "{report}");
    }
    assert!(shop::read_all(&mut client, "/notes?", 50).is_empty());
    // A good one has one effect.
    let note = json!({"id": "once", "body": "x"});
    for _ in 0..3 {
        let report = relay_keyed(&mut client, "/notes", &["k"], &note);
        assert_eq!(report["status"], 201, "{report}");
    }
    // On any other method it means nothing, as from outside.
    let headers = [("idempotency-key", "a b")];
    let path = "/relay/hostile?path=%2Fnotes%2Fonce";
    assert_eq!(client.send(Method::GET, path, &headers, bytes::Bytes::new()).expect(200)["status"], 200);
}

#[test]
fn call_is_refused_if_an_external_request_would_be_refused() {
    let host = Site::guests().start();
    let mut client = host.client();
    client.post("/notes", &json!({"id": "here", "body": "x"})).expect(201);
    let mut call = |path: &str| relay(&mut client, Method::GET, "hostile", path, &Value::Null).expect(200);
    for path in ["/%6eotes/here", "/notes/h%65re"] {
        let report = call(path);
        assert_eq!(
            (&report["status"], &body_of(&report)["id"]),
            (&json!(200), &json!("here")),
            "{path}: {report}"
        );
    }
    let long = format!("/notes/{}", "x".repeat(8 << 10));
    for path in
        ["/notes/%zz", "/notes/%", "/notes/../notes/here", "/notes/%2E", "/notes/here#x", &long[..8190]]
    {
        let report = call(path);
        let refused = path.len() < 1000;
        assert_eq!(report["error"] == "invalid-request", refused, "{path}: {report}");
    }
    let many: Vec<(String, String)> =
        (0..99).map(|number| (format!("x-{number}"), "x".repeat(700))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client
        .send(Method::GET, "/relay/hostile?path=%2Fnotes", &many, bytes::Bytes::new())
        .problem(431, "headers-too-large");
}

#[test]
fn call_has_the_same_route_as_an_external_request() {
    let manifest = Manifest::guests()
        .set("service.relay.calls", vec!["relay-2"])
        .set("service.relay-2.source", bulkhead_tests::paths::component("relay").to_str().unwrap())
        .set("service.relay-2.routes", vec!["/relay/whoami", "/relay/whoami/...", "/other/..."])
        .set("service.relay-2.database", "sqlite:data/relay-2.db")
        .set("service.relay-2.calls", vec!["user"]);
    let host = Site::new(&manifest).start();
    let mut client = host.client();
    let from_outside = client.get("/relay/whoami").expect(200);
    let report = relay(&mut client, Method::GET, "relay-2", "/relay/whoami", &Value::Null).expect(200);
    assert_eq!(from_outside["route"], "/relay/whoami", "{from_outside}");
    assert_eq!(body_of(&report)["route"], from_outside["route"], "{report}");
}

#[test]
fn guest_knows_its_caller_but_never_the_credentials() {
    let site = Site::guests();
    let host = site.start();
    let headers = [
        ("cookie", "session=secret"),
        ("bulkhead-secret", "secret"),
        ("keep-alive", "timeout=5"),
        ("x-custom", "kept"),
    ];
    let reported =
        host.client().send(Method::GET, "/relay/whoami", &headers, bytes::Bytes::new()).expect(200);
    assert_eq!(
        (&reported["peer"], &reported["method"], &reported["route"]),
        (&json!("127.0.0.1"), &json!("GET"), &json!("/relay/..."))
    );
    assert_eq!((&reported["caller"], &reported["principal"]), (&Value::Null, &Value::Null));
    assert_eq!(reported["trace_id"].as_str().map(str::len), Some(32));
    let passed: Vec<&str> =
        reported["headers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(passed.contains(&"x-custom"), "{reported}");
    for kept_back in ["cookie", "authorization", "bulkhead-secret", "keep-alive", "connection"] {
        assert!(!passed.contains(&kept_back), "{reported}");
    }
}
