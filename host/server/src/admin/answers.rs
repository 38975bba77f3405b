//! What the admin port answers, and its problems.

use bulkhead_runtime::Problem;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::Value;

pub(super) type Answered = Result<Response<Full<Bytes>>, Problem>;

/// Whether something is asked for: a word that is neither `true` nor `false` is not to have the effect of one of them.
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

/// The problem of what the host could not do. It is logged where the request is known.
pub(super) fn failed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(500, "internal", "The host failed", error.to_string())
}

pub(super) fn unknown(what: &str) -> Problem {
    Problem::new(404, "not-found", "Not found", what.to_owned())
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(422, "invalid", "Invalid", detail)
}
