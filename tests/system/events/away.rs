//! Consumers that were away, and hosts that are killed: each event takes effect once all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::{Client, Manifest, Random, Site, database};
use http::Method;
use serde_json::{Value, json};

use super::{Stage, failing_first, happened, ids_of, manifest, numbers_of};

const KILLS: u64 = 10;
const PUBLISHERS: u64 = 4;
/// The host is killed after so many acknowledgements at most, and a moment of a few commits' length more.
const ACKNOWLEDGED_MAX: u64 = 150;
const MOMENT_MAX_MICROS: u64 = 5_000;

fn source_alone() -> Manifest {
    manifest().only(&["source"])
}

#[test]
fn consumer_that_was_stopped_consumes_all_events_once_in_order() {
    let mut stage = Stage::of(&manifest());
    let mut published = stage.publish(&(0..10).map(|n| happened("before", n)).collect::<Vec<_>>());
    stage.all_consumed("sink");
    let site = stage.stop();

    site.write_manifest(&source_alone().text());
    let host = site.start();
    let mut client = host.client();
    for round in 0..20 {
        let events: Vec<Value> =
            (0..250).map(|n| happened(&format!("s{}", n % 7), 250 * round + n)).collect();
        published.extend(super::publish(&mut client, &events));
    }
    host.stop();

    site.write_manifest(&manifest().text());
    let mut stage = Stage::on(site);
    for consumer in ["sink", "witness"] {
        let consumed = stage.all_consumed(consumer);
        assert!(ids_of(&consumed) == published, "{consumer} took {} of {}", consumed.len(), published.len());
    }
    stage.stop();
}

#[test]
fn consumer_that_is_stopped_repeatedly_consumes_all_events_once_in_order() {
    let site = Site::new(&source_alone());
    let host = site.start();
    let events: Vec<Value> = (0..2_000).map(|n| happened(&format!("s{}", n % 5), n)).collect();
    let published = super::publish(&mut host.client(), &events);
    host.stop();
    site.write_manifest(&manifest().text());
    // Each start gets as far as it gets until it is told to stop.
    for _ in 0..4 {
        site.start().stop();
    }
    let mut stage = Stage::on(site);
    assert!(ids_of(&stage.all_consumed("sink")) == published);
    stage.stop();
}

#[test]
fn each_event_takes_effect_once_and_in_order_over_10_kills() {
    let site = Site::new(&manifest());
    let mut random = Random::new();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    let mut next = vec![0; usize::try_from(PUBLISHERS).unwrap()];
    for kill in 0..KILLS {
        let host = site.start();
        let (sender, acknowledgements) = channel();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .zip(&next)
            .map(|(publisher, first)| {
                let (client, sender, first) = (host.client(), sender.clone(), *first);
                thread::spawn(move || publish_until_it_ends(client, &sender, &format!("p{publisher}"), first))
            })
            .collect();
        drop(sender);
        let before = usize::try_from(1 + random.below(ACKNOWLEDGED_MAX)).unwrap();
        let mut ids: Vec<String> = acknowledgements.iter().take(before).collect();
        spin_for(Duration::from_micros(random.below(MOMENT_MAX_MICROS)));
        host.kill();
        ids.extend(acknowledgements);
        assert!(ids.len() >= before, "kill {kill}: the publishers ended before the host was killed");
        acknowledged.extend(ids);
        next = publishers.into_iter().map(|publisher| publisher.join().unwrap()).collect();
    }

    let mut stage = Stage::on(site);
    let mut all = BTreeMap::new();
    for consumer in ["sink", "witness"] {
        let consumed = stage.consumed_when_quiet(consumer);
        assert_eq!(stage.admin.dead_letters(consumer), Vec::<Value>::new());
        all.insert(consumer, consumed);
    }
    let site = stage.stop();
    let source = database::open(&site.database("source"));
    let log = database::texts(&source, "SELECT id FROM _bulkhead_outbox ORDER BY sequence");
    let there: BTreeSet<String> = log.iter().cloned().collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and not in the log: {lost:?}");
    for (consumer, consumed) in &all {
        let ids = ids_of(consumed);
        assert_eq!(ids.len(), log.len(), "{consumer} took as many as there are");
        assert!(ids.iter().cloned().collect::<BTreeSet<_>>() == there, "{consumer} took each");
        for publisher in 0..PUBLISHERS {
            let subject = format!("p{publisher}");
            let numbers = numbers_of(consumed, &subject);
            assert!(numbers.is_sorted_by(|a, b| a < b), "{consumer}, {subject}: {numbers:?}");
        }
        let connection = database::open(&site.database(consumer));
        database::check(&connection);
        let position =
            database::texts(&connection, "SELECT sequence || ' ' || event_id FROM _bulkhead_cursor");
        assert_eq!(
            position,
            [format!("{} {}", log.len(), log.last().unwrap())],
            "the position of {consumer}"
        );
        assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_parked"), 0);
    }
    // The witness takes everything at once: in the order of the whole log.
    assert!(ids_of(&all["witness"]) == log);
}

/// Publishes event after event of a subject, some of which fail at first, and reports the id of each that is acknowledged. Gives the number
/// of the next.
fn publish_until_it_ends(
    mut client: Client,
    acknowledged: &Sender<String>,
    subject: &str,
    first: u64,
) -> u64 {
    for n in first.. {
        let event =
            if n % 16 == 5 { failing_first(subject, n, "fail-first", 1) } else { happened(subject, n) };
        let headers = [("content-type", "application/json")];
        match client.try_send(Method::POST, "/source/events", &headers, json!([event]).to_string().into()) {
            Ok(answer) => {
                let id = answer.expect(201)["ids"][0].as_str().unwrap().to_owned();
                acknowledged.send(id).unwrap();
            }
            Err(_) => return n + 1,
        }
    }
    unreachable!("the publisher ends with its host")
}

/// A moment too short to be left to a scheduler.
fn spin_for(moment: Duration) {
    let started = Instant::now();
    while started.elapsed() < moment {
        std::hint::spin_loop();
    }
}
