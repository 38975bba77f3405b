//! The wall clock is set forward and back: what waits, waits as long as it was meant to.

use bulkhead_tests::{Admin, Host, Site, admin::until};
use serde_json::{Value, json};

use super::{Stage, failing_first, manifest, numbers_of};

const HOUR: i64 = 3_600_000;
const WEEK: i64 = 7 * 24 * HOUR;

fn stage(site: Site, host: Host) -> Stage {
    let (client, admin) = (host.client(), Admin::of(&site, &host));
    Stage { site, host, client, admin }
}

fn start(set_by: i64) -> Stage {
    let site = Site::new(&manifest());
    let host = site.start_with_clock_set_by(set_by);
    stage(site, host)
}

fn restart(from: Stage, set_by: i64) -> Stage {
    let Stage { site, host, .. } = from;
    host.kill();
    let host = site.start_with_clock_set_by(set_by);
    stage(site, host)
}

fn set_timer(stage: &mut Stage, n: u64, in_ms: i64) {
    let data = json!({"subject": "t", "n": n});
    let timer = json!({"type": "source.rung", "subject": "t", "data": data, "in_ms": in_ms});
    stage.client.post("/source/timers", &json!([timer])).expect(201);
}

fn until_fired(stage: &mut Stage, expected: &[u64]) {
    until(&format!("the timers {expected:?} ring"), || {
        let rung = stage.client.get("/source/rung").expect(200);
        let items = rung["items"].as_array().unwrap().clone();
        let numbers: Vec<u64> = items.iter().map(|rang| rang["n"].as_u64().unwrap()).collect();
        assert!(expected.starts_with(&numbers), "{numbers:?}");
        Some(()).filter(|()| numbers == expected)
    });
}

#[test]
fn retry_is_not_late_if_the_clock_is_set_back() {
    let mut stage = start(0);
    let id = stage.publish_one(failing_first("a", 0, "fail-first", 4));
    stage.admin.until_state("sink", &id, "parked", 1);
    for hours in 1..=3 {
        stage.site.set_clock_by(-hours * HOUR);
    }
    assert_eq!(numbers_of(&stage.consumed_when_quiet("sink"), "a"), [0]);
    stage.stop();
}

#[test]
fn retry_is_not_late_if_the_clock_was_ahead_and_is_correct_after_a_restart() {
    let mut stage = start(WEEK);
    let id = stage.publish_one(failing_first("a", 0, "fail-first", 3));
    stage.admin.until_state("sink", &id, "parked", 1);
    let mut stage = restart(stage, 0);
    assert_eq!(numbers_of(&stage.consumed_when_quiet("sink"), "a"), [0]);
    stage.stop();
}

#[test]
fn timer_fires_after_its_delay_if_the_clock_is_set_back() {
    let mut stage = start(WEEK);
    set_timer(&mut stage, 0, 1_000);
    stage.site.set_clock_by(0);
    until_fired(&mut stage, &[0]);
    stage.stop();
}

#[test]
fn timer_fires_within_its_delay_if_the_clock_was_ahead_and_is_correct_after_a_restart() {
    let mut stage = start(WEEK);
    set_timer(&mut stage, 0, 1_500);
    let mut stage = restart(stage, 0);
    until_fired(&mut stage, &[0]);
    stage.stop();
}

#[test]
fn timer_does_not_fire_early_if_the_clock_is_set_forward_even_after_a_restart() {
    let mut stage = start(0);
    set_timer(&mut stage, 9, HOUR);
    stage.site.set_clock_by(WEEK);
    set_timer(&mut stage, 0, 0);
    until_fired(&mut stage, &[0]);
    until("the host has seen it", || {
        let seen = stage.host.stderr().contains("the wall clock was set");
        Some(()).filter(|()| seen)
    });
    // What was seen is durable with the next batch.
    set_timer(&mut stage, 1, 0);
    until_fired(&mut stage, &[0, 1]);
    let mut stage = restart(stage, WEEK);
    set_timer(&mut stage, 2, 0);
    until_fired(&mut stage, &[0, 1, 2]);
    stage.stop();
}

#[test]
fn answer_is_kept_for_a_day_even_if_the_clock_is_changed() {
    let mut stage = start(0);
    let event = json!([super::happened("a", 0)]);
    let send = |stage: &mut Stage| -> (Value, bool) {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let body = event.to_string().into();
        let answer = stage.client.send(http::Method::POST, "/source/events", &headers, body);
        (answer.expect(201), answer.header("idempotency-replayed") == Some("true"))
    };
    let first = send(&mut stage);
    assert!(!first.1);
    for set_by in [2 * 24 * HOUR, -2 * 24 * HOUR, WEEK, 0] {
        stage.site.set_clock_by(set_by);
        assert_eq!(send(&mut stage), (first.0.clone(), true), "{set_by}");
    }
    stage.stop();
}
