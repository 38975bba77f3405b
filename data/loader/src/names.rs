//! Readable names from the capitals and abbreviations of the source. Pure functions; the same input gives the same name for ever.

/// Words that stay small inside a name.
const SMALL_WORDS: [&str; 9] = ["and", "for", "in", "not", "of", "on", "or", "the", "with"];

/// Words that stay in capitals: a till's abbreviations that a reader knows.
const CAPITALS: [&str; 8] = ["BBQ", "CD", "DVD", "GM", "RTS", "TV", "UHT", "USA"];

/// `MEXICAN BEANS REFRIED` becomes `Mexican Beans Refried`.
///
/// The source's fields end after 30 letters, often inside a bracket: `MINTS CANDY & BREATH (NOT LIF` is shown as cut off. What is
/// in such a bracket stays, because it tells one category from the next.
pub(crate) fn title(source: &str) -> String {
    let mut title = String::with_capacity(source.len());
    for (position, word) in source.split_whitespace().enumerate() {
        if position > 0 {
            title.push(' ');
        }
        let small = word.to_lowercase();
        if position > 0 && SMALL_WORDS.contains(&small.as_str()) {
            title.push_str(&small);
        } else {
            push_capitalised(&mut title, word);
        }
    }
    if is_cut_off(&title) {
        title.push_str("…)");
    }
    title
}

/// `.5 GAL` becomes `0.5 gal`; empty stays empty.
pub(crate) fn size(source: &str) -> String {
    let size = source.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    if size.starts_with('.') { format!("0{size}") } else { size }
}

/// The name of a product: what it is, whose it is and how much of it, as far as they are known.
pub(crate) fn product(what: &str, brand: &str, package_size: &str) -> String {
    let parts = [title(what), title(brand), size(package_size)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The words of a category's path, joined by `-`: `grocery-hispanic-mexican-beans-refried`.
pub(crate) fn slug(path: &[&str]) -> String {
    let mut slug = String::new();
    for word in path.iter().flat_map(|level| level.split(|letter: char| !letter.is_ascii_alphanumeric())) {
        if word.is_empty() {
            continue;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
    }
    // A path of signs alone still needs an address.
    if slug.is_empty() { "category".to_owned() } else { slug }
}

/// Puts a capital at the beginning of each run of letters in a word such as `BREAD/BUNS`, and small letters after it.
fn push_capitalised(title: &mut String, word: &str) {
    for part in word.split_inclusive(|letter: char| !letter.is_alphanumeric()) {
        let bare = part.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        if CAPITALS.contains(&bare) {
            title.push_str(part);
            continue;
        }
        let mut letters = part.chars();
        title.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        title.extend(letters.flat_map(char::to_lowercase));
    }
}

/// Whether the last bracket was opened and never closed.
fn is_cut_off(source: &str) -> bool {
    source.rfind('(').is_some_and(|open| !source.get(open..).is_some_and(|rest| rest.contains(')')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_readable() {
        let table = [
            ("MEXICAN BEANS REFRIED", "Mexican Beans Refried"),
            ("BAKED BREAD/BUNS/ROLLS", "Baked Bread/Buns/Rolls"),
            ("MARGARINE: TUBS AND BOWLS", "Margarine: Tubs and Bowls"),
            ("DRUG GM", "Drug GM"),
            ("MEAT-PCKGD", "Meat-Pckgd"),
            ("SOFT DRINKS 20PK&24PK CAN CARB", "Soft Drinks 20pk&24pk Can Carb"),
            ("MINTS CANDY & BREATH (NOT LIF", "Mints Candy & Breath (Not Lif…)"),
            ("ROMA TOMATOES (BULK/PKG)", "Roma Tomatoes (Bulk/Pkg)"),
            ("AND ONE", "And One"),
            ("", ""),
        ];
        for (source, expected) in table {
            assert_eq!(title(source), expected, "of {source:?}");
        }
    }

    #[test]
    fn a_size_is_in_small_letters_and_begins_with_a_digit() {
        assert_eq!(size("16 OZ"), "16 oz");
        assert_eq!(size(".5  GAL"), "0.5 gal");
        assert_eq!(size(""), "");
    }

    #[test]
    fn a_product_is_named_after_type_brand_and_size_and_leaves_out_what_is_not_known() {
        assert_eq!(
            product("MEXICAN BEANS REFRIED", "Private", "16 OZ"),
            "Mexican Beans Refried, Private, 16 oz"
        );
        assert_eq!(product("SPINACH & GREENS", "National", ""), "Spinach & Greens, National");
    }

    #[test]
    fn a_slug_has_the_words_of_the_path() {
        assert_eq!(
            slug(&["GROCERY", "HISPANIC", "MEXICAN BEANS REFRIED"]),
            "grocery-hispanic-mexican-beans-refried"
        );
        assert_eq!(slug(&["DELI", "BEER & WINE (COLD)"]), "deli-beer-wine-cold");
        assert_eq!(slug(&["&"]), "category");
    }
}
