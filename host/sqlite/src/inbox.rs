//! The rows of a service's positions and parked events: see `bulkhead_store::Inbox`.
//!
//! A column of a parked event's row marks the first of its subject; triggers maintain it (`system.rs`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bulkhead_store::{Cursor, Logged, Parked, ParkedState, StatementError};
use bulkhead_types::limits::PARKED_LISTED_MAX;
use bulkhead_types::{Sequence, ServiceName, Subject, TraceId};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::UnitOfWork;
use crate::error::classify;
use crate::row;
use crate::timeline::milliseconds;

/// The position in a producer's event log; none if nothing was ever consumed from it.
pub(crate) fn cursor(connection: &Connection, producer: &ServiceName) -> rusqlite::Result<Option<Cursor>> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT log, sequence, event_id FROM _bulkhead_cursor WHERE producer = ?1",
        )?
        .query_row([producer.as_str()], |row| {
            Ok(Cursor { log: row.get(0)?, sequence: row::sequence(row, 1)?, event_id: row.get(2)? })
        })
        .optional()
}

const COLUMNS: &str =
    "producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason";

fn parked_of(row: &Row<'_>) -> rusqlite::Result<Parked> {
    let milliseconds = |index| row.get::<_, i64>(index).map(|ms| Duration::from_millis(ms.unsigned_abs()));
    Ok(Parked {
        producer: row::service_name(row, 0)?,
        sequence: row::sequence(row, 1)?,
        id: row.get(2)?,
        kind: row.get(3)?,
        subject: row::subject(row, 4)?,
        trace_id: row::trace_id(row, 5)?,
        state: if row.get::<_, String>(6)? == "dead" { ParkedState::Dead } else { ParkedState::Parked },
        attempts: row.get(7)?,
        next: milliseconds(8)?,
        since: milliseconds(9)?,
        reason: row.get(10)?,
    })
}

/// All parked events and dead letters, up to the limit of a list.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<Parked>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked ORDER BY since_ms, producer, sequence LIMIT {PARKED_LISTED_MAX}"
        ))?
        .query_map([], parked_of)?
        .collect()
}

/// How many events of a producer are parked, and how many are dead letters.
pub(crate) fn counts(connection: &Connection, producer: &ServiceName) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "/*bulkhead*/SELECT count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'dead')
             FROM _bulkhead_parked WHERE producer = ?1",
        )?
        .query_row([producer.as_str()], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs())))
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
        .query_row([], parked_of)
        .optional()?;
    Ok(match first {
        Some(parked) if parked.next <= now => (Some(parked), None),
        Some(parked) => (None, Some(parked.next)),
        None => (None, None),
    })
}

/// The parked event or dead letter with this sequence in a producer's event log.
pub(crate) fn at(
    connection: &Connection,
    producer: &ServiceName,
    sequence: Sequence,
) -> rusqlite::Result<Option<Parked>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2"
        ))?
        .query_row((producer.as_str(), sequence.get()), parked_of)
        .optional()
}

impl<M: Send + 'static> bulkhead_store::Inbox for UnitOfWork<M> {
    fn move_cursor(
        &mut self,
        producer: &ServiceName,
        from: &Cursor,
        to: (Sequence, &str),
    ) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let moved = connection
                .prepare_cached(
                    "/*bulkhead*/UPDATE _bulkhead_cursor SET sequence = ?2, event_id = ?3
                     WHERE producer = ?1 AND sequence = ?4 AND event_id = ?5 AND log = ?6",
                )?
                .execute((
                    producer.as_str(),
                    to.0.get(),
                    to.1,
                    from.sequence.get(),
                    &from.event_id,
                    &from.log,
                ))?;
            if moved == 1 || from.sequence != Sequence::BEFORE_FIRST {
                return Ok(moved == 1);
            }
            // Nothing was ever consumed from this event log.
            let made = connection
                .prepare_cached(
                    "/*bulkhead*/INSERT OR IGNORE INTO _bulkhead_cursor (producer, log, sequence, event_id)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((producer.as_str(), &from.log, to.0.get(), to.1))?;
            Ok(made == 1)
        })
    }

    fn has_parked(&mut self, producer: &ServiceName, subject: &Subject) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_parked
                     WHERE first = 1 AND producer = ?1 AND subject = ?2)",
                )?
                .query_row((producer.as_str(), subject.as_str()), |row| row.get(0))
        })
    }

    fn park(&mut self, parked: &Parked) -> Result<(), StatementError> {
        self.as_host_with_reserve(|connection| {
            connection
                .prepare_cached(&format!(
                    "/*bulkhead*/INSERT INTO _bulkhead_parked ({COLUMNS})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                     ON CONFLICT (producer, sequence) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                     next_ms = excluded.next_ms, reason = excluded.reason"
                ))?
                .execute((
                    parked.producer.as_str(),
                    parked.sequence.get(),
                    &parked.id,
                    &parked.kind,
                    parked.subject.as_str(),
                    parked.trace_id.to_string(),
                    parked.state.name(),
                    parked.attempts,
                    milliseconds(parked.next),
                    milliseconds(parked.since),
                    &parked.reason,
                ))
                .map(drop)
        })
    }

    fn unpark(&mut self, parked: &Parked) -> Result<bool, StatementError> {
        self.as_host_with_reserve(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked
                     WHERE producer = ?1 AND sequence = ?2 AND state = ?3 AND attempts = ?4",
                )?
                .execute((
                    parked.producer.as_str(),
                    parked.sequence.get(),
                    parked.state.name(),
                    parked.attempts,
                ))?;
            Ok(gone == 1)
        })
    }

    fn retry_parked(&mut self, producer: &ServiceName, sequence: Sequence) -> Result<bool, StatementError> {
        self.as_host_with_reserve(|connection| {
            let changed = connection
                .prepare_cached(
                    "/*bulkhead*/UPDATE _bulkhead_parked SET state = 'parked', attempts = 0, next_ms = 0
                     WHERE producer = ?1 AND sequence = ?2",
                )?
                .execute((producer.as_str(), sequence.get()))?;
            Ok(changed == 1)
        })
    }

    fn drop_dead(
        &mut self,
        service: &ServiceName,
        producer: &ServiceName,
        sequence: Sequence,
    ) -> Result<bool, StatementError> {
        self.as_host_with_reserve(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2 AND state = 'dead'",
                )?
                .execute((producer.as_str(), sequence.get()))?;
            if gone == 1 && producer == service {
                connection
                    .prepare_cached("/*bulkhead*/DELETE FROM _bulkhead_timer WHERE sequence = ?1")?
                    .execute([sequence.get()])?;
            }
            Ok(gone == 1)
        })
    }
}

/// The host's rows of a service's inbox, read on their own connection.
pub(crate) struct InboxReader {
    guarded: crate::connection::Guarded,
}

impl InboxReader {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub(crate) fn open(database: &crate::Database) -> Result<Self, bulkhead_store::StoreError> {
        Ok(Self { guarded: database.open_reader()? })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.guarded.connection
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StatementError> {
        read(self.connection()).map_err(|error| classify(&error, None))
    }
}

impl bulkhead_store::InboxReader for InboxReader {
    fn cursor(&self, producer: &ServiceName) -> Result<Option<Cursor>, StatementError> {
        self.read(|connection| cursor(connection, producer))
    }

    fn filled(&self, log: &str) -> Result<BTreeMap<String, Sequence>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached("/*bulkhead*/SELECT name, filled FROM _bulkhead_replica WHERE log = ?1")?
                .query_map([log], |row| Ok((row.get(0)?, row::sequence(row, 1)?)))?
                .collect()
        })
    }

    fn parked(&self) -> Result<Vec<Parked>, StatementError> {
        self.read(list)
    }

    fn parked_after(
        &self,
        (producer, sequence): (&ServiceName, Sequence),
        count: u32,
    ) -> Result<Vec<Parked>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE (producer, sequence) > (?1, ?2)
                     ORDER BY producer, sequence LIMIT ?3"
                ))?
                .query_map((producer.as_str(), sequence.get(), count), parked_of)?
                .collect()
        })
    }

    fn parked_with_id(&self, id: &str) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_parked WHERE id = ?1 LIMIT 1"
                ))?
                .query_row([id], parked_of)
                .optional()
        })
    }

    fn oldest_parked(&self, producer: &ServiceName) -> Result<Option<Duration>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT min(since_ms) FROM (
                         SELECT min(since_ms) AS since_ms FROM _bulkhead_parked WHERE producer = ?1 AND state = 'parked'
                         UNION ALL SELECT min(since_ms) FROM _bulkhead_parked WHERE producer = ?1 AND state = 'dead')",
                )?
                .query_row([producer.as_str()], |row| row.get::<_, Option<i64>>(0))
                .map(|since| since.map(|since| Duration::from_millis(since.unsigned_abs())))
        })
    }

    fn has_any(&self, producer: &ServiceName) -> Result<bool, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_parked WHERE producer = ?1)",
                )?
                .query_row([producer.as_str()], |row| row.get(0))
        })
    }

    fn counts(&self, producer: &ServiceName) -> Result<(u64, u64), StatementError> {
        self.read(|connection| counts(connection, producer))
    }

    fn parked_at(
        &self,
        producer: &ServiceName,
        sequence: Sequence,
    ) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| at(connection, producer, sequence))
    }

    fn next_parked(&self, now: Duration) -> Result<(Option<Parked>, Option<Duration>), StatementError> {
        self.read(|connection| next_parked(connection, now))
    }

    fn due_timers(
        &self,
        now: Duration,
        count: u32,
    ) -> Result<(Vec<Logged>, Option<Duration>), StatementError> {
        self.read(|connection| crate::timer::due(connection, now, count))
    }

    fn timers(&self) -> Result<Vec<(Logged, Duration)>, StatementError> {
        self.read(crate::timer::all)
    }

    fn parked_subjects(&self, producer: &ServiceName) -> Result<HashSet<Subject>, StatementError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/SELECT subject FROM _bulkhead_parked WHERE first = 1 AND producer = ?1",
                )?
                .query_map([producer.as_str()], |row| row::subject(row, 0))?
                .collect()
        })
    }

    fn held_up(
        &self,
        producer: &ServiceName,
        event: Option<(&Subject, TraceId)>,
        sequence: Sequence,
    ) -> Result<Option<Parked>, StatementError> {
        self.read(|connection| {
            let Some((subject, trace_id)) = event else { return at(connection, producer, sequence) };
            // In one snapshot: between two snapshots another thread may consume the first event. Then the next event of its subject holds
            // the subject up.
            let _snapshot = connection.unchecked_transaction()?;
            // Each query uses its own index: one statement with OR would scan all parked events.
            let of_subject: Option<i64> = connection
                .prepare_cached(
                    "/*bulkhead*/SELECT sequence FROM _bulkhead_parked WHERE first = 1 AND producer = ?1 AND subject = ?2",
                )?
                .query_row((producer.as_str(), subject.as_str()), |row| row.get(0))
                .optional()?;
            let of_trace: Option<i64> = connection
                .prepare_cached(
                    "/*bulkhead*/SELECT min(sequence) FROM _bulkhead_parked WHERE producer = ?1 AND trace_id = ?2",
                )?
                .query_row((producer.as_str(), trace_id.to_string()), |row| row.get(0))?;
            let first = [of_subject, of_trace].into_iter().flatten().map(Sequence::new);
            let first = first.filter(|place| *place <= sequence).min();
            at(connection, producer, first.unwrap_or(sequence))
        })
    }

    fn timer(&self, sequence: Sequence) -> Result<Option<Logged>, StatementError> {
        self.read(|connection| crate::timer::find(connection, sequence))
    }
}
