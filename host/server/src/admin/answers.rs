//! The answers of the admin port, and its problems.

use bulkhead_runtime::{Problem, problem_kinds};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::Value;

pub(super) type Answered = Result<Response<Full<Bytes>>, Problem>;

/// The value of a flag. A value that is neither `true` nor `false` is an error: it must not act like one of them.
pub(super) fn flag<'p>(parameter: &dyn Fn(&str) -> Option<&'p str>, name: &str) -> Result<bool, Problem> {
    match parameter(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(invalid(format!("{name}: {other:?} is neither true nor false"))),
    }
}

pub(super) fn json_of(value: &Value) -> Answered {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The problem for an operation that the host could not do. It is logged where the request is known.
pub(super) fn failed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(problem_kinds::HOST_FAILED, error.to_string())
}

pub(super) fn unknown(what: &str) -> Problem {
    Problem::new(problem_kinds::NOT_FOUND, what.to_owned())
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(problem_kinds::INVALID, detail)
}
