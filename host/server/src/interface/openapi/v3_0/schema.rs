//! From JSON Schema 2020-12 to the Schema Object of OpenAPI 3.0.
//!
//! Invariant: a value that matches the schema also matches the converted one. 3.0 has no keywords for some rules, such as `if` and
//! `propertyNames`: they are left out, and the converted schema then accepts more than the original. So a client that is generated from it
//! sends and reads whatever the service accepts and returns. (One exception: beside a reference, `nullable` allows null as every generator
//! reads it, but not in the strict sense of 3.0.3. The strict form, a choice with a second schema, becomes a class of its own in clients.)
//! Below `not` and among the choices of `oneOf`, accepting more would turn into accepting less. There the surrounding keyword changes too.
//!
//! Keywords that 3.0 does not know and that set no rule are left out, except those that begin with `x-`.

use serde_json::{Map, Value, json};

use super::{nothing, single};

type Members = Map<String, Value>;

/// The keywords that mean the same in both and contain no schema.
const SAME: [&str; 20] = [
    "title",
    "description",
    "default",
    "deprecated",
    "discriminator",
    "example",
    "externalDocs",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minProperties",
    "multipleOf",
    "pattern",
    "readOnly",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// The rules for which 3.0 has no keywords.
const UNKNOWN_RULES: [&str; 12] = [
    "$dynamicRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Converts a schema.
pub(super) fn convert(schema: Value) -> Value {
    convert_noting(schema, &mut false)
}

/// Converts a schema, and notes if the result accepts more.
fn convert_noting(schema: Value, takes_more: &mut bool) -> Value {
    match schema {
        Value::Bool(false) => nothing(),
        Value::Object(members) => Value::Object(convert_object(members, takes_more)),
        // `true` matches everything. A value that is not a schema is refused at load.
        _ => json!({}),
    }
}

fn convert_object(mut from: Members, takes_more: &mut bool) -> Members {
    let mut to = Members::new();
    for word in SAME {
        to.extend(from.remove(word).map(|value| (word.to_owned(), value)));
    }
    *takes_more |= UNKNOWN_RULES.iter().any(|rule| from.contains_key(*rule));
    enumerated(&mut from, &mut to, takes_more);
    bounds(&mut from, &mut to);
    objects(&mut from, &mut to, takes_more);
    arrays(&mut from, &mut to, takes_more);
    content(&mut from, &mut to);
    let can_be_null = from.get("type").is_none_or(|types| names_of(types).any(|name| name == "null"));
    typed(from.remove("type"), &mut to);
    for word in ["allOf", "anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = from.remove(word) {
            composed(word, choices, can_be_null, &mut to, takes_more);
        }
    }
    if let Some(not) = from.remove("not") {
        let mut inner_takes_more = false;
        let not = convert_noting(not, &mut inner_takes_more);
        if inner_takes_more {
            *takes_more = true;
        } else {
            to.insert("not".to_owned(), not);
        }
    }
    if let Some(Value::String(reference)) = from.remove("$ref") {
        let reference = single("$ref", Value::from(reference));
        // 3.0 ignores everything beside a reference.
        if to.is_empty() {
            return reference;
        }
        also(&mut to, Value::Object(reference));
    }
    to.extend(from.into_iter().filter(|(word, _)| word.starts_with("x-")));
    to
}

/// `const` is an `enum` with one value. `examples` has several values, and `example` is the first of them.
fn enumerated(from: &mut Members, to: &mut Members, takes_more: &mut bool) {
    if let Some(choices) = from.remove("enum") {
        to.insert("enum".to_owned(), choices);
    }
    if let Some(only) = from.remove("const") {
        *takes_more |= to.insert("enum".to_owned(), json!([only])).is_some();
    }
    if let Some(Value::Array(examples)) = from.remove("examples")
        && let (false, Some(first)) = (to.contains_key("example"), examples.into_iter().next())
    {
        to.insert("example".to_owned(), first);
    }
}

/// In 3.0 a bound is one number, and another keyword says whether it is exclusive. Of two bounds the narrower one is kept.
fn bounds(from: &mut Members, to: &mut Members) {
    for (inclusive, exclusive, is_lower) in
        [("minimum", "exclusiveMinimum", true), ("maximum", "exclusiveMaximum", false)]
    {
        let bound = from.remove(inclusive).filter(Value::is_number);
        let open = from.remove(exclusive).filter(Value::is_number);
        let is_narrower = |open: &Value, bound: &Value| {
            let (open, bound) = (open.as_f64(), bound.as_f64());
            if is_lower { open >= bound } else { open <= bound }
        };
        match (bound, open) {
            (bound, Some(open)) if bound.as_ref().is_none_or(|bound| is_narrower(&open, bound)) => {
                to.insert(inclusive.to_owned(), open);
                to.insert(exclusive.to_owned(), Value::Bool(true));
            }
            (Some(bound), _) => {
                to.insert(inclusive.to_owned(), bound);
            }
            _ => {}
        }
    }
}

fn objects(from: &mut Members, to: &mut Members, takes_more: &mut bool) {
    // An empty list means nothing in 3.1, and is not allowed in 3.0.
    if let Some(required) = from.remove("required")
        && required.as_array().is_some_and(|names| !names.is_empty())
    {
        to.insert("required".to_owned(), required);
    }
    if let Some(Value::Object(properties)) = from.remove("properties") {
        let properties =
            properties.into_iter().map(|(name, schema)| (name, convert_noting(schema, takes_more)));
        to.insert("properties".to_owned(), Value::Object(properties.collect()));
    }
    let patterns = from.remove("patternProperties");
    let Some(additional) = from.remove("additionalProperties") else { return };
    // In 3.1 a property that matches a pattern is not additional. 3.0 has no patterns.
    let patterns = match patterns {
        Some(Value::Object(patterns)) if !patterns.is_empty() => {
            Some(patterns.into_iter().map(|(_, schema)| schema))
        }
        _ => None,
    };
    let additional = match (additional, patterns) {
        (Value::Bool(all), None) => Value::Bool(all),
        (additional, None) => convert_noting(additional, takes_more),
        (additional, Some(patterns)) => any_of(patterns.chain([additional]), takes_more),
    };
    to.insert("additionalProperties".to_owned(), additional);
}

fn arrays(from: &mut Members, to: &mut Members, takes_more: &mut bool) {
    let items = from.remove("items");
    let items = match from.remove("prefixItems") {
        Some(Value::Array(first)) => {
            // 3.0 can't say which item is which, so each item may match any of them.
            *takes_more = true;
            if items == Some(Value::Bool(false)) {
                to.entry("maxItems").or_insert(json!(first.len()));
            }
            Some(any_of(first.into_iter().chain([items.unwrap_or(Value::Bool(true))]), takes_more))
        }
        _ => items.map(|items| convert_noting(items, takes_more)),
    };
    to.extend(items.map(|items| ("items".to_owned(), items)));
}

/// A schema for values that match any of these schemas.
fn any_of(schemas: impl Iterator<Item = Value>, takes_more: &mut bool) -> Value {
    let mut choices: Vec<Value> = Vec::new();
    for schema in schemas.filter(|schema| *schema != Value::Bool(false)) {
        let choice = convert_noting(schema, takes_more);
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    if choices.contains(&json!({})) {
        return json!({});
    }
    match choices.len() {
        0 => nothing(),
        1 => choices.remove(0),
        _ => json!({"anyOf": choices}),
    }
}

/// 3.0 identifies bytes by their format.
fn content(from: &mut Members, to: &mut Members) {
    let encoding = from.remove("contentEncoding");
    let format = match (encoding.as_ref().and_then(Value::as_str), from.remove("contentMediaType")) {
        (Some("base64"), _) => "byte",
        (None, Some(Value::String(kind))) if kind == "application/octet-stream" => "binary",
        _ => return,
    };
    to.entry("format").or_insert(json!(format));
}

/// `allOf`, `anyOf` and `oneOf`. `can_be_null` says whether the types beside it include null.
fn composed(word: &str, choices: Vec<Value>, can_be_null: bool, to: &mut Members, takes_more: &mut bool) {
    let is_choice = word != "allOf";
    let before = choices.len();
    let others = choices.into_iter().filter(|choice| !(is_choice && is_null(choice)));
    let mut inner_takes_more = false;
    let mut choices: Vec<Value> =
        others.map(|choice| convert_noting(choice, &mut inner_takes_more)).collect();
    *takes_more |= inner_takes_more;
    if choices.len() == before {
        // A choice that accepts more may overlap with another choice: then a value would no longer match exactly one.
        let word = if word == "oneOf" && inner_takes_more { "anyOf" } else { word };
        return add(to, single(word, Value::Array(choices)));
    }
    // Null or another choice. If that choice includes null as well, `oneOf` accepts null with neither.
    *takes_more |= word == "oneOf";
    let mut choice = match choices.len() {
        0 => null(),
        1 => match choices.remove(0) {
            Value::Object(choice) if choice.contains_key("$ref") => single("allOf", json!([choice])),
            // The schemas inside it would still refuse null.
            Value::Object(choice)
                if ["allOf", "anyOf", "oneOf", "not"].iter().any(|word| choice.contains_key(*word)) =>
            {
                single("anyOf", Value::Array(vec![Value::Object(choice), Value::Object(null())]))
            }
            Value::Object(choice) => choice,
            _ => Members::new(),
        },
        _ => single("anyOf", Value::Array(choices)),
    };
    if can_be_null {
        take_null(&mut choice);
    }
    add(to, choice);
}

/// The schema that only null matches.
fn null() -> Members {
    let null = json!({"type": "string", "enum": [null], "nullable": true});
    null.as_object().cloned().unwrap_or_default()
}

/// Whether only null matches the schema.
fn is_null(schema: &Value) -> bool {
    let is = |word: &str, value: &Value| schema.get(word) == Some(value);
    is("type", &json!("null"))
        || is("type", &json!(["null"]))
        || is("const", &Value::Null)
        || is("enum", &json!([null]))
}

/// Adds members to those of a schema: directly if the names are free, otherwise under `allOf`.
fn add(to: &mut Members, members: Members) {
    if members.keys().any(|word| to.contains_key(word)) {
        also(to, Value::Object(members));
    } else {
        to.extend(members);
    }
}

/// Values of the schema must also match another schema.
fn also(to: &mut Members, other: Value) {
    match to.get_mut("allOf") {
        Some(Value::Array(all)) => all.push(other),
        _ => {
            to.insert("allOf".to_owned(), json!([other]));
        }
    }
}

/// The types that `type` names.
fn names_of(types: &Value) -> impl Iterator<Item = &str> {
    let several = types.as_array().into_iter().flatten();
    several.chain([types]).filter_map(Value::as_str)
}

/// In 3.0 `type` has one type, and null is not a type.
fn typed(types: Option<Value>, to: &mut Members) {
    let Some(types) = types else { return };
    let takes_null = names_of(&types).any(|name| name == "null");
    let has_numbers = names_of(&types).any(|name| name == "number");
    // An integer is a number.
    let names: Vec<&str> =
        names_of(&types).filter(|name| !(*name == "null" || has_numbers && *name == "integer")).collect();
    let mut schema = match names.as_slice() {
        [] if takes_null => null(),
        [] => return,
        [only] => single("type", json!(only)),
        several => {
            let items = to.remove("items").unwrap_or(json!({}));
            let typed = several.iter().map(|name| match *name {
                "array" => json!({"type": name, "items": items}),
                _ => json!({"type": name}),
            });
            single("anyOf", Value::Array(typed.collect()))
        }
    };
    if takes_null {
        let excludes_null = |all: &Vec<Value>| !all.contains(&Value::Null);
        // Beside `enum`, null must be among its values.
        if !to.get("enum").and_then(Value::as_array).is_some_and(excludes_null) {
            take_null(&mut schema);
        }
    }
    add(to, schema);
    if to.get("type") == Some(&json!("array")) {
        to.entry("items").or_insert(json!({}));
    }
}

/// Makes a schema accept null in addition. According to 3.0.3, `nullable` is effective only beside `type`. Client generators treat it the
/// same beside a reference, and produce poor code for the strict form.
fn take_null(schema: &mut Members) {
    schema.insert("nullable".to_owned(), Value::Bool(true));
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        let typed =
            choices.iter_mut().filter_map(Value::as_object_mut).find(|choice| choice.contains_key("type"));
        typed.into_iter().for_each(take_null);
    }
}
