//! The client's own idea of what the shop must hold in the end, and the comparison with what it holds.
//!
//! It is made of what the client sent and of the answers that it got, never of what the shop says when it is asked later: so an order that
//! was lost, doubled or changed by a crash is found. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::baskets::{Line, Sku};
use crate::cents::Cents;
use crate::plan::Ending;
use crate::seen::{Order, ShippingStatus, Stock};

/// An order that the client placed.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// The number of its basket.
    pub(crate) basket: u64,
    /// For whom.
    pub(crate) user: String,
    /// What was ordered.
    pub(crate) lines: Vec<Line>,
    /// How it ended, once that is known.
    pub(crate) ending: Option<Ending>,
}

impl Placed {
    /// What it costs.
    pub(crate) fn total(&self) -> Cents {
        self.lines.iter().map(Line::subtotal).sum()
    }

    fn is_sale(&self) -> bool {
        self.ending.is_some_and(Ending::is_sale)
    }
}

/// All that the client knows.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The orders, by id.
    orders: BTreeMap<String, Placed>,
    /// Stock that was ever added, of each product of the shop.
    added: BTreeMap<Sku, i64>,
    /// The ids of the products.
    products: BTreeMap<Sku, String>,
}

impl Model {
    /// A shop with these products: their ids, and all stock that is ever added.
    pub(crate) fn new(products: BTreeMap<Sku, String>, added: BTreeMap<Sku, i64>) -> Model {
        Model { orders: BTreeMap::new(), added, products }
    }

    /// An order was placed, and has this id.
    ///
    /// # Errors
    /// Another order has this id.
    pub(crate) fn place(&mut self, id: &str, order: Placed) -> anyhow::Result<()> {
        let basket = order.basket;
        if let Some(other) = self.orders.insert(id.to_owned(), order) {
            anyhow::bail!("the orders of baskets {} and {basket} have the same id, {id}", other.basket);
        }
        Ok(())
    }

    /// An order has ended.
    pub(crate) fn end(&mut self, id: &str, ending: Ending) {
        if let Some(order) = self.orders.get_mut(id) {
            order.ending = Some(ending);
        }
    }

    /// How many orders were placed.
    pub(crate) fn len(&self) -> usize {
        self.orders.len()
    }

    /// The products with their ids.
    pub(crate) fn products(&self) -> &BTreeMap<Sku, String> {
        &self.products
    }

    /// The total of all orders, whatever became of them.
    pub(crate) fn total(&self) -> Cents {
        self.orders.values().map(Placed::total).sum()
    }

    /// The pieces of all orders, whatever became of them.
    pub(crate) fn units(&self) -> i64 {
        self.orders.values().flat_map(|order| &order.lines).map(|line| line.quantity).sum()
    }

    /// What was paid for and not given back.
    pub(crate) fn revenue(&self) -> Cents {
        self.orders.values().filter(|order| order.is_sale()).map(Placed::total).sum()
    }

    /// The pieces that left, of each product.
    pub(crate) fn shipped(&self) -> BTreeMap<Sku, i64> {
        let mut shipped = BTreeMap::new();
        for line in self.orders.values().filter(|order| order.is_sale()).flat_map(|order| &order.lines) {
            *shipped.entry(line.sku).or_default() += line.quantity;
        }
        shipped
    }

    /// How many orders ended in each way.
    pub(crate) fn endings(&self) -> BTreeMap<Ending, usize> {
        let mut endings = BTreeMap::new();
        for ending in self.orders.values().filter_map(|order| order.ending) {
            *endings.entry(ending).or_default() += 1;
        }
        endings
    }

    /// Where the orders that the shop shows are not the ones that the client knows: a sentence each.
    pub(crate) fn compare_orders(&self, found: &[Order]) -> Vec<String> {
        let mut differences = Vec::new();
        let mut missing: BTreeMap<&str, &Placed> =
            self.orders.iter().map(|(id, order)| (id.as_str(), order)).collect();
        let mut numbers = BTreeSet::new();
        for order in found {
            if !numbers.insert(&order.order_number) {
                differences.push(format!("two orders have the number {}", order.order_number));
            }
            match missing.remove(order.id.as_str()) {
                Some(placed) => self.compare_order(placed, order, &mut differences),
                None if self.orders.contains_key(&order.id) => {
                    differences.push(format!("order {} is listed twice", order.id));
                }
                None => differences.push(format!("nobody knows of order {}", order.id)),
            }
        }
        let lost = missing.iter();
        differences.extend(lost.map(|(id, order)| format!("order {id} of basket {} is lost", order.basket)));
        differences
    }

    fn compare_order(&self, placed: &Placed, found: &Order, differences: &mut Vec<String>) {
        let mut differs = |what: &str, expected: String, found: String| {
            if expected != found {
                let basket = placed.basket;
                differences.push(format!("basket {basket}: {what} is {found}, and not {expected}"));
            }
        };
        match placed.ending {
            Some(ending) => differs("its order", ending.state().to_string(), found.state().to_string()),
            None => differs("its order", "ended".to_owned(), found.state().to_string()),
        }
        let shipping = found.shipping.shipping_status;
        let shipping_fits = match placed.ending {
            Some(Ending::Shipped) => shipping == ShippingStatus::Shipped,
            Some(Ending::Delivered) => shipping == ShippingStatus::Delivered,
            _ => matches!(shipping, ShippingStatus::Pending | ShippingStatus::Cancelled),
        };
        if !shipping_fits {
            differs("its parcel", format!("as its order ({:?})", placed.ending), format!("{shipping:?}"));
        }
        let total = placed.total().to_string();
        differs("its user", placed.user.clone(), found.user_id_ref.clone().unwrap_or_default());
        differs("its total", total.clone(), found.total_amount.to_string());
        differs("its payment's amount", total, found.payment.amount.to_string());
        let line = |product: &str, line: &Line, subtotal: Cents| {
            format!("{product}: {} at {} = {subtotal}", line.quantity, line.unit_price)
        };
        let id_of = |sku| self.products.get(&sku).map_or("?", String::as_str);
        let expected: BTreeSet<String> =
            placed.lines.iter().map(|item| line(id_of(item.sku), item, item.subtotal())).collect();
        let shown: Vec<String> = found
            .items
            .iter()
            .map(|item| {
                let product = item.product_id_ref.as_deref().unwrap_or("?");
                let as_line = Line { sku: Sku(0), quantity: item.quantity, unit_price: item.unit_price };
                line(product, &as_line, item.subtotal)
            })
            .collect();
        differs("the number of its items", expected.len().to_string(), shown.len().to_string());
        let odd: Vec<&String> = shown.iter().filter(|item| !expected.contains(*item)).collect();
        if !odd.is_empty() {
            differs("an item", format!("one of {expected:?}"), format!("{odd:?}"));
        }
    }

    /// Where the stock that the shop shows is not what was added less what was shipped: a sentence each.
    pub(crate) fn compare_stock(&self, found: &BTreeMap<Sku, Stock>) -> Vec<String> {
        let shipped = self.shipped();
        let mut differences = Vec::new();
        for (sku, added) in &self.added {
            let sold = shipped.get(sku).copied().unwrap_or_default();
            let expected = Stock { available: added - sold, reserved: 0, sold, added: *added };
            match found.get(sku) {
                Some(stock) if *stock == expected => (),
                Some(stock) => differences.push(format!("product {sku} has {stock:?}, and not {expected:?}")),
                None => differences.push(format!("product {sku} is gone")),
            }
        }
        differences
    }
}

/// Products whose stock is not all that was ever added: a sentence each.
pub(crate) fn not_conserved(found: &BTreeMap<Sku, Stock>) -> Vec<String> {
    found
        .iter()
        .filter(|(_, stock)| {
            let fields = [stock.available, stock.reserved, stock.sold];
            fields.iter().any(|field| *field < 0) || fields.iter().sum::<i64>() != stock.added
        })
        .map(|(sku, stock)| format!("product {sku} has {stock:?}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::{Item, Payment, Shipping};

    fn line(sku: u64, quantity: i64, cents: i64) -> Line {
        Line { sku: Sku(sku), quantity, unit_price: Cents::new(cents) }
    }

    fn placed(basket: u64, lines: &[Line]) -> Placed {
        Placed { basket, user: "u".to_owned(), lines: lines.to_vec(), ending: None }
    }

    /// Product 1 has 10 pieces and product 2 has 5; one order of each kind of ending.
    fn model() -> Model {
        let products = BTreeMap::from([(Sku(1), "p1".to_owned()), (Sku(2), "p2".to_owned())]);
        let mut model = Model::new(products, BTreeMap::from([(Sku(1), 10), (Sku(2), 5)]));
        for (place, ending) in Ending::ALL.into_iter().enumerate() {
            let id = format!("o{place}");
            model.place(&id, placed(place as u64, &[line(1, 2, 150), line(2, 1, 99)])).unwrap();
            model.end(&id, ending);
        }
        model
    }

    /// The shop as it must be.
    fn shown(model: &Model) -> Vec<Order> {
        let orders = model.orders.iter().map(|(id, placed)| {
            let ending = placed.ending.unwrap();
            Order {
                id: id.clone(),
                order_number: format!("N-{id}"),
                user_id_ref: Some(placed.user.clone()),
                status: ending.state().status,
                total_amount: placed.total(),
                items: placed
                    .lines
                    .iter()
                    .map(|line| Item {
                        product_id_ref: Some(model.products[&line.sku].clone()),
                        quantity: line.quantity,
                        unit_price: line.unit_price,
                        subtotal: line.subtotal(),
                    })
                    .collect(),
                payment: Payment { payment_status: ending.state().payment, amount: placed.total() },
                shipping: Shipping {
                    shipping_status: match ending {
                        Ending::Shipped => ShippingStatus::Shipped,
                        Ending::Delivered => ShippingStatus::Delivered,
                        _ => ShippingStatus::Cancelled,
                    },
                },
            }
        });
        orders.collect()
    }

    #[test]
    fn totals_count_ordered_items_and_revenue_and_shipped_count_sold_items() {
        let model = model();
        assert_eq!(model.total(), Cents::new(5 * 399));
        assert_eq!(model.units(), 15);
        assert_eq!(model.revenue(), Cents::new(2 * 399));
        assert_eq!(model.shipped(), BTreeMap::from([(Sku(1), 4), (Sku(2), 2)]));
        assert_eq!(model.endings().values().sum::<usize>(), model.len());
    }

    #[test]
    fn shop_that_matches_the_model_has_no_difference() {
        let model = model();
        assert_eq!(model.compare_orders(&shown(&model)), Vec::<String>::new());
        let stock = BTreeMap::from([
            (Sku(1), Stock { available: 6, reserved: 0, sold: 4, added: 10 }),
            (Sku(2), Stock { available: 3, reserved: 0, sold: 2, added: 5 }),
        ]);
        assert_eq!(model.compare_stock(&stock), Vec::<String>::new());
        assert_eq!(not_conserved(&stock), Vec::<String>::new());
    }

    #[test]
    fn each_possible_error_of_an_order_is_found() {
        let model = model();
        type Change = fn(&mut Vec<Order>);
        let changes: [(&str, Change); 10] = [
            ("is lost", |orders| {
                orders.pop();
            }),
            ("is listed twice", |orders| orders.push(orders[0].clone())),
            ("two orders have the number", |orders| orders[1].order_number = "N-o0".to_owned()),
            ("nobody knows of order x", |orders| orders[0].id = "x".to_owned()),
            ("its order is", |orders| orders[0].status = crate::seen::Status::Paid),
            ("its order is", |orders| orders[2].payment.payment_status = crate::seen::PaymentStatus::Voided),
            ("its parcel is", |orders| orders[3].shipping.shipping_status = ShippingStatus::Pending),
            ("its total is", |orders| orders[0].total_amount = Cents::new(400)),
            ("its user is", |orders| orders[0].user_id_ref = None),
            ("an item is", |orders| orders[0].items[1].quantity = 2),
        ];
        for (expected, change) in changes {
            let mut orders = shown(&model);
            change(&mut orders);
            let differences = model.compare_orders(&orders);
            assert!(differences.iter().any(|text| text.contains(expected)), "{expected}: {differences:?}");
        }
    }

    #[test]
    fn stock_that_is_stuck_lost_or_sold_twice_is_found() {
        let model = model();
        for stock in [
            Stock { available: 5, reserved: 1, sold: 4, added: 10 },
            Stock { available: 6, reserved: 0, sold: 3, added: 10 },
            Stock { available: 4, reserved: 0, sold: 6, added: 10 },
        ] {
            let found = BTreeMap::from([(Sku(1), stock)]);
            assert_eq!(model.compare_stock(&found).len(), 2, "{stock:?}");
            let conserved = stock.available + stock.reserved + stock.sold == stock.added;
            assert_eq!(not_conserved(&found).is_empty(), conserved, "{stock:?}");
        }
        let below_zero = Stock { available: -1, reserved: 0, sold: 11, added: 10 };
        assert_eq!(not_conserved(&BTreeMap::from([(Sku(1), below_zero)])).len(), 1);
    }

    #[test]
    fn one_id_for_two_orders_is_refused() {
        let mut model = model();
        assert!(model.place("o0", placed(9, &[])).is_err());
    }
}
