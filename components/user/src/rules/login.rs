//! How many logins may fail, per email and the client's address together: so that a password cannot be guessed, and nobody can lock
//! somebody else out from elsewhere.
//!
//! The clock may be set back. A window that then begins in the future counts for no more than one window further: beyond that it was begun
//! by a clock that was wrong, and is over. Nearer than that it counts, so that a small step back gives nobody more tries.

use std::net::{IpAddr, Ipv6Addr};

use bulkhead_sdk::Timestamp;

/// How many logins may fail within a window of time that begins with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// After so many, further ones are refused until the window is over.
    pub failures_max: i64,
    /// How long the window is, in seconds.
    pub window_seconds: i64,
}

/// The logins that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: i64,
    /// When the first one did.
    pub since: Timestamp,
}

impl Throttle {
    /// Windows that began at this time or earlier are over.
    pub fn over_since(self, now: Timestamp) -> Timestamp {
        now.plus_milliseconds(self.window_seconds.saturating_mul(-1000))
    }

    /// Windows that begin at this time or later were begun by a clock that was ahead, and are over.
    pub fn over_from(self, now: Timestamp) -> Timestamp {
        now.plus_milliseconds(self.window_seconds.saturating_mul(1000))
    }

    /// How many seconds a client has to wait, from 1 to those of two windows; none where it may log in.
    pub fn retry_after_seconds(self, failures: Option<Failures>, now: Timestamp) -> Option<i64> {
        let failures =
            self.within_window(failures, now).filter(|failures| failures.count >= self.failures_max)?;
        let over_since = self.over_since(now).unix_milliseconds();
        let left = failures.since.unix_milliseconds().saturating_sub(over_since);
        Some(left.saturating_add(999) / 1000)
    }

    /// The failures with one more.
    pub fn after_failure(self, failures: Option<Failures>, now: Timestamp) -> Failures {
        match self.within_window(failures, now) {
            Some(Failures { count, since }) => Failures { count: count.saturating_add(1), since },
            None => Failures { count: 1, since: now },
        }
    }

    fn within_window(self, failures: Option<Failures>, now: Timestamp) -> Option<Failures> {
        failures
            .filter(|failures| failures.since > self.over_since(now) && failures.since < self.over_from(now))
    }
}

/// What stands for a client's address: an IPv4 address as it is, and of an IPv6 address the network of 64 bits, all of which whoever
/// has one of it has.
pub fn peer_key(peer: &str) -> String {
    match peer.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            format!("{network}/64")
        }
        Ok(address) => address.to_string(),
        Err(_) => peer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROTTLE: Throttle = Throttle { failures_max: 3, window_seconds: 900 };

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_unix_milliseconds(1_700_000_000_000 + milliseconds)
    }

    #[test]
    fn after_too_many_failures_no_login_is_allowed_until_the_window_ends() {
        let mut failures = None;
        for attempt in 0..3 {
            assert_eq!(THROTTLE.retry_after_seconds(failures, at(attempt)), None, "{attempt}");
            failures = Some(THROTTLE.after_failure(failures, at(attempt)));
        }
        assert_eq!(failures, Some(Failures { count: 3, since: at(0) }));
        for (milliseconds, expected) in [
            (3, Some(900)),
            (1000, Some(899)),
            (1001, Some(899)),
            (899_999, Some(1)),
            (900_000, None),
            (10_000_000, None),
        ] {
            assert_eq!(THROTTLE.retry_after_seconds(failures, at(milliseconds)), expected, "{milliseconds}");
        }
    }

    #[test]
    fn a_failure_after_the_window_starts_a_new_window() {
        let failures = Some(Failures { count: 3, since: at(0) });
        assert_eq!(THROTTLE.after_failure(failures, at(899_999)), Failures { count: 4, since: at(0) });
        assert_eq!(THROTTLE.after_failure(failures, at(900_000)), Failures { count: 1, since: at(900_000) });
    }

    #[test]
    fn a_window_is_over_exactly_when_its_failures_no_longer_count() {
        let over = THROTTLE.over_since(at(900_000));
        for (since, counts) in [(at(0), false), (at(1), true)] {
            let failures = Some(Failures { count: 3, since });
            assert_eq!(THROTTLE.retry_after_seconds(failures, at(900_000)).is_some(), counts);
            assert_eq!(since <= over, !counts);
        }
    }

    #[test]
    fn a_window_that_starts_in_the_future_counts_for_at_most_one_more_window() {
        for (since, retry_after) in [
            (at(1), Some(901)),
            (at(600_000), Some(1500)),
            (at(899_999), Some(1800)),
            (at(900_000), None),
            (at(7 * 24 * 3_600_000), None),
            (Timestamp::from_unix_milliseconds(i64::MAX), None),
        ] {
            let failures = Failures { count: 3, since };
            assert_eq!(THROTTLE.retry_after_seconds(Some(failures), at(0)), retry_after, "{since}");
            let expected = if retry_after.is_some() { 4 } else { 1 };
            assert_eq!(THROTTLE.after_failure(Some(failures), at(0)).count, expected, "{since}");
            assert_eq!(since >= THROTTLE.over_from(at(0)), retry_after.is_none(), "{since}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        for (peer, key) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::/64"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("elsewhere", "elsewhere"),
        ] {
            assert_eq!(peer_key(peer), key);
        }
    }
}
