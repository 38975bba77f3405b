//! Faults: what fails does so as it would in a host, and leaves nothing half done.

use std::time::Duration;

use bulkhead_testing::{Application, Fault, Reply, Service, json};

use super::{GUESTS, consumed_numbers, failure_of, relay, sink, source};

fn publish(source: &Service, fault: Option<Fault>) -> bulkhead_testing::Answer {
    let event = |n: u32| json!({"type": "source.happened", "subject": "a", "data": {"subject": "a", "n": n}});
    let request = source.post("/source/events").json(json!([event(1), event(2)]));
    match fault {
        Some(fault) => request.failing(fault).send(),
        None => request.send(),
    }
}

#[test]
fn failure_of_any_database_call_keeps_nothing() {
    let calls = publish(&source(), None).status(201).database_calls();
    assert_eq!(calls, 2);
    for n in 1..=calls {
        for (fault, status) in
            [(Fault::Statement(n), 500), (Fault::StorageFull(n), 507), (Fault::StatementBusy(n), 503)]
        {
            let source = source();
            publish(&source, Some(fault)).status(status);
            source.expect_published(json!([]));
            publish(&source, None).status(201);
            assert_eq!(source.published().len(), 2, "{fault:?}");
        }
    }
}

#[test]
fn commit_that_fails_keeps_nothing_and_asks_the_client_to_retry() {
    let source = source();
    publish(&source, Some(Fault::Commit)).problem(503, "unavailable").header("retry-after", "1");
    source.expect_published(json!([]));
}

/// The client is not told to try again: what it did might be there twice. With a key it may.
#[test]
fn commit_with_unknown_outcome_is_reported_and_a_key_makes_a_retry_safe() {
    let source = source();
    publish(&source, Some(Fault::CommitUnknown)).problem(503, "outcome-unknown").no_header("retry-after");
    source.expect_published(json!([]));
    let event = json!([{"type": "source.happened", "subject": "a", "data": {"subject": "a", "n": 1}}]);
    let keyed = || source.post("/source/events").idempotency_key("k").json(event.clone());
    keyed().failing(Fault::CommitUnknown).send().problem(503, "outcome-unknown");
    keyed().send().status(201).replayed(false);
    keyed().send().status(201).replayed(true);
    assert_eq!(source.published().len(), 1);
}

#[test]
fn commit_that_fails_once_is_invisible_to_the_client() {
    let source = source();
    publish(&source, Some(Fault::CommitOnce)).status(201);
    assert_eq!(source.published().len(), 2);
}

/// It is run again where its commit failed, and fails again; or nobody can tell what became of a commit that it only waited for.
#[test]
fn request_that_fails_in_several_ways_has_one_log_line() {
    for fault in [Fault::CommitOnce, Fault::CommitUnknown] {
        let hostile = Application::in_manifest(GUESTS, ["hostile"]).start().service("hostile");
        let why = failure_of(|| drop(hostile.post("/hostile/panic?id=1").failing(fault).send().status(201)));
        assert_eq!(why.matches("a request failed").count(), 1, "{fault:?}: {why}");
        assert!(why.contains("the handler panicked: on purpose"), "{fault:?}: {why}");
    }
}

/// What the client did wrong is no failure of the service's.
#[test]
fn request_that_fails_in_the_host_has_a_log_line_and_a_refused_one_has_none() {
    let source = source();
    let event =
        |n: u32| json!([{"type": "source.happened", "subject": "a", "data": {"subject": "a", "n": n}}]);
    let keyed = |n: u32| source.post("/source/events").idempotency_key("k").json(event(n));
    let lines = |request: &dyn Fn() -> bulkhead_testing::Answer| {
        let why = failure_of(|| drop(request().status(418)));
        why.matches("a request failed").count()
    };
    for fault in [Fault::Commit, Fault::CommitUnknown, Fault::Memory] {
        assert_eq!(lines(&|| publish(&source, Some(fault))), 1, "{fault:?}");
    }
    keyed(1).send().status(201);
    keyed(2).send().status(422);
    assert_eq!(lines(&|| keyed(2).send()), 0);
}

#[test]
fn handler_out_of_memory_traps_and_the_next_request_is_served() {
    let source = source();
    publish(&source, Some(Fault::Memory)).problem(500, "internal");
    source.expect_published(json!([]));
    publish(&source, None).status(201);
}

#[test]
fn event_whose_database_call_fails_is_parked_and_consumed_later() {
    for fault in [Fault::Statement(1), Fault::StorageFull(1)] {
        let sink = sink();
        let event = sink.event("source.happened").subject("a").data(json!({"subject": "a", "n": 1}));
        event.failing(fault).deliver().parked("");
        assert_eq!(consumed_numbers(&sink), json!([]));
        sink.advance(Duration::from_secs(1));
        assert_eq!(consumed_numbers(&sink), json!([1]));
    }
}

#[test]
fn event_whose_handler_runs_out_of_memory_is_parked_even_after_others_were_consumed() {
    let sink = sink();
    let event = |n: u32| {
        let data = json!({"subject": format!("s{n}"), "n": n});
        sink.event("source.happened").subject(format!("s{n}")).data(data)
    };
    event(1).deliver().consumed();
    event(2).failing(Fault::Memory).deliver().parked("ran out of memory");
    sink.advance(Duration::from_secs(1));
    assert_eq!(consumed_numbers(&sink), json!([1, 2]));
}

#[test]
fn event_whose_commit_fails_once_is_consumed_once() {
    let sink = sink();
    let event = sink.event("source.happened").subject("a").data(json!({"subject": "a", "n": 1}));
    event.failing(Fault::CommitOnce).deliver().consumed();
    assert_eq!(consumed_numbers(&sink), json!([1]));
}

#[test]
fn call_that_fails_is_reported_to_the_caller_and_does_not_reach_the_stand_in() {
    let relay =
        relay().stand_in("hostile", |_| Reply::json(200, json!({"items": []}))).start().service("relay");
    let send = || relay.get("/relay/hostile").query("path", "/notes?limit=1");
    send().failing(Fault::Call(1)).send().status(200).includes(json!({"error": "unavailable"}));
    send().send().status(200).includes(json!({"status": 200}));
    assert_eq!(relay.calls(), ["hostile GET /notes", "hostile GET /notes"]);
}

#[test]
fn stand_in_sees_the_caller_and_request_and_a_table_answers_the_rest_with_404() {
    let relay = relay()
        .stand_in("hostile", |call| {
            let seen = json!({
                "line": [call.method(), call.path(), call.query()],
                "principal": call.principal(),
                "caller": call.caller(),
                "body": call.json(),
            });
            Reply::json(201, seen).header("x-seen", "yes")
        })
        .stand_in_table("user", vec![("GET /users", Reply::status(204))])
        .start()
        .service("relay");
    let answer = relay
        .post("/relay/hostile")
        .query("path", "/notes?a=b")
        .principal("ada")
        .json(json!({"note": "one"}))
        .send()
        .status(200)
        .json();
    let seen: serde_json::Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        seen,
        json!({"line": ["POST", "/notes", "a=b"], "principal": "ada", "caller": "relay", "body": {"note": "one"}})
    );
    relay.get("/relay/user").query("path", "/users").send().includes(json!({"status": 204}));
    relay.get("/relay/user").query("path", "/users/7").send().includes(json!({"status": 404}));
}

#[test]
fn fault_that_does_not_occur_fails_the_test() {
    let why = failure_of(|| drop(publish(&source(), Some(Fault::Statement(3)))));
    assert!(why.starts_with("Statement(3) did not come about: the handler made 2 database calls"), "{why}");
    let why = failure_of(|| drop(source().get("/source/ready").failing(Fault::Commit).send()));
    assert!(why.starts_with("Commit did not come about"), "{why}");
}

/// A POST that has another service do something, and itself writes nothing.
fn forwarded(relay: &Service, method: &str) -> bulkhead_testing::Request {
    let request = relay.post("/relay/hostile").query("path", "/notes").query("method", method);
    request.idempotency_key("k").json(json!({"id": "one"}))
}

#[test]
fn answer_of_a_handler_whose_only_effect_is_a_call_is_stored_for_its_key() {
    let noted =
        || relay().stand_in("hostile", |_| Reply::json(201, json!({"id": "one"}))).start().service("relay");
    let relay = noted();
    let _ = forwarded(&relay, "POST").send().status(200).replayed(false);
    let _ = forwarded(&relay, "POST").send().status(200).replayed(true);
    assert_eq!(relay.calls(), ["hostile POST /notes"]);
    // What only reads has no effect that could be there twice.
    let relay = noted();
    for _ in 0..2 {
        let _ = forwarded(&relay, "GET").send().status(200).replayed(false);
    }
    assert_eq!(relay.calls(), ["hostile GET /notes", "hostile GET /notes"]);
}

#[test]
fn request_whose_call_took_effect_is_not_rerun_but_answered_as_outcome_unknown() {
    let relay =
        relay().stand_in("hostile", |_| Reply::json(201, json!({"id": "one"}))).start().service("relay");
    let answer = forwarded(&relay, "POST").failing(Fault::CommitOnce).send();
    let _ = answer.problem(503, "outcome-unknown").no_header("retry-after");
    assert_eq!(relay.calls(), ["hostile POST /notes"]);
}
