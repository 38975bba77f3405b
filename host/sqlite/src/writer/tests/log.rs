//! The event log: a follower gets every event, once it is durable and before its answer is sent. And erasing.

use std::sync::{Arc, Mutex};

use bulkhead_store::{AfterCommit, Commit, CommitFault, EventLog as _, NewEvent, Value, recover};
use bulkhead_types::{Sequence, TraceId};

use super::{add, begin, durable, honest, world, write};
use crate::Database;
use crate::event_log::EmbeddedLog;

/// A trace id, a different one for each number.
pub(crate) fn trace_id(number: u128) -> TraceId {
    format!("{number:032x}").parse().unwrap()
}

/// On each notification, reads what is new in the event log.
pub(super) fn follow(database: &Database, notified: &Arc<Mutex<Vec<String>>>) -> AfterCommit {
    let log = Mutex::new((EmbeddedLog::open(database).unwrap(), 0));
    let notified = Arc::clone(notified);
    Arc::new(move |_| {
        let mut log = log.lock().unwrap();
        let (mut new, behind) = (Vec::new(), log.1);
        log.0.read_without_data(Sequence::new(behind), &mut |event| new.push(event)).unwrap();
        log.1 = new.last().map_or(behind, |event| event.sequence.get());
        notified.lock().unwrap().extend(new.into_iter().map(|event| event.subject.to_string()));
    })
}

#[test]
fn follower_is_notified_when_the_batch_is_durable_and_not_before() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut lease = add(&world, Some(lease), "b");
    assert!(world.notified().is_empty());
    assert_eq!(durable(lease.commit()), ["a", "b"]);
    assert_eq!(world.notified(), ["a", "b"]);
    let mut unit = begin(lease);
    unit.execute("UPDATE note SET body = 'c'", &[]).unwrap();
    let (mut lease, _) = unit.finish(true);
    drop(lease.commit());
    assert_eq!(world.notified(), ["a", "b"], "nothing was published");
}

#[test]
fn history_of_a_subject_includes_erased_events_in_place() {
    let world = world();
    let mut lease = None;
    for (kind, subject) in [("k", "s"), ("l", "s"), ("k", "s"), ("k", "other")] {
        let mut unit = world.begin(lease.take());
        let event = NewEvent {
            id: "e",
            kind,
            subject: &subject.into(),
            time: "now",
            trace_id: trace_id(1),
            data: "{}",
        };
        unit.append(&event).unwrap();
        if kind == "l" {
            unit.erase(&"s".into()).unwrap();
        }
        lease = Some(unit.finish(true).0);
    }
    drop(lease.unwrap().commit());
    let log = EmbeddedLog::open(&world.database).unwrap();
    let found = |kind, before, count| -> Vec<(i64, bool)> {
        let found = log.newest(kind, Some(&"s".into()), before, count).unwrap();
        found.into_iter().map(|event| (event.sequence.get(), event.data.is_empty())).collect()
    };
    assert_eq!(found(None, Sequence::MAX, 9), [(3, false), (2, true), (1, true)]);
    assert_eq!(found(None, Sequence::MAX, 2), [(3, false), (2, true)]);
    assert_eq!(found(None, Sequence::new(3), 9), [(2, true), (1, true)]);
    assert_eq!(found(Some("k"), Sequence::MAX, 9), [(3, false), (1, true)]);
    // An event without data is never the last one.
    let last = |sequence| log.last_of(&"s".into(), ["k", "l"], sequence).unwrap().map(|event| event.sequence);
    assert_eq!((last(Sequence::new(9)), last(Sequence::new(2))), (Some(Sequence::new(3)), None));
}

#[test]
fn follower_is_not_notified_of_rolled_back_events() {
    let world = world();
    let mut unit = world.begin(None);
    write(&mut *unit, "never");
    let (lease, _) = unit.finish(false);
    let mut lease = add(&world, Some(lease), "a");
    drop(lease.commit());
    assert_eq!(world.notified(), ["a"]);
}

#[test]
fn follower_is_notified_once_of_events_that_a_failing_commit_left() {
    let world = world();
    let mut lease = add(&world, None, "a");
    world.faults.plan(CommitFault::AfterDurable);
    assert_eq!(durable(lease.commit()), ["a"]);
    assert_eq!(world.notified(), ["a"]);
    lease = add(&world, Some(lease), "b");
    world.faults.plan(CommitFault::BeforeDurable);
    let Commit::Aborted { members, .. } = lease.commit() else { panic!("not aborted") };
    assert_eq!(world.notified(), ["a"]);
    recover(lease, members, honest, |_, _| {});
    assert_eq!(world.notified(), ["a", "b"]);
}

#[test]
fn erasing_removes_the_data_of_one_subject_and_keeps_all_sequence_numbers() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut lease = add(&world, Some(lease), "b");
    drop(lease.commit());
    let mut unit = begin(lease);
    assert_eq!(unit.erase(&"a".into()), Ok(1));
    assert_eq!(unit.erase(&"a".into()), Ok(0));
    assert_eq!(unit.erase(&"nobody".into()), Ok(0));
    let (mut lease, _) = unit.finish(true);
    drop(lease.commit());
    assert_eq!(world.log(), [("a".to_owned(), String::new()), ("b".to_owned(), "{}".to_owned())]);

    // The erasing belongs to the guest's unit of work.
    let mut unit = begin(lease);
    assert_eq!(unit.erase(&"b".into()), Ok(1));
    unit.execute("DELETE FROM note WHERE id = ?1", &[Value::Text("b".into())]).unwrap();
    let (lease, _) = unit.finish(false);
    drop(lease);
    assert_eq!(world.log()[1].1, "{}");
    assert_eq!(world.notes(), ["a", "b"]);
}
