//! OpenAPI 3.1 documents (<https://spec.openapis.org/oas/v3.1.1.html>), built from the components' descriptions.
//!
//! A component serves what it describes: the SDK builds both from the same types and routes, so a document can't drift from the code. The
//! parts that the host adds to every operation (tokens, positions, idempotency keys, its own problems) are added here, once.
//!
//! - A document contains an operation if requests can reach it, that is, if the manifest's routes lead to this service with its path.
//! - A schema with a `title` belongs to a named type. It occurs once, in `components/schemas`. If types of two services have the same name
//!   and differ, the second one gets its service's name as a prefix.
//! - An answer that has an `id` has links to the operations that have that id in their path.
//! - No two schemas have names that a client generator would treat as the same: see [`names`].
//! - `info.version` is that of the manifest: package managers accept only a semantic version. `info.x-bulkhead-document` is a digest of
//!   everything else, without the version: it changes exactly when the interface changes.
//! - [`v3_0`] builds the same document in OpenAPI 3.0.
//!
//! Left out on purpose: 405, 408, 414 and 431, because a client that follows the document and sends its request without delay never gets
//! them. Also OPTIONS and HEAD, because every path has OPTIONS and every GET has HEAD. Problems that only the host or chance can change are
//! listed together, under `5XX`.

mod common;
mod links;
mod mistakes;
mod names;
mod operation;
mod schemas;
#[cfg(test)]
mod tests;
mod v3_0;

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::description::Route;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use self::mistakes::mistakes;
use self::names::Names;
use self::schemas::Schemas;
pub(crate) use self::v3_0::convert as to_3_0;

/// The member of `info` with the digest of the document.
const DIGEST: &str = "x-bulkhead-document";
/// The number of hexadecimal digits of it.
const DIGEST_DIGITS: usize = 12;

/// What a document says about itself.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its title.
    pub title: &'a str,
    /// The version of the interface.
    pub version: &'a semver::Version,
    /// The host checks tokens.
    pub has_tokens: bool,
}

/// A service, as far as its interface is concerned.
#[derive(Debug, Clone)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// One sentence.
    pub summary: &'a str,
    /// The operations that requests to this service can reach.
    pub operations: Vec<&'a Route>,
}

/// The document of these services.
#[must_use]
pub fn document(about: About<'_>, services: &[Described<'_>]) -> Value {
    let operations = operations(services);
    let tags = services.iter().filter(|service| !service.operations.is_empty());
    let ids = operations.iter().map(|(id, ..)| id.as_str());
    let mut schemas = Schemas::new(Names::new(tags.clone().map(|service| service.name), ids));
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (id, route, service) in &operations {
        let can_be_got = operations
            .iter()
            .any(|(_, get, of)| get.method == "GET" && get.path == route.path && of.name == service.name);
        let operation =
            operation::operation(id, route, service.name, can_be_got, about.has_tokens, &mut schemas);
        paths.entry(&route.path).or_default().insert(route.method.to_ascii_lowercase(), operation);
    }
    links::add(&mut paths, services);
    let tags: Vec<Value> =
        tags.map(|service| json!({"name": service.name, "description": service.summary})).collect();
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {"title": about.title, "description": common::DESCRIPTION, "version": ""},
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": common::components(about.has_tokens, schemas.into_components()),
    });
    let digest: String =
        Sha256::digest(document.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.insert("version".to_owned(), Value::from(about.version.to_string()));
        info.insert(DIGEST.to_owned(), Value::from(digest.get(..DIGEST_DIGITS).unwrap_or_default()));
    }
    document
}

/// The operations of a document, with their ids.
fn operations<'a>(services: &'a [Described<'a>]) -> Vec<(String, &'a Route, &'a Described<'a>)> {
    let mut ids = BTreeSet::new();
    let all = services
        .iter()
        .flat_map(|service| service.operations.iter().map(move |route| (*route, service)))
        .filter(|(route, _)| is_shown(route));
    all.map(|(route, service)| (free_id(&mut ids, route), route, service)).collect()
}

/// No document describes OPTIONS and HEAD: see above.
fn is_shown(route: &Route) -> bool {
    !matches!(route.method.as_str(), "HEAD" | "OPTIONS")
}

/// An id for an operation. No other operation has it, even if case is ignored: paths may differ only in punctuation.
fn free_id(ids: &mut BTreeSet<String>, route: &Route) -> String {
    let id = operation::operation_id(&route.method, &route.path);
    let numbered = (2..).map(|number| format!("{id}{number}"));
    let is_free = |id: &String| !ids.contains(&id.to_ascii_lowercase());
    let free = std::iter::once(id.clone()).chain(numbered).find(is_free).unwrap_or(id);
    ids.insert(free.to_ascii_lowercase());
    free
}
