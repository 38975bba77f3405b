//! The place of an event in an event log.

use std::fmt;

use serde::{Serialize, Serializer};

/// The place of an event in the event log of its producer, or of a timer among the timers of its service. The first one is 1, and a later
/// one has a higher number. A number is never used twice.
///
/// A sequence means nothing without its event log. [`Position`](crate::Position) names both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(i64);

impl Sequence {
    /// Before the first event: a position in an event log from which nothing was consumed yet.
    pub const BEFORE_FIRST: Self = Self(0);
    /// The first event.
    pub const FIRST: Self = Self(1);
    /// Behind every event.
    pub const MAX: Self = Self(i64::MAX);

    /// The sequence with this number, from a row, from a position or from an operator.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number, for a row or a document.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sequence that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many places there are from `earlier`, which does not count, up to this one. 0 if `earlier` is not earlier. Events that were trimmed
    /// count.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn next_and_since_stay_within_the_numbers() {
        assert_eq!(Sequence::BEFORE_FIRST.next(), Sequence::FIRST);
        assert_eq!(Sequence::MAX.next(), Sequence::MAX);
        for (later, earlier, expected) in [(7, 3, 4), (3, 3, 0), (3, 7, 0)] {
            assert_eq!(Sequence::new(later).since(Sequence::new(earlier)), expected);
        }
    }
}
