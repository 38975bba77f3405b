//! Forward, back, and every way to fail.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bulkhead_store::{Activation, How, Migration, Migrations as _, Seen, Settings, Upgrade, Versions as _};

use crate::Database;
use crate::failing_sync::{FailingSync, crashed, read};

fn migration(version: u32, sql: &str) -> Migration {
    Migration { version, name: format!("step_{version}"), sql: sql.into(), reverse: None }
}

const CREATE: &str = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE) STRICT;
    INSERT INTO parent VALUES (1, 'a'); INSERT INTO child VALUES (1, 1), (2, 1);";

fn with_database(test: impl FnOnce(&Database)) {
    let folder = tempfile::tempdir().unwrap();
    test(&Database::open(Settings { path: folder.path().join("a.db"), storage: 1 << 30 }).unwrap());
}

fn count(database: &Database, table: &str) -> i64 {
    let connection = database.open_writer().unwrap().connection;
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn migrations_are_applied_once_and_recorded() {
    with_database(|database| {
        assert_eq!(database.migrate(&[migration(1, CREATE)], "now").unwrap().applied_versions(), [1]);
        assert!(database.migrate(&[migration(1, CREATE)], "now").unwrap().applied.is_empty());
        assert_eq!(count(database, "_bulkhead_migration"), 1);
    });
}

/// With foreign keys on, dropping the old table would delete the children by their cascade.
#[test]
fn table_with_children_can_be_rebuilt() {
    with_database(|database| {
        let rebuild =
            "CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT) STRICT;
            INSERT INTO parent_new (id, name) SELECT id, name FROM parent;
            DROP TABLE parent; ALTER TABLE parent_new RENAME TO parent;";
        database.migrate(&[migration(1, CREATE), migration(2, rebuild)], "now").unwrap();
        assert_eq!(count(database, "child"), 2);
    });
}

#[test]
fn refused_or_failed_migration_changes_nothing() {
    with_database(|database| {
        database.migrate(&[migration(1, CREATE)], "now").unwrap();
        for (sql, message) in [
            ("DELETE FROM parent", "foreign keys that point nowhere"),
            ("INSERT INTO parent VALUES (2, 'b'); COMMIT", "transactions are the host's"),
            ("INSERT INTO parent VALUES (2, 'b'); SAVEPOINT s", "transactions are the host's"),
            ("INSERT INTO parent VALUES (2, 'b'); ATTACH ':memory:' AS other", "one database"),
            ("PRAGMA foreign_keys = ON", "PRAGMA foreign_keys"),
            ("PRAGMA writable_schema = ON", "PRAGMA writable_schema"),
            ("UPDATE _bulkhead_meta SET batch = 7", "is the host's"),
            ("DROP TABLE _bulkhead_outbox", "are the host's"),
            ("CREATE TABLE _Bulkhead_x (a)", "are the host's"),
            (
                "CREATE TRIGGER t AFTER INSERT ON _bulkhead_outbox BEGIN DELETE FROM parent; END",
                "are the host's",
            ),
            ("CREATE VIRTUAL TABLE v USING dbstat", "virtual tables of module dbstat"),
            ("INSERT INTO parent VALUES (2, 'b'); SELECT FROM", "syntax error"),
            ("INSERT OR ROLLBACK INTO parent VALUES (1, 'b')", "UNIQUE constraint failed"),
            ("INSERT INTO parent VALUES (random(), 'b')", "function random"),
            ("CREATE TABLE t (a, b DEFAULT (random()))", "function random"),
            ("CREATE TABLE t (a, b DEFAULT CURRENT_TIMESTAMP)", "CURRENT_TIMESTAMP"),
            ("ALTER TABLE child RENAME TO _bulkhead_child", "are the host's"),
            ("CREATE TABLE t (a REFERENCES _bulkhead_outbox (sequence))", "are the host's"),
            ("VACUUM INTO '/tmp/never.db'", "VACUUM"),
            ("DETACH main", "one database"),
            ("CREATE TEMP TABLE t (a)", "temporary objects"),
            ("PRAGMA user_version = 99", "PRAGMA user_version"),
            ("PRAGMA journal_mode = DELETE", "PRAGMA journal_mode"),
            ("UPDATE sqlite_schema SET sql = ''", "may not be modified"),
            ("INSERT INTO _bulkhead_timer (sequence) VALUES (1)", "is the host's"),
            (
                "CREATE VIEW v AS SELECT data FROM _bulkhead_outbox; CREATE TABLE t AS SELECT * FROM v",
                "is the host's",
            ),
            (
                "CREATE TRIGGER t AFTER UPDATE ON parent BEGIN DELETE FROM _bulkhead_timer; END; UPDATE parent SET id = 1",
                "is the host's",
            ),
            (
                "CREATE VIRTUAL TABLE v USING fts5 (data, content = '_bulkhead_outbox'); INSERT INTO v (v) VALUES ('rebuild')",
                "",
            ),
            ("CREATE VIRTUAL TABLE _bulkhead USING fts5 (data)", "are the host's"),
            ("CREATE VIEW _bulkhead_v AS SELECT 1", "are the host's"),
            ("CREATE INDEX _bulkhead_i ON parent (name)", "are the host's"),
            ("ANALYZE", "are the host's"),
        ] {
            let error = database.migrate(&[migration(1, CREATE), migration(2, sql)], "now").unwrap_err();
            assert!(error.to_string().contains(message), "{sql}: {error}");
            assert_eq!(count(database, "parent"), 1, "{sql}");
            assert_eq!(count(database, "_bulkhead_migration"), 1, "{sql}");
        }
    });
}

/// SQLite records what it knows of all tables in its own tables. A write to the host's rows in them would stop the host's events or slow
/// the host down.
#[test]
fn migration_cannot_change_what_sqlite_stores_about_host_tables() {
    with_database(|database| {
        database.migrate(&[migration(1, CREATE)], "now").unwrap();
        let connection = database.open_writer().unwrap().connection;
        let event = "INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data) VALUES ('e', 't', 's', 'now', '', '{}')";
        connection.execute_batch(event).unwrap();
        for sql in [
            "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = '_bulkhead_outbox'",
            "UPDATE sqlite_sequence SET seq = 9223372036854775807",
            "INSERT INTO sqlite_sequence VALUES ('_bulkhead_timer', 9223372036854775807)",
            "DELETE FROM sqlite_sequence",
            "UPDATE sqlite_sequence SET name = '_bulkhead_other' WHERE name = '_bulkhead_outbox'",
            "UPDATE sqlite_sequence SET name = 'parent' WHERE name = '_bulkhead_outbox'",
            "CREATE TRIGGER t AFTER UPDATE ON parent BEGIN UPDATE sqlite_sequence SET seq = 70; END; UPDATE parent SET id = 1",
            "ANALYZE parent; INSERT INTO sqlite_stat1 VALUES ('_bulkhead_outbox', '_bulkhead_outbox_by_subject', '1 1')",
            "ANALYZE parent; INSERT INTO sqlite_stat4 (tbl, idx) VALUES ('_bulkhead_outbox', '_bulkhead_outbox_by_subject')",
        ] {
            let error = database.migrate(&[migration(1, CREATE), migration(2, sql)], "now").unwrap_err();
            assert!(error.to_string().contains("says of the host's tables"), "{sql}: {error}");
            connection.execute_batch(event).unwrap();
        }
    });
}

#[test]
fn service_can_keep_the_autoincrement_sequence_of_its_table_in_a_rebuild() {
    with_database(|database| {
        let create = "CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT) STRICT;
            INSERT INTO note VALUES (7, 'a'), (40, 'b'); DELETE FROM note WHERE id = 40;";
        let rebuild = "CREATE TABLE note_new (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT;
            INSERT INTO note_new SELECT * FROM note;
            UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'note') WHERE name = 'note_new';
            DROP TABLE note; ALTER TABLE note_new RENAME TO note; ANALYZE note;";
        database.migrate(&[migration(1, create), migration(2, rebuild)], "now").unwrap();
        let connection = database.open_writer().unwrap().connection;
        let next = "INSERT INTO note (body) VALUES ('c') RETURNING id";
        assert_eq!(connection.query_row(next, [], |row| row.get::<_, i64>(0)), Ok(41));
        let dropped = [migration(1, create), migration(2, rebuild), migration(3, "DROP TABLE note")];
        database.migrate(&dropped, "now").unwrap();
        assert_eq!(count(database, "sqlite_sequence WHERE name LIKE 'note%'"), 0);
    });
}

/// SQLite uses a pragma of its own to look for rows that violate the new column.
#[test]
fn column_can_be_added_to_a_table_with_rows() {
    for column in ["note TEXT", "note TEXT NOT NULL DEFAULT '-'", "note TEXT CHECK (note <> '')"] {
        for options in ["", "STRICT"] {
            with_database(|database| {
                let create = format!(
                    "CREATE TABLE parent (id INTEGER PRIMARY KEY) {options}; INSERT INTO parent VALUES (1)"
                );
                let add = migration(2, &format!("ALTER TABLE parent ADD COLUMN {column}"));
                let applied = database.migrate(&[migration(1, &create), add], "now");
                assert!(applied.is_ok(), "{options} {column}: {}", applied.unwrap_err());
            });
        }
    }
}

#[test]
fn edited_missing_and_misnumbered_migrations_are_refused() {
    with_database(|database| {
        database.migrate(&[migration(1, CREATE)], "now").unwrap();
        for (migrations, message) in [
            (vec![migration(1, "SELECT 1")], "an applied migration never changes"),
            (vec![], "run the version of the component that made it"),
            (vec![migration(1, CREATE), migration(3, "SELECT 1")], "number 2 is V0003"),
        ] {
            let error = database.migrate(&migrations, "now").unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    });
}

fn undoable(version: u32, sql: &str, reverse: &str) -> Migration {
    Migration { reverse: Some(reverse.into()), ..migration(version, sql) }
}

fn activation(sha256: &str) -> Activation {
    Activation {
        sha256: sha256.into(),
        source: String::new(),
        how: How::Deploy,
        author: "a".into(),
        note: String::new(),
        at: "now".into(),
    }
}

#[test]
fn reverse_sql_rolls_back_the_schema_and_its_version() {
    with_database(|database| {
        let first = [migration(1, CREATE)];
        let later = [
            migration(1, CREATE),
            undoable(2, "ALTER TABLE child ADD COLUMN note TEXT", "ALTER TABLE child DROP COLUMN note"),
            undoable(3, "CREATE INDEX child_note ON child (note)", "DROP INDEX child_note"),
        ];
        let forth =
            Upgrade { migrations: &later, activation: Some(&activation("later")), ..Upgrade::default() };
        database.upgrade(&forth, "now").unwrap();
        assert_eq!(database.active().unwrap().unwrap().sha256, "later");

        let back = Upgrade {
            migrations: &first,
            leaving: &later,
            activation: Some(&activation("first")),
            ..Upgrade::default()
        };
        assert_eq!(database.plan(&back).unwrap(), (vec![3, 2], vec![]));
        let undone: Vec<u32> =
            database.upgrade(&back, "now").unwrap().undone.iter().map(|step| step.version).collect();
        assert_eq!(undone, [3, 2]);
        assert_eq!(count(database, "_bulkhead_migration"), 1);
        assert_eq!(count(database, "child"), 2, "the rows stay");
        assert_eq!(database.active().unwrap().unwrap().sha256, "first");
        assert_eq!(database.upgrade(&forth, "now").unwrap().applied_versions(), [2, 3], "and forth again");
    });
}

/// The reverse SQL runs on the existing rows, before it is needed.
#[test]
fn reverse_sql_that_fails_or_leaves_another_schema_fails_the_rehearsal() {
    let add = "ALTER TABLE child ADD COLUMN note TEXT; CREATE INDEX child_note ON child (note); UPDATE child SET note = 'x'";
    let all = "DROP INDEX child_note; ALTER TABLE child DROP COLUMN note";
    let rebuilt = "DROP INDEX child_note; CREATE TABLE child_old (id INTEGER PRIMARY KEY,
            parent INTEGER NOT NULL REFERENCES \"parent\" (id) ON DELETE CASCADE) STRICT;
        INSERT INTO child_old SELECT id, parent FROM child; DROP TABLE child; ALTER TABLE child_old RENAME TO child;";
    for (second, reverse, expected) in [
        (add, all, ""),
        (add, rebuilt, ""),
        (
            add,
            "DROP INDEX child_note",
            "the schema that was there before: table child has `note text`; correct it",
        ),
        (add, "SELECT 1", "table child has `note text`; index child_note is left"),
        (add, "DROP INDEX child_note; ALTER TABLE child DROP COLUMN missing", "step_2 fails: no such column"),
        (add, "DROP TABLE child", "table child is missing"),
        (
            add,
            "DROP INDEX child_note; ALTER TABLE child DROP COLUMN note; DELETE FROM parent",
            "point nowhere",
        ),
        ("CREATE TABLE t (a)", "DROP TABLE t; DROP TABLE _bulkhead_outbox", "are the host's"),
        ("DROP TABLE child", "CREATE TABLE child (id INTEGER PRIMARY KEY)", "table child lacks"),
    ] {
        with_database(|database| {
            let first = migration(1, CREATE);
            database.migrate(std::slice::from_ref(&first), "now").unwrap();
            let steps = [
                first,
                undoable(2, second, reverse),
                undoable(3, "CREATE TABLE last (a)", "DROP TABLE last"),
            ];
            let upgrade = Upgrade { migrations: &steps, ..Upgrade::default() };
            match database.rehearse(&upgrade, "now") {
                Ok(rehearsed) => {
                    assert_eq!(expected, "", "{reverse}");
                    assert_eq!(rehearsed.outcome.applied_versions(), [2, 3]);
                    assert_eq!(rehearsed.reordered, []);
                    assert_eq!(
                        count(database, "child WHERE note = 'x'"),
                        2,
                        "the copy has what the steps made"
                    );
                }
                Err(error) => {
                    assert!(
                        !expected.is_empty() && error.to_string().contains(expected),
                        "{reverse}: {error}"
                    );
                }
            }
        });
    }
}

#[test]
fn reverse_sql_that_leaves_a_different_order_of_columns_is_reported() {
    with_database(|database| {
        let first = migration(1, "CREATE TABLE t (a TEXT, b TEXT, c TEXT) STRICT");
        database.migrate(std::slice::from_ref(&first), "now").unwrap();
        let steps = [
            first,
            undoable(2, "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t ADD COLUMN b TEXT"),
            undoable(3, "ALTER TABLE t DROP COLUMN c", "ALTER TABLE t ADD COLUMN c TEXT"),
        ];
        let upgrade = Upgrade { migrations: &steps, ..Upgrade::default() };
        let reordered = database.rehearse(&upgrade, "now").unwrap().reordered;
        assert_eq!(reordered, [(2, "step_2".to_owned(), "table t".to_owned())]);
    });
}

#[test]
fn failed_upgrade_leaves_schema_and_version_unchanged() {
    with_database(|database| {
        let first = [migration(1, CREATE)];
        let there =
            Upgrade { migrations: &first, activation: Some(&activation("first")), ..Upgrade::default() };
        database.upgrade(&there, "now").unwrap();
        let endless = "CREATE TABLE a (b); WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) INSERT INTO a SELECT max(n) FROM n";
        let soon = Some(Instant::now() + Duration::from_millis(20));
        let half = "CREATE TABLE a (b); INSERT INTO parent VALUES (1, 'again')";
        for (second, until, message) in
            [(half, None, "UNIQUE constraint failed"), (endless, soon, "longer than it may")]
        {
            let steps = [migration(1, CREATE), migration(2, second)];
            let upgrade = Upgrade {
                migrations: &steps,
                activation: Some(&activation("second")),
                until,
                ..Upgrade::default()
            };
            let error = database.upgrade(&upgrade, "now").unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert_eq!(database.active().unwrap().unwrap().sha256, "first");
            assert_eq!(count(database, "sqlite_schema WHERE name = 'a'"), 0);
        }
    });
}

/// The steps and the row of the version are one transaction, and the outcome that was reported for its COMMIT holds after a crash.
#[test]
fn upgrade_whose_sync_failed_is_permanently_undone_or_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let syncs = FailingSync::of(&path);
    let database = Database::open(Settings { path: path.clone(), storage: 1 << 30 }).unwrap();
    let upgrade_to = |migrations: &[Migration], version: &str| {
        let activation = activation(version);
        let upgrade = Upgrade { migrations, activation: Some(&activation), ..Upgrade::default() };
        database.upgrade(&upgrade, "now")
    };
    let (first, second) =
        ([migration(1, CREATE)], [migration(1, CREATE), migration(2, "CREATE TABLE t (a)")]);
    // The reader has the index of the WAL open, as the readers of a host do.
    let reader = database.open_reader().unwrap();
    upgrade_to(&first, "first").unwrap();
    let state = "SELECT sha256 || (SELECT count(*) FROM sqlite_schema WHERE name = 't') FROM _bulkhead_version ORDER BY number DESC LIMIT 1";

    syncs.fail(1);
    let error = upgrade_to(&second, "second").unwrap_err();
    assert_eq!(error.unknown_outcome(), None, "{error}");
    assert!(error.to_string().contains("the database is as it was"), "{error}");
    assert_eq!(read(&syncs.copy_at_failure(), state), ["second1"], "it would have been back");
    assert_eq!(read(&crashed(&path), state), ["first0"], "it is never back");

    syncs.fail(usize::MAX);
    let error = upgrade_to(&second, "second").unwrap_err();
    assert_eq!(error.unknown_outcome(), Some(Seen::Before), "{error}");
    syncs.fail(0);
    upgrade_to(&second, "third").unwrap();
    assert_eq!(read(&crashed(&path), state), ["third1"]);
    drop(reader);
}

#[test]
fn step_without_reverse_sql_is_not_undone() {
    with_database(|database| {
        let later = [migration(1, CREATE), migration(2, "CREATE TABLE t (a)")];
        database.migrate(&later, "now").unwrap();
        let back = Upgrade { migrations: &later[..1], leaving: &later, ..Upgrade::default() };
        let error = database.plan(&back).unwrap_err().to_string();
        assert!(error.contains("V0002__step_2 can't be undone"), "{error}");
        assert!(database.upgrade(&back, "now").is_err());
        assert_eq!(count(database, "_bulkhead_migration"), 2);
    });
}

#[test]
fn copy_has_the_committed_data_and_is_an_independent_database() {
    with_database(|database| {
        database.migrate(&[migration(1, CREATE)], "now").unwrap();
        let path = database.path().with_extension("copy");
        let soon = Instant::now() + Duration::from_secs(60);
        let copy = database.copy(&path, 1 << 30, soon).unwrap();
        assert_eq!(copy.log(), database.log());
        copy.migrate(&[migration(1, CREATE), migration(2, "DELETE FROM child")], "now").unwrap();
        assert_eq!((count(&copy, "child"), count(database, "child")), (0, 2));
    });
}

#[test]
fn copy_in_several_steps_is_complete_or_aborted_at_its_deadline() {
    with_database(|database| {
        let rows = "CREATE TABLE t (v BLOB) STRICT; INSERT INTO t SELECT zeroblob(900000) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9))";
        database.migrate(&[migration(1, rows)], "now").unwrap();
        let path = database.path().with_extension("copy");
        let late = database.copy(&path, 1 << 30, Instant::now()).err().unwrap();
        assert!(late.is_too_long(), "{late}");
        let whole =
            database.copy(&path.with_extension("whole"), 1 << 30, Instant::now() + Duration::from_secs(60));
        assert_eq!(count(&whole.unwrap(), "t"), 9);
    });
}

/// A migration does not keep a host from stopping, however long it would take.
#[test]
fn migration_is_aborted_when_the_host_stops() {
    with_database(|database| {
        let long = "CREATE TABLE t (a INTEGER) STRICT;
            INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n";
        let steps = [migration(1, long)];
        let soon = Some(Instant::now() + Duration::from_secs(60));
        for is_to_end in [true, false] {
            let stop = Arc::new(AtomicBool::new(is_to_end));
            let upgrade =
                Upgrade { migrations: &steps, until: soon, stop: Some(&stop), ..Upgrade::default() };
            let upgraded = database.upgrade(&upgrade, "now");
            match upgraded {
                Ok(_) => assert!(!is_to_end),
                Err(error) => {
                    assert!(is_to_end && error.to_string().contains("or the host was stopped"), "{error}");
                }
            }
        }
        assert_eq!(count(database, "t"), 100_000);
    });
}
