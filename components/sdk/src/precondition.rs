//! Conditional requests (RFC 9110, section 13). The answer of a GET has an `ETag`. A client sends it back as `If-None-Match` to get the
//! thing only if it has changed since (304), or as `If-Match` to change the thing only if it has not changed (412).
//!
//! - The tag is strong: it is computed from every byte of the representation, so that no service has to keep a version.
//! - A client that changes a thing names the tag of what a GET of the same path returns. The SDK asks the handler of that same GET, within
//!   the unit of work of the change. Nobody else can write in between, so no update is lost.
//! - What the arguments of a handler refuse is refused as it would be without the condition: a client that a route does not answer learns
//!   nothing, a body that is wrong is reported as such, and what does not exist is 404 (section 13.2.1). What a handler itself refuses
//!   comes after the condition.
//! - An answer that says `Cache-Control: no-store` has no tag.
//! - A PUT or PATCH that answers 200 with a body answers with what a GET of the path returns now, and has the tag of that.
//! - On a POST a condition means nothing: what it creates is at another path.
//!
//! The consequence for a handler of PUT, PATCH or DELETE: with a condition the handler holds the writer lease from its beginning; without
//! one it takes the lease at its first statement. So the handler must neither compute for long nor call another service, which is refused
//! under the lease.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::context::{Context, Request};
use crate::database::Reads;
use crate::encoding::base64url_encode;
use crate::problem::{Problem, Result};
use crate::response::Response;

const IF_MATCH: &str = "if-match";
const IF_NONE_MATCH: &str = "if-none-match";
/// The headers that an answer 304 keeps from the answer that it replaces (RFC 9110, section 15.4.5).
const KEPT_HEADERS: [&str; 5] = ["cache-control", "content-location", "etag", "expires", "vary"];

/// Whether a request only reads.
fn is_read(request: &Request) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
}

/// The tag of a representation: 128 bits of SipHash-1-3 (<https://www.aumasson.jp/siphash/>) in base64url. It tells versions of one thing
/// apart; it does not keep a secret.
fn tag_of(body: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    format!("\"{}\"", base64url_encode(&hasher.finish128().as_bytes()))
}

/// Adds the tag if the answer is a representation of the thing at the request's path, or of a new thing at its `Location`.
pub(crate) fn tagged(request: &Request, response: Response) -> Response {
    let representation = match (request.method.as_str(), response.status) {
        ("GET" | "HEAD" | "PATCH" | "PUT", 200) | (_, 201) => !response.body.is_empty(),
        _ => false,
    };
    if !representation || response.find("etag").is_some() || is_not_kept(&response) {
        return response;
    }
    let tag = tag_of(&response.body);
    let response = response.with_header("etag", tag);
    if is_read(request) || request.method == "POST" {
        return response;
    }
    // This header says that the body is what a GET of the path returns now, and that the tag is the tag of the body. A tag alone would mean
    // that what was sent is stored as it is (RFC 9110, sections 8.7 and 9.3.4).
    let path = request.path.clone();
    response.with_header("content-location", path)
}

fn is_not_kept(response: &Response) -> bool {
    let mut lines =
        response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("cache-control"));
    lines.any(|line| {
        let directives = String::from_utf8_lossy(&line.value);
        directives.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
    })
}

/// The answer to a GET or HEAD under the conditions of its request.
pub(crate) fn read_under(request: &Request, response: Response) -> Result<Response> {
    if !is_read(request) || response.status != 200 {
        return Ok(response);
    }
    let tag = response.find("etag");
    if let Some(wanted) = Condition::read(request, IF_MATCH)
        && !wanted.is_met_strongly(tag)
    {
        return Err(changed(&wanted));
    }
    match Condition::read(request, IF_NONE_MATCH) {
        Some(known) if known.is_met_weakly(tag) => {
            let mut not_modified = Response::new(304);
            not_modified.headers = response
                .headers
                .into_iter()
                .filter(|header| KEPT_HEADERS.contains(&header.name.as_str()))
                .collect();
            Ok(not_modified)
        }
        _ => Ok(response),
    }
}

fn changed(wanted: &Condition<'_>) -> Problem {
    Problem::precondition_failed(match wanted {
        Condition::Malformed => {
            "If-Match is not a list of entity tags: send what a header ETag gave, with its quotes"
        }
        _ => {
            "it is not, or no longer, what If-Match names: get it again, and see whether the change is still wanted"
        }
    })
}

/// What the conditions of a request that may change something say about the current thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// They say nothing, or what is true.
    Met,
    /// They say that there is something, and nothing can be seen there.
    NothingThere,
}

impl Precondition {
    /// Compares the conditions with the current thing, in the unit of work. Call this when nothing else speaks against the request, and
    /// before its handler runs. An error if the conditions are not met.
    pub(crate) fn of(context: &Context<'_>) -> Result<Self> {
        let request = context.request;
        if !matches!(request.method.as_str(), "PUT" | "PATCH" | "DELETE") {
            return Ok(Self::Met);
        }
        let (wanted, unwanted) =
            (Condition::read(request, IF_MATCH), Condition::read(request, IF_NONE_MATCH));
        if wanted.is_none() && unwanted.is_none() {
            return Ok(Self::Met);
        }
        if unwanted == Some(Condition::Malformed) {
            let detail = "If-None-Match is neither * nor a list of entity tags, each with its quotes";
            return Err(Problem::precondition_failed(detail));
        }
        let current = current(context)?;
        if let (Some(unwanted), Current::There(tag)) = (&unwanted, &current)
            && unwanted.is_met_weakly(tag.as_deref())
        {
            let detail = "there already is what If-None-Match says there is not";
            return Err(Problem::precondition_failed(detail));
        }
        match (wanted, current) {
            (None, _) => Ok(Self::Met),
            (Some(wanted), Current::There(tag)) if wanted.is_met_strongly(tag.as_deref()) => Ok(Self::Met),
            (Some(wanted), Current::There(_)) => Err(changed(&wanted)),
            (Some(_), Current::NotToBeSeen) => Ok(Self::NothingThere),
            (Some(_), Current::NeverSeen) => {
                let detail = "nothing can be got at this path, so If-Match can name nothing there";
                Err(Problem::precondition_failed(detail))
            }
        }
    }

    /// The handler's answer, unless the handler did what it should do only to something that exists.
    pub(crate) fn allow(self, response: Response) -> Result<Response> {
        if self == Self::NothingThere && response.status < 400 {
            return Err(Problem::precondition_failed("there is nothing yet that If-Match could name"));
        }
        Ok(response)
    }
}

/// What is at a path, for the client that asks.
enum Current {
    /// A representation, with its tag if it has one.
    There(Option<Vec<u8>>),
    /// Nothing that a GET by this client would return.
    NotToBeSeen,
    /// The path has no GET.
    NeverSeen,
}

/// What a GET of the path would return, within the unit of work.
fn current(context: &Context<'_>) -> Result<Current> {
    let request = context.request;
    let get = Request {
        method: "GET".to_owned(),
        path: request.path.clone(),
        query: None,
        route: request.route.clone(),
        headers: Vec::new(),
        body: Vec::new(),
        principal: request.principal.clone(),
        peer: request.peer.clone(),
        caller: request.caller.clone(),
        trace_id: request.trace_id.clone(),
    };
    match context.routes.answer(&get, Reads::UnitOfWork) {
        Ok(response) if response.status == 200 => {
            let response = tagged(&get, response);
            Ok(Current::There(response.find("etag").map(<[u8]>::to_vec)))
        }
        Err(problem) if problem.status() >= 500 => Err(problem),
        Err(problem) if problem.status() == 405 => Ok(Current::NeverSeen),
        Err(problem) if matches!(problem.status(), 401 | 403 | 404 | 410) => Ok(Current::NotToBeSeen),
        // There is something without a known tag: it may have no body, or need a query.
        Ok(_) | Err(_) => Ok(Current::There(None)),
    }
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
enum Condition<'r> {
    /// `*`: anything that exists.
    Any,
    /// Any of these, each with its quotes, and whether it is weak.
    Tags(Vec<(bool, &'r [u8])>),
    /// Neither: nothing matches it.
    Malformed,
}

impl<'r> Condition<'r> {
    /// Reads it, also from several lines; none if the request has none.
    fn read(request: &'r Request, name: &str) -> Option<Self> {
        let mut tags = None;
        for header in request.headers.iter().filter(|header| header.name == name) {
            let value = header.value.trim_ascii();
            if value == b"*" {
                return Some(Self::Any);
            }
            if read_tags(value, tags.get_or_insert_default()).is_none() {
                return Some(Self::Malformed);
            }
        }
        tags.map(|tags| if tags.is_empty() { Self::Malformed } else { Self::Tags(tags) })
    }

    /// By the strong comparison (RFC 9110, section 8.8.3.2): neither tag is weak.
    fn is_met_strongly(&self, tag: Option<&[u8]>) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|(weak, named)| !weak && Some(*named) == tag),
            Self::Malformed => false,
        }
    }

    /// By the weak comparison.
    fn is_met_weakly(&self, tag: Option<&[u8]>) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => {
                let tag = tag.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag));
                tags.iter().any(|(_, named)| Some(*named) == tag)
            }
            Self::Malformed => false,
        }
    }
}

/// Reads `1#entity-tag` (RFC 9110, sections 5.6.1 and 8.8.3); none if it is malformed.
fn read_tags<'r>(mut value: &'r [u8], tags: &mut Vec<(bool, &'r [u8])>) -> Option<()> {
    loop {
        value = value.trim_ascii_start();
        if let Some(rest) = value.strip_prefix(b",") {
            value = rest;
            continue;
        }
        if value.is_empty() {
            return Some(());
        }
        let (weak, tag) = match value.strip_prefix(b"W/") {
            Some(tag) => (true, tag),
            None => (false, value),
        };
        let length = tag.strip_prefix(b"\"")?.iter().position(|byte| *byte == b'"')?;
        let (tag, rest) = tag.split_at_checked(length + 2)?;
        let is_allowed = |byte: &u8| matches!(*byte, 0x21 | 0x23..=0x7e | 0x80..);
        let opaque = tag.get(1..length + 1)?;
        if !opaque.iter().all(is_allowed) {
            return None;
        }
        tags.push((weak, tag));
        value = rest.trim_ascii_start();
        if !value.is_empty() {
            value = value.strip_prefix(b",")?;
        }
    }
}

#[cfg(test)]
mod tests;
