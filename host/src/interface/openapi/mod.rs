//! OpenAPI 3.1 documents (https://spec.openapis.org/oas/v3.1.1.html), made from what the components say of themselves.
//!
//! What a component describes is what it serves: the SDK makes both of the same types and routes, so a document can't drift from the
//! code. What the host does for every operation (tokens, positions, idempotency keys, its own problems) is added here, once.
//!
//! - An operation is in a document if the manifest's routes lead to it.
//! - A schema with a `title` is that of a type with a name. It stands once, in `components/schemas`; where types of two services have one
//!   name and differ, the second has its service's before it.
//! - An answer that has an `id` has links to the operations that take that id in their path.
//! - `info.version` is a digest of all the rest: it changes exactly when the interface does.
//!
//! Left out on purpose: 405, 414 and 431, which no client gets that keeps to the document, and OPTIONS and HEAD, which every path
//! and every GET has.

mod common;
mod links;
mod operation;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bulkhead_runtime::Description;
use bulkhead_runtime::description::Route;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::schemas::Schemas;

/// Hexadecimal digits of the version.
const VERSION_DIGITS: usize = 12;

/// A service, as far as its interface goes.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says of itself.
    pub description: &'a Description,
    /// The routes of the manifest that lead to it.
    pub routes: &'a [String],
}

impl<'a> Described<'a> {
    /// The operations that can be reached.
    fn operations(self) -> impl Iterator<Item = &'a Route> {
        let Self { description, routes, .. } = self;
        description
            .routes
            .iter()
            .filter(|route| routes.iter().any(|led| bulkhead_runtime::route_matches(led, &route.path)))
    }
}

/// The document of these services. `has_tokens` says whether the host checks tokens.
#[must_use]
pub fn document(title: &str, has_tokens: bool, services: &[Described<'_>]) -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for service in services {
        for route in service.operations() {
            let operation = operation::operation(route, service.name, has_tokens, &mut schemas);
            let methods = paths.entry(&route.path).or_default();
            methods.entry(route.method.to_ascii_lowercase()).or_insert(operation);
        }
    }
    links::add(&mut paths, services);
    let tags: Vec<Value> = services
        .iter()
        .filter(|service| service.operations().next().is_some())
        .map(|service| json!({"name": service.name, "description": service.description.summary}))
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

/// What is wrong with a description, and keeps a document from being made of it: each a fragment with what to do.
#[must_use]
pub fn mistakes(description: &Description) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = BTreeMap::new();
    for route in &description.routes {
        let place = format!("{} {}", route.method, route.path);
        let id = operation::operation_id(&route.method, &route.path);
        if let Some(other) = ids.insert(id, place.clone()) {
            found.push(format!(
                "it describes {other} and {place}, which have one operationId in OpenAPI; give one of them another path"
            ));
        }
        let parameters = route.path_parameters.iter().chain(&route.query_parameters);
        let schemas = parameters
            .map(|parameter| &parameter.schema)
            .chain(&route.request_schema)
            .chain(route.answers.iter().filter_map(|answer| answer.schema.as_ref()));
        let is_schema = |text: &String| {
            serde_json::from_str(text).is_ok_and(|schema: Value| schema.is_object() || schema.is_boolean())
        };
        if !schemas.into_iter().all(is_schema) {
            found.push(format!(
                "it describes {place} with a schema that is not JSON Schema; give an object or a boolean, as JSON"
            ));
        }
        if !operation::METHODS.contains(&route.method.as_str()) {
            found.push(format!(
                "it describes {place}, whose method OpenAPI has no place for; use one of {}",
                operation::METHODS.join(", ")
            ));
        }
        let names: Vec<&str> =
            route.path_parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        if names != operation::parameter_names(&route.path) {
            found.push(format!(
                "it describes {place}, and as its path parameters {}; describe those in braces, in their order",
                names.join(", ")
            ));
        }
    }
    found
}
