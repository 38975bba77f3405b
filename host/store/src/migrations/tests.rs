//! Forth, back, and every way to fail.

use std::time::{Duration, Instant};

use super::{Migration, Upgrade};
use crate::{Activation, Database, How, Settings};

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
fn applied_once_and_recorded() {
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
        ] {
            let error = database.migrate(&[migration(1, CREATE), migration(2, sql)], "now").unwrap_err();
            assert!(error.to_string().contains(message), "{sql}: {error}");
            assert_eq!(count(database, "parent"), 1, "{sql}");
            assert_eq!(count(database, "_bulkhead_migration"), 1, "{sql}");
        }
    });
}

/// SQLite looks for rows that the new column does not suit by a pragma of its own.
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
fn schema_goes_back_by_reverse_sql_and_the_version_with_it() {
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

#[test]
fn what_fails_on_the_way_leaves_schema_and_version() {
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

#[test]
fn step_without_a_reverse_is_not_undone() {
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
fn copy_is_of_what_is_committed_and_a_database_of_its_own() {
    with_database(|database| {
        database.migrate(&[migration(1, CREATE)], "now").unwrap();
        let path = database.path().with_extension("copy");
        let soon = Instant::now() + Duration::from_secs(60);
        let copy = database.copy_to(&path, 1 << 30, soon).unwrap();
        assert_eq!(copy.log(), database.log());
        copy.migrate(&[migration(1, CREATE), migration(2, "DELETE FROM child")], "now").unwrap();
        assert_eq!((count(&copy, "child"), count(database, "child")), (0, 2));
    });
}
