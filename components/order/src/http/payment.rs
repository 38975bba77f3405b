//! `/orders/{id}/payment`, and what a client pays with.

use bulkhead_contracts::OrderId;
use bulkhead_sdk::{Body, Json, Path, Problem, Result, Transaction, body, now};

use super::who::{Asks, no_such_order};
use crate::life::order_state;
use crate::paying;
use crate::problems::TOO_MANY_PAYMENTS;
use crate::rules::payment::{ATTEMPTS_MAX, Method, Token};
use crate::rules::status::Cause;
use crate::store::order::{self, Order};
use crate::store::{head, payment_attempt};

body! {
    /// How an order is paid.
    pub struct PaymentInput {
        /// How, such as `card`.
        pub method: Method,
        /// What the payment service gave to pay with. It is kept until it is used.
        pub token: Token,
    }
}

/// Pays again, and answers when the gateway has, or can't say. Also an attempt that is not decided yet gives way to the new one.
pub(super) fn pay(
    asks: Asks,
    Path(id): Path<OrderId>,
    Body(new): Body<PaymentInput>,
    transaction: Transaction,
) -> Result<Json<Order>> {
    let mut order = asks.see(head::by_id(&transaction, id)?, |order| order.user_id_ref)?;
    if !order.status.takes(Cause::PaymentCaptured) {
        return Err(order_state(order.status, "an order is paid while it is reserved"));
    }
    let now = now();
    if now >= order.payment_due_at {
        return Err(order_state(order.status, "the time to pay this order is over"));
    }
    if payment_attempt::count(&transaction, id)? >= ATTEMPTS_MAX {
        let detail = format!("an order is tried to be paid {ATTEMPTS_MAX} times at most");
        return Err(Problem::of(TOO_MANY_PAYMENTS, detail).with("constraint", "order_payment_attempt"));
    }
    paying::again(&transaction, &mut order, (&new.method, &new.token), now)?;
    order::by_id(&transaction, id)?.map(Json).ok_or_else(no_such_order)
}
