//! The event log that is a table of the producer's database.

use std::sync::Arc;

use bulkhead_store::{CommitNotifier, Damage, EventLog, Logged, StatementError, StoreError, Waker};
use bulkhead_types::limits::LOG_READ_BYTES_MAX;
use bulkhead_types::{Sequence, Subject};
use rusqlite::{Connection, OptionalExtension as _};

use crate::Database;
use crate::connection::Guarded;
use crate::error::classify;
use crate::outbox::event_of;
use crate::outbox::{self, unreadable};

/// The columns of an event, as [`event_of`] reads them.
const COLUMNS: &str = "sequence, id, type, subject, time, trace_id, data";

/// Reads an event log on its own connection.
pub(crate) struct EmbeddedLog {
    id: String,
    guarded: Guarded,
    notifier: Arc<CommitNotifier>,
}

impl EmbeddedLog {
    pub(crate) fn open(database: &Database) -> Result<Self, StoreError> {
        let (id, notifier) = (database.log().to_owned(), Arc::clone(database.notifier()));
        Ok(Self { id, guarded: database.open_reader()?, notifier })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.guarded.connection
    }
}

impl EventLog for EmbeddedLog {
    fn id(&self) -> &str {
        &self.id
    }

    fn head(&self) -> Result<Sequence, StatementError> {
        outbox::head(self.connection()).map_err(|error| classify(&error, None))
    }

    fn trim_point(&self) -> Result<Sequence, StatementError> {
        outbox::trim_point(self.connection()).map_err(|error| classify(&error, None))
    }

    fn read(&self, sequence: Sequence, count: u32) -> Result<Vec<Logged>, StatementError> {
        let read = || {
            let mut statement = self.connection().prepare_cached(&format!(
                "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_outbox WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2"
            ))?;
            let mut rows = statement.query((sequence.get(), count))?;
            let (mut events, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let event = event_of(row)?;
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

    fn read_without_data(
        &self,
        sequence: Sequence,
        found: &mut dyn FnMut(Logged),
    ) -> Result<(), StatementError> {
        let mut read = || {
            let mut statement = self.connection().prepare_cached(
                "/*bulkhead*/SELECT sequence, id, type, subject, time, trace_id, '' FROM _bulkhead_outbox
                 WHERE sequence > ?1 ORDER BY sequence",
            )?;
            let mut rows = statement.query([sequence.get()])?;
            while let Some(row) = rows.next()? {
                found(event_of(row)?);
            }
            Ok(())
        };
        read().map_err(|error| classify(&error, None))
    }

    fn newest(
        &self,
        kind: Option<&str>,
        subject: Option<&Subject>,
        before: Sequence,
        count: u32,
    ) -> Result<Vec<Logged>, StatementError> {
        let read = || {
            let connection = self.connection();
            match subject {
                None => connection
                    .prepare_cached(&format!(
                        "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_outbox
                         WHERE sequence < ?1 AND (?2 IS NULL OR type = ?2) ORDER BY sequence DESC LIMIT ?3"
                    ))?
                    .query_map((before.get(), kind, count), event_of)?
                    .collect::<rusqlite::Result<_>>(),
                // The index keeps events with data and events without data apart, each in order. SQLite merges the two.
                Some(subject) => connection
                    .prepare_cached(&format!(
                        "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_outbox
                         WHERE subject = ?4 AND (data <> '') = 1 AND sequence < ?1 AND (?2 IS NULL OR type = ?2)
                         UNION ALL SELECT {COLUMNS} FROM _bulkhead_outbox
                         WHERE subject = ?4 AND (data <> '') = 0 AND sequence < ?1 AND (?2 IS NULL OR type = ?2)
                         ORDER BY sequence DESC LIMIT ?3"
                    ))?
                    .query_map((before.get(), kind, count, subject.as_str()), event_of)?
                    .collect::<rusqlite::Result<_>>(),
            }
        };
        read().map_err(|error| classify(&error, None))
    }

    fn last_of(
        &self,
        subject: &Subject,
        kinds: [&str; 2],
        sequence: Sequence,
    ) -> Result<Option<Logged>, StatementError> {
        let read = || {
            self.connection()
                .prepare_cached(&format!(
                    "/*bulkhead*/SELECT {COLUMNS} FROM _bulkhead_outbox
                     WHERE subject = ?1 AND (data <> '') = 1 AND type IN (?2, ?3) AND sequence <= ?4
                     ORDER BY sequence DESC LIMIT 1"
                ))?
                .query_row((subject.as_str(), kinds[0], kinds[1], sequence.get()), event_of)
                .optional()
        };
        read().map_err(|error| unreadable(&error))
    }

    fn has_later(
        &self,
        subject: &Subject,
        kinds: [&str; 2],
        (after, to): (Sequence, Sequence),
    ) -> Result<bool, StatementError> {
        let [first, second] = kinds;
        let read = || {
            self.connection()
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_outbox WHERE subject = ?1 AND (data <> '') = 1
                     AND type IN (?2, ?3) AND sequence > ?4 AND sequence <= ?5)",
                )?
                .query_row((subject.as_str(), first, second, after.get(), to.get()), |row| row.get(0))
        };
        read().map_err(|error| classify(&error, None))
    }

    fn damages(&self) -> Result<Vec<Damage>, StatementError> {
        outbox::damages(self.connection()).map_err(|error| classify(&error, None))
    }

    fn tail(&self, wake: Waker) {
        self.notifier.add(wake);
    }
}

#[cfg(test)]
mod tests;
