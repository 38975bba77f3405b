//! How long a customer has to pay.

use std::time::Duration;

/// Thirty days: stock is set aside no longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The time in milliseconds, from a number with its unit such as `15m`, `5s`, `500ms` or `1h 30m`: 1 ms to 30 days, in whole
/// milliseconds. The error is a fragment that can follow the setting's name.
pub fn timeout_milliseconds(text: &str) -> Result<i64, &'static str> {
    const WRONG: &str =
        "must be a time from 1ms to 30days with its unit, in whole milliseconds, such as 15m, 5s or 500ms";
    let timeout = humantime::parse_duration(text).map_err(|_| WRONG)?;
    if timeout.is_zero() || timeout > TIMEOUT_MAX || timeout.subsec_nanos() % 1_000_000 != 0 {
        return Err(WRONG);
    }
    i64::try_from(timeout.as_millis()).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_written_with_its_unit() {
        for (text, milliseconds) in [
            ("15m", 900_000),
            ("5s", 5_000),
            ("500ms", 500),
            ("1ms", 1),
            ("1.5s", 1_500),
            ("1h 30m", 5_400_000),
            ("30days", 2_592_000_000),
        ] {
            assert_eq!(timeout_milliseconds(text), Ok(milliseconds), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_timeout_is_refused() {
        for text in [
            "",
            "15",
            "m",
            "0s",
            "-5s",
            "5 fortnights",
            "31days",
            "100us",
            "1ms 1us",
            "99999999999999999999s",
        ] {
            assert!(timeout_milliseconds(text).is_err(), "{text}");
        }
    }
}
