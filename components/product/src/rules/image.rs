//! Addresses of images.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::serde_json::json;

/// The longest address, in bytes.
pub const URL_MAX: usize = 2000;

/// A product may have so many images: a single product is answered with all of them.
pub const IMAGES_MAX: i64 = 100;

/// The last place in the order of display. What comes behind it stands there too: then ids decide, and the newest comes last.
pub const DISPLAY_ORDER_MAX: i64 = 1_000_000;

/// An absolute URL (RFC 3986) of the scheme https, with a host and without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl(String);

bulkhead_sdk::text_value!(
    HttpsUrl,
    json!({"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]://[^/?#]*[A-Za-z0-9]", "maxLength": URL_MAX})
);

impl HttpsUrl {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for HttpsUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > URL_MAX {
            return Err("must have at most 2000 characters");
        }
        let rest = match text.split_at_checked("https://".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https://") => rest,
            _ => return Err("must be an https URL"),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host_is_one = host.contains(|character: char| character.is_ascii_alphanumeric())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(&byte));
        let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok());
        let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        if host_is_one && port_is_one && plain {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be an https URL with a host, without credentials, and percent-encoded")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_urls_are_accepted() {
        for text in [
            "https://images.example/1.png",
            "HTTPS://images.example:8443/a/b?c=d#e",
            "https://[2001:db8::1]/x",
            "https://[2001:db8::1]:443/x",
            "https://a.example/%20@x",
        ] {
            let url: HttpsUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), text);
            assert_eq!(url.into_string(), text);
        }
    }

    #[test]
    fn a_url_is_accepted_up_to_its_maximum_length() {
        let of =
            |length: usize| format!("https://a.example/{}", "a".repeat(length - "https://a.example/".len()));
        assert!(of(URL_MAX).parse::<HttpsUrl>().is_ok());
        assert!(of(URL_MAX + 1).parse::<HttpsUrl>().is_err());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "http://images.example/1.png",
            "javascript:alert(1)",
            "//images.example/1.png",
            "https://",
            "https:///1.png",
            "https://user:pass@images.example/",
            "https://images.example:99999/",
            "https://images.example/a b",
            "https://images.example/\"onload=",
            "https://é.example/",
            &format!("https://a.example/{}", "a".repeat(URL_MAX)),
        ] {
            assert!(text.parse::<HttpsUrl>().is_err(), "{text}");
        }
    }
}
