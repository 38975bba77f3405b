//! A look into a service's database file from outside, for what the API does not show. It only ever reads.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens a database file for reading, also while a host has it open.
pub fn open(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .unwrap_or_else(|error| panic!("failed to open {}: {error}", file.display()))
}

/// Opens a database file for writing, to break it on purpose while no host runs.
pub fn open_to_break(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .unwrap_or_else(|error| panic!("failed to open {}: {error}", file.display()))
}

/// The single number that a statement gives.
#[track_caller]
pub fn number(connection: &Connection, statement: &str) -> i64 {
    connection
        .query_row(statement, (), |row| row.get(0))
        .unwrap_or_else(|error| panic!("{statement}: {error}"))
}

/// The first column of all rows, as texts.
#[track_caller]
pub fn texts(connection: &Connection, statement: &str) -> Vec<String> {
    let read = || {
        let mut statement = connection.prepare(statement)?;
        statement.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()
    };
    read().unwrap_or_else(|error| panic!("{statement}: {error}"))
}

/// How many rows each table has, the host's own tables included: equal before and after means that nothing was written.
pub fn row_counts(file: &Path) -> BTreeMap<String, i64> {
    let connection = open(file);
    let tables = "SELECT name FROM sqlite_schema \
                  WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND sql NOT LIKE 'CREATE VIRTUAL%'";
    texts(&connection, tables)
        .into_iter()
        .map(|table| {
            let count = number(&connection, &format!("SELECT count(*) FROM \"{table}\""));
            (table, count)
        })
        .collect()
}

/// Checks the file as SQLite can: its structure, and that every foreign key leads somewhere.
#[track_caller]
pub fn check(connection: &Connection) {
    assert_eq!(texts(connection, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(number(connection, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}
