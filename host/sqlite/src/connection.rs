//! Opens a service's database. This is the only file that does.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Instant;

use bulkhead_store::{CommitNotifier, Settings, StoreError};
use bulkhead_types::limits::{HOST_RESERVE_BYTES, STATEMENT_BYTES_MAX, STATEMENTS_CACHED, VALUE_BYTES_MAX};
use bulkhead_types::{Clock, SystemClock};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::authorizer::Guard;
use crate::error::store_error;
use crate::limits::SQLITE_MEMORY_HARD_MAX;
use crate::snapshot_gate::{BUSY_TIMEOUT, SnapshotGate};
use crate::timeline::Timeline;
use crate::{outbox, system};

/// Kibibytes of pages that a connection caches. Small: each worker has a connection, and the operating system caches the file.
const CACHE_KIB: i64 = 2048;

/// Pages that are copied between two checks of the clock.
const COPY_PAGES: i32 = 1024;

/// What a database is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A service's database.
    Service,
    /// A copy for a rehearsal, which is deleted afterwards.
    Rehearsal,
    /// A database that is only read: nothing in it changes.
    Look,
}

/// A service's database. It opens the connections.
pub(crate) struct Database {
    settings: Settings,
    /// At first the value in `settings`.
    storage: AtomicU64,
    purpose: Purpose,
    identity: system::Identity,
    timeline: Timeline,
    gate: Arc<SnapshotGate>,
    notifier: Arc<CommitNotifier>,
}

/// A connection with its guard.
pub(crate) struct Guarded {
    pub(crate) connection: Connection,
    pub(crate) guard: Arc<Guard>,
}

impl Database {
    /// Opens the file. Creates the host's own tables in a new file.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or written, or is not an SQLite database.
    #[cfg(test)]
    pub(crate) fn open(settings: Settings) -> Result<Arc<Self>, StoreError> {
        Self::open_by(settings, Arc::new(SystemClock))
    }

    /// Like [`Self::open`], with a clock other than the operating system's.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub(crate) fn open_by(settings: Settings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
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
        // No bound here: tables that a later host adds must find room when the guests have none. Otherwise a full service would keep the
        // host from starting. The guests' quota is set where they write.
        let unbounded = Settings { path: settings.path.clone(), storage: u64::MAX };
        let opened = open_writable(&unbounded, purpose)?;
        let prepared = system::prepare(&opened.connection).and_then(|identity| {
            Ok((identity, Timeline::of(&opened.connection, clock)?, notifier(&opened.connection)?))
        });
        let (identity, timeline, notifier) = prepared
            .map_err(|source| store_error("prepare the host's tables in", &settings.path, &source))?;
        let storage = AtomicU64::new(settings.storage);
        let gate = Arc::default();
        Ok(Arc::new(Self { settings, storage, purpose, identity, timeline, gate, notifier }))
    }

    /// See [`bulkhead_store::Engine::examine`]. Writes nothing to the file or its WAL. If the WAL (`-wal`) exists without its index
    /// (`-shm`), SQLite creates the index, and the index remains: a start would create the same one. No other file is created.
    pub(crate) fn examine(path: &Path) -> Result<(), StoreError> {
        let read = || {
            let connection = open_to_look(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            system::known_version(&connection)?;
            system::check_sequences(&connection)
        };
        read().map_err(|source| store_error("open", path, &source))
    }

    /// See [`bulkhead_store::Engine::look`]. Opens the file as [`Self::examine`] does.
    pub(crate) fn look(path: &Path) -> Result<Option<Arc<Self>>, StoreError> {
        let read = || {
            let connection = open_to_look(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            let Some(identity) = system::read(&connection)? else { return Ok(None) };
            Ok(Some((identity, Timeline::of(&connection, Arc::new(SystemClock))?, notifier(&connection)?)))
        };
        let read = read().map_err(|source| store_error("open", path, &source));
        Ok(read?.map(|(identity, timeline, notifier)| {
            let settings = Settings { path: path.to_owned(), storage: 0 };
            let (storage, purpose, gate) = (AtomicU64::default(), Purpose::Look, Arc::default());
            Arc::new(Self { settings, storage, purpose, identity, timeline, gate, notifier })
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.settings.path
    }

    pub(crate) fn log(&self) -> &str {
        &self.identity.log
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.identity.secret
    }

    pub(crate) fn notifier(&self) -> &Arc<CommitNotifier> {
        &self.notifier
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(crate) fn gate(&self) -> &Arc<SnapshotGate> {
        &self.gate
    }

    /// The maximum number of bytes that guests may fill.
    pub(crate) fn storage(&self) -> u64 {
        self.storage.load(Ordering::Relaxed)
    }

    pub(crate) fn set_storage(&self, bytes: u64) {
        self.storage.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn open_writer(&self) -> Result<Guarded, StoreError> {
        if self.purpose == Purpose::Look {
            return self.open_looking();
        }
        let settings = Settings { path: self.settings.path.clone(), storage: self.storage() };
        self.taught(open_writable(&settings, self.purpose)?)
    }

    /// Loads the tables into the connection's guard.
    fn taught(&self, opened: Guarded) -> Result<Guarded, StoreError> {
        opened
            .guard
            .learn_tables(&opened.connection)
            .map_err(|source| store_error("read the schema of", &self.settings.path, &source))?;
        Ok(opened)
    }

    /// See [`bulkhead_store::Database::copy_to`]. Uses SQLite's backup API (<https://sqlite.org/backup.html>).
    pub(crate) fn copy(&self, path: &Path, storage: u64, deadline: Instant) -> Result<Arc<Self>, StoreError> {
        let failed = |source| store_error("copy", &self.settings.path, &source);
        let from = self.open_reader()?;
        let mut to = Connection::open(path).map_err(failed)?;
        // The copy need not be durable.
        to.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
        // One snapshot: otherwise the copy would start again whenever somebody writes.
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
        let failed = |source| store_error("open", &self.settings.path, &source);
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

/// What notifies the readers of the event log in the database. It knows the last event.
fn notifier(connection: &Connection) -> rusqlite::Result<Arc<CommitNotifier>> {
    let notifier = CommitNotifier::default();
    notifier.notify(outbox::head(connection)?);
    Ok(Arc::new(notifier))
}

/// The error that SQLite returns for a statement whose time is over.
fn interrupted() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_INTERRUPT),
        Some("it took longer than it may".into()),
    )
}

/// Opens an existing file so that nothing on the disk changes. Without a WAL next to it the file is complete, and nobody writes to it. Then
/// it is opened as immutable: otherwise SQLite would create a WAL and its index. A WAL can't be read without an index, so SQLite creates
/// the index if it is missing (<https://sqlite.org/wal.html#read_only_databases>).
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
        // Moving the WAL into a database that is deleted anyway would keep the disk busy while others wait for it. While the shop's
        // catalogue was copied, the slowest 1% of writes took ten times as long.
        let goes = purpose == Purpose::Rehearsal;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, goes)?;
        // FULL: the WAL is synced before COMMIT returns. At a lower level a power cut could undo a write whose answer was already sent.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Otherwise the rollback data of a batch's savepoints would go to a file: a durable write would take 1.3 times as long. See `Guard`
        // for the bound.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Deleted content is overwritten. So if somebody asks to be forgotten, their data are gone from the file too (and from the WAL once
        // it is truncated).
        let _: bool = connection.pragma_update_and_check(None, "secure_delete", true, |row| row.get(0))?;
        set_quota(connection, settings.storage)
    })
}

/// Limits the size of the file.
pub(crate) fn set_quota(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page_size.max(512);
    connection.pragma_update(None, "max_page_count", pages.clamp(1, i64::from(u32::MAX - 1)))
}

/// Runs a write of the host's rows, with the host's reserve beyond the bytes that guests may fill. These rows must find room when the
/// guests have none.
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
    let failed = |source| store_error("open", &settings.path, &source);
    let connection = Connection::open_with_flags(&settings.path, flags).map_err(failed)?;
    configured(connection, configure).map_err(failed)
}

/// Configures a connection as all connections are configured, and installs its guard.
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
    // A plan must not depend on the bound values: otherwise SQLite would prepare a cached statement again at every run.
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
    // The host's own statements are longer than a guest's by the mark at their beginning.
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
