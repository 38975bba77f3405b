//! The tokens of SQL.

/// The tokens of a statement (<https://sqlite.org/lang.html>). Names and keywords have no quotes, and their ASCII letters are in lower case
/// (SQLite distinguishes the case of other letters). Texts and blobs stay as they are. Everything else is one character per token.
pub(crate) fn tokens(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_name = |letter: char| {
            letter.is_ascii_alphanumeric() || letter == '_' || letter == '$' || !letter.is_ascii()
        };
        let length = match first {
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' | '"' | '`' => quoted(rest, first),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ if is_name(first) => rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        let inner = || token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
        match first {
            '-' | '/' if token.len() > 1 => {}
            '\'' => found.push(token.to_owned()),
            '"' | '`' => {
                let doubled = [first, first].iter().collect::<String>();
                found.push(inner().replace(&doubled, &first.to_string()).to_ascii_lowercase());
            }
            '[' => found.push(inner().to_ascii_lowercase()),
            _ if first.is_ascii_whitespace() => {}
            _ => found.push(token.to_ascii_lowercase()),
        }
    }
    found
}

/// The length in bytes of a quoted text or name, in which the quote itself is doubled.
fn quoted(text: &str, quote: char) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return place + quote.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::tokens;

    /// Letters of names as SQLite defines them: `$`, and all characters that are not ASCII.
    #[test]
    fn name_with_any_letters_is_one_token() {
        for name in ["a$b", "a_b", "größe", "GRÖSSE", "a\u{1f600}b", "\u{a0}a", "_$"] {
            let token = name.to_ascii_lowercase();
            assert_eq!(tokens(&format!("{name},\n{name}")), [&*token, ",", &*token], "{name}");
        }
    }

    #[test]
    fn sign_is_a_token_and_a_comment_is_not() {
        assert_eq!(tokens("a - b / c -- d\n/* e */ * -1"), ["a", "-", "b", "/", "c", "*", "-", "1"]);
    }

    #[test]
    fn statement_is_split_into_its_tokens() {
        let found = tokens("SELECT Näme_1$,\"a b\",[c d],`e` FROM t--x\n/*y*/WHERE u='It''s'||x'00'");
        let expected = [
            "select", "näme_1$", ",", "a b", ",", "c d", ",", "e", "from", "t", "where", "u", "=", "'It''s'",
            "|", "|", "x", "'00'",
        ];
        assert_eq!(found, expected);
    }
}
