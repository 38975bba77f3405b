//! The life of an order's reservation, and what an order may ask for.
//!
//! Events take effect once and in order, but a dead letter can be tried again long after its order was called off: so an order's
//! first event is remembered, whichever it is, and [`next`] has an answer to each event in each state.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_contracts::ProductId;
use bulkhead_contracts::v1::{OrderLine, Shortage, StockLine};
use bulkhead_sdk::choice;

/// The most of a product that one order can have.
const QUANTITY_MAX: u32 = 10_000;

choice! {
    /// Where the items of an order are.
    pub enum Reservation {
        /// Set aside, all of them.
        Reserved = "reserved",
        /// Never set aside: there was too little. The end.
        Rejected = "rejected",
        /// Available again: the order was cancelled. The end.
        Released = "released",
        /// Gone: the order was shipped. The end.
        Sold = "sold",
        /// Never set aside: the order was cancelled first. The end.
        Cancelled = "cancelled",
    }
}

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `order.placed`, and whether there is enough of every item now.
    Placed {
        /// Nothing is missing.
        all_there: bool,
    },
    /// `order.cancelled`.
    Cancelled,
    /// `order.shipped`.
    Shipped,
}

/// What an event does to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is this now.
    Becomes(Reservation),
    /// It is what it was: the event was here before, or came too late to matter.
    Stays,
    /// It can't be: the reason is for the operator.
    Refused(&'static str),
}

/// What an event does to the reservation of its order; none is an order that has not been heard of.
pub fn next(reservation: Option<Reservation>, event: Event) -> Next {
    use Reservation::{Cancelled, Rejected, Released, Reserved, Sold};
    match (reservation, event) {
        (None, Event::Placed { all_there: true }) => Next::Becomes(Reserved),
        (None, Event::Placed { all_there: false }) => Next::Becomes(Rejected),
        (None, Event::Cancelled) => Next::Becomes(Cancelled),
        (Some(Reserved), Event::Cancelled) => Next::Becomes(Released),
        (Some(Reserved), Event::Shipped) => Next::Becomes(Sold),

        (Some(_), Event::Placed { .. })
        | (Some(Rejected | Released | Cancelled), Event::Cancelled)
        | (Some(Sold), Event::Shipped) => Next::Stays,

        (None, Event::Shipped) => Next::Refused("nothing was ever reserved for this order"),
        (Some(Rejected), Event::Shipped) => Next::Refused("there was too little stock for this order"),
        (Some(Released | Cancelled), Event::Shipped) => Next::Refused("this order was cancelled before"),
        (Some(Sold), Event::Cancelled) => Next::Refused("this order was shipped before"),
    }
}

/// What an order asks for: each product once, 1 to 10000 of it. The error is for the operator.
pub fn lines(items: &[OrderLine]) -> Result<Vec<StockLine>, String> {
    if items.is_empty() {
        return Err("the order has no items".to_owned());
    }
    let mut products = BTreeSet::new();
    items
        .iter()
        .map(|&OrderLine { product_id, quantity, .. }| {
            if !(1..=QUANTITY_MAX).contains(&quantity) {
                return Err(format!(
                    "the order has {quantity} of product {product_id}, not 1 to {QUANTITY_MAX}"
                ));
            }
            if !products.insert(product_id) {
                return Err(format!("the order has product {product_id} twice"));
            }
            Ok(StockLine { product_id, quantity })
        })
        .collect()
}

/// Every line that asks for more than is available, in the order of the lines. Of a product that is not there nothing is.
pub fn shortages(lines: &[StockLine], available: &BTreeMap<ProductId, i64>) -> Vec<Shortage> {
    lines
        .iter()
        .filter_map(|&StockLine { product_id, quantity }| {
            let available = available.get(&product_id).copied().unwrap_or(0).max(0);
            (i64::from(quantity) > available).then(|| Shortage {
                product_id,
                requested: quantity,
                // Less than the quantity, so it fits.
                available: u32::try_from(available).unwrap_or(u32::MAX),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use Reservation::{Cancelled, Rejected, Released, Reserved, Sold};
    use bulkhead_contracts::Money;
    use bulkhead_sdk::Uuid;

    use super::*;

    const PLACED: Event = Event::Placed { all_there: true };
    const SHORT: Event = Event::Placed { all_there: false };
    const STATES: [Option<Reservation>; 6] =
        [None, Some(Reserved), Some(Rejected), Some(Released), Some(Sold), Some(Cancelled)];
    const EVENTS: [Event; 4] = [PLACED, SHORT, Event::Cancelled, Event::Shipped];

    /// What is left of the events when they have been accepted one after the other; those that are refused change nothing.
    fn fold(events: &[Event]) -> Option<Reservation> {
        events.iter().fold(None, |reservation, event| match next(reservation, *event) {
            Next::Becomes(next) => Some(next),
            Next::Stays | Next::Refused(_) => reservation,
        })
    }

    #[test]
    fn a_reservation_follows_the_life_cycle_of_its_order() {
        for (events, end) in [
            (&[PLACED][..], Reserved),
            (&[SHORT], Rejected),
            (&[PLACED, Event::Cancelled], Released),
            (&[PLACED, Event::Shipped], Sold),
            (&[SHORT, Event::Cancelled], Rejected),
        ] {
            assert_eq!(fold(events), Some(end), "{events:?}");
        }
    }

    #[test]
    fn an_order_cancelled_before_it_was_placed_never_reserves_stock() {
        for late in [PLACED, SHORT] {
            assert_eq!(next(Some(Cancelled), late), Next::Stays);
            assert_eq!(fold(&[Event::Cancelled, late]), Some(Cancelled));
        }
    }

    #[test]
    fn only_a_reserved_order_can_be_shipped() {
        for state in [None, Some(Rejected), Some(Released), Some(Cancelled)] {
            assert!(matches!(next(state, Event::Shipped), Next::Refused(_)), "{state:?}");
        }
        assert!(matches!(next(Some(Sold), Event::Cancelled), Next::Refused(_)));
    }

    #[test]
    fn a_duplicate_event_takes_effect_once() {
        for state in STATES {
            for event in EVENTS {
                if let Next::Becomes(after) = next(state, event) {
                    assert_eq!(next(Some(after), event), Next::Stays, "{state:?} {event:?}");
                }
            }
        }
    }

    /// Set aside once, and given back or sold once: so the arithmetic of a product's stock can't be done twice.
    #[test]
    fn stock_moves_only_along_the_life_cycle_of_its_order() {
        for state in STATES {
            for event in EVENTS {
                let Next::Becomes(after) = next(state, event) else { continue };
                let allowed = match after {
                    Reserved | Rejected | Cancelled => state.is_none(),
                    Released | Sold => state == Some(Reserved),
                };
                assert!(allowed, "{state:?} {event:?} {after}");
            }
        }
    }

    fn product(number: u128) -> ProductId {
        Uuid::from_u128(number).into()
    }

    fn order(items: &[(u128, u32)]) -> Vec<OrderLine> {
        let line = |&(id, quantity)| OrderLine { product_id: product(id), quantity, unit_price: Money::ZERO };
        items.iter().map(line).collect()
    }

    #[test]
    fn an_order_lists_each_product_once_with_a_valid_quantity() {
        let accepted = lines(&order(&[(2, 1), (1, 10_000)])).expect("lines");
        assert_eq!(accepted.iter().map(|line| line.quantity).collect::<Vec<_>>(), [1, 10_000]);
        for (items, why) in [
            (&[][..], "no items"),
            (&[(1, 0)], "has 0 of product"),
            (&[(1, 1), (2, 10_001)], "has 10001 of product"),
            (&[(1, 1), (2, 1), (1, 1)], "twice"),
        ] {
            let error = lines(&order(items)).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn every_shortage_is_reported_and_an_unknown_product_has_no_stock() {
        let lines = lines(&order(&[(3, 5), (1, 5), (2, 6), (9, 1)])).expect("lines");
        let available = BTreeMap::from([(product(1), 5), (product(2), 5), (product(3), 0)]);
        let short: Vec<_> = shortages(&lines, &available)
            .into_iter()
            .map(|shortage| (shortage.product_id, shortage.requested, shortage.available))
            .collect();
        assert_eq!(short, [(product(3), 5, 0), (product(2), 6, 5), (product(9), 1, 0)]);
        assert!(
            shortages(&lines[1..2], &BTreeMap::from([(product(1), i64::MAX)])).is_empty(),
            "more than an order can ask for"
        );
    }
}
