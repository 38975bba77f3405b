//! What the consistency check and operators read of a whole database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bulkhead_store::{OpenReaders as _, Reference, StatementError, Value};
use bulkhead_types::{Sequence, Subject};

use super::event;
use crate::writer::tests::{soon, world};

#[test]
fn subjects_are_those_of_the_requested_types_after_the_position() {
    let world = world();
    world.commit(|unit| {
        for (kind, subject) in
            [("a", "first"), ("a", "second"), ("b", "third"), ("c", "fourth"), ("a", "second"), ("b", "last")]
        {
            unit.append(&event(kind, &subject.into(), "{}")).unwrap();
        }
    });
    let inspector = world.database.inspector().unwrap();
    assert_eq!(inspector.head(), Ok(Sequence::new(6)));
    for (behind, subjects) in [
        (0, vec!["first", "last", "second", "third"]),
        (1, vec!["last", "second", "third"]),
        (3, vec!["last", "second"]),
        (6, vec![]),
    ] {
        let found = inspector.subjects_behind(Sequence::new(behind), ["a", "b"]).unwrap();
        assert_eq!(found, subjects.into_iter().map(Subject::from).collect::<BTreeSet<_>>(), "{behind}");
    }
}

#[test]
fn erased_event_counts_as_not_published() {
    let world = world();
    world.commit(|unit| unit.append(&event("a", &"s".into(), "{}")).unwrap());
    let was_published = |kind, subject: &str| {
        world.database.inspector().unwrap().was_published(kind, &subject.into()).unwrap()
    };
    assert!(was_published("a", "s"));
    assert!(!was_published("b", "s") && !was_published("a", "t"));
    world.commit(|unit| unit.erase(&"s".into()).unwrap());
    assert!(!was_published("a", "s"));
}

#[test]
fn columns_with_references_are_found_with_their_values_and_counts() {
    let world = world();
    world.by_hand(
        "CREATE TABLE loan (id TEXT PRIMARY KEY, book_id_ref TEXT, \"odd\"\"_id_ref\" INTEGER, _id_reference TEXT) STRICT;
         INSERT INTO loan VALUES ('1', 'x', 7, 'n'), ('2', 'y', NULL, 'n'), ('3', 'x', NULL, 'n'), ('4', NULL, NULL, 'n');
         CREATE VIEW lent AS SELECT book_id_ref FROM loan;",
    );
    let inspector = world.database.inspector().unwrap();
    let reference = |column: &str, entity: &str| Reference {
        table: "loan".into(),
        column: column.into(),
        entity: entity.into(),
    };
    let books = reference("book_id_ref", "book");
    assert_eq!(inspector.references().unwrap(), [books.clone(), reference("odd\"_id_ref", "odd\"")]);
    let referred = |reference: &Reference| {
        let mut found = Vec::new();
        inspector.referred(reference, &mut |value, count| found.push((value, count))).unwrap();
        found
    };
    assert_eq!(referred(&books), [(Value::Text("x".into()), 2), (Value::Text("y".into()), 1)]);
    assert_eq!(referred(&reference("odd\"_id_ref", "")), [(Value::Integer(7), 1)]);
}

#[test]
fn rows_of_service_tables_are_counted_within_the_deadline() {
    let world = world();
    world.by_hand("INSERT INTO note VALUES ('a', 'one'), ('b', 'two')");
    let inspector = world.database.inspector().unwrap();
    let expected = [("note", 3), ("refused", 0), ("reply", 0), ("strict_note", 1)];
    let expected: BTreeMap<String, u64> = expected.map(|(name, rows)| (name.to_owned(), rows)).into();
    assert_eq!(inspector.row_counts(soon()).unwrap(), expected);
    world.by_hand(
        "INSERT INTO strict_note WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT i FROM n",
    );
    let inspector = world.database.inspector().unwrap();
    assert_eq!(inspector.row_counts(Instant::now()), Err(StatementError::Interrupted));
    assert_eq!(inspector.row_counts(soon()).unwrap()["strict_note"], 99_999);
}

#[test]
fn rows_are_passed_on_unchanged_with_their_column_names() {
    let world = world();
    let inspector = world.database.inspector().unwrap();
    let mut rows = Vec::new();
    let select = "SELECT 1 AS a, 1.5 AS b, 'c' AS c, x'ff' AS d, NULL AS e, CAST(x'66ff' AS TEXT) AS f";
    let columns = inspector.select(select, &mut |row| rows.push(row)).unwrap();
    assert_eq!(columns, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(inspector.columns(select).unwrap(), columns);
    let row = [
        Value::Integer(1),
        Value::Real(1.5),
        Value::Text("c".into()),
        Value::Blob(vec![0xff]),
        Value::Null,
        Value::Text("f\u{fffd}".into()),
    ];
    assert_eq!(rows, [row]);
    // One snapshot: what is written later is not seen.
    world.by_hand("INSERT INTO note VALUES ('later', 'x')");
    let mut count = 0;
    inspector.select("SELECT id FROM note", &mut |_| count += 1).unwrap();
    assert_eq!(count, 1);
    assert!(matches!(inspector.select("SELECT nonsense", &mut drop), Err(StatementError::Invalid(_))));
    inspector.select("DELETE FROM note", &mut drop).unwrap_err();
    inspector.columns("SELECT * FROM _bulkhead_outbox").unwrap_err();
}
