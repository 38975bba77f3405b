//! Reads the last committed state: one connection, one snapshot at a time.

use std::sync::Arc;
use std::time::Instant;

use crate::connection::Guarded;
use crate::snapshot_gate::{GateTicket, SnapshotGate};
use crate::statement::{self, Access};
use crate::{Database, ResultSet, StatementError, StoreError, Value};

/// A worker's read-only connection.
///
/// A snapshot begins at the first query and ends with [`Reader::end`]. All queries between the two see the same state.
pub struct Reader {
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
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { guarded: database.open_reader()?, gate: Arc::clone(database.gate()), open: None })
    }

    /// Runs one reading statement in the snapshot. Begins a snapshot if none is open.
    ///
    /// # Errors
    ///
    /// [`StatementError::Busy`] when a checkpoint held new snapshots back until `deadline`, otherwise as the statement fails.
    pub fn query(
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

    /// Ends the snapshot, if there is one.
    pub fn end(&mut self) {
        if self.open.is_some() {
            // Nothing was written, so this can't fail in a way that matters; if it does, the next snapshot tries once more.
            let ended = self.host_statement("/*bulkhead*/COMMIT");
            if let Err(error) = ended {
                tracing::error!(%error, "a snapshot could not be ended");
            }
            self.open = None;
        }
    }

    pub(crate) fn connection(&self) -> &rusqlite::Connection {
        &self.guarded.connection
    }

    fn host_statement(&self, sql: &str) -> Result<(), StatementError> {
        let run = || self.guarded.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(|error| crate::error::classify(&error, None))
    }
}
