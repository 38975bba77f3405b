//! Money against whole numbers of cents that cannot overflow: `i128` holds every sum and product that can be asked for here.

use bulkhead_properties::{hold, texts};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Any amount; often a small one, or one near the end.
fn amounts() -> impl Strategy<Value = Money> {
    let cents = prop_oneof![0..=CENTS_MAX, 0..200_i64, CENTS_MAX - 200..=CENTS_MAX];
    cents.prop_map(|cents| Money { cents })
}

/// Any number; often one near zero, or near the ends of what an amount can be.
fn numbers() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -20..20_i64, CENTS_MAX - 20..=CENTS_MAX + 20, 0..=CENTS_MAX]
}

/// Text that is an amount, nearly one, or anything at all.
fn written() -> impl Strategy<Value = String> {
    let digit = || prop::char::range('0', '9');
    let digits = move |count| vec(digit(), count).prop_map(String::from_iter);
    let well_formed =
        (digits(0..=9), prop::option::of(digits(0..=4))).prop_map(|(whole, fraction)| match fraction {
            Some(fraction) => format!("{whole}.{fraction}"),
            None => whole,
        });
    let other =
        prop::sample::select("0123456789....+-eE_, ٣\u{ff13}\0xNainf%\"".chars().collect::<Vec<char>>());
    let nearly = vec(prop_oneof![3 => digit(), 1 => other], 0..=12).prop_map(String::from_iter);
    prop_oneof![3 => well_formed, 3 => nearly, 1 => texts()]
}

/// What a text comes to in cents, read one character after the other; none if it is not an amount by the pattern that the shop's
/// description gives for queries: `^[0-9]{1,7}(\.[0-9]{1,2})?$`.
fn cents_of(text: &str) -> Option<i128> {
    let (mut cents, mut whole, mut point, mut behind) = (0_i128, 0, 0, 0);
    for character in text.chars() {
        match character {
            '.' => point += 1,
            '0'..='9' => {
                cents =
                    cents.checked_mul(10)?.checked_add(i128::from(u32::from(character) - u32::from('0')))?;
                *if point == 0 { &mut whole } else { &mut behind } += 1;
            }
            _ => return None,
        }
    }
    let is_amount = (1..=7).contains(&whole) && matches!((point, behind), (0, 0) | (1, 1..=2));
    is_amount.then(|| cents * 10_i128.pow(2 - behind))
}

/// The amount of so many cents, or that it is out of range.
fn money_of(cents: i128) -> Result<i128, MoneyError> {
    if (0..=999_999_999).contains(&cents) { Ok(cents) } else { Err(MoneyError::OutOfRange) }
}

/// What was computed, as a number to compare with.
fn cents(computed: Result<Money, MoneyError>) -> Result<i128, MoneyError> {
    computed.map(|money| i128::from(money.cents()))
}

#[test]
fn an_amount_is_read_back_from_its_text_its_json_and_its_decimal() {
    hold(&amounts(), |money| {
        let text = money.to_string();
        assert_eq!(text.parse(), Ok(money));
        let (whole, fraction) = text.split_once('.').expect("a point");
        assert!((1..=7).contains(&whole.len()) && fraction.len() == 2, "{text}");
        assert!(whole == "0" || !whole.starts_with('0'), "{text}");
        let json = serde_json::to_string(&money).expect("JSON");
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Money>(&json).expect("an amount"), money);
        assert_eq!(Money::from_decimal(money.to_decimal()), Ok(money));
        assert_eq!(money.to_decimal().to_string(), text);
    });
}

#[test]
fn text_parses_as_an_amount_exactly_when_it_matches_the_pattern() {
    hold(&written(), |text| {
        let read = text.parse::<Money>();
        assert_eq!(cents(read).ok(), cents_of(&text), "{text:?}");
        // And JSON is no other way in.
        let json = serde_json::to_string(&text).expect("JSON");
        assert_eq!(serde_json::from_str::<Money>(&json).ok(), read.ok(), "{text:?}");
    });
}

#[test]
fn a_json_number_is_never_accepted_as_an_amount() {
    hold(&(numbers(), any::<f64>()), |(number, float)| {
        assert!(serde_json::from_str::<Money>(&number.to_string()).is_err());
        assert!(serde_json::from_str::<Money>(&serde_json::json!(float).to_string()).is_err());
    });
}

#[test]
fn cents_are_an_amount_exactly_when_they_are_within_the_range() {
    hold(&numbers(), |number| assert_eq!(cents(Money::from_cents(number)), money_of(number.into())));
}

#[test]
fn a_sum_is_exact_or_refused() {
    hold(&vec(amounts(), 0..8), |amounts| {
        let exact = amounts.iter().map(|amount| i128::from(amount.cents())).sum();
        assert_eq!(cents(amounts.iter().copied().sum()), money_of(exact));
        if let [first, second, ..] = amounts[..] {
            let exact = i128::from(first.cents()) + i128::from(second.cents());
            assert_eq!(cents(first.checked_add(second)), money_of(exact));
        }
    });
}

#[test]
fn a_product_is_exact_or_refused() {
    // Or a product that would wrap around to a small one: a multiple of 2⁶⁴, and a bit.
    let wrapping = (2..24_u32, 1..20_i64, 0..4_i64).prop_map(|(zeros, odd, bit)| {
        let amount = Money::from_cents(odd << zeros).expect("an amount");
        (amount, (1 << (64 - zeros)) + bit)
    });
    hold(&prop_oneof![(amounts(), numbers()), wrapping], |(amount, count)| {
        assert_eq!(
            cents(amount.checked_mul(count)),
            money_of(i128::from(amount.cents()) * i128::from(count))
        );
    });
}

#[test]
fn n_times_an_amount_equals_the_sum_of_n_copies() {
    hold(&(amounts(), 0..=40_usize), |(amount, count)| {
        let times = i64::try_from(count).expect("a small number");
        assert_eq!(amount.checked_mul(times), std::iter::repeat_n(amount, count).sum());
    });
}

#[test]
fn amounts_compare_as_their_cents_do() {
    hold(&(amounts(), amounts()), |(one, other)| {
        assert_eq!(one.cmp(&other), one.cents().cmp(&other.cents()));
        assert_eq!(one == other, one.to_string() == other.to_string());
        assert_eq!(one.cmp(&other), one.to_decimal().cmp(&other.to_decimal()));
    });
}

#[test]
fn a_decimal_is_an_amount_exactly_when_it_is_whole_cents_within_the_range() {
    let mantissas = prop_oneof![
        any::<i64>().prop_map(i128::from),
        -(1_i128 << 96) + 1..1 << 96,
        (numbers(), 0..=18_u32).prop_map(|(number, zeros)| i128::from(number) * 10_i128.pow(zeros)),
    ];
    hold(&(mantissas, 0..=28_u32), |(mantissa, scale)| {
        let Ok(decimal) = Decimal::try_from_i128_with_scale(mantissa, scale) else { return };
        let parts = 10_i128.pow(scale);
        // In hundredths without the product, which could be too large.
        let (whole, rest) = (mantissa / parts, mantissa % parts * 100);
        let expected =
            if rest % parts != 0 { Err(MoneyError::Malformed) } else { money_of(whole * 100 + rest / parts) };
        assert_eq!(cents(Money::from_decimal(decimal)), expected, "{decimal}");
    });
}
