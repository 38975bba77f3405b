//! The one way in which an order changes: its status, payment, shipping and history change together, and what others are to know is
//! published, in one unit of work.

use bulkhead_contracts::UserId;
use bulkhead_contracts::v1::{
    CancelReason, OrderCancelled, OrderDelivered, OrderPaid, OrderRejected, OrderShipped, Shortage,
};
use bulkhead_sdk::{Problem, Result, Timestamp, Transaction};

use crate::problems::ORDER_STATE;
use crate::rules::status::{Cause, PaymentStatus, Status, next};
use crate::store::head::{self, Head};
use crate::store::payment_attempt::{self, Outcome};
use crate::store::{gateway, item, order_event, payment, shipping};
use crate::timers::{PaymentAttempt, PaymentDue};

/// What happens to an order, with what there is to know of it.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'h> {
    /// Every item of it was set aside.
    StockReserved,
    /// There is too little of these.
    StockRejected(&'h [Shortage]),
    /// The gateway took the money, and knows it by this.
    PaymentCaptured(&'h str),
    /// The gateway declined.
    PaymentDeclined,
    /// It is cancelled; the cause is one of those that do so.
    Cancelled(CancelReason),
    /// It is given to a carrier.
    Shipped {
        /// Who carries it.
        carrier: &'h str,
        /// The carrier's number for it.
        tracking_number: &'h str,
    },
    /// It has arrived.
    Delivered,
}

impl Happening<'_> {
    /// What stands for it in the history.
    pub fn cause(&self) -> Cause {
        match self {
            Self::StockReserved => Cause::StockReserved,
            Self::StockRejected(_) => Cause::StockRejected,
            Self::PaymentCaptured(_) => Cause::PaymentCaptured,
            Self::PaymentDeclined => Cause::PaymentDeclined,
            Self::Cancelled(CancelReason::Customer) => Cause::Cancelled,
            Self::Cancelled(CancelReason::Payment) => Cause::PaymentOverdue,
            Self::Cancelled(CancelReason::UserDeleted) => Cause::UserDeleted,
            Self::Shipped { .. } => Cause::Shipped,
            Self::Delivered => Cause::Delivered,
        }
    }
}

/// 409: an order that stands so does not take this.
pub fn order_state(status: Status, detail: &'static str) -> Problem {
    Problem::of(ORDER_STATE, detail).with("constraint", "order.status").with("order_status", status.as_str())
}

/// Takes an order on by what happens to it: 409 where that cannot happen to it.
pub fn advance(
    transaction: &Transaction,
    order: &mut Head,
    happening: Happening<'_>,
    at: Timestamp,
) -> Result<()> {
    let (before, cause) = (order.status, happening.cause());
    let status = next(Some(before), cause)
        .ok_or_else(|| order_state(before, "an order that stands so does not take this"))?;
    order_event::append(transaction, order.id, cause, at)?;
    head::set_status(transaction, order.id, status, at)?;
    set_payment(transaction, order, status.payment(order.payment_status, cause), happening, at)?;
    cancel_timers(transaction, order, status)?;
    set_shipping(transaction, order, status, happening)?;
    if before.is_open() && !status.is_open() {
        item::freeze_names(transaction, order.id)?;
    }
    order.status = status;
    publish(transaction, order, happening, at)
}

fn set_payment(
    transaction: &Transaction,
    order: &mut Head,
    status: PaymentStatus,
    happening: Happening<'_>,
    at: Timestamp,
) -> Result<()> {
    match (happening, status) {
        (Happening::PaymentCaptured(transaction_id), _) => {
            payment_attempt::decide(transaction, order.id, Outcome::Captured, at)?;
            payment::capture(transaction, order.id, transaction_id, at)?;
        }
        (Happening::PaymentDeclined, _) => {
            payment_attempt::decide(transaction, order.id, Outcome::Declined, at)?;
            payment::settle(transaction, order.id, status)?;
        }
        (_, PaymentStatus::Refunded | PaymentStatus::Voided) => {
            payment_attempt::decide(transaction, order.id, Outcome::Voided, at)?;
            gateway::release(transaction, order.id)?;
            payment::settle(transaction, order.id, status)?;
        }
        (_, PaymentStatus::Pending | PaymentStatus::Captured | PaymentStatus::Declined) => {}
    }
    order.payment_status = status;
    Ok(())
}

/// What an order waits for no longer rings no more: an attempt to pay that is decided, and the end of the time to pay once it is paid or has
/// ended.
fn cancel_timers(transaction: &Transaction, order: &Head, status: Status) -> Result<()> {
    let subject = order.id.to_string();
    if order.payment_status != PaymentStatus::Pending {
        transaction.cancel_all::<PaymentAttempt>(&subject)?;
    }
    if !status.takes(Cause::PaymentOverdue) {
        transaction.cancel_all::<PaymentDue>(&subject)?;
    }
    Ok(())
}

fn set_shipping(
    transaction: &Transaction,
    order: &Head,
    status: Status,
    happening: Happening<'_>,
) -> Result<()> {
    match happening {
        Happening::Shipped { carrier, tracking_number } => {
            shipping::ship(transaction, order.id, carrier, tracking_number)?;
        }
        _ if status.shipping() != order.status.shipping() => {
            shipping::set_status(transaction, order.id, status.shipping())?;
        }
        _ => {}
    }
    Ok(())
}

/// Publishes what others are to know. What the service alone is concerned with, stock that is reserved and payments that are declined, it
/// keeps to itself.
fn publish(transaction: &Transaction, order: &Head, happening: Happening<'_>, at: Timestamp) -> Result<()> {
    let id = order.id;
    let user_id = order.user_id_ref.unwrap_or(UserId::DELETED);
    match happening {
        Happening::StockReserved | Happening::PaymentDeclined => return Ok(()),
        Happening::StockRejected(shortages) => {
            transaction.publish(&OrderRejected { id, user_id, shortages: shortages.to_vec() })
        }
        Happening::PaymentCaptured(_) => transaction.publish(&OrderPaid {
            id,
            user_id,
            payment_id: order.payment_id,
            amount: order.total_amount,
            paid_at: at.to_string(),
        }),
        Happening::Cancelled(reason) => transaction.publish(&OrderCancelled { id, user_id, reason }),
        // Not the tracking number: what is personal does not go into a log that others build on for ever.
        Happening::Shipped { carrier, .. } => {
            transaction.publish(&OrderShipped { id, user_id, carrier: carrier.to_owned() })
        }
        Happening::Delivered => transaction.publish(&OrderDelivered { id, user_id }),
    }?;
    Ok(())
}
