//! A service that has a database, and the threads that deliver to it.

use std::sync::{Arc, Mutex, PoisonError};

use bulkhead_runtime::supervise::Down;
use bulkhead_runtime::{Consumer, Deferred, Deliveries};

/// A service that has a database, for code that looks at events.
pub struct ServiceEntry {
    /// The service, as its subscription workers know it.
    pub consumer: Consumer,
    /// Its timers and parked events.
    pub deferred: Arc<Deferred>,
    /// The threads that run its subscription workers and timers.
    pub(super) delivery_threads: Mutex<DeliveryThreads>,
}

/// The threads that deliver to a service: its subscription workers, and those of its timers and parked events.
#[derive(Default)]
pub(super) enum DeliveryThreads {
    /// They should not run now.
    #[default]
    Stopped,
    Running(Deliveries),
    /// They should run and do not. The host is not ready until they are started, or should not run any more.
    Failed {
        _down: Down,
    },
}

impl DeliveryThreads {
    pub(super) fn failed(service: &str) -> Self {
        Self::Failed { _down: Down::note(&format!("{service}-deliveries")) }
    }
}

impl ServiceEntry {
    pub(super) fn set_delivery_threads(&self, threads: DeliveryThreads) -> DeliveryThreads {
        std::mem::replace(&mut *self.delivery_threads.lock().unwrap_or_else(PoisonError::into_inner), threads)
    }

    /// Ends its subscription workers and timers. Each ends when its current work is done.
    pub(super) fn stop_delivery_threads(&self) {
        if let DeliveryThreads::Running(deliveries) = self.set_delivery_threads(DeliveryThreads::Stopped) {
            deliveries.stop();
        }
    }
}
