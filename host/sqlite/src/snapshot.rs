//! Snapshots: see `bulkhead_store::Reader`. Each reader has one connection, and one snapshot at a time.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bulkhead_store::{Known, RequestKey, ResultSet, StatementError, StoreError, Value};

use crate::Database;
use crate::connection::Guarded;
use crate::error::classify;
use crate::idempotency::look_up;
use crate::snapshot_gate::{GateTicket, SnapshotGate};
use crate::statement::{self, Access};

/// A worker's read-only connection.
///
/// A snapshot begins at the first query and ends with `end`. All queries between the two see the same state.
pub(crate) struct Reader {
    guarded: Guarded,
    gate: Arc<SnapshotGate>,
    open: Option<GateTicket>,
}

impl Reader {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub(crate) fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { guarded: database.open_reader()?, gate: Arc::clone(database.gate()), open: None })
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> &rusqlite::Connection {
        &self.guarded.connection
    }

    fn host_statement(&self, sql: &str) -> Result<(), StatementError> {
        let run = || self.guarded.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(|error| classify(&error, None))
    }
}

impl bulkhead_store::Reader for Reader {
    fn query(
        &mut self,
        deadline: Instant,
        sql: &str,
        parameters: &[Value],
    ) -> Result<ResultSet, StatementError> {
        if self.open.is_none() {
            let ticket = self.gate.enter(deadline).ok_or(StatementError::Busy)?;
            if !self.guarded.connection.is_autocommit() {
                // The last snapshot could not be ended.
                self.host_statement("/*bulkhead*/ROLLBACK")?;
            }
            self.host_statement("/*bulkhead*/BEGIN")?;
            self.open = Some(ticket);
        }
        let Guarded { connection, guard } = &self.guarded;
        statement::query(connection, guard, Access::Read, deadline, sql, parameters)
    }

    fn end(&mut self) {
        if self.open.is_some() {
            // Nothing was written, so this can't fail in a way that matters; if it does, the next snapshot tries once more.
            let ended = self.host_statement("/*bulkhead*/COMMIT");
            if let Err(error) = ended {
                tracing::error!(%error, "a snapshot could not be ended");
            }
            self.open = None;
        }
    }

    fn known(&mut self, key: &RequestKey, now: Duration) -> Result<Known, StatementError> {
        self.end();
        look_up(&self.guarded.connection, key, now).map_err(|error| classify(&error, None))
    }
}
