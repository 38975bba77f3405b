//! Preferences.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::serde_json::json;

/// A user may have so many preferences.
pub const PREFERENCES_MAX: i64 = 200;
/// The longest value, in characters.
pub const VALUE_MAX: usize = 2000;
/// The longest key, in characters.
const KEY_MAX: usize = 100;

/// What a preference is called: 1 to 100 letters, digits, dots, hyphens and underscores, and neither `.` nor `..`, which many
/// clients take out of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceKey(String);

bulkhead_sdk::text_value!(
    PreferenceKey,
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": KEY_MAX,
        "pattern": "^[A-Za-z0-9._-]+$",
        "not": {"enum": [".", ".."]},
    })
);

impl PreferenceKey {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for PreferenceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for PreferenceKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if plain && (1..=KEY_MAX).contains(&text.len()) && !matches!(text, "." | "..") {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 100 letters, digits, dots, hyphens and underscores")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_be_a_url_path_segment() {
        for text in ["a", "newsletter", "theme.dark-mode_2", "...", "A", &"k".repeat(KEY_MAX)] {
            let key: PreferenceKey = text.parse().expect(text);
            assert_eq!(key.to_string(), text);
            assert_eq!(key.into_string(), text);
        }
        for text in ["", ".", "..", "a b", "a/b", "a%20", "ä", "a\n", &"k".repeat(KEY_MAX + 1)] {
            assert!(text.parse::<PreferenceKey>().is_err(), "{text}");
        }
    }
}
