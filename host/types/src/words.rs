//! Texts from guests and clients, made safe for an operator: they can't forge a log line, and they can't control a terminal.

/// A text from a guest or a client, safe for a log line or a terminal: cut at `bytes_max`, with its control characters escaped.
#[must_use]
pub fn own_words(text: &str, bytes_max: usize) -> String {
    let mut words = String::with_capacity(text.len().min(bytes_max));
    for letter in text.chars() {
        let before = words.len();
        if is_control(letter) {
            words.extend(letter.escape_debug());
        } else {
            words.push(letter);
        }
        if words.len() > bytes_max {
            words.truncate(before);
            words.push('…');
            break;
        }
    }
    words
}

/// The characters that control a terminal or a log viewer: control characters, line and paragraph breaks, and changes of the text
/// direction.
#[must_use]
pub fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_bounded_and_has_no_control_characters() {
        for (text, expected) in [
            ("plain \"words\" and ünïcode", "plain \"words\" and ünïcode"),
            ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
            ("\u{1b}[2J\u{9b}2J\0", "\\u{1b}[2J\\u{9b}2J\\0"),
            ("a\u{2028}b\u{202e}c", "a\\u{2028}b\\u{202e}c"),
            ("", ""),
        ] {
            assert_eq!(own_words(text, 1000), expected);
        }
        assert_eq!(own_words("ääää", 5), "ää…");
        assert_eq!(own_words("a\u{1b}b", 3), "a…", "an escape is whole or absent");
        assert_eq!(own_words("abc", 3), "abc");
        assert!(own_words(&"\n".repeat(100_000), 1024).len() <= 1024 + '…'.len_utf8());
    }
}
