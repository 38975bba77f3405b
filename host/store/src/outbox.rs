//! The event log: rows that are written in the unit of work that they tell of.

use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, EVENT_NAME_BYTES_MAX};
use rusqlite::Connection;

use crate::error::classify;
use crate::{PublishError, StatementError};

/// An event to be published.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'e> {
    /// A UUIDv7.
    pub id: &'e str,
    /// For example `note.written`.
    pub kind: &'e str,
    /// The entity that it is about.
    pub subject: &'e str,
    /// RFC 3339, UTC.
    pub time: &'e str,
    /// The trace that it was published under.
    pub trace_id: &'e str,
    /// JSON.
    pub data: &'e str,
}

impl NewEvent<'_> {
    fn check(&self) -> Result<(), PublishError> {
        for (what, text) in [("type", self.kind), ("subject", self.subject)] {
            if text.is_empty() || text.len() > EVENT_NAME_BYTES_MAX {
                return Err(PublishError::Invalid(format!(
                    "the {what} of an event has 1 to {EVENT_NAME_BYTES_MAX} bytes, and this one {}",
                    text.len()
                )));
            }
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

/// Appends an event, and gives its sequence.
pub(crate) fn append(connection: &Connection, event: &NewEvent<'_>) -> Result<i64, PublishError> {
    event.check()?;
    let insert = || {
        connection
            .prepare_cached(
                "/*bulkhead*/INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .insert((event.id, event.kind, event.subject, event.time, event.trace_id, event.data))
    };
    insert().map_err(|error| PublishError::Statement(classify(&error, None)))
}

/// Takes the data out of every event of a subject, and gives how many had any. Each keeps its place: a consumer's position, which
/// names its sequence and its id, holds.
pub(crate) fn compact(connection: &Connection, subject: &str) -> Result<u64, StatementError> {
    let update = || {
        connection
            .prepare_cached(
                "/*bulkhead*/UPDATE _bulkhead_outbox SET data = '' WHERE subject = ?1 AND data <> ''",
            )?
            .execute([subject])
    };
    update().map(|count| count as u64).map_err(|error| classify(&error, None))
}

/// The sequence of the last event, 0 before the first.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("/*bulkhead*/SELECT coalesce(max(sequence), 0) FROM _bulkhead_outbox")?
        .query_row([], |row| row.get(0))
}
