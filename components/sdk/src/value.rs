//! Values that can be read from a path, a query or a body, and that describe themselves with a JSON Schema (2020-12).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::invalid::Errors;
use crate::json::Node;
use crate::time::Timestamp;

/// A value with a JSON Schema.
pub trait Schema {
    /// The schema (2020-12).
    fn schema() -> Value;
}

/// A value that can be read from text: a part of the path, or a query parameter.
pub trait FromText: Schema + Sized {
    /// Reads it. The error is a fragment that can follow the parameter's name: `must be a UUID`.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value of a query parameter that is absent; none if the parameter is required.
    fn absent() -> Option<Self> {
        None
    }

    /// The schema (2020-12) of what the text says. No text says null, so this has no null even if [`Schema::schema`] has it.
    fn text_schema() -> Value {
        Self::schema()
    }
}

/// A value that can be read from a field of a JSON body.
pub trait FromJson: Schema + Sized {
    /// Reads it. If it can't, adds at least one error and returns none.
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self>;

    /// The value of a field that is absent; none if the field is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// Adds the error that a value has another type.
pub fn expected<T>(what: &str, node: &Node<'_>, errors: &mut Errors) -> Option<T> {
    errors.add(format!("must be {what}, not {}", node.kind()));
    None
}

/// Implements the SDK's traits for a type that is written as text: [`Schema`], [`FromText`], [`FromJson`], and for SQL
/// [`Parameter`](crate::Parameter) and [`Column`](crate::Column) as TEXT. The type must be `FromStr` and `Display`, and its
/// errors must be fragments that can follow a field's name.
#[macro_export]
macro_rules! text_value {
    ($type:ty, $schema:expr) => {
        $crate::text_value!(@read $type, $schema);
        impl $crate::Parameter for $type {
            fn parameter(&self) -> $crate::Value {
                $crate::Value::Text(::std::string::ToString::to_string(self))
            }
        }
        impl $crate::Column for $type {
            fn from_value(value: $crate::Value) -> ::core::result::Result<Self, ::std::string::String> {
                let text = <::std::string::String as $crate::Column>::from_value(value)?;
                text.parse().map_err(|error| ::std::format!("{text:?} {error}"))
            }
        }
    };
    // For types that are text outside and something else in the database.
    (@read $type:ty, $schema:expr) => {
        impl $crate::Schema for $type {
            fn schema() -> $crate::serde_json::Value {
                $schema
            }
        }
        impl $crate::FromText for $type {
            fn from_text(text: &str) -> ::core::result::Result<Self, ::std::string::String> {
                text.parse().map_err(|error| ::std::string::ToString::to_string(&error))
            }
        }
        impl $crate::FromJson for $type {
            fn from_json(node: $crate::json::Node<'_>, errors: &mut $crate::Errors) -> Option<Self> {
                match node {
                    $crate::json::Node::Text(text) => match <Self as $crate::FromText>::from_text(&text) {
                        Ok(value) => Some(value),
                        Err(message) => {
                            errors.add(message);
                            None
                        }
                    },
                    other => $crate::value::expected("a string", &other, errors),
                }
            }
        }
    };
}

text_value!(Timestamp, json!({"type": "string", "format": "date-time"}));

impl Schema for Uuid {
    fn schema() -> Value {
        json!({"type": "string", "format": "uuid"})
    }
}

impl FromText for Uuid {
    /// Accepts only the form with hyphens, in lower or upper case. It is written in lower case.
    fn from_text(text: &str) -> Result<Self, String> {
        let id = if text.len() == 36 { Uuid::parse_str(text).ok() } else { None };
        id.ok_or_else(|| "must be a UUID".to_owned())
    }
}

impl FromJson for Uuid {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Text(text) => Self::from_text(&text).map_err(|message| errors.add(message)).ok(),
            other => expected("a string", &other, errors),
        }
    }
}

impl Schema for bool {
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

impl FromJson for bool {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Bool(value) => Some(value),
            other => expected("true or false", &other, errors),
        }
    }
}

impl Schema for i64 {
    fn schema() -> Value {
        integer_schema(i64::MIN, i64::MAX)
    }
}

/// The schema of whole numbers within these bounds. The format is for generators of clients: without a format, most of them use a type of
/// 32 bits, which can't read larger numbers.
pub(crate) fn integer_schema(min: i64, max: i64) -> Value {
    let is_small = i32::try_from(min).is_ok() && i32::try_from(max).is_ok();
    let mut schema = json!({"type": "integer", "format": if is_small { "int32" } else { "int64" }});
    if let Value::Object(members) = &mut schema {
        members.extend((min > i64::MIN).then(|| ("minimum".to_owned(), json!(min))));
        members.extend((max < i64::MAX).then(|| ("maximum".to_owned(), json!(max))));
    }
    schema
}

impl Schema for String {
    fn schema() -> Value {
        json!({"type": "string"})
    }
}

/// Optional: absent or null is none.
impl<T: Schema> Schema for Option<T> {
    fn schema() -> Value {
        nullable(T::schema())
    }
}

/// Optional, without an empty form: `?x=` is an `x`.
impl<T: FromText> FromText for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        T::from_text(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn text_schema() -> Value {
        T::text_schema()
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Null => Some(None),
            node => T::from_json(node, errors).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        read_list(node, errors)
    }
}

/// Reads the whole list, also after an item that is wrong, so that every error is found.
pub(crate) fn read_list<T: FromJson>(node: Node<'_>, errors: &mut Errors) -> Option<Vec<T>> {
    let Node::List(items) = node else { return expected("a list", &node, errors) };
    let count = items.len();
    let read: Vec<T> = items
        .into_iter()
        .enumerate()
        .filter_map(|(index, item)| errors.in_item(index, |errors| T::from_json(item, errors)))
        .collect();
    (read.len() == count).then_some(read)
}

/// A schema that accepts null besides what the given schema accepts.
pub fn nullable(schema: Value) -> Value {
    match schema {
        Value::Object(mut members)
            if members.get("type").is_some_and(Value::is_string)
                && !members.contains_key("enum")
                && !members.contains_key("title") =>
        {
            let kind = members.get("type").cloned();
            members.insert("type".to_owned(), json!([kind, "null"]));
            Value::Object(members)
        }
        other => json!({"anyOf": [other, {"type": "null"}]}),
    }
}

/// Builds the schema of an object, field by field. The macros of the SDK expand to it.
///
/// A schema with a `title` is the schema of a type with a name: the OpenAPI document has it once, under that name.
#[derive(Debug)]
pub struct ObjectSchema {
    title: String,
    description: &'static str,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl ObjectSchema {
    /// An object without fields. The title is its type's name, the description a doc comment's text.
    pub fn new(title: impl Into<String>, description: &'static str) -> Self {
        let (title, description) = (title.into(), description.trim());
        Self { title, description, properties: Map::new(), required: Vec::new() }
    }

    /// Adds a field.
    pub fn field(
        &mut self,
        name: &'static str,
        description: &'static str,
        mut schema: Value,
        required: bool,
    ) {
        let name = field_name(name);
        if schema.get("title").is_some() && !description.is_empty() {
            // The description of the field is added to the description of the type, and does not replace it.
            schema = json!({"allOf": [schema]});
        }
        if let (false, Value::Object(members)) = (description.is_empty(), &mut schema) {
            members.insert("description".to_owned(), json!(description.trim()));
        }
        self.properties.insert(name.to_owned(), schema);
        if required {
            self.required.push(name);
        }
    }

    /// The schema. Fields that it does not name are refused.
    pub fn finish(self) -> Value {
        let mut schema =
            json!({"type": "object", "properties": self.properties, "additionalProperties": false});
        if let Value::Object(members) = &mut schema {
            if !self.title.is_empty() {
                members.insert("title".to_owned(), json!(self.title));
            }
            if !self.required.is_empty() {
                members.insert("required".to_owned(), json!(self.required));
            }
            if !self.description.is_empty() {
                members.insert("description".to_owned(), json!(self.description));
            }
        }
        schema
    }
}

/// A field's name in JSON: without the `r#` of a Rust keyword.
pub fn field_name(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}
