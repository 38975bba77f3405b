//! What a statement costs, in steps of SQLite's virtual machine: the same with few rows and with a hundred times as many.

use std::time::Duration;

use bulkhead_store::{
    AppendEvent as _, ChangeReplicas as _, Ended, EventLog as _, Inbox as _, InboxReader, KeepAnswers as _,
    KeptAnswer, Parked, ParkedState, Reader as _, RequestKey, Secret, SetTimers as _, Timers,
    UnitOfWork as _,
};
use bulkhead_types::Sequence;
use rusqlite::{Connection, ffi};

use super::super::{event, ms};
use super::World;
use crate::event_log::EmbeddedLog;
use crate::inbox;
use crate::writer::tests::world;
use crate::writer::tests::{durable, soon, trace_id};

const FEW: u32 = 300;
const MANY: u32 = 100 * FEW;
const NOW: Duration = Duration::from_secs(1_000_000_000);

/// The steps of all statements that a connection has prepared and kept.
fn steps(connection: &Connection) -> i64 {
    let mut sum = 0;
    let mut statement = std::ptr::null_mut();
    loop {
        // SAFETY: the connection is open; the statement is null, or the one before, which its cache keeps.
        statement = unsafe { ffi::sqlite3_next_stmt(connection.handle(), statement) };
        if statement.is_null() {
            return sum;
        }
        // SAFETY: the statement is prepared, and nobody runs it meanwhile.
        sum += i64::from(unsafe { ffi::sqlite3_stmt_status(statement, ffi::SQLITE_STMTSTATUS_VM_STEP, 0) });
    }
}

/// A world with `rows` timers, as many parked events of one subject and of different subjects, as many events of different subjects and of
/// one, and as many kept answers.
fn world_of(rows: u32) -> World {
    let world = world();
    world.by_hand(&format!(
        "CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) SELECT n FROM n;
         INSERT INTO _bulkhead_timer (id, type, subject, time, trace_id, data, due_ms, parked)
             SELECT 't' || n, 'loan.late', 's' || n, 'now', printf('%032x', 1), '{{}}', n, n % 10 = 0 FROM n;
         INSERT INTO _bulkhead_parked (producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason)
             SELECT 'book', n, 'e' || n, 'k', 'stuck', printf('%032x', n), 'parked', 0, n, n, '' FROM n;
         INSERT INTO _bulkhead_parked (producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason)
             SELECT 'book', {rows} + n, 'f' || n, 'k', 'f' || n, printf('%032x', n), iif(n % 3 = 0, 'dead', 'parked'), 1, {rows} + n, n, '' FROM n;
         INSERT INTO _bulkhead_parked (producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason)
             SELECT 'user', n, 'u' || n, 'k', 'u' || n, printf('%032x', n), iif(n = 7, 'dead', 'parked'), 1, 2 * {rows} + n, n, '' FROM n;
         INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             SELECT 'o' || n, 'loan.made', 's' || n, 'now', printf('%032x', 1), '{{}}', zeroblob(32) FROM n;
         INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             SELECT 'p' || n, 'loan.made', 'erased', 'now', printf('%032x', 1), '', zeroblob(16) FROM n;
         INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             SELECT 'q' || n, 'loan.made', 'busy', 'now', printf('%032x', 1), '{{}}', zeroblob(32) FROM n;"
    ));
    let keys: Vec<RequestKey> = (0..rows)
        .map(|n| {
            RequestKey::new(
                Secret::of(world.database.secret()),
                (&"ann".into(), None),
                &format!("k{n}"),
                &[b"POST"],
            )
        })
        .collect();
    world.commit(|unit| {
        for (n, key) in (0..).zip(&keys) {
            assert!(unit.remember(key, &answer(&format!("loan{n}")), NOW).unwrap());
        }
    });
    world
}

fn answer(about: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        headers: "[]".into(),
        body: b"{}".to_vec(),
        position: Sequence::new(7),
        about: vec![about.into()],
    }
}

fn parked(sequence: i64, subject: &str) -> Parked {
    Parked {
        producer: "book".into(),
        sequence: Sequence::new(sequence),
        id: "new".into(),
        kind: "k".into(),
        subject: subject.into(),
        trace_id: trace_id(2),
        state: ParkedState::Parked,
        attempts: 0,
        next: ms(1),
        since: ms(1),
        reason: String::new(),
    }
}

/// As the engine has it, with its connection.
type Unit = crate::UnitOfWork<&'static str>;

type Write = (&'static str, fn(&mut Unit, u32));

/// The operations of a unit of work, as the host does them; the number is how many rows there are of each kind.
const WRITES: [Write; 15] = [
    ("set a timer", |unit, _| unit.schedule(&event("loan.late", &"new".into(), "{}"), ms(1)).unwrap()),
    ("cancel a timer", |unit, _| assert_eq!(unit.cancel(&"loan".into(), Timers::Id("t7"), None), Ok(1))),
    ("cancel the timers of a subject", |unit, _| {
        let of = Timers::Of { kind: "loan.late", subject: &"s8".into() };
        assert_eq!(unit.cancel(&"loan".into(), of, None), Ok(1));
    }),
    ("consume a timer", |unit, _| assert!(unit.consume_timer(Sequence::new(9), false).unwrap())),
    ("park an event", |unit, rows| unit.park(&parked(3 * i64::from(rows), "new")).unwrap()),
    ("park one behind many", |unit, rows| unit.park(&parked(3 * i64::from(rows) + 1, "stuck")).unwrap()),
    ("ask for parked ones", |unit, _| assert!(unit.has_parked(&"book".into(), &"stuck".into()).unwrap())),
    ("take the first of many out", |unit, _| assert!(unit.unpark(&parked(1, "stuck")).unwrap())),
    ("retry a dead letter", |unit, rows| {
        assert!(unit.retry_parked(&"book".into(), Sequence::new(i64::from(rows) + 3)).unwrap())
    }),
    ("drop the dead letters of a producer that has few", |unit, rows| {
        assert_eq!(unit.drop_dead_up_to(&"user".into(), "k", Sequence::new(rows.into())), Ok(1));
    }),
    ("publish", |unit, _| assert!(unit.append(&event("loan.made", &"new".into(), "{}")).is_ok())),
    ("erase a subject's events", |unit, _| assert_eq!(unit.erase(&"s5".into()), Ok(1))),
    ("erase what was erased before", |unit, _| assert_eq!(unit.erase(&"erased".into()), Ok(0))),
    ("forget the answers about a subject", |unit, _| assert_eq!(unit.forget_answers(&"loan9".into()), Ok(1))),
    ("keep an answer", |unit, _| {
        let secret = unit.secret();
        let key = RequestKey::new(Secret::of(&secret), (&"bob".into(), None), "new", &[b"POST"]);
        assert!(unit.remember(&key, &answer("new"), NOW).unwrap());
    }),
];

type Read = (&'static str, fn(&World, &dyn InboxReader, &EmbeddedLog, u32));

const READS: [Read; 13] = [
    ("timers that are due", |_, inbox, _, _| {
        assert_eq!(inbox.due_timers(ms(1 << 40), 64).unwrap().0.len(), 64)
    }),
    ("the next timer", |_, inbox, _, _| assert!(inbox.due_timers(ms(0), 64).unwrap().1.is_some())),
    ("the next parked event", |_, inbox, _, _| {
        assert_eq!(inbox.next_parked(ms(1 << 40)).unwrap().0.unwrap().sequence, Sequence::new(1));
    }),
    ("what holds a subject up", |_, inbox, _, rows| {
        let found = inbox
            .held_up(&"book".into(), Some((&"stuck".into(), trace_id(9))), Sequence::new(rows.into()))
            .unwrap();
        assert_eq!(found.unwrap().sequence, Sequence::new(1));
    }),
    ("whether there is trouble", |_, inbox, _, _| assert!(inbox.has_any(&"book".into()).unwrap())),
    ("a dead letter by its id", |_, inbox, _, _| assert!(inbox.parked_with_id("f3").unwrap().is_some())),
    ("the oldest", |_, inbox, _, _| assert!(inbox.oldest_parked(&"book".into()).unwrap().is_some())),
    ("the list", |_, inbox, _, _| drop(inbox.parked().unwrap())),
    ("a subject's history", |_, _, log, _| {
        assert_eq!(log.newest(None, Some(&"s9".into()), Sequence::MAX, 9).unwrap().len(), 1);
    }),
    ("a long history", |_, _, log, _| {
        assert_eq!(log.newest(None, Some(&"busy".into()), Sequence::MAX, 9).unwrap().len(), 9);
    }),
    ("a long history that was erased", |_, _, log, _| {
        assert_eq!(log.newest(None, Some(&"erased".into()), Sequence::MAX, 9).unwrap().len(), 9);
    }),
    ("the last of a long history", |_, _, log, rows| {
        let last = log.last_of(&"busy".into(), ["loan.made", ""], Sequence::MAX).unwrap();
        assert_eq!(last.unwrap().sequence, Sequence::new(3 * i64::from(rows)));
    }),
    ("whether a later event is there", |_, _, log, rows| {
        assert!(
            log.has_later(&"s9".into(), ["loan.made", ""], (Sequence::FIRST, Sequence::new(rows.into())))
                .unwrap()
        );
    }),
];

/// Calls `run` in a unit of work that is kept or not, makes the batch durable, and returns the result.
fn in_unit<T>(world: &World, keep: bool, run: impl FnOnce(&mut Unit) -> T) -> T {
    let lease = world.writer.lease(soon()).unwrap();
    let mut unit = Box::new(lease.begin_unit().map_err(|(_, error)| error).unwrap());
    unit.end_at(soon());
    let given = run(&mut unit);
    let (mut lease, ended) = unit.finish(keep);
    if keep {
        assert!(matches!(ended, Ended::Kept { .. }), "{ended:?}");
        lease.push("kept");
    } else {
        assert!(matches!(ended, Ended::RolledBack), "{ended:?}");
    }
    durable(lease.commit());
    given
}

/// The steps of one operation. It was done before in a unit of work that was rolled back, so that its statements are prepared.
fn written((what, write): Write, rows: u32, world: &World) -> (String, i64) {
    let total_steps = |connection: &Connection| Ok(steps(connection));
    in_unit(world, false, |unit| write(unit, rows));
    let steps = in_unit(world, false, |unit| {
        let before = unit.as_host(total_steps).unwrap();
        write(unit, rows);
        unit.as_host(total_steps).unwrap() - before
    });
    (what.to_owned(), steps)
}

fn read((what, read): Read, rows: u32, world: &World) -> (String, i64) {
    let inbox = crate::InboxReader::open(&world.database).unwrap();
    let log = EmbeddedLog::open(&world.database).unwrap();
    let total_steps = || steps(inbox.connection()) + steps(log.connection());
    read(world, &inbox, &log, rows);
    let before = total_steps();
    read(world, &inbox, &log, rows);
    (what.to_owned(), total_steps() - before)
}

#[test]
fn host_operations_take_the_same_number_of_steps_with_a_hundred_times_the_rows() {
    let measured = [FEW, MANY].map(|rows| {
        let world = world_of(rows);
        let writes = WRITES.into_iter().map(|write| written(write, rows, &world));
        let mut all: Vec<(String, i64)> = writes.collect();
        // The list has a limit, so it is measured only with many rows.
        let reads = READS.into_iter().filter(|(what, _)| *what != "the list" || rows == MANY);
        all.extend(reads.map(|write| read(write, rows, &world)));
        all.push(known(rows, &world));
        all
    });
    let [few, many] = measured;
    for (what, steps) in &many {
        let Some((_, before)) = few.iter().find(|(other, _)| other == what) else {
            assert!(*steps < i64::from(MANY), "{what}: {steps} steps");
            continue;
        };
        assert!(*before > 0, "{what} was not measured");
        // A step or two more are possible, if a value is stored differently because it is larger.
        assert!(
            *steps <= before + before / 10,
            "{what}: {before} steps with {FEW} rows, {steps} with {MANY}"
        );
    }
}

fn known(rows: u32, world: &World) -> (String, i64) {
    let key = RequestKey::new(
        Secret::of(world.database.secret()),
        (&"ann".into(), None),
        &format!("k{}", rows / 2),
        &[b"POST"],
    );
    let mut reader = crate::Reader::open(&world.database).unwrap();
    reader.known(&key, NOW).unwrap();
    let before = steps(reader.connection());
    assert!(matches!(reader.known(&key, NOW).unwrap(), bulkhead_store::Known::Answer(_)));
    ("look for a key".to_owned(), steps(reader.connection()) - before)
}

/// A subject with very many parked events is drained one by one, each as quickly as the first.
#[test]
fn many_parked_events_of_one_subject_are_drained_in_order_without_a_scan() {
    let world = world_of(FEW);
    let drained = |count: i64| {
        in_unit(&world, true, |unit| {
            let (mut found, before) = (Vec::new(), unit.as_host(|connection| Ok(steps(connection))).unwrap());
            for _ in 0..count {
                let next = unit.as_host(|connection| inbox::next_parked(connection, ms(1 << 40))).unwrap();
                let row = next.0.unwrap();
                found.push(row.sequence.get());
                assert!(unit.unpark(&row).unwrap());
            }
            (found, unit.as_host(|connection| Ok(steps(connection))).unwrap() - before)
        })
    };
    let half = i64::from(FEW / 2);
    drained(1);
    let (first, before) = drained(half);
    assert_eq!(first, (2..half + 2).collect::<Vec<_>>());
    let (_, after) = drained(half - 1);
    assert!(after <= before, "{before} steps for one half, {after} for the other");
}
