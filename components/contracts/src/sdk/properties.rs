//! Money as the guest SDK writes and reads it.

use bulkhead_properties::{hold, texts};
use proptest::prelude::*;

use super::*;

fn amounts() -> impl Strategy<Value = Money> {
    (0..=Money::MAX.cents()).prop_map(|cents| Money::from_cents(cents).expect("an amount"))
}

/// Anything that a column can hold.
fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        prop_oneof![-20..20_i64, Money::MAX.cents() - 20..Money::MAX.cents() + 20].prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        amounts().prop_map(|money| Value::Text(money.to_string())),
        any::<Vec<u8>>().prop_map(Value::Blob),
    ]
}

#[test]
fn an_amount_is_read_back_from_its_column() {
    hold(&amounts(), |money| {
        let parameter = money.parameter();
        assert!(matches!(parameter, Value::Integer(cents) if cents == money.cents()), "{parameter:?}");
        assert_eq!(Money::from_value(parameter), Ok(money));
    });
}

#[test]
fn a_column_is_an_amount_exactly_when_it_is_an_integer_within_the_range() {
    hold(&values(), |value| {
        let expected = match &value {
            Value::Integer(cents @ 0..=999_999_999) => Some(*cents),
            _ => None,
        };
        assert_eq!(Money::from_value(value).ok().map(Money::cents), expected);
    });
}

#[test]
fn a_query_accepts_every_amount_and_a_body_only_its_one_form_and_reports_the_rest() {
    let written = prop_oneof![
        amounts().prop_map(|money| money.to_string()),
        (any::<u32>(), any::<u8>()).prop_map(|(whole, fraction)| format!("{whole}.{fraction}")),
        texts(),
    ];
    hold(&written, |text| {
        let parsed = text.parse::<Money>().ok();
        assert_eq!(TypedMoney::from_text(&text).ok().map(|typed| typed.0), parsed);
        let in_its_form = parsed.filter(|money| money.to_string() == text);
        let mut errors = Errors::default();
        assert_eq!(Money::from_json(Node::Text(text.into()), &mut errors), in_its_form);
        assert_eq!(errors.into_found().len(), usize::from(in_its_form.is_none()));
    });
}
