//! The readers of a database: each is opened by whoever uses it, and used by one thread at a time.

use crate::{EventLog, InboxReader, Inspector, Reader, StoreError};

/// Opens the readers of a database.
pub trait OpenReaders {
    /// Opens a reader of the service's rows.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// Opens a reader of what the service has consumed.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn inbox(&self) -> Result<Box<dyn InboxReader>, StoreError>;

    /// Opens a snapshot of all that is committed now.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn inspector(&self) -> Result<Box<dyn Inspector>, StoreError>;

    /// Opens a reader of the event log.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn event_log(&self) -> Result<Box<dyn EventLog>, StoreError>;
}
