//! From what a customer types to a query of FTS5 (<https://www.sqlite.org/fts5.html#full_text_query_syntax>).

use super::words::typed;

/// More words than this are left out.
const WORDS_MAX: usize = 16;

/// The query: every word must be found, the last one may go on. None where there is no word.
///
/// What is typed between white space is one word of the customer's, and may be several of the index's, which then must follow one
/// another: a phrase. Each phrase is quoted, and made of letters and digits alone, so that no operator can be typed.
pub fn full_text_query(text: &str) -> Option<String> {
    let mut phrases: Vec<_> = text
        .split_whitespace()
        .map(typed)
        .filter(|tokens| !tokens.words.is_empty())
        .take(WORDS_MAX)
        .map(|tokens| (tokens.words.join(" "), tokens.last_is_part))
        .collect();
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

    #[test]
    fn words_are_quoted_and_the_last_may_go_on() {
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
            assert_eq!(full_text_query(text).as_deref(), Some(query));
        }
    }

    #[test]
    fn a_single_character_of_a_run_may_go_on_wherever_it_stands() {
        for (text, query) in [
            ("茶", "\"茶\"*"),
            ("茶 40g", "\"茶\"* \"40g\"*"),
            ("茶40g 緑", "\"茶 40g\" \"緑\"*"),
            ("日本茶 a", "\"日本 本茶\" \"a\"*"),
            ("日本茶40g a", "\"日本 本茶 茶 40g\" \"a\"*"),
        ] {
            assert_eq!(full_text_query(text).as_deref(), Some(query));
        }
    }

    #[test]
    fn without_words_there_is_no_query() {
        for text in ["", " ", "\"", "*", "-- ;", "\u{301}", "\u{200B}", "\u{1F35E}"] {
            assert_eq!(full_text_query(text), None, "{text}");
        }
    }

    #[test]
    fn words_are_counted() {
        let query = full_text_query(&"a ".repeat(1000)).expect("a query");
        assert_eq!(query.matches("\"a\"").count(), WORDS_MAX);
    }
}
