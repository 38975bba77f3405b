//! The gate that every snapshot passes. It is closed while the WAL is truncated (see `checkpoint.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How long a connection waits for another's lock. Only the checkpoint ever competes with the writer.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a truncation waits for the open snapshots. If one lasts longer, a batch soon afterwards tries again.
const GATE_CLOSED_MAX: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    inside: usize,
}

/// The gate that every snapshot of a service passes.
#[derive(Debug, Default)]
pub(crate) struct SnapshotGate {
    state: Mutex<GateState>,
    changed: Condvar,
    /// The WAL has grown beyond its limit: the next batch truncates it when it is opened.
    truncation_wanted: AtomicBool,
}

impl SnapshotGate {
    /// Passes the gate. Returns `None` if the gate stays closed until `deadline`.
    pub(crate) fn enter(self: &Arc<Self>, deadline: Instant) -> Option<GateTicket> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.closed {
            let left = deadline.checked_duration_since(Instant::now())?;
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Some(GateTicket(Arc::clone(self)))
    }

    /// Requests that the next batch truncates the WAL when it is opened.
    pub(crate) fn want_truncation(&self) {
        self.truncation_wanted.store(true, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn is_truncation_wanted(&self) -> bool {
        self.truncation_wanted.load(Ordering::Relaxed)
    }

    /// Truncates the WAL if that was requested. Call this under the lease, on the writer's connection, with no batch open.
    pub(crate) fn truncate_wal_if_wanted(&self, connection: &Connection) {
        if !self.truncation_wanted.load(Ordering::Relaxed)
            || !self.truncation_wanted.swap(false, Ordering::Relaxed)
        {
            return;
        }
        let truncate = || {
            // If a reader is left, SQLite would wait for it by polling. It is better to try again later.
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

    /// Closes the gate and runs `work` when no snapshot is open, or when `within` has passed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_gate_waits_for_the_open_snapshot_and_admits_no_other() {
        let gate = Arc::new(SnapshotGate::default());
        let open = gate.enter(Instant::now() + Duration::from_secs(60)).unwrap();
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
            // The end of the snapshot wakes the waiting call: otherwise this lasts for an hour.
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
}
