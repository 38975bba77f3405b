//! What the user service tells of its users.

use bulkhead_contracts::UserId;
use bulkhead_contracts::v1::{CancelReason, UserDeleted};
use bulkhead_sdk::{HandleError, Received, Transaction, now};

use crate::life::{Happening, advance};
use crate::rules::status::Cause;
use crate::store::{deleted_user, head, shipping};
use crate::timers::ForgetUser;

/// So many orders are ended and forgotten in one unit of work: whoever has ordered much holds nobody up.
const ORDERS_AT_ONCE: usize = 100;

/// What is not shipped is cancelled and refunded, and no order says any more whose it was or where it went. What of that is personal is in
/// `docs/personal-data.md`.
pub(super) fn deleted(received: Received<UserDeleted>, transaction: Transaction) -> Result<(), HandleError> {
    let user_id = received.event.id;
    // First of all, so that they order nothing while their orders are forgotten.
    deleted_user::insert(&transaction, user_id, now())?;
    forget(&transaction, user_id)
}

/// Ends and forgets the next orders of a deleted user, and comes back for the rest.
pub(super) fn forget(transaction: &Transaction, user_id: UserId) -> Result<(), HandleError> {
    let now = now();
    let count = i64::try_from(ORDERS_AT_ONCE).unwrap_or(i64::MAX);
    let orders = head::of_user(transaction, user_id, count)?;
    let is_all = orders.len() < ORDERS_AT_ONCE;
    for mut order in orders {
        if order.status.takes(Cause::UserDeleted) {
            advance(transaction, &mut order, Happening::Cancelled(CancelReason::UserDeleted), now)?;
        }
        shipping::forget_recipient(transaction, order.id)?;
        head::forget_user(transaction, order.id, now)?;
        // Of the customer, or of an admin on their behalf: they say where it went. Each kept answer of the service is about one order.
        transaction.forget_answers(&order.id.to_string())?;
    }
    if !is_all {
        transaction.schedule(&ForgetUser { user_id }, now)?;
    }
    Ok(())
}
