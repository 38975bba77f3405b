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
/// characters are composed (NFC), so that no two products have skus that look the same but for how their accents were typed. One that was
/// stored before skus were composed is as it was typed then: see [`Sku::forms`].
#[derive(Debug, Clone)]
pub struct Sku {
    composed: Line<SKU_MAX>,
    typed: String,
}

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
        self.composed.as_str()
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.composed.into_string()
    }

    /// The forms in which a product may have it: as it is typed, composed, and decomposed, each once. All but the composed one are from before.
    pub fn forms(&self) -> Vec<String> {
        let mut forms = vec![self.typed.clone()];
        for form in [self.as_str().to_owned(), self.as_str().nfd().collect()] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
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
        let composed = text.nfc().collect::<String>().parse()?;
        Ok(Self { composed, typed: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_a_line_that_can_be_a_url_path_segment() {
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
            let parsed = text.parse::<Sku>().expect(text);
            assert_eq!((parsed.as_str(), parsed.to_string()), (sku, sku.to_owned()));
            assert_eq!(parsed.into_string(), sku);
        }
    }

    #[test]
    fn a_sku_lookup_tries_the_typed_form_first_and_each_form_once() {
        for (text, forms) in [
            ("SKU-1", &["SKU-1"][..]),
            ("caf\u{e9}", &["caf\u{e9}", "cafe\u{301}"]),
            ("cafe\u{301}", &["cafe\u{301}", "caf\u{e9}"]),
            ("e\u{301}\u{e9}", &["e\u{301}\u{e9}", "\u{e9}\u{e9}", "e\u{301}e\u{301}"]),
        ] {
            assert_eq!(text.parse::<Sku>().expect(text).forms(), forms, "{text}");
        }
    }
}
