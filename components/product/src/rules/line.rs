//! Text of one line: names and stock-keeping units. They stand in lists, addresses and logs, where a line break or a space that
//! nobody sees does harm.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::serde_json::{Value, json};

/// The longest name, in characters.
const NAME_MAX: usize = 200;
/// The longest stock-keeping unit, in characters.
const SKU_MAX: usize = 100;

/// What a product or a category is called: 1 to 200 characters on one line, without white space at the ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// A stock-keeping unit: 1 to 100 characters on one line, without white space at the ends, and neither `.` nor `..`, which many
/// clients take out of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku(String);

bulkhead_sdk::text_value!(Name, schema(NAME_MAX));
bulkhead_sdk::text_value!(Sku, {
    let mut schema = schema(SKU_MAX);
    if let Some(members) = schema.as_object_mut() {
        members.insert("not".to_owned(), json!({"enum": [".", ".."]}));
    }
    schema
});

macro_rules! lines {
    ($($name:ident),+) => { $(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )+ };
}

lines!(Name, Sku);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check(text, NAME_MAX).map(|()| Self(text.to_owned()))
    }
}

impl FromStr for Sku {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check(text, SKU_MAX)?;
        if matches!(text, "." | "..") {
            return Err("must not be . or ..: they mean something else in an address".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The pattern leaves control characters to the service: how they are written differs between the dialects of patterns.
fn schema(length_max: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": length_max, "pattern": r"^\S(.*\S)?$"})
}

fn check(text: &str, length_max: usize) -> Result<(), String> {
    if text.is_empty() || text.chars().count() > length_max {
        return Err(format!("must have 1 to {length_max} characters"));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err("must not begin or end with white space".to_owned());
    }
    // The line and the paragraph separator of Unicode break lines, but are no control characters.
    if text.contains(|character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
    {
        return Err("must not contain line breaks or other control characters".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_one_line_is_taken_as_it_is() {
        for text in ["a", "a  b", "SKU-1/ä b", "...", "北京", &"ä".repeat(SKU_MAX)] {
            assert_eq!(text.parse::<Sku>().expect(text).as_str(), text);
            assert_eq!(text.parse::<Name>().expect(text).as_str(), text);
        }
        assert!("ä".repeat(NAME_MAX).parse::<Name>().is_ok());
        assert!(".".parse::<Name>().is_ok());
    }

    #[test]
    fn what_is_not_one_line_is_refused_and_told_why() {
        for (text, why) in [
            ("", "characters"),
            (&*"ä".repeat(NAME_MAX + 1), "characters"),
            (" ", "white space"),
            (" a", "white space"),
            ("a\u{a0}", "white space"),
            ("a\n", "white space"),
            ("a\nb", "line breaks"),
            ("a\tb", "control"),
            ("a\0b", "control"),
            ("a\u{85}b", "control"),
            ("a\u{2028}b", "line breaks"),
        ] {
            for error in [text.parse::<Sku>().map(drop), text.parse::<Name>().map(drop)] {
                assert!(error.expect_err(text).contains(why), "{text:?}");
            }
        }
        for text in [".", "..", &"a".repeat(SKU_MAX + 1)] {
            assert!(text.parse::<Sku>().is_err(), "{text}");
        }
    }
}
