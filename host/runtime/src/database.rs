//! A service's database with its one writer.

use std::sync::Arc;

use bulkhead_store::{AfterCommit, StoreError, Writable, Writer, WriterOptions};

use crate::member::Member;

/// A database that a service can write to.
pub type WritableDatabase = dyn Writable<Member>;
/// What opens databases of one kind.
pub type DatabaseEngine = dyn bulkhead_store::Engine<Member>;
/// The right to write to a service's database.
pub(crate) type Lease = dyn bulkhead_store::Lease<Member>;
/// What a handler writes, or the host for a service.
pub(crate) type UnitOfWork = dyn bulkhead_store::UnitOfWork<Member>;

/// A service's database with its one writer.
pub struct ServiceDatabase {
    /// The database.
    pub database: Arc<WritableDatabase>,
    /// This may own a reader of the database. The reader must be dropped before the writer: a database may do its last work when the
    /// connection that may write is the last one to close.
    after_commit: AfterCommit,
    /// The writer.
    pub(crate) writer: Arc<dyn Writer<Member>>,
}

impl ServiceDatabase {
    /// Opens the writer of a migrated database.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    pub fn open(database: Arc<WritableDatabase>, after_commit: AfterCommit) -> Result<Self, StoreError> {
        Self::open_with(database, WriterOptions::default(), after_commit)
    }

    /// The same, with other options than in a host that serves.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    pub fn open_with(
        database: Arc<WritableDatabase>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Self, StoreError> {
        let writer = Arc::clone(&database).writer(options, Arc::clone(&after_commit))?;
        Ok(Self { database, writer, after_commit })
    }

    /// The same database with another writer, which knows the current schema. Nobody may use this one any more.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let (database, after_commit) = (Arc::clone(&self.database), Arc::clone(&self.after_commit));
        Self { database, writer: self.writer.reopened(), after_commit }
    }
}
