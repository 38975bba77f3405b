//! What is published arrives: once, in order, with its trace, at everyone who takes it.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{Stage, acting, failing_first, happened, ids_of, numbers_of, up_to};

#[test]
fn every_consumer_receives_events_once_in_the_order_of_the_log() {
    let mut stage = Stage::new();
    let mut published = Vec::new();
    for n in 0..100 {
        // Of four subjects, in units of work of one, two and three events.
        let events: Vec<Value> =
            (0..=n % 3).map(|part| happened(&format!("s{}", n % 4), 10 * n + part)).collect();
        published.extend(stage.publish(&events));
    }
    for consumer in ["sink", "witness"] {
        let consumed = stage.all_consumed(consumer);
        assert_eq!(ids_of(&consumed), published, "at {consumer}");
        assert!(consumed.iter().all(|event| event["attempt"] == 1), "at {consumer}: {consumed:?}");
    }
    stage.stop();
}

#[test]
fn discarded_unit_of_work_publishes_nothing() {
    let mut stage = Stage::new();
    let ungranted = json!({"type": "source.secret", "subject": "a", "data": {}});
    stage
        .client
        .post("/source/events", &json!([happened("a", 0), happened("a", 1), ungranted]))
        .problem(500, "internal");
    let kept = stage.publish_one(happened("a", 2));
    assert_eq!(ids_of(&stage.all_consumed("sink")), [kept]);
    assert_eq!(stage.admin.metric("bulkhead_events_published_total", "service=\"source\""), 1.0);
    stage.stop();
}

#[test]
fn trace_of_a_request_follows_its_events_into_rows_and_log_lines_of_consumers() {
    let mut stage = Stage::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let body = json!([happened("a", 0), acting("a", 1, "fail-while-broken"), acting("b", 2, "call")]);
    stage.client.put("/sink/broken/a", &json!(null)).expect(204);
    let answer = stage.client.send(Method::POST, "/source/events", &headers, Bytes::from(body.to_string()));
    let ids = answer.expect(201)["ids"].clone();
    // Also over attempts: what is parked keeps its trace.
    let parked = stage.admin.until_state("sink", ids[1].as_str().unwrap(), "parked", 2);
    assert_eq!(parked["trace_id"], trace);
    stage.client.delete("/sink/broken/a").expect(204);
    let consumed = stage.consumed_when_quiet("sink");
    assert_eq!(consumed.len(), 3, "{consumed:?}");
    assert!(consumed.iter().all(|event| event["trace"] == trace), "{consumed:?}");
    let log = stage.host.stop().stderr;
    for id in ids.as_array().unwrap() {
        let id = id.as_str().unwrap();
        let line = log
            .lines()
            .find(|line| line.contains("an event arrived") && line.contains(id) && line.contains("sink"));
        let line = line.unwrap_or_else(|| panic!("the log has no line of {id}:\n{log}"));
        assert!(line.contains(trace), "{line}");
    }
}

#[test]
fn event_handler_calls_others_as_its_service_without_a_role() {
    let mut stage = Stage::new();
    stage.publish_one(acting("a", 0, "call"));
    let consumed = stage.all_consumed("sink");
    let principal: Value = serde_json::from_str(consumed[0]["principal"].as_str().unwrap()).unwrap();
    let trace = consumed[0]["trace"].clone();
    assert_eq!(
        principal,
        json!({"principal": "service:sink", "roles": [], "caller": "sink", "trace_id": trace}),
        "{consumed:?}"
    );
    stage.stop();
}

#[test]
fn call_after_the_first_write_of_a_handler_is_refused_and_dead_letters_the_event() {
    let mut stage = Stage::new();
    let id = stage.publish_one(acting("a", 0, "call-late"));
    let letter = stage.admin.until_state("sink", &id, "dead", 1);
    assert!(letter["reason"].as_str().unwrap().contains("call"), "{letter}");
    assert_eq!(stage.consumed("sink"), Vec::<Value>::new());
    stage.stop();
}

#[test]
fn event_handler_publishes_its_events_once_despite_earlier_failures() {
    let mut stage = Stage::new();
    stage.publish(&[
        acting("a", 0, "publish"),
        failing_first("b", 1, "publish-first", 2),
        acting("a", 2, "publish"),
    ]);
    let consumed = stage.consumed_when_quiet("sink");
    assert_eq!(numbers_of(&consumed, "a"), [0, 2]);
    assert_eq!(numbers_of(&consumed, "b"), [1]);
    let log = stage.admin.get("/api/events?service=sink");
    let mut noted: Vec<(u64, String)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["data"]["n"].as_u64().unwrap(), event["traceid"].as_str().unwrap().to_owned()))
        .collect();
    noted.sort();
    assert_eq!(noted.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1, 2], "{log}");
    // The trace goes on through the events that events cause.
    for (n, trace) in noted {
        let cause = consumed.iter().find(|event| event["n"] == n).unwrap();
        assert_eq!(cause["trace"], trace.as_str(), "{log}");
    }
    stage.stop();
}

#[test]
fn request_that_waits_for_a_position_sees_the_effects_of_the_event() {
    let mut stage = Stage::new();
    for n in 0..20 {
        let answer = stage.client.post("/source/events", &happened("a", n));
        answer.expect(201);
        let position = bulkhead_tests::shop::position(&answer);
        let seen = bulkhead_tests::shop::get_after(&mut stage.client, "/sink/taken", &position).expect(200);
        assert_eq!(numbers_of(seen["items"].as_array().unwrap(), "a"), up_to(n + 1));
    }
    stage.stop();
}

#[test]
fn subscription_metrics_count_published_delivered_parked_and_dead_and_show_no_lag_at_rest() {
    let mut stage = Stage::new();
    let subscription = |consumer: &str| format!("producer=\"source\",consumer=\"{consumer}\"");
    stage.publish(&(0..10).map(|n| happened("a", n)).collect::<Vec<_>>());
    stage.client.put("/sink/broken/b", &json!(null)).expect(204);
    let dead = stage.publish_one(acting("c", 0, "reject"));
    let parked = stage.publish_one(acting("b", 0, "fail-while-broken"));
    stage.publish(&[acting("b", 1, ""), json!({"type": "source.passing", "subject": "d", "data": {}})]);
    stage.admin.until_state("sink", &dead, "dead", 1);
    stage.admin.until_state("sink", &parked, "parked", 2);
    stage.admin.until_consumed("source", "sink");
    stage.admin.until_consumed("source", "witness");
    assert_eq!(stage.admin.metric("bulkhead_events_published_total", "service=\"source\""), 14.0);
    for (consumer, delivered, parked, dead) in [("sink", 10.0, 2.0, 1.0), ("witness", 13.0, 0.0, 0.0)] {
        let subscription = subscription(consumer);
        assert_eq!(
            stage.admin.metric("bulkhead_events_delivered_total", &subscription),
            delivered,
            "{consumer}"
        );
        assert_eq!(stage.admin.metric("bulkhead_events_parked", &subscription), parked, "{consumer}");
        assert_eq!(stage.admin.metric("bulkhead_dead_letters", &subscription), dead, "{consumer}");
        assert_eq!(stage.admin.metric("bulkhead_subscription_lag_events", &subscription), 0.0, "{consumer}");
        assert_eq!(stage.admin.metric("bulkhead_subscription_lag_seconds", &subscription), 0.0, "{consumer}");
        assert_eq!(stage.admin.metric("bulkhead_subscription_stopped", &subscription), 0.0, "{consumer}");
    }
    assert!(stage.admin.metric("bulkhead_events_retried_total", &subscription("sink")) >= 1.0);
    stage.client.delete("/sink/broken/b").expect(204);
    stage.admin.retry("sink", &parked);
    stage.admin.until_quiet("source", "sink");
    assert_eq!(stage.admin.metric("bulkhead_events_delivered_total", &subscription("sink")), 12.0);
    assert_eq!(stage.admin.metric("bulkhead_events_parked", &subscription("sink")), 0.0);
    stage.stop();
}
