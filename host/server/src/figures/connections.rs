//! Counts the clients' connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of connections. Each has one request at a time, so no more requests than this wait for anything.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: AtomicU64,
    accepted: AtomicU64,
}

impl Connections {
    /// The number of open connections.
    #[must_use]
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// The number of connections that were accepted since the start.
    #[must_use]
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Counts a connection, until the returned value is dropped.
    pub(crate) fn accept(self: &Arc<Self>) -> Connection {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Connection(Arc::clone(self))
    }
}

pub(crate) struct Connection(Arc<Connections>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
