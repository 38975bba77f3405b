//! Mistakes in a description that make a document impossible. A component with a mistake is refused at load.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_runtime::Description;
use bulkhead_runtime::description::Route;
use serde_json::Value;

use super::operation::parameter_names;

/// The methods that a description may have.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// All mistakes, each as a fragment that says what to do.
#[must_use]
pub fn mistakes(description: &Description) -> Vec<String> {
    let mut found = Vec::new();
    let mut operations = BTreeSet::new();
    let mut templates: BTreeMap<String, &str> = BTreeMap::new();
    for route in &description.routes {
        let place = format!("it describes {} {}", route.method, route.path);
        let mut wrong = |why: &str| found.push(format!("{place}, {why}"));
        if !METHODS.contains(&route.method.as_str()) {
            wrong(&format!("which is no method that it could have; use one of {}", METHODS.join(", ")));
        }
        if !operations.insert((&route.method, &route.path)) {
            wrong("and has described that before; describe it once");
        }
        match template(&route.path) {
            None => wrong(
                "which is no path; begin it with /, and let each of its parameters be a whole part in braces",
            ),
            Some(template) => {
                let other = *templates.entry(template).or_insert(&route.path);
                if other != route.path {
                    wrong(&format!("and {other}, which are one path; call their parameters the same"));
                }
            }
        }
        for why in parameters(route).into_iter().chain(answers(route)) {
            wrong(&why);
        }
    }
    found
}

/// The path with its parameters' names removed. None if it is not a path.
fn template(path: &str) -> Option<String> {
    let is_plain = |part: &str| !part.contains(|letter: char| "{}?#".contains(letter) || letter.is_control());
    let parts = path.strip_prefix('/')?.split('/').map(|part| {
        let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => (!name.is_empty() && is_plain(name)).then_some("{}"),
            None => is_plain(part).then_some(part),
        }
    });
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

fn parameters(route: &Route) -> Vec<String> {
    let mut wrong = Vec::new();
    let names = parameter_names(&route.path);
    let given: Vec<&str> = route.path_parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    if given != names {
        let given = given.join(", ");
        wrong.push(format!("and as its path parameters [{given}]; describe those in braces, in their order"));
    }
    let queries = route.query_parameters.iter().map(|parameter| parameter.name.as_str());
    for mut all in [names, queries.collect()] {
        all.sort_unstable();
        if all.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            wrong.push("and two parameters with one name; give each its own".to_owned());
        }
    }
    wrong
}

fn answers(route: &Route) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut statuses = BTreeSet::new();
    if !route
        .answers
        .iter()
        .all(|answer| (200..400).contains(&answer.status) && statuses.insert(answer.status))
    {
        wrong.push("with answers whose statuses are not each its own, from 200 to 399; mend them".to_owned());
    }
    if !route.problems.iter().all(|kind| (400..600).contains(&kind.status)) {
        wrong.push("with a problem whose status is not from 400 to 599; mend it".to_owned());
    }
    let parameters = route.path_parameters.iter().chain(&route.query_parameters);
    let schemas = parameters
        .map(|parameter| &parameter.schema)
        .chain(&route.request_schema)
        .chain(route.answers.iter().filter_map(|answer| answer.schema.as_ref()));
    for schema in schemas {
        match serde_json::from_str::<Value>(schema) {
            Ok(schema) if schema.is_object() || schema.is_boolean() => {
                if has_reference(&schema) {
                    wrong.push("with a schema that has a $ref; write out what it refers to".to_owned());
                }
            }
            _ => wrong.push(
                "with a schema that is not JSON Schema; give an object or a boolean, as JSON".to_owned(),
            ),
        }
    }
    wrong
}

/// A document moves each schema to another place than in the component, so a reference would point nowhere.
fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("$ref").is_some_and(Value::is_string) || members.values().any(has_reference)
        }
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}
