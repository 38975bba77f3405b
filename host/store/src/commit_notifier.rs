//! Wakes the readers of an event log when it has grown.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use bulkhead_types::Sequence;
use flume::{Sender, TrySendError};

/// Wakes a reader that waits for its event log to grow.
pub type Waker = Sender<()>;

/// Notifies the readers of an event log that it has grown. It only wakes them: the event log is the truth.
#[derive(Default)]
pub struct CommitNotifier {
    head: AtomicI64,
    readers: Mutex<Vec<Waker>>,
}

impl CommitNotifier {
    /// The event log is durable up to `head`.
    pub fn notify(&self, head: Sequence) {
        self.head.fetch_max(head.get(), Ordering::AcqRel);
        // A full channel wakes its reader already. A channel whose reader is gone is removed.
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|reader| !matches!(reader.try_send(()), Err(TrySendError::Disconnected(()))));
    }

    /// The sequence of the last durable event.
    #[must_use]
    pub fn head(&self) -> Sequence {
        Sequence::new(self.head.load(Ordering::Acquire))
    }

    /// Wakes this reader from now on, and once for each channel.
    pub fn add(&self, wake: Waker) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if !readers.iter().any(|reader| reader.same_channel(&wake)) {
            readers.push(wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifier_wakes_its_readers_and_forgets_dropped_ones() {
        let notifier = CommitNotifier::default();
        let ((one, woken), (other, gone)) = (flume::bounded(1), flume::bounded(1));
        for wake in [one.clone(), one, other] {
            notifier.add(wake);
        }
        drop(gone);
        for (head, last) in [(3, 3), (2, 3), (5, 5)] {
            notifier.notify(Sequence::new(head));
            assert_eq!(notifier.head(), Sequence::new(last));
            assert_eq!(woken.drain().count(), 1, "{head}");
            assert_eq!(notifier.readers.lock().unwrap().len(), 1);
        }
        // It does not wait for a reader that has not looked yet.
        notifier.notify(Sequence::new(6));
        notifier.notify(Sequence::new(7));
        assert_eq!((notifier.head(), woken.drain().count()), (Sequence::new(7), 1));
    }
}
