//! Sums of money, against whole numbers of cents that cannot overflow.

use bulkhead_contracts::v1::{OrderLine, OrderPlaced};
use bulkhead_contracts::{Money, ProductId};
use bulkhead_properties::hold;
use bulkhead_sdk::{Column as _, Uuid, Value, serde_json};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::amount::Amount;
use super::order::{Fact, placed};

/// Any number of cents; often few, or nearly as many as there can be.
fn sums() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0..1_000_000_i64, 2 => 0..=i64::MAX, 1 => i64::MAX - 200..=i64::MAX]
}

fn amount(cents: i64) -> Amount {
    Amount::from_cents(cents).expect("an amount")
}

#[test]
fn an_amount_is_written_exactly_however_large_it_is() {
    hold(&sums(), |cents| {
        let text = amount(cents).to_string();
        let (whole, fraction) = text.split_once('.').expect("a point");
        assert_eq!(fraction.len(), 2, "{text}");
        assert_eq!(format!("{whole}{fraction}").parse(), Ok(cents), "{text}");
        assert!(whole == "0" || !whole.starts_with('0'), "{text}");
        assert_eq!(serde_json::json!(amount(cents)), text);
    });
}

#[test]
fn a_column_is_an_amount_exactly_when_it_is_a_nonnegative_integer() {
    let values = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        sums().prop_map(Value::Integer),
        (-2..2_i64).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        sums().prop_map(|cents| Value::Text(cents.to_string())),
        Just(Value::Null),
    ];
    hold(&values, |value| {
        let expected = match &value {
            Value::Integer(cents) if *cents >= 0 => Some(amount(*cents)),
            _ => None,
        };
        assert_eq!(Amount::from_value(value).ok(), expected);
    });
}

#[test]
fn a_sum_of_amounts_is_exact_or_absent() {
    hold(&vec(sums(), 0..8), |sums| {
        let exact: i128 = sums.iter().map(|cents| i128::from(*cents)).sum();
        let sum: Option<Amount> = sums.iter().map(|cents| amount(*cents)).sum();
        assert_eq!(sum, i64::try_from(exact).ok().map(amount));
    });
}

#[test]
fn amounts_compare_as_their_cents_do() {
    hold(&(sums(), sums()), |(one, other)| assert_eq!(amount(one).cmp(&amount(other)), one.cmp(&other)));
}

/// Lines of an order: products by number, with quantities that may be zero and prices in cents.
fn lines() -> impl Strategy<Value = Vec<(u128, u32, i64)>> {
    let quantities =
        prop_oneof![1 => 0..3_u32, 4 => Just(1), 2 => 1..5_u32, 1 => 1..=10_000_u32, 1 => any::<u32>()];
    let prices = prop_oneof![2 => 0..20_000_i64, 1 => 0..=Money::MAX.cents()];
    vec((0..40_u128, quantities, prices), 0..6)
}

/// What an order says that its lines come to.
#[derive(Debug, Clone)]
enum Total {
    Off(i128),
    Without(Index),
    Other(i128),
}

#[test]
fn an_order_is_accepted_exactly_when_its_lines_sum_to_its_total() {
    // The right total or nearly so, one without a line, and any other; as far as it can be written.
    let totals = prop_oneof![
        3 => (-1..=1_i128).prop_map(Total::Off),
        1 => any::<Index>().prop_map(Total::Without),
        1 => (0..=Money::MAX.cents()).prop_map(|cents| Total::Other(cents.into())),
    ];
    hold(&(lines(), totals), |(lines, total)| {
        let cost = |(_, quantity, cents): &(u128, u32, i64)| i128::from(*quantity) * i128::from(*cents);
        let sum: i128 = lines.iter().map(cost).sum();
        let said = match total {
            Total::Off(cents) => sum + cents,
            Total::Without(_) if lines.is_empty() => sum,
            Total::Without(line) => sum - cost(line.get(&lines)),
            Total::Other(cents) => cents,
        };
        let said = said.clamp(0, Money::MAX.cents().into());
        let money = |cents| Money::from_cents(cents).expect("an amount");
        let order = OrderPlaced {
            id: Uuid::from_u128(1).into(),
            order_number: "2026-000001".to_owned(),
            user_id: Uuid::from_u128(2).into(),
            items: lines
                .iter()
                .map(|&(product, quantity, cents)| OrderLine {
                    product_id: ProductId::from(Uuid::from_u128(product)),
                    quantity,
                    unit_price: money(cents),
                })
                .collect(),
            total_amount: money(i64::try_from(said).expect("within the range")),
            placed_at: "2026-01-02T03:04:05.678Z".to_owned(),
        };
        let is_sound = lines.iter().enumerate().all(|(place, (product, quantity, _))| {
            *quantity > 0 && lines[..place].iter().all(|(other, ..)| other != product)
        });
        match placed(&order) {
            Ok(Fact::Placed { amount, .. }) => {
                assert!(is_sound && sum == said, "{order:?}");
                assert_eq!(i128::from(amount.cents()), sum);
            }
            Ok(other) => panic!("{other:?}"),
            Err(why) => assert!(!is_sound || sum != said, "{why}: {order:?}"),
        }
    });
}
