//! No statement of the host scans a table that grows: what a service does takes as long with a million rows as with none.
//!
//! The statements are taken from the sources, so no new one can be forgotten. [`JUSTIFIED`] lists those that may scan a whole table, and
//! why.

mod sources;
mod work;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use self::sources::{Statement, statements};
use super::World;
use crate::writer::tests::world;

/// Tables that do not grow with what a service does: they have one row, or a row for each neighbour, column, schema step or the like.
const SMALL: [&str; 8] = [
    "_bulkhead_meta",
    "_bulkhead_cursor",
    "_bulkhead_migration",
    "_bulkhead_replica",
    "sqlite_master",
    "sqlite_schema",
    "sqlite_sequence",
    "CONSTANT",
];

/// Statements that may scan a whole table: how they begin, and why.
const JUSTIFIED: &[(&str, &str)] = &[
    (
        "SELECT producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason FROM _bulkhead_parked ORDER BY since_ms",
        "by an index, sorted, as far as its LIMIT",
    ),
    (
        "SELECT producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason FROM _bulkhead_parked WHERE first = 1 ORDER BY next_ms LIMIT 1",
        "by an index, sorted: one row",
    ),
    (
        "SELECT sequence, id, type, subject, time, trace_id, data, due_ms FROM _bulkhead_timer",
        "the harness asks for all timers of a test",
    ),
    (
        "SELECT sequence, id, type, subject, time, trace_id, data, digest FROM _bulkhead_outbox",
        "the consistency check reads the whole log",
    ),
    (
        "SELECT sha256, source, how, author, note, at FROM _bulkhead_version ORDER BY number DESC LIMIT",
        "by the key, sorted, as far as its LIMIT",
    ),
    ("SELECT object.name, field.name FROM sqlite_schema", "the schema"),
    ("SELECT object.type, lower(object.name), object.sql FROM sqlite_schema", "the schema"),
    (
        "SELECT * FROM \"note\" WHERE lower(substr(\"body\", 1,",
        "what SQLite keeps of all tables, a few rows for each, before and after a migration",
    ),
    ("SELECT name FROM pragma_table_list", "the schema"),
    ("SELECT child.name", "the schema"),
    ("SELECT key.\"table\" FROM sqlite_schema", "the schema"),
    ("SELECT ifnull(sum(1), 0) FROM \"note\"", "the counts that an operator asks for, with a deadline"),
    ("SELECT \"body\", count(*) FROM \"note\"", "the consistency check reads all that refers to others"),
];

impl World {
    /// The file, opened with the host's rights.
    fn connection(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        // The plans of triggers are reported with those of the statements that run them.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP, true).unwrap();
        connection
    }
}

/// The parts of a statement's plan that scan a whole table that grows, or sort what they find.
fn scans(connection: &Connection, sql: &str) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {sql}");
    let mut statement =
        connection.prepare(&explained).unwrap_or_else(|error| panic!("{error} in the statement {sql}"));
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let step: String = row.get(3).unwrap();
        // A sort reads everything before it returns the first row.
        let is_sorted = step.starts_with("USE TEMP B-TREE");
        let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
        if is_sorted || scanned.is_some_and(|table| !SMALL.contains(&table)) {
            found.push(step);
        }
    }
    found
}

#[test]
fn no_host_statement_scans_a_growing_table() {
    let world = world();
    let connection = world.connection();
    connection
        .execute_batch("CREATE TABLE item (id TEXT PRIMARY KEY, n INTEGER) STRICT, WITHOUT ROWID")
        .unwrap();
    let all = statements();
    assert!(all.len() > 60, "{} statements were found in the sources", all.len());
    let mut wrong = Vec::new();
    let mut used = [false; JUSTIFIED.len()];
    for Statement { place, sql } in &all {
        let scanned = scans(&connection, sql);
        if scanned.is_empty() {
            continue;
        }
        match JUSTIFIED.iter().position(|(start, _)| sql.starts_with(start)) {
            Some(known) => used[known] = true,
            None => wrong.push(format!("{place}: {}\n    {sql}", scanned.join("\n    "))),
        }
    }
    assert!(wrong.is_empty(), "write them so that an index is used, or justify them:\n{}", wrong.join("\n"));
    for ((start, _), used) in JUSTIFIED.iter().zip(used) {
        assert!(used, "no statement that goes through a table begins so: {start}");
    }
}

/// The test finds what it is meant to find: the statements that once scanned whole tables.
#[test]
fn statement_that_scans_is_found_also_in_a_trigger() {
    let world = world();
    let connection = world.connection();
    for sql in [
        "SELECT max(sequence) - min(sequence) FROM _bulkhead_timer",
        "SELECT count(*) FROM _bulkhead_timer",
        "SELECT id FROM _bulkhead_parked WHERE reason = ?1",
        "DELETE FROM _bulkhead_outbox WHERE time < ?1",
        "SELECT sequence FROM _bulkhead_outbox WHERE subject = ?1 ORDER BY sequence DESC LIMIT 1",
    ] {
        assert!(!scans(&connection, sql).is_empty(), "{sql}");
    }
    connection
        .execute_batch(
            "CREATE TRIGGER slow AFTER INSERT ON note BEGIN DELETE FROM _bulkhead_outbox WHERE time = new.id; END",
        )
        .unwrap();
    assert!(!scans(&connection, "INSERT INTO note (id, body) VALUES (?1, 'b')").is_empty());
}
