//! What filling a replica does with the dead letters that failed because its rows were missing.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_store::{ApplyError, EventLog as _, Owner, Parked, ParkedState, ReplicaSpec, Replicas as _};
use bulkhead_types::Sequence;

use super::ms;
use super::replica_fills::{SELECT, changed_owner, why, with_default, with_stock};
use super::replicas::{UPSERT, consumer_at, of_names, owner_of};
use crate::event_log::EmbeddedLog;
use crate::writer::tests::events::event;
use crate::writer::tests::{World, trace_id};

fn dead(sequence: i64, kind: &str, reason: &str) -> Parked {
    Parked {
        producer: "book".into(),
        sequence: Sequence::new(sequence),
        id: "e".into(),
        kind: kind.into(),
        subject: "a".into(),
        trace_id: trace_id(1),
        state: ParkedState::Dead,
        attempts: 3,
        next: ms(1 << 40),
        since: ms(0),
        reason: reason.into(),
    }
}

/// The reason of a dead letter, as given by a replica that can't be made from an event.
fn refusal(world: &World, replica: &ReplicaSpec) -> String {
    world.commit(|unit| {
        let event = EmbeddedLog::open(&changed_owner().database)
            .unwrap()
            .read(Sequence::new(1), 1)
            .unwrap()
            .remove(0);
        match unit.apply(replica, &event) {
            Err(ApplyError::Malformed(why)) => why,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn dead_letters_of_a_replica_are_removed_when_it_is_complete() {
    let owner = changed_owner();
    owner.commit(|unit| {
        unit.append(&event(UPSERT, &"a".into(), r#"{"id":"a","name":"one","stock":1}"#)).unwrap()
    });
    let world = consumer_at(4, &owner);
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    let because = refusal(&world, &with_stock());
    let park = |world: &World| {
        world.commit(|unit| {
            unit.park(&dead(1, UPSERT, &because)).unwrap();
            unit.park(&dead(2, UPSERT, "after 5 attempts: the handler failed")).unwrap();
            // An event of a type that it does not use, an event after its rows, and an event of another producer.
            unit.park(&dead(4, "book.moved", &because)).unwrap();
            unit.park(&dead(5, UPSERT, &because)).unwrap();
            unit.park(&Parked { producer: "cover".into(), ..dead(3, UPSERT, &because) }).unwrap();
        });
    };
    let left = |world: &World| -> Vec<(i64, &'static str, u32)> {
        let mut parked = world.inbox().parked().unwrap();
        parked.sort_by_key(|row| row.sequence);
        let state = |row: &Parked| if row.state == ParkedState::Dead { "dead" } else { "parked" };
        parked.iter().map(|row| (row.sequence.get(), state(row), row.attempts)).collect()
    };
    park(&world);
    // Its own dead letters are deleted.
    world.make_by(&[with_default(1)], &owner, Some(SELECT)).unwrap();
    assert_eq!(left(&world), [(3, "dead", 3), (4, "dead", 3), (5, "dead", 3)]);
    // If the handler gets the event as well, the dead letter is tried again if it was the replica that refused it.
    park(&world);
    let find = |_: &ReplicaSpec| Owner::of(&*owner.database, Some(SELECT)).map(Some);
    let handled = BTreeSet::from([UPSERT.to_owned()]);
    world.database.make_replicas(&[with_default(2)], &handled, &find).unwrap();
    assert_eq!(
        left(&world),
        [(1, "parked", 0), (2, "dead", 3), (3, "dead", 3), (4, "dead", 3), (5, "dead", 3)]
    );
    // A dead letter is also tried again if another replica, which has not changed, uses the event.
    let world = consumer_at(4, &owner);
    let another = ReplicaSpec { name: "other".into(), ..with_stock() };
    world.make_by(std::slice::from_ref(&another), &owner, Some(SELECT)).unwrap();
    park(&world);
    world.make_by(&[another, with_stock()], &owner, Some(SELECT)).unwrap();
    assert_eq!(
        left(&world),
        [(1, "parked", 0), (2, "parked", 0), (3, "dead", 3), (4, "dead", 3), (5, "dead", 3)]
    );
}

/// A replica of another owner does not keep this producer's dead letters, though its events have the same type.
#[test]
fn dead_letter_is_removed_despite_a_replica_of_another_owner_with_the_same_type() {
    let owner = changed_owner();
    let world = consumer_at(4, &owner);
    let of_another = ReplicaSpec { name: "other".into(), owner: "other".into(), ..with_stock() };
    world.make_by(&[of_another.clone(), of_names()], &owner, Some(SELECT)).unwrap();
    world.commit(|unit| unit.park(&dead(1, UPSERT, "…")).unwrap());
    world.make_by(&[of_another, with_stock()], &owner, Some(SELECT)).unwrap();
    assert_eq!(world.inbox().parked().unwrap().len(), 0);
}

/// Somebody looks after the dead letter and so knows of the row: a change does not lose it.
#[test]
fn change_does_not_count_the_row_of_a_dead_letter_as_lost_and_keeps_the_letter() {
    let owner = owner_of(&[(UPSERT, "a", r#"{"id":"a"}"#), (UPSERT, "b", r#"{"id":"b","name":"two"}"#)]);
    let world = consumer_at(2, &owner);
    assert!(why(world.make(&[of_names()], &owner)).contains("1 row would be lost"));
    world.commit(|unit| unit.park(&dead(1, UPSERT, "…")).unwrap());
    world.make(&[of_names()], &owner).unwrap();
    assert_eq!(world.books(), ["b two"]);
    assert_eq!(world.inbox().counts(&"book".into()).unwrap(), (0, 1));
    assert_eq!(world.inbox().filled(owner.database.log()).unwrap(), BTreeMap::new());
}

/// A later dead letter does not mean that the row from before it may be lost.
#[test]
fn change_may_not_lose_the_row_from_before_a_later_dead_letter() {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one"}"#),
        (UPSERT, "a", r#"{"id":"a"}"#),
        (UPSERT, "b", r#"{"id":"b"}"#),
        (UPSERT, "b", r#"{"id":"b","name":"two"}"#),
    ]);
    let world = consumer_at(4, &owner);
    world.commit(|unit| {
        unit.park(&dead(2, UPSERT, "…")).unwrap();
        unit.park(&Parked { subject: "b".into(), ..dead(3, UPSERT, "…") }).unwrap();
    });
    let refused = why(world.make(&[with_stock()], &owner));
    for part in ["2 rows would be lost", "\"a\", by event 1 of book: "] {
        assert!(refused.contains(part), "{refused}");
    }
}
