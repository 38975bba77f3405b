//! What becomes of each event. None of them needs an event of another log, or of another subject, to have come before.

use bulkhead_contracts::OrderId;
use bulkhead_contracts::v1::{
    CategoryChanged, OrderCancelled, OrderDelivered, OrderLine, OrderPaid, OrderPlaced, OrderRejected,
    OrderShipped, ProductChanged, StockReserved,
};
use bulkhead_sdk::{HandleError, Received, Service, Transaction};

use crate::rules::order::{Fact, Movement, Step, next, placed};
use crate::store::{catalogue, order, sale};

/// Has the service take its events.
pub(crate) fn subscribe(service: Service) -> Service {
    service
        .on(|received: Received<OrderPlaced>, transaction| {
            let order = received.event;
            let fact =
                placed(&order).map_err(|why| HandleError::Reject(format!("order {}: {why}", order.id)))?;
            take(&transaction, order.id, fact, &order.items)
        })
        .on(|received: Received<OrderPaid>, transaction| {
            let OrderPaid { id, amount, .. } = received.event;
            take(&transaction, id, Fact::Paid { amount }, &[])
        })
        .on(|received: Received<OrderCancelled>, transaction| {
            take(&transaction, received.event.id, Fact::Cancelled, &[])
        })
        .on(|received: Received<OrderRejected>, transaction| {
            take(&transaction, received.event.id, Fact::Rejected, &[])
        })
        .on(|received: Received<OrderShipped>, transaction| {
            take(&transaction, received.event.id, Fact::Shipped, &[])
        })
        .on(|received: Received<OrderDelivered>, transaction| {
            take(&transaction, received.event.id, Fact::Delivered, &[])
        })
        .on(|received: Received<StockReserved>, transaction| {
            take(&transaction, received.event.order_id, Fact::Reserved, &[])
        })
        .on(|received: Received<ProductChanged>, transaction| {
            catalogue::set_product(&transaction, &received.event).map_err(HandleError::from)
        })
        .on(|received: Received<CategoryChanged>, transaction| {
            catalogue::set_category(&transaction, &received.event).map_err(HandleError::from)
        })
}

/// Takes in a fact of an order; the lines are those of `order.placed`.
fn take(
    transaction: &Transaction,
    order_id: OrderId,
    fact: Fact,
    lines: &[OrderLine],
) -> Result<(), HandleError> {
    let before = order::by_id(transaction, order_id)?;
    let Step { order: after, lines_are_new, movement } =
        next(before, fact).map_err(|why| HandleError::Reject(format!("order {order_id}: {why}")))?;
    if before != Some(after) {
        order::set(transaction, order_id, &after)?;
    }
    if lines_are_new {
        order::insert_lines(transaction, order_id, lines)?;
    }
    match movement {
        Movement::None => {}
        Movement::In(day) => sale::count_in(transaction, order_id, day)?,
        Movement::Out(day) => sale::count_out(transaction, order_id, day)?,
    }
    Ok(())
}
