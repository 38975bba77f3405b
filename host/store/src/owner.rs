//! Where a replica's rows are read from.

use crate::{EventLog, OpenReaders, ReplicaSpec, StoreError};

/// Where a replica's rows are read from.
pub struct Owner<'o> {
    /// The owner's event log.
    pub log: Box<dyn EventLog>,
    /// The owner's rows, if the manifest says how to read them.
    pub rows: Option<OwnedRows<'o>>,
}

/// The rows that an owner has.
pub struct OwnedRows<'o> {
    /// The owner's database.
    pub database: &'o dyn OpenReaders,
    /// A SELECT on it that returns what the owner holds, one row for each entity. The replica's columns are among its columns.
    pub select: &'o str,
}

impl<'o> Owner<'o> {
    /// The owner whose database this is.
    ///
    /// # Errors
    ///
    /// When the event log can't be opened.
    pub fn of(database: &'o dyn OpenReaders, select: Option<&'o str>) -> Result<Self, StoreError> {
        let rows = select.map(|select| OwnedRows { database, select });
        Ok(Self { log: database.event_log()?, rows })
    }
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
