//! One text for each JSON value: two documents have the same text exactly when they say the same.
//!
//! The members of an object are sorted by their names, strings are written with the escapes that they need, numbers as their exact decimal
//! value, and there is no blank. RFC 8785 does the same with numbers rounded to 64-bit floats, so that two large numbers may become one;
//! here no two values have the same text. A document that is not clearly one value has no text: if it is malformed, has a name twice, or is
//! nested deeper than [`DEPTH_MAX`].

use std::fmt::Write as _;

use serde::de::IgnoredAny;

/// How deep a document may be nested, which is what `serde_json` accepts for a typed document.
const DEPTH_MAX: usize = 128;

/// The text of a document's value; none if it has none.
pub(crate) fn canonical(document: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?;
    // From here on the text is well-formed, except for the halves of surrogate pairs.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut scanner = Scanner { rest: text, depth: 0, canonical: String::with_capacity(text.len()) };
    scanner.value()?;
    Some(scanner.canonical)
}

/// Reads a well-formed document once, from its beginning to its end.
struct Scanner<'d> {
    rest: &'d str,
    depth: usize,
    canonical: String,
}

impl<'d> Scanner<'d> {
    fn value(&mut self) -> Option<()> {
        match self.next()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => {
                let string = self.string()?;
                write_string(&mut self.canonical, &string)
            }
            b't' | b'f' | b'n' => {
                let end = self.rest.find(|letter: char| !letter.is_ascii_lowercase());
                let word = self.take(end.unwrap_or(self.rest.len()))?;
                self.canonical.push_str(word);
                Some(())
            }
            _ => {
                let end =
                    self.rest.find(|letter: char| !matches!(letter, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                let number = self.take(end.unwrap_or(self.rest.len()))?;
                write_number(&mut self.canonical, number)
            }
        }
    }

    fn nested(&mut self, value: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        value(self)?;
        self.depth -= 1;
        Some(())
    }

    fn array(&mut self) -> Option<()> {
        self.pass(b'[')?;
        self.canonical.push('[');
        let mut is_first = true;
        while self.next()? != b']' {
            if !std::mem::take(&mut is_first) {
                self.pass(b',')?;
                self.canonical.push(',');
            }
            self.value()?;
        }
        self.canonical.push(']');
        self.pass(b']')
    }

    fn object(&mut self) -> Option<()> {
        self.pass(b'{')?;
        // Each member's text is written where it is in the document, and moved to its place at the end.
        let begin = self.canonical.len();
        let mut members = Vec::new();
        while self.next()? != b'}' {
            if !members.is_empty() {
                self.pass(b',')?;
                self.next()?;
            }
            let name = self.string()?;
            self.next()?;
            self.pass(b':')?;
            let from = self.canonical.len();
            self.value()?;
            members.push((name, from..self.canonical.len()));
        }
        self.pass(b'}')?;
        let values = self.canonical.split_off(begin);
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.canonical.push('{');
        let mut before: Option<&str> = None;
        for (name, range) in &members {
            if before.is_some_and(|before| before == name) {
                return None;
            }
            if before.is_some() {
                self.canonical.push(',');
            }
            before = Some(name);
            write_string(&mut self.canonical, name)?;
            self.canonical.push(':');
            self.canonical.push_str(values.get(range.start - begin..range.end - begin)?);
        }
        self.canonical.push('}');
        Some(())
    }

    /// The string that comes next, decoded.
    fn string(&mut self) -> Option<String> {
        let mut is_escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let literal = self.take(end + 2)?;
        serde_json::from_str(literal).ok()
    }

    /// The next byte that is not blank, which stays.
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.bytes().next()
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.take(1)).flatten().map(drop)
    }

    fn take(&mut self, bytes: usize) -> Option<&'d str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

fn write_string(canonical: &mut String, string: &str) -> Option<()> {
    canonical.push_str(&serde_json::to_string(string).ok()?);
    Some(())
}

/// Writes a number as its digits without zeros at either end, and the power of ten after them: `1.50e1`, `15` and `15.0` are `15e0`. Zero
/// keeps its sign, which some programs tell apart. A number whose power of ten is too large for any use is written as it is.
fn write_number(canonical: &mut String, number: &str) -> Option<()> {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let without_end = digits.trim_end_matches('0');
    let significant = without_end.trim_start_matches('0');
    if significant.is_empty() {
        canonical.push_str(sign);
        canonical.push('0');
        return Some(());
    }
    let shift = |length: usize| i64::try_from(length).ok();
    let power = power.parse::<i64>().ok().and_then(|power| {
        power.checked_sub(shift(fraction.len())?)?.checked_add(shift(digits.len() - without_end.len())?)
    });
    match power {
        Some(power) => write!(canonical, "{sign}{significant}e{power}").ok(),
        None => {
            canonical.push_str(number);
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, canonical};

    #[test]
    fn equal_documents_have_the_same_canonical_text() {
        for same in [
            &[r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ] ,\r\n\t\"a\" : 1 }\n"][..],
            &[r#"{"b":{"d":1,"c":"x"},"a":[]}"#, r#"{"a":[],"b":{"c":"\u0078","d":1}}"#],
            &[r#""é/\n\"""#, "\"\\u00e9\\/\\u000a\\u0022\""],
            &[r#""😀""#, r#""\ud83d\ude00""#],
            &["1", "1.0", "1e0", "10E-1", "0.1e+1", "1.000"],
            &["-12.50", "-125e-1", "-0.125e2"],
            &["0", "0.0", "0e9", "0E-7"],
            &["18446744073709551617", "18446744073709551617.0", "1844674407370955161.7e1"],
            &["{}", " { } "],
            &["[[],{}]", "[ [ ] , { } ]"],
        ] {
            let texts: Vec<_> = same.iter().map(|document| canonical(document.as_bytes())).collect();
            assert!(texts[0].is_some() && texts.iter().all(|text| *text == texts[0]), "{same:?}: {texts:?}");
        }
    }

    #[test]
    fn different_documents_have_different_canonical_texts() {
        let documents = [
            "0",
            "-0",
            "1",
            "-1",
            "10",
            "100",
            "0.1",
            "1e2000",
            "1e2001",
            "12",
            "1.2",
            "21",
            "\"1\"",
            "\"1e0\"",
            "true",
            "false",
            "null",
            "\"null\"",
            "[]",
            "{}",
            "[1]",
            "[1,1]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[1,[2]]",
            "{\"a\":1}",
            "{\"a\":\"1\"}",
            "{\"b\":1}",
            "{\"a\":1,\"b\":2}",
            "{\"a\":2,\"b\":1}",
            "{\"a\":{\"b\":2}}",
            "{\"a\":[1]}",
            "\"a\"",
            "\"A\"",
            "\"a \"",
            "\"\"",
            "\"\\u0000\"",
            "\"é\"",
            "\"e\\u0301\"",
            "[null]",
            "[\"\"]",
            // Each pair is one number where numbers are 64-bit floats.
            "9007199254740992",
            "9007199254740993",
            "18446744073709551616",
            "18446744073709551617",
            "0.1000000000000000055",
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            // A member that looks like two.
            r#"{"a":"1,\"b\":2"}"#,
            r#"{"a\":1,\"b":2}"#,
            "1e9223372036854775807",
            "1e9223372036854775808",
            "1e9223372036854775809",
        ];
        for (place, one) in documents.iter().enumerate() {
            let text = canonical(one.as_bytes());
            assert!(text.is_some(), "{one}");
            for other in &documents[..place] {
                assert_ne!(canonical(other.as_bytes()), text, "{one} {other}");
            }
        }
    }

    #[test]
    fn invalid_or_ambiguous_document_has_no_canonical_text() {
        let deep = "[".repeat(100_000);
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(canonical(nested(DEPTH_MAX).as_bytes()).is_some());
        let beside = format!("[{}[]]", "{},[],".repeat(DEPTH_MAX));
        assert!(canonical(beside.as_bytes()).is_some(), "what stands beside one another is not nested");
        let closed = nested(DEPTH_MAX + 1);
        for document in [
            &b""[..],
            b"{",
            b"{} {}",
            b"nul",
            b"01",
            b"1.",
            b"+1",
            b".5",
            b"NaN",
            b"'a'",
            b"\xff",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"{\"a\":1,\"a\":1}",
            b"{\"a\":1,\"\\u0061\":2}",
            b"[1,]",
            b"\xef\xbb\xbf{}",
            deep.as_bytes(),
            closed.as_bytes(),
        ] {
            assert_eq!(canonical(document), None, "{}", String::from_utf8_lossy(document));
        }
    }
}
