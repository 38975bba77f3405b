//! A service's database with its one writer.

use std::sync::Arc;

use bulkhead_store::{AfterCommit, Database, StoreError, Writer, WriterOptions};

use crate::member::Member;

/// A service's database with its one writer.
pub struct ServiceDatabase {
    /// The file.
    pub database: Arc<Database>,
    /// This may own a reader of the database. The reader must be dropped before the writer, because SQLite truncates the WAL only when a
    /// connection that may write is the last one to close.
    after_commit: AfterCommit,
    /// The writer.
    pub(crate) writer: Arc<Writer<Member>>,
}

impl ServiceDatabase {
    /// Opens the writer of a migrated database.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: Arc<Database>, after_commit: AfterCommit) -> Result<Self, StoreError> {
        Self::open_with(database, WriterOptions::default(), after_commit)
    }

    /// The same, with other options than in a host that serves.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open_with(
        database: Arc<Database>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Self, StoreError> {
        let writer = Writer::open(Arc::clone(&database), options, Arc::clone(&after_commit))?;
        Ok(Self { database, writer, after_commit })
    }

    /// The same database with another writer, which knows the current schema. Nobody may use this one any more.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let (database, after_commit) = (Arc::clone(&self.database), Arc::clone(&self.after_commit));
        let writer = self.writer.reopened(Arc::clone(&database));
        Self { database, writer, after_commit }
    }
}
