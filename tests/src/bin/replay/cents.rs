//! Money, in whole cents. It is never a float.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// An amount of US dollars, in cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cents(i64);

impl Cents {
    /// So many cents.
    pub(crate) const fn new(cents: i64) -> Cents {
        Cents(cents)
    }

    /// The price of so many pieces.
    pub(crate) fn times(self, quantity: i64) -> Cents {
        Cents(self.0 * quantity)
    }
}

impl FromStr for Cents {
    type Err = anyhow::Error;

    /// Digits, a point and two digits, after a minus where there is less than nothing: the shop writes no other form.
    fn from_str(text: &str) -> Result<Cents> {
        let (sign, amount) = text.strip_prefix('-').map_or((1, text), |amount| (-1, amount));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        match amount.split_once('.') {
            Some((whole, cents))
                if !whole.is_empty() && cents.len() == 2 && digits(whole) && digits(cents) =>
            {
                let number: i64 = format!("{whole}{cents}").parse().context("an amount is too large")?;
                Ok(Cents(sign * number))
            }
            _ => bail!("{text:?} is not an amount such as \"19.99\""),
        }
    }
}

impl TryFrom<String> for Cents {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Cents> {
        text.parse()
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(formatter, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl Add for Cents {
    type Output = Cents;

    fn add(self, other: Cents) -> Cents {
        Cents(self.0 + other.0)
    }
}

impl Sub for Cents {
    type Output = Cents;

    fn sub(self, other: Cents) -> Cents {
        Cents(self.0 - other.0)
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Cents>>(amounts: I) -> Cents {
        amounts.fold(Cents::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_and_written_to_the_cent() {
        for (text, cents) in
            [("0.00", 0), ("0.05", 5), ("19.99", 1999), ("103829.64", 10_382_964), ("-1.50", -150)]
        {
            let amount: Cents = text.parse().unwrap();
            assert_eq!(amount, Cents(cents));
            assert_eq!(amount.to_string(), text);
        }
    }

    #[test]
    fn inexact_amount_is_refused() {
        for text in
            ["", "1", "1.5", "1.234", ".50", "1.00 ", "1e2", "+1.00", "--1.00", "99999999999999999999.00"]
        {
            assert!(text.parse::<Cents>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn amounts_add_up() {
        let price: Cents = "0.33".parse().unwrap();
        assert_eq!(price.times(3).to_string(), "0.99");
        assert_eq!([price, price.times(2)].into_iter().sum::<Cents>() - price, price.times(2));
    }
}
