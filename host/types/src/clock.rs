//! Time and randomness, as services get them: two seams, so that a test can hold both still.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the wall-clock time comes from that services, events and log rows see.
///
/// Deadlines are not asked of it: they are measured by the operating system's monotonic clock.
pub trait Clock: Send + Sync {
    /// Time since 1970-01-01T00:00:00Z.
    fn now(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        // A clock set before 1970 reads as 1970: a service can't be told of a negative time.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// Where the random bytes come from that services and ids are made of.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator, which is fit for keys.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::expect_used,
        reason = "a system without randomness can't make an id or a key: stop at once"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// `since_epoch` in the form of RFC 3339, in UTC, with milliseconds: `2026-11-22T21:15:29.000Z`.
#[must_use]
pub fn rfc3339(since_epoch: Duration) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + since_epoch).to_string()
}

/// The time since 1970 that a text in the form of RFC 3339 says, in UTC (`Z`); `None` for any other text, and for times before 1970.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<Duration> {
    humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()
}
