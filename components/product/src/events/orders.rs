//! The product service's side of an order: it sets stock aside, gives it back, and sells it.

use bulkhead_contracts::OrderId;
use bulkhead_contracts::v1::{
    OrderCancelled, OrderPlaced, OrderShipped, StockRejected, StockReleased, StockReserved,
};
use bulkhead_sdk::{HandleError, Received, Transaction, now};

use super::words;
use crate::rules::reservation::{self as rules, Event, Next, Reservation};
use crate::store::reservation;

/// `order.placed`: sets every item aside, or none, and says which.
pub(crate) fn placed(received: Received<OrderPlaced>, transaction: Transaction) -> Result<(), HandleError> {
    let order_id = received.event.id;
    let items = rules::lines(&received.event.items).map_err(HandleError::Reject)?;
    let shortages = rules::shortages(&items, &reservation::available(&transaction, &items)?);
    let event = Event::Placed { all_there: shortages.is_empty() };
    match step(&transaction, order_id, event)? {
        Some(Reservation::Reserved) => {
            reservation::set_aside(&transaction, order_id, &items, now())?;
            transaction.publish(&StockReserved { order_id, items })?;
        }
        Some(Reservation::Rejected) => {
            transaction.publish(&StockRejected { order_id, shortages })?;
        }
        _ => {}
    }
    // Here too, for a shop may sell for long before its catalogue changes.
    words::see_to(&transaction)
}

/// `order.cancelled`: gives back what was set aside, and remembers the order where nothing was.
pub(crate) fn cancelled(
    received: Received<OrderCancelled>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    let order_id = received.event.id;
    if step(&transaction, order_id, Event::Cancelled)? == Some(Reservation::Released) {
        let items = reservation::give_back(&transaction, order_id, now())?;
        transaction.publish(&StockReleased { order_id, items })?;
    }
    Ok(())
}

/// `order.shipped`: what was set aside is sold.
pub(crate) fn shipped(received: Received<OrderShipped>, transaction: Transaction) -> Result<(), HandleError> {
    let order_id = received.event.id;
    if step(&transaction, order_id, Event::Shipped)?.is_some() {
        reservation::sell(&transaction, order_id)?;
    }
    Ok(())
}

/// Takes the reservation of an order one step on: what it has become, or none where it stays.
fn step(
    transaction: &Transaction,
    order_id: OrderId,
    event: Event,
) -> Result<Option<Reservation>, HandleError> {
    match rules::next(reservation::of_order(transaction, order_id)?, event) {
        Next::Becomes(next) => {
            reservation::set(transaction, order_id, next)?;
            Ok(Some(next))
        }
        Next::Stays => Ok(None),
        Next::Refused(why) => Err(HandleError::Reject(format!("order {order_id}: {why}"))),
    }
}
