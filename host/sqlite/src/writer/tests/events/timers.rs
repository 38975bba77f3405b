//! Durable timers: set in the unit of work, due in order, consumed once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bulkhead_store::{
    Commit, CommitFault, Happened, Logged, NewEvent, Parked, ParkedState, PublishError, Timers, WriterOptions,
};
use bulkhead_types::limits::TIMERS_MAX;
use bulkhead_types::{Sequence, Subject};

use super::{abort, event, ms, note, options, sure_ways_to_abort};
use crate::writer::tests::{World, durable, trace_id, world, write};

impl World {
    /// The subjects of the timers that are due, and when the next one is due.
    fn due(&self, now: u64, count: u32) -> (Vec<String>, Option<Duration>) {
        let (due, next) = self.inbox().due_timers(ms(now), count).unwrap();
        (due.into_iter().map(|timer| timer.subject.to_string()).collect(), next)
    }
}

fn set(unit: &mut super::Unit, subject: &str, due: u64) {
    unit.schedule(&event("loan.late", &subject.into(), "{}"), ms(due)).unwrap();
}

/// A world with these timers, set in this order.
fn world_of(timers: &[(&str, u64)]) -> World {
    let world = world();
    world.commit(|unit| timers.iter().for_each(|(subject, due)| set(unit, subject, *due)));
    world
}

#[test]
fn timer_is_set_only_once_its_unit_of_work_is_durable() {
    let world = world();
    world.roll_back(|unit| set(unit, "never", 1));
    assert_eq!(world.due(10, 9), (vec![], None));
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    assert_eq!(world.due(10, 9), (vec![], None));
    durable(lease.commit());
    assert_eq!(world.due(10, 9), (vec!["a".to_owned()], None));
}

#[test]
fn timer_of_an_aborted_batch_does_not_exist() {
    for sql in sure_ways_to_abort() {
        let world = world();
        let (lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
        durable(abort(lease, sql).commit());
        assert_eq!(world.due(10, 9), (vec![], None), "{sql}");
    }
}

#[test]
fn timers_are_due_in_the_order_of_their_time_and_then_of_creation() {
    let world = world_of(&[("c", 30), ("a", 10), ("d", 50), ("b", 10)]);
    for (now, count, due, next) in [
        (9, 9, &[][..], Some(ms(10))),
        (10, 9, &["a", "b"][..], Some(ms(30))),
        (30, 9, &["a", "b", "c"][..], Some(ms(50))),
        (30, 2, &["a", "b"][..], Some(ms(50))),
        (50, 9, &["a", "b", "c", "d"][..], None),
    ] {
        let expected = (due.iter().map(|subject| (*subject).to_owned()).collect(), next);
        assert_eq!(world.due(now, count), expected, "{now} {count}");
    }
}

#[test]
fn timer_delivers_the_event_that_was_set() {
    let world = world();
    let data = r#"{"loan":"é"}"#;
    world.commit(|unit| unit.schedule(&event("loan.late", &"o".into(), data), ms(5)).unwrap());
    let expected = Logged {
        sequence: Sequence::new(1),
        id: "e".into(),
        kind: "loan.late".into(),
        subject: "o".into(),
        time: "now".into(),
        trace_id: trace_id(1),
        data: data.into(),
    };
    assert_eq!(world.inbox().timer(Sequence::new(1)).unwrap(), Some(expected));
    assert_eq!(world.inbox().timer(Sequence::new(2)).unwrap(), None);
}

#[test]
fn timer_is_consumed_once() {
    let world = world_of(&[("a", 1), ("b", 1)]);
    assert!(world.roll_back(|unit| unit.consume_timer(Sequence::new(1), false).unwrap()));
    let (lease, first) = world.keep(None, |unit| unit.consume_timer(Sequence::new(1), false).unwrap());
    let (mut lease, second) =
        world.keep(Some(lease), |unit| unit.consume_timer(Sequence::new(1), false).unwrap());
    durable(lease.commit());
    drop(lease);
    assert_eq!((first, second), (true, false), "in one batch");
    assert!(!world.commit(|unit| unit.consume_timer(Sequence::new(1), false).unwrap()));
    assert_eq!(world.due(10, 9), (vec!["b".to_owned()], None));
}

#[test]
fn consumed_timer_exists_again_if_its_batch_is_aborted() {
    for sql in sure_ways_to_abort() {
        let world = world_of(&[("a", 1)]);
        let (lease, _) = world.keep(None, |unit| {
            note(unit, "rung");
            assert!(unit.consume_timer(Sequence::new(1), false).unwrap());
        });
        durable(abort(lease, sql).commit());
        assert_eq!((world.due(10, 9).0, world.notes()), (vec!["a".to_owned()], vec![]), "{sql}");
        world.commit(|unit| {
            note(unit, "rung");
            assert!(unit.consume_timer(Sequence::new(1), false).unwrap());
        });
        assert_eq!((world.due(10, 9).0, world.notes()), (vec![], vec!["rung".to_owned()]), "{sql}");
    }
}

#[test]
fn parked_timer_is_neither_due_nor_next_and_is_consumed_only_as_parked() {
    let world = world_of(&[("a", 1), ("b", 5)]);
    assert!(world.commit(|unit| unit.mark_timer_parked(Sequence::new(1)).unwrap()));
    assert!(!world.commit(|unit| unit.mark_timer_parked(Sequence::new(1)).unwrap()), "it was");
    assert!(!world.commit(|unit| unit.mark_timer_parked(Sequence::new(7)).unwrap()), "there is none");
    assert_eq!(world.due(3, 9), (vec![], Some(ms(5))));
    assert_eq!(world.due(9, 9), (vec!["b".to_owned()], None));
    assert!(world.commit(|unit| unit.mark_timer_parked(Sequence::new(2)).unwrap()));
    assert_eq!(world.due(3, 9), (vec![], None));
    assert!(!world.commit(|unit| unit.consume_timer(Sequence::new(1), false).unwrap()));
    assert!(world.inbox().timer(Sequence::new(1)).unwrap().is_some());
    assert!(world.commit(|unit| unit.consume_timer(Sequence::new(1), true).unwrap()));
    assert!(world.inbox().timer(Sequence::new(1)).unwrap().is_none());
}

#[test]
fn timers_survive_reopening_the_database_and_no_number_is_used_twice() {
    let world = world_of(&[("a", 30), ("b", 10)]);
    assert!(world.commit(|unit| unit.consume_timer(Sequence::new(2), false).unwrap()));
    let world = world.reopened();
    assert_eq!(world.due(20, 9), (vec![], Some(ms(30))));
    assert_eq!(world.due(30, 9), (vec!["a".to_owned()], None));
    world.commit(|unit| set(unit, "c", 40));
    let (timers, _) = world.inbox().due_timers(ms(40), 9).unwrap();
    assert_eq!(timers.iter().map(|timer| timer.sequence.get()).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn timer_that_is_not_a_valid_event_is_refused_and_does_not_fail_the_unit() {
    let world = world();
    world.commit(|unit| {
        for wrong in
            [event("", &"s".into(), "{}"), event("k", &"".into(), "{}"), event("k", &"s".into(), "nonsense")]
        {
            let result = unit.schedule(&wrong, ms(1));
            assert!(matches!(result, Err(PublishError::Invalid(_))), "{wrong:?}: {result:?}");
        }
        note(unit, "a");
    });
    assert_eq!((world.due(10, 9), world.notes()), ((vec![], None), vec!["a".to_owned()]));
}

impl World {
    /// How many timers are counted, and how many there are.
    fn timers(&self) -> [i64; 2] {
        ["SELECT timers FROM _bulkhead_meta", "SELECT count(*) FROM _bulkhead_timer"]
            .map(|sql| self.number(sql))
    }
}

#[test]
fn timer_is_refused_at_the_maximum_and_set_once_another_is_gone() {
    let world = world_of(&[("a", 1)]);
    // As if there were a million.
    world.by_hand(&format!("UPDATE _bulkhead_meta SET timers = {TIMERS_MAX}"));
    world.commit(|unit| {
        let refused = unit.schedule(&event("loan.late", &"b".into(), "{}"), ms(1));
        assert!(
            matches!(&refused, Err(PublishError::Invalid(why)) if why.contains("1000000")),
            "{refused:?}"
        );
        note(unit, "goes on");
        assert!(unit.consume_timer(Sequence::new(1), false).unwrap());
        set(unit, "c", 1);
        assert!(unit.schedule(&event("loan.late", &"d".into(), "{}"), ms(1)).is_err());
    });
    assert_eq!((world.due(10, 9).0, world.notes()), (vec!["c".to_owned()], vec!["goes on".to_owned()]));
}

#[test]
fn timer_count_is_exact_for_every_outcome_of_a_unit_or_a_batch() {
    let world = world_of(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    assert_eq!(world.timers(), [4, 4]);
    world.roll_back(|unit| {
        set(unit, "never", 1);
        assert!(unit.consume_timer(Sequence::new(1), false).unwrap());
        assert_eq!(
            unit.cancel(&"loan".into(), Timers::Of { kind: "loan.late", subject: &"b".into() }, None),
            Ok(1)
        );
    });
    assert_eq!(world.timers(), [4, 4], "after a unit that was rolled back");
    for sql in sure_ways_to_abort() {
        let (lease, ()) = world.keep(None, |unit| {
            set(unit, "aborted", 1);
            assert!(unit.consume_timer(Sequence::new(1), false).unwrap());
        });
        durable(abort(lease, sql).commit());
        assert_eq!(world.timers(), [4, 4], "{sql}");
    }
    world.commit(|unit| {
        assert!(unit.mark_timer_parked(Sequence::new(1)).unwrap());
        unit.park(&parked(1, ParkedState::Dead)).unwrap();
        assert!(unit.drop_dead(&"loan".into(), &"loan".into(), Sequence::new(1)).unwrap());
        assert!(unit.consume_timer(Sequence::new(2), false).unwrap());
        assert_eq!(
            unit.cancel(&"loan".into(), Timers::Of { kind: "loan.late", subject: &"c".into() }, None),
            Ok(1)
        );
        set(unit, "e", 1);
    });
    assert_eq!(world.timers(), [2, 2]);
    assert_eq!(world.reopened().timers(), [2, 2]);
}

/// The row of a timer that failed.
fn parked(sequence: i64, state: ParkedState) -> Parked {
    Parked {
        producer: "loan".into(),
        sequence: Sequence::new(sequence),
        id: format!("e{sequence}"),
        kind: "loan.late".into(),
        subject: "a".into(),
        trace_id: trace_id(1),
        state,
        attempts: 1,
        next: ms(1),
        since: ms(1),
        reason: String::new(),
    }
}

/// A world with these timers, each with an id of its own.
fn world_with_ids(timers: &[(&str, &str, &str)]) -> World {
    let world = world();
    world.commit(|unit| {
        for (id, kind, subject) in timers {
            unit.schedule(&NewEvent { id, ..event(kind, &(*subject).into(), "{}") }, ms(1)).unwrap();
        }
    });
    world
}

fn of<'t>(kind: &'t str, subject: &'t Subject) -> Timers<'t> {
    Timers::Of { kind, subject }
}

#[test]
fn only_timers_with_the_given_id_or_type_and_subject_are_cancelled() {
    let world = world_with_ids(&[
        ("1", "loan.late", "a"),
        ("2", "loan.late", "a"),
        ("3", "loan.late", "b"),
        ("4", "loan.over", "a"),
        ("5", "loan.late", "a"),
    ]);
    let left = || world.inbox().timers().unwrap().into_iter().map(|(timer, _)| timer.id).collect::<Vec<_>>();
    world.commit(|unit| {
        assert_eq!(unit.cancel(&"loan".into(), Timers::Id("2"), None), Ok(1));
        assert_eq!(unit.cancel(&"loan".into(), Timers::Id("2"), None), Ok(0), "it is gone");
        assert_eq!(unit.cancel(&"loan".into(), Timers::Id("a"), None), Ok(0), "no id");
        assert_eq!(unit.cancel(&"loan".into(), of("loan.late", &"A".into()), None), Ok(0), "no subject");
        assert_eq!(unit.cancel(&"loan".into(), of("loan.lat", &"a".into()), None), Ok(0), "no type");
    });
    assert_eq!(left(), ["1", "3", "4", "5"]);
    world.commit(|unit| assert_eq!(unit.cancel(&"loan".into(), of("loan.late", &"a".into()), None), Ok(2)));
    assert_eq!(left(), ["3", "4"]);
}

#[test]
fn cancelling_is_undone_with_its_unit_of_work_or_its_batch() {
    for sql in sure_ways_to_abort() {
        let world = world_of(&[("a", 1)]);
        assert_eq!(
            world.roll_back(|unit| unit.cancel(&"loan".into(), of("loan.late", &"a".into()), None)),
            Ok(1)
        );
        assert_eq!(world.due(10, 9).0, ["a"], "after a rollback");
        let (lease, _) = world.keep(None, |unit| {
            note(unit, "cancelled");
            unit.cancel(&"loan".into(), of("loan.late", &"a".into()), None).unwrap()
        });
        durable(abort(lease, sql).commit());
        assert_eq!((world.due(10, 9).0, world.notes()), (vec!["a".to_owned()], vec![]), "{sql}");
    }
}

#[test]
fn timer_that_was_set_in_the_same_unit_of_work_is_cancelled_in_it() {
    let world = world();
    world.commit(|unit| {
        set(unit, "a", 1);
        assert_eq!(unit.cancel(&"loan".into(), of("loan.late", &"a".into()), None), Ok(1));
        set(unit, "a", 2);
    });
    assert_eq!(world.due(1, 9), (vec![], Some(ms(2))));
    assert_eq!(world.timers(), [1, 1]);
}

#[test]
fn running_handler_does_not_cancel_its_own_timer_and_consumes_it_on_commit() {
    let world = world_of(&[("a", 1), ("a", 2)]);
    world.commit(|unit| {
        assert_eq!(
            unit.cancel(&"loan".into(), of("loan.late", &"a".into()), Some(Sequence::new(1))),
            Ok(1),
            "the other one"
        );
        assert_eq!(unit.cancel(&"loan".into(), Timers::Id("e"), Some(Sequence::new(1))), Ok(0));
        assert!(unit.consume_timer(Sequence::new(1), false).unwrap());
    });
    assert_eq!(world.timers(), [0, 0]);
}

/// The first one wins: the other finds that the timer is gone, and its caller rolls it back.
#[test]
fn cancelled_timer_is_neither_consumed_nor_parked() {
    let world = world_of(&[("a", 1)]);
    let (lease, _) =
        world.keep(None, |unit| unit.cancel(&"loan".into(), of("loan.late", &"a".into()), None).unwrap());
    let (mut lease, consumed) = world.keep(Some(lease), |unit| {
        (
            unit.consume_timer(Sequence::new(1), false).unwrap(),
            unit.mark_timer_parked(Sequence::new(1)).unwrap(),
        )
    });
    durable(lease.commit());
    drop(lease);
    assert_eq!(consumed, (false, false), "in one batch");
    assert!(!world.commit(|unit| unit.consume_timer(Sequence::new(1), false).unwrap()));
}

#[test]
fn failed_timer_is_cancelled_with_its_parked_row_and_releases_its_subject() {
    for state in [ParkedState::Parked, ParkedState::Dead] {
        let world =
            world_with_ids(&[("1", "loan.late", "a"), ("2", "loan.over", "a"), ("3", "loan.late", "b")]);
        let other = Parked { producer: "book".into(), ..parked(1, state) };
        world.commit(|unit| {
            for sequence in [1, 2] {
                assert!(unit.mark_timer_parked(Sequence::new(sequence)).unwrap());
                unit.park(&parked(sequence, if sequence == 1 { state } else { ParkedState::Parked }))
                    .unwrap();
            }
            // Another service's event has the same number.
            unit.park(&other).unwrap();
        });
        assert_eq!(world.commit(|unit| unit.cancel(&"loan".into(), Timers::Id("1"), None)), Ok(1));
        let left = world.inbox().parked().unwrap();
        let left: Vec<_> = left.iter().map(|row| (row.producer.as_str(), row.sequence.get())).collect();
        assert_eq!(left, [("book", 1), ("loan", 2)], "{state:?}");
        assert_eq!(world.inbox().parked_at(&"loan".into(), Sequence::new(1)).unwrap(), None);
        assert_eq!(
            world
                .inbox()
                .held_up(&"loan".into(), Some((&"a".into(), trace_id(99))), Sequence::new(9))
                .unwrap()
                .unwrap()
                .sequence,
            Sequence::new(2)
        );
        let unpark = |unit: &mut super::Unit| unit.unpark(&parked(1, state)).unwrap();
        assert!(!world.commit(unpark), "its attempt finds it gone");
    }
}

/// A world whose writer records each report of what has become durable.
fn observed_world() -> (World, Arc<Mutex<Vec<Happened>>>) {
    let world = world();
    let notified = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&notified);
    let options = WriterOptions { faults: world.faults.clone(), ..options() };
    let after_commit = Arc::new(move |happened| tell.lock().unwrap().push(happened));
    let writer = crate::Writer::open(Arc::clone(&world.database), options, after_commit).unwrap();
    (World { writer, ..world }, notified)
}

fn consumed(notified: &Mutex<Vec<Happened>>) -> Vec<Happened> {
    std::mem::take(&mut notified.lock().unwrap())
}

const TIMERS_ALONE: Happened = Happened { head: None, timers: true };

#[test]
fn timer_is_announced_once_when_it_is_durable() {
    let (world, notified) = observed_world();
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    assert!(consumed(&notified).is_empty());
    durable(lease.commit());
    assert_eq!(consumed(&notified), [TIMERS_ALONE]);
    let (mut lease, ()) = world.keep(Some(lease), |unit| write(unit, "b"));
    durable(lease.commit());
    assert_eq!(consumed(&notified), [Happened { head: Some(Sequence::new(1)), timers: false }]);
    let (mut lease, ()) = world.keep(Some(lease), |unit| {
        set(unit, "c", 1);
        write(unit, "c");
    });
    durable(lease.commit());
    assert_eq!(consumed(&notified), [Happened { head: Some(Sequence::new(2)), timers: true }]);
}

#[test]
fn timer_of_a_rolled_back_unit_is_not_announced() {
    let (world, notified) = observed_world();
    world.roll_back(|unit| set(unit, "never", 1));
    assert!(consumed(&notified).is_empty());
    world.commit(|unit| note(unit, "a"));
    assert!(consumed(&notified).is_empty());
}

#[test]
fn consuming_a_timer_is_not_announced() {
    let (world, notified) = observed_world();
    world.commit(|unit| set(unit, "a", 1));
    consumed(&notified);
    world.commit(|unit| assert!(unit.consume_timer(Sequence::new(1), false).unwrap()));
    assert!(consumed(&notified).is_empty());
}

#[test]
fn timer_is_announced_only_if_a_failing_commit_left_it() {
    let (world, notified) = observed_world();
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    world.faults.plan(CommitFault::AfterDurable);
    durable(lease.commit());
    assert_eq!(consumed(&notified), [TIMERS_ALONE]);
    let (mut lease, ()) = world.keep(Some(lease), |unit| set(unit, "b", 1));
    world.faults.plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Aborted { .. }));
    assert!(consumed(&notified).is_empty());
}

#[test]
fn timer_of_an_aborted_batch_is_not_announced_by_the_next() {
    for sql in sure_ways_to_abort() {
        let (world, notified) = observed_world();
        let (lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
        let (mut lease, ()) = world.keep(Some(abort(lease, sql)), |unit| note(unit, "b"));
        durable(lease.commit());
        assert_eq!(consumed(&notified), [], "{sql}");
    }
    let (world, notified) = observed_world();
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    world.faults.plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Aborted { .. }));
    let (mut lease, ()) = world.keep(Some(lease), |unit| note(unit, "b"));
    durable(lease.commit());
    assert_eq!(consumed(&notified), [], "by a failing commit");
}
