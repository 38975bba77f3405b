//! How a database gets its replicas, and how events change them.

use std::collections::BTreeSet;
use std::time::Instant;

use bulkhead_types::{Sequence, ServiceName};

use crate::{ApplyError, FindOwner, Logged, ReplicaSpec, RowSource, StatementError, StoreError, Value};

/// A replica that was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// What they were made from.
    pub source: RowSource,
    /// Why the owner's SELECT could not be used, where it has one.
    pub unusable: Option<String>,
}

/// Changes replicas, in a unit of work.
pub trait ChangeReplicas {
    /// Applies an event to a replica.
    ///
    /// # Errors
    ///
    /// See [`ApplyError`].
    fn apply(&mut self, replica: &ReplicaSpec, event: &Logged) -> Result<(), ApplyError>;

    /// Writes the owner's row to a replica, or deletes the row if the owner has none. The consistency check uses it for repairs.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    fn repair(
        &mut self,
        replica: &ReplicaSpec,
        key: &str,
        row: Option<&[Value]>,
    ) -> Result<(), StatementError>;

    /// Drops a producer's dead letters of this type, up to a sequence, and returns how many there were. For dead letters whose effect was
    /// repaired in another way.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn drop_dead_up_to(
        &mut self,
        producer: &ServiceName,
        kind: &str,
        sequence: Sequence,
    ) -> Result<usize, StatementError>;
}

/// The replicas that a database has.
pub trait Replicas {
    /// Creates and fills the declared replicas, and drops those that are no longer declared. `handled` has the types of event that the
    /// service's own handler gets.
    ///
    /// Call this before the migrations, so that their views may name replicas, and while nothing else has the database open.
    ///
    /// # Errors
    ///
    /// When a table of the service has a replica's name, rows would be lost, or the database fails. Then nothing has changed.
    fn make_replicas(
        &self,
        replicas: &[ReplicaSpec],
        handled: &BTreeSet<String>,
        find: &FindOwner<'_>,
    ) -> Result<Vec<Filled>, StoreError>;

    /// Reads the rows of the replicas that need to be filled. None if every replica is as declared. Nothing has changed after this call,
    /// and others may use the database.
    ///
    /// # Errors
    ///
    /// As for [`Self::make_replicas`].
    fn stage_replicas(
        &self,
        replicas: &[ReplicaSpec],
        handled: &BTreeSet<String>,
        find: &FindOwner<'_>,
    ) -> Result<Option<Box<dyn Refill + '_>>, StoreError>;

    /// Whether the database has exactly the declared replicas, in this form.
    ///
    /// # Errors
    ///
    /// When the database can't be read.
    fn has_replicas(&self, replicas: &[ReplicaSpec]) -> Result<bool, StoreError>;
}

/// Replicas whose rows were read. If it is dropped, nothing has changed.
pub trait Refill {
    /// For each replica whose owner has a SELECT that can't be used: its name, and why.
    fn unusable(&self) -> Vec<(&str, &str)>;

    /// The names of the replicas that need to be filled.
    fn names(&self) -> Vec<&str>;

    /// Brings the rows to the position, and checks that none would be lost. Does not write the replicas.
    ///
    /// # Errors
    ///
    /// As for [`Replicas::make_replicas`].
    fn check(&mut self) -> Result<(), StoreError>;

    /// Does everything except the COMMIT, before `until` if there is a time. The service's position must not move until then.
    ///
    /// # Errors
    ///
    /// As for [`Replicas::make_replicas`]. After an error this must be dropped.
    fn write(&mut self, until: Option<Instant>) -> Result<(), StoreError>;

    /// The guest's statements that do not fit the schema once this is durable, each with the reason. Call this after [`Self::write`].
    #[must_use]
    fn unsuited<'s>(&self, statements: &'s [String]) -> Vec<(&'s str, String)>;

    /// Makes the changes durable.
    ///
    /// # Errors
    ///
    /// The database's errors: a COMMIT that failed was undone. If that is not final, another [`Replicas::make_replicas`], as at the
    /// next start, finds out what the database has.
    fn commit(self: Box<Self>) -> Result<Vec<Filled>, StoreError>;
}
