//! Problem documents (RFC 9457): the one form of every answer that is an error.
//!
//! What a client may read (`detail`) and what an operator reads (in a log line) are two fields: only [`Problem::internal`] and similar
//! functions take the second, and it never leaves the service.

use std::borrow::Cow;
use std::fmt;

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::invalid::{Errors, FieldError};
use crate::response::{Effects, Response};

/// The result of a handler.
pub type Result<T, E = Problem> = core::result::Result<T, E>;

/// An answer that is an error. By default its unit of work is rolled back.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

/// A kind of problem: see [`problems!`](crate::problems).
#[derive(Debug, Clone, Copy)]
pub struct ProblemKind {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) description: &'static str,
    /// It belongs to a service, and is not one with which any operation may answer.
    pub(crate) is_own: bool,
}

impl ProblemKind {
    /// A kind of a service's own. [`problems!`](crate::problems) expands to it. It has the reasons why a code or a status does not compile.
    pub const fn own(status: u16, code: &'static str, description: &'static str) -> Self {
        assert!(400 <= status && status < 600, "the status of a problem is from 400 to 599");
        assert!(is_kebab(code.as_bytes()), "the code of a problem is in lower case with hyphens");
        Self { status, code, description: description.trim_ascii(), is_own: true }
    }

    const fn standard(status: u16, code: &'static str) -> Self {
        Self { status, code, description: "", is_own: false }
    }
}

const fn is_kebab(mut text: &[u8]) -> bool {
    let mut after_hyphen = true;
    while let [byte, rest @ ..] = text {
        match *byte {
            b'a'..=b'z' | b'0'..=b'9' => after_hyphen = false,
            b'-' if !after_hyphen => after_hyphen = true,
            _ => return false,
        }
        text = rest;
    }
    !after_hyphen
}

/// Defines the kinds of problem that are a service's own: a constant for each, with its status, its code, and a doc comment that tells the
/// authors of clients what it means and what to do. [`Problem::of`] makes a problem from one. With
/// [`Service::answers_with`](crate::Service::answers_with) a route declares which kinds it may answer with, and the description gets them
/// from there.
///
/// ```
/// use bulkhead_sdk::{NoContent, Problem, Result, Service};
///
/// bulkhead_sdk::problems! {
///     /// Another account has this name: choose one that is free.
///     pub NAME_TAKEN = 409 "name-taken"
/// }
///
/// fn register() -> Result<NoContent> {
///     Err(Problem::of(NAME_TAKEN, "another account has this name"))
/// }
/// # let _ =
/// Service::new("Accounts.").post("/accounts", "Registers.", register).answers_with(&[NAME_TAKEN])
/// # ;
/// ```
#[macro_export]
macro_rules! problems {
    ($( $(#[doc = $doc:literal])+ $visibility:vis $name:ident = $status:literal $code:literal )+) => { $(
        $(#[doc = $doc])+
        $visibility const $name: $crate::ProblemKind =
            $crate::ProblemKind::own($status, $code, concat!($($doc),+));
    )+ };
}

#[derive(Debug, Clone)]
struct Inner {
    kind: ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(&'static str, String)>,
    for_the_operator: Option<String>,
    effects: Effects,
}

/// Where the code's page is.
const TYPE_PREFIX: &str = "/.well-known/bulkhead/problems#";

/// How long a client is asked to wait before it tries again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

impl Problem {
    /// A problem of a kind of the service's own. The detail is a fragment that a client may read: what is the case here.
    pub fn of(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            members: Vec::new(),
            headers: Vec::new(),
            for_the_operator: None,
            effects: Effects::ByStatus,
        }))
    }

    /// A problem with which any operation may answer.
    fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ProblemKind::standard(status, code), detail)
    }

    /// 400: the body is not JSON.
    pub fn malformed_json(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "malformed-json", detail)
    }

    /// 401: the request needs credentials.
    pub fn unauthenticated() -> Self {
        Self::new(401, "unauthenticated", "this needs a valid token")
            .with_header("www-authenticate", "Bearer")
    }

    /// 403: the credentials do not suffice.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, "forbidden", detail)
    }

    /// 404: there is no such thing, or this client may not know of it.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, "not-found", detail)
    }

    /// 405: the path has other methods.
    pub fn method_not_allowed(allow: String) -> Self {
        Self::new(405, "method-not-allowed", format!("this path takes {allow}")).with_header("allow", allow)
    }

    /// 409: a constraint of the data refused the change, and the service has no kind of its own for this.
    pub(crate) fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, "conflict", detail)
    }

    /// 412: what `If-Match` or `If-None-Match` asks for is not true.
    pub(crate) fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(412, "precondition-failed", detail)
    }

    /// 415: the body is of another type.
    pub fn unsupported_media_type() -> Self {
        Self::new(415, "unsupported-media-type", "the body must be of the type application/json")
            .with_header("accept", "application/json")
    }

    /// 415: the body is compressed, or encoded in another way.
    pub(crate) fn unsupported_content_encoding() -> Self {
        Self::new(415, "unsupported-media-type", "the body must be sent as it is, without a Content-Encoding")
            .with_header("accept-encoding", "identity")
    }

    /// 422: everything that is wrong with the request.
    pub fn invalid(errors: Errors) -> Self {
        let mut problem = Self::new(422, "invalid", "the request has values that are not allowed");
        problem.0.errors = errors.into_found();
        problem
    }

    /// 422 with one error.
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        let mut errors = Errors::default();
        errors.add_at(field, message);
        Self::invalid(errors)
    }

    /// 500: nothing that the client can change. The text goes into a log line.
    pub fn internal(for_the_operator: impl Into<String>) -> Self {
        Self::new(500, "internal", "the service failed; the operator finds why in the log by the trace id")
            .for_the_operator(for_the_operator)
    }

    /// 503 with `Retry-After`: it helps to try again.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(503, "unavailable", detail).with_header("retry-after", RETRY_AFTER_SECONDS.to_string())
    }

    /// 504: the request's deadline passed.
    pub fn deadline_exceeded() -> Self {
        Self::new(504, "deadline-exceeded", "the request took longer than it may")
    }

    /// 507: the service's database has no room left.
    pub fn storage_full() -> Self {
        Self::new(507, "storage-full", "there is no room left to store this")
    }

    /// Adds a member of the problem's own, for example `constraint`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Adds text that is only for a log line.
    #[must_use]
    pub fn for_the_operator(mut self, text: impl Into<String>) -> Self {
        self.0.for_the_operator = Some(text.into());
        self
    }

    /// Sets what becomes of the unit of work: a refusal that must be remembered commits.
    #[must_use]
    pub fn with_effects(mut self, effects: Effects) -> Self {
        self.0.effects = effects;
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.kind.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.kind.code
    }

    /// The problem is of a kind of the service's own.
    pub(crate) fn is_own(&self) -> bool {
        self.0.kind.is_own
    }

    /// What is wrong, field by field.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Combines two problems of one request. If both are about invalid input, the result has the errors of both. Otherwise the result is
    /// the first, unless only the first is about invalid input: then the result is the second.
    pub(crate) fn and(mut self, other: Problem) -> Problem {
        match (self.code(), other.code()) {
            ("invalid", "invalid") => {
                self.0.errors.extend(other.0.errors);
                self
            }
            ("invalid", _) => other,
            _ => self,
        }
    }

    /// The answer. What is for the operator goes into a log line.
    pub fn into_response(self, trace_id: &str) -> Response {
        if let Some(text) = &self.0.for_the_operator {
            crate::log::error(text, &[("code", &self.0.kind.code)]);
        }
        let body = serde_json::to_vec(&Document { problem: &self.0, trace_id }).unwrap_or_default();
        let mut response = Response::new(self.0.kind.status)
            .with_header("content-type", "application/problem+json")
            .with_body(body)
            .with_effects(self.0.effects);
        for (name, value) in self.0.headers {
            response = response.with_header(name, value);
        }
        response
    }
}

/// For the operator, and never for a client: it includes the text that is only for a log line.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.kind.code, self.0.detail)?;
        for error in &self.0.errors {
            write!(formatter, "; {} {}", error.field, error.message)?;
        }
        self.0.for_the_operator.iter().try_for_each(|text| write!(formatter, "; {text}"))
    }
}

struct Document<'p> {
    problem: &'p Inner,
    trace_id: &'p str,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("{TYPE_PREFIX}{}", self.problem.kind.code))?;
        map.serialize_entry("title", &title(self.problem.kind.code))?;
        map.serialize_entry("status", &self.problem.kind.status)?;
        map.serialize_entry("detail", &self.problem.detail)?;
        map.serialize_entry("code", self.problem.kind.code)?;
        map.serialize_entry("trace_id", self.trace_id)?;
        if !self.problem.errors.is_empty() {
            map.serialize_entry("errors", &FieldErrors(&self.problem.errors))?;
        }
        for (name, value) in &self.problem.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct FieldErrors<'p>(&'p [FieldError]);

impl Serialize for FieldErrors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.0.len()))?;
        for error in self.0 {
            sequence.serialize_element(error)?;
        }
        sequence.end()
    }
}

impl Serialize for FieldError {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("field", &self.field)?;
        map.serialize_entry("message", &self.message)?;
        map.end()
    }
}

/// The title for a code: `slug-taken` is "Slug taken".
fn title(code: &str) -> Cow<'static, str> {
    match code {
        "malformed-json" => Cow::Borrowed("Malformed JSON"),
        _ => {
            let words = code.replace('-', " ");
            let mut letters = words.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            Cow::Owned(first.into_iter().chain(letters).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    crate::problems! {
        /// Another category has this slug:
        /// choose one that is free.
        SLUG_TAKEN = 409 "slug-taken"
    }

    fn document(problem: Problem) -> Value {
        serde_json::from_slice(&problem.into_response("0af7").body).expect("JSON")
    }

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_our_own() {
        let problem = Problem::of(SLUG_TAKEN, "another category has it").with("constraint", "category.slug");
        assert_eq!(
            document(problem),
            json!({
                "type": "/.well-known/bulkhead/problems#slug-taken",
                "title": "Slug taken",
                "status": 409,
                "detail": "another category has it",
                "code": "slug-taken",
                "trace_id": "0af7",
                "constraint": "category.slug",
            })
        );
    }

    #[test]
    fn a_problem_kind_is_described_by_its_doc_comment() {
        assert_eq!(SLUG_TAKEN.description, "Another category has this slug: choose one that is free.");
        assert!(SLUG_TAKEN.is_own && !Problem::unauthenticated().is_own());
        for (code, good) in
            [("a", true), ("a-b2", true), ("", false), ("-a", false), ("a--b", false), ("A", false)]
        {
            assert_eq!(is_kebab(code.as_bytes()), good, "{code:?}");
        }
    }

    #[test]
    fn invalid_lists_every_error() {
        let problem =
            Problem::invalid_field("name", "is missing").and(Problem::invalid_field("limit", "is wrong"));
        assert_eq!(
            document(problem)["errors"],
            json!([{"field": "name", "message": "is missing"}, {"field": "limit", "message": "is wrong"}])
        );
    }

    #[test]
    fn an_error_that_is_not_about_values_comes_first() {
        let problem = Problem::invalid_field("limit", "is wrong").and(Problem::malformed_json("no"));
        assert_eq!(problem.code(), "malformed-json");
    }

    #[test]
    fn the_text_for_the_operator_is_not_in_the_response() {
        let response = Problem::internal("no such table: secret").into_response("0af7");
        assert!(!String::from_utf8_lossy(&response.body).contains("secret"));
    }

    #[test]
    fn an_unavailable_problem_has_retry_after() {
        let response = Problem::unavailable("busy").into_response("0af7");
        assert!(response.headers.iter().any(|header| header.name == "retry-after" && header.value == b"1"));
    }
}
