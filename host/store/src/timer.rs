//! Durable timers: events that a service sets for later, in the unit of work.
//!
//! A timer's row goes in the unit of work that takes it, so it rings once in effect, however often it is tried. One that fails is
//! parked as an event is, with the service itself as its producer.

use std::time::Duration;

use bulkhead_types::limits::TIMERS_MAX;
use rusqlite::{Connection, OptionalExtension as _};

use crate::inbox::milliseconds;
use crate::outbox::{Logged, NewEvent};
use crate::{PublishError, StatementError, UnitOfWork};

const COLUMNS: &str = "sequence, id, type, subject, time, trace_id, data";

/// Timers that are due, the earliest first; and when the first that is not will be.
pub(crate) fn due(
    connection: &Connection,
    now: Duration,
    count: u32,
) -> rusqlite::Result<(Vec<Logged>, Option<Duration>)> {
    let now = milliseconds(now);
    let due = connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_timer WHERE parked = 0 AND due_ms <= ?1
             ORDER BY due_ms, sequence LIMIT ?2"
        ))?
        .query_map((now, count), Logged::from_row)?
        .collect::<rusqlite::Result<_>>()?;
    let next: Option<i64> = connection
        .prepare_cached(
            "/*bulkhead*/SELECT min(due_ms) FROM _bulkhead_timer WHERE parked = 0 AND due_ms > ?1",
        )?
        .query_row([now], |row| row.get(0))?;
    Ok((due, next.map(|due| Duration::from_millis(due.unsigned_abs()))))
}

/// All that are not parked, each with when it is due, the earliest first.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<(Logged, Duration)>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS}, due_ms FROM _bulkhead_timer WHERE parked = 0 ORDER BY due_ms, sequence"
        ))?
        .query_map([], |row| {
            let due: i64 = row.get(7)?;
            Ok((Logged::from_row(row)?, Duration::from_millis(due.unsigned_abs())))
        })?
        .collect()
}

pub(crate) fn find(connection: &Connection, sequence: i64) -> rusqlite::Result<Option<Logged>> {
    connection
        .prepare_cached(&format!("/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_timer WHERE sequence = ?1"))?
        .query_row([sequence], Logged::from_row)
        .optional()
}

impl<M> UnitOfWork<M> {
    /// Sets a timer for `due`, in the database's time: see [`crate::Database::time`].
    ///
    /// # Errors
    ///
    /// When the event can't be, there are too many timers, or the row could not be written.
    pub fn schedule(&mut self, event: &NewEvent<'_>, due: Duration) -> Result<(), PublishError> {
        event.check()?;
        let full = self.as_host(|connection| {
            // Rows are counted by their numbers: exact where timers go in the order in which they came, and else a bound.
            let full: bool = connection
                .prepare_cached(
                    "/*bulkhead*/SELECT coalesce(max(sequence) - min(sequence), 0) >= ?1
                     AND (SELECT count(*) FROM _bulkhead_timer) >= ?1 FROM _bulkhead_timer",
                )?
                .query_row([TIMERS_MAX], |row| row.get(0))?;
            if full {
                return Ok(true);
            }
            connection
                .prepare_cached(
                    "/*bulkhead*/INSERT INTO _bulkhead_timer (id, type, subject, time, trace_id, data, due_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute((
                    event.id,
                    event.kind,
                    event.subject,
                    event.time,
                    event.trace_id,
                    event.data,
                    milliseconds(due),
                ))?;
            Ok(false)
        })?;
        if full {
            return Err(PublishError::Invalid(format!(
                "a service has at most {TIMERS_MAX} timers that have not rung"
            )));
        }
        self.note_timer();
        Ok(())
    }

    /// Takes a timer: false where it is gone, or parked while `parked` says that it is not, and the other way round.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn take_timer(&mut self, sequence: i64, parked: bool) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_timer WHERE sequence = ?1 AND parked = ?2",
                )?
                .execute((sequence, parked))?;
            Ok(gone == 1)
        })
    }

    /// Marks a timer as parked: false where it is gone or was.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn mark_timer_parked(&mut self, sequence: i64) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let marked = connection
                .prepare_cached(
                    "/*bulkhead*/UPDATE _bulkhead_timer SET parked = 1 WHERE sequence = ?1 AND parked = 0",
                )?
                .execute([sequence])?;
            Ok(marked == 1)
        })
    }
}
