//! The page of problem codes: the target of `type` in problem documents, and `docs/problems.md`.
//!
//! The problem kinds of the host and of the SDK are in one table, [`STANDARD`]. A service's own kinds are in its description. In the whole
//! application a code means one kind, whichever service answers with it. Two kinds with one code are [`clashes`], and the application does
//! not start.

mod html;
mod markdown;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::Description;
use bulkhead_runtime::description::Problem;
use bulkhead_runtime::problem_kinds::{self, ProblemKind};

pub use self::html::html;
pub use self::markdown::markdown;

/// A kind of problem of the host or of the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardProblem {
    /// The HTTP status.
    pub status: u16,
    /// For programs. It never changes its meaning.
    pub code: &'static str,
    /// What it means and what to do, for authors of clients. Text between backticks is code.
    pub meaning: &'static str,
}

/// A kind that the host answers with. The SDK may use it too.
const fn hosts(kind: ProblemKind, meaning: &'static str) -> StandardProblem {
    StandardProblem { status: kind.status(), code: kind.code(), meaning }
}

/// A kind that only the SDK uses.
const fn sdks(status: u16, code: &'static str, meaning: &'static str) -> StandardProblem {
    StandardProblem { status, code, meaning }
}

/// Every kind of problem that the host or the SDK answers with, by status.
pub const STANDARD: [StandardProblem; 34] = [
    hosts(
        problem_kinds::MALFORMED_REQUEST,
        "The request is not valid HTTP: its target, `Host`, another header, or how its body is framed. `detail` says what.",
    ),
    sdks(400, "malformed-json", "The body is not valid JSON, or not UTF-8."),
    hosts(
        problem_kinds::INVALID_POSITION,
        "`Bulkhead-After` names what is no position of a log here, or one ahead of it: send what a header `Bulkhead-Position` gave.",
    ),
    hosts(
        problem_kinds::INVALID_IDEMPOTENCY_KEY,
        "`Idempotency-Key` is one header of 1 to 255 visible characters.",
    ),
    sdks(
        401,
        "unauthenticated",
        "The operation wants to know who asks, and the request does not say: send `Authorization: Bearer TOKEN`.",
    ),
    hosts(
        problem_kinds::INVALID_TOKEN,
        "The request has a token, and the token is not good: `detail` says why. Get another, or send none. On the admin port: the \
         token is missing, or is not the host's.",
    ),
    hosts(problem_kinds::FORBIDDEN, "The caller may not do this."),
    hosts(
        problem_kinds::NOT_FOUND,
        "There is no such path or thing, or it is not for this client to know of.",
    ),
    hosts(problem_kinds::METHOD_NOT_ALLOWED, "The path has other methods: see `Allow`."),
    hosts(problem_kinds::REQUEST_TIMEOUT, "The body did not come in time."),
    hosts(problem_kinds::CONFLICT, "A constraint of the data refused the change; `constraint` may name it."),
    hosts(
        problem_kinds::BUSY,
        "On the admin port: a deploy, a reload, a check or a rebuild runs, and there is one at a time. Try again when it has ended.",
    ),
    hosts(
        problem_kinds::NOT_DEAD,
        "On the admin port: the event is parked and tried again by itself. Only a dead letter can be dropped.",
    ),
    hosts(
        problem_kinds::NOT_REBUILDABLE,
        "On the admin port: the service owns data, which no log has. Only one that the manifest calls `rebuildable` can be rebuilt.",
    ),
    hosts(
        problem_kinds::PAUSE_TOO_LONG,
        "On the admin port: requests would wait for the migrations for longer than they may, or more of them than there is room for. The \
         version before serves on. Allow the pause, or have the migrations do less at a time.",
    ),
    hosts(
        problem_kinds::DRAIN_TIMEOUT,
        "On the admin port: handlers of the version that serves did not end in time for the switch. It serves on. Try again.",
    ),
    hosts(
        problem_kinds::IDEMPOTENCY_ANSWER_NOT_KEPT,
        "The same request with this `Idempotency-Key` took effect before, and its answer said that nobody may keep it. Look at what is \
         there, or do it once more with another key.",
    ),
    sdks(
        412,
        "precondition-failed",
        "What `If-Match` or `If-None-Match` asks for is not so: the thing has changed, or is gone, or is there already. Get it again, \
         and see whether the change is still wanted.",
    ),
    hosts(problem_kinds::PAYLOAD_TOO_LARGE, "The body has more bytes than the service takes."),
    hosts(
        problem_kinds::URI_TOO_LONG,
        "The path, or the whole target with its query, has more bytes than the host takes.",
    ),
    sdks(
        415,
        "unsupported-media-type",
        "A body is `application/json`, and sent as it is, without a `Content-Encoding`.",
    ),
    hosts(
        problem_kinds::INVALID,
        "Something in the body or the query can't be: `errors` lists all of it, each with its `field`.",
    ),
    hosts(
        problem_kinds::DEPLOY_REFUSED,
        "On the admin port: the component, its migrations or what the manifest grants it are wrong: `detail` says what. The version \
         before serves on.",
    ),
    hosts(
        problem_kinds::RELOAD_REFUSED,
        "On the admin port: what has changed in the manifest can't be: `detail` says what. All is as it was.",
    ),
    hosts(
        problem_kinds::IDEMPOTENCY_KEY_REUSED,
        "Another request was made with this `Idempotency-Key`. Give each request a key of its own, and repeat one unchanged.",
    ),
    hosts(problem_kinds::HEADERS_TOO_LARGE, "The headers have more bytes than the host takes."),
    hosts(
        problem_kinds::SERVICE_FAILED,
        "The service failed. Nothing that it wrote was kept. The log has the reason under `trace_id`.",
    ),
    hosts(
        problem_kinds::NOT_IMPLEMENTED,
        "The request has a method or a transfer coding that the host does not know. A body may be `chunked`, and no more.",
    ),
    hosts(
        problem_kinds::UNAVAILABLE,
        "There is no room or the change could not be committed: nothing was done. Try again after the seconds of `Retry-After`.",
    ),
    hosts(
        problem_kinds::OUTCOME_UNKNOWN,
        "The commit failed or did not end in time, and nobody can say whether the change was made. Repeat the request with the same \
         `Idempotency-Key`: its effects are those of one. Without a key, look whether the change is there first. On the admin port: `detail` \
         says which version serves, and what may be otherwise after a crash.",
    ),
    hosts(
        problem_kinds::EVENT_PARKED,
        "The service could not apply an event that the position in `Bulkhead-After` rests on: it is tried again later, or an operator \
         is to look at it. Try again after the seconds of `Retry-After`.",
    ),
    hosts(
        problem_kinds::DEADLINE_EXCEEDED,
        "The service did not finish in time. Nothing that it wrote was kept.",
    ),
    hosts(
        problem_kinds::POSITION_TIMEOUT,
        "The service did not apply what `Bulkhead-After` names in time. Nothing was done. Try again.",
    ),
    hosts(problem_kinds::STORAGE_FULL, "The service's database is full. Nothing was written."),
];

/// The text above the tables, one paragraph each.
const INTRODUCTION: [&str; 2] = [
    "An answer of 400 or above has a problem document (RFC 9457, `application/problem+json`). Its `type` leads to the code on the page \
     `/.well-known/bulkhead/problems`; `code` is for programs and keeps its meaning; `detail` is for people; `trace_id` is what the log \
     has the request under.",
    "A service has codes of its own beside those that any may answer with.",
];

/// The standard that the introduction names, and its address.
const STANDARD_DOCUMENT: (&str, &str) = ("RFC 9457", "https://www.rfc-editor.org/rfc/rfc9457");

/// The title of the table of the standard kinds.
const EVERYWHERE: &str = "The host and every service";

/// The text in place of a service's table, if the service has no kinds of its own.
const NONE: &str = "It has no codes of its own.";

/// A problem kind of a service's own.
struct Own<'d> {
    kind: &'d Problem,
    /// The operations that may answer with it: the method and the path.
    operations: Vec<String>,
}

/// A service's own kinds, each once, by status and code.
fn own(description: &Description) -> Vec<Own<'_>> {
    let mut kinds: BTreeMap<&str, Own<'_>> = BTreeMap::new();
    for route in &description.routes {
        let operation = format!("{} {}", route.method, route.path);
        for kind in &route.problems {
            let own = kinds.entry(&kind.code).or_insert(Own { kind, operations: Vec::new() });
            if !own.operations.contains(&operation) {
                own.operations.push(operation.clone());
            }
        }
    }
    let mut kinds: Vec<Own<'_>> = kinds.into_values().collect();
    kinds.sort_by_key(|own| own.kind.status);
    kinds
}

/// Finds two problem kinds with one code. Returns the service that must change its kind, and the reason, as a fragment that says what to
/// do.
///
/// Two services may have exactly the same kind: then a client can treat both alike.
#[must_use]
pub fn clashes<'d>(
    described: impl IntoIterator<Item = (&'d str, &'d Description)>,
) -> Vec<(&'d str, String)> {
    let mut found = Vec::new();
    let mut first: BTreeMap<&str, (&str, &Problem)> = BTreeMap::new();
    let mut reported = BTreeSet::new();
    for (service, description) in described {
        for kind in description.routes.iter().flat_map(|route| &route.problems) {
            let code = kind.code.as_str();
            let (other, known) = *first.entry(code).or_insert((service, kind));
            let is_standard = STANDARD.iter().any(|standard| standard.code == code);
            let is_same = known.status == kind.status && known.description == kind.description;
            if (is_same && !is_standard) || !reported.insert((service, code)) {
                continue;
            }
            let differs = if known.status == kind.status {
                "whose description is another".to_owned()
            } else {
                format!("whose status is {} and not {}", known.status, kind.status)
            };
            let why = if is_standard {
                format!(
                    "its problem {code:?} has the code of one of the host's or the SDK's; give it another code"
                )
            } else if other == service {
                format!(
                    "its problem {code:?} has the code of another of its problems, {differs}; give one of them another code"
                )
            } else {
                format!(
                    "its problem {code:?} has the code of one of {other}'s, {differs}; give it another code, or the status and the description of that one"
                )
            };
            found.push((service, why));
        }
    }
    found
}
