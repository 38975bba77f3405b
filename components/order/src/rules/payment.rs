//! Paying: what a client gives for it, how often, and when it is tried again.

use std::fmt;
use std::str::FromStr;

use bulkhead_contracts::Line;
use bulkhead_sdk::json::Node;
use bulkhead_sdk::serde_json::{self, json};
use bulkhead_sdk::{Column, Errors, FromJson, Parameter, Schema, Value};

/// An order may be tried to be paid so many times: each stands in its history, which is answered whole.
pub const ATTEMPTS_MAX: i64 = 20;

/// After the first try of an attempt that the gateway could not answer.
const BACKOFF_FIRST_MILLISECONDS: i64 = 50;
/// The longest wait between two tries.
const BACKOFF_MAX_MILLISECONDS: i64 = 5_000;

/// How long to wait before an attempt that was tried so many times is tried again: twice as long each time, up to a bound.
pub fn backoff_milliseconds(tries: i64) -> i64 {
    let doublings = tries.saturating_sub(1).clamp(0, 16);
    BACKOFF_FIRST_MILLISECONDS.saturating_mul(1 << doublings).min(BACKOFF_MAX_MILLISECONDS)
}

/// How somebody pays, such as `card`.
pub type Method = Line<50>;

/// What a payment service gave the client to pay with. It is kept until it is used, and written nowhere else: it can be neither displayed
/// nor serialised, and its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// The longest token, in characters.
const TOKEN_MAX: usize = 200;

impl Token {
    /// For the gateway's eyes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plain && text.len() <= TOKEN_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must have 1 to {TOKEN_MAX} visible characters of ASCII"))
        }
    }
}

impl Schema for Token {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "minLength": 1, "maxLength": TOKEN_MAX, "pattern": "^[!-~]+$", "writeOnly": true})
    }
}

impl FromJson for Token {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Text(text) => text.parse().map_err(|message: String| errors.add(message)).ok(),
            other => bulkhead_sdk::value::expected("a string", &other, errors),
        }
    }
}

impl Parameter for Token {
    fn parameter(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

impl Column for Token {
    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backoff_is_twice_the_previous_one_up_to_a_limit() {
        let waits = [1, 2, 3, 4, 7, 8, 100, i64::MAX].map(backoff_milliseconds);
        assert_eq!(waits, [50, 100, 200, 400, 3_200, 5_000, 5_000, 5_000]);
        assert_eq!([i64::MIN, -1, 0].map(backoff_milliseconds), [50, 50, 50]);
    }

    #[test]
    fn a_token_is_one_word_and_hidden_in_debug_output() {
        let token: Token = "tok_secret".parse().expect("a token");
        assert_eq!(token.expose(), "tok_secret");
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert!("t".repeat(TOKEN_MAX).parse::<Token>().is_ok());
        for text in ["", " ", "a b", "a\n", "é", &"t".repeat(TOKEN_MAX + 1)] {
            let message = text.parse::<Token>().expect_err(text);
            assert!(text.trim().is_empty() || !message.contains(text), "{message}");
        }
    }
}
