//! The event log: rows that are written in the unit of work that they tell of, and read by whoever follows the log.
//!
//! Each row has a digest, so that the consistency check can tell an event that was altered in the file from one as it was published:
//! 16 bytes of SHA-256 over what erasing leaves, and, until it is erased, 16 over the data.

use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, EVENT_NAME_BYTES_MAX, LOG_READ_BYTES_MAX};
use rusqlite::{Connection, OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};

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

/// Whether a text has the length of an event's type or subject. `what` it is stands in the message.
fn check_length(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > EVENT_NAME_BYTES_MAX {
        return Err(format!("{what} has 1 to {EVENT_NAME_BYTES_MAX} bytes, and this one {}", text.len()));
    }
    Ok(())
}

/// Whether a guest may name this as whom an answer is about: what a subject of an event may be. Each is kept until the unit of work ends,
/// and hashed.
pub(crate) fn check_subject(subject: &str) -> Result<(), StatementError> {
    check_length("a subject", subject).map_err(StatementError::InvalidValue)
}

/// Appends an event that was checked, and gives its sequence.
pub(crate) fn append(connection: &Connection, event: &NewEvent<'_>) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "/*bulkhead*/INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert((event.id, event.kind, event.subject, event.time, event.trace_id, event.data, digest(event)))
}

/// Of what erasing leaves, then of the data. Every part is preceded by its length, so that no two events have the same bytes.
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

/// Erases the data of every event of a subject, and gives how many had any. Each keeps its place: a consumer's position, which
/// names its sequence and its id, holds. Those from before there were digests have none to halve: of nothing SQLite's `substr` is NULL.
pub(crate) fn erase(connection: &Connection, subject: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "/*bulkhead*/UPDATE _bulkhead_outbox SET data = '', digest = coalesce(substr(digest, 1, 16), x'')
             WHERE subject = ?1 AND (data <> '') = 1",
        )?
        .execute([subject])
        .map(|count| count as u64)
}

/// The sequence of the last event, 0 before the first.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("/*bulkhead*/SELECT coalesce(max(sequence), 0) FROM _bulkhead_outbox")?
        .query_row([], |row| row.get(0))
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the log.
    pub sequence: i64,
    /// A UUIDv7.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// When it was published: RFC 3339, UTC.
    pub time: String,
    /// The trace that it was published under.
    pub trace_id: String,
    /// JSON; empty where it was erased.
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

/// An event that is not as it was published, or that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The place in the log.
    pub sequence: i64,
    /// The event's id as it stands there; empty where there is no event.
    pub id: String,
    /// What is wrong, as the end of a sentence that begins with the event's place.
    pub what: String,
}

/// The events between two places, which are not there.
fn gap(next: i64, found: i64) -> Option<Damage> {
    let last = found - 1;
    let what = match last - next {
        ..0 => return None,
        0 => "is missing".to_owned(),
        _ => format!("is missing, and so are all up to event {last}"),
    };
    Some(Damage { sequence: next, id: String::new(), what })
}

/// A row that is no event is told apart from a log that can't be read now.
fn unreadable(error: &rusqlite::Error) -> StatementError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StatementError::InvalidValue(error.to_string()),
        error => classify(error, None),
    }
}

/// Reads a log on a connection of its own.
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

    pub(crate) fn connection(&self) -> &Connection {
        &self.guarded.connection
    }

    /// At most `count` events from `sequence` on, in their order, and fewer where they are large.
    ///
    /// # Errors
    ///
    /// [`StatementError::InvalidValue`] for a row that is no event, as only somebody else than the host writes one; otherwise SQLite's.
    pub fn read(&self, sequence: i64, count: u32) -> Result<Vec<Logged>, StatementError> {
        let read = || {
            let mut statement = self.connection().prepare_cached(
                "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data FROM _bulkhead_outbox
                 WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2",
            )?;
            let mut rows = statement.query((sequence, count))?;
            let (mut events, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let event = Logged::from_row(row)?;
                bytes += event.data.len();
                events.push(event);
                if bytes > LOG_READ_BYTES_MAX {
                    break;
                }
            }
            Ok(events)
        };
        read().map_err(|error| unreadable(&error))
    }

    /// Whether there is an event of one of these types about a subject behind the first of two sequences, up to the second. An
    /// empty type is none.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn has_between(
        &self,
        subject: &str,
        kinds: [&str; 2],
        between: (i64, i64),
    ) -> Result<bool, StatementError> {
        let [first, second] = kinds;
        let read = || {
            self.connection()
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_outbox WHERE subject = ?1 AND (data <> '') = 1
                     AND type IN (?2, ?3) AND sequence > ?4 AND sequence <= ?5)",
                )?
                .query_row((subject, first, second, between.0, between.1), |row| row.get(0))
        };
        read().map_err(|error| classify(&error, None))
    }

    /// The last event of one of these types about a subject, up to `sequence`, of those that have data.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn last_of(
        &self,
        subject: &str,
        kinds: [&str; 2],
        sequence: i64,
    ) -> Result<Option<Logged>, StatementError> {
        let read = || {
            self.guarded
                .connection
                .prepare_cached(
                    "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data FROM _bulkhead_outbox
                     WHERE subject = ?1 AND (data <> '') = 1 AND type IN (?2, ?3) AND sequence <= ?4
                     ORDER BY sequence DESC LIMIT 1",
                )?
                .query_row((subject, kinds[0], kinds[1], sequence), Logged::from_row)
                .optional()
        };
        read().map_err(|error| unreadable(&error))
    }

    /// The sequence of the last event, 0 before the first.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn head(&self) -> Result<i64, StatementError> {
        head(self.connection()).map_err(|error| classify(&error, None))
    }

    /// The newest events first, of one type or subject or of all: at most `count`, before the sequence `before`.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn newest(
        &self,
        (kind, subject): (Option<&str>, Option<&str>),
        before: i64,
        count: u32,
    ) -> Result<Vec<Logged>, StatementError> {
        let read = || {
            let connection = self.connection();
            match subject {
                None => connection
                    .prepare_cached(
                        "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data FROM _bulkhead_outbox
                         WHERE sequence < ?1 AND (?2 IS NULL OR type = ?2) ORDER BY sequence DESC LIMIT ?3",
                    )?
                    .query_map((before, kind, count), Logged::from_row)?
                    .collect::<rusqlite::Result<_>>(),
                // The index has those with data and those without apart, each in their order: SQLite merges the two.
                Some(subject) => connection
                    .prepare_cached(
                        "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data FROM _bulkhead_outbox
                         WHERE subject = ?4 AND (data <> '') = 1 AND sequence < ?1 AND (?2 IS NULL OR type = ?2)
                         UNION ALL SELECT sequence, id, type, subject, time, trace_id, data FROM _bulkhead_outbox
                         WHERE subject = ?4 AND (data <> '') = 0 AND sequence < ?1 AND (?2 IS NULL OR type = ?2)
                         ORDER BY sequence DESC LIMIT ?3",
                    )?
                    .query_map((before, kind, count, subject), Logged::from_row)?
                    .collect::<rusqlite::Result<_>>(),
            }
        };
        read().map_err(|error| classify(&error, None))
    }

    /// Every event that is not as it was published, and every gap: sequences are given without one.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn damages(&self) -> Result<Vec<Damage>, StatementError> {
        let read = || {
            // First: what is published meanwhile is behind it.
            let given: i64 = self.connection().query_row(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '_bulkhead_outbox'",
                [],
                |row| row.get(0),
            )?;
            let mut statement = self.connection().prepare_cached(
                "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data, digest FROM _bulkhead_outbox
                 ORDER BY sequence",
            )?;
            let mut rows = statement.query([])?;
            let (mut damages, mut next) = (Vec::new(), 1);
            while let Some(row) = rows.next()? {
                let sequence: i64 = row.get(0)?;
                damages.extend(gap(next, sequence));
                next = sequence + 1;
                // What was put there by hand may be text that is none.
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
                // What was erased has half a digest: data that are gone without that were taken out by hand.
                let compared = recorded.len();
                let erased = event.data.is_empty();
                let fits = recorded.is_empty()
                    || (compared == if erased { 16 } else { 32 } && found.starts_with(&recorded));
                if !fits {
                    damages.push(Damage {
                        sequence,
                        id: event.id,
                        what: "is not as it was published".to_owned(),
                    });
                }
            }
            damages.extend(gap(next, given.saturating_add(1)));
            Ok(damages)
        };
        read().map_err(|error: rusqlite::Error| classify(&error, None))
    }

    /// Hands on every event behind `sequence`, the newest first and without its data, until `wanted` is false of one or there are no
    /// more.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn newest_first(
        &self,
        sequence: i64,
        mut wanted: impl FnMut(Logged) -> bool,
    ) -> Result<(), StatementError> {
        let mut read = || {
            let mut statement = self.connection().prepare_cached(
                "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, '' FROM _bulkhead_outbox
                 WHERE sequence > ?1 ORDER BY sequence DESC",
            )?;
            let mut rows = statement.query([sequence])?;
            while let Some(row) = rows.next()? {
                if !wanted(Logged::from_row(row)?) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|error| classify(&error, None))
    }
}
