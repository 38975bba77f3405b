//! Timers and parked events wait for none of one another, however long handlers of the other kind take; nor does a parked event for one that
//! can't be read.

use bulkhead_tests::{admin::until, database};
use serde_json::{Value, json};

use super::{Stage, acting, happened, numbers_of};

/// A timer of which so many attempts fail, and one does not end within the time of any test.
fn timer(subject: &str, failures: u32, endless: u32) -> Value {
    let data = json!({"subject": subject, "n": 0, "failures": failures, "endless": endless});
    json!({"type": "source.rung", "subject": subject, "data": data, "in_ms": 0})
}

fn set(stage: &mut Stage, timer: Value) -> String {
    let answer = stage.client.post("/source/timers", &json!([timer])).expect(201);
    answer["ids"][0].as_str().unwrap().to_owned()
}

fn until_endless(stage: &Stage) {
    until("a timer's handler runs for long", || {
        stage.host.stderr().contains("a timer does not end").then_some(())
    });
}

/// The attempts with which the timers of a subject rang.
fn until_fired(stage: &mut Stage, subject: &str) -> Value {
    until(&format!("{subject} rings"), || {
        let rung = stage.client.get("/source/rung").expect(200);
        let found = rung["items"].as_array().unwrap().iter().find(|rang| rang["subject"] == subject);
        found.map(|rang| rang["attempt"].clone())
    })
}

#[test]
fn slow_parked_event_does_not_delay_a_timer() {
    let mut stage = Stage::new();
    let parked = set(&mut stage, timer("parked", 1, 2));
    until_endless(&stage);
    set(&mut stage, timer("due", 0, 0));
    assert_eq!(until_fired(&mut stage, "due"), 1);
    // Its second attempt has not ended.
    assert_eq!(stage.admin.until_state("source", &parked, "parked", 1)["attempts"], 1);
    stage.host.kill();
}

#[test]
fn slow_timer_does_not_delay_a_parked_event() {
    let mut stage = Stage::new();
    let parked = set(&mut stage, timer("parked", 4, 0));
    stage.admin.until_state("source", &parked, "parked", 1);
    let endless = set(&mut stage, timer("endless", 0, 1));
    until_endless(&stage);
    assert_eq!(until_fired(&mut stage, "parked"), 5);
    // The other's first attempt has not ended: it has not rung, nor failed.
    assert_eq!(stage.admin.dead_letters("source"), Vec::<Value>::new(), "{endless}");
    stage.host.kill();
}

#[test]
fn many_parked_events_that_always_fail_do_not_delay_a_timer() {
    let mut stage = Stage::new();
    for number in 0..64 {
        set(&mut stage, timer(&format!("fails-{number}"), u32::MAX, 0));
    }
    for number in 0..64 {
        let subject = format!("due-{number}");
        set(&mut stage, timer(&subject, 0, 0));
        assert_eq!(until_fired(&mut stage, &subject), 1);
    }
    stage.stop();
}

#[test]
fn unreadable_parked_event_does_not_block_readable_ones() {
    let mut stage = Stage::new();
    for subject in ["unreadable", "well"] {
        stage.client.put(&format!("/sink/broken/{subject}"), &json!(null)).expect(204);
    }
    let ids = stage.publish(&[
        acting("unreadable", 0, "fail-while-broken"),
        acting("well", 0, "fail-while-broken"),
        happened("last", 0),
    ]);
    stage.all_consumed("sink");
    for id in &ids[..2] {
        stage.admin.until_state("sink", id, "parked", 1);
    }
    let connection = database::open_to_break(&stage.site.database("source"));
    let broken = "UPDATE _bulkhead_outbox SET subject = CAST(x'ff' AS TEXT) WHERE id = ?1";
    assert_eq!(connection.execute(broken, [&ids[0]]).unwrap(), 1);
    stage.client.delete("/sink/broken/well").expect(204);
    // The other one is tried again by itself, if it was not already.
    stage.admin.retry("sink", &ids[0]);
    until("the event that can be read takes effect", || {
        Some(()).filter(|()| numbers_of(&stage.consumed("sink"), "well") == [0])
    });
    // The other is not given up for it: it was not tried.
    let letter = until("it says why it waits", || {
        let letters = stage.admin.dead_letters("sink");
        letters.into_iter().find(|letter| letter["reason"].as_str().unwrap().contains("can't be read"))
    });
    assert_eq!((&letter["id"], &letter["state"]), (&json!(ids[0]), &json!("parked")), "{letter}");
    stage.stop();
}
