//! `data/baskets.csv` and `data/products.csv`, and the answers that are known from the files alone.
//!
//! Pure: the same files give the same baskets, price changes and totals, whatever a shop does with them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::cents::Cents;

/// A product's number in the source, which is its SKU in the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sku(pub(crate) u64);

impl std::fmt::Display for Sku {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One purchase: what one household bought in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Basket {
    /// Its number in the source.
    pub(crate) number: u64,
    /// Who bought.
    pub(crate) household: u64,
    /// Where.
    pub(crate) store: u64,
    /// When: RFC 3339, UTC, as the file has it.
    pub(crate) ordered_at: String,
    /// What, in the order of the file. No product is there twice.
    pub(crate) lines: Vec<Line>,
}

/// A product in a basket, or in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// Which product.
    pub(crate) sku: Sku,
    /// How many.
    pub(crate) quantity: i64,
    /// What one cost on that day.
    pub(crate) unit_price: Cents,
}

impl Line {
    /// What the line costs.
    pub(crate) fn subtotal(&self) -> Cents {
        self.unit_price.times(self.quantity)
    }
}

/// A line of the file.
#[derive(Deserialize)]
struct Row {
    basket_id: u64,
    household_id: u64,
    store_id: u64,
    ordered_at: String,
    product_id: Sku,
    quantity: i64,
    unit_price: Cents,
}

/// Reads the baskets, in the order of the file.
pub(crate) fn read(file: &Path) -> Result<Vec<Basket>> {
    parse(&text_of(file)?).with_context(|| format!("failed to understand {}", file.display()))
}

fn text_of(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}

fn parse(text: &str) -> Result<Vec<Basket>> {
    let mut baskets: Vec<Basket> = Vec::new();
    for row in csv::Reader::from_reader(text.as_bytes()).into_deserialize::<Row>() {
        let row = row?;
        let line = Line { sku: row.product_id, quantity: row.quantity, unit_price: row.unit_price };
        match baskets.last_mut() {
            Some(basket) if basket.number == row.basket_id => {
                if basket.lines.iter().any(|other| other.sku == line.sku) {
                    bail!("product {} is in basket {} twice", line.sku, basket.number);
                }
                basket.lines.push(line);
            }
            _ => baskets.push(Basket {
                number: row.basket_id,
                household: row.household_id,
                store: row.store_id,
                ordered_at: row.ordered_at,
                lines: vec![line],
            }),
        }
    }
    Ok(baskets)
}

/// The first prices of `products.csv`, by product.
pub(crate) fn first_prices(file: &Path) -> Result<BTreeMap<Sku, Cents>> {
    #[derive(Deserialize)]
    struct Product {
        product_id: Sku,
        unit_price: Cents,
    }
    let text = text_of(file)?;
    let products = csv::Reader::from_reader(text.as_bytes()).into_deserialize::<Product>();
    products
        .map(|product| product.map(|product| (product.product_id, product.unit_price)))
        .collect::<Result<_, _>>()
        .with_context(|| format!("failed to understand {}", file.display()))
}

/// The lines of a basket whose price is not the one that holds now; `prices` has the new ones afterwards.
pub(crate) fn change_prices(prices: &mut BTreeMap<Sku, Cents>, basket: &Basket) -> Vec<Line> {
    let differs = |line: &&Line| prices.insert(line.sku, line.unit_price) != Some(line.unit_price);
    basket.lines.iter().filter(differs).copied().collect()
}

/// How much of each product the baskets hold.
pub(crate) fn units_by_product(baskets: &[Basket]) -> BTreeMap<Sku, i64> {
    let mut units = BTreeMap::new();
    for line in baskets.iter().flat_map(|basket| &basket.lines) {
        *units.entry(line.sku).or_default() += line.quantity;
    }
    units
}

/// What a replay without faults must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownAnswers {
    /// The sum of all lines.
    pub(crate) total: Cents,
    /// Pieces sold.
    pub(crate) units: i64,
    /// How often a product's price was not the one before.
    pub(crate) price_changes: usize,
}

impl KnownAnswers {
    /// Computes them of these baskets, with the prices from before the first of them.
    pub(crate) fn of(baskets: &[Basket], mut prices: BTreeMap<Sku, Cents>) -> KnownAnswers {
        let lines = || baskets.iter().flat_map(|basket| &basket.lines);
        KnownAnswers {
            total: lines().map(Line::subtotal).sum(),
            units: lines().map(|line| line.quantity).sum(),
            price_changes: baskets.iter().map(|basket| change_prices(&mut prices, basket).len()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bulkhead_tests::paths;

    use super::*;

    fn real() -> (Vec<Basket>, BTreeMap<Sku, Cents>) {
        let data = paths::root().join("data");
        (read(&data.join("baskets.csv")).unwrap(), first_prices(&data.join("products.csv")).unwrap())
    }

    #[test]
    fn known_answers_of_the_real_baskets_follow_from_the_files() {
        let (baskets, prices) = real();
        let answers = KnownAnswers::of(&baskets, prices);
        assert_eq!(answers.total.to_string(), "103829.64");
        assert_eq!((answers.units, answers.price_changes), (45_984, 5_294));
        assert_eq!(answers, crate::OF_ALL_BASKETS);
    }

    #[test]
    fn real_baskets_are_complete_and_their_numbers_are_unique() {
        let (baskets, prices) = real();
        assert_eq!(baskets.len(), crate::BASKETS);
        let numbers: BTreeSet<u64> = baskets.iter().map(|basket| basket.number).collect();
        let households: BTreeSet<u64> = baskets.iter().map(|basket| basket.household).collect();
        assert_eq!((numbers.len(), households.len()), (baskets.len(), 1_390));
        assert_eq!(baskets.iter().map(|basket| basket.lines.len()).max(), Some(153));
        let units = units_by_product(&baskets);
        assert_eq!(units.values().sum::<i64>(), 45_984);
        assert!(units.keys().all(|sku| prices.contains_key(sku)));
    }

    #[test]
    fn a_price_that_comes_back_has_changed_twice() {
        let text = "basket_id,household_id,store_id,ordered_at,product_id,quantity,unit_price\n\
                    1,10,3,2017-01-01T11:53:26Z,7,2,0.50\n\
                    1,10,3,2017-01-01T11:53:26Z,8,1,1.00\n\
                    2,11,3,2017-01-01T12:10:28Z,7,1,0.60\n\
                    3,10,3,2017-01-01T12:11:00Z,7,1,0.50\n";
        let baskets = parse(text).unwrap();
        assert_eq!(baskets.iter().map(|basket| basket.lines.len()).collect::<Vec<_>>(), [2, 1, 1]);
        let prices = BTreeMap::from([(Sku(7), Cents::new(50)), (Sku(8), Cents::new(90))]);
        let answers = KnownAnswers::of(&baskets, prices);
        assert_eq!(answers, KnownAnswers { total: Cents::new(310), units: 5, price_changes: 3 });
        assert_eq!(units_by_product(&baskets), BTreeMap::from([(Sku(7), 4), (Sku(8), 1)]));
    }

    #[test]
    fn product_listed_twice_in_a_basket_is_refused() {
        let text = "basket_id,household_id,store_id,ordered_at,product_id,quantity,unit_price\n\
                    1,10,3,2017-01-01T11:53:26Z,7,2,0.50\n1,10,3,2017-01-01T11:53:26Z,7,1,0.50\n";
        assert!(parse(text).is_err());
    }
}
