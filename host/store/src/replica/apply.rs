//! Changes a replica in a unit of work.

use rusqlite::params_from_iter;

use super::{ApplyError, ReplicaSpec};
use crate::outbox::Logged;
use crate::{StatementError, UnitOfWork};

impl<M> UnitOfWork<M> {
    /// Applies an event to a replica.
    ///
    /// # Errors
    ///
    /// See [`ApplyError`].
    pub fn apply(&mut self, replica: &ReplicaSpec, event: &Logged) -> Result<(), ApplyError> {
        let mut malformed = None;
        self.as_host(|connection| match replica.apply(connection, &replica.name, event) {
            Ok(()) => Ok(Ok(())),
            Err(ApplyError::Malformed(why)) => {
                malformed = Some(why);
                Ok(Ok(()))
            }
            Err(ApplyError::Statement(error)) => Ok(Err(error)),
        })??;
        malformed.map_or(Ok(()), |why| Err(ApplyError::Malformed(why)))
    }

    /// Writes the owner's row to a replica, or deletes the row if the owner has none. The consistency check uses it for repairs.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    pub fn repair(
        &mut self,
        replica: &ReplicaSpec,
        key: &str,
        row: Option<&[crate::Value]>,
    ) -> Result<(), StatementError> {
        self.as_host(|connection| {
            match row {
                Some(row) => connection
                    .prepare_cached(&replica.upsert_statement(&replica.name))?
                    .execute(params_from_iter(row))?,
                None => {
                    connection.prepare_cached(&replica.delete_statement(&replica.name))?.execute([key])?
                }
            };
            Ok(())
        })
    }

    /// Drops a producer's dead letters of this type, up to a sequence, and returns how many there were. For dead letters whose effect was
    /// repaired in another way.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn drop_dead_up_to(
        &mut self,
        producer: &str,
        kind: &str,
        sequence: i64,
    ) -> Result<usize, StatementError> {
        self.as_host(|connection| {
            // Uses the index of dead letters: with the key, SQLite would scan all parked events.
            connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked INDEXED BY _bulkhead_parked_by_producer
                     WHERE producer = ?1 AND sequence <= ?2 AND state = 'dead' AND type = ?3",
                )?
                .execute((producer, sequence, kind))
        })
    }
}
