//! Attempts to pay: recorded first, then put to the gateway, and put to it again by a timer while it can't say.

use bulkhead_sdk::{Problem, Result, Timestamp, Transaction};

use crate::life::{Happening, advance};
use crate::rules::payment::{Method, Token, backoff_milliseconds};
use crate::rules::status::PaymentStatus;
use crate::store::gateway::{self, Answer, Charge};
use crate::store::head::{self, Head};
use crate::store::payment;
use crate::store::payment_attempt::{self, Outcome};
use crate::timers::PaymentAttempt;

/// Records the first attempt of an order that has just been reserved. The gateway is asked once that is committed, by a timer that is due
/// at once.
pub fn begin(transaction: &Transaction, order: &Head, at: Timestamp) -> Result<()> {
    let (method, _) = payment::means(transaction, order.id)?.ok_or_else(|| without_token(order))?;
    payment_attempt::insert(transaction, order.id, 1, &method, at)?;
    transaction.schedule(&PaymentAttempt { order_id: order.id, attempt: 1 }, at)?;
    Ok(())
}

/// Records a new attempt in the place of the one before, which is given up where it is not decided yet, and asks the gateway at once.
pub fn again(
    transaction: &Transaction,
    order: &mut Head,
    (method, token): (&Method, &Token),
    at: Timestamp,
) -> Result<()> {
    payment_attempt::decide(transaction, order.id, Outcome::Voided, at)?;
    transaction.cancel_all::<PaymentAttempt>(&order.id.to_string())?;
    gateway::release(transaction, order.id)?;
    let attempt = payment_attempt::count(transaction, order.id)? + 1;
    payment_attempt::insert(transaction, order.id, attempt, method.as_str(), at)?;
    payment::renew(transaction, order.id, method, token)?;
    head::touch(transaction, order.id, at)?;
    order.payment_status = PaymentStatus::Pending;
    ask(transaction, order, (attempt, 0), at)
}

/// Asks the gateway about the undecided attempt, if it is this one: a timer may come when the attempt was given up.
pub fn try_attempt(transaction: &Transaction, order: &mut Head, attempt: i64, at: Timestamp) -> Result<()> {
    match payment_attempt::open(transaction, order.id)? {
        Some((open, tries)) if open == attempt => ask(transaction, order, (attempt, tries), at),
        _ => Ok(()),
    }
}

fn ask(
    transaction: &Transaction,
    order: &mut Head,
    (attempt, tries): (i64, i64),
    at: Timestamp,
) -> Result<()> {
    let (_, token) = payment::means(transaction, order.id)?.ok_or_else(|| without_token(order))?;
    let charge = Charge { order_id: order.id, attempt, amount: order.total_amount };
    let answer = gateway::charge(transaction, charge, &token)?;
    payment_attempt::count_try(transaction, order.id, attempt)?;
    match answer {
        Answer::Captured { transaction_id } => {
            advance(transaction, order, Happening::PaymentCaptured(&transaction_id), at)
        }
        Answer::Declined => advance(transaction, order, Happening::PaymentDeclined, at),
        Answer::Unavailable => {
            let due = at.plus_milliseconds(backoff_milliseconds(tries + 1));
            transaction.schedule(&PaymentAttempt { order_id: order.id, attempt }, due)?;
            Ok(())
        }
    }
}

fn without_token(order: &Head) -> Problem {
    Problem::internal(format!("the order {} is to be paid, and there is nothing to pay it with", order.id))
}
