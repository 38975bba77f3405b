//! Days, by the calendar of UTC.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::Timestamp;
use bulkhead_sdk::serde::{Serialize, Serializer};
use bulkhead_sdk::serde_json::json;

/// The length of `2026-01-02`.
const LENGTH: usize = 10;
const DAY_MILLISECONDS: i64 = 86_400_000;

/// A day: a date as in RFC 3339 (`2026-01-02`), which sorts as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// Midnight, when it begins.
    begin: Timestamp,
}

bulkhead_sdk::text_value!(Day, json!({"type": "string", "format": "date"}));

impl Day {
    /// The first day that can be written.
    pub fn first() -> Self {
        Timestamp::from_unix_milliseconds(i64::MIN).into()
    }

    /// The last day that can be written.
    pub fn last() -> Self {
        Timestamp::from_unix_milliseconds(i64::MAX).into()
    }
}

/// The day that has this point in time.
impl From<Timestamp> for Day {
    fn from(time: Timestamp) -> Self {
        let of_day = time.unix_milliseconds().rem_euclid(DAY_MILLISECONDS);
        Self { begin: time.plus_milliseconds(-of_day) }
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begin = if text.len() == LENGTH { format!("{text}T00:00:00Z").parse().ok() } else { None };
        begin.map(|begin| Self { begin }).ok_or("must be a date: 2026-01-02")
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = self.begin.to_string();
        formatter.write_str(begin.get(..LENGTH).unwrap_or_default())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_its_utc_day() {
        for (time, day) in [
            ("2026-01-02T00:00:00.000Z", "2026-01-02"),
            ("2026-01-02T23:59:59.999Z", "2026-01-02"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31"),
            ("2024-02-29T12:00:00Z", "2024-02-29"),
        ] {
            let time: Timestamp = time.parse().expect(time);
            assert_eq!(Day::from(time).to_string(), day);
            assert_eq!(day.parse(), Ok(Day::from(time)));
        }
        assert_eq!(
            (Day::first().to_string(), Day::last().to_string()),
            ("0000-01-01".into(), "9999-12-31".into())
        );
    }

    #[test]
    fn text_that_is_not_a_date_is_refused() {
        for text in ["", "2026-1-2", "2026-02-29", "2026-01-02T", "20260102", "2026-01-0é", "yesterday!"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
