//! Answers of the host's own: problem documents, their page, and health.

use bulkhead_runtime::Problem;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::{HEALTH_ALIASES, HOST_PATHS};

/// The response for a problem.
pub(crate) fn problem_response(problem: &Problem, trace_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(problem.to_json(trace_id))));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if problem.status == 401 {
        // RFC 6750, section 3: the host asks for a token only where one was sent.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer of one of the host's own paths, among which `problem_page` has one; `None` for any other path.
pub(crate) fn own(
    method: &Method,
    path: &str,
    ready: bool,
    problem_page: &Bytes,
    trace_id: &str,
) -> Option<Response<Full<Bytes>>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let name = match path.strip_prefix(HOST_PATHS) {
        Some(name) => name,
        None if HEALTH_ALIASES.contains(&path) => path,
        None => return None,
    };
    let (status, kind, body) = match name {
        "/live" | "/healthz" => (StatusCode::OK, TEXT, Bytes::from_static(b"live\n")),
        "/ready" | "/readyz" if ready => (StatusCode::OK, TEXT, Bytes::from_static(b"ready\n")),
        "/ready" | "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, TEXT, Bytes::from_static(b"stopping\n")),
        "/problems" => (StatusCode::OK, "text/html; charset=utf-8", problem_page.clone()),
        _ => {
            let problem = Problem::new(404, "not-found", "Not found", "the host has no such page");
            return Some(problem_response(&problem, trace_id));
        }
    };
    if method != Method::GET && method != Method::HEAD {
        let problem =
            Problem::new(405, "method-not-allowed", "Method not allowed", "this page takes GET, HEAD");
        let mut response = problem_response(&problem, trace_id);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(response)
}
