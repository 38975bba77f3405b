//! Slugs, and the tree of categories.

use std::fmt;
use std::str::FromStr;

use bulkhead_contracts::CategoryId;
use bulkhead_sdk::serde_json::json;

/// The longest slug, in characters.
pub const SLUG_MAX: usize = 200;

/// A name for addresses: words of lower-case letters and digits, joined by single hyphens, 200 characters at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

bulkhead_sdk::text_value!(
    Slug,
    json!({"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "minLength": 1, "maxLength": SLUG_MAX})
);

impl Slug {
    /// The slug that a name gives: letters with accents of western languages lose them, everything else becomes a hyphen. None
    /// where nothing is left.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut slug = String::with_capacity(name.len());
        for character in name.chars() {
            let folded = fold(character);
            if folded.is_empty() {
                if !slug.is_empty() && !slug.ends_with('-') {
                    slug.push('-');
                }
            } else {
                slug.push_str(folded);
            }
        }
        slug.truncate(SLUG_MAX);
        let slug = slug.trim_end_matches('-');
        (!slug.is_empty()).then(|| Self(slug.to_owned()))
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Slug {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if text.len() <= SLUG_MAX && text.split('-').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be words of a-z and 0-9 joined by hyphens, 200 characters at most")
        }
    }
}

const ALPHANUMERIC: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// What stands for a character in a slug: nothing for what is no letter or digit.
fn fold(character: char) -> &'static str {
    match character.to_lowercase().next().unwrap_or(character) {
        letter @ ('a'..='z' | '0'..='9') => {
            let position = ALPHANUMERIC.find(letter).unwrap_or_default();
            ALPHANUMERIC.get(position..=position).unwrap_or_default()
        }
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ř' => "r",
        'ß' => "ss",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ť' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

/// A category would be its own ancestor: it stands on the way from the root to its new parent (the parent included).
pub fn makes_cycle(category: CategoryId, way_to_new_parent: impl IntoIterator<Item = CategoryId>) -> bool {
    way_to_new_parent.into_iter().any(|ancestor| ancestor == category)
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;

    use super::*;

    #[test]
    fn a_name_gives_its_slug() {
        for (name, slug) in [
            ("Potatoes", "potatoes"),
            ("BAKED BREAD/BUNS/ROLLS", "baked-bread-buns-rolls"),
            ("  Crème -- Brûlée! ", "creme-brulee"),
            ("Straße 7", "strasse-7"),
            ("VEGETABLES - SHELF STABLE", "vegetables-shelf-stable"),
        ] {
            assert_eq!(Slug::from_name(name).expect(name).to_string(), slug);
        }
    }

    #[test]
    fn a_name_without_letters_gives_none() {
        for name in ["", "---", "北京", "!?"] {
            assert_eq!(Slug::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn every_slug_of_a_name_is_a_slug() {
        for name in
            ["a".repeat(500), "ab ".repeat(100), format!("{} b", "a".repeat(199)), "ÅÄÖ æøå".to_owned()]
        {
            let slug = Slug::from_name(&name).expect("a slug");
            assert_eq!(slug.to_string().parse(), Ok(slug));
        }
    }

    #[test]
    fn what_is_no_slug_is_refused() {
        for text in ["", "-", "a-", "-a", "a--b", "A", "a b", "é", "a_b", &"a".repeat(201)] {
            assert!(text.parse::<Slug>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_category_cannot_come_below_itself() {
        let [root, middle, leaf] = [1, 2, 3].map(|number| CategoryId::from(Uuid::from_u128(number)));
        assert!(makes_cycle(root, [root, middle, leaf]));
        assert!(makes_cycle(leaf, [root, middle, leaf]));
        assert!(!makes_cycle(leaf, [root, middle]));
        assert!(!makes_cycle(leaf, []));
    }
}
