//! Money: whole cents, never a float.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount from 0.00 to 9999999.99, exact. In JSON a string with two digits behind the point (`"19.99"`), in a database an
/// INTEGER of cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    cents: i64,
}

/// 9999999.99.
const CENTS_MAX: i64 = 999_999_999;
/// Digits before the point: those of `9999999`. Leading zeros count, as in the schema's pattern.
const WHOLE_DIGITS_MAX: usize = 7;

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// The text is not digits with at most two behind a point.
    Malformed,
    /// It is above 9999999.99, below zero, or written with more than seven digits before the point.
    OutOfRange,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => {
                "must be a decimal number with at most two digits behind the point, such as \"19.99\""
            }
            Self::OutOfRange => "must be from 0.00 to 9999999.99, with at most 7 digits before the point",
        })
    }
}

impl std::error::Error for MoneyError {}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self { cents: 0 };
    /// The most that one amount can be: 9999999.99.
    pub const MAX: Self = Self { cents: CENTS_MAX };

    /// An amount in cents.
    pub fn from_cents(cents: i64) -> Result<Self, MoneyError> {
        if (0..=CENTS_MAX).contains(&cents) { Ok(Self { cents }) } else { Err(MoneyError::OutOfRange) }
    }

    /// The amount in cents.
    pub fn cents(self) -> i64 {
        self.cents
    }

    /// An amount from a decimal; malformed where it has parts of a cent.
    pub fn from_decimal(decimal: Decimal) -> Result<Self, MoneyError> {
        if decimal.normalize().scale() > 2 {
            return Err(MoneyError::Malformed);
        }
        let cents = decimal.checked_mul(Decimal::ONE_HUNDRED).ok_or(MoneyError::OutOfRange)?;
        Self::from_cents(i64::try_from(cents).map_err(|_| MoneyError::OutOfRange)?)
    }

    /// The amount as a decimal with two digits behind the point.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.cents, 2)
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        Self::from_cents(self.cents.saturating_add(other.cents))
    }

    /// So many times the amount.
    pub fn checked_mul(self, count: i64) -> Result<Self, MoneyError> {
        Self::from_cents(self.cents.saturating_mul(count))
    }
}

/// A sum of amounts, or that it is out of range.
impl Sum<Money> for Result<Money, MoneyError> {
    fn sum<I: Iterator<Item = Money>>(mut amounts: I) -> Self {
        amounts.try_fold(Money::ZERO, Money::checked_add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Takes one to seven digits, and behind a point one or two more: `5`, `5.5`, `5.50`. No sign, no exponent, no white space.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, fraction) =
            text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || fraction.is_some_and(|fraction| !digits(fraction) || fraction.len() > 2) {
            return Err(MoneyError::Malformed);
        }
        if whole.len() > WHOLE_DIGITS_MAX {
            return Err(MoneyError::OutOfRange);
        }
        format!("{whole}{:0<2}", fraction.unwrap_or(""))
            .parse()
            .map_err(|_| MoneyError::Malformed)
            .and_then(Self::from_cents)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Money;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an amount as a string, such as \"19.99\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Money, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, cents) in [
            ("0", 0),
            ("0.00", 0),
            ("5", 500),
            ("5.5", 550),
            ("19.99", 1999),
            ("007.01", 701),
            ("0000001", 100),
            ("9999999.99", CENTS_MAX),
        ] {
            assert_eq!(text.parse::<Money>().map(Money::cents), Ok(cents), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_an_amount_is_refused() {
        for text in
            ["", ".", "5.", ".5", "-1", "+1", "1e2", "1.999", "1,00", " 1", "1_000", "٣", "NaN", "0x1"]
        {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::Malformed), "{text}");
        }
        for text in ["10000000", "10000000.00", "99999999999999999999.99", "00000001", "00000000.00"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn an_amount_is_written_with_two_digits() {
        for (cents, text) in [(0, "0.00"), (5, "0.05"), (1999, "19.99"), (CENTS_MAX, "9999999.99")] {
            let money = Money::from_cents(cents).expect("an amount");
            assert_eq!(money.to_string(), text);
            assert_eq!(serde_json::to_string(&money).expect("JSON"), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Money>(&format!("{text:?}")).expect("an amount"), money);
            assert_eq!(Money::from_decimal(money.to_decimal()), Ok(money));
        }
    }

    #[test]
    fn a_json_number_is_refused_with_the_expected_form() {
        for json in ["19.99", "19", "null", "[\"1\"]"] {
            let error = serde_json::from_str::<Money>(json).expect_err(json).to_string();
            assert!(error.contains("expected an amount as a string, such as \"19.99\""), "{json}: {error}");
        }
    }

    #[test]
    fn the_error_message_explains_what_an_amount_is() {
        assert!(
            MoneyError::Malformed.to_string().starts_with("must be a decimal number with at most two digits")
        );
        assert!(MoneyError::OutOfRange.to_string().starts_with("must be from 0.00 to 9999999.99"));
    }

    #[test]
    fn sums_and_products_stay_in_range() {
        let money = |cents| Money::from_cents(cents).expect("an amount");
        assert_eq!(money(1999).checked_mul(3), Ok(money(5997)));
        assert_eq!(Money::MAX.checked_add(money(1)), Err(MoneyError::OutOfRange));
        assert_eq!(Money::MAX.checked_mul(i64::MAX), Err(MoneyError::OutOfRange));
        assert_eq!([money(1), money(2)].into_iter().sum::<Result<Money, _>>(), Ok(money(3)));
        assert_eq!(Money::from_decimal(Decimal::new(1, 3)), Err(MoneyError::Malformed));
        assert_eq!(Money::from_decimal(Decimal::new(-1, 0)), Err(MoneyError::OutOfRange));
        assert_eq!(Money::from_decimal(Decimal::MAX), Err(MoneyError::OutOfRange));
    }
}
