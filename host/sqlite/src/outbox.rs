//! The rows of the event log. They are written in the unit of work that they report, and read through `event_log.rs`.
//!
//! Each row has a digest, so that the consistency check finds events that were altered in the file. It has 16 bytes of SHA-256 over the
//! columns that erasing keeps and, until the event is erased, 16 bytes over the data.

use bulkhead_store::{Damage, Logged, NewEvent, StatementError, digest};
use bulkhead_types::{Sequence, Subject, TraceId};
use rusqlite::{Connection, Row};

use crate::error::classify;
use crate::row;

/// Appends an event that was checked, and returns its sequence.
pub(crate) fn append(connection: &Connection, event: &NewEvent<'_>) -> rusqlite::Result<Sequence> {
    let NewEvent { id, kind, time, data, .. } = *event;
    let (subject, trace_id) = (event.subject.as_str(), event.trace_id.to_string());
    let trace_id = trace_id.as_str();
    connection
        .prepare_cached(
            "/*bulkhead*/INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert((id, kind, subject, time, trace_id, data, digest([id, kind, subject, time, trace_id], data)))
        .map(Sequence::new)
}

/// Erases the data of every event of a subject, and returns how many had data. Each event keeps its place in the event log, so a consumer's
/// position, which names the sequence and the id, stays valid. Events from before digests existed have an empty digest, for which SQLite's
/// `substr` is NULL.
pub(crate) fn erase(connection: &Connection, subject: &Subject) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "/*bulkhead*/UPDATE _bulkhead_outbox SET data = '', digest = coalesce(substr(digest, 1, 16), x'')
             WHERE subject = ?1 AND (data <> '') = 1",
        )?
        .execute([subject.as_str()])
        .map(|count| count as u64)
}

/// The sequence of the last event; 0 before the first.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection
        .prepare_cached("/*bulkhead*/SELECT coalesce(max(sequence), 0) FROM _bulkhead_outbox")?
        .query_row([], |row| row::sequence(row, 0))
}

/// The sequence of the first event; without one, the sequence that the next event gets.
pub(crate) fn trim_point(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT coalesce((SELECT min(sequence) FROM _bulkhead_outbox),
             (SELECT seq + 1 FROM sqlite_sequence WHERE name = '_bulkhead_outbox'), 1)",
        )?
        .query_row([], |row| row::sequence(row, 0))
}

/// Reads an event from the columns `sequence, id, type, subject, time, trace_id, data`.
pub(crate) fn event_of(row: &Row<'_>) -> rusqlite::Result<Logged> {
    Ok(Logged {
        sequence: row::sequence(row, 0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        subject: row::subject(row, 3)?,
        time: row.get(4)?,
        trace_id: row::trace_id(row, 5)?,
        data: row.get(6)?,
    })
}

/// The missing events between two places.
fn gap(next: Sequence, found: Sequence) -> Option<Damage> {
    let what = match found.since(next) {
        0 => return None,
        1 => "is missing".to_owned(),
        _ => format!("is missing, and so are all up to event {}", found.get() - 1),
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
    let given = connection.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '_bulkhead_outbox'",
        [],
        |row| row::sequence(row, 0),
    )?;
    let mut statement = connection.prepare_cached(
        "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, data, digest FROM _bulkhead_outbox
         ORDER BY sequence",
    )?;
    let mut rows = statement.query([])?;
    let (mut damages, mut next) = (Vec::new(), Sequence::FIRST);
    while let Some(row) = rows.next()? {
        let sequence = row::sequence(row, 0)?;
        damages.extend(gap(next, sequence));
        next = sequence.next();
        let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str()?));
        // A text that was written by hand may not be valid text.
        let (Ok(id), Ok(kind), Ok(subject), Ok(time), Ok(trace_id), Ok(data), Ok(recorded)) =
            (text(1), text(2), text(3), text(4), text(5), text(6), row.get::<_, Vec<u8>>(7))
        else {
            damages.push(Damage { sequence, id: String::new(), what: "is not readable".to_owned() });
            continue;
        };
        let found = digest([id, kind, subject, time, trace_id], data);
        // An erased event has half a digest. Data that are missing with a whole digest were removed by hand.
        let compared = recorded.len();
        let erased = data.is_empty();
        let fits =
            recorded.is_empty() || (compared == if erased { 16 } else { 32 } && found.starts_with(&recorded));
        let what = if !fits {
            "is not as it was published"
        } else if trace_id.parse::<TraceId>().is_err() {
            // Without a digest nothing else shows it, and no subscription can read it.
            "is not readable"
        } else {
            continue;
        };
        damages.push(Damage { sequence, id: id.to_owned(), what: what.to_owned() });
    }
    damages.extend(gap(next, given.next()));
    Ok(damages)
}
