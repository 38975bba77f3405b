//! The seam to another bus: how a consumer reads a producer's log.
//!
//! Here the log is a table of the producer's database, in the same process. A broker between machines would be another
//! implementation of [`EventLog`]: lanes, positions and parked events know no more of a log than this.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bulkhead_store::{Database, LogReader, Logged, StatementError, StoreError};
use flume::Sender;

/// A log, as one consumer reads it. Sequences only grow, and an event keeps its sequence and its id for ever.
pub trait EventLog: Send {
    /// The log's own id: another one means that positions of before say nothing.
    fn id(&self) -> &str;

    /// At most `count` events from `sequence` on, in their order.
    ///
    /// # Errors
    ///
    /// When the log can't be read now; the caller tries again.
    fn read(&mut self, sequence: i64, count: u32) -> Result<Vec<Logged>, StatementError>;

    /// The sequence of the last event that is durable.
    fn head(&self) -> i64;
}

/// Where it is told that a producer's log has grown. Only wake-ups go through it: the log is the truth.
#[derive(Default)]
pub struct Bell {
    head: AtomicI64,
    followers: Mutex<Vec<Sender<()>>>,
}

impl Bell {
    /// Up to `head` the log is durable.
    pub fn ring(&self, head: i64) {
        self.head.fetch_max(head, Ordering::AcqRel);
        for follower in self.followers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // One that is full wakes its reader already.
            let _ = follower.try_send(());
        }
    }

    /// The sequence of the last event that is durable.
    #[must_use]
    pub fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn follow(&self, wake: Sender<()>) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(wake);
    }
}

/// The log in a producer's database.
pub struct EmbeddedLog {
    id: String,
    reader: LogReader,
    bell: Arc<Bell>,
}

impl EmbeddedLog {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: &Database, bell: &Arc<Bell>) -> Result<Self, StoreError> {
        Ok(Self { id: database.log().to_owned(), reader: LogReader::open(database)?, bell: Arc::clone(bell) })
    }
}

impl EventLog for EmbeddedLog {
    fn id(&self) -> &str {
        &self.id
    }

    fn read(&mut self, sequence: i64, count: u32) -> Result<Vec<Logged>, StatementError> {
        self.reader.read(sequence, count)
    }

    fn head(&self) -> i64 {
        self.bell.head()
    }
}
