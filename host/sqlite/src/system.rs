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
",
    "
-- Of the event as it was published, or as compaction left it; empty in events from before there were digests. See `outbox.rs`.
ALTER TABLE _bulkhead_outbox ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
-- What the keys and bodies of idempotent requests are hashed with.
ALTER TABLE _bulkhead_meta ADD COLUMN secret BLOB NOT NULL DEFAULT x'';
CREATE TABLE _bulkhead_cursor (
    -- One row for each producer: up to where this service has taken its log. Moved in the unit of work of what it took.
    producer TEXT PRIMARY KEY,
    log TEXT NOT NULL, -- the id of the producer's log
    sequence INTEGER NOT NULL, -- of the last event that was taken or passed over; 0 before the first
    event_id TEXT NOT NULL -- the id of that event; empty before the first
) STRICT, WITHOUT ROWID;
CREATE TABLE _bulkhead_parked (
    -- An event that could not be taken yet. Its life: `parked`, tried again with backoff until it is taken (the row goes) or has
    -- failed too often: `dead`, until somebody has it tried again or drops it. The event itself stays in the producer's log, or
    -- in _bulkhead_timer where the producer is this service: personal data have no second place to be taken out of.
    producer TEXT NOT NULL,
    sequence INTEGER NOT NULL, -- in the producer's log, or the id of the timer
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('parked', 'dead')),
    attempts INTEGER NOT NULL, -- how often it was tried; 0 while it only waits behind another of its subject
    next_ms INTEGER NOT NULL, -- when it is tried next, in milliseconds of the database's time: see `timeline.rs`
    since_ms INTEGER NOT NULL, -- when it was parked
    reason TEXT NOT NULL, -- why the last attempt failed
    PRIMARY KEY (producer, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX _bulkhead_parked_by_subject ON _bulkhead_parked (
    -- Whether a later event of the subject has to wait, and which is the first.
    producer, subject, sequence
) WHERE state = 'parked';
CREATE INDEX _bulkhead_parked_due ON _bulkhead_parked (
    -- What is to be tried next.
    next_ms
) WHERE state = 'parked';
CREATE TABLE _bulkhead_timer (
    -- An event that the service set for later. It goes when it was taken, or dropped from the dead letters.
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
    -- Those that are due, the earliest first.
    due_ms, sequence
) WHERE parked = 0;
CREATE TABLE _bulkhead_idempotency (
    -- The answer of a POST with an Idempotency-Key, written in its unit of work; goes after a day.
    key BLOB PRIMARY KEY, -- keyed hash of the caller and the key
    request BLOB NOT NULL, -- keyed hash of the method, the path, the query and the body
    created_ms INTEGER NOT NULL, -- in milliseconds of the database's time: see `timeline.rs`
    status INTEGER NOT NULL,
    headers TEXT NOT NULL, -- a JSON list of pairs; empty where nobody may keep the answer: then only that the key was used is known
    body BLOB NOT NULL,
    position INTEGER NOT NULL, -- what Bulkhead-Position told
    caller BLOB NOT NULL, -- keyed hash of who asked
    about BLOB NOT NULL -- keyed hash of what was made, by its place in `Location`
) STRICT, WITHOUT ROWID;
CREATE INDEX _bulkhead_idempotency_by_caller ON _bulkhead_idempotency (
    -- What goes with a subject whose data are taken out.
    caller
);
CREATE INDEX _bulkhead_idempotency_by_about ON _bulkhead_idempotency (
    -- The same.
    about
);
CREATE INDEX _bulkhead_idempotency_by_age ON _bulkhead_idempotency (
    -- Those that are a day old.
    created_ms
);
CREATE TABLE _bulkhead_replica (
    -- The replicas that were made and filled. The table of one is named as it is.
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL -- the owner, the types and the columns that it was made with, as JSON
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE _bulkhead_version (
    -- Append only: each time that a version of the component became the active one. The last row is the one that is active.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL, -- of the component, in hexadecimal
    source TEXT NOT NULL, -- of the component at the manifest's source then: another one there is a new version; empty for none
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
-- How many timers there are, for their bound.
ALTER TABLE _bulkhead_meta ADD COLUMN timers INTEGER NOT NULL DEFAULT 0;
UPDATE _bulkhead_meta SET timers = (SELECT count(*) FROM _bulkhead_timer);
CREATE TRIGGER _bulkhead_timer_set AFTER INSERT ON _bulkhead_timer BEGIN
    UPDATE _bulkhead_meta SET timers = timers + 1;
END;
CREATE TRIGGER _bulkhead_timer_gone AFTER DELETE ON _bulkhead_timer BEGIN
    UPDATE _bulkhead_meta SET timers = timers - 1;
END;
CREATE INDEX _bulkhead_timer_by_id ON _bulkhead_timer (
    -- The one that is cancelled.
    id
);
CREATE INDEX _bulkhead_timer_by_subject ON _bulkhead_timer (
    -- Those that are cancelled together.
    subject, type
);
-- Whether it is the first of its subject's parked events, the one that is tried: the others wait behind it, however many they are.
ALTER TABLE _bulkhead_parked ADD COLUMN first INTEGER NOT NULL DEFAULT 0 CHECK (first IN (0, 1));
UPDATE _bulkhead_parked AS this SET first = 1 WHERE state = 'parked' AND sequence = (
    SELECT min(sequence) FROM _bulkhead_parked AS other
    WHERE other.state = 'parked' AND other.producer = this.producer AND other.subject = this.subject
);
CREATE UNIQUE INDEX _bulkhead_parked_first ON _bulkhead_parked (
    -- Whether a subject has parked events, and which subjects have.
    producer, subject
) WHERE first = 1;
DROP INDEX _bulkhead_parked_due;
CREATE INDEX _bulkhead_parked_due ON _bulkhead_parked (
    -- What is to be tried next.
    next_ms
) WHERE first = 1;
CREATE INDEX _bulkhead_parked_by_id ON _bulkhead_parked (
    -- The one that an operator names.
    id
);
CREATE INDEX _bulkhead_parked_by_trace ON _bulkhead_parked (
    -- What else of one write is parked.
    producer, trace_id, sequence
);
CREATE INDEX _bulkhead_parked_by_age ON _bulkhead_parked (
    -- The list of an operator.
    since_ms, producer, sequence
);
CREATE INDEX _bulkhead_parked_by_producer ON _bulkhead_parked (
    -- How many there are of a producer, and since when the oldest.
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
-- With the events that were erased: for who asks for all of a subject. Those with data are still found by themselves.
DROP INDEX _bulkhead_outbox_by_subject;
CREATE INDEX _bulkhead_outbox_by_subject ON _bulkhead_outbox (
    -- What is erased: however long a subject's history, what was erased before is not looked at again. And a subject's history.
    subject, (data <> '')
);
",
    "
CREATE TABLE _bulkhead_idempotency_subject (
    -- Whom and what a kept answer is about. Written with the answer, and goes with it.
    key BLOB NOT NULL, -- the answer's
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
-- The owner's log, and the event in it up to which the rows were read from the owner itself: none up to there is applied. 0 where the rows
-- were made from events alone.
ALTER TABLE _bulkhead_replica ADD COLUMN log TEXT NOT NULL DEFAULT '';
ALTER TABLE _bulkhead_replica ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
",
    "
-- A random number, written by what is not a batch: tells after a failed COMMIT whether it is there. See `settle.rs`.
ALTER TABLE _bulkhead_meta ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
",
    "
-- The time by which delays and ages are measured, and the wall clock's at the same moment: see `timeline.rs`. 0 before the first batch.
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
