//! From what a customer types to a query of FTS5 (<https://www.sqlite.org/fts5.html#full_text_query_syntax>).

/// More words than this are left out.
const WORDS_MAX: usize = 16;

/// The query: every word must be found, the last one may go on. Each word is quoted, so that no operator can be typed. None
/// where there is no word.
///
/// Words are split at white space alone. What else divides them is left to the index's own tokenizer, which reads a quoted word
/// as a phrase: it knows, for one, that an accent that stands as a character of its own belongs to its letter.
pub fn full_text_query(typed: &str) -> Option<String> {
    let words = typed.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let words: Vec<String> =
        words.take(WORDS_MAX).map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
    (!words.is_empty()).then(|| format!("{}*", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_the_last_may_go_on() {
        for (typed, query) in [
            ("potato", "\"potato\"*"),
            ("sweet  pot", "\"sweet\" \"pot\"*"),
            ("\"a\" OR b*", "\"\"\"a\"\"\" \"OR\" \"b*\"*"),
            ("name:x - NEAR(y)", "\"name:x\" \"NEAR(y)\"*"),
            ("crème", "\"crème\"*"),
            ("cre\u{300}me bru\u{302}le\u{301}e", "\"cre\u{300}me\" \"bru\u{302}le\u{301}e\"*"),
        ] {
            assert_eq!(full_text_query(typed).as_deref(), Some(query));
        }
    }

    #[test]
    fn without_words_there_is_no_query() {
        for typed in ["", " ", "\"", "*", "-- ;"] {
            assert_eq!(full_text_query(typed), None, "{typed}");
        }
    }

    #[test]
    fn words_are_counted() {
        let query = full_text_query(&"a ".repeat(1000)).expect("a query");
        assert_eq!(query.matches("\"a\"").count(), WORDS_MAX);
    }
}
