//! What becomes of a text before it is kept.

/// The text on one line, with single spaces and none around it: so the same words are the same entry, however they were typed.
pub fn tidied(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_becomes_one_space_between_words() {
        for (text, expected) in [("a", "a"), ("  a  b ", "a b"), ("a\r\n\tb", "a b")] {
            assert_eq!(tidied(text), expected, "{text:?}");
        }
    }
}
