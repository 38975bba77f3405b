//! OpenAPI 3.1 documents (<https://spec.openapis.org/oas/v3.1.1.html>), made from what the components say of themselves.
//!
//! What a component describes is what it serves: the SDK makes both of the same types and routes, so a document can't drift from the
//! code. What the host does for every operation (tokens, positions, idempotency keys, its own problems) is added here, once.
//!
//! - An operation is in a document if requests can reach it: if the manifest's routes lead to this service with its path.
//! - A schema with a `title` is that of a type with a name. It stands once, in `components/schemas`; where types of two services have one
//!   name and differ, the second has its service's before it.
//! - An answer that has an `id` has links to the operations that take that id in their path.
//! - `info.version` is a digest of all the rest: it changes exactly when the interface does.
//!
//! Left out on purpose: 405, 408, 414 and 431, which no client gets that keeps to the document and sends what it has to say at once, and
//! OPTIONS and HEAD, which every path and every GET has. What only the host or chance can change stands together, under `5XX`.

mod common;
mod links;
mod mistakes;
mod operation;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::description::Route;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use self::mistakes::mistakes;
use self::schemas::Schemas;

/// Hexadecimal digits of the version.
const VERSION_DIGITS: usize = 12;

/// A service, as far as its interface goes.
#[derive(Debug, Clone)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// One sentence.
    pub summary: &'a str,
    /// What requests to this service can reach.
    pub operations: Vec<&'a Route>,
}

/// The document of these services. `has_tokens` says whether the host checks tokens.
#[must_use]
pub fn document(title: &str, has_tokens: bool, services: &[Described<'_>]) -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for service in services {
        let gets: BTreeSet<&str> = service
            .operations
            .iter()
            .filter(|route| route.method == "GET")
            .map(|route| route.path.as_str())
            .collect();
        for route in service.operations.iter().filter(|route| is_shown(route)) {
            let can_be_got = gets.contains(route.path.as_str());
            let id = free_id(&mut ids, route);
            let operation =
                operation::operation(&id, route, service.name, can_be_got, has_tokens, &mut schemas);
            paths.entry(&route.path).or_default().insert(route.method.to_ascii_lowercase(), operation);
        }
    }
    links::add(&mut paths, services);
    let tags: Vec<Value> = services
        .iter()
        .filter(|service| !service.operations.is_empty())
        .map(|service| json!({"name": service.name, "description": service.summary}))
        .collect();
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {"title": title, "description": common::DESCRIPTION, "version": ""},
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": common::components(has_tokens, schemas.into_components()),
    });
    let digest: String =
        Sha256::digest(document.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    let version = digest.get(..VERSION_DIGITS).unwrap_or_default();
    if let Some(place) = document.pointer_mut("/info/version") {
        *place = Value::from(version);
    }
    document
}

/// OPTIONS and HEAD are described by no document: see above.
fn is_shown(route: &Route) -> bool {
    !matches!(route.method.as_str(), "HEAD" | "OPTIONS")
}

/// An id for an operation that no other one has: paths may differ in punctuation alone.
fn free_id(ids: &mut BTreeSet<String>, route: &Route) -> String {
    let id = operation::operation_id(&route.method, &route.path);
    let numbered = (2..).map(|number| format!("{id}{number}"));
    let free = std::iter::once(id.clone()).chain(numbered).find(|id| !ids.contains(id)).unwrap_or(id);
    ids.insert(free.clone());
    free
}
