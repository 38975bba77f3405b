//! The event log of a producer that does not run. The test supplies its events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_runtime::EventLog;
use bulkhead_store::{Logged, StatementError};

/// A log that a test writes. Clones share the same log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feed(Arc<Mutex<Vec<Logged>>>);

/// Its id. No database's log has this id: those have 32 digits.
const ID: &str = "of the test";

impl Feed {
    fn events(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event of any kind, and returns its sequence.
    pub(crate) fn append(&self, event: Logged) -> i64 {
        let mut events = self.events();
        let sequence = i64::try_from(events.len()).unwrap_or(i64::MAX) + 1;
        events.push(Logged { sequence, ..event });
        sequence
    }
}

impl EventLog for Feed {
    fn id(&self) -> &str {
        ID
    }

    fn read(&mut self, sequence: i64, count: u32) -> Result<Vec<Logged>, StatementError> {
        let events = self.events();
        let found = events.iter().filter(|event| event.sequence >= sequence);
        Ok(found.take(usize::try_from(count).unwrap_or(usize::MAX)).cloned().collect())
    }

    fn has_later(
        &mut self,
        subject: &str,
        kinds: [&str; 2],
        between: (i64, i64),
    ) -> Result<bool, StatementError> {
        let later = |event: &Logged| {
            event.subject == subject
                && !event.data.is_empty()
                && kinds.contains(&event.kind.as_str())
                && event.sequence > between.0
                && event.sequence <= between.1
        };
        Ok(self.events().iter().any(later))
    }

    fn follow(&self, _wake: bulkhead_runtime::Waker) {
        // The test steps the subscription worker itself, so no wake-up is needed.
    }
}
