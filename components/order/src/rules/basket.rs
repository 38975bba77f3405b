//! What an order is made of, and what it costs.

use bulkhead_contracts::{Money, ProductId};

/// An order has so many items at most: it is answered with all of them.
pub const ITEMS_MAX: usize = 200;
/// So many of a product at most.
pub const QUANTITY_MAX: i64 = 10_000;

/// A product, as the shop knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// What one costs.
    pub price: Money,
}

/// An item of an order, with its price frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The product.
    pub product_id: ProductId,
    /// What it is called.
    pub name: String,
    /// What one costs.
    pub unit_price: Money,
    /// How many, 1 to [`QUANTITY_MAX`].
    pub quantity: i64,
    /// What they cost together.
    pub subtotal: Money,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpriced {
    /// The shop does not know these products.
    Unknown(Vec<ProductId>),
    /// The sum is more than an amount can be.
    TooMuch,
}

/// The places of the products that stand before in the list already.
pub fn repeated(products: &[ProductId]) -> Vec<usize> {
    let mut seen = std::collections::BTreeSet::new();
    let places = products.iter().enumerate().filter(|(_, product)| !seen.insert(**product));
    places.map(|(place, _)| place).collect()
}

/// What the wanted products with their quantities cost, one by one and together.
pub fn price(wanted: &[(ProductId, i64)], known: &[Known]) -> Result<(Vec<Priced>, Money), Unpriced> {
    let find = |id: &ProductId| known.iter().find(|product| product.id == *id);
    let unknown: Vec<ProductId> = wanted.iter().map(|(id, _)| *id).filter(|id| find(id).is_none()).collect();
    if !unknown.is_empty() {
        return Err(Unpriced::Unknown(unknown));
    }
    let items = wanted
        .iter()
        .filter_map(|(id, quantity)| find(id).map(|product| (product, *quantity)))
        .map(|(product, quantity)| {
            Ok(Priced {
                product_id: product.id,
                name: product.name.clone(),
                unit_price: product.price,
                quantity,
                subtotal: product.price.checked_mul(quantity)?,
            })
        })
        .collect::<Result<Vec<Priced>, bulkhead_contracts::MoneyError>>()
        .map_err(|_| Unpriced::TooMuch)?;
    let total: Result<Money, _> = items.iter().map(|item| item.subtotal).sum();
    total.map(|total| (items, total)).map_err(|_| Unpriced::TooMuch)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;

    use super::*;

    fn id(number: u128) -> ProductId {
        Uuid::from_u128(number).into()
    }

    fn known(number: u128, cents: i64) -> Known {
        let price = Money::from_cents(cents).expect("an amount");
        Known { id: id(number), name: format!("Product {number}"), price }
    }

    #[test]
    fn the_total_is_the_exact_sum_of_the_items_in_their_order() {
        let products = [known(1, 10), known(2, 1999), known(3, 0)];
        let (items, total) = price(&[(id(2), 3), (id(1), 3), (id(3), 10_000)], &products).expect("a price");
        let subtotals: Vec<String> = items.iter().map(|item| item.subtotal.to_string()).collect();
        assert_eq!(subtotals, ["59.97", "0.30", "0.00"]);
        assert_eq!(total.to_string(), "60.27");
        assert_eq!(
            (items[0].name.as_str(), items[0].unit_price.cents(), items[0].quantity),
            ("Product 2", 1999, 3)
        );
    }

    #[test]
    fn every_unknown_product_is_named() {
        let wanted = [(id(9), 1), (id(1), 1), (id(8), 1)];
        assert_eq!(price(&wanted, &[known(1, 10)]), Err(Unpriced::Unknown(vec![id(9), id(8)])));
    }

    #[test]
    fn a_sum_that_is_not_an_amount_is_refused() {
        let products = [known(1, 999_999_999), known(2, 1)];
        assert!(price(&[(id(1), 1)], &products).is_ok());
        assert_eq!(price(&[(id(1), 2)], &products), Err(Unpriced::TooMuch));
        assert_eq!(price(&[(id(1), 1), (id(2), 1)], &products), Err(Unpriced::TooMuch));
    }

    #[test]
    fn a_repeated_product_is_found_at_each_later_position() {
        assert!(repeated(&[]).is_empty());
        assert!(repeated(&[id(1), id(2), id(3)]).is_empty());
        assert_eq!(repeated(&[id(1), id(2), id(1), id(3), id(2), id(1)]), [2, 4, 5]);
    }
}
