//! The rows of timers: see `bulkhead_store::SetTimers`.
//!
//! Triggers (`system.rs`) count the timers as they are added and deleted. So setting a timer takes as long with a million timers as with
//! none.

use std::time::Duration;

use bulkhead_store::{Logged, NewEvent, PublishError, SetTimers, StatementError, Timers};
use bulkhead_types::limits::TIMERS_MAX;
use bulkhead_types::{Sequence, ServiceName};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::UnitOfWork;
use crate::outbox::event_of;
use crate::timeline::milliseconds;

const COLUMNS: &str = "sequence, id, type, subject, time, trace_id, data";

/// The timers that are due, the earliest first; and when the first timer that is not due yet becomes due.
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
        .query_map((now, count), event_of)?
        .collect::<rusqlite::Result<_>>()?;
    let next: Option<i64> = connection
        .prepare_cached(
            "/*bulkhead*/SELECT min(due_ms) FROM _bulkhead_timer WHERE parked = 0 AND due_ms > ?1",
        )?
        .query_row([now], |row| row.get(0))?;
    Ok((due, next.map(|due| Duration::from_millis(due.unsigned_abs()))))
}

/// All timers that are not parked, each with the time when it is due, the earliest first.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<(Logged, Duration)>> {
    connection
        .prepare_cached(&format!(
            "/*bulkhead*/SELECT {COLUMNS}, due_ms FROM _bulkhead_timer WHERE parked = 0 ORDER BY due_ms, sequence"
        ))?
        .query_map([], |row| {
            let due: i64 = row.get(7)?;
            Ok((event_of(row)?, Duration::from_millis(due.unsigned_abs())))
        })?
        .collect()
}

pub(crate) fn find(connection: &Connection, sequence: Sequence) -> rusqlite::Result<Option<Logged>> {
    connection
        .prepare_cached(&format!("/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_timer WHERE sequence = ?1"))?
        .query_row([sequence.get()], event_of)
        .optional()
}

impl<M: Send + 'static> SetTimers for UnitOfWork<M> {
    fn schedule(&mut self, event: &NewEvent<'_>, due: Duration) -> Result<(), PublishError> {
        event.check()?;
        let full = self.as_host(|connection| {
            let full: bool = connection
                .prepare_cached("/*bulkhead*/SELECT timers >= ?1 FROM _bulkhead_meta")?
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
                    event.subject.as_str(),
                    event.time,
                    event.trace_id.to_string(),
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
        self.note_subject(event.subject);
        Ok(())
    }

    fn cancel(
        &mut self,
        service: &ServiceName,
        timers: Timers<'_>,
        running: Option<Sequence>,
    ) -> Result<u64, StatementError> {
        let running = running.unwrap_or(Sequence::BEFORE_FIRST).get();
        let gone: Vec<(i64, bool)> = self.as_host(|connection| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            match timers {
                Timers::Id(id) => connection
                    .prepare_cached(
                        "/*bulkhead*/DELETE FROM _bulkhead_timer WHERE id = ?1 AND sequence <> ?2
                         RETURNING sequence, parked",
                    )?
                    .query_map((id, running), row)?
                    .collect(),
                Timers::Of { kind, subject } => connection
                    .prepare_cached(
                        "/*bulkhead*/DELETE FROM _bulkhead_timer WHERE subject = ?1 AND type = ?2 AND sequence <> ?3
                         RETURNING sequence, parked",
                    )?
                    .query_map((subject.as_str(), kind, running), row)?
                    .collect(),
            }
        })?;
        let parked: Vec<i64> =
            gone.iter().filter(|(_, parked)| *parked).map(|(sequence, _)| *sequence).collect();
        if !parked.is_empty() {
            self.as_host_with_reserve(|connection| {
                let mut delete = connection.prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2",
                )?;
                parked.iter().try_for_each(|sequence| delete.execute((service.as_str(), sequence)).map(drop))
            })?;
        }
        Ok(gone.len() as u64)
    }

    fn consume_timer(&mut self, sequence: Sequence, parked: bool) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_timer WHERE sequence = ?1 AND parked = ?2",
                )?
                .execute((sequence.get(), parked))?;
            Ok(gone == 1)
        })
    }

    fn mark_timer_parked(&mut self, sequence: Sequence) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let marked = connection
                .prepare_cached(
                    "/*bulkhead*/UPDATE _bulkhead_timer SET parked = 1 WHERE sequence = ?1 AND parked = 0",
                )?
                .execute([sequence.get()])?;
            Ok(marked == 1)
        })
    }
}
