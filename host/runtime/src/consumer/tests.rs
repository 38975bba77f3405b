//! What an operator changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{ColumnType, ParkedState, ReplicaColumn, ReplicaSpec, Value};
use bulkhead_types::limits::MEMORY_DEFAULT;
use bulkhead_types::{Sequence, ServiceName};

use super::{ChangeError, Consumer};
use crate::engine::Engine;
use crate::gate::NotHeld;
use crate::instance::NotConsumed;
use crate::observer::Observers;
use crate::queues::queues;
use crate::spec::ServiceSpec;
use crate::trial::{Trial, event, job};

/// A service with two dead letters from the producer, and a parked event.
fn with_dead_letters() -> Trial {
    let trial = Trial::new(Duration::from_secs(60));
    for sequence in [1, 2] {
        dead_letter(&trial, sequence);
    }
    trial.park(&event(3, "maker.made", "c"));
    trial
}

fn dead_letter(trial: &Trial, sequence: i64) {
    trial.park_because(&event(sequence, "maker.made", "a"), &NotConsumed::Reject("no".into()));
}

/// The places of the dead letters, and of the parked events.
fn places(trial: &Trial) -> (Vec<i64>, Vec<i64>) {
    let rows = trial.inbox().parked().unwrap();
    let sequences = |state| {
        let mut sequences: Vec<_> =
            rows.iter().filter(|row| row.state == state).map(|row| row.sequence.get()).collect();
        sequences.sort_unstable();
        sequences
    };
    (sequences(ParkedState::Dead), sequences(ParkedState::Parked))
}

#[test]
fn consumer_has_the_name_of_its_service() {
    assert_eq!(Trial::new(Duration::from_secs(60)).consumer.name(), "taker");
}

#[test]
fn dead_letter_is_retried_on_request() {
    let trial = with_dead_letters();
    assert!(!trial.consumer.retry_parked(&"maker".into(), Sequence::new(9)).unwrap());
    assert!(!trial.consumer.retry_parked(&"other".into(), Sequence::new(1)).unwrap());
    assert_eq!(places(&trial), (vec![1, 2], vec![3]));
    assert!(trial.consumer.retry_parked(&"maker".into(), Sequence::new(1)).unwrap());
    assert_eq!(places(&trial), (vec![2], vec![1, 3]));
}

#[test]
fn retry_all_counts_the_dead_letters_it_found() {
    let trial = with_dead_letters();
    let places_of = |sequences: &[i64]| -> Vec<(ServiceName, Sequence)> {
        sequences.iter().map(|sequence| ("maker".into(), Sequence::new(*sequence))).collect()
    };
    assert_eq!(trial.consumer.retry_all(&places_of(&[])).unwrap(), 0);
    assert_eq!(trial.consumer.retry_all(&places_of(&[7, 8])).unwrap(), 0);
    assert_eq!(trial.consumer.retry_all(&places_of(&[1, 7, 2])).unwrap(), 2);
    assert_eq!(places(&trial), (vec![], vec![1, 2, 3]));
}

#[test]
fn dead_letter_can_be_dropped_but_a_parked_event_cannot() {
    let trial = with_dead_letters();
    for sequence in [3, 9] {
        assert!(!trial.consumer.drop_dead(&"maker".into(), Sequence::new(sequence)).unwrap(), "{sequence}");
    }
    assert!(trial.consumer.drop_dead(&"maker".into(), Sequence::new(2)).unwrap());
    assert!(!trial.consumer.drop_dead(&"maker".into(), Sequence::new(2)).unwrap());
    assert_eq!(places(&trial), (vec![1], vec![3]));
}

#[test]
fn dead_letters_of_a_type_are_dropped_up_to_a_sequence_number() {
    let trial = with_dead_letters();
    dead_letter(&trial, 4);
    for (kinds, sequence, are_there, left) in [
        (&["maker.gone"][..], 9, false, vec![1, 2, 4]),
        (&["maker.gone", "maker.made"], 0, false, vec![1, 2, 4]),
        (&["maker.made", "maker.gone"], 2, true, vec![4]),
    ] {
        assert_eq!(
            trial.consumer.drop_dead_up_to(&"maker".into(), kinds, Sequence::new(sequence)).unwrap(),
            are_there
        );
        assert_eq!(places(&trial), (left, vec![3]));
    }
}

#[test]
fn replica_row_is_set_to_the_row_of_its_owner() {
    let trial = Trial::new(Duration::from_secs(60));
    let column = |name: &str| ReplicaColumn { name: name.into(), kind: ColumnType::Text, default: None };
    let replica = ReplicaSpec {
        name: "thing".into(),
        owner: "maker".into(),
        upsert: "maker.made".into(),
        delete: None,
        key: "id".into(),
        columns: vec![column("id"), column("name")],
    };
    let database = trial.consumer.database().unwrap();
    let replicas = std::slice::from_ref(&replica);
    database.database.make_replicas(replicas, &Default::default(), &|_| Ok(None)).unwrap();
    let names = || {
        let mut reader = database.database.reader().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        reader.query(until, "SELECT name FROM thing", &[]).unwrap().rows
    };
    let row = |name: &str| [Value::Text("a".into()), Value::Text(name.into())];
    assert!(trial.consumer.repair(&replica, "a", Some(&row("one"))).unwrap());
    assert_eq!(names(), [[Value::Text("one".into())]]);
    assert!(trial.consumer.repair(&replica, "a", Some(&row("two"))).unwrap());
    assert_eq!(names(), [[Value::Text("two".into())]]);
    assert!(trial.consumer.repair(&replica, "a", None).unwrap());
    assert!(names().is_empty());
}

#[test]
fn change_is_not_applied_if_its_commit_fails() {
    let trial = with_dead_letters();
    trial.fail_commits(1);
    let failed = trial.consumer.drop_dead(&"maker".into(), Sequence::new(1)).unwrap_err();
    assert!(
        matches!(&failed, ChangeError::Failed(why) if why.contains("could not be committed")),
        "{failed}"
    );
    assert_eq!(places(&trial), (vec![1, 2], vec![3]));
    assert!(trial.consumer.drop_dead(&"maker".into(), Sequence::new(1)).unwrap());
}

#[test]
fn change_that_does_not_get_the_lease_in_time_fails() {
    let trial = Trial::new(Duration::from_millis(1));
    let writer = Arc::clone(&trial.consumer.database().unwrap().writer);
    let lease = writer.acquire(Instant::now() + Duration::from_secs(60)).unwrap();
    let failed = trial.consumer.drop_dead(&"maker".into(), Sequence::new(1)).unwrap_err();
    assert!(
        matches!(&failed, ChangeError::Failed(why) if !why.contains("could not be committed")),
        "{failed}"
    );
    drop(lease);
    assert!(!trial.consumer.drop_dead(&"maker".into(), Sequence::new(1)).unwrap());
}

/// A caller that holds the service waits for the handlers inside, as long as no more than `room` requests wait in a queue.
#[test]
fn hold_on_a_service_fails_if_more_requests_wait_than_allowed() {
    let trial = Trial::new(Duration::from_secs(60));
    let (queues, _ends) = queues(&ServiceSpec::default(), &Observers::default());
    let (engine, context) = (Engine::new(4, MEMORY_DEFAULT).unwrap(), Arc::clone(&trial.context));
    let consumer = Consumer::new(engine, context, queues.clone());
    let mut runner = consumer.runner();
    runner.enter_until(None);
    for _ in 0..2 {
        queues.submit(&queues.admission_limits(), job(Instant::now(), None).0).unwrap();
    }
    let held = |room| consumer.hold(Instant::now() + Duration::from_millis(20), room).err().unwrap();
    assert!(matches!(held(1), NotHeld::TooMany));
    assert!(matches!(held(2), NotHeld::Late));
}
