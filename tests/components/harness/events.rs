//! Events and timers happen when the test says so, and as they do in a host.

use std::time::Duration;

use bulkhead_testing::json;

use super::{both, consumed_numbers, happen, sink, source};

#[test]
fn events_are_consumed_one_by_one_when_the_test_steps() {
    let application = both();
    let (source, sink) = (application.service("source"), application.service("sink"));
    happen(&source, "a", 1, "");
    happen(&source, "b", 2, "publish");
    assert_eq!(consumed_numbers(&sink), json!([]), "nothing happens by itself");
    let step = application.step().expect("there is an event");
    assert_eq!((step.producer.as_str(), step.consumer.as_str()), ("source", "sink"));
    assert_eq!((step.kind.as_str(), step.subject.as_str()), ("source.happened", "a"));
    assert_eq!((step.not_consumed, consumed_numbers(&sink)), (None, json!([1])));
    assert_eq!(application.settle().len(), 1);
    assert_eq!(consumed_numbers(&sink), json!([1, 2]));
    sink.expect_published(json!([{"type": "sink.noted", "subject": "b", "data": {"id": "b", "n": 2}}]));
    sink.expect_published(json!([]));
    assert_eq!(application.step(), None);
}

#[test]
fn event_that_is_published_twice_is_delivered_twice() {
    let sink = sink();
    let data = json!({"subject": "a", "n": 7});
    sink.event("source.happened").subject("a").data(&data).id("one").deliver_twice().consumed();
    assert_eq!(
        sink.rows("SELECT event_id, n FROM taken"),
        json!([{"event_id": "one", "n": 7}, {"event_id": "one", "n": 7}])
    );
}

#[test]
fn malformed_event_is_dead_lettered_and_blocks_no_other_event() {
    let sink = sink();
    sink.event("source.happened").subject("a").data(json!({"subject": 1})).deliver().rejected("invalid type");
    sink.event("source.happened").subject("a").raw("{").deliver().rejected("EOF");
    sink.event("source.happened").subject("a").data(json!({"subject": "a", "n": 3})).deliver().consumed();
    assert_eq!(consumed_numbers(&sink), json!([3]));
    let dead: Vec<String> = sink.dead_letters().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(dead, ["source.happened", "source.happened"]);
}

#[test]
fn erased_event_is_skipped() {
    let sink = sink();
    sink.event("source.happened").subject("a").raw("").deliver().skipped();
    assert_eq!(consumed_numbers(&sink), json!([]));
}

#[test]
fn replica_is_updated_by_delivered_events() {
    let sink = sink();
    let changed = |n: i64| json!({"id": "i", "n": n, "note": "new", "more": true});
    sink.event("source.item-changed").subject("i").data(changed(1)).deliver().consumed();
    sink.event("source.item-changed").subject("i").data(changed(2)).deliver().consumed();
    assert_eq!(sink.rows("SELECT * FROM item"), json!([{"id": "i", "n": 2, "note": "new"}]));
    sink.event("source.item-deleted").subject("i").data(json!({"id": "i"})).deliver().consumed();
    assert_eq!(sink.rows("SELECT * FROM item"), json!([]));
}

#[test]
fn parked_event_is_retried_at_its_time_and_later_ones_wait_behind_it() {
    let sink = sink();
    let event = |n: u32, act: &str| {
        let data = json!({"subject": "a", "n": n, "act": act, "at": "sink", "failures": 2});
        sink.event("source.happened").subject("a").data(data)
    };
    event(1, "fail-first").deliver().parked("told to fail at attempt 1");
    event(2, "").deliver().parked("an earlier event of its subject is parked");
    // The first is tried again after 100 ms at least.
    sink.advance(Duration::from_millis(90));
    assert_eq!(consumed_numbers(&sink), json!([]));
    sink.advance(Duration::from_secs(10));
    assert_eq!(consumed_numbers(&sink), json!([1, 2]));
    assert!(sink.parked().is_empty());
    assert_eq!(sink.rows("SELECT attempt FROM taken WHERE n = 1"), json!([{"attempt": 3}]));
}

#[test]
fn timer_fires_at_its_own_time_and_not_before() {
    let source = source();
    let timer = |n: u32, in_ms: u32| json!({"type": "source.rung", "subject": format!("s{n}"), "data": {"subject": format!("s{n}"), "n": n}, "in_ms": in_ms});
    source.post("/source/timers").json(json!([timer(1, 3_000), timer(2, 1_000)])).send().status(201);
    let kinds = || source.timers().into_iter().map(|timer| timer.subject).collect::<Vec<_>>();
    assert_eq!(kinds(), ["s2", "s1"], "the earliest first");
    assert_eq!(source.timers()[0].due, "2026-01-01T00:00:01.001Z");
    let rung = || source.rows("SELECT n FROM rung ORDER BY arrival");
    source.advance(Duration::from_millis(999));
    assert_eq!(rung(), json!([]));
    source.advance(Duration::from_millis(1));
    assert_eq!(rung(), json!([{"n": 2}]));
    source.advance(Duration::from_secs(60));
    assert_eq!(rung(), json!([{"n": 2}, {"n": 1}]));
    assert_eq!(kinds(), [""; 0]);
}

#[test]
fn setting_the_wall_clock_moves_no_timer() {
    const WEEK: i64 = 7 * 24 * 3600;
    let source = source();
    let timer =
        json!([{"type": "source.rung", "subject": "a", "data": {"subject": "a", "n": 1}, "in_ms": 1000}]);
    source.set_clock_by(WEEK);
    let _ = source.post("/source/timers").json(timer).send().status(201);
    for seconds in [-WEEK, -3600, 2 * WEEK] {
        source.set_clock_by(seconds);
        source.advance(Duration::from_millis(300));
        assert_eq!(source.rows("SELECT n FROM rung"), json!([]), "{seconds}");
    }
    source.advance(Duration::from_millis(100));
    assert_eq!(source.rows("SELECT n FROM rung"), json!([{"n": 1}]));
}

#[test]
fn timer_handler_cancels_other_timers_of_its_subject_and_consumes_its_own_once() {
    for failures in [0, 2] {
        let source = source();
        let timer = |n: u32, in_ms: u32, cancels: bool| {
            let data = json!({"subject": "a", "n": n, "failures": if cancels { failures } else { 0 }, "cancels": cancels});
            json!({"type": "source.rung", "subject": "a", "data": data, "in_ms": in_ms})
        };
        let timers = json!([timer(1, 3_000, false), timer(2, 1_000, true), timer(3, 2_000, false)]);
        let _ = source.post("/source/timers").json(timers).send().status(201);
        source.advance(Duration::from_secs(1));
        let rung = source.rows("SELECT n FROM rung");
        if failures == 0 {
            assert_eq!((rung, source.timers().len()), (json!([{"n": 2}]), 0));
        } else {
            // What its failed attempt cancelled was not: it is undone with the attempt.
            assert_eq!((rung, source.timers().len(), source.parked().len()), (json!([]), 2, 1));
            source.advance(Duration::from_millis(900));
            assert_eq!(source.rows("SELECT n FROM rung"), json!([{"n": 2}]), "the third attempt");
        }
        source.advance(Duration::from_secs(60));
        assert_eq!(source.rows("SELECT n FROM rung"), json!([{"n": 2}]));
        assert!(source.timers().is_empty() && source.parked().is_empty() && source.dead_letters().is_empty());
    }
}

/// An owner publishes that its row is gone, or changed, and erases the subject in a later unit of work, while its events are parked: what the
/// replica is then must be what the owner tells.
#[test]
fn replica_matches_its_owner_when_events_were_erased_while_parked() {
    const CHANGED: &str = "source.item-changed";
    const DELETED: &str = "source.item-deleted";
    // What is published behind the event that fails, then after the erasing; and the row at the end.
    for (parked, after, expected) in [
        (&[][..], &[][..], Some(1)),
        (&[DELETED][..], &[][..], None),
        (&[CHANGED, DELETED][..], &[][..], None),
        (&[DELETED, CHANGED, DELETED][..], &[][..], None),
        (&[DELETED][..], &[CHANGED][..], Some(9)),
        (&[CHANGED][..], &[DELETED][..], None),
        (&[CHANGED][..], &[CHANGED][..], Some(9)),
        (&[DELETED][..], &[CHANGED, DELETED][..], None),
    ] {
        for act in ["fail-first", "reject"] {
            let application = both();
            let (source, sink) = (application.service("source"), application.service("sink"));
            let publish = |kind: &str, n: u32| {
                let event = json!({"type": kind, "subject": "a", "data": {"id": "a", "n": n, "note": "x"}});
                let _ = source.post("/source/events").json(event).send().status(201);
            };
            publish(CHANGED, 1);
            let _ = application.settle();
            happen(&source, "a", 1, act);
            parked.iter().for_each(|kind| publish(kind, 2));
            let _ = application.settle();
            let _ = source.post("/source/erasures").body("a", "text/plain").send().status(200);
            after.iter().for_each(|kind| publish(kind, 9));
            let _ = application.settle();
            application.advance(Duration::from_secs(60));
            let _ = application.settle();
            let scenario = format!("{act}: {parked:?}, erased, {after:?}");
            let rows: Vec<_> =
                expected.into_iter().map(|n| json!({"id": "a", "n": n, "note": "x"})).collect();
            assert_eq!(sink.rows("SELECT * FROM item"), json!(rows), "{scenario}");
            assert!(sink.parked().is_empty(), "{scenario}");
        }
    }
}
