//! The host's own tables in a service's database. A guest can name none of them.

use bulkhead_types::{Random as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension};

/// Sequences are never used twice (AUTOINCREMENT), so that a position always means the same events.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _bulkhead_meta (
    -- One row, made with the database.
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log TEXT NOT NULL, -- the random id of the event log
    batch INTEGER NOT NULL -- the number of the last batch that was committed: tells after a failed COMMIT whether it was durable
) STRICT;
CREATE TABLE IF NOT EXISTS _bulkhead_outbox (
    -- Append only, but for the data that compaction takes out: what the service published, in the order of its units of work.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, -- a UUIDv7
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    time TEXT NOT NULL, -- RFC 3339, UTC
    trace_id TEXT NOT NULL,
    data TEXT NOT NULL -- JSON; empty where it was compacted
) STRICT;
CREATE INDEX IF NOT EXISTS _bulkhead_outbox_by_subject ON _bulkhead_outbox (
    -- What a subject's compaction looks for: however long its history, what was compacted before is not looked at again.
    subject
) WHERE data <> '';
CREATE TABLE IF NOT EXISTS _bulkhead_migration (
    -- Append only: the migrations that were applied, each with what it was then.
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL, -- of the SQL, in hexadecimal
    applied_at TEXT NOT NULL -- RFC 3339, UTC
) STRICT;
";

/// The names of the tables and of their indexes.
pub(crate) const NAMES: [&str; 4] =
    ["_bulkhead_meta", "_bulkhead_outbox", "_bulkhead_outbox_by_subject", "_bulkhead_migration"];

/// [`NAMES`] as SQL has a list of texts.
pub(crate) fn names_in_sql() -> String {
    NAMES.map(|name| format!("'{name}'")).join(", ")
}

/// Makes what is missing, and gives the id of the log.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<String> {
    let read = "SELECT log FROM _bulkhead_meta";
    // A database that is complete is not written to: so a second start needs no sync.
    let complete: bool = connection.query_row(
        &format!("SELECT count(*) = {} FROM sqlite_schema WHERE name IN ({})", NAMES.len(), names_in_sql()),
        [],
        |row| row.get(0),
    )?;
    if complete && let Some(log) = connection.query_row(read, [], |row| row.get(0)).optional()? {
        return Ok(log);
    }
    let mut log = [0; 16];
    SystemRandom.fill(&mut log);
    let log = format!("{:032x}", u128::from_be_bytes(log));
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES}
         INSERT OR IGNORE INTO _bulkhead_meta (id, log, batch) VALUES (1, '{log}', 0);
         COMMIT"
    ))?;
    connection.query_row(read, [], |row| row.get(0))
}
