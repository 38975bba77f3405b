//! From what a customer types to a query of FTS5 (<https://www.sqlite.org/fts5.html#full_text_query_syntax>).

use super::words::{Tokens, as_written, typed};

/// More words than this are left out.
const WORDS_MAX: usize = 16;

/// The query: every word must be found, the last one may go on.
///
/// What is typed between white space is one word of the customer's, and may be several of the index's, which then must follow one
/// another: a phrase. Each phrase is quoted, and made of letters and digits alone, so that no operator can be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullText {
    /// For an index that has every product's words.
    pub folded: String,
    /// For one in which some products are still found by their text as it was written: by that, or by their words.
    pub either: String,
}

impl FullText {
    /// The query for what is typed; none where there is no word.
    pub fn of(text: &str) -> Option<Self> {
        let phrase = |tokens: Tokens| (tokens.words.join(" "), tokens.last_is_part);
        let folded = query(text.split_whitespace().map(typed).map(phrase))?;
        let either = match query(text.split_whitespace().map(|word| (as_written(word), false))) {
            Some(written) if written != folded => format!("({folded}) OR ({written})"),
            _ => folded.clone(),
        };
        Some(Self { folded, either })
    }
}

/// The query for these phrases, each with whether it may go on; none where all are empty.
fn query(phrases: impl Iterator<Item = (String, bool)>) -> Option<String> {
    let mut phrases: Vec<_> = phrases.filter(|(words, _)| !words.is_empty()).take(WORDS_MAX).collect();
    if let Some((_, may_go_on)) = phrases.last_mut() {
        *may_go_on = true;
    }
    let quoted =
        phrases.iter().map(|(words, may_go_on)| format!("\"{words}\"{}", if *may_go_on { "*" } else { "" }));
    let query = quoted.collect::<Vec<String>>().join(" ");
    (!query.is_empty()).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Option<String> {
        FullText::of(text).map(|query| query.folded)
    }

    #[test]
    fn texts_indexed_as_written_are_found_by_the_words_as_typed() {
        for (text, either) in [
            ("potato", "\"potato\"*"),
            ("cr\u{e8}me fra\u{ee}che", "(\"creme\" \"fraiche\"*) OR (\"cr\u{e8}me\" \"fra\u{ee}che\"*)"),
            ("\"Cr\u{e8}me\"* OR", "(\"creme\" \"or\"*) OR (\"Cr\u{e8}me\" \"OR\"*)"),
            ("a\0\u{e8}-b", "(\"a e b\"*) OR (\"a \u{e8} b\"*)"),
            // No letter as it is written.
            ("\u{3387}", "\"gb\"*"),
        ] {
            assert_eq!(FullText::of(text).map(|query| query.either).as_deref(), Some(either), "{text}");
        }
        let long = FullText::of(&"\u{e8} ".repeat(1000)).expect("a query").either;
        assert_eq!(long.matches("\"\u{e8}\"").count(), WORDS_MAX);
    }

    #[test]
    fn words_are_quoted_and_the_last_is_a_prefix() {
        for (text, query) in [
            ("potato", "\"potato\"*"),
            ("sweet  pot", "\"sweet\" \"pot\"*"),
            ("\"a\" OR b*", "\"a\" \"or\" \"b\"*"),
            ("name:x - NEAR(y)", "\"name x\" \"near y\"*"),
            ("{\"^bread-knife\"} +", "\"bread knife\"*"),
            ("crème", "\"creme\"*"),
            ("cre\u{300}me bru\u{302}le\u{301}e", "\"creme\" \"brulee\"*"),
            ("STRASSE straße", "\"strasse\" \"strasse\"*"),
            ("緑茶\u{3000}ティー", "\"緑茶\" \"ティ ィー\"*"),
        ] {
            assert_eq!(folded(text).as_deref(), Some(query));
        }
    }

    #[test]
    fn a_single_character_run_is_a_prefix_at_any_position() {
        for (text, query) in [
            ("茶", "\"茶\"*"),
            ("茶 40g", "\"茶\"* \"40g\"*"),
            ("茶40g 緑", "\"茶 40g\" \"緑\"*"),
            ("日本茶 a", "\"日本 本茶\" \"a\"*"),
            ("日本茶40g a", "\"日本 本茶 茶 40g\" \"a\"*"),
        ] {
            assert_eq!(folded(text).as_deref(), Some(query));
        }
    }

    #[test]
    fn without_words_there_is_no_query() {
        for text in ["", " ", "\"", "*", "-- ;", "\u{301}", "\u{200B}", "\u{1F35E}"] {
            assert_eq!(FullText::of(text), None, "{text}");
        }
    }

    #[test]
    fn words_are_counted() {
        let query = folded(&"a ".repeat(1000)).expect("a query");
        assert_eq!(query.matches("\"a\"").count(), WORDS_MAX);
    }
}
