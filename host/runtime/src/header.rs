//! Which headers are the host's alone, in requests from outside, in calls between services and in answers.

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

#[cfg(test)]
mod tests {
    use super::is_hosts;

    #[test]
    fn credentials_and_the_hosts_own_headers_are_the_hosts_in_any_case() {
        for name in ["Authorization", "cookie", "Transfer-Encoding", "bulkhead-position", "BULKHEAD-AFTER"] {
            assert!(is_hosts(name), "{name}");
        }
        for name in ["host", "content-type", "x-bulkhead-position", "bulkhead", "accept", ""] {
            assert!(!is_hosts(name), "{name}");
        }
    }
}
