//! How long a job waited in its queue, for the caller that put it there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lets the caller that puts a job into a queue read how long the job waited there. By default nobody reads it.
#[derive(Debug, Clone, Default)]
pub struct Waited(Option<Arc<AtomicU64>>);

impl Waited {
    /// A value that can be read.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Arc::new(AtomicU64::new(u64::MAX))))
    }

    /// A worker got the job.
    pub(crate) fn record(&self, waited: Duration) {
        if let Some(measured) = &self.0 {
            measured.store(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// How long the job waited in its queue; none if no worker has got it.
    #[must_use]
    pub fn measured(&self) -> Option<Duration> {
        let nanoseconds = self.0.as_ref()?.load(Ordering::Relaxed);
        (nanoseconds != u64::MAX).then(|| Duration::from_nanos(nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_the_queue_is_known_once_a_worker_has_the_job() {
        let waited = Waited::new();
        assert_eq!(waited.measured(), None);
        waited.clone().record(Duration::from_millis(7));
        assert_eq!(waited.measured(), Some(Duration::from_millis(7)));
        let unread = Waited::default();
        unread.record(Duration::from_millis(7));
        assert_eq!(unread.measured(), None);
    }
}
