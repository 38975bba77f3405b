//! The rows of the event log. They are written in the unit of work that they report, and read through `event_log/`.
//!
//! Each row has a digest, so that the consistency check finds events that were altered in the file. It has 16 bytes of SHA-256 over the
//! columns that erasing keeps and, until the event is erased, 16 bytes over the data.

use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, EVENT_NAME_BYTES_MAX};
use rusqlite::{Connection, Row};
use sha2::{Digest as _, Sha256};

use crate::error::classify;
use crate::{PublishError, StatementError};

/// An event to be published.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'e> {
    /// A UUIDv7.
    pub id: &'e str,
    /// For example `note.written`.
    pub kind: &'e str,
    /// The subject: the entity that the event is about.
    pub subject: &'e str,
    /// RFC 3339, UTC.
    pub time: &'e str,
    /// The trace that it was published under.
    pub trace_id: &'e str,
    /// JSON.
    pub data: &'e str,
}

impl NewEvent<'_> {
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        for (what, text) in [("the type of an event", self.kind), ("the subject of an event", self.subject)] {
            check_length(what, text).map_err(PublishError::Invalid)?;
        }
        if self.data.len() > EVENT_DATA_BYTES_MAX {
            return Err(PublishError::Invalid(format!(
                "the data of an event have at most {EVENT_DATA_BYTES_MAX} bytes, and these {}",
                self.data.len()
            )));
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(self.data) {
            return Err(PublishError::Invalid(format!(
                "the data of an event are JSON, and these are not: {error}"
            )));
        }
        Ok(())
    }
}

/// Checks that a text has a valid length for an event's type or subject. The error message begins with `what`.
fn check_length(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > EVENT_NAME_BYTES_MAX {
        return Err(format!("{what} has 1 to {EVENT_NAME_BYTES_MAX} bytes, and this one {}", text.len()));
    }
    Ok(())
}

/// Checks that a guest may name this text as the subject of an answer. The rules are those for an event's subject. Each subject is kept
/// until the unit of work ends, and hashed.
pub(crate) fn check_subject(subject: &str) -> Result<(), StatementError> {
    check_length("a subject", subject).map_err(StatementError::InvalidValue)
}

/// Appends an event that was checked, and returns its sequence.
pub(crate) fn append(connection: &Connection, event: &NewEvent<'_>) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "/*bulkhead*/INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert((event.id, event.kind, event.subject, event.time, event.trace_id, event.data, digest(event)))
}

/// First the hash of the columns that erasing keeps, then the hash of the data. The length of each part precedes it, so that no two events
/// have the same bytes.
fn digest(event: &NewEvent<'_>) -> [u8; 32] {
    let mut head = Sha256::new();
    for part in [event.id, event.kind, event.subject, event.time, event.trace_id] {
        head.update((part.len() as u64).to_le_bytes());
        head.update(part);
    }
    let (head, data) = (head.finalize(), Sha256::digest(event.data));
    let mut digest = [0; 32];
    for (byte, value) in digest.iter_mut().zip(head.iter().take(16).chain(data.iter().take(16))) {
        *byte = *value;
    }
    digest
}

/// Erases the data of every event of a subject, and returns how many had data. Each event keeps its place in the event log, so a consumer's
/// position, which names the sequence and the id, stays valid. Events from before digests existed have an empty digest, for which SQLite's
/// `substr` is NULL.
pub(crate) fn erase(connection: &Connection, subject: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "/*bulkhead*/UPDATE _bulkhead_outbox SET data = '', digest = coalesce(substr(digest, 1, 16), x'')
             WHERE subject = ?1 AND (data <> '') = 1",
        )?
        .execute([subject])
        .map(|count| count as u64)
}

/// The sequence of the last event; 0 before the first.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("/*bulkhead*/SELECT coalesce(max(sequence), 0) FROM _bulkhead_outbox")?
        .query_row([], |row| row.get(0))
}

/// The sequence of the first event; without one, the sequence that the next event gets.
pub(crate) fn trim_point(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT coalesce((SELECT min(sequence) FROM _bulkhead_outbox),
             (SELECT seq + 1 FROM sqlite_sequence WHERE name = '_bulkhead_outbox'), 1)",
        )?
        .query_row([], |row| row.get(0))
}

/// An event of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the event log.
    pub sequence: i64,
    /// A UUIDv7.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its subject: the entity that it is about.
    pub subject: String,
    /// When it was published: RFC 3339, UTC.
    pub time: String,
    /// The trace that it was published under.
    pub trace_id: String,
    /// JSON; empty if it was erased.
    pub data: String,
}

impl Logged {
    /// Reads the columns `sequence, id, type, subject, time, trace_id, data`.
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            id: row.get(1)?,
            kind: row.get(2)?,
            subject: row.get(3)?,
            time: row.get(4)?,
            trace_id: row.get(5)?,
            data: row.get(6)?,
        })
    }
}

/// An event that is missing, or not as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The place in the event log.
    pub sequence: i64,
    /// The event's id as found there; empty if there is no event.
    pub id: String,
    /// What is wrong, as the end of a sentence that begins with the event's place.
    pub what: String,
}

/// The missing events between two places.
fn gap(next: i64, found: i64) -> Option<Damage> {
    let last = found - 1;
    let what = match last - next {
        ..0 => return None,
        0 => "is missing".to_owned(),
        _ => format!("is missing, and so are all up to event {last}"),
    };
    Some(Damage { sequence: next, id: String::new(), what })
}

/// Distinguishes a row that is not an event from an event log that can't be read now.
pub(crate) fn unreadable(error: &rusqlite::Error) -> StatementError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StatementError::InvalidValue(error.to_string()),
        error => classify(error, None),
    }
}

/// Every event that is not as it was published, and every gap: see [`crate::EventLog::damages`].
pub(crate) fn damages(connection: &Connection) -> rusqlite::Result<Vec<Damage>> {
    // Read first: events that are published meanwhile come after it.
    let given: i64 = connection.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '_bulkhead_outbox'",
        [],
        |row| row.get(0),
    )?;
    let mut statement = connection.prepare_cached(
        "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data, digest FROM _bulkhead_outbox
         ORDER BY sequence",
    )?;
    let mut rows = statement.query([])?;
    let (mut damages, mut next) = (Vec::new(), 1);
    while let Some(row) = rows.next()? {
        let sequence: i64 = row.get(0)?;
        damages.extend(gap(next, sequence));
        next = sequence + 1;
        // A text that was written by hand may not be valid text.
        let (Ok(event), Ok(recorded)) = (Logged::from_row(row), row.get::<_, Vec<u8>>(7)) else {
            damages.push(Damage { sequence, id: String::new(), what: "is not readable".to_owned() });
            continue;
        };
        let found = digest(&NewEvent {
            id: &event.id,
            kind: &event.kind,
            subject: &event.subject,
            time: &event.time,
            trace_id: &event.trace_id,
            data: &event.data,
        });
        // An erased event has half a digest. Data that are missing with a whole digest were removed by hand.
        let compared = recorded.len();
        let erased = event.data.is_empty();
        let fits =
            recorded.is_empty() || (compared == if erased { 16 } else { 32 } && found.starts_with(&recorded));
        if !fits {
            damages.push(Damage { sequence, id: event.id, what: "is not as it was published".to_owned() });
        }
    }
    damages.extend(gap(next, given.saturating_add(1)));
    Ok(damages)
}
