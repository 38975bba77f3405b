//! The event log: rows that are written in the unit of work that they tell of, and read by whoever follows the log.

use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, EVENT_NAME_BYTES_MAX};
use rusqlite::Connection;

use crate::connection::Guarded;
use crate::error::classify;
use crate::{Database, PublishError, StatementError, StoreError};

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

/// What a follower of the log is told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its place in the log.
    pub sequence: i64,
    /// Its type.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// RFC 3339, UTC.
    pub time: String,
}

/// Reads a log on a connection of its own, without its data.
pub struct LogReader {
    guarded: Guarded,
}

impl LogReader {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { guarded: database.open_reader()? })
    }

    /// Hands on every event behind `sequence`, the newest first, until `wanted` is false of one or there are no more.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn newest_first(
        &self,
        sequence: i64,
        mut wanted: impl FnMut(Published) -> bool,
    ) -> Result<(), StatementError> {
        let mut read = || {
            let mut statement = self.guarded.connection.prepare_cached(
                "/*bulkhead*/SELECT sequence, type, subject, time FROM _bulkhead_outbox WHERE sequence > ?1 ORDER BY sequence DESC",
            )?;
            let mut rows = statement.query([sequence])?;
            while let Some(row) = rows.next()? {
                let event = Published {
                    sequence: row.get(0)?,
                    kind: row.get(1)?,
                    subject: row.get(2)?,
                    time: row.get(3)?,
                };
                if !wanted(event) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|error| classify(&error, None))
    }
}
