//! What a test that fails is told: what is otherwise, and what the service did.

use bulkhead_testing::{Application, Fault, Service, json};

use super::{GUESTS, both, failure_of, happen, relay, sink, source};

#[test]
fn failed_check_shows_statements_with_values_and_log_lines() {
    let why = failure_of(|| {
        let data = json!({"subject": "a", "n": 5});
        sink().event("source.happened").subject("a").data(data).id("e1").deliver().parked("never");
    });
    for words in [
        "sink: source.happened a is Consumed, and was to be parked",
        "what happened:",
        "sink: transaction.execute INSERT INTO taken (event_id, subject, n, attempt, trace, principal)",
        "[\"e1\", \"a\", 5, 1, ",
        "→ 1 row",
        "log: INFO service: an event arrived",
    ] {
        assert!(why.contains(words), "{words} in {why}");
    }
}

#[test]
fn panic_of_a_guest_is_shown_with_its_message() {
    let hostile = || Application::in_manifest(GUESTS, ["hostile"]);
    // When it is asked what it is.
    let why = failure_of(|| drop(hostile().config("hostile", "describe", "a route twice").start()));
    let panic = "it panicked: the route GET /notes is there already (tests/guests/hostile/src/lib.rs:";
    assert!(why.contains("service hostile: load ") && why.contains(panic), "{why}");
    // When it handles a request, or an event.
    let why = failure_of(|| {
        drop(hostile().start().service("hostile").post("/hostile/panic?id=1").send().status(201))
    });
    for words in [
        "a request failed service=\"hostile\" version=",
        "method=\"POST\" path=\"/hostile/{what}\"",
        "the handler panicked: on purpose (tests/guests/hostile/src/hostile.rs:",
    ] {
        assert!(why.contains(words), "{words} in {why}");
    }
    let data = json!({"subject": "a", "n": 7, "act": "panic", "at": "sink"});
    let deliver = || sink().event("source.happened").subject("a").data(data.clone()).deliver();
    drop(deliver().parked("the handler panicked: told to panic\\nat 7 (tests/guests/sink/src/behaviour.rs:"));
    let why = failure_of(|| drop(deliver().consumed()));
    assert!(why.contains("is Parked(\"the handler panicked: told to panic"), "{why}");
}

#[test]
fn different_answers_and_events_are_shown_line_by_line() {
    let source = source();
    let why = failure_of(|| {
        let request = source.get("/source/rung");
        request.send().body(json!({"items": [1]}));
    });
    assert!(why.contains("GET /source/rung: the body is another one:"), "{why}");
    assert!(why.contains("  -   \"items\": [\n"), "{why}");
    assert!(why.contains("snapshot.query SELECT arrival"), "{why}");
    happen(&source, "a", 1, "");
    let why = failure_of(|| source.expect_published(json!([])));
    assert!(why.starts_with("source published other events:"), "{why}");
    assert!(why.contains("  +     \"subject\": \"a\""), "{why}");
}

#[test]
fn all_steps_are_shown_and_empty_steps_change_nothing() {
    let application = both();
    let (source, sink) = (application.service("source"), application.service("sink"));
    happen(&source, "a", 1, "");
    happen(&source, "b", 2, "");
    assert_eq!(application.settle().len(), 2);
    assert!(sink.database_calls() >= 2);
    let now = application.now();
    assert_eq!(application.settle(), []);
    assert_eq!(application.now(), now, "nothing came");
    let why = failure_of(|| sink.expect_published(json!([1])));
    assert_eq!(why.matches("sink: transaction.execute INSERT INTO taken").count(), 2, "{why}");
    // An earlier answer has its own.
    let first = source.get("/source/rung").send();
    let _ = source.get("/source/whoami").send();
    let why = failure_of(|| drop(first.status(404)));
    assert!(why.contains("snapshot.query SELECT arrival"), "{why}");
}

#[test]
fn unsupported_use_of_the_harness_is_refused_with_what_to_do() {
    let why = failure_of(|| drop(source().get("/elsewhere").send()));
    assert!(
        why.starts_with("no route of the manifest leads to /elsewhere at source; its routes are"),
        "{why}"
    );
    let why = failure_of(|| drop(sink().event("source.passing").deliver()));
    assert!(why.contains("add it to its `subscribes`"), "{why}");
    let why = failure_of(|| drop(source().event("source.rung").deliver()));
    assert!(why.contains("move the clock"), "{why}");
    let why = failure_of(|| drop(both().service("sink").event("source.happened").deliver()));
    assert!(why.contains("source runs in this test"), "{why}");
    let why = failure_of(|| drop(both().service("relay")));
    assert!(why.contains("relay does not run here; these do: sink, source"), "{why}");
    let why = failure_of(|| drop(source().post("/source/events").idempotency_key("ä").send()));
    assert!(why.contains("Idempotency-Key is one header"), "{why}");
    let why = failure_of(|| drop(relay().stand_in("nobody", |_| unreachable!()).start()));
    assert!(why.contains("has no service nobody to stand in for"), "{why}");
    let why = failure_of(|| drop(relay().stand_in("relay", |_| unreachable!()).start()));
    assert!(why.contains("relay runs in this test"), "{why}");
    let why = failure_of(|| drop(source().rows("SELECT 1 AS one, 2 AS one")));
    assert!(why.contains("have the name one"), "{why}");
    let event = || sink().event("source.happened").subject("a").data(json!({"subject": "a", "n": 1}));
    let why = failure_of(|| drop(event().failing(Fault::Commit).deliver()));
    assert!(why.contains("Fault::CommitOnce"), "{why}");
    let why = failure_of(|| drop(Service::start("nobody")));
    assert!(why.contains("has no service nobody; it has"), "{why}");
}

#[test]
fn call_to_a_service_that_neither_runs_nor_has_a_stand_in_is_named() {
    let why = failure_of(|| {
        let relay = relay().start().service("relay");
        drop(relay.get("/relay/user").query("path", "/users").send());
    });
    assert!(why.starts_with("relay calls user (GET /users), which neither runs nor has a stand-in"), "{why}");
}

#[test]
fn endpoint_and_subscription_without_a_test_are_named() {
    let why = failure_of(|| bulkhead_testing::coverage("report").tests("no test has this name").check());
    for words in ["GET /reports/revenue", "the subscription to order.placed"] {
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn log_lines_beyond_the_limit_are_left_out_and_counted() {
    let hostile = Application::in_manifest(GUESTS, ["hostile"]).start().service("hostile");
    let why = failure_of(|| drop(hostile.post("/hostile/log-flood?id=1").send().status(418)));
    assert_eq!(why.matches(&"x".repeat(8000)).count(), 100);
    let left_out = why.lines().find(|line| line.contains("log lines were left out")).unwrap();
    assert!(left_out.contains("lines=900"), "{left_out}");
}
