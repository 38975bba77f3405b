//! Changes a replica in a unit of work.

use bulkhead_store::{ApplyError, ChangeReplicas, Logged, ReplicaSpec, StatementError};
use bulkhead_types::{Sequence, ServiceName};
use rusqlite::params_from_iter;

use super::sql::{change, delete_statement, upsert_statement};
use crate::UnitOfWork;
use crate::value::Bound;

impl<M: Send + 'static> ChangeReplicas for UnitOfWork<M> {
    fn apply(&mut self, replica: &ReplicaSpec, event: &Logged) -> Result<(), ApplyError> {
        let mut malformed = None;
        self.as_host(|connection| match change(connection, replica, &replica.name, event) {
            Ok(()) => Ok(Ok(())),
            Err(ApplyError::Malformed(why)) => {
                malformed = Some(why);
                Ok(Ok(()))
            }
            Err(ApplyError::Statement(error)) => Ok(Err(error)),
        })??;
        malformed.map_or(Ok(()), |why| Err(ApplyError::Malformed(why)))
    }

    fn repair(
        &mut self,
        replica: &ReplicaSpec,
        key: &str,
        row: Option<&[bulkhead_store::Value]>,
    ) -> Result<(), StatementError> {
        self.as_host(|connection| {
            match row {
                Some(row) => connection
                    .prepare_cached(&upsert_statement(replica, &replica.name))?
                    .execute(params_from_iter(row.iter().map(Bound)))?,
                None => {
                    connection.prepare_cached(&delete_statement(replica, &replica.name))?.execute([key])?
                }
            };
            Ok(())
        })
    }

    fn drop_dead_up_to(
        &mut self,
        producer: &ServiceName,
        kind: &str,
        sequence: Sequence,
    ) -> Result<usize, StatementError> {
        self.as_host(|connection| {
            // Uses the index of dead letters: with the key, SQLite would scan all parked events.
            connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_parked INDEXED BY _bulkhead_parked_by_producer
                     WHERE producer = ?1 AND sequence <= ?2 AND state = 'dead' AND type = ?3",
                )?
                .execute((producer.as_str(), sequence.get(), kind))
        })
    }
}
