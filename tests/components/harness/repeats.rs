//! The same test runs the same way, again and again.

use std::time::Duration;

use bulkhead_testing::{Application, Published, Value, json};

use super::{EVENTS, happen};

fn published(seed: u64, services: &[&str]) -> Vec<Published> {
    let application = Application::in_manifest(EVENTS, services.iter().copied()).seed(seed).start();
    let source = application.service("source");
    happen(&source, "a", 1, "");
    happen(&source, "b", 2, "");
    source.published()
}

/// All that a run leaves: events that are tried again, timers, and what they cause.
fn run(seed: u64) -> Value {
    let application = Application::in_manifest(EVENTS, ["source", "sink"]).seed(seed).start();
    let (source, sink) = (application.service("source"), application.service("sink"));
    let timer = |n: u32| json!({"type": "source.rung", "subject": "s", "data": {"subject": "s", "n": n}, "in_ms": 100});
    source.post("/source/timers").json(json!([timer(1), timer(2), timer(3)])).send().status(201);
    for (n, act) in ["fail-first", "publish", "", "abort-batch"].iter().enumerate() {
        happen(&source, &format!("s{n}"), 1, act);
    }
    application.settle();
    application.advance(Duration::from_secs(60));
    json!({
        "rung": source.rows("SELECT * FROM rung ORDER BY arrival"),
        "taken": sink.rows("SELECT * FROM taken ORDER BY arrival"),
        "published": sink.published().into_iter().map(|event| json!([event.id, event.time])).collect::<Vec<_>>(),
        "calls": sink.database_calls(),
        "now": sink.now(),
    })
}

#[test]
fn timers_and_retried_events_repeat_exactly() {
    let first = run(3);
    assert_eq!(first["rung"].as_array().map(Vec::len), Some(3), "{first}");
    assert_eq!(first["taken"].as_array().map(Vec::len), Some(3), "{first}");
    assert_eq!(run(3), first);
}

#[test]
fn ids_and_times_repeat_exactly_only_with_the_same_seed() {
    let first = published(7, &["source"]);
    assert_eq!(first.len(), 2);
    assert_eq!(published(7, &["source"]), first);
    assert_eq!(published(7, &["sink", "source"]), first, "whoever runs beside it");
    let other = published(8, &["source"]);
    assert_ne!(other[0].id, first[0].id);
    assert_eq!(other[0].time, first[0].time);
    assert_eq!(first[0].time, "2026-01-01T00:00:00.001Z");
    assert_eq!(first[1].time, "2026-01-01T00:00:00.002Z", "what comes later is later");
}
