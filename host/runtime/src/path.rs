//! One spelling for each path: what is routed, looked up, hashed and logged is the same text, however a client spelt it.
//!
//! It is the normal form of RFC 3986, section 6.2.2: what needs no percent-encoding has none, what needs it has upper-case digits. `%2F`
//! and `/` stay different, and so do every other reserved character and its encoding, since the two may differ for a service.
//!
//! Dot segments are refused, and not removed: a client that puts an id of `..` into a path would reach another resource without noticing.

use std::borrow::Cow;

use percent_encoding::percent_encode_byte;

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is not absolute.
    #[error("the path does not begin with /")]
    Relative,
    /// A `%` without two hexadecimal digits after it.
    #[error(
        "the path has a % without two hexadecimal digits behind it; a percent sign itself is written %25"
    )]
    Escape,
    /// `.` or `..`, also where they are percent-encoded.
    #[error("the path has the segment . or ..; send the path that it leads to")]
    DotSegment,
}

/// The normal form of a path, which most often is the path itself.
///
/// # Errors
///
/// See [`PathError`].
pub fn normal_path(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    let normal = normalise(path).ok_or(PathError::Escape)?;
    if normal.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(PathError::DotSegment);
    }
    Ok(normal)
}

/// The normal form of a query; the query itself if it is malformed, which its service then reports.
#[must_use]
pub fn normal_query(query: &str) -> Cow<'_, str> {
    normalise(query).unwrap_or(Cow::Borrowed(query))
}

/// None if a `%` has no two hexadecimal digits after it.
fn normalise(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(stands_for_itself) {
        return Some(Cow::Borrowed(text));
    }
    let mut normal = String::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let (byte, is_plain) = if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            let byte = high << 4 | low;
            (byte, is_unreserved(byte))
        } else {
            (byte, stands_for_itself(byte))
        };
        if is_plain {
            normal.push(char::from(byte));
        } else {
            normal.push_str(percent_encode_byte(byte));
        }
    }
    Some(Cow::Owned(normal))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// `unreserved` of RFC 3986, section 2.3: encoded or not, it means the same.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What a path or a query has without encoding: `pchar`, `/` and `?` of RFC 3986, section 3.4.
fn stands_for_itself(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_one_normal_form() {
        for (path, normal) in [
            ("/", "/"),
            ("/notes/7", "/notes/7"),
            ("/%6eotes", "/notes"),
            ("/%7Euser/%2d%2E%5F", "/~user/-._"),
            ("/a%2fb/%c3%a9", "/a%2Fb/%C3%A9"),
            ("/é \"{x}|\\^`<>", "/%C3%A9%20%22%7Bx%7D%7C%5C%5E%60%3C%3E"),
            ("/a:b@c;d,e=f", "/a:b@c;d,e=f"),
            ("/a%3Ab%2B", "/a%3Ab%2B"),
            ("/100%25", "/100%25"),
            ("/%2570", "/%2570"),
            ("//a//", "//a//"),
            ("/...", "/..."),
            ("/a/.b/c.", "/a/.b/c."),
            ("/..%2F", "/..%2F"),
        ] {
            assert_eq!(normal_path(path).as_deref(), Ok(normal), "{path}");
            // A normal form is its own normal form.
            assert_eq!(normal_path(normal).as_deref(), Ok(normal), "{path}");
        }
        assert!(matches!(normal_path("/plain"), Ok(Cow::Borrowed("/plain"))));
    }

    #[test]
    fn invalid_path_is_refused() {
        for (path, error) in [
            ("", PathError::Relative),
            ("*", PathError::Relative),
            ("notes", PathError::Relative),
            ("/%", PathError::Escape),
            ("/%zz", PathError::Escape),
            ("/a%4", PathError::Escape),
            ("/%+1", PathError::Escape),
            ("/%4é", PathError::Escape),
            ("/.", PathError::DotSegment),
            ("/a/../b", PathError::DotSegment),
            ("/a/%2e%2E", PathError::DotSegment),
            ("/a/.%2e/b", PathError::DotSegment),
        ] {
            assert_eq!(normal_path(path), Err(error), "{path}");
        }
    }

    #[test]
    fn query_has_one_normal_form_unless_malformed() {
        for (query, normal) in [
            ("q=%66ish&x=%2b+%3d", "q=fish&x=%2B+%3D"),
            ("a=1/2?3", "a=1/2?3"),
            ("a=%zz%66", "a=%zz%66"),
            ("", ""),
        ] {
            assert_eq!(normal_query(query), normal, "{query}");
        }
    }
}
