//! Moving the write-ahead log (WAL) into the database, off the write path, and truncating it.
//!
//! A background thread moves pages without hindering anybody. But SQLite restarts the WAL only at a moment when every page
//! was moved and no reader needs the log: under writes that never pause, or readers that overlap without a gap, that moment
//! never comes. So beyond a size the next one to open a batch cuts the log: it holds the writer lease, so nothing is written
//! meanwhile, and new snapshots wait at a gate until the open ones have ended, or a bound has passed.
//!
//! Nobody waits here for SQLite's own locks: the gate is closed only under the lease, and the wait at it is bounded.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_types::limits::{WAL_BYTES_MAX, WAL_CHECKPOINT_BYTES};
use rusqlite::Connection;

use crate::connection::{BUSY_TIMEOUT, Guarded};
use crate::{Database, StoreError};

/// How long a truncation waits for the snapshots that are open. If one lasts longer, the next batch but a few tries again.
const GATE_CLOSED_MAX: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    inside: usize,
}

/// What every snapshot of a service passes.
#[derive(Debug, Default)]
pub(crate) struct SnapshotGate {
    state: Mutex<GateState>,
    changed: Condvar,
    /// The WAL has grown beyond its size: the next one to open a batch truncates it.
    truncation_wanted: AtomicBool,
}

impl SnapshotGate {
    /// Passes the gate, or gives `None` when it stays closed until `deadline`.
    pub(crate) fn enter(self: &Arc<Self>, deadline: Instant) -> Option<GateTicket> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.closed {
            let left = deadline.checked_duration_since(Instant::now())?;
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Some(GateTicket(Arc::clone(self)))
    }

    /// Truncates the WAL if that is wanted. To be called under the lease, on the writer's connection, with no batch open.
    pub(crate) fn truncate_wal_if_wanted(&self, connection: &Connection) {
        if !self.truncation_wanted.load(Ordering::Relaxed)
            || !self.truncation_wanted.swap(false, Ordering::Relaxed)
        {
            return;
        }
        let truncate = || {
            // With a reader left, SQLite would wait for it by polling: rather try again later.
            connection.busy_timeout(Duration::ZERO)?;
            let blocked =
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            connection.busy_timeout(BUSY_TIMEOUT)?;
            blocked
        };
        match self.closed(GATE_CLOSED_MAX, truncate) {
            Ok(blocked) => tracing::debug!(blocked, "the WAL was truncated"),
            Err(error) => tracing::warn!(%error, "the WAL could not be truncated"),
        }
    }

    /// Runs `work` while no snapshot is open, or with those that did not end within this time.
    fn closed<T>(&self, within: Duration, work: impl FnOnce() -> T) -> T {
        let deadline = Instant::now() + within;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        while state.inside > 0
            && let Some(left) = deadline.checked_duration_since(Instant::now())
        {
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let result = work();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = false;
        self.changed.notify_all();
        result
    }
}

/// An open snapshot.
pub(crate) struct GateTicket(Arc<SnapshotGate>);

impl Drop for GateTicket {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.inside -= 1;
        if state.closed && state.inside == 0 {
            self.0.changed.notify_all();
        }
    }
}

/// The checkpoints of one database, on a connection of their own.
pub struct Checkpointer {
    guarded: Guarded,
    wal_path: PathBuf,
    gate: Arc<SnapshotGate>,
    page_bytes: u64,
    begin_at: u64,
    truncate_at: u64,
}

impl Checkpointer {
    /// Opens the connection.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        Self::with_sizes(database, WAL_CHECKPOINT_BYTES, WAL_BYTES_MAX)
    }

    fn with_sizes(database: &Database, begin_at: u64, truncate_at: u64) -> Result<Self, StoreError> {
        let gate = Arc::clone(database.gate());
        let guarded = database.open_writer()?;
        let page_bytes = guarded
            .connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))
            .map_or(4096, i64::unsigned_abs);
        let mut wal_path = database.path().as_os_str().to_owned();
        wal_path.push("-wal");
        Ok(Self { guarded, wal_path: wal_path.into(), gate, page_bytes, begin_at, truncate_at })
    }

    /// Makes a checkpoint if the WAL has the size for one. To be called a few times a second.
    ///
    /// # Errors
    ///
    /// SQLite's; the next call tries again.
    pub fn tick(&self) -> Result<(), StoreError> {
        // The file keeps its size when SQLite restarts the WAL in it, so the size only says that a look is worth it.
        if std::fs::metadata(&self.wal_path).map_or(0, |file| file.len()) < self.begin_at {
            return Ok(());
        }
        let frames = self
            .guarded
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1))
            .map_err(|source| StoreError::Sqlite {
                action: "checkpoint",
                path: self.wal_path.clone(),
                source,
            })?;
        if frames.max(0).unsigned_abs() * self.page_bytes >= self.truncate_at {
            self.gate.truncation_wanted.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::{Checkpointer, SnapshotGate};
    use crate::{Database, Migration, Reader, Settings, Value, Writer, WriterOptions};

    const TRUNCATE_AT: u64 = 1 << 18;

    struct World {
        _folder: tempfile::TempDir,
        database: Arc<Database>,
        writer: Arc<Writer<()>>,
        checkpointer: Checkpointer,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let database = Database::open(Settings { path, storage: 1 << 30 }).unwrap();
        let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB) STRICT; INSERT INTO t VALUES (1, x'')";
        let step = Migration { version: 1, name: "create_t".into(), sql: create.into(), reverse: None };
        database.migrate(&[step], "now").unwrap();
        let writer =
            Writer::<()>::open(Arc::clone(&database), WriterOptions::default(), Arc::new(|_| {})).unwrap();
        let checkpointer = Checkpointer::with_sizes(&database, TRUNCATE_AT / 4, TRUNCATE_AT).unwrap();
        World { _folder: folder, database, writer, checkpointer }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Has a batch write 64 KiB.
    fn write(writer: &Arc<Writer<()>>) {
        let mut unit = writer.acquire(soon()).unwrap().begin().map_err(|(_, error)| error).unwrap();
        unit.end_at(soon());
        unit.execute("UPDATE t SET v = ?1 WHERE id = 1", &[Value::Blob(vec![7; 1 << 16])]).unwrap();
        let (mut lease, _) = unit.finish(true);
        lease.push(());
        lease.commit();
    }

    fn wal_bytes(database: &Database) -> u64 {
        std::fs::metadata(database.path().with_extension("db-wal")).map_or(0, |file| file.len())
    }

    #[test]
    fn wal_over_its_limit_is_truncated_by_the_next_batch_and_a_smaller_one_is_not() {
        let World { _folder, database, writer, checkpointer } = world();
        let is_wanted = || database.gate().truncation_wanted.load(Ordering::Relaxed);
        // With a snapshot open, what is written after it can't be moved: the WAL grows.
        let mut reader = Reader::open(&database).unwrap();
        reader.query(soon(), "SELECT count(*) FROM t", &[]).unwrap();
        write(&writer);
        let of_one = wal_bytes(&database);
        while wal_bytes(&database) < TRUNCATE_AT {
            assert!(!is_wanted());
            write(&writer);
            let before = wal_bytes(&database);
            checkpointer.tick().unwrap();
            assert_eq!(wal_bytes(&database), before, "the WAL is truncated under the lease alone");
        }
        assert!(is_wanted());
        reader.end();
        write(&writer);
        assert!(wal_bytes(&database) <= of_one, "{} of {of_one}", wal_bytes(&database));
        assert!(!is_wanted());
    }

    #[test]
    fn small_wal_is_left_alone() {
        let World { _folder, database, writer, .. } = world();
        write(&writer);
        let checkpointer =
            Checkpointer::with_sizes(&database, wal_bytes(&database) + 1, TRUNCATE_AT).unwrap();
        let before = std::fs::read(database.path()).unwrap();
        checkpointer.tick().unwrap();
        assert_eq!(std::fs::read(database.path()).unwrap(), before);
    }

    #[test]
    fn closed_gate_waits_for_the_snapshot_that_is_open_and_lets_no_other_in() {
        let gate = Arc::new(SnapshotGate::default());
        let open = gate.enter(soon()).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (gate, ended) = (&gate, &ended);
            scope.spawn(move || {
                while !gate.state.lock().unwrap().closed {
                    std::thread::yield_now();
                }
                assert!(gate.enter(Instant::now()).is_none());
                ended.store(true, Ordering::Relaxed);
                drop(open);
            });
            // The end of the snapshot wakes it: otherwise this lasts for an hour.
            let seen = gate.closed(Duration::from_secs(3600), || {
                assert!(gate.enter(Instant::now()).is_none());
                ended.load(Ordering::Relaxed)
            });
            assert!(seen);
        });
        let _open = gate.enter(Instant::now()).expect("the gate is open again");
        let inside = gate.closed(Duration::ZERO, || gate.state.lock().unwrap().inside);
        assert_eq!(inside, 1, "a snapshot that lasts is not waited for without an end");
    }

    /// Sets the flag when it goes, also when a test fails: who looks at the flag ends then.
    struct SetOnDrop<'f>(&'f AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Writes that never pause, beside checkpoints and two readers that overlap without a gap: each alone would have the WAL grow
    /// for ever.
    #[test]
    fn log_is_bounded_under_writes_without_a_pause_and_overlapping_readers() {
        let World { _folder, database, writer, checkpointer } = world();
        let done = AtomicBool::new(false);

        let largest = std::thread::scope(|scope| {
            let (over, database) = (&done, &database);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    checkpointer.tick().unwrap();
                }
            });
            scope.spawn(move || {
                let mut readers = [Reader::open(database).unwrap(), Reader::open(database).unwrap()];
                let count = "SELECT count(*) FROM t";
                while !over.load(Ordering::Relaxed) {
                    // One snapshot begins before the other ends. At a closed gate the other ends first, or nobody would.
                    let [first, second] = &mut readers;
                    if first.query(Instant::now() + Duration::from_millis(5), count, &[]).is_ok() {
                        second.end();
                    } else {
                        second.end();
                        first.query(soon(), count, &[]).unwrap();
                    }
                    readers.reverse();
                }
            });
            let _ends = SetOnDrop(&done);
            (0..400).fold(0, |largest, _| {
                write(&writer);
                wal_bytes(database).max(largest)
            })
        });
        // 400 times 64 KiB are 26 MB of WAL; it is truncated from 256 KiB on.
        assert!(largest < 13 << 20, "the WAL had {largest} bytes");
    }
}
