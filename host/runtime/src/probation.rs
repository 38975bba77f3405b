//! The first seconds of a new version: whether its handlers fail.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bulkhead_types::limits::{PROBATION_FAILED_OF, PROBATION_FAILURES};

type OnFailed = Box<dyn FnOnce(String) + Send>;

/// Counts how the handlers of a new version end, and reports when too many of them fail.
pub struct Probation {
    until: Instant,
    ended: AtomicU32,
    failed: AtomicU32,
    /// None after it was called.
    on_failed: Mutex<Option<OnFailed>>,
}

impl Probation {
    /// Starts now, and lasts for `time`. `on_failed` is called once, with the reason, when too many fail.
    pub fn new(time: Duration, on_failed: Box<dyn FnOnce(String) + Send>) -> Self {
        let (ended, failed) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { until: Instant::now() + time, ended, failed, on_failed: Mutex::new(Some(on_failed)) }
    }

    /// How much of its time is left, how many handlers ended, and how many of them failed.
    #[must_use]
    pub fn standing(&self) -> (Duration, u32, u32) {
        let left = self.until.saturating_duration_since(Instant::now());
        (left, self.ended.load(Ordering::Acquire), self.failed.load(Ordering::Acquire))
    }

    /// Whether too many have failed.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.on_failed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// A handler ended: successfully, or with a failure for this reason.
    pub(crate) fn note(&self, failure: Option<&dyn std::fmt::Display>) {
        if Instant::now() >= self.until {
            return;
        }
        let ended = self.ended.fetch_add(1, Ordering::AcqRel) + 1;
        let Some(failure) = failure else { return };
        let failed = self.failed.fetch_add(1, Ordering::AcqRel) + 1;
        if failed < PROBATION_FAILURES || failed.saturating_mul(PROBATION_FAILED_OF) < ended {
            return;
        }
        let on_failed = self.on_failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_failed) = on_failed {
            on_failed(format!(
                "{failed} of its first {ended} handlers failed, the last of them so: {failure}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::Probation;

    fn reported(time: Duration, ends: &[bool]) -> Vec<String> {
        let (sender, reported) = channel();
        let probation = Probation::new(time, Box::new(move |why| sender.send(why).unwrap()));
        for well in ends {
            probation.note((!well).then_some(&"trap" as &dyn std::fmt::Display));
        }
        let is_failed = probation.is_failed();
        drop(probation);
        let reported: Vec<String> = reported.iter().collect();
        assert_eq!(is_failed, !reported.is_empty());
        reported
    }

    #[test]
    fn too_many_failures_are_reported_once() {
        let long = Duration::from_secs(600);
        assert_eq!(
            reported(long, &[true, false, false, false, false, false]),
            ["3 of its first 4 handlers failed, the last of them so: trap"]
        );
        assert!(reported(long, &[false, false, true, true]).is_empty(), "two may be a coincidence");
        let mostly_well: Vec<bool> = (0..100).map(|place| place % 20 != 19).collect();
        assert!(reported(long, &mostly_well).is_empty(), "one in twenty");
        let in_ten = |well: usize| [vec![true; well], vec![false; 3]].concat();
        assert_eq!(reported(long, &in_ten(27)).len(), 1, "one in ten");
        assert!(reported(long, &in_ten(28)).is_empty(), "fewer");
        assert!(reported(Duration::ZERO, &[false; 10]).is_empty(), "its time is over");
    }
}
