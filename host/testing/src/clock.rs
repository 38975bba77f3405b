//! Time and randomness under the control of a test.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulkhead_types::{Clock, Random};

/// A clock that only moves when the test moves it. Clones share the same clock.
#[derive(Debug, Clone)]
pub(crate) struct TestClock(std::sync::Arc<Mutex<Times>>);

#[derive(Debug, Clone, Copy)]
struct Times {
    wall: Duration,
    steady: Duration,
}

impl TestClock {
    /// Starts at this time after 1970.
    pub(crate) fn new(now: Duration) -> Self {
        Self(std::sync::Arc::new(Mutex::new(Times { wall: now, steady: Duration::ZERO })))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock forward: time passes. It never goes back.
    pub(crate) fn move_to(&self, time: Duration) {
        let mut times = self.times();
        let moved = time.saturating_sub(times.wall);
        times.steady += moved;
        times.wall = time.max(times.wall);
    }

    /// Sets the wall clock, forward or back. No time passes.
    pub(crate) fn set(&self, wall: Duration) {
        self.times().wall = wall;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.times().wall
    }

    fn steady(&self) -> Duration {
        self.times().steady
    }
}

/// Pseudo-random bytes: the same seed gives the same bytes.
#[derive(Debug)]
pub(crate) struct SeededRandom(Mutex<fastrand::Rng>);

impl SeededRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}
