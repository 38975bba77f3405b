//! What a service has taken of other services' logs: its positions, and the events that it could not take yet.
//!
//! Invariants:
//!
//! - A position moves in the unit of work of what was taken, and only from the very event that its mover believes it to be at
//!   ([`UnitOfWork::move_cursor`]). So whoever works with a position that an aborted batch took back, or that another moved, changes
//!   nothing.
//! - The position passes an event that fails in the same unit of work that parks it: an event is taken, parked, or still ahead.
//! - Of a subject's parked events only the first is tried; and an event whose subject has one parked is parked behind it. Which is the
//!   first is a column of its row, which triggers keep (`system.rs`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bulkhead_types::limits::PARKED_LISTED_MAX;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::error::classify;
use crate::outbox::Logged;
use crate::timeline::milliseconds;
use crate::{StatementError, UnitOfWork};

/// Up to where a log was taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The id of the log.
    pub log: String,
    /// Of the last event that was taken or passed over; 0 before the first.
    pub sequence: i64,
    /// That event's id; empty before the first.
    pub event_id: String,
}

/// The position in a producer's log; none where nothing was ever taken from it.
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

/// An event that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Whose log it is in; the service itself for a timer.
    pub producer: String,
    /// Its place there, or the id of the timer.
    pub sequence: i64,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// The trace that it was published under.
    pub trace_id: String,
    /// Whether it is tried again.
    pub state: ParkedState,
    /// How often it was tried.
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

/// All parked events and dead letters, at most so many as are listed.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<Parked>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked ORDER BY since_ms, producer, sequence LIMIT {PARKED_LISTED_MAX}"
        ))?
        .query_map([], Parked::from_row)?
        .collect()
}

/// How many are parked and how many dead, of a producer.
pub(crate) fn counts(connection: &Connection, producer: &str) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'dead')
             FROM _bulkhead_parked WHERE producer = ?1",
        )?
        .query_row([producer], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs())))
}

/// The parked event that is due, the first of its subject; with it, when the next is due.
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

/// The parked event or dead letter at this place of a producer's log.
pub(crate) fn at(connection: &Connection, producer: &str, sequence: i64) -> rusqlite::Result<Option<Parked>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2"
        ))?
        .query_row((producer, sequence), Parked::from_row)
        .optional()
}

impl<M> UnitOfWork<M> {
    /// Moves the position in a producer's log from `from` to the event `to`: false, and nothing is done, where it is not at `from`.
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
            // Nothing was ever taken of this log.
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
    /// SQLite's.
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

    /// Parks an event, or makes a dead letter of it. One that is there already is brought to this state. The host's own rows have
    /// a reserve beyond the guests' quota.
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

    /// Takes an event out of the parked ones: false where it is not there in this state after so many attempts.
    ///
    /// # Errors
    ///
    /// SQLite's.
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

    /// A dead letter, or a parked event, to be tried again at once: false where there is none.
    ///
    /// # Errors
    ///
    /// SQLite's.
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

    /// Drops a dead letter for good; with it its timer, where it was one. False where there is no such dead letter.
    ///
    /// # Errors
    ///
    /// SQLite's.
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

/// The host's rows of a service's inbox, read on a connection of their own.
pub struct InboxReader {
    guarded: crate::connection::Guarded,
}

impl InboxReader {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: &crate::Database) -> Result<Self, crate::StoreError> {
        Ok(Self { guarded: database.open_reader()? })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.guarded.connection
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StatementError> {
        read(self.connection()).map_err(|error| classify(&error, None))
    }

    /// The position in a producer's log; none where nothing was ever taken from it.
    ///
    /// # Errors
    ///
    /// SQLite's, as for all that follow.
    pub fn cursor(&self, producer: &str) -> Result<Option<Cursor>, StatementError> {
        self.read(|connection| cursor(connection, producer))
    }

    /// The replicas that were read from the owner of this log itself, each with the event up to which they were: none up to there is
    /// applied to it.
    ///
    /// # Errors
    ///
    /// SQLite's.
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
    /// SQLite's.
    pub fn parked(&self) -> Result<Vec<Parked>, StatementError> {
        self.read(list)
    }

    /// The parked events and dead letters behind this place, a producer and a sequence, by producer and then by sequence, at most `count`.
    ///
    /// # Errors
    ///
    /// SQLite's.
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
    /// SQLite's.
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

    /// Since when the oldest of a producer's parked events and dead letters has been there.
    ///
    /// # Errors
    ///
    /// SQLite's.
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
    /// SQLite's.
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
    /// SQLite's.
    pub fn counts(&self, producer: &str) -> Result<(u64, u64), StatementError> {
        self.read(|connection| counts(connection, producer))
    }

    /// The parked event or dead letter at this place of a producer's log.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn parked_at(&self, producer: &str, sequence: i64) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| at(connection, producer, sequence))
    }

    /// The parked event that is due and the first of its subject, or else when the next is.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn next_parked(&self, now: Duration) -> Result<(Option<Parked>, Option<Duration>), StatementError> {
        self.read(|connection| next_parked(connection, now))
    }

    /// At most `count` timers that are due, the earliest first, and when the first that is not will be.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn due_timers(
        &self,
        now: Duration,
        count: u32,
    ) -> Result<(Vec<Logged>, Option<Duration>), StatementError> {
        self.read(|connection| crate::timer::due(connection, now, count))
    }

    /// All timers that are not parked, each with when it is due, the earliest first.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn timers(&self) -> Result<Vec<(Logged, Duration)>, StatementError> {
        self.read(crate::timer::all)
    }

    /// The subjects that have parked events of a producer.
    ///
    /// # Errors
    ///
    /// SQLite's.
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

    /// The parked event that holds up this subject up to `sequence`, or one, parked or dead, that was published up to there under the same
    /// trace, and so by the same write.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn held_up(
        &self,
        producer: &str,
        (subject, trace_id): (&str, &str),
        sequence: i64,
    ) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| {
            // In one snapshot: between two of them the first event may be taken, and the next of its subject be the one that holds it up.
            let _snapshot = connection.unchecked_transaction()?;
            // Each by an index of its own: one statement with OR would go through all that is parked.
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
    /// SQLite's.
    pub fn timer(&self, sequence: i64) -> Result<Option<Logged>, StatementError> {
        self.read(|connection| crate::timer::find(connection, sequence))
    }
}
