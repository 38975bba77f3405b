//! Durable timers: set in the unit of work, due in their order, taken once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{event, lose, ms, note, sure_ways_to_lose};
use crate::writer::commit::{Commit, CommitFault};
use crate::writer::tests::{World, durable, world, write};
use crate::writer::{Happened, Writer, WriterOptions};
use crate::{Logged, PublishError};

impl World {
    /// The subjects of the timers that are due, and when the next is.
    fn due(&self, now: u64, count: u32) -> (Vec<String>, Option<Duration>) {
        let (due, next) = self.inbox().due_timers(ms(now), count).unwrap();
        (due.into_iter().map(|timer| timer.subject).collect(), next)
    }
}

fn set(unit: &mut super::Unit, subject: &str, due: u64) {
    unit.schedule(&event("loan.late", subject, "{}"), ms(due)).unwrap();
}

/// A world with a timer for each, in this order.
fn world_of(timers: &[(&str, u64)]) -> World {
    let world = world();
    world.commit(|unit| timers.iter().for_each(|(subject, due)| set(unit, subject, *due)));
    world
}

#[test]
fn timer_is_set_when_its_unit_of_work_is_durable_and_only_then() {
    let world = world();
    world.roll_back(|unit| set(unit, "never", 1));
    assert_eq!(world.due(10, 9), (vec![], None));
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    assert_eq!(world.due(10, 9), (vec![], None));
    durable(lease.commit());
    assert_eq!(world.due(10, 9), (vec!["a".to_owned()], None));
}

#[test]
fn timer_of_a_lost_batch_is_not_there() {
    for sql in sure_ways_to_lose() {
        let world = world();
        let (lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
        durable(lose(lease, sql).commit());
        assert_eq!(world.due(10, 9), (vec![], None), "{sql}");
    }
}

#[test]
fn timers_are_due_in_the_order_of_their_time_and_then_of_their_setting() {
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
fn timer_is_the_event_that_was_set() {
    let world = world();
    let data = r#"{"loan":"é"}"#;
    world.commit(|unit| unit.schedule(&event("loan.late", "o", data), ms(5)).unwrap());
    let expected = Logged {
        sequence: 1,
        id: "e".into(),
        kind: "loan.late".into(),
        subject: "o".into(),
        time: "now".into(),
        trace_id: "t".into(),
        data: data.into(),
    };
    assert_eq!(world.inbox().timer(1).unwrap(), Some(expected));
    assert_eq!(world.inbox().timer(2).unwrap(), None);
}

#[test]
fn timer_is_taken_once() {
    let world = world_of(&[("a", 1), ("b", 1)]);
    assert!(world.roll_back(|unit| unit.take_timer(1, false).unwrap()));
    let (lease, first) = world.keep(None, |unit| unit.take_timer(1, false).unwrap());
    let (mut lease, second) = world.keep(Some(lease), |unit| unit.take_timer(1, false).unwrap());
    durable(lease.commit());
    drop(lease);
    assert_eq!((first, second), (true, false), "in one batch");
    assert!(!world.commit(|unit| unit.take_timer(1, false).unwrap()));
    assert_eq!(world.due(10, 9), (vec!["b".to_owned()], None));
}

#[test]
fn timer_that_was_taken_is_there_again_where_its_batch_is_lost() {
    for sql in sure_ways_to_lose() {
        let world = world_of(&[("a", 1)]);
        let (lease, _) = world.keep(None, |unit| {
            note(unit, "rung");
            assert!(unit.take_timer(1, false).unwrap());
        });
        durable(lose(lease, sql).commit());
        assert_eq!((world.due(10, 9).0, world.notes()), (vec!["a".to_owned()], vec![]), "{sql}");
        world.commit(|unit| {
            note(unit, "rung");
            assert!(unit.take_timer(1, false).unwrap());
        });
        assert_eq!((world.due(10, 9).0, world.notes()), (vec![], vec!["rung".to_owned()]), "{sql}");
    }
}

#[test]
fn parked_timer_is_neither_due_nor_next_and_taken_only_as_parked() {
    let world = world_of(&[("a", 1), ("b", 5)]);
    assert!(world.commit(|unit| unit.mark_timer_parked(1).unwrap()));
    assert!(!world.commit(|unit| unit.mark_timer_parked(1).unwrap()), "it was");
    assert!(!world.commit(|unit| unit.mark_timer_parked(7).unwrap()), "there is none");
    assert_eq!(world.due(3, 9), (vec![], Some(ms(5))));
    assert_eq!(world.due(9, 9), (vec!["b".to_owned()], None));
    assert!(world.commit(|unit| unit.mark_timer_parked(2).unwrap()));
    assert_eq!(world.due(3, 9), (vec![], None));
    assert!(!world.commit(|unit| unit.take_timer(1, false).unwrap()));
    assert!(world.inbox().timer(1).unwrap().is_some());
    assert!(world.commit(|unit| unit.take_timer(1, true).unwrap()));
    assert!(world.inbox().timer(1).unwrap().is_none());
}

#[test]
fn timers_survive_opening_the_database_again_and_no_number_is_given_twice() {
    let world = world_of(&[("a", 30), ("b", 10)]);
    assert!(world.commit(|unit| unit.take_timer(2, false).unwrap()));
    let world = world.reopened();
    assert_eq!(world.due(20, 9), (vec![], Some(ms(30))));
    assert_eq!(world.due(30, 9), (vec!["a".to_owned()], None));
    world.commit(|unit| set(unit, "c", 40));
    let (timers, _) = world.inbox().due_timers(ms(40), 9).unwrap();
    assert_eq!(timers.iter().map(|timer| timer.sequence).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn timer_that_can_not_be_an_event_is_refused_and_costs_the_unit_nothing() {
    let world = world();
    world.commit(|unit| {
        for wrong in [event("", "s", "{}"), event("k", "", "{}"), event("k", "s", "nonsense")] {
            let result = unit.schedule(&wrong, ms(1));
            assert!(matches!(result, Err(PublishError::Invalid(_))), "{wrong:?}: {result:?}");
        }
        note(unit, "a");
    });
    assert_eq!((world.due(10, 9), world.notes()), ((vec![], None), vec!["a".to_owned()]));
}

/// A world whose writer tells of all that has become durable.
fn told_world() -> (World, Arc<Mutex<Vec<Happened>>>) {
    let world = world();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let options = WriterOptions { batch_age: Duration::from_secs(60), ..WriterOptions::default() };
    let after_commit = Arc::new(move |happened| tell.lock().unwrap().push(happened));
    let writer = Writer::open(Arc::clone(&world.database), options, after_commit).unwrap();
    (World { writer, ..world }, told)
}

fn taken(told: &Mutex<Vec<Happened>>) -> Vec<Happened> {
    std::mem::take(&mut told.lock().unwrap())
}

const TIMERS_ALONE: Happened = Happened { head: None, timers: true };

#[test]
fn timer_is_told_of_when_it_is_durable_and_once() {
    let (world, told) = told_world();
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    assert!(taken(&told).is_empty());
    durable(lease.commit());
    assert_eq!(taken(&told), [TIMERS_ALONE]);
    let (mut lease, ()) = world.keep(Some(lease), |unit| write(unit, "b"));
    durable(lease.commit());
    assert_eq!(taken(&told), [Happened { head: Some(1), timers: false }]);
    let (mut lease, ()) = world.keep(Some(lease), |unit| {
        set(unit, "c", 1);
        write(unit, "c");
    });
    durable(lease.commit());
    assert_eq!(taken(&told), [Happened { head: Some(2), timers: true }]);
}

#[test]
fn timer_of_a_unit_that_was_rolled_back_is_not_told_of() {
    let (world, told) = told_world();
    world.roll_back(|unit| set(unit, "never", 1));
    assert!(taken(&told).is_empty());
    world.commit(|unit| note(unit, "a"));
    assert!(taken(&told).is_empty());
}

#[test]
fn taking_a_timer_is_not_told_of() {
    let (world, told) = told_world();
    world.commit(|unit| set(unit, "a", 1));
    taken(&told);
    world.commit(|unit| assert!(unit.take_timer(1, false).unwrap()));
    assert!(taken(&told).is_empty());
}

#[test]
fn timer_is_told_of_where_a_failing_commit_left_it_and_not_where_it_did_not() {
    let (world, told) = told_world();
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    lease.faults().plan(CommitFault::AfterDurable);
    durable(lease.commit());
    assert_eq!(taken(&told), [TIMERS_ALONE]);
    let (mut lease, ()) = world.keep(Some(lease), |unit| set(unit, "b", 1));
    lease.faults().plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Lost { .. }));
    assert!(taken(&told).is_empty());
}

#[test]
fn timer_of_a_lost_batch_is_not_told_of_by_the_next() {
    for sql in sure_ways_to_lose() {
        let (world, told) = told_world();
        let (lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
        let (mut lease, ()) = world.keep(Some(lose(lease, sql)), |unit| note(unit, "b"));
        durable(lease.commit());
        assert_eq!(taken(&told), [], "{sql}");
    }
    let (world, told) = told_world();
    let (mut lease, ()) = world.keep(None, |unit| set(unit, "a", 1));
    lease.faults().plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Lost { .. }));
    let (mut lease, ()) = world.keep(Some(lease), |unit| note(unit, "b"));
    durable(lease.commit());
    assert_eq!(taken(&told), [], "by a failing commit");
}
