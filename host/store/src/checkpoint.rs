//! Moving the write-ahead log into the database, off the write path.
//!
//! SQLite can begin the log anew only at a moment when no reader needs it. Readers that overlap without a gap would have it
//! grow for ever: so beyond a size, new snapshots wait at a gate until a checkpoint has cut the log back.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_types::limits::{WAL_BYTES_MAX, WAL_CHECKPOINT_BYTES};

use crate::connection::Guarded;
use crate::{Database, StoreError};

/// How long a checkpoint waits at the closed gate for the snapshots that are open.
const GATE_CLOSED_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    inside: usize,
}

/// What every snapshot of a service passes.
#[derive(Debug, Default)]
pub struct SnapshotGate {
    state: Mutex<GateState>,
    changed: Condvar,
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

    /// Runs `work` while no snapshot is open, or with those that did not end in time.
    fn closed<T>(&self, work: impl FnOnce() -> T) -> T {
        let deadline = Instant::now() + GATE_CLOSED_MAX;
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
    log_path: PathBuf,
    gate: Arc<SnapshotGate>,
    page_bytes: u64,
    begin_at: u64,
    cut_at: u64,
}

impl Checkpointer {
    /// Opens the connection.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: &Database, gate: Arc<SnapshotGate>) -> Result<Self, StoreError> {
        Self::with_sizes(database, gate, WAL_CHECKPOINT_BYTES, WAL_BYTES_MAX)
    }

    fn with_sizes(
        database: &Database,
        gate: Arc<SnapshotGate>,
        begin_at: u64,
        cut_at: u64,
    ) -> Result<Self, StoreError> {
        let guarded = database.open_writer()?;
        let page_bytes = guarded
            .connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))
            .map_or(4096, i64::unsigned_abs);
        let mut log_path = database.path().as_os_str().to_owned();
        log_path.push("-wal");
        Ok(Self { guarded, log_path: log_path.into(), gate, page_bytes, begin_at, cut_at })
    }

    /// Makes a checkpoint if the log has the size for one. To be called a few times a second.
    ///
    /// # Errors
    ///
    /// SQLite's; the next call tries again.
    pub fn tick(&self) -> Result<(), StoreError> {
        // The file keeps its size when the log begins anew in it, so the size only says that a look is worth it.
        if std::fs::metadata(&self.log_path).map_or(0, |file| file.len()) < self.begin_at {
            return Ok(());
        }
        let (frames, moved) = self.checkpoint("PASSIVE")?;
        // A log whose every frame was moved begins anew by itself once no reader is left in it: no need for the gate.
        if frames > moved && frames * self.page_bytes >= self.cut_at {
            self.gate.closed(|| self.checkpoint("TRUNCATE"))?;
        }
        Ok(())
    }

    /// Frames in the log, and how many of them are in the database now.
    fn checkpoint(&self, mode: &str) -> Result<(u64, u64), StoreError> {
        self.guarded
            .connection
            .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                Ok((row.get::<_, i64>(1)?.max(0).unsigned_abs(), row.get::<_, i64>(2)?.max(0).unsigned_abs()))
            })
            .map_err(|source| StoreError::Sqlite {
                action: "checkpoint",
                path: self.log_path.clone(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Checkpointer, SnapshotGate};
    use crate::{Database, Reader, Settings};

    /// Two readers that overlap without a gap hold the log for ever, unless new snapshots wait.
    #[test]
    fn log_is_cut_back_under_overlapping_readers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let database = Database::open(Settings { path: path.clone(), storage: 1 << 30 }).unwrap();
        let gate = Arc::<SnapshotGate>::default();
        let checkpointer = Checkpointer::with_sizes(&database, Arc::clone(&gate), 1 << 16, 1 << 18).unwrap();
        let writer = database.open_writer().unwrap().connection;
        writer.execute_batch("CREATE TABLE t (v BLOB) STRICT").unwrap();
        let soon = || Instant::now() + Duration::from_secs(60);

        let (tell, told) = std::sync::mpsc::channel::<()>();
        let overlapping = {
            let (database, gate) = (Arc::clone(&database), Arc::clone(&gate));
            std::thread::spawn(move || {
                let mut readers: Vec<Reader> =
                    (0..2).map(|_| Reader::open(&database, Arc::clone(&gate)).unwrap()).collect();
                let mut turn = 0;
                while told.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    // One snapshot begins before the other ends. At a closed gate this one ends first, or nobody would.
                    let (first, second) = readers.split_at_mut(1);
                    let (a, b) = if turn % 2 == 0 {
                        (&mut first[0], &mut second[0])
                    } else {
                        (&mut second[0], &mut first[0])
                    };
                    if a.query(Instant::now() + Duration::from_millis(20), "SELECT count(*) FROM t", &[])
                        .is_err()
                    {
                        b.end();
                        a.query(soon(), "SELECT count(*) FROM t", &[]).unwrap();
                    }
                    b.end();
                    turn += 1;
                }
            })
        };
        let wal = path.with_extension("db-wal");
        let mut largest_after_cut = u64::MAX;
        for _ in 0..60 {
            writer.execute("INSERT INTO t VALUES (zeroblob(65536))", []).unwrap();
            checkpointer.tick().unwrap();
            largest_after_cut = largest_after_cut.min(std::fs::metadata(&wal).unwrap().len());
        }
        drop(tell);
        overlapping.join().unwrap();
        // 60 rows are 4 MB of log; without the gate it holds them all at the end.
        let length = std::fs::metadata(&wal).unwrap().len();
        assert!(length < 2 << 20, "the log has {length} bytes");
    }
}
