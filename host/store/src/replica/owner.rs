//! Where a replica's rows are read from.

use super::ReplicaSpec;
use crate::{Database, StoreError};

/// Where a replica's rows are read from.
pub struct Owner<'o> {
    /// The owner's database.
    pub database: &'o Database,
    /// A SELECT on it that returns what the owner holds, one row for each entity. The replica's columns are among its columns.
    pub select: Option<&'o str>,
}

/// Finds the owner of a replica. None if there is nothing to read; then the replica is created empty.
pub type FindOwner<'f> = dyn Fn(&ReplicaSpec) -> Result<Option<Owner<'f>>, StoreError> + 'f;

/// What the rows were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSource {
    /// The owner's SELECT.
    Select,
    /// Its events.
    Events,
}
