//! The same document in OpenAPI 3.0 (<https://spec.openapis.org/oas/v3.0.4.html>), for client generators that can't read a newer version.
//!
//! A 3.1 document has schemas of JSON Schema 2020-12. OpenAPI 3.0 has only some of their keywords, and some of those have other meanings.
//! [`schema`] converts them. Apart from the schemas one thing differs: the roles of an operation, which 3.0 allows with OAuth only, are in
//! [`ROLES`].
//!
//! Left out on purpose: features that this crate's documents do not use, such as webhooks and path items under `components`.

mod schema;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

/// The last version that every 3.0 reader knows: 3.0.4 changed only the wording of the specification.
const VERSION: &str = "3.0.3";
/// The member of an operation that lists the roles of its callers. Any one of them is enough.
const ROLES: &str = "x-bulkhead-roles";

/// Converts a 3.1 document, as this crate builds it.
#[must_use]
pub(crate) fn convert(mut document: Value) -> Value {
    if let Some(version) = document.get_mut("openapi") {
        *version = Value::from(VERSION);
    }
    each(document.get_mut("paths"), |item| each(Some(item), operation));
    if let Some(components) = document.get_mut("components") {
        each(components.get_mut("schemas"), schema_in_place);
        each(components.get_mut("responses"), response);
        each(components.get_mut("parameters"), parameter);
        each(components.get_mut("headers"), parameter);
    }
    document
}

/// Changes every value of an object or a list.
fn each(values: Option<&mut Value>, mut change: impl FnMut(&mut Value)) {
    match values {
        Some(Value::Object(members)) => members.values_mut().for_each(change),
        Some(Value::Array(items)) => items.iter_mut().for_each(&mut change),
        _ => {}
    }
}

fn operation(operation: &mut Value) {
    each(operation.get_mut("parameters"), parameter);
    each(operation.get_mut("responses"), response);
    each(operation.pointer_mut("/requestBody/content"), media_type);
    let Some(members) = operation.as_object_mut() else { return };
    if let Some(roles) = members.get_mut("security").and_then(take_roles) {
        members.insert(ROLES.to_owned(), roles);
    }
}

/// Removes the roles from the requirements of an operation, and returns them. None if there are none.
fn take_roles(security: &mut Value) -> Option<Value> {
    let mut roles = Vec::new();
    each(Some(security), |requirement| {
        each(Some(requirement), |scheme| {
            if let Value::Array(names) = scheme {
                roles.append(names);
            }
        });
    });
    (!roles.is_empty()).then_some(Value::Array(roles))
}

fn response(response: &mut Value) {
    each(response.get_mut("headers"), parameter);
    each(response.get_mut("content"), media_type);
}

/// A parameter or a header.
fn parameter(parameter: &mut Value) {
    media_type(parameter);
    each(parameter.get_mut("content"), media_type);
}

fn media_type(media_type: &mut Value) {
    if let Some(schema) = media_type.get_mut("schema") {
        schema_in_place(schema);
    }
}

fn schema_in_place(schema: &mut Value) {
    *schema = schema::convert(schema.take());
}

/// An object with one member.
fn single(key: &str, value: Value) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert(key.to_owned(), value);
    members
}

/// A schema that no value matches.
fn nothing() -> Value {
    json!({"not": {}})
}
