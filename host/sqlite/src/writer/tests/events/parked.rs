//! Parked events and dead letters: an event is consumed, parked, or still ahead, and a subject's events keep their order.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::time::Duration;

use bulkhead_store::{Cursor, Ended, InboxReader, Parked, ParkedState, StatementError, Value};
use bulkhead_types::Sequence;
use rusqlite::{Connection, ffi};

use super::{abort, event, ms, note, sure_ways_to_abort};
use crate::writer::tests::{World, durable, trace_id, world, world_with};

/// The event `sequence` of `book`, to be tried at `next`.
fn parked(sequence: i64, subject: &str, next: u64) -> Parked {
    Parked {
        producer: "book".into(),
        sequence: Sequence::new(sequence),
        id: format!("e{sequence}"),
        kind: "book.changed".into(),
        subject: subject.into(),
        trace_id: trace_id(1),
        state: ParkedState::Parked,
        attempts: 1,
        next: ms(next),
        since: ms(1000),
        reason: "it was not there".into(),
    }
}

fn dead(sequence: i64, subject: &str) -> Parked {
    Parked { state: ParkedState::Dead, ..parked(sequence, subject, 0) }
}

/// A world with these events parked, in this order.
fn world_of(rows: &[Parked]) -> World {
    let world = world();
    world.commit(|unit| rows.iter().for_each(|row| unit.park(row).unwrap()));
    world
}

/// The trace of no event.
const OTHER_TRACE: u128 = 99;

fn held_up(
    inbox: &dyn InboxReader,
    producer: &str,
    (subject, of_trace): (&str, u128),
    sequence: i64,
) -> Option<Parked> {
    let subject = subject.into();
    inbox.held_up(&producer.into(), Some((&subject, trace_id(of_trace))), Sequence::new(sequence)).unwrap()
}

impl World {
    fn parked(&self) -> Vec<i64> {
        self.inbox().parked().unwrap().into_iter().map(|row| row.sequence.get()).collect()
    }

    /// The sequence of the parked event that is due, and when the next one is due.
    fn next_parked(&self, now: u64) -> (Option<i64>, Option<Duration>) {
        let (due, next) = self.inbox().next_parked(ms(now)).unwrap();
        (due.map(|row| row.sequence.get()), next)
    }

    fn held_up(&self, subject: &str, sequence: i64) -> Option<i64> {
        held_up(&*self.inbox(), "book", (subject, OTHER_TRACE), sequence).map(|row| row.sequence.get())
    }
}

fn park_and_move(unit: &mut super::Unit, row: &Parked) -> bool {
    unit.park(row).unwrap();
    let from = Cursor { log: "l".into(), ..Cursor::default() };
    unit.move_cursor(&row.producer, &from, (row.sequence, &row.id)).unwrap()
}

#[test]
fn event_is_parked_in_the_unit_of_work_that_moves_the_position_past_it() {
    let world = world();
    let row = parked(3, "s", 50);
    assert!(world.roll_back(|unit| park_and_move(unit, &row)));
    assert_eq!((world.parked(), world.cursor("book")), (vec![], None));

    for sql in sure_ways_to_abort() {
        let (lease, _) = world.keep(None, |unit| assert!(park_and_move(unit, &row)));
        drop(abort(lease, sql));
        assert_eq!((world.parked(), world.cursor("book")), (vec![], None), "{sql}");
    }

    assert!(world.commit(|unit| park_and_move(unit, &row)));
    assert_eq!(world.inbox().parked().unwrap(), std::slice::from_ref(&row), "every field as it was parked");
    assert_eq!(world.inbox().parked_at(&"book".into(), Sequence::new(3)).unwrap(), Some(row));
    assert_eq!(world.cursor("book").map(|cursor| cursor.sequence), Some(Sequence::new(3)));
}

#[test]
fn only_the_first_event_of_a_subject_is_retried_and_the_earliest_due_first() {
    let world = world_of(&[parked(5, "s", 0), parked(3, "s", 100), parked(4, "t", 50)]);
    assert_eq!(world.next_parked(10), (None, Some(ms(50))), "5 is due but waits behind 3");
    assert_eq!(world.next_parked(50), (Some(4), None));
    assert_eq!(world.next_parked(1000), (Some(4), None));
    assert!(world.commit(|unit| unit.unpark(&parked(4, "t", 50)).unwrap()));
    assert_eq!(world.next_parked(99), (None, Some(ms(100))));
    assert_eq!(world.next_parked(100), (Some(3), None));
    assert!(world.commit(|unit| unit.unpark(&parked(3, "s", 100)).unwrap()));
    assert_eq!(world.next_parked(0), (Some(5), None));
    assert!(world.commit(|unit| unit.unpark(&parked(5, "s", 0)).unwrap()));
    assert_eq!(world.next_parked(u64::MAX >> 1), (None, None));
}

#[test]
fn dead_letter_is_not_retried_and_releases_the_next_event_of_its_subject() {
    let world = world_of(&[dead(3, "s"), parked(5, "s", 10)]);
    assert_eq!(world.next_parked(10), (Some(5), None));
    assert!(world.commit(|unit| unit.unpark(&parked(5, "s", 10)).unwrap()));
    assert_eq!(world.next_parked(10), (None, None));
    assert_eq!(world.parked(), [3]);
}

#[test]
fn subject_of_one_producer_does_not_block_that_of_another() {
    let theirs = Parked { producer: "user".into(), ..parked(9, "s", 5) };
    let world = world_of(&[parked(3, "s", 100), theirs.clone()]);
    assert_eq!(world.inbox().next_parked(ms(5)).unwrap(), (Some(theirs), None));
    assert_eq!(held_up(&*world.inbox(), "user", ("s", OTHER_TRACE), 8), None);
    world.commit(|unit| {
        assert_eq!(unit.has_parked(&"bill".into(), &"s".into()), Ok(false));
        assert_eq!(unit.has_parked(&"user".into(), &"s".into()), Ok(true));
    });
}

#[test]
fn subject_has_parked_events_until_the_last_is_consumed_or_dead() {
    let world = world_of(&[parked(3, "s", 0), dead(4, "t")]);
    world.commit(|unit| {
        assert_eq!(unit.has_parked(&"book".into(), &"s".into()), Ok(true));
        assert_eq!(unit.has_parked(&"book".into(), &"t".into()), Ok(false), "a dead letter holds nothing up");
        assert_eq!(unit.has_parked(&"book".into(), &"other".into()), Ok(false));
        unit.park(&parked(6, "u", 0)).unwrap();
        assert_eq!(unit.has_parked(&"book".into(), &"u".into()), Ok(true), "what the unit itself parked");
        assert!(unit.unpark(&parked(3, "s", 0)).unwrap());
        assert_eq!(unit.has_parked(&"book".into(), &"s".into()), Ok(false));
    });
    let subjects = world.inbox().parked_subjects(&"book".into()).unwrap();
    assert_eq!(subjects.into_iter().collect::<Vec<_>>(), ["u"]);
    assert_eq!(world.inbox().counts(&"book".into()), Ok((1, 1)));
    assert_eq!(world.inbox().counts(&"user".into()), Ok((0, 0)));
}

#[test]
fn subject_is_blocked_by_its_first_parked_event_and_an_event_by_itself() {
    let world = world_of(&[parked(3, "s", 0), parked(5, "s", 0), dead(7, "t")]);
    for (subject, sequence, expected) in [
        ("s", 2, None),
        ("s", 3, Some(3)),
        ("s", 4, Some(3)),
        ("s", 5, Some(3)),
        ("s", 9, Some(3)),
        ("t", 6, None),
        ("t", 7, Some(7)),
        ("t", 8, None),
        ("u", 9, None),
    ] {
        assert_eq!(world.held_up(subject, sequence), expected, "{subject} {sequence}");
    }
}

#[test]
fn write_is_blocked_by_parked_events_of_its_trace_in_any_subject_and_state() {
    let of = |row: Parked, trace| Parked { trace_id: trace_id(trace), ..row };
    let world = world_of(&[
        of(parked(3, "s", 0), 1),
        of(dead(5, "t"), 2),
        of(parked(6, "u", 0), 2),
        of(parked(8, "v", 0), 2),
    ]);
    for (subject, trace, sequence, expected) in [
        ("x", 1, 9, Some(3)),
        ("x", 1, 2, None),
        ("x", 2, 9, Some(5)),
        ("x", 2, 4, None),
        ("x", OTHER_TRACE, 9, None),
        // The earlier of the two, whichever it is.
        ("s", 2, 9, Some(3)),
        ("v", 2, 9, Some(5)),
        ("u", 1, 9, Some(3)),
    ] {
        let found = held_up(&*world.inbox(), "book", (subject, trace), sequence);
        assert_eq!(found.map(|row| row.sequence.get()), expected, "{subject} {trace} {sequence}");
    }
}

/// A client waits for an event. It must not get the answer that the event took effect just because another thread consumes the one
/// before it meanwhile.
#[test]
fn event_that_blocks_a_subject_is_searched_in_one_snapshot() {
    let world = world_of(&[parked(5, "s", 0), parked(7, "s", 0)]);
    let inbox = crate::InboxReader::open(&world.database).unwrap();
    let held_up = || held_up(&inbox, "book", ("s", OTHER_TRACE), 7).map(|row| row.sequence.get());
    let mut take = || assert!(world.commit(|unit| unit.unpark(&parked(5, "s", 0)).unwrap()));
    let found = during(inbox.connection(), "min(sequence)", &mut take, held_up);
    assert_eq!(found, Some(5));
    assert_eq!(held_up(), Some(7));
}

/// Calls `run`. When the connection begins the statement that contains this text, calls `other` first.
fn during<T>(
    connection: &Connection,
    text: &'static str,
    other: &mut dyn FnMut(),
    run: impl FnOnce() -> T,
) -> T {
    struct Plan<'p> {
        text: &'static str,
        other: Option<&'p mut dyn FnMut()>,
    }
    unsafe extern "C" fn begins(_: c_uint, plan: *mut c_void, _: *mut c_void, sql: *mut c_void) -> c_int {
        // SAFETY: the two are the plan that was registered, which outlives the registration, and the statement's text.
        let (plan, sql) = unsafe { (&mut *plan.cast::<Plan<'_>>(), CStr::from_ptr(sql.cast::<c_char>())) };
        if sql.to_string_lossy().contains(plan.text)
            && let Some(other) = plan.other.take()
        {
            other();
        }
        0
    }
    let mut plan = Plan { text, other: Some(other) };
    let handle =
        // SAFETY: the connection is open while it is borrowed, and nobody else has its handle.
        unsafe { connection.handle() };
    let context = std::ptr::from_mut(&mut plan).cast::<c_void>();
    // SAFETY: the callback is removed before the plan is dropped.
    unsafe { ffi::sqlite3_trace_v2(handle, ffi::SQLITE_TRACE_STMT, Some(begins), context) };
    let done = run();
    // SAFETY: as above.
    unsafe { ffi::sqlite3_trace_v2(handle, 0, None, std::ptr::null_mut()) };
    assert!(plan.other.is_none(), "no statement has the text {text}");
    done
}

#[test]
fn parked_event_is_removed_only_if_unchanged_since_it_was_read() {
    let row = Parked { attempts: 2, ..parked(3, "s", 0) };
    let world = world_of(std::slice::from_ref(&row));
    for other in [
        Parked { attempts: 1, ..row.clone() },
        Parked { attempts: 3, ..row.clone() },
        Parked { state: ParkedState::Dead, ..row.clone() },
        Parked { sequence: Sequence::new(4), ..row.clone() },
        Parked { producer: "user".into(), ..row.clone() },
    ] {
        assert!(!world.commit(|unit| unit.unpark(&other).unwrap()), "{other:?}");
        assert_eq!(world.parked(), [3], "{other:?}");
    }
    let (lease, first) = world.keep(None, |unit| unit.unpark(&row).unwrap());
    let (mut lease, second) = world.keep(Some(lease), |unit| unit.unpark(&row).unwrap());
    durable(lease.commit());
    assert_eq!((first, second), (true, false), "it takes effect once");
    assert!(world.parked().is_empty());
}

#[test]
fn removed_parked_event_is_parked_again_if_its_batch_is_aborted() {
    for sql in sure_ways_to_abort() {
        let row = parked(3, "s", 0);
        let world = world_of(std::slice::from_ref(&row));
        let (lease, _) = world.keep(None, |unit| {
            note(unit, "effect");
            assert!(unit.unpark(&row).unwrap());
        });
        drop(abort(lease, sql));
        assert_eq!((world.parked(), world.notes()), (vec![3], vec![]), "{sql}");
        world.commit(|unit| {
            note(unit, "effect");
            assert!(unit.unpark(&row).unwrap());
        });
        assert_eq!((world.parked(), world.notes()), (vec![], vec!["effect".to_owned()]), "{sql}");
    }
}

#[test]
fn event_parked_again_has_its_new_state_and_keeps_the_time_of_its_first_parking() {
    let world = world_of(&[parked(3, "s", 0)]);
    let again =
        Parked { attempts: 7, next: ms(900), reason: "still not".into(), since: ms(5), ..dead(3, "s") };
    world.commit(|unit| unit.park(&again).unwrap());
    assert_eq!(world.inbox().parked().unwrap(), [Parked { since: ms(1000), ..again }]);
}

#[test]
fn retried_dead_letter_is_due_at_once_with_zero_attempts() {
    let letter = Parked { attempts: 12, next: ms(9000), ..dead(3, "s") };
    let waiting = Parked { attempts: 4, ..parked(5, "t", 9000) };
    let world = world_of(&[letter.clone(), waiting.clone()]);
    assert_eq!(world.next_parked(0), (None, Some(ms(9000))));
    assert!(!world.commit(|unit| unit.retry_parked(&"book".into(), Sequence::new(4)).unwrap()));
    assert!(!world.commit(|unit| unit.retry_parked(&"user".into(), Sequence::new(3)).unwrap()));
    assert!(world.roll_back(|unit| unit.retry_parked(&"book".into(), Sequence::new(3)).unwrap()));
    assert_eq!(world.next_parked(0), (None, Some(ms(9000))));

    for row in [letter, waiting] {
        assert!(world.commit(|unit| unit.retry_parked(&"book".into(), row.sequence).unwrap()));
        let (due, _) = world.inbox().next_parked(ms(0)).unwrap();
        let again = Parked { state: ParkedState::Parked, attempts: 0, next: ms(0), ..row.clone() };
        assert_eq!(due, Some(again.clone()));
        // A caller that read the row before the retry can do nothing with it any more.
        assert!(!world.commit(|unit| unit.unpark(&row).unwrap()));
        assert!(world.commit(|unit| unit.unpark(&again).unwrap()));
    }
}

#[test]
fn retried_dead_letter_keeps_its_place_among_the_parked_events_of_its_subject() {
    let world = world_of(&[dead(3, "s"), parked(5, "s", 0), dead(7, "s")]);
    assert_eq!(world.next_parked(0), (Some(5), None));
    for (sequence, first) in [(7, 5), (3, 3)] {
        assert!(world.commit(|unit| unit.retry_parked(&"book".into(), Sequence::new(sequence)).unwrap()));
        assert_eq!(world.next_parked(0), (Some(first), None), "{sequence}");
        assert_eq!(world.held_up("s", 9), Some(first), "{sequence}");
    }
    for (sequence, attempts) in [(3, 0), (5, 1), (7, 0)] {
        assert_eq!(world.next_parked(0), (Some(sequence), None));
        let row = Parked { attempts, ..parked(sequence, "s", 0) };
        assert!(world.commit(|unit| unit.unpark(&row).unwrap()), "{sequence}");
    }
    assert_eq!(world.next_parked(0), (None, None));
}

#[test]
fn dead_first_event_of_a_subject_gives_its_turn_to_the_next() {
    let world = world_of(&[parked(3, "s", 0), parked(5, "s", 0), parked(7, "s", 0)]);
    for (sequence, next) in [(3, Some(5)), (5, Some(7)), (7, None)] {
        world.commit(|unit| unit.park(&dead(sequence, "s")).unwrap());
        assert_eq!(world.next_parked(0), (next, None), "{sequence}");
        assert_eq!(
            world.commit(|unit| unit.has_parked(&"book".into(), &"s".into())),
            Ok(next.is_some()),
            "{sequence}"
        );
    }
}

#[test]
fn only_a_dead_letter_can_be_dropped() {
    let world = world_of(&[parked(3, "s", 0), dead(4, "s")]);
    for (producer, sequence) in [("book", 3), ("book", 5), ("user", 4)] {
        let dropped = world.commit(|unit| {
            unit.drop_dead(&"loan".into(), &producer.into(), Sequence::new(sequence)).unwrap()
        });
        assert!(!dropped, "{producer} {sequence}");
    }
    assert_eq!(world.parked(), [3, 4]);
    assert!(
        world.roll_back(|unit| unit.drop_dead(&"loan".into(), &"book".into(), Sequence::new(4)).unwrap())
    );
    assert!(world.commit(|unit| unit.drop_dead(&"loan".into(), &"book".into(), Sequence::new(4)).unwrap()));
    assert_eq!(world.parked(), [3]);
}

#[test]
fn dead_letters_of_a_type_are_dropped_up_to_a_sequence_number() {
    let world = world_of(&[
        dead(3, "s"),
        dead(4, "t"),
        parked(5, "s", 0),
        Parked { kind: "book.moved".into(), ..dead(6, "s") },
        dead(7, "s"),
        dead(8, "s"),
        Parked { producer: "user".into(), ..dead(1, "s") },
    ]);
    assert_eq!(
        world.roll_back(|unit| unit.drop_dead_up_to(&"book".into(), "book.changed", Sequence::new(7))),
        Ok(3)
    );
    assert_eq!(
        world.commit(|unit| unit.drop_dead_up_to(&"book".into(), "book.changed", Sequence::new(7))),
        Ok(3)
    );
    assert_eq!(world.parked(), [5, 6, 8, 1]);
    assert_eq!(
        world.commit(|unit| unit.drop_dead_up_to(&"book".into(), "book.changed", Sequence::new(7))),
        Ok(0)
    );
}

#[test]
fn dead_letter_of_a_timer_is_dropped_with_the_timer() {
    let world = world();
    world.commit(|unit| {
        unit.schedule(&event("loan.late", &"o".into(), "{}"), ms(1)).unwrap();
        assert!(unit.mark_timer_parked(Sequence::new(1)).unwrap());
        unit.park(&Parked { producer: "loan".into(), ..parked(1, "o", 0) }).unwrap();
        unit.park(&dead(1, "s")).unwrap();
    });
    let timer = |world: &World| world.inbox().timer(Sequence::new(1)).unwrap().is_some();
    assert!(world.commit(|unit| unit.drop_dead(&"loan".into(), &"book".into(), Sequence::new(1)).unwrap()));
    assert!(timer(&world), "the dead letter was another's event of the same number");
    assert!(!world.commit(|unit| unit.drop_dead(&"loan".into(), &"loan".into(), Sequence::new(1)).unwrap()));
    assert!(timer(&world), "it is not dead yet");
    world.commit(|unit| unit.park(&Parked { producer: "loan".into(), ..dead(1, "o") }).unwrap());
    assert!(world.commit(|unit| unit.drop_dead(&"loan".into(), &"loan".into(), Sequence::new(1)).unwrap()));
    assert!(!timer(&world));
    assert!(world.parked().is_empty());
}

#[test]
fn parked_events_are_listed_oldest_first() {
    let since = |sequence, since| Parked { since: ms(since), ..parked(sequence, "s", 0) };
    let world = world_of(&[since(1, 30), since(2, 10), since(3, 20)]);
    assert_eq!(world.parked(), [2, 3, 1]);
}

#[test]
fn parked_events_are_paged_by_producer_and_sequence() {
    let of = |producer: &str, sequence| Parked { producer: producer.into(), ..parked(sequence, "s", 0) };
    let world = world_of(&[of("user", 5), of("book", 3), of("user", 1), of("book", 9)]);
    let inbox = world.inbox();
    let mut place = ("".into(), Sequence::BEFORE_FIRST);
    let mut found = Vec::new();
    loop {
        let page = inbox.parked_after((&place.0, place.1), 2).unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        place = (last.producer.clone(), last.sequence);
        found.extend(page.into_iter().map(|row| (row.producer, row.sequence)));
    }
    let found: Vec<_> =
        found.iter().map(|(producer, sequence)| (producer.as_str(), sequence.get())).collect();
    assert_eq!(found, [("book", 3), ("book", 9), ("user", 1), ("user", 5)]);
    assert_eq!(inbox.parked_after((&"book".into(), Sequence::new(3)), 9).unwrap().len(), 3);
}

/// Fills the guest's database until no row finds room: first with large rows, then with small ones.
fn fill(world: &World) {
    [10_000, 1_000, 100].into_iter().for_each(|size| fill_with(world, size));
}

fn fill_with(world: &World, size: usize) {
    for i in 0.. {
        let mut unit = world.begin(None);
        let row = [Value::Text(format!("{size}-{i}")), Value::Text("x".repeat(size))];
        let result = unit.execute("INSERT INTO note VALUES (?1, ?2)", &row);
        let (mut lease, ended) = unit.finish(result.is_ok());
        durable(lease.commit());
        // The search index is written when the savepoint is released: that write may be the one that finds no room.
        if !matches!(ended, Ended::Kept { .. }) {
            return assert!(matches!(result, Ok(_) | Err(StatementError::StorageFull)), "{result:?}");
        }
    }
}

/// The guest has no room, and what it tried to write is not there.
fn assert_full(world: &World) {
    let pages = world.number("PRAGMA page_count");
    let mut unit = world.begin(None);
    let row = [Value::Text("more".into()), Value::Text("x".repeat(10_000))];
    let result = unit.execute("INSERT INTO note VALUES (?1, ?2)", &row);
    assert!(matches!(result, Ok(_) | Err(StatementError::StorageFull)), "{result:?}");
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::Failed(_) | Ended::Aborted { .. }), "{ended:?}");
    durable(lease.commit());
    assert_eq!(world.number("PRAGMA page_count"), pages);
    assert!(!world.notes().contains(&"more".to_owned()));
}

#[test]
fn event_is_parked_beyond_the_guest_quota_which_applies_again_afterwards() {
    let world = world_with(1 << 20);
    fill(&world);
    let pages = world.number("PRAGMA page_count");
    world.commit(|unit| {
        for sequence in 1..200 {
            unit.park(&Parked { reason: "r".repeat(1000), ..parked(sequence, "s", 0) }).unwrap();
        }
        assert!(park_and_move(unit, &parked(200, "s", 0)));
    });
    assert!(world.number("PRAGMA page_count") > pages, "it was the reserve that they went into");
    assert_full(&world);

    let world = world.reopened();
    assert_eq!(world.parked().len(), 200);
    assert_eq!(world.cursor("book").map(|cursor| cursor.sequence), Some(Sequence::new(200)));
    assert_full(&world);
    // And there is room for the next event.
    world.commit(|unit| unit.park(&parked(201, "s", 0)).unwrap());
    assert_eq!(world.parked().len(), 201);
    // There is also room to mark the next event of the subject as the first, and a dead letter as one that is tried again.
    for sequence in 1..200 {
        assert!(world.commit(|unit| unit.unpark(&parked(sequence, "s", 0)).unwrap()), "{sequence}");
        assert_eq!(world.next_parked(10).0, Some(sequence + 1));
    }
    assert!(world.commit(|unit| unit.retry_parked(&"book".into(), Sequence::new(201)).unwrap()));
}

#[test]
fn guest_quota_applies_after_a_unit_that_used_the_reserve_was_rolled_back() {
    let world = world_with(1 << 20);
    fill(&world);
    world.roll_back(|unit| {
        for sequence in 1..20 {
            unit.park(&Parked { reason: "r".repeat(100_000), ..parked(sequence, "s", 0) }).unwrap();
        }
    });
    assert_full(&world);
}

#[test]
fn reserve_is_limited_and_the_guest_quota_applies_after_it_is_exhausted() {
    let world = world_with(1 << 20);
    fill(&world);
    world.commit(|unit| unit.park(&parked(1, "s", 0)).unwrap());
    let mut unit = world.begin(None);
    let found = (2..40)
        .map(|sequence| unit.park(&Parked { reason: "r".repeat(1 << 20), ..parked(sequence, "s", 0) }))
        .find_map(Result::err);
    assert_eq!(found, Some(StatementError::StorageFull));
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::Failed(_) | Ended::Aborted { .. }), "{ended:?}");
    durable(lease.commit());
    drop(lease);
    assert_eq!(world.parked(), [1]);
    assert_full(&world);
}
