//! The macros that define bodies, queries, rows and answers: a plain struct, and the code that reads, writes and describes it.

use std::borrow::Cow;

use crate::invalid::Errors;
use crate::json::Node;
use crate::value::{FromJson, FromText, expected, field_name};

/// Reads the fields of an object, and adds an error for each that is missing or unknown. [`body!`](crate::body) expands to it.
#[derive(Debug)]
pub struct ObjectReader<'n, 'e> {
    fields: Vec<(Cow<'n, str>, Node<'n>)>,
    errors: &'e mut Errors,
}

impl<'n, 'e> ObjectReader<'n, 'e> {
    /// Begins to read; an error and none if the value is not an object.
    pub fn new(node: Node<'n>, errors: &'e mut Errors) -> Option<Self> {
        match node {
            Node::Object(fields) => Some(Self { fields, errors }),
            other => expected("an object", &other, errors),
        }
    }

    /// Reads a field; if it is absent, returns its default.
    pub fn field<T: FromJson>(&mut self, name: &'static str, default: Option<T>) -> Option<T> {
        let name = field_name(name);
        match self.fields.iter().position(|(key, _)| key == name) {
            Some(position) => {
                let (_, node) = self.fields.swap_remove(position);
                self.errors.in_field(name, |errors| T::from_json(node, errors))
            }
            None => {
                let value = default.or_else(T::absent);
                if value.is_none() {
                    self.errors.add_at(name, "is missing");
                }
                value
            }
        }
    }

    /// Ends: every field that was not read is unknown.
    pub fn finish(self) {
        for (key, _) in &self.fields {
            self.errors.add_at(key, "is not a known field");
        }
    }
}

/// Defines a JSON body: the struct, its reading with every error at once, and its schema.
///
/// A field's type says what it accepts: [`Text`](crate::Text), [`Integer`](crate::Integer), [`List`](crate::List), another body, or any
/// [`FromJson`]. `Option` fields may be absent or null; `= value` sets a default for absent ones.
///
/// ```
/// use bulkhead_sdk::{Integer, List, Text};
/// bulkhead_sdk::body! {
///     /// An order.
///     pub struct OrderInput {
///         /// What is ordered.
///         pub items: List<Item, 1, 100>,
///         pub note: Option<Text<1, 500>>,
///     }
/// }
/// bulkhead_sdk::body! {
///     pub struct Item {
///         pub sku: Text<1, 100>,
///         pub quantity: Integer<1, 10000> = Integer::clamped(1),
///     }
/// }
/// ```
#[macro_export]
macro_rules! body {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $field_visibility:vis $field:ident : $type:ty $(= $default:expr)? ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        $visibility struct $name { $( $(#[doc = $field_doc])* $field_visibility $field: $type ),* }

        impl $crate::Schema for $name {
            fn schema() -> $crate::serde_json::Value {
                let mut object = $crate::value::ObjectSchema::new(stringify!($name), concat!($($doc),*));
                $(
                    let default: Option<$type> = $crate::body!(@default $($default)?);
                    object.field(
                        stringify!($field),
                        concat!($($field_doc),*),
                        <$type as $crate::Schema>::schema(),
                        default.or_else(<$type as $crate::FromJson>::absent).is_none(),
                    );
                )*
                object.finish()
            }
        }
        impl $crate::FromJson for $name {
            fn from_json(node: $crate::json::Node<'_>, errors: &mut $crate::Errors) -> Option<Self> {
                let mut object = $crate::record::ObjectReader::new(node, errors)?;
                $( let $field = object.field::<$type>(stringify!($field), $crate::body!(@default $($default)?)); )*
                object.finish();
                Some(Self { $( $field: $field? ),* })
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}

/// One parameter of a query, decoded; none if its percent-encoding is malformed.
type Pair<'q> = (Cow<'q, str>, Option<Cow<'q, str>>);

/// Reads the parameters of a query, and adds an error for each that is missing, unknown, repeated or malformed. [`query!`](crate::query)
/// expands to it.
#[derive(Debug)]
pub struct QueryReader<'q, 'e> {
    pairs: Vec<Pair<'q>>,
    errors: &'e mut Errors,
}

impl<'q, 'e> QueryReader<'q, 'e> {
    /// Begins to read what comes after the `?`.
    pub fn new(query: Option<&'q str>, errors: &'e mut Errors) -> Self {
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let name = crate::encoding::query_decode(name).unwrap_or(Cow::Borrowed(name));
                (name, crate::encoding::query_decode(value))
            })
            .collect();
        Self { pairs, errors }
    }

    /// Reads a parameter.
    pub fn parameter<T: FromText>(&mut self, name: &'static str) -> Option<T> {
        let name = field_name(name);
        let Some(position) = self.pairs.iter().position(|(key, _)| key == name) else {
            let value = T::absent();
            if value.is_none() {
                self.errors.add_at(name, "is missing");
            }
            return value;
        };
        let (_, text) = self.pairs.swap_remove(position);
        if self.pairs.iter().any(|(key, _)| key == name) {
            self.pairs.retain(|(key, _)| key != name);
            self.errors.add_at(name, "stands more than once");
            return None;
        }
        let Some(text) = text else {
            self.errors.add_at(name, "is not UTF-8 in percent-encoding");
            return None;
        };
        T::from_text(&text).map_err(|message| self.errors.add_at(name, message)).ok()
    }

    /// Ends: every parameter that was not read is unknown.
    pub fn finish(self) {
        for (key, _) in &self.pairs {
            self.errors.add_at(key, "is not a known query parameter");
        }
    }
}

/// A parameter of a query, described.
#[derive(Debug, Clone)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// It must be given.
    pub required: bool,
    /// Its JSON Schema.
    pub schema: serde_json::Value,
}

/// What [`query!`](crate::query) defines: all the parameters that a route takes.
pub trait FromQuery: Sized {
    /// Reads it; if it can't, adds at least one error and returns none.
    fn from_query(reader: QueryReader<'_, '_>) -> Option<Self>;

    /// Its parameters, in their order.
    fn parameters() -> Vec<QueryParameter>;
}

/// Defines the query parameters of a route: the struct, its reading with every error at once, and its description. `Option`
/// fields may be absent; [`Limit`](crate::Limit) has its default.
///
/// ```
/// bulkhead_sdk::query! {
///     pub struct ListQuery {
///         /// At most so many items.
///         pub limit: bulkhead_sdk::Limit,
///         pub cursor: Option<bulkhead_sdk::Cursor>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! query {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $field_visibility:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        $visibility struct $name { $( $(#[doc = $field_doc])* $field_visibility $field: $type ),* }

        impl $crate::FromQuery for $name {
            fn from_query(mut reader: $crate::record::QueryReader<'_, '_>) -> Option<Self> {
                $( let $field = reader.parameter::<$type>(stringify!($field)); )*
                reader.finish();
                Some(Self { $( $field: $field? ),* })
            }
            fn parameters() -> ::std::vec::Vec<$crate::record::QueryParameter> {
                ::std::vec![$( $crate::record::QueryParameter {
                    name: $crate::value::field_name(stringify!($field)),
                    description: concat!($($field_doc),*).trim(),
                    required: <$type as $crate::FromText>::absent().is_none(),
                    schema: <$type as $crate::FromText>::text_schema(),
                } ),*]
            }
        }
    };
}

/// Defines an answer: the struct, its writing as a JSON object in the order of its fields, and its schema.
///
/// ```
/// bulkhead_sdk::reply! {
///     pub struct Stock { pub available: i64, pub note: Option<String> }
/// }
/// ```
#[macro_export]
macro_rules! reply {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $field_visibility:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        $visibility struct $name { $( $(#[doc = $field_doc])* $field_visibility $field: $type ),* }

        impl $crate::Schema for $name {
            fn schema() -> $crate::serde_json::Value {
                let mut object = $crate::value::ObjectSchema::new(stringify!($name), concat!($($doc),*));
                $( object.field(stringify!($field), concat!($($field_doc),*), <$type as $crate::Schema>::schema(), true); )*
                object.finish()
            }
        }
        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                use $crate::serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $( map.serialize_entry($crate::value::field_name(stringify!($field)), &self.$field)?; )*
                map.end()
            }
        }
    };
}

/// Defines a row: the struct and its reading from the columns with the fields' names. It is also an answer, as by [`reply!`](crate::reply).
///
/// ```
/// bulkhead_sdk::row! {
///     pub struct Note { pub id: uuid::Uuid, pub body: String }
/// }
/// ```
#[macro_export]
macro_rules! row {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $field_visibility:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $crate::reply! {
            $(#[doc = $doc])*
            $visibility struct $name { $( $(#[doc = $field_doc])* $field_visibility $field: $type ),* }
        }
        impl $crate::FromRow for $name {
            fn from_row(row: &mut $crate::Row<'_>) -> ::core::result::Result<Self, $crate::sql::Error> {
                Ok(Self { $( $field: row.take($crate::value::field_name(stringify!($field)))? ),* })
            }
        }
    };
}
