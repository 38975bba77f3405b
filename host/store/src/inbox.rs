//! What a service has consumed of other services' event logs: its positions, and the events that it could not consume yet.
//!
//! Invariants:
//!
//! - A position moves in the unit of work of the event that was consumed. It moves only from the exact event at which the caller expects it
//!   ([`UnitOfWork::move_cursor`]). So a caller with a stale position changes nothing. A position is stale if an aborted batch rolled it
//!   back, or if another caller moved it.
//! - If an event fails, one unit of work parks it and moves the position past it. So an event is consumed, parked, or still ahead.
//! - Of a subject's parked events only the first is tried. An event whose subject has a parked event is parked behind it. A column of the
//!   row marks the first; triggers maintain it (`system.rs`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bulkhead_types::limits::PARKED_LISTED_MAX;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::error::classify;
use crate::outbox::Logged;
use crate::timeline::milliseconds;
use crate::{StatementError, UnitOfWork};

/// Up to where an event log was consumed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The id of the event log.
    pub log: String,
    /// The sequence of the last event that was consumed or passed over; 0 before the first.
    pub sequence: i64,
    /// That event's id; empty before the first.
    pub event_id: String,
}

/// The position in a producer's event log; none if nothing was ever consumed from it.
pub(crate) fn cursor(connection: &Connection, producer: &str) -> rusqlite::Result<Option<Cursor>> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT log, sequence, event_id FROM _bulkhead_cursor WHERE producer = ?1",
        )?
        .query_row([producer], |row| {
            Ok(Cursor { log: row.get(0)?, sequence: row.get(1)?, event_id: row.get(2)? })
        })
        .optional()
}

/// What becomes of a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// It is tried again.
    Parked,
    /// It is a dead letter.
    Dead,
}

impl ParkedState {
    fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

/// An event that could not be consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The producer whose event log has the event; for a timer the service itself.
    pub producer: String,
    /// The event's sequence in that event log, or the sequence of the timer.
    pub sequence: i64,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its subject.
    pub subject: String,
    /// The trace that it was published under.
    pub trace_id: String,
    /// Whether it is tried again.
    pub state: ParkedState,
    /// How many times it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next: Duration,
    /// When it was parked.
    pub since: Duration,
    /// Why the last attempt failed.
    pub reason: String,
}

const COLUMNS: &str =
    "producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason";

impl Parked {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let milliseconds =
            |index| row.get::<_, i64>(index).map(|ms| Duration::from_millis(ms.unsigned_abs()));
        Ok(Self {
            producer: row.get(0)?,
            sequence: row.get(1)?,
            id: row.get(2)?,
            kind: row.get(3)?,
            subject: row.get(4)?,
            trace_id: row.get(5)?,
            state: if row.get::<_, String>(6)? == "dead" { ParkedState::Dead } else { ParkedState::Parked },
            attempts: row.get(7)?,
            next: milliseconds(8)?,
            since: milliseconds(9)?,
            reason: row.get(10)?,
        })
    }
}

/// All parked events and dead letters, up to the limit of a list.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<Parked>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked ORDER BY since_ms, producer, sequence LIMIT {PARKED_LISTED_MAX}"
        ))?
        .query_map([], Parked::from_row)?
        .collect()
}

/// How many events of a producer are parked, and how many are dead letters.
pub(crate) fn counts(connection: &Connection, producer: &str) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'dead')
             FROM _bulkhead_parked WHERE producer = ?1",
        )?
        .query_row([producer], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs())))
}

/// The parked event that is due, the first of its subject. If none is due, when the next is due.
pub(crate) fn next_parked(
    connection: &Connection,
    now: Duration,
) -> rusqlite::Result<(Option<Parked>, Option<Duration>)> {
    let first = connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE first = 1 ORDER BY next_ms LIMIT 1"
        ))?
        .query_row([], Parked::from_row)
        .optional()?;
    Ok(match first {
        Some(parked) if parked.next <= now => (Some(parked), None),
        Some(parked) => (None, Some(parked.next)),
        None => (None, None),
    })
}

/// The parked event or dead letter with this sequence in a producer's event log.
pub(crate) fn at(connection: &Connection, producer: &str, sequence: i64) -> rusqlite::Result<Option<Parked>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2"
        ))?
        .query_row((producer, sequence), Parked::from_row)
        .optional()
}

impl<M> UnitOfWork<M> {
    /// Moves the position in a producer's event log from `from` to the event `to`. Returns false, and does nothing, if the position is not
    /// at `from`.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    pub fn move_cursor(
        &mut self,
        producer: &str,
        from: &Cursor,
        to: (i64, &str),
    ) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let moved = connection
                .prepare_cached(
                    "/*bulkhead*/UPDATE _bulkhead_cursor SET sequence = ?2, event_id = ?3
                     WHERE producer = ?1 AND sequence = ?4 AND event_id = ?5 AND log = ?6",
                )?
                .execute((producer, to.0, to.1, from.sequence, &from.event_id, &from.log))?;
            if moved == 1 || from.sequence != 0 {
                return Ok(moved == 1);
            }
            // Nothing was ever consumed from this event log.
            let made = connection
                .prepare_cached(
                    "/*bulkhead*/INSERT OR IGNORE INTO _bulkhead_cursor (producer, log, sequence, event_id)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((producer, &from.log, to.0, to.1))?;
            Ok(made == 1)
        })
    }

    /// Whether an earlier event of the subject is parked.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn has_parked(&mut self, producer: &str, subject: &str) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_parked
                     WHERE first = 1 AND producer = ?1 AND subject = ?2)",
                )?
                .query_row((producer, subject), |row| row.get(0))
        })
    }

    /// Parks an event, or dead-letters it. If the event has a row already, the row is updated to this state. The host's own rows have a
    /// reserve beyond the guests' quota.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    pub fn park(&mut self, parked: &Parked) -> Result<(), StatementError> {
        self.as_host_with_reserve(|connection| {
            connection
                .prepare_cached(&format!(
                    "/*bulkhead*/INSERT INTO _bulkhead_parked ({COLUMNS})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                     ON CONFLICT (producer, sequence) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                     next_ms = excluded.next_ms, reason = excluded.reason"
                ))?
                .execute((
                    &parked.producer,
                    parked.sequence,
                    &parked.id,
                    &parked.kind,
                    &parked.subject,
                    &parked.trace_id,
                    parked.state.name(),
                    parked.attempts,
                    milliseconds(parked.next),
                    milliseconds(parked.since),
                    &parked.reason,
                ))
                .map(drop)
        })
    }

    /// Removes an event from the parked ones. Returns false if the event is not there in this state with this number of attempts.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn unpark(&mut self, parked: &Parked) -> Result<bool, StatementError> {
        self.as_host_with_reserve(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked
                     WHERE producer = ?1 AND sequence = ?2 AND state = ?3 AND attempts = ?4",
                )?
                .execute((&parked.producer, parked.sequence, parked.state.name(), parked.attempts))?;
            Ok(gone == 1)
        })
    }

    /// Makes a dead letter or a parked event due at once. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn retry_parked(&mut self, producer: &str, sequence: i64) -> Result<bool, StatementError> {
        self.as_host_with_reserve(|connection| {
            let changed = connection
                .prepare_cached(
                    "/*bulkhead*/UPDATE _bulkhead_parked SET state = 'parked', attempts = 0, next_ms = 0
                     WHERE producer = ?1 AND sequence = ?2",
                )?
                .execute((producer, sequence))?;
            Ok(changed == 1)
        })
    }

    /// Drops a dead letter for good. If it was a timer, drops the timer too. Returns false if there is no such dead letter.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn drop_dead(
        &mut self,
        service: &str,
        producer: &str,
        sequence: i64,
    ) -> Result<bool, StatementError> {
        self.as_host_with_reserve(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2 AND state = 'dead'",
                )?
                .execute((producer, sequence))?;
            if gone == 1 && producer == service {
                connection
                    .prepare_cached("/*bulkhead*/DELETE FROM _bulkhead_timer WHERE sequence = ?1")?
                    .execute([sequence])?;
            }
            Ok(gone == 1)
        })
    }
}

/// The host's rows of a service's inbox, read on their own connection.
pub struct InboxReader {
    guarded: crate::connection::Guarded,
}

impl InboxReader {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub fn open(database: &crate::Database) -> Result<Self, crate::StoreError> {
        Ok(Self { guarded: database.open_reader()? })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.guarded.connection
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StatementError> {
        read(self.connection()).map_err(|error| classify(&error, None))
    }

    /// The position in a producer's event log; none if nothing was ever consumed from it.
    ///
    /// # Errors
    ///
    /// SQLite's errors, as for all methods below.
    pub fn cursor(&self, producer: &str) -> Result<Option<Cursor>, StatementError> {
        self.read(|connection| cursor(connection, producer))
    }

    /// The replicas that were filled directly from the owner of this event log, each with the event up to which it was filled. No event up
    /// to that one is applied to the replica.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn filled(&self, log: &str) -> Result<BTreeMap<String, i64>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached("/*bulkhead*/SELECT name, filled FROM _bulkhead_replica WHERE log = ?1")?
                .query_map([log], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// The parked events and dead letters, the oldest first, at most [`PARKED_LISTED_MAX`].
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn parked(&self) -> Result<Vec<Parked>, StatementError> {
        self.read(list)
    }

    /// The parked events and dead letters after this producer and sequence, ordered by producer and sequence, at most `count`.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn parked_after(
        &self,
        (producer, sequence): (&str, i64),
        count: u32,
    ) -> Result<Vec<Parked>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE (producer, sequence) > (?1, ?2)
                     ORDER BY producer, sequence LIMIT ?3"
                ))?
                .query_map((producer, sequence, count), Parked::from_row)?
                .collect()
        })
    }

    /// The parked event or dead letter with this id.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn parked_with_id(&self, id: &str) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE id = ?1 LIMIT 1"
                ))?
                .query_row([id], Parked::from_row)
                .optional()
        })
    }

    /// When the oldest of a producer's parked events and dead letters was parked.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn oldest_parked(&self, producer: &str) -> Result<Option<Duration>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT min(since_ms) FROM (
                         SELECT min(since_ms) AS since_ms FROM _bulkhead_parked WHERE producer = ?1 AND state = 'parked'
                         UNION ALL SELECT min(since_ms) FROM _bulkhead_parked WHERE producer = ?1 AND state = 'dead')",
                )?
                .query_row([producer], |row| row.get::<_, Option<i64>>(0))
                .map(|since| since.map(|since| Duration::from_millis(since.unsigned_abs())))
        })
    }

    /// Whether a producer has parked events or dead letters.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn has_any(&self, producer: &str) -> Result<bool, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_parked WHERE producer = ?1)",
                )?
                .query_row([producer], |row| row.get(0))
        })
    }

    /// How many events of a producer are parked, and how many dead letters.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn counts(&self, producer: &str) -> Result<(u64, u64), StatementError> {
        self.read(|connection| counts(connection, producer))
    }

    /// The parked event or dead letter with this sequence in a producer's event log.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn parked_at(&self, producer: &str, sequence: i64) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| at(connection, producer, sequence))
    }

    /// The parked event that is due, the first of its subject. If none is due, when the next is due.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn next_parked(&self, now: Duration) -> Result<(Option<Parked>, Option<Duration>), StatementError> {
        self.read(|connection| next_parked(connection, now))
    }

    /// At most `count` timers that are due, the earliest first; and when the first timer that is not due yet becomes due.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn due_timers(
        &self,
        now: Duration,
        count: u32,
    ) -> Result<(Vec<Logged>, Option<Duration>), StatementError> {
        self.read(|connection| crate::timer::due(connection, now, count))
    }

    /// All timers that are not parked, each with the time when it is due, the earliest first.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn timers(&self) -> Result<Vec<(Logged, Duration)>, StatementError> {
        self.read(crate::timer::all)
    }

    /// The subjects that have parked events of a producer.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn parked_subjects(&self, producer: &str) -> Result<HashSet<String>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT subject FROM _bulkhead_parked WHERE first = 1 AND producer = ?1",
                )?
                .query_map([producer], |row| row.get(0))?
                .collect()
        })
    }

    /// The parked event that holds up this subject at or before `sequence`. Or an event, parked or dead, that was published at or before it
    /// under the same trace, and so by the same write. If there are both, the earlier one.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn held_up(
        &self,
        producer: &str,
        (subject, trace_id): (&str, &str),
        sequence: i64,
    ) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| {
            // In one snapshot: between two snapshots another thread may consume the first event. Then the next event of its subject holds
            // the subject up.
            let _snapshot = connection.unchecked_transaction()?;
            // Each query uses its own index: one statement with OR would scan all parked events.
            let of_subject: Option<i64> = connection
                .prepare_cached(
                    "/*bulkhead*/SELECT sequence FROM _bulkhead_parked WHERE first = 1 AND producer = ?1 AND subject = ?2",
                )?
                .query_row((producer, subject), |row| row.get(0))
                .optional()?;
            let of_trace: Option<i64> = connection
                .prepare_cached(
                    "/*bulkhead*/SELECT min(sequence) FROM _bulkhead_parked WHERE producer = ?1 AND trace_id = ?2",
                )?
                .query_row((producer, trace_id), |row| row.get(0))?;
            let first = [of_subject, of_trace].into_iter().flatten().filter(|place| *place <= sequence).min();
            at(connection, producer, first.unwrap_or(sequence))
        })
    }

    /// A timer, whether it is parked or not.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn timer(&self, sequence: i64) -> Result<Option<Logged>, StatementError> {
        self.read(|connection| crate::timer::find(connection, sequence))
    }
}
