//! Names and stock-keeping units: text of one line, as the shop has it everywhere.

use std::fmt;
use std::str::FromStr;

use bulkhead_contracts::Line;
use bulkhead_sdk::Schema;
use bulkhead_sdk::serde_json::json;
use unicode_normalization::UnicodeNormalization as _;

/// The longest stock-keeping unit, in characters.
const SKU_MAX: usize = 100;

/// What a product or a category is called.
pub type Name = Line<200>;

/// A stock-keeping unit: a line of at most 100 characters, and neither `.` nor `..`, which many clients take out of an address. Its
/// characters are composed (NFC), so that no two products have skus that look the same but for how their accents were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku(Line<SKU_MAX>);

bulkhead_sdk::text_value!(Sku, {
    let mut schema = <Line<SKU_MAX> as Schema>::schema();
    if let Some(members) = schema.as_object_mut() {
        members.insert("not".to_owned(), json!({"enum": [".", ".."]}));
    }
    schema
});

impl Sku {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Sku {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "." | "..") {
            return Err("must not be . or ..: they mean something else in an address".to_owned());
        }
        text.nfc().collect::<String>().parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_a_line_that_can_stand_in_an_address() {
        for text in ["a", "SKU-1/ä b", "...", &"ä".repeat(SKU_MAX)] {
            assert_eq!(text.parse::<Sku>().expect(text).as_str(), text);
        }
        for text in ["", " a", "a\nb", ".", "..", &"a".repeat(SKU_MAX + 1)] {
            assert!(text.parse::<Sku>().is_err(), "{text:?}");
        }
        assert!(".".parse::<Name>().is_ok());
    }

    #[test]
    fn a_sku_is_the_same_however_its_accents_are_typed() {
        for (text, sku) in [
            ("cafe\u{301}", "caf\u{e9}"),
            ("caf\u{e9}", "caf\u{e9}"),
            (&*"e\u{301}".repeat(100), &*"\u{e9}".repeat(100)),
        ] {
            assert_eq!(text.parse::<Sku>().expect(text).as_str(), sku);
        }
    }
}
