//! The host's own tables in a service's database. No statement of a guest can name them.
//!
//! Their schema has its own version, SQLite's `user_version`, which no guest can set. When a database of an earlier host is opened, its
//! tables are upgraded. A database of a later host is refused, because this host does not know what its tables mean.

use bulkhead_types::{HOST_TABLE_PREFIX, Random as _, SystemRandom};
use rusqlite::{Connection, Error, OptionalExtension as _, ffi};

/// The steps: each makes a version of the schema from the one before. A step never changes after it was released.
const STEPS: &[&str] = &[
    // Sequences are never used twice (AUTOINCREMENT), so that a position always means the same events.
    "
CREATE TABLE IF NOT EXISTS _bulkhead_meta (
    -- One row, created with the database.
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log TEXT NOT NULL, -- the random id of the event log
    batch INTEGER NOT NULL -- the number of the last committed batch: shows after a failed COMMIT whether the batch is durable
) STRICT;
CREATE TABLE IF NOT EXISTS _bulkhead_outbox (
    -- The event log, in the order of the units of work. Append only, except that erasing removes the data of events.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, -- a UUIDv7
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    time TEXT NOT NULL, -- RFC 3339, UTC
    trace_id TEXT NOT NULL,
    data TEXT NOT NULL -- JSON; empty if erased
) STRICT;
CREATE INDEX IF NOT EXISTS _bulkhead_outbox_by_subject ON _bulkhead_outbox (
    -- Erasing finds a subject's events that still have data. It does not read those that are erased already.
    subject
) WHERE data <> '';
CREATE TABLE IF NOT EXISTS _bulkhead_migration (
    -- Append only: the migrations that were applied, each as it was at that time.
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL, -- of the SQL, in hexadecimal
    applied_at TEXT NOT NULL -- RFC 3339, UTC
) STRICT;
",
    "
-- Of the event as it was published, or as erasing left it; empty for events from before digests existed. See `outbox.rs`.
ALTER TABLE _bulkhead_outbox ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
-- The secret with which the keys and bodies of idempotent requests are hashed.
ALTER TABLE _bulkhead_meta ADD COLUMN secret BLOB NOT NULL DEFAULT x'';
CREATE TABLE _bulkhead_cursor (
    -- One row for each producer: the position in its event log. Moves in the unit of work of the event that is consumed.
    producer TEXT PRIMARY KEY,
    log TEXT NOT NULL, -- the id of the producer's event log
    sequence INTEGER NOT NULL, -- of the last event that was consumed or skipped; 0 before the first
    event_id TEXT NOT NULL -- the id of that event; empty before the first
) STRICT, WITHOUT ROWID;
CREATE TABLE _bulkhead_parked (
    -- An event that could not be consumed yet. `parked`: it is tried again with backoff until it is consumed (the row is deleted)
    -- or has failed too often. `dead`: it stays until an operator retries or drops it. The event itself stays in the producer's
    -- event log, or in _bulkhead_timer if the producer is this service. So personal data need to be erased in one place only.
    producer TEXT NOT NULL,
    sequence INTEGER NOT NULL, -- in the producer's event log, or that of the timer
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('parked', 'dead')),
    attempts INTEGER NOT NULL, -- how many times it was tried; 0 while it waits behind another event of its subject
    next_ms INTEGER NOT NULL, -- when it is tried next, in milliseconds of the database's time: see `timeline.rs`
    since_ms INTEGER NOT NULL, -- when it was parked
    reason TEXT NOT NULL, -- why the last attempt failed
    PRIMARY KEY (producer, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX _bulkhead_parked_by_subject ON _bulkhead_parked (
    -- Whether a later event of the subject must wait, and which event is the first.
    producer, subject, sequence
) WHERE state = 'parked';
CREATE INDEX _bulkhead_parked_due ON _bulkhead_parked (
    -- The event that is tried next.
    next_ms
) WHERE state = 'parked';
CREATE TABLE _bulkhead_timer (
    -- An event that the service set for later. Deleted when it is consumed, cancelled, or dropped from the dead letters.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, -- a UUIDv7
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    time TEXT NOT NULL, -- when it was set: RFC 3339, UTC
    trace_id TEXT NOT NULL,
    data TEXT NOT NULL, -- JSON
    due_ms INTEGER NOT NULL, -- in milliseconds of the database's time: see `timeline.rs`
    parked INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1)) -- it has a row in _bulkhead_parked
) STRICT;
CREATE INDEX _bulkhead_timer_due ON _bulkhead_timer (
    -- The timers that are due, the earliest first.
    due_ms, sequence
) WHERE parked = 0;
CREATE TABLE _bulkhead_idempotency (
    -- The answer to a POST with an Idempotency-Key, written in its unit of work. Deleted after a day.
    key BLOB PRIMARY KEY, -- keyed hash of the caller and the key
    request BLOB NOT NULL, -- keyed hash of the method, the path, the query and the body
    created_ms INTEGER NOT NULL, -- in milliseconds of the database's time: see `timeline.rs`
    status INTEGER NOT NULL,
    headers TEXT NOT NULL, -- a JSON list of pairs; empty if nobody may keep the answer: then the row only records that the key was used
    body BLOB NOT NULL,
    position INTEGER NOT NULL, -- the value of Bulkhead-Position in the answer
    caller BLOB NOT NULL, -- keyed hash of the caller
    about BLOB NOT NULL -- keyed hash of the created resource, from `Location`
) STRICT, WITHOUT ROWID;
CREATE INDEX _bulkhead_idempotency_by_caller ON _bulkhead_idempotency (
    -- The answers that are deleted when a subject's data are erased.
    caller
);
CREATE INDEX _bulkhead_idempotency_by_about ON _bulkhead_idempotency (
    -- The same, by the created resource.
    about
);
CREATE INDEX _bulkhead_idempotency_by_age ON _bulkhead_idempotency (
    -- The answers that are a day old.
    created_ms
);
CREATE TABLE _bulkhead_replica (
    -- The replicas that were created and filled. The table of a replica has its name.
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL -- its owner, event types and columns when it was created, as JSON
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE _bulkhead_version (
    -- Append only: one row each time a version of the component became active. The last row is the active version.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL, -- of the component, in hexadecimal
    source TEXT NOT NULL, -- of the component at the manifest's source at that time; a different one there is a new version; empty for none
    how TEXT NOT NULL CHECK (how IN ('start', 'deploy', 'rollback', 'return')),
    author TEXT NOT NULL,
    note TEXT NOT NULL,
    at TEXT NOT NULL -- RFC 3339, UTC
) STRICT;
",
    // No statement of the host scans a table that grows (`writer/tests/events/plans.rs`): what a statement asks for is counted, marked or
    // indexed when it is written. Triggers maintain the count and the mark. So no statement can forget them, and an aborted unit of work
    // rolls them back.
    "
-- The number of timers, for their limit.
ALTER TABLE _bulkhead_meta ADD COLUMN timers INTEGER NOT NULL DEFAULT 0;
UPDATE _bulkhead_meta SET timers = (SELECT count(*) FROM _bulkhead_timer);
CREATE TRIGGER _bulkhead_timer_set AFTER INSERT ON _bulkhead_timer BEGIN
    UPDATE _bulkhead_meta SET timers = timers + 1;
END;
CREATE TRIGGER _bulkhead_timer_gone AFTER DELETE ON _bulkhead_timer BEGIN
    UPDATE _bulkhead_meta SET timers = timers - 1;
END;
CREATE INDEX _bulkhead_timer_by_id ON _bulkhead_timer (
    -- Cancelling a timer by its id.
    id
);
CREATE INDEX _bulkhead_timer_by_subject ON _bulkhead_timer (
    -- Cancelling all timers of a subject and type.
    subject, type
);
-- Whether it is the first of its subject's parked events. Only the first is tried; all others wait behind it.
ALTER TABLE _bulkhead_parked ADD COLUMN first INTEGER NOT NULL DEFAULT 0 CHECK (first IN (0, 1));
UPDATE _bulkhead_parked AS this SET first = 1 WHERE state = 'parked' AND sequence = (
    SELECT min(sequence) FROM _bulkhead_parked AS other
    WHERE other.state = 'parked' AND other.producer = this.producer AND other.subject = this.subject
);
CREATE UNIQUE INDEX _bulkhead_parked_first ON _bulkhead_parked (
    -- Whether a subject has parked events, and which subjects have some.
    producer, subject
) WHERE first = 1;
DROP INDEX _bulkhead_parked_due;
CREATE INDEX _bulkhead_parked_due ON _bulkhead_parked (
    -- The event that is tried next.
    next_ms
) WHERE first = 1;
CREATE INDEX _bulkhead_parked_by_id ON _bulkhead_parked (
    -- The event that an operator names by its id.
    id
);
CREATE INDEX _bulkhead_parked_by_trace ON _bulkhead_parked (
    -- The other parked events of one write.
    producer, trace_id, sequence
);
CREATE INDEX _bulkhead_parked_by_age ON _bulkhead_parked (
    -- An operator's list.
    since_ms, producer, sequence
);
CREATE INDEX _bulkhead_parked_by_producer ON _bulkhead_parked (
    -- The number of a producer's parked events and dead letters, and the age of the oldest.
    producer, state, since_ms
);
CREATE TRIGGER _bulkhead_parked_added AFTER INSERT ON _bulkhead_parked WHEN new.state = 'parked' BEGIN
    UPDATE _bulkhead_parked SET first = 0
    WHERE first = 1 AND producer = new.producer AND subject = new.subject AND sequence > new.sequence;
    UPDATE _bulkhead_parked SET first = 1 WHERE producer = new.producer AND sequence = new.sequence AND NOT EXISTS (
        SELECT 1 FROM _bulkhead_parked WHERE first = 1 AND producer = new.producer AND subject = new.subject
    );
END;
CREATE TRIGGER _bulkhead_parked_again AFTER UPDATE OF state ON _bulkhead_parked WHEN old.state = 'dead' AND new.state = 'parked' BEGIN
    UPDATE _bulkhead_parked SET first = 0
    WHERE first = 1 AND producer = new.producer AND subject = new.subject AND sequence > new.sequence;
    UPDATE _bulkhead_parked SET first = 1 WHERE producer = new.producer AND sequence = new.sequence AND NOT EXISTS (
        SELECT 1 FROM _bulkhead_parked WHERE first = 1 AND producer = new.producer AND subject = new.subject
    );
END;
CREATE TRIGGER _bulkhead_parked_dead AFTER UPDATE OF state ON _bulkhead_parked WHEN old.first = 1 AND new.state = 'dead' BEGIN
    UPDATE _bulkhead_parked SET first = 0 WHERE producer = new.producer AND sequence = new.sequence;
    UPDATE _bulkhead_parked SET first = 1 WHERE producer = new.producer AND sequence = (
        SELECT min(sequence) FROM _bulkhead_parked
        WHERE state = 'parked' AND producer = new.producer AND subject = new.subject
    );
END;
CREATE TRIGGER _bulkhead_parked_gone AFTER DELETE ON _bulkhead_parked WHEN old.first = 1 BEGIN
    UPDATE _bulkhead_parked SET first = 1 WHERE producer = old.producer AND sequence = (
        SELECT min(sequence) FROM _bulkhead_parked
        WHERE state = 'parked' AND producer = old.producer AND subject = old.subject
    );
END;
-- Includes erased events, for a subject's whole history. Events with data can still be found alone.
DROP INDEX _bulkhead_outbox_by_subject;
CREATE INDEX _bulkhead_outbox_by_subject ON _bulkhead_outbox (
    -- Erasing a subject's events, which does not read those that are erased already. And a subject's history.
    subject, (data <> '')
);
",
    "
CREATE TABLE _bulkhead_idempotency_subject (
    -- The subjects that a kept answer is about. Written and deleted with the answer.
    key BLOB NOT NULL, -- of the answer
    subject BLOB NOT NULL, -- keyed hash
    PRIMARY KEY (key, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX _bulkhead_idempotency_by_subject ON _bulkhead_idempotency_subject (
    -- The answers that are forgotten with a subject.
    subject
);
INSERT INTO _bulkhead_idempotency_subject (key, subject)
    SELECT key, caller FROM _bulkhead_idempotency UNION SELECT key, about FROM _bulkhead_idempotency;
CREATE TRIGGER _bulkhead_idempotency_gone AFTER DELETE ON _bulkhead_idempotency BEGIN
    DELETE FROM _bulkhead_idempotency_subject WHERE key = old.key;
END;
DROP INDEX _bulkhead_idempotency_by_caller;
DROP INDEX _bulkhead_idempotency_by_about;
ALTER TABLE _bulkhead_idempotency DROP COLUMN caller;
ALTER TABLE _bulkhead_idempotency DROP COLUMN about;
",
    "
-- The owner's event log, and the event up to which the rows were read from the owner directly: no event up to it is applied. 0 if the rows
-- were made from events only.
ALTER TABLE _bulkhead_replica ADD COLUMN log TEXT NOT NULL DEFAULT '';
ALTER TABLE _bulkhead_replica ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
",
    "
-- A random number, written by a transaction that is not a batch: shows after a failed COMMIT whether that is durable. See `settle.rs`.
ALTER TABLE _bulkhead_meta ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
",
    "
-- The time by which delays and ages are measured, and the wall clock at the same moment: see `timeline.rs`. 0 before the first batch.
ALTER TABLE _bulkhead_meta ADD COLUMN time_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE _bulkhead_meta ADD COLUMN wall_ms INTEGER NOT NULL DEFAULT 0;
",
    "
-- What a request is hashed from has changed: a repeated one must get the answer that was kept, and not be taken for another. So of answers
-- that are there it is not known any more which request they are of, and any with the key gets them.
UPDATE _bulkhead_idempotency SET request = x'';
",
];

/// The largest number that a row of the host's can plausibly have: a million numbers a second for a hundred thousand years.
const SEQUENCE_MAX: i64 = i64::MAX / 2;

/// The names of the tables, of their indexes and of their triggers.
const NAMES: &[&str] = &[
    "_bulkhead_meta",
    "_bulkhead_outbox",
    "_bulkhead_outbox_by_subject",
    "_bulkhead_migration",
    "_bulkhead_cursor",
    "_bulkhead_parked",
    "_bulkhead_parked_by_subject",
    "_bulkhead_parked_due",
    "_bulkhead_parked_first",
    "_bulkhead_parked_by_id",
    "_bulkhead_parked_by_trace",
    "_bulkhead_parked_by_age",
    "_bulkhead_parked_by_producer",
    "_bulkhead_parked_added",
    "_bulkhead_parked_again",
    "_bulkhead_parked_dead",
    "_bulkhead_parked_gone",
    "_bulkhead_timer",
    "_bulkhead_timer_due",
    "_bulkhead_timer_by_id",
    "_bulkhead_timer_by_subject",
    "_bulkhead_timer_set",
    "_bulkhead_timer_gone",
    "_bulkhead_idempotency",
    "_bulkhead_idempotency_by_age",
    "_bulkhead_idempotency_gone",
    "_bulkhead_idempotency_subject",
    "_bulkhead_idempotency_by_subject",
    "_bulkhead_replica",
    "_bulkhead_version",
];

/// [`NAMES`] as a list of SQL texts.
pub(crate) fn names_in_sql() -> String {
    NAMES.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// What the host's tables record about a database.
pub(crate) struct Identity {
    /// The id of the event log.
    pub(crate) log: String,
    /// The secret with which idempotent requests are hashed.
    pub(crate) secret: Vec<u8>,
}

/// Upgrades the host's tables to this version, and reads what they record.
///
/// # Errors
///
/// SQLite's errors; [`newer`] for a database of a later host, which is left as it is.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<Identity> {
    let version = known_version(connection)?;
    // A database with this version is not written to. So a second start needs no sync.
    if version < STEPS.len() {
        let mut random = [0; 48];
        SystemRandom.fill(&mut random);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (log, secret) = random.split_at(16);
        let steps = STEPS.get(version..).unwrap_or_default().concat();
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {steps}
             INSERT OR IGNORE INTO _bulkhead_meta (id, log, batch) VALUES (1, '{}', 0);
             UPDATE _bulkhead_meta SET secret = x'{}' WHERE secret = x'';
             PRAGMA user_version = {};
             COMMIT",
            hex(log),
            hex(secret),
            STEPS.len()
        ))?;
    }
    check_sequences(connection)?;
    identity(connection)
}

fn identity(connection: &Connection) -> rusqlite::Result<Identity> {
    connection.query_row("SELECT log, secret FROM _bulkhead_meta", [], |row| {
        Ok(Identity { log: row.get(0)?, secret: row.get(1)? })
    })
}

/// Reads what the host's tables record, if they have this version.
///
/// # Errors
///
/// As for [`prepare`].
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Identity>> {
    if known_version(connection)? < STEPS.len() { Ok(None) } else { identity(connection).map(Some) }
}

/// Checks that the tables still have numbers left. SQLite keeps the last number that it gave in its own table, and there is none after the
/// largest. No host gets there in normal use.
///
/// # Errors
///
/// SQLite's errors; an error that says what to do, as for a damaged file.
pub(crate) fn check_sequences(connection: &Connection) -> rusqlite::Result<()> {
    let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')";
    if !connection.query_row(exists, [], |row| row.get(0))? {
        return Ok(());
    }
    let altered = connection
        .query_row(
            "SELECT name, seq FROM sqlite_sequence WHERE substr(name, 1, length(?1)) = ?1 AND seq > ?2",
            (HOST_TABLE_PREFIX, SEQUENCE_MAX),
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
        )
        .optional()?;
    let Some((name, seq)) = altered else { return Ok(()) };
    let message = format!(
        "sqlite_sequence has {seq} as the last number of {name}, which leaves none for the next row: something else than the host wrote it; \
         put the file back as it was before, or, with the host stopped, set it back by hand: UPDATE sqlite_sequence SET seq = (SELECT \
         max(sequence) FROM {name}) WHERE name = '{name}'"
    );
    Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(message)))
}

/// The version of the host's tables in a database.
///
/// # Errors
///
/// SQLite's errors; [`newer`] for a database of a later host.
pub(crate) fn known_version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = version as usize;
    if version > STEPS.len() { Err(newer(version)) } else { Ok(version) }
}

/// The error that SQLite has for a file whose format is newer than its own.
fn newer(version: usize) -> Error {
    let message = format!(
        "they have version {version}, and this host knows them up to {}: a later host has had this database; run that one, or put the \
         file back as it was before",
        STEPS.len()
    );
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(message))
}

#[cfg(test)]
mod tests;
