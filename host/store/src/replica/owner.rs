//! Where the rows of a replica are read.

use super::ReplicaSpec;
use crate::{Database, StoreError};

/// Where a replica's rows are read.
pub struct Owner<'o> {
    /// The owner's database.
    pub database: &'o Database,
    /// A SELECT on it that says what the owner holds: a row for each, with the replica's columns among its own.
    pub select: Option<&'o str>,
}

/// Finds the owner of a replica; none where there is nothing to read, and the replica is made empty.
pub type FindOwner<'f> = dyn Fn(&ReplicaSpec) -> Result<Option<Owner<'f>>, StoreError> + 'f;

/// What rows were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSource {
    /// The owner's SELECT.
    Select,
    /// Its events.
    Events,
}
