//! A guest can only read a replica. Only the host writes to it.

use bulkhead_store::{
    ColumnType, Logged, Migration, Migrations as _, OpenReaders as _, ReplicaSpec, StatementError, Value,
};
use bulkhead_types::Sequence;

use super::replicas::column;
use crate::writer::tests::{World, durable, trace_id, world};

pub(super) fn replica() -> ReplicaSpec {
    ReplicaSpec {
        name: "book".into(),
        owner: "book".into(),
        upsert: "book.changed".into(),
        delete: Some("book.deleted".into()),
        key: "id".into(),
        columns: vec![column("id", ColumnType::Text), column("name", ColumnType::Text)],
    }
}

pub(super) fn logged(kind: &str, data: &str) -> Logged {
    let [id, time] = ["e", "now"].map(str::to_owned);
    Logged {
        sequence: Sequence::new(1),
        id,
        kind: kind.into(),
        subject: "a".into(),
        time,
        trace_id: trace_id(1),
        data: data.into(),
    }
}

/// A world with a replica that has the row `a`, named `one`.
pub(super) fn world_with_row() -> World {
    let world = world();
    world.make_empty(&[replica()]).unwrap();
    let world = world.reopened();
    world.commit(|unit| {
        unit.apply(&replica(), &logged("book.changed", r#"{"id":"a","name":"one"}"#)).unwrap();
    });
    world
}

impl World {
    pub(super) fn migrate(&self, sql: &str) -> Result<(), bulkhead_store::StoreError> {
        let recorded = self.number("SELECT count(*) FROM _bulkhead_migration");
        let first = Migration {
            version: 1,
            name: "create_note".into(),
            sql: super::super::SCHEMA.into(),
            reverse: None,
        };
        let second = Migration { version: 2, name: "change".into(), sql: sql.into(), reverse: None };
        assert_eq!(recorded, 1, "one step at a time");
        self.database.migrate(&[first, second], "now").map(drop)
    }

    fn assert_row_is_as_it_was(&self, sql: &str) {
        assert_eq!(self.number("SELECT count(*) FROM book WHERE name = 'one'"), 1, "{sql}");
        assert_eq!(self.number("SELECT count(*) FROM book"), 1, "{sql}");
    }
}

/// Statements that would change the rows.
const WRITES: [&str; 9] = [
    "INSERT INTO book VALUES ('b', 'two')",
    "INSERT INTO BOOK VALUES ('b', 'two')",
    "INSERT INTO \"book\" SELECT id, body FROM note",
    "INSERT OR REPLACE INTO book VALUES ('a', 'x')",
    "INSERT INTO book VALUES ('a', 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'",
    "UPDATE book SET name = 'x'",
    "UPDATE book SET name = 'x' WHERE id = 'nobody'",
    "DELETE FROM book",
    "WITH x AS (SELECT 'a' AS id) DELETE FROM book WHERE id IN (SELECT id FROM x)",
];

/// Statements that would change the table.
const CHANGES: [&str; 8] = [
    "DROP TABLE book",
    "DROP TABLE IF EXISTS Book",
    "ALTER TABLE book ADD COLUMN more TEXT",
    "ALTER TABLE book RENAME TO mine",
    "ALTER TABLE book RENAME COLUMN name TO title",
    "ALTER TABLE book DROP COLUMN name",
    "CREATE TRIGGER t AFTER INSERT ON book BEGIN DELETE FROM note; END",
    "CREATE INDEX i ON book (name)",
];

#[test]
fn handler_cannot_change_a_replica() {
    let world = world_with_row();
    world.commit(|unit| {
        for sql in WRITES.into_iter().chain(CHANGES) {
            let result = unit.execute(sql, &[]);
            assert!(
                matches!(&result, Err(StatementError::NotAllowed(why)) if why.to_lowercase().contains("book is a replica") || why.contains("migrations alone")),
                "{sql}: {result:?}"
            );
        }
        for sql in WRITES {
            let result = unit.query(&format!("{sql} RETURNING 1"), &[]);
            assert!(matches!(result, Err(StatementError::NotAllowed(_))), "{sql}: {result:?}");
        }
    });
    world.assert_row_is_as_it_was("handler");
}

#[test]
fn migration_cannot_change_a_replica() {
    let world = world_with_row();
    for sql in WRITES.into_iter().chain(CHANGES) {
        let after_another = format!("CREATE TABLE own (a TEXT) STRICT; {sql}");
        for sql in [sql, after_another.as_str()] {
            let error = world.migrate(sql).unwrap_err().to_string().to_lowercase();
            assert!(error.contains("book is a replica"), "{sql}: {error}");
            world.assert_row_is_as_it_was(sql);
        }
    }
    assert_eq!(world.number("SELECT count(*) FROM sqlite_schema WHERE name IN ('own', 'mine', 't', 'i')"), 0);
}

#[test]
fn nothing_can_be_renamed_to_a_replica() {
    let world = world_with_row();
    for sql in ["ALTER TABLE reply RENAME TO book", "CREATE VIEW book AS SELECT id FROM note"] {
        assert!(world.migrate(sql).is_err(), "{sql}");
        world.assert_row_is_as_it_was(sql);
    }
}

/// The body of a trigger is checked when a statement would run it.
#[test]
fn service_trigger_cannot_change_a_replica() {
    let world = world_with_row();
    world.migrate("CREATE TRIGGER t AFTER UPDATE ON note BEGIN DELETE FROM book; END").unwrap();
    let world = world.reopened();
    world.commit(|unit| {
        let result = unit.execute("UPDATE note SET body = 'x'", &[]);
        assert!(
            matches!(&result, Err(StatementError::NotAllowed(why)) if why.contains("book is a replica")),
            "{result:?}"
        );
    });
    world.assert_row_is_as_it_was("trigger");
}

#[test]
fn guest_can_read_and_join_a_replica() {
    let world = world_with_row();
    let read = [
        "SELECT name FROM book WHERE id = 'a'",
        "SELECT book.name FROM note, book WHERE note.id = 'there'",
        "SELECT p.name FROM note LEFT JOIN BOOK AS p ON p.id = 'a' WHERE note.id = 'there'",
        "SELECT coalesce((SELECT name FROM book WHERE id = 'a'), '-')",
    ];
    let one = [[Value::Text("one".into())]];
    let mut reader = world.database.reader().unwrap();
    for sql in read {
        assert_eq!(reader.query(super::soon(), sql, &[]).unwrap().rows, one, "{sql}");
    }
    reader.end();
    let mut unit = world.begin(None);
    for sql in read {
        assert_eq!(unit.query(sql, &[]).unwrap().rows, one, "{sql}");
    }
    // What is read from it may be written elsewhere.
    unit.execute("INSERT INTO note SELECT 'new', name FROM book", &[]).unwrap();
    unit.execute("UPDATE note SET body = p.name FROM book AS p WHERE note.id = 'there'", &[]).unwrap();
    let (mut lease, _) = unit.finish(true);
    durable(lease.commit());
    assert_eq!(world.number("SELECT count(*) FROM note WHERE body = 'one'"), 2);
}

#[test]
fn migration_can_read_a_replica_and_create_views_of_it() {
    let world = world_with_row();
    world
        .migrate(
            "CREATE VIEW named AS SELECT note.id, book.name FROM note JOIN book ON book.id = 'a';
             INSERT INTO note SELECT 'copy', name FROM book;",
        )
        .unwrap();
    let world = world.reopened();
    world.commit(|unit| {
        let found = unit.query("SELECT name FROM named WHERE id = 'there'", &[]).unwrap();
        assert_eq!(found.rows, [[Value::Text("one".into())]]);
    });
    assert_eq!(world.number("SELECT count(*) FROM note WHERE body = 'one'"), 1);
}

/// A view names the replica that is dropped and created again: the next start must cope with that.
#[test]
fn replica_with_a_view_can_be_recreated() {
    let world = world_with_row();
    world.migrate("CREATE VIEW named AS SELECT name FROM book").unwrap();
    let mut other = replica();
    other.columns.push(column("cover", ColumnType::Text));
    world.make_empty(&[other]).unwrap();
    let world = world.reopened();
    world.commit(|unit| assert!(unit.query("SELECT name FROM named", &[]).unwrap().rows.is_empty()));
}
