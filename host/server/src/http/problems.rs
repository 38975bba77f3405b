//! The host's own answers: problem documents, pages, and health.

use bulkhead_manifest::{HEALTH_ALIASES, HOST_PATHS, is_page};
use bulkhead_runtime::{Problem, problem_kinds, supervise};
use bulkhead_types::limits::{HEADER_LINES_MAX, HEADERS_MAX, PATH_MAX};
use bulkhead_types::{TraceContext, TraceId};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::well_formed::malformed;
use crate::interface::Page;

static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The HTTP library itself answers 414 for a target with more bytes than this (`MAX_URI_LEN` in hyper's `proto/h1/role.rs`).
const TARGET_MAX: u16 = u16::MAX - 1;

/// The response for a problem.
pub(crate) fn problem_response(problem: &Problem, trace_id: TraceId) -> Response<Full<Bytes>> {
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

/// Adds the trace header to an answer of either port.
pub(crate) fn add_trace(response: &mut Response<Full<Bytes>>, context: &TraceContext) {
    if let Ok(value) = HeaderValue::try_from(context.to_string()) {
        response.headers_mut().insert(&TRACERESPONSE, value);
    }
}

/// The problem for a request head that the HTTP library can't read, by the library's status.
pub(crate) fn unreadable(status: StatusCode) -> Option<Problem> {
    Some(match status.as_u16() {
        400 => malformed("the request line, a header, or how the body is framed is not valid in HTTP/1.1"),
        414 => uri_too_long(format!("the target, path and query together, has more than {TARGET_MAX} bytes")),
        431 => Problem::new(
            problem_kinds::HEADERS_TOO_LARGE,
            format!(
                "there are more than {HEADER_LINES_MAX} headers, or they have more than {HEADERS_MAX} bytes, or Content-Length is a number \
                 that no body has"
            ),
        ),
        _ => return None,
    })
}

/// The problem when the host's own code panics at a request. The log line has the panic message.
pub(super) fn host_failed() -> Problem {
    Problem::new(problem_kinds::HOST_FAILED, "the host failed at this request")
}

/// The problem for a path that is too long.
pub(super) fn path_too_long() -> Problem {
    uri_too_long(format!("the path has more than {PATH_MAX} bytes"))
}

fn uri_too_long(detail: impl Into<String>) -> Problem {
    Problem::new(problem_kinds::URI_TOO_LONG, detail)
}

/// The answer of one of the host's own paths, or of the page at a path. `None` for any other path.
pub(crate) fn own<B>(
    request: &Request<B>,
    page: Option<&Page>,
    stopping: bool,
    trace_id: TraceId,
) -> Option<Response<Full<Bytes>>> {
    let (method, path) = (request.method(), request.uri().path());
    // This request is about the host as a whole (RFC 9110, section 9.3.7).
    if method == Method::OPTIONS && path == "*" {
        return Some(allow("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"));
    }
    if let Some(page) = page {
        return Some(read_only(method, trace_id).unwrap_or_else(|| page.answer(request.headers())));
    }
    let name = match path.strip_prefix(HOST_PATHS) {
        Some(name) => name,
        None if HEALTH_ALIASES.contains(&path) || is_page(path) => path,
        None => return None,
    };
    let (status, text) = match name {
        "/live" | "/healthz" => (StatusCode::OK, "live\n".to_owned()),
        "/ready" | "/readyz" if stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        "/ready" | "/readyz" => readiness(&supervise::down()),
        _ => {
            let problem = Problem::new(problem_kinds::NOT_FOUND, "the host has no such page");
            return Some(problem_response(&problem, trace_id));
        }
    };
    if let Some(response) = read_only(method, trace_id) {
        return Some(response);
    }
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Some(response)
}

/// Whether the host is ready. If not, the body lists what should run and does not, one per line.
fn readiness(down: &[String]) -> (StatusCode, String) {
    if down.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let lines = down.iter().map(|name| format!("{name} does not run\n"));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
}

/// The answer of a page to any method except GET and HEAD. None for these two.
fn read_only(method: &Method, trace_id: TraceId) -> Option<Response<Full<Bytes>>> {
    const ALLOWED: &str = "GET, HEAD, OPTIONS";
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(allow(ALLOWED)),
        _ => {
            let detail = format!("this page takes {ALLOWED}");
            let problem = Problem::new(problem_kinds::METHOD_NOT_ALLOWED, detail);
            let mut response = problem_response(&problem, trace_id);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
            Some(response)
        }
    }
}

fn allow(methods: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
