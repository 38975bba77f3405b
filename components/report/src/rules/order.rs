//! What is known of an order, and what it counts as.
//!
//! Facts of one order come from two logs, in any interleaving of them, and one that was a dead letter may come long after all others. So
//! nothing here asks which came first: what is known is a join of the facts, and the same facts give the same order.

use std::collections::BTreeSet;
use std::fmt;

use bulkhead_contracts::Money;
use bulkhead_contracts::v1::{OrderLine, OrderPlaced};
use bulkhead_sdk::{Timestamp, choice};

use crate::rules::day::Day;

choice! {
    /// How an order stands, as far as it is known. Each stands above those before it.
    #[derive(PartialOrd, Ord)]
    pub enum Status {
        /// Placed.
        Pending = "pending",
        /// Its items are set aside.
        Reserved = "reserved",
        /// The payment was taken.
        Paid = "paid",
        /// On its way.
        Shipped = "shipped",
        /// It has arrived.
        Delivered = "delivered",
        /// There was too little stock.
        Rejected = "rejected",
        /// Called off, and refunded if it was paid.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Reserved,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Rejected,
        Self::Cancelled,
    ];
}

/// What an event says of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// It was placed.
    Placed {
        /// When.
        day: Day,
        /// The sum of its lines.
        amount: Money,
    },
    /// Its items are set aside.
    Reserved,
    /// It was paid.
    Paid {
        /// What was captured.
        amount: Money,
    },
    /// It was shipped.
    Shipped,
    /// It was delivered.
    Delivered,
    /// There was too little stock.
    Rejected,
    /// It was called off.
    Cancelled,
}

impl Fact {
    fn status(self) -> Status {
        match self {
            Self::Placed { .. } => Status::Pending,
            Self::Reserved => Status::Reserved,
            Self::Paid { .. } => Status::Paid,
            Self::Shipped => Status::Shipped,
            Self::Delivered => Status::Delivered,
            Self::Rejected => Status::Rejected,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

/// What is known of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// How it stands.
    pub status: Status,
    /// When it was placed; none until that is known.
    pub day: Option<Day>,
    /// What it comes to; none until it is known to be placed or paid.
    pub amount: Option<Money>,
}

/// What becomes of the sales of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Nothing.
    None,
    /// The lines of the order are counted on this day.
    In(Day),
    /// They are no longer.
    Out(Day),
}

/// A fact taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is known now.
    pub order: Order,
    /// The order's lines became known by it.
    pub lines_are_new: bool,
    /// What it does to the sales.
    pub movement: Movement,
}

/// More was captured than the order comes to, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherAmount {
    known: Money,
    said: Money,
}

impl fmt::Display for OtherAmount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it is about {}, and the order comes to {}", self.said, self.known)
    }
}

impl Order {
    /// It was paid and not refunded, and its lines are known: so they count.
    pub fn is_sold(self) -> bool {
        self.sold_on().is_some()
    }

    fn sold_on(self) -> Option<Day> {
        matches!(self.status, Status::Paid | Status::Shipped | Status::Delivered)
            .then_some(self.day)
            .flatten()
    }
}

/// Takes in a fact of an order; none is one that has not been heard of.
///
/// # Errors
/// Where the amounts of `order.placed` and `order.paid` differ: then nobody knows which one to report.
pub fn next(before: Option<Order>, fact: Fact) -> Result<Step, OtherAmount> {
    let status = fact.status();
    let mut order = before.unwrap_or(Order { status, day: None, amount: None });
    order.status = order.status.max(status);
    let lines_are_new = order.day.is_none() && matches!(fact, Fact::Placed { .. });
    match fact {
        Fact::Placed { day, amount } if lines_are_new => {
            order.amount = Some(agreed(order.amount, amount)?);
            order.day = Some(day);
        }
        Fact::Paid { amount } => order.amount = Some(agreed(order.amount, amount)?),
        _ => {}
    }
    let movement = match (before.and_then(Order::sold_on), order.sold_on()) {
        (None, Some(day)) => Movement::In(day),
        (Some(day), None) => Movement::Out(day),
        _ => Movement::None,
    };
    Ok(Step { order, lines_are_new, movement })
}

fn agreed(known: Option<Money>, said: Money) -> Result<Money, OtherAmount> {
    match known {
        Some(known) if known != said => Err(OtherAmount { known, said }),
        _ => Ok(said),
    }
}

/// What `order.placed` says, once its lines are found to be what they should: each product once, and together the order's total. The
/// error is for the operator.
pub fn placed(event: &OrderPlaced) -> Result<Fact, String> {
    let mut products = BTreeSet::new();
    let mut sum = Money::ZERO;
    for OrderLine { product_id, quantity, unit_price } in &event.items {
        if *quantity == 0 || !products.insert(product_id) {
            return Err(format!("it has {quantity} of product {product_id} in a line, or the product twice"));
        }
        sum = unit_price
            .checked_mul(i64::from(*quantity))
            .and_then(|subtotal| sum.checked_add(subtotal))
            .map_err(|error| format!("its lines come to more than there can be: {error}"))?;
    }
    if sum != event.total_amount {
        return Err(format!("its lines come to {sum}, and it says {}", event.total_amount));
    }
    let placed_at: Timestamp = event.placed_at.parse().map_err(|error| format!("placed_at {error}"))?;
    Ok(Fact::Placed { day: placed_at.into(), amount: sum })
}
