//! Slugs, and the shape of the tree of categories.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::serde_json::json;

use super::words::fold;

/// The longest slug, in characters.
pub const SLUG_MAX: usize = 200;
/// Where a slug that was made from a name is taken, the numbers from 2 up to this one are tried behind it.
pub const SLUG_NUMBER_MAX: i64 = 100;
/// What is left of [`SLUG_MAX`] before a hyphen and a number.
const SLUG_STEM_MAX: usize = SLUG_MAX - "-100".len();

/// How many levels the tree has at most: a category is answered with its whole way to the root.
pub const DEPTH_MAX: i64 = 32;
/// What may belong to one category: a category is answered with all its children.
pub const CHILDREN_MAX: i64 = 1000;

/// A name for addresses: words of lower-case letters and digits, joined by single hyphens, 200 characters at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

bulkhead_sdk::text_value!(
    Slug,
    json!({"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "minLength": 1, "maxLength": SLUG_MAX})
);

impl Slug {
    /// The slug that a name gives: letters of western languages lose their accents, however they were typed, and everything else
    /// becomes a hyphen. None where nothing is left.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut slug = String::with_capacity(name.len());
        for character in fold(name).chars() {
            if character.is_ascii_alphanumeric() {
                slug.push(character);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(SLUG_MAX);
        let slug = slug.trim_end_matches('-');
        (!slug.is_empty()).then(|| Self(slug.to_owned()))
    }

    /// What comes before the hyphen and the number where this slug is taken: short enough for both.
    pub fn stem(&self) -> Self {
        let mut stem = self.0.clone();
        stem.truncate(SLUG_STEM_MAX);
        Self(stem.trim_end_matches('-').to_owned())
    }

    /// This slug with a number behind it.
    pub fn numbered(&self, number: i64) -> Self {
        Self(format!("{self}-{number}"))
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

/// Where a category is to stand: what its new parent is like without it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The parent's level: 1 at the top.
    pub parent_depth: i64,
    /// What else belongs to the parent.
    pub siblings: i64,
    /// The category itself is the parent, or above it.
    pub is_below_itself: bool,
}

/// Why a category can't stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// It would be its own ancestor.
    Cycle,
    /// It, or what is below it, would be deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Its parent has [`CHILDREN_MAX`] already.
    TooManyChildren,
}

/// Whether a category can stand at a place. The height is the number of levels that it brings along: 1 without children.
pub fn check_place(place: Place, height: i64) -> Result<(), Misplaced> {
    if place.is_below_itself {
        Err(Misplaced::Cycle)
    } else if place.parent_depth.saturating_add(height) > DEPTH_MAX {
        Err(Misplaced::TooDeep)
    } else if place.siblings >= CHILDREN_MAX {
        Err(Misplaced::TooManyChildren)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_derived_from_the_name() {
        for (name, slug) in [
            ("Potatoes", "potatoes"),
            ("BAKED BREAD/BUNS/ROLLS", "baked-bread-buns-rolls"),
            ("  Crème -- Brûlée! ", "creme-brulee"),
            ("Cre\u{300}me -- Bru\u{302}le\u{301}e", "creme-brulee"),
            ("Straße 7", "strasse-7"),
            ("Œufs & Smørrebrød, ４ pcs", "oeufs-smorrebrod-4-pcs"),
            ("VEGETABLES - SHELF STABLE", "vegetables-shelf-stable"),
        ] {
            assert_eq!(Slug::from_name(name).expect(name).to_string(), slug);
        }
    }

    #[test]
    fn a_name_without_latin_letters_yields_no_slug() {
        for name in ["", "---", "北京", "!?"] {
            assert_eq!(Slug::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn every_derived_slug_is_valid() {
        for name in
            ["a".repeat(500), "ab ".repeat(100), format!("{} b", "a".repeat(199)), "ÅÄÖ æøå".to_owned()]
        {
            let slug = Slug::from_name(&name).expect("a slug");
            assert_eq!(slug.to_string().parse(), Ok(slug.clone()));
            assert_eq!(slug.to_string(), slug.into_string());
        }
    }

    #[test]
    fn the_stem_of_a_slug_leaves_just_enough_room_for_a_number() {
        let kept = |name: &str| Slug::from_name(name).expect("a slug").stem().into_string().len();
        assert_eq!([196, 197, 500].map(|length| kept(&"a".repeat(length))), [196, 196, 196]);
    }

    #[test]
    fn text_that_is_not_a_slug_is_refused() {
        for text in ["", "-", "a-", "-a", "a--b", "A", "a b", "é", "a_b", &"a".repeat(201)] {
            assert!(text.parse::<Slug>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_numbered_slug_is_valid_at_every_length() {
        let cut = format!("{}-b", "a".repeat(SLUG_STEM_MAX - 1));
        for text in ["food", "food-2", &cut, &"a".repeat(SLUG_MAX)] {
            let slug: Slug = text.parse().expect(text);
            for number in [2, SLUG_NUMBER_MAX] {
                let numbered = slug.stem().numbered(number);
                assert_eq!(numbered.to_string().parse(), Ok(numbered), "{text}");
            }
        }
        let food: Slug = "food".parse().expect("a slug");
        assert_eq!(food.stem().numbered(2).to_string(), "food-2");
    }

    #[test]
    fn a_category_is_not_placed_below_itself_too_deep_or_below_a_full_parent() {
        let place = Place { parent_depth: 1, siblings: 0, is_below_itself: false };
        let table = [
            (place, 1, Ok(())),
            (Place { is_below_itself: true, ..place }, 1, Err(Misplaced::Cycle)),
            (Place { parent_depth: DEPTH_MAX - 1, ..place }, 1, Ok(())),
            (Place { parent_depth: DEPTH_MAX, ..place }, 1, Err(Misplaced::TooDeep)),
            (Place { parent_depth: DEPTH_MAX - 1, ..place }, 2, Err(Misplaced::TooDeep)),
            (place, i64::MAX, Err(Misplaced::TooDeep)),
            (Place { siblings: CHILDREN_MAX - 1, ..place }, 1, Ok(())),
            (Place { siblings: CHILDREN_MAX, ..place }, 1, Err(Misplaced::TooManyChildren)),
        ];
        for (place, height, expected) in table {
            assert_eq!(check_place(place, height), expected, "{place:?} {height}");
        }
    }
}
