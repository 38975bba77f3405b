//! Checkpoints the WALs of the databases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bulkhead_runtime::supervise::{self, Progress};
use bulkhead_store::Checkpointer;
use bulkhead_types::ServiceName;

/// How often each WAL is checked.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(200);

/// By service.
type Shared = Arc<Mutex<BTreeMap<ServiceName, Box<dyn Checkpointer>>>>;

/// The thread that checkpoints the WALs.
pub(super) struct Checkpoints {
    wake: Sender<()>,
    stop: Arc<AtomicBool>,
    checkpointers: Shared,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(super) fn start(
        checkpointers: impl IntoIterator<Item = (ServiceName, Box<dyn Checkpointer>)>,
    ) -> std::io::Result<Self> {
        let checkpointers: Shared = Arc::new(Mutex::new(checkpointers.into_iter().collect()));
        let shared = Arc::clone(&checkpointers);
        let (wake, woken) = mpsc::channel();
        let stop = Arc::<AtomicBool>::default();
        let run = move |woken: &mut Receiver<()>, progress: &Progress| {
            while woken.recv_timeout(CHECKPOINT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                supervise::point("turn");
                for checkpointer in shared.lock().unwrap_or_else(PoisonError::into_inner).values() {
                    if let Err(error) = checkpointer.tick() {
                        tracing::warn!(%error, "a checkpoint failed");
                    }
                }
                progress.made();
            }
        };
        let thread = supervise::spawn("checkpoints".to_owned(), &stop, woken, run, |_, _| {})?;
        Ok(Self { wake, stop, checkpointers, thread })
    }

    /// The service uses another database from now on.
    pub(super) fn replace(&self, service: &str, checkpointer: Box<dyn Checkpointer>) {
        let mut checkpointers = self.checkpointers.lock().unwrap_or_else(PoisonError::into_inner);
        checkpointers.insert(service.into(), checkpointer);
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        drop(self.wake);
        // Its panic is already logged.
        let _ = self.thread.join();
    }
}
