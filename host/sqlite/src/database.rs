//! A service's database in a file of SQLite's, and the engine that opens it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{
    AfterCommit, Engine, EventLog, OpenReaders, Secret, Settings, StoreError, Writable, WriterOptions,
};
use bulkhead_types::{Clock, Sequence};

use crate::checkpoint::Checkpointer;
use crate::event_log::EmbeddedLog;
use crate::{Database, InboxReader, Inspector, Reader, Writer};

impl bulkhead_store::Database for Database {
    fn path(&self) -> &Path {
        self.path()
    }

    fn log(&self) -> &str {
        self.log()
    }

    fn head(&self) -> Sequence {
        self.notifier().head()
    }

    fn secret(&self) -> Secret<'_> {
        Secret::of(self.secret())
    }

    fn set_storage(&self, bytes: u64) {
        self.set_storage(bytes);
    }

    fn copy_to(
        &self,
        path: &Path,
        storage: u64,
        deadline: Instant,
    ) -> Result<Arc<dyn bulkhead_store::Database>, StoreError> {
        Ok(self.copy(path, storage, deadline)?)
    }

    fn checkpointer(&self) -> Result<Option<Box<dyn bulkhead_store::Checkpointer>>, StoreError> {
        Ok(Some(Box::new(Checkpointer::open(self)?)))
    }

    fn time(&self) -> Duration {
        self.timeline().now()
    }

    fn wall_time_of(&self, time: Duration) -> Duration {
        self.timeline().wall_time_of(time)
    }

    fn clock_was_set(&self) -> bool {
        self.timeline().was_set()
    }
}

impl OpenReaders for Database {
    fn reader(&self) -> Result<Box<dyn bulkhead_store::Reader>, StoreError> {
        Ok(Box::new(Reader::open(self)?))
    }

    fn inbox(&self) -> Result<Box<dyn bulkhead_store::InboxReader>, StoreError> {
        Ok(Box::new(InboxReader::open(self)?))
    }

    fn inspector(&self) -> Result<Box<dyn bulkhead_store::Inspector>, StoreError> {
        Ok(Box::new(Inspector::open(self)?))
    }

    fn event_log(&self) -> Result<Box<dyn EventLog>, StoreError> {
        Ok(Box::new(EmbeddedLog::open(self)?))
    }
}

impl<M: Send + 'static> Writable<M> for Database {
    fn writer(
        self: Arc<Self>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Arc<dyn bulkhead_store::Writer<M>>, StoreError> {
        Ok(Writer::open(self, options, after_commit)?)
    }
}

/// SQLite: each service has a file of its own.
pub struct Sqlite;

impl<M: Send + 'static> Engine<M> for Sqlite {
    fn version(&self) -> String {
        format!("SQLite {}", rusqlite::version())
    }

    fn open(&self, settings: Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Writable<M>>, StoreError> {
        Ok(Database::open_by(settings, clock)?)
    }

    fn examine(&self, path: &Path) -> Result<(), StoreError> {
        Database::examine(path)
    }

    fn look(&self, path: &Path) -> Result<Option<Arc<dyn bulkhead_store::Database>>, StoreError> {
        Ok(Database::look(path)?.map(|database| database as _))
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_store::{Engine, is_replica_name};

    use super::Sqlite;

    /// SQLite refuses to create a table of such a name.
    #[test]
    fn replica_name_reserved_by_sqlite_is_invalid() {
        assert!(!is_replica_name("sqlite_a"));
    }

    #[test]
    fn version_is_that_of_the_linked_library() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let runs: String = connection.query_row("SELECT sqlite_version()", [], |row| row.get(0)).unwrap();
        assert_eq!(Engine::<()>::version(&Sqlite), format!("SQLite {runs}"));
    }
}
