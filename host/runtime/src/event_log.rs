//! The interface where another bus could fit in: how a consumer reads a producer's event log.
//!
//! Here the event log is a table of the producer's database, in the same process. A broker between machines would be another implementation
//! of [`EventLog`], which another [`OpenLog`] returns. Subscription workers, positions and parked events know nothing more about an event
//! log than this.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bulkhead_store::{Database, LogReader, Logged, StatementError, StoreError};
use flume::{Sender, TrySendError};

/// Wakes a subscription worker that waits for its event log to grow.
pub type Waker = Sender<()>;

/// An event log, as one consumer reads it. Sequences only grow, and an event keeps its sequence and its id for ever.
pub trait EventLog: Send {
    /// The event log's own id. If it is another id, earlier positions mean nothing.
    fn id(&self) -> &str;

    /// At most `count` events from `sequence` on, in their order.
    ///
    /// # Errors
    ///
    /// When the event log can't be read now; the caller tries again.
    fn read(&mut self, sequence: i64, count: u32) -> Result<Vec<Logged>, StatementError>;

    /// Whether there is an event of one of these types about a subject, after the first of two sequences and up to the second. An erased
    /// event says nothing, and does not count.
    ///
    /// # Errors
    ///
    /// When the event log can't be read now.
    fn has_later(
        &mut self,
        subject: &str,
        kinds: [&str; 2],
        between: (i64, i64),
    ) -> Result<bool, StatementError>;

    /// Sends to `wake` whenever the event log may have grown. To call this twice with one channel is the same as to call it once.
    fn follow(&self, wake: Waker);
}

/// Opens a producer's event log for one consumer; none if there is no such event log.
pub type OpenLog<'o> = dyn Fn(&str) -> Result<Option<Box<dyn EventLog>>, StoreError> + 'o;

/// Notifies followers that a producer's event log has grown. It only wakes them: the event log is the truth.
#[derive(Default)]
pub struct CommitNotifier {
    head: AtomicI64,
    followers: Mutex<Vec<Waker>>,
}

impl CommitNotifier {
    /// The event log is durable up to `head`.
    pub fn notify(&self, head: i64) {
        self.head.fetch_max(head, Ordering::AcqRel);
        // A full channel wakes its reader already. A channel whose reader is gone is removed.
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|follower| !matches!(follower.try_send(()), Err(TrySendError::Disconnected(()))));
    }

    /// The sequence of the last durable event.
    #[must_use]
    pub fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    fn follow(&self, wake: Waker) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if !followers.iter().any(|follower| follower.same_channel(&wake)) {
            followers.push(wake);
        }
    }
}

/// The event log in a producer's database.
pub struct EmbeddedLog {
    id: String,
    reader: LogReader,
    notifier: Arc<CommitNotifier>,
}

impl EmbeddedLog {
    /// Opens a connection of its own.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: &Database, notifier: &Arc<CommitNotifier>) -> Result<Self, StoreError> {
        Ok(Self {
            id: database.log().to_owned(),
            reader: LogReader::open(database)?,
            notifier: Arc::clone(notifier),
        })
    }
}

impl EventLog for EmbeddedLog {
    fn id(&self) -> &str {
        &self.id
    }

    fn read(&mut self, sequence: i64, count: u32) -> Result<Vec<Logged>, StatementError> {
        self.reader.read(sequence, count)
    }

    fn has_later(
        &mut self,
        subject: &str,
        kinds: [&str; 2],
        between: (i64, i64),
    ) -> Result<bool, StatementError> {
        self.reader.has_between(subject, kinds, between)
    }

    fn follow(&self, wake: Waker) {
        self.notifier.follow(wake);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bulkhead_store::NewEvent;

    use super::*;
    use crate::trial::Trial;

    #[test]
    fn log_of_a_service_knows_whether_more_is_to_come_of_a_subject() {
        let trial = Trial::new(Duration::from_secs(60));
        for (kind, subject) in [("taker.made", "a"), ("taker.made", "b"), ("taker.gone", "a")] {
            let event = NewEvent { id: "e", kind, subject, time: "now", trace_id: "t", data: "{}" };
            trial
                .write(|unit| unit.publish(&event).map_err(|error| StatementError::Other(error.to_string())));
        }
        let database = trial.consumer.database().unwrap();
        let mut log = EmbeddedLog::open(&database.database, &Arc::default()).unwrap();
        assert_eq!(log.id(), database.database.log());
        for (subject, kinds, between, is_there) in [
            ("a", ["taker.gone", ""], (1, 3), true),
            ("a", ["taker.gone", ""], (1, 2), false),
            ("a", ["taker.gone", ""], (3, 3), false),
            ("a", ["taker.made", ""], (1, 3), false),
            ("b", ["taker.gone", "taker.made"], (1, 3), true),
        ] {
            assert_eq!(log.has_later(subject, kinds, between).unwrap(), is_there, "{subject} {between:?}");
        }
    }

    #[test]
    fn notifier_wakes_its_followers_and_forgets_those_that_are_gone() {
        let notifier = CommitNotifier::default();
        let ((one, woken), (other, gone)) = (flume::bounded(1), flume::bounded(1));
        for wake in [one.clone(), one, other] {
            notifier.follow(wake);
        }
        drop(gone);
        for (head, last) in [(3, 3), (2, 3), (5, 5)] {
            notifier.notify(head);
            assert_eq!(notifier.head(), last);
            assert_eq!(woken.drain().count(), 1, "{head}");
            assert_eq!(notifier.followers.lock().unwrap().len(), 1);
        }
        // It does not wait for a reader that has not looked yet.
        notifier.notify(6);
        notifier.notify(7);
        assert_eq!((notifier.head(), woken.drain().count()), (7, 1));
    }
}
