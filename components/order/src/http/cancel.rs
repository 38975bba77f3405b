//! `/orders/{id}/cancel`.

use bulkhead_contracts::OrderId;
use bulkhead_contracts::v1::CancelReason;
use bulkhead_sdk::{Json, Path, Result, Transaction, now};

use super::who::{Asks, no_such_order};
use crate::life::{Happening, advance, order_state};
use crate::rules::status::Cause;
use crate::store::head;
use crate::store::order::{self, Order};

/// Cancels what is not shipped. What was paid is refunded at once.
pub(super) fn cancel(asks: Asks, Path(id): Path<OrderId>, transaction: Transaction) -> Result<Json<Order>> {
    let mut order = asks.see(head::by_id(&transaction, id)?, |order| order.user_id_ref)?;
    if !order.status.takes(Cause::Cancelled) {
        return Err(order_state(order.status, "an order is cancelled until it is shipped or has ended"));
    }
    advance(&transaction, &mut order, Happening::Cancelled(CancelReason::Customer), now())?;
    order::by_id(&transaction, id)?.map(Json).ok_or_else(no_such_order)
}
