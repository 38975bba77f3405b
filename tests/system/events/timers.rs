//! Durable timers: each rings once, in the order in which they are due, over kills; one that fails is parked.

use bulkhead_tests::{Client, admin::until, database};
use serde_json::{Value, json};

use super::Stage;

fn timer(subject: &str, n: u64, in_ms: i64) -> Value {
    failing_timer(subject, n, in_ms, 0)
}

fn failing_timer(subject: &str, n: u64, in_ms: i64, failures: u32) -> Value {
    json!({
        "type": "source.rung",
        "subject": subject,
        "data": {"subject": subject, "n": n, "failures": failures},
        "in_ms": in_ms,
    })
}

#[track_caller]
fn set(client: &mut Client, timers: &[Value]) -> Vec<String> {
    super::texts(client.post("/source/timers", &json!(timers)).expect(201)["ids"].as_array().unwrap())
}

#[track_caller]
fn rung(client: &mut Client) -> Vec<Value> {
    client.get("/source/rung").expect(200)["items"].as_array().unwrap().clone()
}

/// Waits until so many have rung.
#[track_caller]
fn until_fired(client: &mut Client, count: usize) -> Vec<Value> {
    until(&format!("{count} timers ring"), || Some(rung(client)).filter(|rung| rung.len() >= count))
}

fn numbers(rung: &[Value]) -> Vec<u64> {
    rung.iter().map(|rang| rang["n"].as_u64().unwrap()).collect()
}

#[test]
fn timers_fire_once_in_the_order_in_which_they_are_due() {
    let mut stage = Stage::new();
    let ids = set(
        &mut stage.client,
        &[
            timer("a", 3, 600),
            timer("a", 1, 200),
            timer("b", 2, 400),
            timer("a", 0, -60_000),
            timer("a", 4, 800),
        ],
    );
    let all = until_fired(&mut stage.client, 5);
    assert_eq!(numbers(&all), [0, 1, 2, 3, 4]);
    for rang in &all {
        assert_eq!((&rang["source"], &rang["attempt"]), (&json!("source"), &json!(1)));
        assert!(ids.iter().any(|id| rang["event_id"] == id.as_str()), "{rang}");
    }
    // None rings again, and none is left.
    set(&mut stage.client, &[timer("a", 5, 0)]);
    assert_eq!(numbers(&until_fired(&mut stage.client, 6)), [0, 1, 2, 3, 4, 5]);
    let site = stage.stop();
    let connection = database::open(&site.database("source"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_timer"), 0);
}

#[test]
fn timer_set_before_a_kill_fires_once_after_it() {
    let mut stage = Stage::new();
    set(&mut stage.client, &[timer("a", 1, 1_500), timer("a", 0, 1_000), timer("a", 2, 2_500)]);
    let Stage { site, host, .. } = stage;
    host.kill();
    let mut stage = Stage::on(site);
    assert_eq!(numbers(&until_fired(&mut stage.client, 2))[..2], [0, 1]);
    let Stage { site, host, .. } = stage;
    host.kill();
    let mut stage = Stage::on(site);
    assert_eq!(numbers(&until_fired(&mut stage.client, 3)), [0, 1, 2]);
    stage.stop();
}

#[test]
fn each_timer_fires_once_across_kills() {
    let mut stage = Stage::new();
    for kill in 0..5_u64 {
        let timers: Vec<Value> = (0..40).map(|n| timer(&format!("s{n}"), 40 * kill + n, 0)).collect();
        set(&mut stage.client, &timers);
        let Stage { site, host, .. } = stage;
        host.kill();
        stage = Stage::on(site);
    }
    let mut all = numbers(&until_fired(&mut stage.client, 200));
    all.sort_unstable();
    assert_eq!(all, super::up_to(200));
    stage.stop();
}

#[test]
fn timer_keeps_the_trace_under_which_it_was_set() {
    let mut stage = Stage::new();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"),
    ];
    let body = json!([timer("a", 0, 0)]).to_string();
    stage.client.send(http::Method::POST, "/source/timers", &headers, body.into()).expect(201);
    assert_eq!(until_fired(&mut stage.client, 1)[0]["trace"], trace);
    stage.stop();
}

#[test]
fn failed_timer_is_parked_with_its_own_service_as_producer_and_retried() {
    let mut stage = Stage::new();
    let ids = set(&mut stage.client, &[failing_timer("a", 0, 0, 3), timer("b", 1, 0)]);
    let parked = stage.admin.until_state("source", &ids[0], "parked", 1);
    assert_eq!((&parked["producer"], &parked["type"]), (&json!("source"), &json!("source.rung")));
    assert!(parked["reason"].as_str().unwrap().contains("told to fail"), "{parked}");
    let shown = stage.admin.get(&format!("/api/dead-letters/source/{}", ids[0]));
    assert_eq!(shown["event"]["data"]["n"], 0, "{shown}");
    let all = until_fired(&mut stage.client, 2);
    assert_eq!(numbers(&all), [1, 0]);
    assert_eq!(all[1]["attempt"], 4);
    assert_eq!(stage.admin.dead_letters("source"), Vec::<Value>::new());
    let site = stage.stop();
    let connection = database::open(&site.database("source"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_timer"), 0);
}

#[test]
fn parked_timer_is_retried_after_a_kill() {
    let mut stage = Stage::new();
    let ids = set(&mut stage.client, &[failing_timer("a", 0, 0, 2)]);
    stage.admin.until_state("source", &ids[0], "parked", 1);
    let Stage { site, host, .. } = stage;
    host.kill();
    let mut stage = Stage::on(site);
    assert_eq!(until_fired(&mut stage.client, 1)[0]["attempt"], 3);
    stage.stop();
}

#[test]
fn timer_that_can_never_be_consumed_is_a_dead_letter_until_it_is_dropped() {
    let mut stage = Stage::new();
    let malformed = json!({"type": "source.rung", "subject": "a", "data": {"n": "no number"}, "in_ms": 0});
    let id = set(&mut stage.client, &[malformed]).remove(0);
    let letter = stage.admin.until_state("source", &id, "dead", 1);
    assert_eq!(letter["producer"], "source");
    // Whoever watches sees it, though no subscription has it.
    let timers = stage.admin.get("/api/status")["timers"].clone();
    assert_eq!(timers, json!([{"service": "source", "parked": 0, "dead": 1}]));
    let labels = "producer=\"source\",consumer=\"source\"";
    assert_eq!(stage.admin.metric("bulkhead_dead_letters", labels), 1.0);
    assert_eq!(stage.admin.metric("bulkhead_events_parked", labels), 0.0);
    stage.admin.drop_letter("source", &id).expect(200);
    set(&mut stage.client, &[timer("a", 0, 0)]);
    assert_eq!(numbers(&until_fired(&mut stage.client, 1)), [0]);
    let site = stage.stop();
    let connection = database::open(&site.database("source"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_timer"), 0);
}

#[test]
fn timer_without_a_grant_is_a_clear_error_and_a_discarded_timer_never_fires() {
    let mut stage = Stage::new();
    for kind in ["source.other", "source.happened", "sink.rung"] {
        let other = json!({"type": kind, "subject": "a", "data": {}, "in_ms": 0});
        let problem =
            stage.client.post("/source/timers", &json!([timer("a", 0, 0), other])).problem(500, "internal");
        assert_eq!(problem["error"], "not-allowed", "{problem}");
        assert!(problem["why"].as_str().unwrap().contains(kind), "{problem}");
    }
    set(&mut stage.client, &[timer("a", 1, 0)]);
    assert_eq!(numbers(&until_fired(&mut stage.client, 1)), [1]);
    stage.stop();
}

/// Cancels in one unit of work; gives how many each was.
#[track_caller]
fn cancel(client: &mut Client, which: &Value) -> Vec<u64> {
    let answer = client.post("/source/cancellations", which).expect(200);
    answer["cancelled"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

#[test]
fn cancelled_timer_never_fires_unless_its_cancellation_is_discarded() {
    let mut stage = Stage::new();
    let hour = 3_600_000;
    let ids = set(&mut stage.client, &[timer("a", 0, hour), timer("a", 1, hour), timer("b", 2, hour)]);
    let all = json!({"type": "source.rung", "subject": "a"});
    let discarded =
        stage.client.post("/source/cancellations?discard", &json!([{"id": ids[2]}, all])).expect(409);
    assert_eq!(discarded["cancelled"], json!([1, 2]));
    let none = json!({"type": "source.rung", "subject": "c"});
    let which = json!([{"id": ids[0]}, {"id": ids[0]}, {"id": "none"}, {"id": ""}, all, all, none]);
    assert_eq!(cancel(&mut stage.client, &which), [1, 0, 0, 0, 1, 0, 0]);
    // What is set in their place rings, and what was cancelled does not.
    set(&mut stage.client, &[timer("a", 3, 0)]);
    assert_eq!(numbers(&until_fired(&mut stage.client, 1)), [3]);
    let site = stage.stop();
    let connection = database::open(&site.database("source"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_timer"), 1);
    assert_eq!(database::number(&connection, "SELECT timers FROM _bulkhead_meta"), 1);
}

#[test]
fn cancelling_timers_of_a_type_that_the_service_may_not_set_is_refused_with_an_error() {
    let mut stage = Stage::new();
    for kind in ["source.other", "source.happened", "sink.rung", ""] {
        let which = json!([{"type": kind, "subject": "a"}]);
        let problem = stage.client.post("/source/cancellations", &which).problem(500, "internal");
        assert_eq!(problem["error"], "not-allowed", "{problem}");
        assert!(problem["why"].as_str().unwrap().contains(kind), "{problem}");
    }
    stage.stop();
}

#[test]
fn failed_timer_disappears_from_the_list_when_it_is_cancelled() {
    let mut stage = Stage::new();
    let malformed = json!({"type": "source.rung", "subject": "b", "data": {"n": "no number"}, "in_ms": 0});
    let ids = set(&mut stage.client, &[failing_timer("a", 0, 0, 1_000), malformed]);
    stage.admin.until_state("source", &ids[0], "parked", 1);
    stage.admin.until_state("source", &ids[1], "dead", 1);
    let which = json!([{"type": "source.rung", "subject": "a"}, {"id": ids[1]}]);
    assert_eq!(cancel(&mut stage.client, &which), [1, 1]);
    assert_eq!(stage.admin.dead_letters("source"), Vec::<Value>::new());
    set(&mut stage.client, &[timer("a", 1, 0)]);
    assert_eq!(numbers(&until_fired(&mut stage.client, 1)), [1]);
    let site = stage.stop();
    let connection = database::open(&site.database("source"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_timer"), 0);
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_parked"), 0);
}

/// Timers ring while others cancel them, one unit of work after the other and many in one batch: each has rung, or was cancelled, and none
/// both.
#[test]
fn timers_cancelled_while_they_fire_are_either_fired_or_cancelled_but_never_both() {
    const ROUNDS: u64 = 12;
    const EACH: u64 = 20;
    let mut stage = Stage::new();
    let mut cancelled = Vec::new();
    for round in 0..ROUNDS {
        let numbers: Vec<u64> = (round * EACH..(round + 1) * EACH).collect();
        let timers: Vec<Value> = numbers.iter().map(|n| timer(&format!("s{n}"), *n, 0)).collect();
        let ids = set(&mut stage.client, &timers);
        std::thread::scope(|scope| {
            let cancellers: Vec<_> = [0, 1]
                .map(|half| {
                    let (ids, numbers, mut client) = (&ids, &numbers, stage.host.client());
                    scope.spawn(move || {
                        // From both ends, and so most by one of the two.
                        let mut pairs: Vec<_> = ids.iter().zip(numbers).collect();
                        if half == 1 {
                            pairs.reverse();
                        }
                        let mine =
                            |(id, _): &(&String, &u64)| cancel(&mut client, &json!([{"id": id}])) == [1];
                        pairs.into_iter().filter(mine).map(|(_, n)| *n).collect::<Vec<u64>>()
                    })
                })
                .into();
            for canceller in cancellers {
                cancelled.extend(canceller.join().unwrap());
            }
        });
    }
    let all = usize::try_from(ROUNDS * EACH).unwrap();
    let rung = until_fired(&mut stage.client, all - cancelled.len());
    let mut ended: Vec<u64> = numbers(&rung).into_iter().chain(cancelled).collect();
    ended.sort_unstable();
    assert_eq!(ended, super::up_to(ROUNDS * EACH));
    let site = stage.stop();
    let connection = database::open(&site.database("source"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_timer"), 0);
    assert_eq!(database::number(&connection, "SELECT timers FROM _bulkhead_meta"), 0);
}
