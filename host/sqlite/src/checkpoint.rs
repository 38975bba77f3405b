//! Moves the write-ahead log (WAL) into the database, off the write path, and truncates it.
//!
//! A background thread moves pages without blocking anybody. But SQLite restarts the WAL only when every page was moved and no reader needs
//! the WAL. If writes never pause, or readers overlap without a gap, that moment never comes. So if the WAL exceeds a size, the next batch
//! truncates it before it begins. The batch's thread holds the writer lease, so nothing is written meanwhile. New snapshots wait at a gate
//! until the open ones have ended, or a bound has passed.
//!
//! Nobody waits here for SQLite's own locks: the gate is closed only under the lease, and the wait at it is bounded.

use std::path::PathBuf;
use std::sync::Arc;

use bulkhead_store::StoreError;
use bulkhead_types::limits::{WAL_BYTES_MAX, WAL_CHECKPOINT_BYTES};

use crate::Database;
use crate::connection::Guarded;
use crate::error::store_error;
use crate::snapshot_gate::SnapshotGate;

/// The checkpoints of one database, on their own connection.
pub(crate) struct Checkpointer {
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
    /// When SQLite can't open the connection.
    pub(crate) fn open(database: &Database) -> Result<Self, StoreError> {
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
}

impl bulkhead_store::Checkpointer for Checkpointer {
    fn tick(&self) -> Result<(), StoreError> {
        // The file keeps its size when SQLite restarts the WAL in it. So the size only says that a checkpoint may be needed.
        if std::fs::metadata(&self.wal_path).map_or(0, |file| file.len()) < self.begin_at {
            return Ok(());
        }
        let frames = self
            .guarded
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1))
            .map_err(|source| store_error("checkpoint", &self.wal_path, &source))?;
        if frames.max(0).unsigned_abs() * self.page_bytes >= self.truncate_at {
            self.gate.want_truncation();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use bulkhead_store::{
        Checkpointer as _, Migration, Migrations as _, OpenReaders as _, Settings, Value, Writer,
        WriterOptions,
    };

    use super::Checkpointer;
    use crate::Database;

    const TRUNCATE_AT: u64 = 1 << 18;

    struct World {
        _folder: tempfile::TempDir,
        database: Arc<Database>,
        writer: Arc<dyn Writer<()>>,
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
            crate::Writer::<()>::open(Arc::clone(&database), WriterOptions::default(), Arc::new(|_| {}))
                .unwrap();
        let checkpointer = Checkpointer::with_sizes(&database, TRUNCATE_AT / 4, TRUNCATE_AT).unwrap();
        World { _folder: folder, database, writer, checkpointer }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Writes 64 KiB in a batch.
    fn write(writer: &Arc<dyn Writer<()>>) {
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
        let is_wanted = || database.gate().is_truncation_wanted();
        // While a snapshot is open, pages that are written after it can't be moved: the WAL grows.
        let mut reader = database.reader().unwrap();
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
    fn small_wal_is_not_checkpointed() {
        let World { _folder, database, writer, .. } = world();
        write(&writer);
        let checkpointer =
            Checkpointer::with_sizes(&database, wal_bytes(&database) + 1, TRUNCATE_AT).unwrap();
        let before = std::fs::read(database.path()).unwrap();
        checkpointer.tick().unwrap();
        assert_eq!(std::fs::read(database.path()).unwrap(), before);
    }

    /// Sets the flag when it is dropped, also when a test fails. Threads that watch the flag then end.
    struct SetOnDrop<'f>(&'f AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Writes that never pause, with checkpoints and two readers that overlap without a gap. The writes or the readers alone would make the
    /// WAL grow for ever.
    #[test]
    fn wal_stays_bounded_under_continuous_writes_and_overlapping_readers() {
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
                let mut readers = [database.reader().unwrap(), database.reader().unwrap()];
                let count = "SELECT count(*) FROM t";
                while !over.load(Ordering::Relaxed) {
                    // One snapshot begins before the other ends. At a closed gate the other snapshot ends first: otherwise neither would go
                    // on.
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
