//! What the product service makes of an order that was placed.

use bulkhead_contracts::v1::{StockRejected, StockReserved};
use bulkhead_sdk::{HandleError, Received, Transaction, now};

use super::order_of;
use crate::life::{Happening, advance};
use crate::paying;
use crate::rules::status::Cause;

/// Every item is set aside: now it is to be paid. Where the order was cancelled meanwhile, `order.cancelled` gives the stock back.
pub(super) fn reserved(
    received: Received<StockReserved>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    let mut order = order_of(&transaction, received.event.order_id)?;
    if order.status.takes(Cause::StockReserved) {
        let now = now();
        advance(&transaction, &mut order, Happening::StockReserved, now)?;
        paying::begin(&transaction, &order, now)?;
    }
    Ok(())
}

/// There was too little: nothing is set aside.
pub(super) fn rejected(
    received: Received<StockRejected>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    let StockRejected { order_id, shortages } = received.event;
    let mut order = order_of(&transaction, order_id)?;
    if order.status.takes(Cause::StockRejected) {
        advance(&transaction, &mut order, Happening::StockRejected(&shortages), now())?;
    }
    Ok(())
}
