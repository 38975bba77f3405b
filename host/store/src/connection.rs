//! Opening a service's database. This is the only file that does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Instant;

use bulkhead_types::limits::{
    HOST_RESERVE_BYTES, SQLITE_MEMORY_HARD_MAX, STATEMENT_BYTES_MAX, STATEMENTS_CACHED, VALUE_BYTES_MAX,
};
use bulkhead_types::{Clock, SystemClock};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::authorizer::Guard;
use crate::snapshot_gate::{BUSY_TIMEOUT, SnapshotGate};
use crate::timeline::Timeline;
use crate::{StoreError, system};

/// Kibibytes of pages that a connection keeps. Small: there is one for each worker, and the system caches the file.
const CACHE_KIB: i64 = 2048;

/// Pages that are copied between two looks at the clock.
const COPY_PAGES: i32 = 1024;

/// What a database is opened with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file. Made when missing.
    pub path: PathBuf,
    /// The most bytes that it may have; see [`bulkhead_types::limits::STORAGE_DEFAULT`].
    pub storage: u64,
}

/// What a database is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It is a service's.
    Service,
    /// It is a copy that goes when it was tried.
    Rehearsal,
    /// It is looked at, and nothing of it changes.
    Look,
}

/// A service's database: the way to its connections.
pub struct Database {
    settings: Settings,
    /// The settings' at first.
    storage: AtomicU64,
    purpose: Purpose,
    identity: system::Identity,
    timeline: Timeline,
    gate: Arc<SnapshotGate>,
}

/// A connection with its guard.
pub(crate) struct Guarded {
    pub(crate) connection: Connection,
    pub(crate) guard: Arc<Guard>,
}

impl Database {
    /// Opens the file, and makes the host's own tables in a new one.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or written, or is no SQLite database.
    pub fn open(settings: Settings) -> Result<Arc<Self>, StoreError> {
        Self::open_by(settings, Arc::new(SystemClock))
    }

    /// The same by another clock than the operating system's.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub fn open_by(settings: Settings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        Self::open_for(settings, Purpose::Service, clock)
    }

    fn open_for(
        settings: Settings,
        purpose: Purpose,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        static HEAP_LIMIT: Once = Once::new();
        // SAFETY: the call takes no pointer, and SQLite makes it safe from any thread.
        HEAP_LIMIT.call_once(|| unsafe {
            ffi::sqlite3_hard_heap_limit64(SQLITE_MEMORY_HARD_MAX);
        });
        // Without a bound: what a later host adds to its tables must find room where the guests have none, or a full service keeps the host
        // from starting. The guests' quota is set where they write.
        let unbounded = Settings { path: settings.path.clone(), storage: u64::MAX };
        let opened = open_writable(&unbounded, purpose)?;
        let prepared = system::prepare(&opened.connection)
            .and_then(|identity| Ok((identity, Timeline::of(&opened.connection, clock)?)));
        let (identity, timeline) = prepared.map_err(|source| StoreError::Sqlite {
            action: "prepare the host's tables in",
            path: settings.path.clone(),
            source,
        })?;
        let storage = AtomicU64::new(settings.storage);
        Ok(Arc::new(Self { settings, storage, purpose, identity, timeline, gate: Arc::default() }))
    }

    /// Says whether this host knows the version of the host's tables in a file that is there. Nothing is written to it or its log; while
    /// another host has it open, that is not disturbed. Where its log (`-wal`) lies beside it without an index (`-shm`), SQLite makes the
    /// index, and that stays: a start would make the same. No other file is made.
    ///
    /// # Errors
    ///
    /// When it is of a later host, can't be read, is no SQLite database, or has no number left for an event or a timer.
    pub fn examine(path: &Path) -> Result<(), StoreError> {
        let read = || {
            let connection = open_to_look(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            system::known_version(&connection)?;
            system::check_sequences(&connection)
        };
        read().map_err(|source| StoreError::Sqlite { action: "open", path: path.to_owned(), source })
    }

    /// Opens a file that is there to look at it, as [`Self::examine`] does: whoever writes to this database fails. None where the host's
    /// tables are those of an earlier version.
    ///
    /// # Errors
    ///
    /// As for [`Self::examine`].
    pub fn look(path: &Path) -> Result<Option<Arc<Self>>, StoreError> {
        let read = || {
            let connection = open_to_look(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            let Some(identity) = system::read(&connection)? else { return Ok(None) };
            Ok(Some((identity, Timeline::of(&connection, Arc::new(SystemClock))?)))
        };
        let read =
            read().map_err(|source| StoreError::Sqlite { action: "open", path: path.to_owned(), source });
        Ok(read?.map(|(identity, timeline)| {
            let settings = Settings { path: path.to_owned(), storage: 0 };
            let (storage, purpose, gate) = (AtomicU64::default(), Purpose::Look, Arc::default());
            Arc::new(Self { settings, storage, purpose, identity, timeline, gate })
        }))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.settings.path
    }

    /// The id of the event log: 32 hexadecimal digits, made with the database.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.identity.log
    }

    /// What idempotent requests are hashed with.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.identity.secret
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(crate) fn gate(&self) -> &Arc<SnapshotGate> {
        &self.gate
    }

    /// The most bytes that guests may fill.
    pub(crate) fn storage(&self) -> u64 {
        self.storage.load(Ordering::Relaxed)
    }

    /// From the next batch on guests may fill so many bytes.
    pub fn set_storage(&self, bytes: u64) {
        self.storage.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn open_writer(&self) -> Result<Guarded, StoreError> {
        if self.purpose == Purpose::Look {
            return self.open_looking();
        }
        let settings = Settings { path: self.settings.path.clone(), storage: self.storage() };
        self.taught(open_writable(&settings, self.purpose)?)
    }

    /// A connection whose guard knows the tables.
    fn taught(&self, opened: Guarded) -> Result<Guarded, StoreError> {
        opened.guard.learn_tables(&opened.connection).map_err(|source| StoreError::Sqlite {
            action: "read the schema of",
            path: self.settings.path.clone(),
            source,
        })?;
        Ok(opened)
    }

    /// Copies what is committed now into a new file, in SQLite's own way (<https://sqlite.org/backup.html>), and opens that, with room for
    /// `storage` bytes. Writers are not held up: the copy is made of one snapshot.
    ///
    /// # Errors
    ///
    /// When the file can't be written, or the copy is not whole at `deadline`.
    pub fn copy_to(&self, path: &Path, storage: u64, deadline: Instant) -> Result<Arc<Self>, StoreError> {
        let failed = |source| StoreError::Sqlite { action: "copy", path: self.settings.path.clone(), source };
        let from = self.open_reader()?;
        let mut to = Connection::open(path).map_err(failed)?;
        // Nobody waits for it to be durable.
        to.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
        // One snapshot, or the copy would begin again whenever somebody writes.
        let mut copy = || {
            from.connection.execute_batch("BEGIN")?;
            from.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            let backup = Backup::new(&from.connection, &mut to)?;
            loop {
                match backup.step(COPY_PAGES)? {
                    StepResult::Done => return Ok(()),
                    _ if Instant::now() < deadline => {}
                    _ => return Err(interrupted()),
                }
            }
        };
        copy().map_err(failed)?;
        drop(to);
        let settings = Settings { path: path.to_owned(), storage };
        Self::open_for(settings, Purpose::Rehearsal, self.timeline.clock())
    }

    fn open_looking(&self) -> Result<Guarded, StoreError> {
        let failed = |source| StoreError::Sqlite { action: "open", path: self.settings.path.clone(), source };
        let connection = open_to_look(&self.settings.path).map_err(failed)?;
        self.taught(configured(connection, |_| Ok(())).map_err(failed)?)
    }

    pub(crate) fn open_reader(&self) -> Result<Guarded, StoreError> {
        if self.purpose == Purpose::Look {
            return self.open_looking();
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let query_only = |connection: &Connection| connection.pragma_update(None, "query_only", true);
        self.taught(open(&self.settings, flags, query_only)?)
    }
}

/// The version of SQLite.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// As SQLite has it for a statement whose time is over.
fn interrupted() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_INTERRUPT),
        Some("it took longer than it may".into()),
    )
}

/// Opens a file that is there, so that nothing of what is on the disk changes. Without a log beside it the file is all there is, and nobody
/// writes to it: then SQLite is told so, or it would make a log and its index. A log can't be read without an index, which is made where it
/// is missing (<https://sqlite.org/wal.html#read_only_databases>).
fn open_to_look(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match path.to_str() {
        Some(text) if !Path::new(&log).exists() => {
            let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let uri = format!("file:{escaped}?immutable=1");
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    }
}

fn open_writable(settings: &Settings, purpose: Purpose) -> Result<Guarded, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(settings, flags, |connection| {
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        debug_assert_eq!(mode, "wal");
        // To move a log into a database that goes would have the disk busy for those who wait for it: while the shop's catalogue was
        // copied, the slowest hundredth of writes took ten times as long.
        let goes = purpose == Purpose::Rehearsal;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, goes)?;
        // FULL: the log is synced before COMMIT returns. A lower level would let a power cut take back an answer.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // What the savepoints of a batch keep would go to a file: 1.3 times as long for a durable write. See `Guard` for its bound.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // What is deleted is overwritten: who asks to be forgotten is, in the file as well (and in the log once that is cut).
        let _: bool = connection.pragma_update_and_check(None, "secure_delete", true, |row| row.get(0))?;
        set_quota(connection, settings.storage)
    })
}

/// Bounds the file.
pub(crate) fn set_quota(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page_size.max(512);
    connection.pragma_update(None, "max_page_count", pages.clamp(1, i64::from(u32::MAX - 1)))
}

/// Runs what writes rows of the host's, with the host's reserve beyond the bytes that guests may fill: they must find room when the guests
/// have none.
pub(crate) fn with_reserve<T>(
    connection: &Connection,
    storage: u64,
    run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    set_quota(connection, storage.saturating_add(HOST_RESERVE_BYTES))?;
    let result = run(connection);
    set_quota(connection, storage)?;
    result
}

fn open(
    settings: &Settings,
    flags: OpenFlags,
    configure: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Guarded, StoreError> {
    let failed = |source| StoreError::Sqlite { action: "open", path: settings.path.clone(), source };
    let connection = Connection::open_with_flags(&settings.path, flags).map_err(failed)?;
    configured(connection, configure).map_err(failed)
}

/// A connection as every one is, with its guard.
fn configured(
    mut connection: Connection,
    configure: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Guarded> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    configure(&connection)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan must not hang on the values that are bound: SQLite would prepare a cached statement again at every run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    for (limit, value) in LIMITS {
        connection.set_limit(limit, value)?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    let guard = Guard::install(&mut connection)?;
    Ok(Guarded { connection, guard })
}

/// SQLite's own limits (<https://sqlite.org/c3ref/c_limit_attached.html>).
const LIMITS: [(Limit, i32); 11] = [
    (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX as i32),
    // The host's own statements are longer than a guest's by the mark that they begin with.
    (Limit::SQLITE_LIMIT_SQL_LENGTH, STATEMENT_BYTES_MAX as i32 + 1024),
    (Limit::SQLITE_LIMIT_COLUMN, 200),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 1000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 32),
];
