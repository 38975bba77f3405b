//! Text of one line: names, and the parts of an address. They stand in lists and on labels, where a line break or a space that
//! nobody sees does harm. And how long each part of an address may be, so that what one service takes fits into another.

use std::fmt;
use std::str::FromStr;

/// The longest first or last name, in characters.
pub const PERSON_NAME_MAX: usize = 100;
/// Street and number, or what stands for them.
pub type AddressLine = Line<200>;
/// A city.
pub type City = Line<100>;
/// A state or province.
pub type State = Line<100>;
/// A postal code.
pub type PostalCode = Line<20>;

/// 1 to `LENGTH_MAX` characters on one line, without white space at the ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Line<const LENGTH_MAX: usize>(String);

impl<const LENGTH_MAX: usize> Line<LENGTH_MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Hidden: it is personal, and not for the log.
impl<const LENGTH_MAX: usize> fmt::Debug for Line<LENGTH_MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Line(..)")
    }
}

impl<const LENGTH_MAX: usize> FromStr for Line<LENGTH_MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().count() > LENGTH_MAX {
            return Err(format!("must have 1 to {LENGTH_MAX} characters"));
        }
        if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
            return Err("must not begin or end with white space".to_owned());
        }
        // The line and the paragraph separator of Unicode break lines, but are no control characters.
        if text.contains(|letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')) {
            return Err("must not contain line breaks or other control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_line_of_text_is_accepted_unchanged() {
        for text in ["a", "a  b", "O'Hara-Ōe", "12/3, Straße ä", "北京", &"ä".repeat(20)] {
            let line: Line<20> = text.parse().expect(text);
            assert_eq!(line.as_str(), text);
            assert_eq!(line.into_string(), text);
        }
    }

    #[test]
    fn debug_output_hides_a_line() {
        let line: Line<20> = "Ada".parse().expect("a line");
        assert_eq!(format!("{line:?}"), "Line(..)");
    }

    #[test]
    fn text_that_is_not_one_line_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "characters"),
            (&*"ä".repeat(21), "characters"),
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
            assert!(text.parse::<Line<20>>().expect_err(text).contains(why), "{text:?}");
        }
    }
}
