//! Reads JSON strictly: a duplicate key and nesting beyond [`DEPTH_MAX`] are refused, and text is borrowed from the body if it has no
//! escapes.
//!
//! [`crate::FromJson`] reads from a [`Node`]. It exists beside `serde_json::Value` because that silently keeps the last of two equal keys,
//! and copies every text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::invalid::NAME_CHARACTERS_MAX;

/// How deeply lists and objects may be nested in a body. A deeper one is malformed. A guest's stack is 128 KiB.
pub const DEPTH_MAX: usize = 32;

/// Up to this many keys, duplicates are found by comparing pairs. With more keys, the keys are sorted.
const KEYS_COMPARED_PAIRWISE: usize = 16;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent, from -2⁶³ to 2⁶³-1.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Node<'a>>),
    /// An object, in the order of the text. No key occurs twice.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// What the value is, for messages: `a list`.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "true or false",
            Node::Integer(_) | Node::Number(_) => "a number",
            Node::Text(_) => "a string",
            Node::List(_) => "a list",
            Node::Object(_) => "an object",
        }
    }
}

/// Parses one JSON document. The error says what is wrong and where, and can be shown to a client.
pub fn parse(text: &str) -> Result<Node<'_>, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let node = Seed { depth: 0 }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(node)
}

#[derive(Clone, Copy)]
struct Seed {
    depth: usize,
}

impl Seed {
    fn deeper<E: serde::de::Error>(self) -> Result<Seed, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested more than {DEPTH_MAX} levels deep")));
        }
        Ok(Seed { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(value).map_or(Node::Number(value as f64), Node::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut fields = Vec::new();
        while let Some(key) = access.next_key_seed(KeySeed)? {
            fields.push((key, access.next_value_seed(seed)?));
        }
        match duplicate(&fields) {
            None => Ok(Node::Object(fields)),
            Some(key) => {
                let shown: String = key.chars().take(NAME_CHARACTERS_MAX).collect();
                Err(A::Error::custom(format_args!("the key {shown:?} stands twice in one object")))
            }
        }
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// A key that occurs twice. An object may have as many keys as the body has room for, so this must not be quadratic.
fn duplicate<'k>(fields: &'k [(Cow<'_, str>, Node<'_>)]) -> Option<&'k str> {
    if fields.len() <= KEYS_COMPARED_PAIRWISE {
        let mut rest = fields;
        while let [(key, _), after @ ..] = rest {
            if after.iter().any(|(other, _)| other == key) {
                return Some(key);
            }
            rest = after;
        }
        return None;
    }
    let mut keys: Vec<&str> = fields.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.array_windows().find(|[one, other]| one == other).map(|[one, _]| *one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        let Ok(Node::Object(fields)) = parse(r#"{"a": "b", "c": "\n"}"#) else { panic!("an object") };
        assert!(matches!(&fields[0], (Cow::Borrowed("a"), Node::Text(Cow::Borrowed("b")))));
        assert!(matches!(&fields[1].1, Node::Text(Cow::Owned(text)) if text == "\n"));
    }

    #[test]
    fn integers_and_floats_stay_distinct() {
        let node = parse("[1, -1, 1.0, 1e2, 9223372036854775808]").expect("numbers");
        assert_eq!(
            node,
            Node::List(vec![
                Node::Integer(1),
                Node::Integer(-1),
                Node::Number(1.0),
                Node::Number(100.0),
                Node::Number(9_223_372_036_854_775_808.0)
            ])
        );
    }

    #[test]
    fn a_duplicate_key_is_refused_in_small_and_large_objects() {
        assert!(parse(r#"{"a": 1, "a": 2}"#).unwrap_err().contains("stands twice"));
        let many: Vec<String> = (0..100).map(|n| format!(r#""k{}": {n}"#, n % 99)).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).unwrap_err().contains("\"k0\" stands twice"));
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_overflows() {
        assert!(parse(&format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX))).is_ok());
        assert!(parse(&"[".repeat(100_000)).unwrap_err().contains("nested more than 32 levels"));
        assert!(parse(&r#"{"a":"#.repeat(100_000)).unwrap_err().contains("nested more than 32 levels"));
    }

    #[test]
    fn text_after_the_document_is_refused() {
        for text in ["", " ", "{} {}", "{", "nul", "{\"a\":1,}", "'a'", "NaN"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
