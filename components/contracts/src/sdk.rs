//! The value types and the events as the guest SDK knows them.

use std::borrow::Cow;

use bulkhead_sdk::json::Node;
use bulkhead_sdk::serde_json::{Value as Json, json};
use bulkhead_sdk::{Column, Errors, Event, FromJson, FromText, Parameter, Schema, Value, roles, text_value};

use crate::{
    AddressId, CategoryId, Country, ImageId, Line, Money, OrderId, OrderItemId, PaymentId, PreferenceId,
    ProductId, ReviewId, ShippingId, UserId, v1,
};

macro_rules! ids {
    ($($name:ident),+ $(,)?) => { $( text_value!($name, json!({"type": "string", "format": "uuid"})); )+ };
}

ids!(
    AddressId,
    CategoryId,
    ImageId,
    OrderId,
    OrderItemId,
    PaymentId,
    PreferenceId,
    ProductId,
    ReviewId,
    ShippingId,
    UserId
);

text_value!(Country, json!({"type": "string", "title": "Country", "enum": Country::CODES}));

/// What [`Line`] takes, in escapes that every dialect of patterns has.
const LINE_PATTERN: &str =
    concat!(r"^[^\s\x00-\x1f\x7f-\x9f]", r"([^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?$");

impl<const LENGTH_MAX: usize> Schema for Line<LENGTH_MAX> {
    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": LENGTH_MAX, "pattern": LINE_PATTERN})
    }
}

impl<const LENGTH_MAX: usize> FromJson for Line<LENGTH_MAX> {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Text(text) => text.parse().map_err(|message: String| errors.add(message)).ok(),
            other => bulkhead_sdk::value::expected("a string", &other, errors),
        }
    }
}

impl<const LENGTH_MAX: usize> Parameter for Line<LENGTH_MAX> {
    fn parameter(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}

impl Schema for Money {
    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": r"^(0|[1-9][0-9]{0,6})\.[0-9]{2}$",
            "description": "A decimal from 0.00 to 9999999.99, with two digits behind the point.",
        })
    }
}

/// Takes an amount in the one form that it is written in: a program that sends another one may have computed with floats.
impl FromJson for Money {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Text(text) => {
                match text.parse::<Self>() {
                    Ok(money) if money.to_string() == *text => Some(money),
                    Ok(money) => {
                        errors.add(format!("must have two digits behind the point and no needless zero before it: \"{money}\""));
                        None
                    }
                    Err(error) => {
                        errors.add(error.to_string());
                        None
                    }
                }
            }
            Node::Integer(_) | Node::Number(_) => {
                errors.add("must be a string such as \"19.99\": a JSON number may lose cents on its way");
                None
            }
            other => bulkhead_sdk::value::expected("a string", &other, errors),
        }
    }
}

/// An amount as people type it, for queries: also `5` and `5.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypedMoney(pub Money);

impl Schema for TypedMoney {
    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": r"^[0-9]{1,7}(\.[0-9]{1,2})?$",
            "description": "A decimal with at most 7 digits before the point and 2 behind it.",
        })
    }
}

impl FromText for TypedMoney {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: crate::MoneyError| error.to_string())
    }
}

/// Cents.
impl Parameter for Money {
    fn parameter(&self) -> Value {
        Value::Integer(self.cents())
    }
}

impl Column for Money {
    fn from_value(value: Value) -> Result<Self, String> {
        let cents = i64::from_value(value)?;
        Money::from_cents(cents).map_err(|error| format!("is {cents} cents, and {error}"))
    }
}

macro_rules! events {
    ($($name:ident),+ $(,)?) => { $(
        impl Event for v1::$name {
            const TYPE: &'static str = v1::$name::TYPE;

            fn subject(&self) -> Cow<'_, str> {
                Cow::Owned(v1::$name::subject(self))
            }
        }
    )+ };
}

events!(
    CategoryChanged,
    OrderCancelled,
    OrderDelivered,
    OrderPaid,
    OrderPlaced,
    OrderRejected,
    OrderShipped,
    ProductChanged,
    ProductDeleted,
    StockRejected,
    StockReleased,
    StockReserved,
    UserChanged,
    UserDeleted,
);

roles! {
    /// Runs the shop.
    pub Admin = "admin"
    /// Buys in it, and sees their own data alone.
    pub Customer = "customer"
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_cents_in_a_database() {
        let money: Money = "19.99".parse().expect("an amount");
        assert!(matches!(money.parameter(), Value::Integer(1999)));
        assert_eq!(Money::from_value(Value::Integer(1999)), Ok(money));
        assert!(Money::from_value(Value::Integer(-1)).is_err());
    }

    #[test]
    fn the_schema_of_money_gives_its_written_form() {
        let schema = Money::schema();
        assert_eq!(
            (&schema["type"], &schema["pattern"]),
            (&json!("string"), &json!(r"^(0|[1-9][0-9]{0,6})\.[0-9]{2}$"))
        );
    }

    #[test]
    fn a_line_has_a_schema_and_is_text_in_a_body_and_in_the_database() {
        assert_eq!(
            Line::<20>::schema(),
            json!({"type": "string", "minLength": 1, "maxLength": 20, "pattern": LINE_PATTERN})
        );
        let read = |node: Node<'_>| {
            let mut errors = Errors::default();
            let line = Line::<20>::from_json(node, &mut errors).map(Line::into_string);
            (line, errors.into_found().first().map(|error| error.message.clone()).unwrap_or_default())
        };
        assert_eq!(read(Node::Text("1 Quay".into())), (Some("1 Quay".to_owned()), String::new()));
        for (node, why) in [(Node::Text(" 1".into()), "white space"), (Node::Integer(1), "must be a string")]
        {
            let (line, message) = read(node);
            assert!(line.is_none() && message.contains(why), "{message}");
        }
        let line: Line<20> = "1 Quay".parse().expect("a line");
        assert!(matches!(line.parameter(), Value::Text(text) if text == "1 Quay"));
    }

    #[test]
    fn money_in_a_query_states_how_many_digits_it_accepts() {
        let schema = TypedMoney::schema();
        assert!(schema["pattern"].as_str().expect("a pattern").contains("{1,7}"));
        assert!(TypedMoney::from_text("00000001").expect_err("too long").contains("7 digits"));
        assert_eq!(TypedMoney::from_text("5.5").map(|typed| typed.0.cents()), Ok(550));
    }

    #[test]
    fn money_has_one_form_in_a_body() {
        let read = |text: &str| {
            let mut errors = Errors::default();
            let money = Money::from_json(Node::Text(text.into()), &mut errors);
            (money.map(Money::cents), errors.into_found().first().map(|error| error.message.clone()))
        };
        for (text, cents) in [("0.00", 0), ("0.05", 5), ("19.99", 1999), ("9999999.99", 999_999_999)] {
            assert_eq!(read(text), (Some(cents), None));
        }
        for (text, why) in [
            ("5", "two digits behind the point and no needless zero before it: \"5.00\""),
            ("5.5", "\"5.50\""),
            ("007.01", "\"7.01\""),
            ("1.234", "two digits"),
            ("-1.00", "decimal number"),
            ("10000000.00", "from 0.00 to 9999999.99"),
            ("", "decimal number"),
        ] {
            let (money, message) = read(text);
            assert!(
                money.is_none() && message.as_ref().is_some_and(|message| message.contains(why)),
                "{text}: {message:?}"
            );
        }
    }

    #[test]
    fn a_number_for_money_is_refused_with_the_reason() {
        let mut errors = Errors::default();
        assert_eq!(Money::from_json(Node::Number(19.99), &mut errors), None);
        assert!(errors.into_found()[0].message.starts_with("must be a string"));
    }
}
