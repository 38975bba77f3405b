//! Sums of money: they can be larger than any one amount.

use std::fmt;
use std::iter::Sum;

use bulkhead_sdk::serde::{Serialize, Serializer};
use bulkhead_sdk::serde_json::{Value as Json, json};
use bulkhead_sdk::{Column, Schema, Value};

/// A sum of money in cents, never below zero. In JSON a string with two digits behind the point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount {
    cents: i64,
}

impl Amount {
    /// A sum in cents; none below zero.
    pub fn from_cents(cents: i64) -> Option<Self> {
        (cents >= 0).then_some(Self { cents })
    }
}

/// The sum of sums; none where it is more than there can be.
impl Sum<Amount> for Option<Amount> {
    fn sum<I: Iterator<Item = Amount>>(mut amounts: I) -> Self {
        let cents = amounts.try_fold(0_i64, |sum, amount| sum.checked_add(amount.cents))?;
        Some(Amount { cents })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Schema for Amount {
    fn schema() -> Json {
        json!({"type": "string", "pattern": r"^[0-9]+\.[0-9]{2}$"})
    }
}

/// Cents.
impl Column for Amount {
    fn from_value(value: Value) -> Result<Self, String> {
        let cents = i64::from_value(value)?;
        Self::from_cents(cents).ok_or_else(|| format!("is {cents} cents, which is below zero"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_written_with_two_digits_however_large_it_is() {
        for (cents, text) in [(0, "0.00"), (5, "0.05"), (1_038_296_400_000, "10382964000.00")] {
            assert_eq!(Amount::from_cents(cents).expect("an amount").to_string(), text);
        }
        assert_eq!(Amount::from_cents(-1), None);
    }

    #[test]
    fn the_schema_matches_the_written_form() {
        let schema = Amount::schema();
        assert_eq!((&schema["type"], &schema["pattern"]), (&json!("string"), &json!(r"^[0-9]+\.[0-9]{2}$")));
    }

    #[test]
    fn sums_are_exact_or_absent() {
        let sum = |cents: &[i64]| -> Option<Amount> {
            cents.iter().map(|cents| Amount::from_cents(*cents).expect("an amount")).sum()
        };
        assert_eq!(sum(&[]), Some(Amount::default()));
        assert_eq!(sum(&[1, 99]), Amount::from_cents(100));
        assert_eq!(sum(&[i64::MAX, 1]), None);
    }
}
