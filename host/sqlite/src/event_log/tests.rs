//! What every event log does. The same checks run on each implementation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{
    AppendEvent, Commit, Database as _, EventLog, Logged, MemoryLog, NewEvent, OpenReaders as _,
    PublishError, Settings, UnitOfWork, Writer, WriterOptions,
};
use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, LOG_READ_BYTES_MAX};
use bulkhead_types::{Sequence, Subject};

use crate::Database;
use crate::writer::tests::trace_id;

const TYPES: [&str; 2] = ["loan.made", "loan.ended"];

/// An implementation.
trait Implementation {
    /// Makes `work` append events, and the events durable.
    fn append(&mut self, work: &mut dyn FnMut(&mut dyn AppendEvent));
    /// Another reader.
    fn open(&self) -> Box<dyn EventLog>;
    /// Takes the data of a subject's events.
    fn erase(&mut self, subject: &str);
    /// Removes every event before this one.
    fn trim(&mut self, sequence: i64);
}

struct Embedded {
    folder: tempfile::TempDir,
    database: Arc<Database>,
    writer: Arc<dyn Writer<()>>,
}

impl Embedded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join("a.db"), storage: 1 << 30 };
        let database = Database::open(settings).unwrap();
        let writer =
            crate::Writer::open(Arc::clone(&database), WriterOptions::default(), Arc::new(|_| {})).unwrap();
        Self { folder, database, writer }
    }

    fn commit(&self, work: impl FnOnce(&mut dyn UnitOfWork<()>)) {
        let lease = self.writer.acquire(Instant::now() + Duration::from_secs(60)).unwrap();
        let mut unit = lease.begin().map_err(|(_, error)| error).unwrap();
        work(&mut *unit);
        let (mut lease, _) = unit.finish(true);
        assert!(matches!(lease.commit(), Commit::Durable(_)));
    }
}

impl Implementation for Embedded {
    fn append(&mut self, work: &mut dyn FnMut(&mut dyn AppendEvent)) {
        self.commit(|unit| work(unit));
    }

    fn open(&self) -> Box<dyn EventLog> {
        self.database.event_log().unwrap()
    }

    fn erase(&mut self, subject: &str) {
        self.commit(|unit| assert!(unit.erase(&subject.into()).unwrap() > 0));
    }

    fn trim(&mut self, sequence: i64) {
        let connection = rusqlite::Connection::open(self.folder.path().join("a.db")).unwrap();
        connection.execute("DELETE FROM _bulkhead_outbox WHERE sequence < ?1", [sequence]).unwrap();
    }
}

impl Implementation for MemoryLog {
    fn append(&mut self, work: &mut dyn FnMut(&mut dyn AppendEvent)) {
        work(self);
    }

    fn open(&self) -> Box<dyn EventLog> {
        Box::new(self.clone())
    }

    fn erase(&mut self, subject: &str) {
        Self::erase(self, &subject.into());
    }

    fn trim(&mut self, sequence: i64) {
        Self::trim(self, Sequence::new(sequence));
    }
}

fn on_each(check: impl Fn(&mut dyn Implementation)) {
    check(&mut Embedded::new());
    check(&mut MemoryLog::default());
}

fn event<'e>(id: &'e str, kind: &'e str, subject: &'e Subject) -> NewEvent<'e> {
    NewEvent { id, kind, subject, time: "now", trace_id: trace_id(1), data: "{\"n\":1}" }
}

/// Appends an event for each of these types and subjects.
fn fill(log: &mut dyn Implementation, events: &[(&str, &str)]) {
    log.append(&mut |unit| {
        for (kind, subject) in events {
            unit.append(&event(&format!("{kind} {subject}"), kind, &(*subject).into())).unwrap();
        }
    });
}

fn sequences(events: &[Logged]) -> Vec<i64> {
    events.iter().map(|event| event.sequence.get()).collect()
}

/// The head and the trim point.
fn bounds(log: &dyn EventLog) -> (i64, i64) {
    (log.head().unwrap().get(), log.trim_point().unwrap().get())
}

#[test]
fn events_are_read_as_they_were_appended_and_in_order() {
    on_each(|log| {
        let reader = log.open();
        assert_eq!(bounds(&*reader), (0, 1));
        assert_eq!(reader.read(Sequence::new(1), 9).unwrap(), []);
        let mut given = Vec::new();
        log.append(&mut |unit| given.push(unit.append(&event("a", "loan.made", &"s".into())).unwrap()));
        log.append(&mut |unit| {
            given.extend(["b", "c"].map(|id| unit.append(&event(id, "loan.ended", &"t".into())).unwrap()));
        });
        assert_eq!(given, [1, 2, 3].map(Sequence::new));
        assert_eq!(bounds(&*reader), (3, 1));
        let read = reader.read(Sequence::new(1), 9).unwrap();
        let first = Logged {
            sequence: Sequence::new(1),
            id: "a".into(),
            kind: "loan.made".into(),
            subject: "s".into(),
            time: "now".into(),
            trace_id: trace_id(1),
            data: "{\"n\":1}".into(),
        };
        assert_eq!((&read[0], sequences(&read)), (&first, vec![1, 2, 3]));
        assert_eq!(sequences(&reader.read(Sequence::new(2), 1).unwrap()), [2]);
        assert!(reader.read(Sequence::new(4), 9).unwrap().is_empty());
        let mut found = Vec::new();
        reader.read_without_data(Sequence::new(1), &mut |event| found.push((event.id, event.data))).unwrap();
        assert_eq!(found, [("b".to_owned(), String::new()), ("c".to_owned(), String::new())]);
        assert_eq!(reader.id(), log.open().id());
        assert_eq!(reader.damages().unwrap(), []);
    });
}

#[test]
fn invalid_event_is_not_appended() {
    on_each(|log| {
        log.append(&mut |unit| {
            let (none, some) = ("".into(), "s".into());
            let wrong = [
                NewEvent { kind: "", ..event("a", "", &some) },
                event("a", "k", &none),
                NewEvent { data: "no JSON", ..event("a", "k", &some) },
            ];
            for wrong in wrong {
                assert!(matches!(unit.append(&wrong), Err(PublishError::Invalid(_))), "{wrong:?}");
            }
        });
        assert_eq!(log.open().head().unwrap(), Sequence::new(0));
    });
}

#[test]
fn newest_events_are_listed_first_by_type_or_subject_or_all_including_erased() {
    on_each(|log| {
        fill(log, &[("loan.made", "s"), ("loan.ended", "s"), ("loan.made", "t")]);
        log.erase("s");
        fill(log, &[("loan.made", "s")]);
        let reader = log.open();
        for (kind, subject, before, count, expected) in [
            (None, None, i64::MAX, 9, vec![4, 3, 2, 1]),
            (None, None, 4, 2, vec![3, 2]),
            (Some("loan.made"), None, i64::MAX, 9, vec![4, 3, 1]),
            (None, Some("s"), i64::MAX, 9, vec![4, 2, 1]),
            (None, Some("s"), 4, 1, vec![2]),
            (Some("loan.made"), Some("s"), i64::MAX, 9, vec![4, 1]),
            (Some("loan"), None, i64::MAX, 9, vec![]),
        ] {
            let found = reader
                .newest(kind, subject.map(Subject::from).as_ref(), Sequence::new(before), count)
                .unwrap();
            assert_eq!(sequences(&found), expected, "{kind:?} {subject:?} {before} {count}");
        }
        let erased = |event: &Logged| event.data.is_empty();
        let all = reader.read(Sequence::new(1), 9).unwrap();
        assert_eq!(all.iter().map(erased).collect::<Vec<_>>(), [true, true, false, false]);
    });
}

#[test]
fn last_event_of_a_subject_is_the_last_with_data() {
    on_each(|log| {
        fill(log, &[("loan.made", "a"), ("loan.made", "b"), ("loan.ended", "a"), ("loan.made", "gone")]);
        log.erase("gone");
        let reader = log.open();
        let last = |subject: &str, kinds, to| {
            let last = reader.last_of(&subject.into(), kinds, Sequence::new(to)).unwrap();
            last.map(|event| event.sequence.get())
        };
        assert_eq!(last("a", TYPES, i64::MAX), Some(3));
        assert_eq!(last("a", TYPES, 3), Some(3));
        assert_eq!(last("a", TYPES, 2), Some(1));
        assert_eq!(last("a", ["loan.made", ""], i64::MAX), Some(1));
        assert_eq!(last("gone", TYPES, i64::MAX), None);
        for (subject, kinds, between, is_there) in [
            ("a", ["loan.ended", ""], (1, 3), true),
            ("a", ["loan.ended", ""], (1, 2), false),
            ("a", ["loan.ended", ""], (3, 3), false),
            ("a", ["loan.made", ""], (1, 3), false),
            ("b", ["loan.ended", "loan.made"], (1, 3), true),
            ("gone", TYPES, (0, 9), false),
        ] {
            assert_eq!(
                reader
                    .has_later(&subject.into(), kinds, (Sequence::new(between.0), Sequence::new(between.1)))
                    .unwrap(),
                is_there,
                "{subject} {between:?}"
            );
        }
    });
}

#[test]
fn trimmed_log_reports_where_it_begins_and_keeps_later_sequence_numbers() {
    on_each(|log| {
        fill(log, &[("loan.made", "a"), ("loan.made", "b"), ("loan.made", "c")]);
        log.trim(3);
        let reader = log.open();
        assert_eq!(bounds(&*reader), (3, 3));
        let trimmed = [0, 1, 2, 3, i64::MAX]
            .map(|position| reader.trimmed_beyond(Sequence::new(position)).unwrap().map(Sequence::get));
        assert_eq!(trimmed, [Some(3), Some(3), None, None, None]);
        assert_eq!(sequences(&reader.read(Sequence::new(1), 9).unwrap()), [3]);
        fill(log, &[("loan.made", "d")]);
        assert_eq!(sequences(&reader.read(Sequence::new(1), 9).unwrap()), [3, 4]);
    });
}

#[test]
fn tail_wakes_each_reader_after_its_events_are_readable() {
    on_each(|log| {
        let reader = log.open();
        let (wake, woken) = flume::bounded(1);
        reader.tail(wake.clone());
        reader.tail(wake);
        assert!(woken.is_empty());
        fill(log, &[("loan.made", "a"), ("loan.made", "b")]);
        assert_eq!(woken.drain().count(), 1);
        assert_eq!(reader.head().unwrap(), Sequence::new(2));
        fill(log, &[("loan.made", "c")]);
        assert_eq!(woken.drain().count(), 1);
    });
}

/// A read takes as many events as are asked for, but ends behind the one with which the data have more bytes than one read may have.
#[test]
fn read_of_the_embedded_log_is_limited_in_memory() {
    let mut log = Embedded::new();
    let data = format!("\"{}\"", "x".repeat(EVENT_DATA_BYTES_MAX - 2));
    let fit = LOG_READ_BYTES_MAX / EVENT_DATA_BYTES_MAX;
    log.append(&mut |unit| {
        for _ in 0..fit + 3 {
            unit.append(&NewEvent { data: &data, ..event("e", "loan.made", &"s".into()) }).unwrap();
        }
    });
    let reader = log.open();
    assert_eq!(reader.read(Sequence::new(1), 1000).unwrap().len(), fit + 1);
    assert_eq!(reader.read(Sequence::new(fit as i64 + 2), 1000).unwrap().len(), 2);
}

/// The position in one is never taken for a position in the other.
#[test]
fn id_of_a_memory_log_differs_from_that_of_every_database() {
    assert_eq!(MemoryLog::default().id(), "in memory");
    assert!(Embedded::new().open().id().bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// The trim point of an event log whose events are all gone is where the next one comes.
#[test]
fn embedded_log_without_events_begins_at_the_next_event() {
    let mut log = Embedded::new();
    fill(&mut log, &[("loan.made", "a"), ("loan.made", "b")]);
    log.trim(3);
    assert_eq!(log.open().trim_point().unwrap(), Sequence::new(3));
}

/// A process that opens the database later knows the last event without a notification.
#[test]
fn head_is_known_as_soon_as_the_database_is_open() {
    let mut log = Embedded::new();
    fill(&mut log, &[("loan.made", "a"), ("loan.made", "b")]);
    assert_eq!(log.database.head(), Sequence::new(2));
    let settings = Settings { path: log.folder.path().join("a.db"), storage: 1 << 30 };
    assert_eq!(Database::open(settings.clone()).unwrap().head(), Sequence::new(2));
    assert_eq!(Database::look(&settings.path).unwrap().unwrap().head(), Sequence::new(2));
}
