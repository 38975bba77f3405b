//! The page of problem codes: where `type` of a problem document leads to, and `docs/problems.md`.
//!
//! The kinds of the host and of the SDK stand in one table, [`STANDARD`]; those of a service's own are in its description. A code stands
//! for one kind in all of an application, whoever answers with it: two kinds with one code are [`clashes`], and keep it from starting.

mod html;
mod markdown;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::Description;
use bulkhead_runtime::description::Problem;

pub use self::html::html;
pub use self::markdown::markdown;

/// A kind of problem of the host or of the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardProblem {
    /// The HTTP status.
    pub status: u16,
    /// For programs: never changes its meaning.
    pub code: &'static str,
    /// What it means and what to do, for whoever writes a client. What stands between backticks is code.
    pub meaning: &'static str,
}

const fn standard(status: u16, code: &'static str, meaning: &'static str) -> StandardProblem {
    StandardProblem { status, code, meaning }
}

/// Every kind of problem that the host or the SDK answers with, by status.
pub const STANDARD: [StandardProblem; 34] = [
    standard(
        400,
        "malformed-request",
        "The request is not valid HTTP: its target, `Host`, another header, or how its body is framed. `detail` says what.",
    ),
    standard(400, "malformed-json", "The body is not valid JSON, or not UTF-8."),
    standard(
        400,
        "invalid-position",
        "`Bulkhead-After` names what is no position of a log here, or one ahead of it: send what a header `Bulkhead-Position` gave.",
    ),
    standard(
        400,
        "invalid-idempotency-key",
        "`Idempotency-Key` is one header of 1 to 255 visible characters.",
    ),
    standard(
        401,
        "unauthenticated",
        "The operation wants to know who asks, and the request does not say: send `Authorization: Bearer TOKEN`.",
    ),
    standard(
        401,
        "invalid-token",
        "The request has a token, and the token is not good: `detail` says why. Get another, or send none. On the admin port: the \
         token is missing, or is not the host's.",
    ),
    standard(403, "forbidden", "Who asks may not do this."),
    standard(404, "not-found", "There is no such path or thing, or it is not for this client to know of."),
    standard(405, "method-not-allowed", "The path has other methods: see `Allow`."),
    standard(408, "request-timeout", "The body did not come in time."),
    standard(409, "conflict", "A constraint of the data refused the change; `constraint` may name it."),
    standard(
        409,
        "busy",
        "On the admin port: a deploy, a reload, a check or a rebuild runs, and there is one at a time. Try again when it has ended.",
    ),
    standard(
        409,
        "not-dead",
        "On the admin port: the event is parked and tried again by itself. Only a dead letter can be dropped.",
    ),
    standard(
        409,
        "not-rebuildable",
        "On the admin port: the service owns data, which no log has. Only one that the manifest calls `rebuildable` can be rebuilt.",
    ),
    standard(
        409,
        "pause-too-long",
        "On the admin port: requests would wait for the migrations for longer than they may, or more of them than there is room for. The \
         version before serves on. Allow the pause, or have the migrations do less at a time.",
    ),
    standard(
        409,
        "drain-timeout",
        "On the admin port: handlers of the version that serves did not end in time for the switch. It serves on. Try again.",
    ),
    standard(
        409,
        "idempotency-answer-not-kept",
        "The same request with this `Idempotency-Key` took effect before, and its answer said that nobody may keep it. Look at what is \
         there, or do it once more with another key.",
    ),
    standard(
        412,
        "precondition-failed",
        "What `If-Match` or `If-None-Match` asks for is not so: the thing has changed, or is gone, or is there already. Get it again, \
         and see whether the change is still wanted.",
    ),
    standard(413, "payload-too-large", "The body has more bytes than the service takes."),
    standard(
        414,
        "uri-too-long",
        "The path, or the whole target with its query, has more bytes than the host takes.",
    ),
    standard(
        415,
        "unsupported-media-type",
        "A body is `application/json`, and sent as it is, without a `Content-Encoding`.",
    ),
    standard(
        422,
        "invalid",
        "Something in the body or the query can't be: `errors` lists all of it, each with its `field`.",
    ),
    standard(
        422,
        "deploy-refused",
        "On the admin port: the component, its migrations or what the manifest grants it are wrong: `detail` says what. The version \
         before serves on.",
    ),
    standard(
        422,
        "reload-refused",
        "On the admin port: what has changed in the manifest can't be: `detail` says what. All is as it was.",
    ),
    standard(
        422,
        "idempotency-key-reused",
        "Another request was made with this `Idempotency-Key`. Give each request a key of its own, and repeat one unchanged.",
    ),
    standard(431, "headers-too-large", "The headers have more bytes than the host takes."),
    standard(
        500,
        "internal",
        "The service failed. Nothing that it wrote was kept. The log has the reason under `trace_id`.",
    ),
    standard(
        501,
        "not-implemented",
        "The request has a method or a transfer coding that the host does not know. A body may be `chunked`, and no more.",
    ),
    standard(
        503,
        "unavailable",
        "There is no room or the change could not be committed: nothing was done. Try again after the seconds of `Retry-After`.",
    ),
    standard(
        503,
        "outcome-unknown",
        "The commit failed or did not end in time, and nobody can say whether the change was made. Repeat the request with the same \
         `Idempotency-Key`: its effects are those of one. Without a key, look whether the change is there first. On the admin port: `detail` \
         says which version serves, and what may be otherwise after a crash.",
    ),
    standard(
        503,
        "event-parked",
        "The service could not apply an event that the position in `Bulkhead-After` rests on: it is tried again later, or an operator \
         is to look at it. Try again after the seconds of `Retry-After`.",
    ),
    standard(504, "deadline-exceeded", "The service did not finish in time. Nothing that it wrote was kept."),
    standard(
        504,
        "position-timeout",
        "The service did not apply what `Bulkhead-After` names in time. Nothing was done. Try again.",
    ),
    standard(507, "storage-full", "The service's database is full. Nothing was written."),
];

/// What stands above the tables, a paragraph each.
const INTRODUCTION: [&str; 2] = [
    "An answer of 400 or above has a problem document (RFC 9457, `application/problem+json`). Its `type` leads to the code on the page \
     `/.well-known/bulkhead/problems`; `code` is for programs and keeps its meaning; `detail` is for people; `trace_id` is what the log \
     has the request under.",
    "A service has codes of its own beside those that any may answer with.",
];

/// What the introduction names, and where it is.
const STANDARD_DOCUMENT: (&str, &str) = ("RFC 9457", "https://www.rfc-editor.org/rfc/rfc9457");

/// The title of the table of the standard kinds.
const EVERYWHERE: &str = "The host and every service";

/// What stands in place of a service's table where it has no kinds of its own.
const NONE: &str = "It has no codes of its own.";

/// A kind of problem of a service's own.
struct Own<'d> {
    kind: &'d Problem,
    /// Those that may answer with it: the method and the path.
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

/// Where two kinds of problem have one code: the service whose kind it is to be changed, and why, as a fragment that says what to do.
///
/// Two services may have the very same kind: a client can treat both alike.
#[must_use]
pub fn clashes<'d>(
    described: impl IntoIterator<Item = (&'d str, &'d Description)>,
) -> Vec<(&'d str, String)> {
    let mut found = Vec::new();
    let mut first: BTreeMap<&str, (&str, &Problem)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (service, description) in described {
        for kind in description.routes.iter().flat_map(|route| &route.problems) {
            let code = kind.code.as_str();
            let (other, known) = *first.entry(code).or_insert((service, kind));
            let is_standard = STANDARD.iter().any(|standard| standard.code == code);
            let is_same = known.status == kind.status && known.description == kind.description;
            if (is_same && !is_standard) || !told.insert((service, code)) {
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
