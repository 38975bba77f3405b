//! What is known of orders is the same however their facts arrive.

use std::collections::BTreeMap;

use bulkhead_contracts::v1::{OrderLine, OrderPlaced};
use bulkhead_contracts::{Money, ProductId};
use bulkhead_sdk::Uuid;

use super::day::Day;
use super::order::{Fact, Movement, Order, Status, Step, next, placed};

fn money(cents: i64) -> Money {
    Money::from_cents(cents).expect("an amount")
}

fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

fn product(number: u128) -> ProductId {
    Uuid::from_u128(number).into()
}

/// An `order.placed` of these products, quantities and prices in cents.
fn order_of(items: &[(u128, u32, i64)]) -> OrderPlaced {
    OrderPlaced {
        id: Uuid::from_u128(1).into(),
        order_number: "2026-000001".to_owned(),
        user_id: Uuid::from_u128(2).into(),
        items: items
            .iter()
            .map(|&(id, quantity, cents)| OrderLine {
                product_id: product(id),
                quantity,
                unit_price: money(cents),
            })
            .collect(),
        total_amount: money(items.iter().map(|(_, quantity, cents)| i64::from(*quantity) * cents).sum()),
        placed_at: "2026-01-02T23:59:59.999Z".to_owned(),
    }
}

/// Something that an event says.
#[derive(Debug, Clone)]
enum Said {
    /// Of the order of this number.
    Order(u8, Fact),
    /// The newest name of the product of this number.
    Product(u128, &'static str),
}

/// What the tables hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tables {
    orders: BTreeMap<u8, Order>,
    lines: BTreeMap<u8, Vec<(u128, i64, i64)>>,
    sales: BTreeMap<(u128, Day), (i64, i64)>,
    products: BTreeMap<u128, &'static str>,
}

impl Tables {
    /// Does what `store` does, in memory. The lines of order `n` are `n` of product 1 and 2 of product `n`.
    fn take(&mut self, said: &Said) {
        match *said {
            Said::Product(id, name) => drop(self.products.insert(id, name)),
            Said::Order(id, fact) => {
                let Step { order, lines_are_new, movement } =
                    next(self.orders.get(&id).copied(), fact).expect("the amounts agree");
                self.orders.insert(id, order);
                if lines_are_new {
                    let number = u128::from(id);
                    self.lines.insert(id, vec![(1, i64::from(id), 100), (number, 2, 250)]);
                }
                let (sign, day) = match movement {
                    Movement::None => return,
                    Movement::In(day) => (1, day),
                    Movement::Out(day) => (-1, day),
                };
                for (product, quantity, cents) in &self.lines[&id] {
                    let sale = self.sales.entry((*product, day)).or_default();
                    sale.0 += sign * quantity;
                    sale.1 += sign * quantity * cents;
                    assert!(sale.0 >= 0 && sale.1 >= 0, "{said:?}");
                    if sale.0 == 0 {
                        self.sales.remove(&(*product, day));
                    }
                }
            }
        }
    }
}

/// Calls `see` with every interleaving of two logs, each in its own order.
fn interleavings(one: &[Said], other: &[Said], applied: &Tables, see: &mut impl FnMut(&Tables)) {
    if one.is_empty() && other.is_empty() {
        return see(applied);
    }
    if let [first, rest @ ..] = one {
        let mut applied = applied.clone();
        applied.take(first);
        interleavings(rest, other, &applied, see);
    }
    if let [first, rest @ ..] = other {
        let mut applied = applied.clone();
        applied.take(first);
        interleavings(one, rest, &applied, see);
    }
}

fn placed_with(number: u8) -> Fact {
    let days = ["2026-01-02", "2026-01-03"];
    Fact::Placed { day: day(days[usize::from(number) % 2]), amount: amount(number) }
}

fn amount(number: u8) -> Money {
    money(i64::from(number) * 100 + 500)
}

#[test]
fn every_interleaving_of_the_event_logs_gives_the_same_reports() {
    let paid = |number| Fact::Paid { amount: amount(number) };
    let order_log = [
        Said::Order(2, placed_with(2)),
        Said::Order(3, placed_with(3)),
        Said::Order(4, placed_with(4)),
        Said::Order(2, paid(2)),
        Said::Order(3, paid(3)),
        Said::Order(4, Fact::Rejected),
        Said::Order(2, Fact::Cancelled),
        Said::Order(3, Fact::Shipped),
    ];
    let product_log = [
        Said::Product(2, "Potatoes"),
        Said::Order(2, Fact::Reserved),
        Said::Product(2, "Sweet potatoes"),
        Said::Order(3, Fact::Reserved),
        Said::Product(1, "Leeks"),
    ];
    let mut seen: Vec<Tables> = Vec::new();
    let mut count = 0;
    interleavings(&order_log, &product_log, &Tables::default(), &mut |tables| {
        count += 1;
        if !seen.contains(tables) {
            seen.push(tables.clone());
        }
    });
    assert_eq!(count, 1287, "13 over 5");
    let [tables] = seen.as_slice() else { panic!("{} outcomes: {seen:#?}", seen.len()) };
    let statuses: Vec<Status> = tables.orders.values().map(|order| order.status).collect();
    assert_eq!(statuses, [Status::Cancelled, Status::Shipped, Status::Rejected]);
    let third = day("2026-01-03");
    assert_eq!(tables.sales, BTreeMap::from([((1, third), (3, 300)), ((3, third), (2, 500))]));
    assert_eq!(tables.products[&2], "Sweet potatoes");
}

/// A dead letter that is tried again comes behind what it once came before.
#[test]
fn the_facts_of_an_order_give_the_same_state_in_any_sequence() {
    let lives: [&[Fact]; 4] = [
        &[placed_with(2), Fact::Reserved, Fact::Paid { amount: amount(2) }, Fact::Shipped, Fact::Delivered],
        &[placed_with(2), Fact::Reserved, Fact::Paid { amount: amount(2) }, Fact::Cancelled],
        &[placed_with(2), Fact::Reserved, Fact::Cancelled],
        &[placed_with(2), Fact::Rejected],
    ];
    for life in lives {
        let mut in_order = Tables::default();
        life.iter().for_each(|fact| in_order.take(&Said::Order(2, *fact)));
        assert_eq!(
            in_order.orders[&2].status,
            next(None, life[life.len() - 1]).expect("a step").order.status
        );
        permutations(life, &mut Vec::new(), &mut |facts| {
            let mut tables = Tables::default();
            facts.iter().for_each(|fact| tables.take(&Said::Order(2, *fact)));
            assert_eq!(tables, in_order, "{facts:?}");
        });
    }
}

fn permutations(left: &[Fact], applied: &mut Vec<Fact>, see: &mut impl FnMut(&[Fact])) {
    if left.is_empty() {
        return see(applied);
    }
    for (place, fact) in left.iter().enumerate() {
        applied.push(*fact);
        permutations(&[&left[..place], &left[place + 1..]].concat(), applied, see);
        applied.pop();
    }
}

#[test]
fn a_refund_is_subtracted_on_the_day_of_the_order() {
    let mut tables = Tables::default();
    for fact in [placed_with(2), Fact::Paid { amount: amount(2) }] {
        tables.take(&Said::Order(2, fact));
    }
    assert_eq!(tables.sales.values().map(|(_, cents)| cents).sum::<i64>(), amount(2).cents());
    tables.take(&Said::Order(2, Fact::Cancelled));
    assert!(tables.sales.is_empty(), "{tables:?}");
}

#[test]
fn a_duplicate_fact_counts_once_even_with_different_content() {
    let mut tables = Tables::default();
    for fact in [placed_with(2), Fact::Reserved, Fact::Paid { amount: amount(2) }] {
        tables.take(&Said::Order(2, fact));
    }
    let before = tables.clone();
    let other = Fact::Placed { day: day("2027-07-07"), amount: money(1) };
    for fact in [placed_with(2), other, Fact::Reserved, Fact::Paid { amount: amount(2) }] {
        tables.take(&Said::Order(2, fact));
        assert_eq!(tables, before, "{fact:?}");
    }
}

#[test]
fn a_payment_of_a_different_amount_is_reported_whichever_came_first() {
    let (placed, paid) = (placed_with(2), Fact::Paid { amount: money(1) });
    for (first, second) in [(placed, paid), (paid, placed)] {
        let known = next(None, first).expect("a step").order;
        let error = next(Some(known), second).expect_err("another amount").to_string();
        assert!(error.contains("0.01") && error.contains("7.00"), "{error}");
    }
}

#[test]
fn an_order_counts_from_its_payment_until_its_refund() {
    let placed = next(None, placed_with(2)).expect("a step").order;
    let paid = next(Some(placed), Fact::Paid { amount: amount(2) }).expect("a step").order;
    let back = next(Some(paid), Fact::Cancelled).expect("a step").order;
    assert_eq!([placed, paid, back].map(Order::is_sold), [false, true, false]);
    // Of which day is not known yet.
    let early = next(None, Fact::Paid { amount: amount(2) }).expect("a step").order;
    assert!(!early.is_sold());
}

#[test]
fn every_status_ranks_above_the_earlier_ones() {
    assert!(Status::ALL.is_sorted());
}

#[test]
fn an_order_must_match_its_lines() {
    let order = order_of(&[(1, 3, 25), (2, 1, 100)]);
    assert_eq!(placed(&order), Ok(Fact::Placed { day: day("2026-01-02"), amount: money(175) }));
    let mut other_total = order.clone();
    other_total.total_amount = money(174);
    let mut other_time = order;
    other_time.placed_at = "yesterday".to_owned();
    for (order, why) in [
        (other_total, "1.75"),
        (other_time, "placed_at"),
        (order_of(&[(1, 1, 1), (1, 1, 1)]), "twice"),
        (order_of(&[(1, 0, 1)]), "0 of product"),
    ] {
        let error = placed(&order).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
}
