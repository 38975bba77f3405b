//! The rows of the event log. They are written in the unit of work that they report, and read through `event_log.rs`.
//!
//! Each row has a digest, so that the consistency check finds events that were altered in the file. It has 16 bytes of SHA-256 over the
//! columns that erasing keeps and, until the event is erased, 16 bytes over the data.

use bulkhead_store::{Damage, Logged, NewEvent, StatementError, digest};
use rusqlite::{Connection, Row};

use crate::error::classify;

/// Appends an event that was checked, and returns its sequence.
pub(crate) fn append(connection: &Connection, event: &NewEvent<'_>) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "/*bulkhead*/INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert((event.id, event.kind, event.subject, event.time, event.trace_id, event.data, digest(event)))
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

/// Reads an event from the columns `sequence, id, type, subject, time, trace_id, data`.
pub(crate) fn event_of(row: &Row<'_>) -> rusqlite::Result<Logged> {
    Ok(Logged {
        sequence: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        time: row.get(4)?,
        trace_id: row.get(5)?,
        data: row.get(6)?,
    })
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

/// Every event that is not as it was published, and every gap: see [`bulkhead_store::EventLog::damages`].
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
        let (Ok(event), Ok(recorded)) = (event_of(row), row.get::<_, Vec<u8>>(7)) else {
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
