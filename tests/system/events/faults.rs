//! A handler of events that traps, loops, aborts the batch or fills the database: its event is parked, and its neighbours, events and
//! requests alike, are all there, once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bulkhead_tests::{Manifest, database};
use serde_json::{Value, json};

use super::{Stage, acting, happened, ids_of, manifest, numbers_of, up_to};

/// Threads that write notes meanwhile.
const WRITERS: u64 = 3;
/// The culprit is to have failed so often.
const ATTEMPTS: u64 = 3;

/// The guests, where a handler may hold the lease for a moment only, and the database is small.
fn tight() -> Manifest {
    manifest().set("service.sink.limits.lease_hold", "2s").set("service.sink.limits.storage", "4MiB")
}

/// Publishes culprits among honest events, while others write notes, and checks what is there in the end.
fn among_neighbours(act: &str, reason: &str) {
    let mut stage = Stage::of(&tight());
    let ended = AtomicBool::new(false);
    let host = &stage.host;
    let (mut honest, mut culprits) = (Vec::new(), Vec::new());
    let mut client = host.client();
    let admin = &mut stage.admin;
    let notes: BTreeSet<String> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (mut client, ended) = (host.client(), &ended);
                scope.spawn(move || {
                    let mut written = Vec::new();
                    while !ended.load(Ordering::Acquire) {
                        let id = format!("{writer}-{}", written.len());
                        client.post(&format!("/sink/notes/{id}"), &json!(null)).expect(201);
                        written.push(id);
                    }
                    written
                })
            })
            .collect();
        // Whatever fails below, the writers end.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..4_u64 {
                let mut events: Vec<Value> =
                    (0..20).map(|n| happened(&format!("h{}", n % 4), 5 * round + n / 4)).collect();
                events.insert(10, acting(&format!("culprit-{round}"), 0, act));
                let mut ids = super::publish(&mut client, &events);
                culprits.push(ids.remove(10));
                honest.extend(ids);
            }
            for id in &culprits {
                let letter = admin.until_state("sink", id, "parked", ATTEMPTS);
                assert!(letter["reason"].as_str().unwrap().contains(reason), "{letter}");
            }
        }));
        ended.store(true, Ordering::Release);
        let written = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        written
    });
    let consumed = stage.all_consumed("sink");
    assert_eq!(ids_of(&consumed), honest, "once, and in the order of the log");
    assert_eq!(stage.all_consumed("witness").len(), honest.len() + culprits.len());
    let site = stage.stop();
    let connection = database::open(&site.database("sink"));
    database::check(&connection);
    // From the file: a quick machine writes more of them than an answer may list.
    let there: BTreeSet<String> = database::texts(&connection, "SELECT id FROM note").into_iter().collect();
    assert!(there == notes, "{} notes of {} are there", there.len(), notes.len());
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_parked"), 4);
}

#[test]
fn trap_parks_only_its_event() {
    among_neighbours("trap", "the handler trapped");
}

#[test]
fn endless_loop_parks_only_its_event() {
    among_neighbours("loop", "held the writer lease for longer than limits.lease_hold");
}

#[test]
fn aborted_batch_parks_only_the_event_that_aborted_it() {
    among_neighbours("abort-batch", "a statement rolled the whole transaction back");
}

#[test]
fn handler_that_fills_the_database_parks_only_its_event() {
    among_neighbours("fill", "the database has no room left");
}

#[test]
fn many_aborted_batches_in_a_row_park_no_valid_event() {
    let mut stage = Stage::of(&tight());
    let events: Vec<Value> = (0..200)
        .map(|n| {
            if n % 4 == 3 { acting(&format!("culprit-{n}"), 0, "abort-batch") } else { happened("honest", n) }
        })
        .collect();
    stage.publish(&events);
    let expected: Vec<u64> = (0..200).filter(|n| n % 4 != 3).collect();
    let consumed = stage.all_consumed("sink");
    assert_eq!(numbers_of(&consumed, "honest"), expected);
    assert_eq!(consumed.len(), expected.len());
    assert_eq!(stage.admin.subscription("source", "sink")["parked"], 50);
    stage.stop();
}

#[test]
fn events_for_a_full_database_are_parked_and_consumed_once_there_is_space() {
    let mut stage = Stage::of(&tight());
    for size in [60_000, 3_000, 0] {
        let mut number = 0;
        loop {
            let path = format!("/sink/notes/{size}-{number}?bytes={size}");
            let answer = stage.client.post(&path, &json!(null));
            if answer.status != 201 {
                answer.problem(507, "storage-full");
                break;
            }
            number += 1;
        }
    }
    // More than what is left in the pages that are there.
    let events: Vec<Value> =
        (0..100).flat_map(|n| (0..10).map(move |s| happened(&format!("s{s}"), n))).collect();
    let ids = stage.publish(&events);
    assert_eq!(ids_of(&stage.all_consumed("witness")), ids);
    let subscription = stage.admin.until_consumed("source", "sink");
    assert!(subscription["parked"].as_u64().unwrap() > 0, "{subscription}");
    stage.client.delete("/sink/notes").expect(204);
    // Those that wait for their next attempt need not wait any longer.
    for letter in stage.admin.dead_letters("sink") {
        if letter["attempts"] != 0 {
            stage.admin.send(
                http::Method::POST,
                &format!("/api/dead-letters/sink/{}/retry", letter["id"].as_str().unwrap()),
            );
        }
    }
    let consumed = stage.consumed_when_quiet("sink");
    for subject in 0..10 {
        assert_eq!(numbers_of(&consumed, &format!("s{subject}")), up_to(100));
    }
    stage.stop();
}
