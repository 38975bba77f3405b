//! Time and randomness, as services get them. Both are traits, so that a test can control them.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The source of time. It gives the wall-clock time that services, events and log lines see, and the time that measures delays which
/// outlive a request. [`std::time::Instant`] measures the deadlines of requests.
pub trait Clock: Send + Sync {
    /// The wall-clock time since 1970-01-01T00:00:00Z. It may be set at any time, forward or back.
    fn now(&self) -> Duration;

    /// The time since some moment before the process began. Nobody can set it, and it also advances while the machine is suspended.
    fn steady(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        // A clock set before 1970 reads as 1970: services can't get a negative time.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        set_by_test(now)
    }

    fn steady(&self) -> Duration {
        // `Instant` does not advance while the machine is suspended.
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a value of the requested type, which outlives the call.
        let status = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
        // Linux has had this clock since 2.6.39.
        debug_assert_eq!(status, 0);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }
}

/// The file in which a test writes by how many milliseconds to set a host's wall clock forward or back. Without the variable each read of
/// the clock only costs a read of a value that never changes.
const VARIABLE: &str = "BULKHEAD_CLOCK_SET_BY";

static SET_BY: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(VARIABLE).map(PathBuf::from));

fn set_by_test(now: Duration) -> Duration {
    let Some(file) = &*SET_BY else { return now };
    let by: i64 =
        std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    let step = Duration::from_millis(by.unsigned_abs());
    if by < 0 { now.saturating_sub(step) } else { now + step }
}

/// The source of random bytes for services and for ids.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator, which is suitable for keys.
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

/// `since_epoch` in RFC 3339 format, in UTC, with milliseconds: `2026-11-22T21:15:29.000Z`.
#[must_use]
pub fn rfc3339(since_epoch: Duration) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + since_epoch).to_string()
}

/// The time since 1970 of a text in RFC 3339 format, in UTC (`Z`). `None` for any other text, and for times before 1970.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<Duration> {
    humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()
}
