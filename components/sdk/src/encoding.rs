//! Percent-encoding (RFC 3986) and base64url without padding (RFC 4648, section 5).

use std::borrow::Cow;

/// Decodes a part of a path; none if an escape is malformed or the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    decode(text, false)
}

/// Decodes a name or a value of a query, in which `+` is a space, as forms send it; none as in [`percent_decode`].
pub fn query_decode(text: &str) -> Option<Cow<'_, str>> {
    decode(text, true)
}

/// Encodes one part of a path, or one name or value of a query: everything except unreserved characters.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for half in [byte >> 4, byte & 15] {
                encoded.extend(char::from_digit(u32::from(half), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    encoded
}

fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || (plus_is_space && byte == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, after @ ..] => {
                decoded.push(hexadecimal(*high)? << 4 | hexadecimal(*low)?);
                after
            }
            [b'%', ..] => return None,
            [b'+', after @ ..] if plus_is_space => {
                decoded.push(b' ');
                after
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                after
            }
        };
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes bytes in base64url, without padding.
pub fn base64url_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            let index = (group >> (18 - 6 * position)) & 63;
            text.extend(ALPHABET.get(index as usize).copied().map(char::from));
        }
    }
    text
}

/// Decodes base64url without padding; none if the text is not what [`base64url_encode`] returns for some bytes.
pub fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for character in chunk {
            let index = ALPHABET.iter().position(|letter| letter == character)?;
            group = group << 6 | u32::try_from(index).ok()?;
        }
        let (bits_unused, count) = match chunk.len() {
            4 => (0, 3),
            3 => (2, 2),
            2 => (4, 1),
            _ => return None,
        };
        if group & ((1 << bits_unused) - 1) != 0 {
            return None;
        }
        let [_, decoded @ ..] = (group >> bits_unused << (8 * (3 - count))).to_be_bytes();
        bytes.extend(decoded.iter().take(count));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_plain_text_is_borrowed() {
        assert!(matches!(percent_decode("plain-text+x"), Some(Cow::Borrowed("plain-text+x"))));
        assert_eq!(percent_decode("a%20b%2Fc%c3%a9").as_deref(), Some("a b/cé"));
        assert_eq!(query_decode("a+b%2B").as_deref(), Some("a b+"));
    }

    #[test]
    fn malformed_escapes_and_invalid_utf8_are_refused() {
        for text in ["%", "%2", "%zz", "a%", "%ff", "%c3", "%+1", "%C0%80"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
    }

    #[test]
    fn encoded_text_decodes_to_the_original() {
        for text in ["", "plain", "a b/c?d=e&f#g%+", "é北京"] {
            assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
            assert_eq!(query_decode(&percent_encode(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn base64url_matches_the_values_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{3ff}?>", "z78_Pg"),
        ] {
            assert_eq!(base64url_encode(plain.as_bytes()), encoded);
            assert_eq!(base64url_decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn base64url_refuses_text_that_it_would_not_produce() {
        for text in ["Z", "Zh", "Zm9", "Zg==", "Zm 8", "Zm+8", "Zm9vY"] {
            assert_eq!(base64url_decode(text), None, "{text}");
        }
    }
}
