//! The number of an order that people use.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::{Timestamp, serde_json::json};

/// The year in which it was ordered and a number that counts that year's orders: `2026-000001`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderNumber(String);

bulkhead_sdk::text_value!(
    OrderNumber,
    json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{6,19}$", "description": "The year, and a number within it."})
);

/// The year of a time.
pub fn year(time: Timestamp) -> i64 {
    // Of RFC 3339 the first four digits.
    time.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or_default()
}

impl OrderNumber {
    /// The number of the order that is this year's so manieth.
    pub fn new(year: i64, count: i64) -> Self {
        Self(format!("{year:04}-{count:06}"))
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for OrderNumber {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('-') {
            Some((year, count))
                if year.len() == 4 && digits(year) && (6..=19).contains(&count.len()) && digits(count) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err("must be an order number such as 2026-000001"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_number_has_the_year_and_a_count_within_that_year() {
        for (count, text) in [(1, "2017-000001"), (999_999, "2017-999999"), (1_000_000, "2017-1000000")] {
            let time: Timestamp = "2017-01-01T11:53:26Z".parse().expect("a time");
            let number = OrderNumber::new(year(time), count);
            assert_eq!(number.to_string(), text);
            assert_eq!(text.parse(), Ok(number));
        }
    }

    #[test]
    fn a_year_has_four_digits() {
        for (time, text) in [("0017-03-01T00:00:00Z", "0017-000001"), ("9999-12-31T23:59:59Z", "9999-000001")]
        {
            let number = OrderNumber::new(year(time.parse().expect("a time")), 1);
            assert_eq!(text.parse(), Ok(number.clone()));
            assert_eq!(number.into_string(), text);
        }
    }

    #[test]
    fn text_that_is_not_an_order_number_is_refused() {
        for text in [
            "",
            "2017",
            "2017-",
            "2017-1",
            "17-000001",
            "2017-00000x",
            "2017-000001-1",
            " 2017-000001",
            "٢٠١٧-000001",
        ] {
            assert!(text.parse::<OrderNumber>().is_err(), "{text}");
        }
    }
}
