//! The position in a producer's event log: it moves with what was consumed, and only from where the caller expects it.

use bulkhead_store::{Commit, CommitFault, Cursor, Ended, Value, Writer as _};
use bulkhead_types::Sequence;

use super::{abort, note, sure_ways_to_abort};
use crate::writer::tests::{World, durable, soon, world, write};

fn place(log: &str, sequence: i64, event_id: &str) -> Cursor {
    Cursor { log: log.into(), sequence: Sequence::new(sequence), event_id: event_id.into() }
}

/// A world that has consumed the event `e1` of `book`, whose event log is `l`.
fn world_at_first() -> World {
    let world = world();
    assert!(world.commit(|unit| {
        unit.move_cursor(&"book".into(), &place("l", 0, ""), (Sequence::new(1), "e1")).unwrap()
    }));
    world
}

#[test]
fn first_move_creates_the_position_with_the_log_id() {
    let world = world();
    assert_eq!(world.cursor("book"), None);
    assert!(world.commit(|unit| {
        unit.move_cursor(&"book".into(), &place("l", 0, ""), (Sequence::new(7), "e7")).unwrap()
    }));
    assert_eq!(world.cursor("book"), Some(place("l", 7, "e7")));
    assert_eq!(world.cursor("user"), None, "each producer has a position of its own");
}

#[test]
fn position_that_does_not_exist_moves_only_from_the_beginning() {
    let world = world();
    assert!(!world.commit(|unit| {
        unit.move_cursor(&"book".into(), &place("l", 3, "e3"), (Sequence::new(4), "e4")).unwrap()
    }));
    assert_eq!(world.cursor("book"), None);
}

#[test]
fn position_moves_only_from_the_event_that_the_caller_expects() {
    let world = world_at_first();
    for wrong in [
        place("l", 0, ""),
        place("other", 0, ""),
        place("l", 2, "e1"),
        place("l", 1, "other"),
        place("l", 1, ""),
        place("other", 1, "e1"),
    ] {
        let moved =
            world.commit(|unit| unit.move_cursor(&"book".into(), &wrong, (Sequence::new(2), "e2")).unwrap());
        assert!(!moved, "{wrong:?}");
        assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")), "{wrong:?}");
    }
    assert!(world.commit(|unit| {
        unit.move_cursor(&"book".into(), &place("l", 1, "e1"), (Sequence::new(5), "e5")).unwrap()
    }));
    assert_eq!(world.cursor("book"), Some(place("l", 5, "e5")));
}

#[test]
fn moving_the_position_of_one_producer_leaves_the_others() {
    let world = world_at_first();
    assert!(world.commit(|unit| {
        unit.move_cursor(&"user".into(), &place("u", 0, ""), (Sequence::new(9), "u9")).unwrap()
    }));
    assert!(world.commit(|unit| {
        unit.move_cursor(&"book".into(), &place("l", 1, "e1"), (Sequence::new(2), "e2")).unwrap()
    }));
    assert_eq!(world.cursor("user"), Some(place("u", 9, "u9")));
}

/// Also within a batch, where nothing is durable yet: if two consume the same event, only one has its effect.
#[test]
fn second_move_from_the_same_event_in_one_batch_moves_nothing() {
    let world = world_at_first();
    let mover = |unit: &mut super::Unit| {
        unit.move_cursor(&"book".into(), &place("l", 1, "e1"), (Sequence::new(2), "e2")).unwrap()
    };
    let (lease, first) = world.keep(None, mover);
    let (mut lease, second) = world.keep(Some(lease), mover);
    durable(lease.commit());
    assert_eq!((first, second), (true, false));
    assert_eq!(world.cursor("book"), Some(place("l", 2, "e2")));
}

/// Consumes the event `number`, as a subscription worker does: its handler's rows, what it publishes, and the position.
fn take(unit: &mut super::Unit, number: i64, id: &str) -> bool {
    write(unit, id);
    let from = place("l", number - 1, &format!("e{}", number - 1));
    unit.move_cursor(&"book".into(), &from, (Sequence::new(number), &format!("e{number}"))).unwrap()
}

#[test]
fn position_and_rows_and_events_are_committed_together_or_not_at_all() {
    let world = world_at_first();
    assert!(world.roll_back(|unit| take(unit, 2, "a")));
    assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")));
    assert_eq!((world.notes(), world.events()), (vec![], vec![]));

    let (mut lease, moved) = world.keep(None, |unit| take(unit, 2, "a"));
    assert!(moved);
    assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")), "it is not durable yet");
    assert_eq!((world.notes(), world.events()), (vec![], vec![]));
    durable(lease.commit());
    assert_eq!(world.cursor("book"), Some(place("l", 2, "e2")));
    assert_eq!((world.notes(), world.events()), (vec!["a".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn position_stays_if_the_unit_leaves_a_dangling_foreign_key() {
    let world = world_at_first();
    let mut unit = world.begin(None);
    assert!(take(&mut *unit, 2, "a"));
    unit.execute("INSERT INTO reply VALUES (1, 'nowhere')", &[]).unwrap();
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::ForeignKeys), "{ended:?}");
    durable(lease.commit());
    assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")));
    assert_eq!((world.notes(), world.events()), (vec![], vec![]));
}

#[test]
fn aborted_batch_rolls_the_position_back_and_a_stale_move_changes_nothing() {
    for sql in sure_ways_to_abort() {
        let world = world_at_first();
        let (lease, _) = world.keep(None, |unit| assert!(take(unit, 2, "a")));
        let (lease, _) = world.keep(Some(lease), |unit| assert!(take(unit, 3, "b")));
        let mut lease = abort(lease, sql);
        durable(lease.commit());
        assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")), "{sql}");
        assert_eq!((world.notes(), world.events()), (vec![], vec![]), "{sql}");

        // A worker that does not know of the abort continues from where it was.
        let mut unit = world.begin(Some(lease));
        assert!(!take(&mut *unit, 4, "c"), "{sql}");
        let (mut lease, _) = unit.finish(false);
        durable(lease.commit());
        drop(lease);
        assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")), "{sql}");
        assert!(world.notes().is_empty(), "{sql}");

        assert!(world.commit(|unit| take(unit, 2, "a")), "{sql}");
        assert_eq!((world.notes(), world.events()), (vec!["a".to_owned()], vec!["a".to_owned()]), "{sql}");
    }
}

#[test]
fn failing_commit_rolls_back_both_position_and_rows_or_neither() {
    let world = world_at_first();
    let (mut lease, _) = world.keep(None, |unit| assert!(take(unit, 2, "a")));
    world.faults.plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Aborted { .. }));
    assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")));
    assert_eq!((world.notes(), world.events()), (vec![], vec![]));

    let (mut lease, stale) = world.keep(Some(lease), |unit| {
        unit.move_cursor(&"book".into(), &place("l", 2, "e2"), (Sequence::new(3), "e3")).unwrap()
    });
    assert!(!stale);
    durable(lease.commit());

    let (mut lease, _) = world.keep(Some(lease), |unit| assert!(take(unit, 2, "a")));
    world.faults.plan(CommitFault::AfterDurable);
    durable(lease.commit());
    drop(lease);
    assert_eq!(world.cursor("book"), Some(place("l", 2, "e2")));
    // A worker that got no answer consumes the event again, and finds that it was consumed.
    assert!(!world.roll_back(|unit| take(unit, 2, "again")));
    assert_eq!((world.notes(), world.events()), (vec!["a".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn lease_dropped_with_an_open_batch_rolls_the_position_back() {
    let world = world_at_first();
    let (lease, _) = world.keep(None, |unit| assert!(take(unit, 2, "a")));
    drop(lease);
    assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")));
    assert!(world.notes().is_empty());
}

#[test]
fn position_survives_reopening_the_database() {
    let world = world_at_first().reopened();
    assert_eq!(world.cursor("book"), Some(place("l", 1, "e1")));
    assert!(world.commit(|unit| take(unit, 2, "a")));
}

/// A guest sees nothing of what the host writes for itself.
#[test]
fn guest_cannot_observe_the_host_moving_a_position() {
    let world = world();
    let mut unit = world.begin(Some(world.writer.acquire(soon()).unwrap()));
    note(&mut *unit, "a");
    let insert = "INSERT INTO reply VALUES (77, 'a')";
    assert_eq!(unit.execute(insert, &[]).unwrap().last_insert_rowid, 77);
    assert!(unit.move_cursor(&"book".into(), &place("l", 0, ""), (Sequence::new(1), "e1")).unwrap());
    let update =
        unit.execute("UPDATE note SET body = ?1 WHERE id = 'a'", &[Value::Text("x".into())]).unwrap();
    assert_eq!((update.rows_affected, update.last_insert_rowid), (1, 77));
    let read = unit.query("SELECT * FROM _bulkhead_cursor", &[]);
    assert!(matches!(read, Err(bulkhead_store::StatementError::NotAllowed(_))), "{read:?}");
    let (mut lease, _) = unit.finish(true);
    durable(lease.commit());
}
