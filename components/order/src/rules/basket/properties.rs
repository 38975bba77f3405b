//! What an order costs, against whole numbers of cents that cannot overflow.

use bulkhead_properties::hold;
use bulkhead_sdk::Uuid;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Prices in cents; often such that an order of a few costs more than there can be, or just not.
fn prices() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..=20_000_i64, 1 => 0..=999_999_999_i64, 1 => 999_999_000..=999_999_999_i64]
}

fn quantities() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 1..=5_i64, 1 => 1..=QUANTITY_MAX]
}

/// A product by its number, which is its place among the prices too.
fn id(number: usize) -> ProductId {
    Uuid::from_u128(u128::try_from(number).expect("a small number") + 1).into()
}

#[test]
fn an_order_costs_exactly_the_sum_of_its_items_or_is_refused() {
    let baskets = (vec(prices(), 1..8), vec((0..9_usize, quantities()), 1..8));
    hold(&baskets, |(prices, mut wanted)| {
        wanted.sort();
        wanted.dedup_by_key(|(number, _)| *number);
        let known: Vec<Known> = prices
            .iter()
            .enumerate()
            .map(|(number, cents)| Known {
                id: id(number),
                name: format!("Product {number}"),
                price: Money::from_cents(*cents).expect("an amount"),
            })
            // What the shop knows comes in any order.
            .rev()
            .collect();
        let pairs: Vec<(ProductId, i64)> =
            wanted.iter().map(|(number, quantity)| (id(*number), *quantity)).collect();
        let priced = price(&pairs, &known);

        let unknown: Vec<ProductId> = wanted
            .iter()
            .filter(|(number, _)| *number >= prices.len())
            .map(|(number, _)| id(*number))
            .collect();
        if !unknown.is_empty() {
            assert_eq!(priced, Err(Unpriced::Unknown(unknown)));
            return;
        }
        let costs: Vec<i128> = wanted
            .iter()
            .map(|(number, quantity)| i128::from(prices[*number]) * i128::from(*quantity))
            .collect();
        let total: i128 = costs.iter().sum();
        if total > i128::from(Money::MAX.cents()) {
            assert_eq!(priced, Err(Unpriced::TooMuch));
            return;
        }
        let (items, sum) = priced.expect("a price");
        assert_eq!(i128::from(sum.cents()), total);
        assert_eq!(items.iter().map(|item| i128::from(item.subtotal.cents())).collect::<Vec<_>>(), costs);
        assert_eq!(items.iter().map(|item| (item.product_id, item.quantity)).collect::<Vec<_>>(), pairs);
        for (item, (number, _)) in items.iter().zip(&wanted) {
            assert_eq!(item.unit_price.cents(), prices[*number]);
        }
    });
}

#[test]
fn repeated_products_are_found_at_every_position_but_the_first() {
    hold(&vec(0..6_usize, 0..12), |numbers| {
        let products: Vec<ProductId> = numbers.iter().map(|number| id(*number)).collect();
        let expected: Vec<usize> =
            (0..numbers.len()).filter(|place| numbers[..*place].contains(&numbers[*place])).collect();
        assert_eq!(repeated(&products), expected);
    });
}
