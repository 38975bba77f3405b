//! The service's own timers.

use bulkhead_contracts::v1::CancelReason;
use bulkhead_sdk::{HandleError, Received, Transaction, now};

use super::{order_of, users};
use crate::life::{Happening, advance};
use crate::paying;
use crate::rules::status::Cause;
use crate::timers::{ForgetUser, PaymentAttempt, PaymentDue};

/// The time to pay is over: what is not paid is cancelled.
pub(super) fn payment_due(
    received: Received<PaymentDue>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    let mut order = order_of(&transaction, received.event.order_id)?;
    if order.status.takes(Cause::PaymentOverdue) {
        advance(&transaction, &mut order, Happening::Cancelled(CancelReason::Payment), now())?;
    }
    Ok(())
}

/// The gateway is asked, for the first time or again.
pub(super) fn payment_attempt(
    received: Received<PaymentAttempt>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    let PaymentAttempt { order_id, attempt } = received.event;
    let mut order = order_of(&transaction, order_id)?;
    Ok(paying::try_attempt(&transaction, &mut order, attempt, now())?)
}

/// More orders of a deleted user are forgotten.
pub(super) fn forget_user(
    received: Received<ForgetUser>,
    transaction: Transaction,
) -> Result<(), HandleError> {
    users::forget(&transaction, received.event.user_id)
}
