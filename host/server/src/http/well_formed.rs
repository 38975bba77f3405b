//! The requirements of HTTP itself, checked before any lookup: one valid `Host`, a body with known framing, and a target with one spelling.
//! Both ports check requests against them.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use bulkhead_runtime::{PathError, Problem, normal_path, normal_query, problem_kinds};
use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

/// Checks a request. Afterwards its target is in origin form, in the normal spelling of `bulkhead_runtime::normal_path`, and `Host` is the
/// authority that the request is for.
pub(crate) fn check<B>(request: &mut Request<B>) -> Result<(), Problem> {
    check_host(request.version(), request.headers())?;
    check_framing(request.headers())?;
    if request.method() == Method::CONNECT {
        return Err(not_implemented("the method CONNECT asks for a proxy, and the host is none"));
    }
    // In absolute form the target names the authority, and `Host` is ignored (RFC 9112, section 3.2.2).
    if let Some(authority) = request.uri().authority() {
        let is_http = request.uri().scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
        if !is_http || !is_host(authority.as_str()) {
            return Err(malformed("the target is neither a path nor a valid URL"));
        }
        let value = HeaderValue::try_from(authority.as_str())
            .map_err(|_| malformed("the target's authority is not valid"))?;
        request.headers_mut().insert(HOST, value);
    } else if request.uri().path() == "*" {
        let is_options = request.method() == Method::OPTIONS;
        return if is_options { Ok(()) } else { Err(malformed("the target * is for OPTIONS alone")) };
    }
    if let Some(uri) = normal_target(request.uri())? {
        *request.uri_mut() = uri;
    }
    Ok(())
}

/// The target in origin form, in its one spelling. None if it already has this form.
fn normal_target(uri: &Uri) -> Result<Option<Uri>, Problem> {
    let path = normal_path(uri.path()).map_err(|error| match error {
        PathError::Relative | PathError::Escape => malformed(error.to_string()),
        // It is a valid path of a URI, but nothing exists there.
        PathError::DotSegment => Problem::new(problem_kinds::NOT_FOUND, error.to_string()),
    })?;
    let query = uri.query().map(normal_query);
    let is_same = matches!(path, Cow::Borrowed(_)) && !matches!(query, Some(Cow::Owned(_)));
    if is_same && uri.authority().is_none() {
        return Ok(None);
    }
    let target = query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
    let target = PathAndQuery::try_from(target);
    target.map(|target| Some(Uri::from(target))).map_err(|_| malformed("the target can't be read"))
}

/// RFC 9112, section 3.2: a server answers 400 if `Host` is missing (in HTTP/1.1), occurs twice, or is not valid.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version >= Version::HTTP_11 => Err(malformed("the header Host is missing")),
        (None, _) => Ok(()),
        (Some(_), Some(_)) => Err(malformed("there is more than one header Host")),
        (Some(host), None) => match host.to_str() {
            Ok(host) if is_host(host) => Ok(()),
            _ => Err(malformed("the header Host is not a host with or without a port")),
        },
    }
}

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2). The host may be empty, as for a target without an authority.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, behind)) = rest.split_once(']') else { return false };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            match behind.strip_prefix(':') {
                Some(port) => ("", port),
                None => return behind.is_empty(),
            }
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_port =
        port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    is_port && is_registered_name(host)
}

/// `reg-name` (RFC 3986, section 3.2.2). An IPv4 address is a `reg-name` too.
fn is_registered_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let is_fine = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_fine {
            return false;
        }
    }
    true
}

/// RFC 9112, section 6.1: `chunked` must be the only transfer coding, and must occur once. The HTTP library already refuses a body whose
/// last coding is another one, and a body of HTTP/1.0. But it would treat the output of an unknown coding as the body itself.
fn check_framing(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = 0;
    for value in headers.get_all(TRANSFER_ENCODING) {
        let value = value.to_str().map_err(|_| malformed("the header Transfer-Encoding can't be read"))?;
        for coding in value.split(',').map(str::trim).filter(|coding| !coding.is_empty()) {
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(not_implemented(format!(
                    "the body has the transfer coding {coding:?}, and the host takes chunked alone"
                )));
            }
            codings += 1;
        }
    }
    if codings > 1 { Err(malformed("the transfer coding chunked is applied more than once")) } else { Ok(()) }
}

fn not_implemented(detail: impl Into<String>) -> Problem {
    Problem::new(problem_kinds::NOT_IMPLEMENTED, detail)
}

/// The problem for a message that is not valid HTTP.
pub(super) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(problem_kinds::MALFORMED_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "",
            "x",
            "shop.example",
            "127.0.0.1:8080",
            "[::1]",
            "[2001:db8::7]:443",
            "x:",
            "a_b~c",
            "x%20y",
            ":80",
        ] {
            assert!(is_host(host), "{host:?}");
        }
        for host in [
            "a b", "a/b", "user@x", "x:y", "x:1:2", "x:65536", "x:+1", "[::1", "[::1]x", "[::1]:x", "[x]",
            "::1", "x%2", "x%zz", "é", "a,b c", "http://x", "x?", "x#", "[]",
        ] {
            assert!(!is_host(host), "{host:?}");
        }
    }

    #[test]
    fn target_is_converted_to_origin_form_and_normalized() {
        for (method, target, path, host) in [
            ("GET", "/a/b?c=d", "/a/b?c=d", "x"),
            ("GET", "/%61/b?%63=d", "/a/b?c=d", "x"),
            ("GET", "http://y:80/%61?b", "/a?b", "y:80"),
            ("GET", "http://y", "/", "y"),
            ("OPTIONS", "*", "*", "x"),
        ] {
            let mut request = request(method, target, &[("host", "x")]);
            check(&mut request).unwrap();
            assert_eq!(
                (request.uri().to_string().as_str(), &request.headers()[HOST]),
                (path, &HeaderValue::from_static(host))
            );
        }
    }

    #[test]
    fn requests_that_http_does_not_allow_are_refused() {
        let host = ("host", "x");
        let coding = |value| ("transfer-encoding", value);
        for (method, target, headers, status) in [
            ("GET", "/", &[][..], 400),
            ("GET", "/", &[host, host], 400),
            ("GET", "/", &[("host", "a b")], 400),
            ("GET", "http://y/", &[], 400),
            ("GET", "ftp://y/", &[host], 400),
            ("GET", "http://u@y/", &[host], 400),
            ("GET", "y:80", &[host], 400),
            ("GET", "*", &[host], 400),
            ("GET", "/%zz", &[host], 400),
            ("GET", "/../x", &[host], 404),
            ("GET", "/x/%2E", &[host], 404),
            ("CONNECT", "y:80", &[host], 501),
            ("POST", "/", &[host, coding("gzip, chunked")], 501),
            ("POST", "/", &[host, coding("gzip"), coding("chunked")], 501),
            ("POST", "/", &[host, coding("identity, chunked")], 501),
            ("POST", "/", &[host, coding("chunked, chunked")], 400),
            ("POST", "/", &[host, coding("Chunked")], 200),
            ("POST", "/", &[host, coding(", chunked")], 200),
        ] {
            let checked = check(&mut request(method, target, headers));
            assert_eq!(
                checked.map_or_else(|problem| problem.status, |()| 200),
                status,
                "{method} {target} {headers:?}"
            );
        }
        let mut old = request("GET", "/", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(check(&mut old), Ok(()));
    }
}
