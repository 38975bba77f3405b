//! The unit of work, group commit, and every way to abort a batch.

mod aborts;
mod events;
mod lease;
mod limits;
mod log;
mod numbers;
mod options;
mod sync;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bulkhead_store::{
    Abort, Commit, CommitFault, CommitFaults, ConstraintKind, Ended, Fate, Lease, Migration, Migrations as _,
    NewEvent, OpenReaders as _, Reader, Recovered, Settings, StatementError, UnitOfWork, Value, Writer as _,
    WriterOptions, recover,
};

pub(crate) use self::log::trace_id;
use crate::Database;

const SCHEMA: &str = "
CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE reply (id INTEGER PRIMARY KEY, note TEXT NOT NULL REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
CREATE TABLE refused (id INTEGER PRIMARY KEY) STRICT;
CREATE TRIGGER refuse BEFORE INSERT ON refused BEGIN SELECT RAISE(ROLLBACK, 'never'); END;
CREATE TABLE strict_note (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK) STRICT;
CREATE VIRTUAL TABLE note_search USING fts5 (body);
CREATE TRIGGER search AFTER INSERT ON note BEGIN INSERT INTO note_search (rowid, body) VALUES (new.rowid, new.body); END;
INSERT INTO note VALUES ('there', 'already');
INSERT INTO strict_note VALUES (1);
";

struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    database: Arc<Database>,
    writer: Arc<super::Writer<&'static str>>,
    /// The failures of its commits.
    faults: CommitFaults,
    /// The subjects of the events that a follower of the event log got, in that order.
    notified: Arc<Mutex<Vec<String>>>,
}

/// A delay of some milliseconds on the machine must not change what a test does.
fn options() -> WriterOptions {
    WriterOptions { batch_age: Duration::from_secs(60), ..WriterOptions::default() }
}

fn world_with(storage: u64) -> World {
    world_at(tempfile::tempdir().unwrap(), storage)
}

fn world_at(folder: tempfile::TempDir, storage: u64) -> World {
    let path = folder.path().join("a.db");
    let database = Database::open(Settings { path: path.clone(), storage }).unwrap();
    let schema = Migration { version: 1, name: "create_note".into(), sql: SCHEMA.into(), reverse: None };
    database.migrate(&[schema], "2026-01-01T00:00:00.000Z").unwrap();
    let options = options();
    let faults = options.faults.clone();
    let notified = Arc::new(Mutex::new(Vec::new()));
    let writer =
        crate::Writer::open(Arc::clone(&database), options, log::follow(&database, &notified)).unwrap();
    World { _folder: folder, path, database, writer, faults, notified }
}

fn world() -> World {
    world_with(1 << 30)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn begin(lease: Box<dyn Lease<&'static str>>) -> Box<dyn UnitOfWork<&'static str>> {
    let mut unit = lease.begin().map_err(|(_, error)| error).unwrap();
    unit.end_at(soon());
    unit
}

impl World {
    fn begin(&self, lease: Option<Box<dyn Lease<&'static str>>>) -> Box<dyn UnitOfWork<&'static str>> {
        let lease = lease.unwrap_or_else(|| self.writer.acquire(soon()).unwrap());
        begin(lease)
    }

    /// The notes that another process would see, without the one from the schema.
    fn notes(&self) -> Vec<String> {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        let mut statement =
            connection.prepare("SELECT id FROM note WHERE id <> 'there' ORDER BY rowid").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn events(&self) -> Vec<String> {
        self.log().into_iter().map(|(subject, _)| subject).collect()
    }

    /// Subject and data of each event.
    fn log(&self) -> Vec<(String, String)> {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        let mut statement =
            connection.prepare("SELECT subject, data FROM _bulkhead_outbox ORDER BY sequence").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn notified(&self) -> Vec<String> {
        self.notified.lock().unwrap().clone()
    }
}

fn write(unit: &mut dyn UnitOfWork<&'static str>, id: &str) {
    unit.execute(
        "INSERT INTO note (id, body) VALUES (?1, ?2)",
        &[Value::Text(id.into()), Value::Text("b".into())],
    )
    .unwrap();
    unit.append(&NewEvent {
        id: "e",
        kind: "note.written",
        subject: &id.into(),
        time: "now",
        trace_id: trace_id(1),
        data: "{}",
    })
    .unwrap();
}

/// Notes what became of each member.
fn note_in<'f>(fates: &'f mut Vec<(&'static str, Fate)>) -> impl FnMut(Vec<&'static str>, &Fate) + use<'f> {
    |members, fate| fates.extend(members.into_iter().map(|member| (member, fate.clone())))
}

/// Runs an honest member: it writes its note, and is kept.
fn honest(lease: Box<dyn Lease<&'static str>>, id: &mut &'static str) -> Recovered<&'static str> {
    let mut unit = begin(lease);
    write(&mut *unit, id);
    let (lease, ended) = unit.finish(true);
    (lease, Some(ended))
}

fn add(
    world: &World,
    lease: Option<Box<dyn Lease<&'static str>>>,
    id: &'static str,
) -> Box<dyn Lease<&'static str>> {
    let lease = lease.unwrap_or_else(|| world.writer.acquire(soon()).unwrap());
    let (mut lease, ended) = honest(lease, &mut { id });
    assert!(matches!(ended, Some(Ended::Kept { .. })));
    lease.push(id);
    lease
}

fn durable(commit: Commit<&'static str>) -> Vec<&'static str> {
    match commit {
        Commit::Durable(members) => members,
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_of_a_batch_become_durable_together() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut lease = add(&world, Some(lease), "b");
    assert!(world.notes().is_empty());
    assert_eq!(durable(lease.commit()), ["a", "b"]);
    assert_eq!(world.notes(), ["a", "b"]);
    assert_eq!(world.events(), ["a", "b"]);
}

#[test]
fn rolled_back_unit_leaves_nothing_and_its_neighbours_are_kept() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut unit = world.begin(Some(lease));
    write(&mut *unit, "gone");
    let (mut lease, ended) = unit.finish(false);
    assert!(matches!(ended, Ended::RolledBack));
    lease.push("gone");
    let mut lease = add(&world, Some(lease), "b");
    assert_eq!(durable(lease.commit()), ["a", "gone", "b"]);
    assert_eq!(world.notes(), ["a", "b"]);
    assert_eq!(world.events(), ["a", "b"]);
}

#[test]
fn position_is_that_of_the_last_event_or_the_end_of_the_log() {
    let world = world();
    let mut positions = Vec::new();
    let mut lease = None;
    for publishes in [false, true, true, false] {
        let mut unit = world.begin(lease.take());
        assert!(!unit.wrote());
        if publishes {
            write(&mut *unit, if positions.len() == 1 { "a" } else { "b" });
        }
        assert_eq!(unit.wrote(), publishes);
        let before = unit.position();
        let (next, ended) = unit.finish(true);
        let Ended::Kept { position } = ended else { panic!("{ended:?}") };
        assert_eq!(position, before);
        positions.push(position.get());
        lease = Some(next);
    }
    assert_eq!(positions, [0, 1, 2, 2]);
}

/// Whether a batch was aborted for the expected reason.
type IsExpected = fn(&Abort) -> bool;

/// Each way in which SQLite ends the whole transaction: the guest's statement, and why the batch is then aborted.
fn ways_to_abort() -> Vec<(&'static str, IsExpected)> {
    fn rolled_back(kind: ConstraintKind) -> impl Fn(&Abort) -> bool {
        move |abort| matches!(abort, Abort::RolledBack(constraint) if constraint.kind == kind)
    }
    vec![
        ("INSERT OR ROLLBACK INTO note VALUES ('there', 'x')", |abort| {
            rolled_back(ConstraintKind::PrimaryKey)(abort)
        }),
        ("INSERT INTO strict_note VALUES (1)", |abort| rolled_back(ConstraintKind::PrimaryKey)(abort)),
        ("INSERT INTO refused VALUES (1)", |abort| rolled_back(ConstraintKind::Trigger)(abort)),
        (
            "INSERT INTO note WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 'n' || i, 'x' FROM n \
             WHERE i < 0",
            |abort| matches!(abort, Abort::Interrupted),
        ),
        (
            "INSERT INTO note WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
             SELECT 'n' || i, printf('%01000d', i) FROM n",
            |abort| matches!(abort, Abort::StorageFull),
        ),
    ]
}

/// The guest ignores the error, continues to write, and reports success. Nothing of it may remain, and its neighbours are run again, once
/// each.
#[test]
fn aborted_batch_runs_the_neighbours_again_and_drops_the_culprit() {
    for (sql, is_expected) in ways_to_abort() {
        let abort = |world: &World| {
            let lease = add(world, None, "a");
            let lease = add(world, Some(lease), "b");
            let deadline = Instant::now() + Duration::from_secs(if sql.contains("i < 0") { 0 } else { 60 });
            let mut unit = begin(lease);
            write(&mut *unit, "before");
            unit.end_at(deadline);
            assert!(unit.execute(sql, &[]).is_err(), "{sql}");
            let after = unit.execute("INSERT INTO note VALUES ('after', 'x')", &[]);
            assert!(matches!(after, Err(StatementError::Aborted(_))), "{sql}: {after:?}");
            unit.finish(true)
        };
        // The database must have a size at which a statement of FTS5's own finds it full: otherwise only the guest's statement is undone,
        // see below. That size depends on how many pages the host's own tables have.
        let aborted = (0..64).find_map(|pages| {
            let world = world_with((4 << 20) + pages * 4096);
            let (lease, ended) = abort(&world);
            match ended {
                Ended::Failed(Abort::StorageFull) => None,
                ended => Some((world, lease, ended)),
            }
        });
        let (world, lease, ended) = aborted.expect("one of these sizes");
        let Ended::Aborted { abort, neighbours } = ended else { panic!("{sql}: {ended:?}") };
        assert!(is_expected(&abort), "{sql}: {abort:?}");
        assert_eq!(neighbours, ["a", "b"]);
        assert!(world.notes().is_empty(), "{sql}");

        let mut fates = Vec::new();
        let lease = recover(lease, neighbours, honest, note_in(&mut fates));
        assert_eq!(fates, [("a", Fate::Durable), ("b", Fate::Durable)], "{sql}");
        drop(add(&world, Some(lease), "c").commit());
        assert_eq!(world.notes(), ["a", "b", "c"], "{sql}");
        assert_eq!(world.events(), ["a", "b", "c"], "{sql}");
    }
}

/// A unit of work that fails in its own savepoint takes no neighbour with it, and ends as failed whatever its handler wants.
#[test]
fn unit_that_failed_alone_leaves_its_neighbours_in_the_batch() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut unit = world.begin(Some(lease));
    write(&mut *unit, "b");
    unit.meet(StatementError::StorageFull);
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::Failed(Abort::StorageFull)), "{ended:?}");
    assert_eq!(durable(lease.commit()), ["a"]);
    assert_eq!(world.notes(), ["a"]);
}

/// The statement that ends the transaction is reported with SQLite's reason, also where its rows are returned.
#[test]
fn write_with_rows_that_ends_the_transaction_is_reported_with_the_reason() {
    let world = world();
    let mut unit = world.begin(None);
    let error = unit.query("INSERT INTO refused VALUES (1) RETURNING id", &[]).unwrap_err();
    assert!(error.to_string().contains("never"), "{error}");
}

/// A unit of work has time from its beginning, also where nobody says how much.
#[test]
fn unit_without_a_deadline_of_its_own_has_time() {
    let world = world();
    let count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT count(*) FROM n";
    let unit = || world.writer.acquire(soon()).unwrap().begin().map_err(|(_, error)| error).unwrap();
    // A machine that is busy may have taken the time away: then another one has it.
    assert!((0..100).any(|_| unit().query(count, &[]).is_ok()));
}

/// If one row finds the database full, SQLite undoes only the statement. The guest must not continue from there: what it wrote before is
/// rolled back, and its neighbours are kept without being run again.
#[test]
fn unit_that_filled_the_database_is_rolled_back_and_its_neighbours_are_kept() {
    let world = world_with(1 << 20);
    let lease = add(&world, None, "a");
    let mut unit = world.begin(Some(lease));
    let mut result = Ok(());
    for i in 0..10_000 {
        let row = [Value::Text(format!("n{i}")), Value::Text("x".repeat(10_000))];
        result = unit.execute("INSERT INTO note VALUES (?1, ?2)", &row).map(drop);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, Err(StatementError::StorageFull));
    assert!(matches!(unit.execute("DELETE FROM note", &[]), Err(StatementError::Aborted(_))));
    let (mut lease, ended) = unit.finish(true);
    match ended {
        Ended::Failed(Abort::StorageFull) => {
            lease.push("culprit");
            assert_eq!(durable(lease.commit()), ["a", "culprit"]);
        }
        Ended::Aborted { abort: Abort::StorageFull, neighbours } => {
            assert_eq!(neighbours, ["a"]);
            recover(lease, neighbours, honest, |_, fate| assert_eq!(*fate, Fate::Durable));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.notes(), ["a"]);
}

/// There is a second culprit among the neighbours: each of the rest is run in its own batch.
#[test]
fn batch_aborted_twice_is_run_one_by_one() {
    let world = world();
    let lease = world.writer.acquire(soon()).unwrap();
    let run = |lease: Box<dyn Lease<&'static str>>, member: &mut &'static str| -> Recovered<&'static str> {
        if *member != "culprit" {
            return honest(lease, member);
        }
        let mut unit = begin(lease);
        write(&mut *unit, "culprit");
        let _ = unit.execute("INSERT INTO refused VALUES (1)", &[]);
        let (lease, ended) = unit.finish(true);
        (lease, Some(ended))
    };
    let mut fates = Vec::new();
    recover(lease, vec!["a", "culprit", "b", "c"], run, |members, fate| {
        fates.extend(members.into_iter().map(|member| (member, matches!(fate, Fate::Durable))));
    });
    assert_eq!(fates, [("culprit", false), ("a", true), ("b", true), ("c", true)]);
    assert_eq!(world.notes(), ["a", "b", "c"]);
    assert_eq!(world.events(), ["a", "b", "c"]);
}

#[test]
fn deferred_key_fails_its_own_unit_and_not_the_commit() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut unit = world.begin(Some(lease));
    write(&mut *unit, "dangling");
    unit.execute("INSERT INTO reply VALUES (1, 'nowhere')", &[]).unwrap();
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::ForeignKeys), "{ended:?}");
    lease.push("dangling");
    // A unit of work that resolves its key before it ends is not dangling.
    let mut unit = world.begin(Some(lease));
    unit.execute("INSERT INTO reply VALUES (1, 'b')", &[]).unwrap();
    write(&mut *unit, "b");
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::Kept { .. }));
    lease.push("b");
    assert_eq!(durable(lease.commit()), ["a", "dangling", "b"]);
    assert_eq!(world.notes(), ["a", "b"]);
}

#[test]
fn handlers_cannot_run_statements_reserved_for_the_host() {
    let world = world();
    let mut unit = world.begin(None);
    for (sql, part) in [
        ("COMMIT", "transactions are the host's"),
        ("BEGIN", "transactions are the host's"),
        ("SAVEPOINT s", "transactions are the host's"),
        ("RELEASE unit", "transactions are the host's"),
        ("ROLLBACK TO unit", "transactions are the host's"),
        ("ATTACH ':memory:' AS m", "one database"),
        ("PRAGMA synchronous = OFF", "PRAGMA synchronous"),
        ("PRAGMA journal_mode", "PRAGMA journal_mode"),
        ("SELECT * FROM _bulkhead_outbox", "is the host's"),
        ("SELECT * FROM _BULKHEAD_meta", "is the host's"),
        ("DELETE FROM _bulkhead_outbox", "is the host's"),
        ("CREATE TABLE t (a)", "migrations alone"),
        ("CREATE TEMP TABLE t (a)", "migrations alone"),
        ("DROP TABLE note", "migrations alone"),
        ("ALTER TABLE note ADD COLUMN c", "migrations alone"),
        ("ANALYZE", "migrations alone"),
        ("REINDEX", "migrations alone"),
        ("SELECT random()", "function random"),
        ("SELECT datetime('now')", "function datetime"),
        ("SELECT CURRENT_TIMESTAMP", "function current_timestamp"),
        ("SELECT load_extension('x')", "load_extension"),
        ("SELECT * FROM dbstat", "table dbstat"),
        ("INSERT INTO note_search (note_search) VALUES ('optimize')", "search index"),
        ("INSERT INTO note_search (rowid, body) VALUES (7, 'x')", "search index"),
        ("DELETE FROM note_search", "search index"),
    ] {
        let result = unit.query(sql, &[]);
        assert!(
            matches!(&result, Err(StatementError::NotAllowed(reason)) if reason.to_lowercase().contains(&part.to_lowercase())),
            "{sql}: {result:?}"
        );
    }
    for sql in [
        "UPDATE sqlite_schema SET sql = ''",
        "DELETE FROM note_search_data",
        "VACUUM",
        "SELECT 1; DELETE FROM note",
        "/*bulkhead*/SELECT 1",
        " /*bulkhead*/COMMIT",
        "",
        "-- nothing",
        "SELECT \"no such column, so a string\" FROM note",
        "nonsense",
    ] {
        let result = unit.query(sql, &[]);
        assert!(
            matches!(result, Err(StatementError::Invalid(_) | StatementError::NotAllowed(_))),
            "{sql}: {result:?}"
        );
    }
    // None of this harmed the unit of work. And a trigger may do what the handler may not.
    write(&mut *unit, "a");
    let found = unit.query("SELECT count(*) FROM note_search WHERE note_search MATCH 'b'", &[]).unwrap();
    assert_eq!(found.rows, [[Value::Integer(1)]]);
    let (mut lease, _) = unit.finish(true);
    lease.commit();
    assert_eq!(world.notes(), ["a"]);
}

/// A write that returns rows has written everything before it returns the first row.
#[test]
fn write_whose_rows_cannot_be_read_is_undone() {
    let world = world();
    let mut unit = world.begin(None);
    write(&mut *unit, "a");
    let many = "INSERT INTO note WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) \
                SELECT 'n' || i, 'x' FROM n RETURNING id";
    assert!(matches!(unit.query(many, &[]), Err(StatementError::Limit { .. })));
    let not_utf8 = "INSERT INTO note VALUES ('b', 'x') RETURNING CAST(x'FF' AS TEXT)";
    assert!(matches!(unit.query(not_utf8, &[]), Err(StatementError::InvalidValue(_))));
    let two = "INSERT INTO note VALUES ('c', 'x'), ('d', 'y') RETURNING id";
    assert_eq!(unit.query(two, &[]).unwrap().rows.len(), 2);
    let (mut lease, _) = unit.finish(true);
    lease.commit();
    assert_eq!(world.notes(), ["a", "c", "d"]);
}

/// Nothing of it can come back after a crash: it is undone, whatever the failed COMMIT did.
#[test]
fn batch_that_wrote_nothing_is_never_unknown() {
    for fault in [CommitFault::BeforeDurable, CommitFault::AfterDurable, CommitFault::Unknown] {
        let world = world();
        let mut unit = world.begin(None);
        unit.query("SELECT id FROM note", &[]).unwrap();
        let (mut lease, _) = unit.finish(true);
        lease.push("reader");
        world.faults.plan(fault);
        let commit = lease.commit();
        assert!(
            matches!(&commit, Commit::Aborted { members, .. } if members == &["reader"]),
            "{fault:?}: {commit:?}"
        );
        assert_eq!(durable(add(&world, Some(lease), "a").commit()), ["a"], "{fault:?}");
    }
}

/// A batch that only reads costs the disk nothing.
#[test]
fn batch_that_wrote_nothing_has_no_number() {
    let world = world();
    let number = || world.number("SELECT batch FROM _bulkhead_meta");
    let before = number();
    let mut unit = world.begin(None);
    unit.query("SELECT count(*) FROM note", &[]).unwrap();
    let (mut lease, _) = unit.finish(true);
    durable(lease.commit());
    assert_eq!(number(), before);
    durable(add(&world, Some(lease), "a").commit());
    assert_ne!(number(), before);
}

#[test]
fn last_insert_rowid_is_that_of_the_unit_itself() {
    let world = world();
    let lease = add(&world, None, "a");
    let mut unit = world.begin(Some(lease));
    let update = "UPDATE note SET body = 'x'";
    assert_eq!(unit.execute(update, &[]).unwrap().last_insert_rowid, 0);
    let insert = "INSERT INTO reply VALUES (77, 'a')";
    assert_eq!(unit.execute(insert, &[]).unwrap().last_insert_rowid, 77);
    unit.append(&NewEvent {
        id: "e",
        kind: "k",
        subject: &"s".into(),
        time: "now",
        trace_id: trace_id(1),
        data: "{}",
    })
    .unwrap();
    assert_eq!(unit.execute(update, &[]).unwrap().last_insert_rowid, 77);
}

/// The cache holds statements by their text. A guest must not get a statement from it that the host prepared with its own rights. A
/// snapshot must not get one that was prepared in a transaction.
#[test]
fn cached_statements_are_not_shared_between_host_guest_and_snapshot() {
    let world = world();
    let mut reader = world.database.reader().unwrap();
    for _ in 0..2 {
        let mut unit = world.begin(None);
        unit.execute("UPDATE note SET body = 'x' WHERE id = ?1", &[Value::Text("there".into())]).unwrap();
        let host = "/*bulkhead*/SELECT coalesce(max(sequence), 0) FROM _bulkhead_outbox";
        for sql in [host, &host["/*bulkhead*/".len()..]] {
            assert!(unit.query(sql, &[]).is_err(), "{sql}");
        }
        let (mut lease, _) = unit.finish(true);
        lease.commit();
        let result =
            reader.query(soon(), "UPDATE note SET body = 'x' WHERE id = ?1", &[Value::Text("there".into())]);
        assert_eq!(result, Err(StatementError::ReadOnly));
        reader.end();
    }
}

#[test]
fn snapshot_stays_as_it_was_until_it_ends() {
    let world = world();
    let mut reader = world.database.reader().unwrap();
    let count = |reader: &mut dyn Reader| match reader.query(soon(), "SELECT count(*) FROM note", &[]) {
        Ok(result) => result.rows[0][0].clone(),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(count(&mut *reader), Value::Integer(1));
    add(&world, None, "a").commit();
    assert_eq!(count(&mut *reader), Value::Integer(1));
    reader.end();
    assert_eq!(count(&mut *reader), Value::Integer(2));
}

/// Many threads, each passing the open batch on: every member comes back durable exactly once, from whichever thread commits.
#[test]
fn batches_passed_between_threads_neither_lose_nor_duplicate_a_member() {
    let world = world();
    let ids: Vec<&'static str> = (0..400).map(|i| &*Box::leak(format!("n{i}").into_boxed_str())).collect();
    let mut answered: Vec<&'static str> = std::thread::scope(|scope| {
        let threads: Vec<_> = ids
            .chunks(100)
            .map(|mine| {
                let writer = &world.writer;
                scope.spawn(move || {
                    let mut answered = Vec::new();
                    for id in mine {
                        let (mut lease, _) = honest(writer.acquire(soon()).unwrap(), &mut { *id });
                        lease.push(id);
                        // As a worker does: a thread that leaves the batch open passes it on to a waiting thread.
                        let left = if lease.stays_open(false) { lease.pass_on() } else { Some(lease) };
                        if let Some(mut lease) = left {
                            answered.extend(durable(lease.commit()));
                        }
                    }
                    answered
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    answered.sort_unstable();
    let mut expected = ids.clone();
    expected.sort_unstable();
    assert_eq!(answered, expected);
    assert_eq!(world.notes().len(), ids.len());
    assert_eq!(world.events().len(), ids.len());
}
