//! Moving the write-ahead logs into the databases.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulkhead_store::Checkpointer;

/// How often the write-ahead logs are looked at.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(200);

/// By service.
type Shared = Arc<Mutex<BTreeMap<String, Checkpointer>>>;

/// The thread that moves the write-ahead logs into the databases.
pub(super) struct Checkpoints {
    stop: Sender<()>,
    checkpointers: Shared,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(super) fn start(
        checkpointers: impl IntoIterator<Item = (String, Checkpointer)>,
    ) -> std::io::Result<Self> {
        let checkpointers: Shared = Arc::new(Mutex::new(checkpointers.into_iter().collect()));
        let shared = Arc::clone(&checkpointers);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("checkpoints".into()).spawn(move || {
            while stopped.recv_timeout(CHECKPOINT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for checkpointer in shared.lock().unwrap_or_else(PoisonError::into_inner).values() {
                    if let Err(error) = checkpointer.tick() {
                        tracing::warn!(%error, "a checkpoint failed");
                    }
                }
            }
        })?;
        Ok(Self { stop, checkpointers, thread })
    }

    /// A service has another database from now on.
    pub(super) fn replace(&self, service: &str, checkpointer: Checkpointer) {
        let mut checkpointers = self.checkpointers.lock().unwrap_or_else(PoisonError::into_inner);
        checkpointers.insert(service.to_owned(), checkpointer);
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread had panicked");
        }
    }
}
