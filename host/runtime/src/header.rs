//! Which headers belong to the host alone, in requests from outside, in calls between services and in answers; and what an answer says
//! about being kept.

use http::HeaderMap;
use http::header::CACHE_CONTROL;

/// Whether a header is the host's: it carries credentials, means something only between two ends of a connection (RFC 9110, section
/// 7.6.1), or is one that only the host may say. No service gets to see one in a request, and none can set one.
#[must_use]
pub fn is_hosts(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let begins = name.get(.."bulkhead-".len()).is_some_and(|start| start.eq_ignore_ascii_case("bulkhead-"));
    begins || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether an answer says that nobody may keep it (RFC 9111, section 5.2.2.5), on any of its lines.
#[must_use]
pub fn says_no_store(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let directives = String::from_utf8_lossy(value.as_bytes());
        directives.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn no_store_is_found_on_any_header_line() {
        let mut headers = HeaderMap::new();
        for (value, expected) in
            [("private", false), ("max-age=1, no-storeroom", false), ("max-age=1,No-Store", true)]
        {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            assert_eq!(says_no_store(&headers), expected, "{value}");
        }
    }

    #[test]
    fn credentials_and_host_headers_are_reserved_in_any_letter_case() {
        for name in ["Authorization", "cookie", "Transfer-Encoding", "bulkhead-position", "BULKHEAD-AFTER"] {
            assert!(is_hosts(name), "{name}");
        }
        for name in ["host", "content-type", "x-bulkhead-position", "bulkhead", "accept", ""] {
            assert!(!is_hosts(name), "{name}");
        }
    }
}
