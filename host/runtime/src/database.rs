//! A service's database with its one writer.

use std::sync::Arc;

use bulkhead_store::{AfterCommit, Database, StoreError, Writer, WriterOptions};

use crate::member::Member;

/// A service's database with its one writer.
pub struct ServiceDatabase {
    /// The file.
    pub database: Arc<Database>,
    /// It may have a reader of this database, which must be gone before the writer is: only a last connection that may write cuts the log
    /// back.
    after_commit: AfterCommit,
    /// The writer.
    pub(crate) writer: Arc<Writer<Member>>,
}

impl ServiceDatabase {
    /// Opens the writer of a database that is migrated.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: Arc<Database>, after_commit: AfterCommit) -> Result<Self, StoreError> {
        Self::open_with(database, WriterOptions::default(), after_commit)
    }

    /// The same, with other options than those of a host that serves.
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

    /// The same database with another writer, which knows the schema that is there now. Nobody may use this one any more.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let (database, after_commit) = (Arc::clone(&self.database), Arc::clone(&self.after_commit));
        let writer = self.writer.reopened(Arc::clone(&database));
        Self { database, writer, after_commit }
    }
}
