//! The schemas of a document: each named type once, and references to it everywhere else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::common;
use super::names::{Names, pascal_case};

/// The host's own schema. No service's type gets this name.
const PROBLEM: &str = "Problem";

/// Schemas by their names in the document.
#[derive(Debug)]
pub(super) struct Schemas {
    named: BTreeMap<String, Value>,
    names: Names,
}

impl Schemas {
    /// The host's own schemas. The services' schemas get names other than these and those already in use.
    pub(super) fn new(mut names: Names) -> Self {
        names.take(PROBLEM);
        Self { named: BTreeMap::from([(PROBLEM.to_owned(), common::problem())]), names }
    }

    /// The schema in this text, with references in place of named types. If the text is not a schema, anything is allowed: load refuses
    /// such a text.
    pub(super) fn place(&mut self, service: &str, text: &str) -> Value {
        let schema = serde_json::from_str(text).unwrap_or(Value::Bool(true));
        self.hoist(service, schema)
    }

    pub(super) fn into_components(self) -> BTreeMap<String, Value> {
        self.named
    }

    fn hoist(&mut self, service: &str, schema: Value) -> Value {
        match schema {
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.hoist(service, item)).collect())
            }
            Value::Object(members) => self.hoist_object(service, members),
            other => other,
        }
    }

    fn hoist_object(&mut self, service: &str, members: Map<String, Value>) -> Value {
        // Keywords that contain instances contain data, whatever the data looks like.
        let is_data = |key: &str| matches!(key, "enum" | "const" | "default" | "examples");
        let mut members: Map<String, Value> = members
            .into_iter()
            .map(|(key, value)| {
                let value = if is_data(&key) { value } else { self.hoist(service, value) };
                (key, value)
            })
            .collect();
        // A title is the name of a type only for an object or a choice. `title` may also be the name of a property: then its value is not
        // text.
        let is_type = members.contains_key("properties") || members.contains_key("enum");
        if is_type && members.get("title").and_then(Value::as_str).is_some_and(|title| !title.is_empty()) {
            let Some(Value::String(title)) = members.remove("title") else { return Value::Object(members) };
            return self.name(service, &title, Value::Object(members));
        }
        // A named type and its purpose here: JSON Schema 2020-12 allows other keywords beside a reference.
        if let Some(Value::Array(all)) = members.get("allOf")
            && let [Value::Object(only)] = all.as_slice()
            && let (1, Some(reference)) = (only.len(), only.get("$ref").cloned())
        {
            members.remove("allOf");
            members.insert("$ref".to_owned(), reference);
        }
        Value::Object(members)
    }

    /// Gives the schema a name that clients can distinguish from all others, and returns the reference.
    fn name(&mut self, service: &str, title: &str, schema: Value) -> Value {
        // Keep only characters that OpenAPI allows in names.
        let title: String = title
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' })
            .collect();
        let owned = format!("{}{title}", pascal_case(service));
        let numbered = (2..).map(|number| format!("{owned}{number}"));
        for name in [title, owned.clone()].into_iter().chain(numbered) {
            let is_known = self.named.get(&name).is_some_and(|known| *known == schema);
            if is_known || self.names.take(&name) {
                let reference = json!({"$ref": format!("#/components/schemas/{name}")});
                self.named.entry(name).or_insert(schema);
                return reference;
            }
        }
        schema
    }
}
