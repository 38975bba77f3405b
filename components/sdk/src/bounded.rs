//! Values with bounds in their type, and the three states of a field of a PATCH.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::invalid::Errors;
use crate::json::Node;
use crate::sql::{self, Parameter};
use crate::value::{FromJson, FromText, Schema, expected, integer_schema, nullable, read_list};

/// Text of `MIN` to `MAX` characters (Unicode scalar values), without control characters except tab and line breaks. If `MIN` is not 0, the
/// text must have more than white space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }

    fn check(text: &str) -> Result<(), String> {
        // Bytes are counted first: most text is far below the bound.
        let count = if text.len() <= MAX && text.len() >= MIN * 4 { MIN } else { text.chars().count() };
        if count < MIN || count > MAX {
            return Err(match MIN {
                0 => format!("must have at most {MAX} characters"),
                _ => format!("must have {MIN} to {MAX} characters"),
            });
        }
        if MIN > 0 && text.trim().is_empty() {
            return Err("must not be blank".to_owned());
        }
        if text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r')) {
            return Err("must not contain control characters".to_owned());
        }
        Ok(())
    }
}

impl<const MIN: usize, const MAX: usize> Deref for Text<MIN, MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> Schema for Text<MIN, MAX> {
    fn schema() -> Value {
        // This does not use a pattern's own names for classes of characters, because the dialects of patterns do not agree on them.
        let allowed = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]";
        let pattern = match MIN {
            0 => format!("^{allowed}*$"),
            _ => format!(r"^{allowed}*[^\s\x00-\x1f\x7f-\x9f]{allowed}*$"),
        };
        json!({"type": "string", "minLength": MIN, "maxLength": MAX, "pattern": pattern})
    }
}

impl<const MIN: usize, const MAX: usize> FromText for Text<MIN, MAX> {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::check(text).map(|()| Self(text.to_owned()))
    }
}

impl<const MIN: usize, const MAX: usize> FromJson for Text<MIN, MAX> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        let Node::Text(text) = node else { return expected("a string", &node, errors) };
        match Self::check(&text) {
            Ok(()) => Some(Self(text.into_owned())),
            Err(message) => {
                errors.add(message);
                None
            }
        }
    }
}

/// A whole number of `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Integer<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Integer<MIN, MAX> {
    /// The number, moved to the nearest bound.
    pub fn clamped(number: i64) -> Self {
        Self(number.clamp(MIN, MAX))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }

    fn checked(number: i64) -> Result<Self, String> {
        if (MIN..=MAX).contains(&number) { Ok(Self(number)) } else { Err(Self::message()) }
    }

    fn message() -> String {
        format!("must be a whole number from {MIN} to {MAX}")
    }
}

impl<const MIN: i64, const MAX: i64> Schema for Integer<MIN, MAX> {
    fn schema() -> Value {
        integer_schema(MIN, MAX)
    }
}

impl<const MIN: i64, const MAX: i64> FromText for Integer<MIN, MAX> {
    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = if plain { text.parse().ok() } else { None };
        number.ok_or_else(Self::message).and_then(Self::checked)
    }
}

impl<const MIN: i64, const MAX: i64> FromJson for Integer<MIN, MAX> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Integer(number) => Self::checked(number).map_err(|message| errors.add(message)).ok(),
            // In JSON Schema (2020-12, section 6.1.1) 1.0 is an integer too.
            Node::Number(number) => match whole(number).map(Self::checked) {
                Some(Ok(integer)) => Some(integer),
                _ => {
                    errors.add(Self::message());
                    None
                }
            },
            other => expected("a number", &other, errors),
        }
    }
}

/// The integer for a number without a fraction; none from 2^53 on, where not every integer has a number of its own.
fn whole(number: f64) -> Option<i64> {
    const BOUND: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction, and is within the bound")]
    (number.fract() == 0.0 && number.abs() < BOUND).then_some(number as i64)
}

/// A list of `MIN` to `MAX` items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

impl<T, const MIN: usize, const MAX: usize> List<T, MIN, MAX> {
    /// The items.
    pub fn into_items(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for List<T, MIN, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Schema, const MIN: usize, const MAX: usize> Schema for List<T, MIN, MAX> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema(), "minItems": MIN, "maxItems": MAX})
    }
}

impl<T: FromJson, const MIN: usize, const MAX: usize> FromJson for List<T, MIN, MAX> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        if let Node::List(items) = &node
            && !(MIN..=MAX).contains(&items.len())
        {
            errors.add(format!("must have {MIN} to {MAX} items"));
            return None;
        }
        read_list(node, errors).map(Self)
    }
}

/// A field of a PATCH that can be emptied: if it is absent, nothing changes; null empties it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is not in the body.
    Absent,
    /// The field is null.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T: Schema> Schema for Patch<T> {
    fn schema() -> Value {
        nullable(T::schema())
    }
}

impl<T: FromJson> FromJson for Patch<T> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Null => Some(Patch::Null),
            node => T::from_json(node, errors).map(Patch::Value),
        }
    }

    fn absent() -> Option<Self> {
        Some(Patch::Absent)
    }
}

/// A field of a PATCH that always has a value: none if it is absent; null is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<T>(pub Option<T>);

impl<T: Schema> Schema for Change<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: FromJson> FromJson for Change<T> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        T::from_json(node, errors).map(|value| Self(Some(value)))
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Text<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<const MIN: usize, const MAX: usize> Serialize for Text<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<const MIN: i64, const MAX: i64> Serialize for Integer<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<const MIN: usize, const MAX: usize> Parameter for Text<MIN, MAX> {
    fn parameter(&self) -> sql::Value {
        sql::Value::Text((**self).to_owned())
    }
}

impl<const MIN: i64, const MAX: i64> Parameter for Integer<MIN, MAX> {
    fn parameter(&self) -> sql::Value {
        sql::Value::Integer(self.get())
    }
}

/// Defines an enum whose values are words: in queries, bodies, answers and the database (TEXT).
///
/// ```
/// bulkhead_sdk::choice! {
///     /// How a payment stands.
///     pub enum PaymentStatus {
///         /// Not decided yet.
///         Pending = "pending",
///         /// Taken.
///         Captured = "captured",
///     }
/// }
/// assert_eq!(PaymentStatus::Captured.as_str(), "captured");
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident { $( $(#[$value_attribute:meta])* $value:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name { $( $(#[$value_attribute])* $value ),+ }

        impl $name {
            /// The word that stands for the value.
            $visibility fn as_str(self) -> &'static str {
                match self { $( Self::$value => $word ),+ }
            }
        }
        impl ::core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
        impl ::core::str::FromStr for $name {
            type Err = ::std::string::String;
            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                match text {
                    $( $word => Ok(Self::$value), )+
                    _ => Err(::std::format!("must be one of {}", [$($word),+].join(", "))),
                }
            }
        }
        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        $crate::text_value!($name, $crate::serde_json::json!({"type": "string", "title": stringify!($name), "enum": [$($word),+]}));
    };
}
