//! Points in time. The clock is the host's clock, so that a test can set it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A point in time with milliseconds, from the year 0000 to 9999. It is read from RFC 3339 with any offset, and written in UTC
/// (`2026-01-02T03:04:05.678Z`), which sorts as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_milliseconds: i64,
}

/// Why a text is not a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampError;

impl fmt::Display for TimestampError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "must be a time as in RFC 3339, with its offset from UTC: 2026-01-02T03:04:05Z or 2026-01-02T04:04:05.678+01:00",
        )
    }
}

impl std::error::Error for TimestampError {}

/// 0000-01-01T00:00:00.000Z.
const UNIX_MILLISECONDS_MIN: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
const UNIX_MILLISECONDS_MAX: i64 = 253_402_300_799_999;
const MINUTE_MILLISECONDS: i64 = 60_000;
const DAY_MILLISECONDS: i64 = 86_400_000;

impl Timestamp {
    /// A point in time by its distance from 1970-01-01T00:00:00Z, moved into the range that RFC 3339 can write.
    pub fn from_unix_milliseconds(unix_milliseconds: i64) -> Self {
        Self { unix_milliseconds: unix_milliseconds.clamp(UNIX_MILLISECONDS_MIN, UNIX_MILLISECONDS_MAX) }
    }

    /// The distance from 1970-01-01T00:00:00Z.
    pub fn unix_milliseconds(self) -> i64 {
        self.unix_milliseconds
    }

    /// This many milliseconds later, or earlier if negative.
    pub fn plus_milliseconds(self, milliseconds: i64) -> Self {
        Self::from_unix_milliseconds(self.unix_milliseconds.saturating_add(milliseconds))
    }
}

/// The time by the host's clock.
pub fn now() -> Timestamp {
    let (seconds, nanoseconds) = crate::host::wall_clock();
    let milliseconds = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    Timestamp::from_unix_milliseconds(milliseconds.saturating_add(i64::from(nanoseconds / 1_000_000)))
}

/// The civil date of a day counted from 1970-01-01. Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`], from the same source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.unix_milliseconds.div_euclid(DAY_MILLISECONDS));
        let of_day = self.unix_milliseconds.rem_euclid(DAY_MILLISECONDS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, millisecond) = (of_day / 1000 % 60, of_day % 1000);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Accepts every time that RFC 3339 can write (section 5.6): `T` and `Z` in either case, any offset from UTC, and any number of
    /// fractional digits, of which those after the third are dropped.
    ///
    /// A leap second, which only the last minute of a day in UTC can have, is read as the last millisecond of that day: it stays on its
    /// day, and before what follows. A time that is outside the years 0000 to 9999 in UTC is refused, because it could not be written.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text).ok_or(TimestampError)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', 't'])?;
    let (time, offset_minutes) = split_offset(time)?;
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    let (time, fraction) =
        time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    let mut time = time.split(':');
    let (hour, minute, second) =
        (digits(time.next()?, 2)?, digits(time.next()?, 2)?, digits(time.next()?, 2)?);
    let millisecond = match fraction {
        None => 0,
        Some(fraction) if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits(format!("{fraction:0<3}").get(..3)?, 3)?
        }
        Some(_) => return None,
    };
    let days = days_from_civil(year, month, day);
    let exists = date.next().is_none()
        && time.next().is_none()
        && civil_from_days(days) == (year, month, day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !exists {
        return None;
    }
    let minutes = hour * 60 + minute - offset_minutes;
    let minute_begins = days * DAY_MILLISECONDS + minutes * MINUTE_MILLISECONDS;
    let unix_milliseconds = if second < 60 {
        minute_begins + second * 1000 + millisecond
    } else if (minute_begins + MINUTE_MILLISECONDS).rem_euclid(DAY_MILLISECONDS) == 0 {
        minute_begins + MINUTE_MILLISECONDS - 1
    } else {
        return None;
    };
    let can_be_written = (UNIX_MILLISECONDS_MIN..=UNIX_MILLISECONDS_MAX).contains(&unix_milliseconds);
    can_be_written.then_some(Timestamp { unix_milliseconds })
}

/// Splits a time of day from its offset, in minutes. `-00:00` says that the offset is not known (section 4.3): the time is in UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let (time, offset) = time.split_at_checked(time.len().checked_sub("+00:00".len())?)?;
    let (sign, offset) = match offset.split_at_checked(1)? {
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some((time, sign * (hours * 60 + minutes)))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_and_read() {
        for (unix_milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_483_228_799_999, "2016-12-31T23:59:59.999Z"),
            (UNIX_MILLISECONDS_MIN, "0000-01-01T00:00:00.000Z"),
            (UNIX_MILLISECONDS_MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            let timestamp = Timestamp::from_unix_milliseconds(unix_milliseconds);
            assert_eq!(timestamp.to_string(), text);
            assert_eq!(text.parse(), Ok(timestamp));
        }
    }

    #[test]
    fn every_day_of_two_centuries_survives_the_round_trip() {
        for day in -36_525..36_525 {
            let timestamp = Timestamp::from_unix_milliseconds(day * DAY_MILLISECONDS + 1);
            assert_eq!(timestamp.to_string().parse(), Ok(timestamp));
        }
    }

    #[test]
    fn fractions_may_have_any_number_of_digits() {
        for (text, milliseconds) in [("05Z", 0), ("05.6Z", 600), ("05.6789Z", 678), ("05.000000001Z", 0)] {
            let timestamp: Timestamp = format!("2026-01-02T03:04:{text}").parse().expect(text);
            assert_eq!(timestamp.unix_milliseconds() % 1000, milliseconds, "{text}");
        }
    }

    #[test]
    fn every_offset_of_rfc_3339_is_accepted_and_answered_in_utc() {
        for (text, utc) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02t03:04:05.6789+00:00", "2026-01-02T03:04:05.678Z"),
            ("2026-01-02T00:30:00+01:00", "2026-01-01T23:30:00.000Z"),
            ("2025-12-31T20:15:00.5-05:30", "2026-01-01T01:45:00.500Z"),
            ("2024-02-28T23:59:59-23:59", "2024-02-29T23:58:59.000Z"),
            ("2024-03-01T00:00:00+23:59", "2024-02-29T00:01:00.000Z"),
            ("0000-01-01T01:00:00+01:00", "0000-01-01T00:00:00.000Z"),
            ("9999-12-31T22:59:59.999-01:00", "9999-12-31T23:59:59.999Z"),
            // The examples of RFC 3339, section 5.8, and the time of Amsterdam without its seconds.
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|time| time.to_string()), Ok(utc.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_last_moment_of_its_day_in_utc() {
        for (text, utc) in [
            ("1990-12-31T23:59:60Z", Some("1990-12-31T23:59:59.999Z")),
            ("1990-12-31T15:59:60.5-08:00", Some("1990-12-31T23:59:59.999Z")),
            ("2017-01-01T05:29:60+05:30", Some("2016-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:60Z", Some("9999-12-31T23:59:59.999Z")),
            ("1990-12-31T23:59:60+01:00", None),
            ("1990-12-31T22:59:60Z", None),
            ("1990-12-31T23:58:60Z", None),
            ("1990-12-31T23:59:61Z", None),
        ] {
            let time = text.parse::<Timestamp>().ok().map(|time| time.to_string());
            assert_eq!(time.as_deref(), utc, "{text}");
        }
    }

    #[test]
    fn a_time_is_the_same_at_every_offset() {
        for minutes in -1439..1440_i64 {
            let (sign, distance) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
            let utc = Timestamp::from_unix_milliseconds(1_700_000_000_123 + minutes * 7_654_321);
            let there = utc.plus_milliseconds(minutes * MINUTE_MILLISECONDS).to_string();
            let there = there.trim_end_matches('Z');
            let text = format!("{there}{sign}{:02}:{:02}", distance / 60, distance % 60);
            assert_eq!(text.parse(), Ok(utc), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        for text in [
            "",
            "2026-01-02",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00+0000",
            "2026-01-01T00:00:00+00",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00\u{2212}01:00",
            "2026-01-01T00:00:00Z+00:00",
            "2026-01-01T00:00:00+00:00Z",
            "2026-01-01T00:00:00 +00:00",
            "2026-01-01T00:00:00é00:00",
            "+00:00",
            "T+00:00",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.é1Z",
            "2026-01-01-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }
}
