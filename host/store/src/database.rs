//! A service's database, and what opens it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_types::{Clock, Sequence};

use crate::{
    AfterCommit, Migrations, OpenReaders, Replicas, Secret, StoreError, Versions, Writer, WriterOptions,
};

/// The settings with which a database is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file. Created if missing.
    pub path: PathBuf,
    /// Its maximum size in bytes; see [`bulkhead_types::limits::STORAGE_DEFAULT`].
    pub storage: u64,
}

/// A service's database.
pub trait Database: OpenReaders + Migrations + Versions + Replicas + Send + Sync {
    /// The file.
    #[must_use]
    fn path(&self) -> &Path;

    /// The id of the event log: 32 hexadecimal digits, created with the database.
    #[must_use]
    fn log(&self) -> &str;

    /// The sequence of the last event of the event log that is durable, as far as this process knows; 0 before the first. Reads nothing.
    #[must_use]
    fn head(&self) -> Sequence;

    /// The secret with which idempotent requests are hashed.
    #[must_use]
    fn secret(&self) -> Secret<'_>;

    /// Sets how many bytes guests may fill, from the next batch on.
    fn set_storage(&self, bytes: u64);

    /// Copies what is committed now into a new file. Opens the copy with room
    /// for `storage` bytes. Writers do not wait: the copy is made from one snapshot.
    ///
    /// # Errors
    ///
    /// When the file can't be written, or the copy is not complete at `deadline`.
    fn copy_to(&self, path: &Path, storage: u64, deadline: Instant) -> Result<Arc<dyn Database>, StoreError>;

    /// Opens what moves committed data off the write path; none if the engine does that by itself.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn checkpointer(&self) -> Result<Option<Box<dyn Checkpointer>>, StoreError>;

    /// The time by which delays and ages are measured. It only goes forward.
    #[must_use]
    fn time(&self) -> Duration;

    /// The wall clock's time when [`Self::time`] is `time`, as far as is known now.
    #[must_use]
    fn wall_time_of(&self, time: Duration) -> Duration;

    /// Whether the wall clock was set since the time was recorded. If so, call [`crate::UnitOfWork::write_time`].
    #[must_use]
    fn clock_was_set(&self) -> bool;
}

/// A database whose writer keeps members of this type.
pub trait Writable<M>: Database {
    /// Opens the one writer. Nobody else may have one.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn writer(
        self: Arc<Self>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Arc<dyn Writer<M>>, StoreError>;
}

/// What opens the databases of one kind.
pub trait Engine<M>: Send + Sync {
    /// Its name and version, for operators.
    fn version(&self) -> String;

    /// Opens a database, and brings the host's own tables in it to what this host needs. Creates the database if it is missing.
    ///
    /// # Errors
    ///
    /// When it can't be opened or written, or is no database of this engine.
    fn open(&self, settings: Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Writable<M>>, StoreError>;

    /// Checks that this host knows the version of the host's tables in an existing file. Changes nothing that a start would not
    /// change as well, and does not disturb another host that has the database open.
    ///
    /// # Errors
    ///
    /// When the file is from a later host, can't be read, is no database of this engine, or has no number left for an event or a timer.
    fn examine(&self, path: &Path) -> Result<(), StoreError>;

    /// Opens an existing file for reading only, as [`Self::examine`] does: a write to this database fails. None if the host's tables have
    /// an earlier version.
    ///
    /// # Errors
    ///
    /// As for [`Self::examine`].
    fn look(&self, path: &Path) -> Result<Option<Arc<dyn Database>>, StoreError>;
}

/// Moves what was committed to where it stays, off the write path.
pub trait Checkpointer: Send {
    /// Does so if there is enough of it. Call this a few times a second.
    ///
    /// # Errors
    ///
    /// The database's errors; the next call tries again.
    fn tick(&self) -> Result<(), StoreError>;
}
