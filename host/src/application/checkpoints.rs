//! Moving the write-ahead logs into the databases.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulkhead_store::Checkpointer;

/// How often the write-ahead logs are looked at.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(200);

/// The thread that moves the write-ahead logs into the databases.
pub(super) struct Checkpoints {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(super) fn start(checkpointers: Vec<Checkpointer>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("checkpoints".into()).spawn(move || {
            while stopped.recv_timeout(CHECKPOINT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for checkpointer in &checkpointers {
                    if let Err(error) = checkpointer.tick() {
                        tracing::warn!(%error, "a checkpoint failed");
                    }
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread had panicked");
        }
    }
}
