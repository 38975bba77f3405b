//! The table `order_payment_attempt`.

use bulkhead_contracts::OrderId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, choice, params};

choice! {
    /// How an attempt ended.
    pub enum Outcome {
        /// The money was taken.
        Captured = "captured",
        /// It was declined.
        Declined = "declined",
        /// It was given up.
        Voided = "voided",
    }
}

/// The attempt of an order that is not decided, and how often the gateway was asked about it.
pub fn open(read: &impl Read, order_id: OrderId) -> Result<Option<(i64, i64)>, Error> {
    read.query_optional(
        "SELECT attempt, tries FROM order_payment_attempt WHERE order_id = ?1 AND outcome IS NULL",
        &params![order_id],
    )
}

/// How many attempts an order has: the number of the latest.
pub fn count(read: &impl Read, order_id: OrderId) -> Result<i64, Error> {
    let (count,) = read.query_one(
        "SELECT coalesce(max(attempt), 0) FROM order_payment_attempt WHERE order_id = ?1",
        &params![order_id],
    )?;
    Ok(count)
}

/// Records an attempt, before the gateway is asked.
pub fn insert(
    transaction: &Transaction,
    order_id: OrderId,
    attempt: i64,
    method: &str,
    recorded_at: Timestamp,
) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO order_payment_attempt (order_id, attempt, payment_method, tries, recorded_at) \
             VALUES (?1, ?2, ?3, 0, ?4)",
            &params![order_id, attempt, method, recorded_at],
        )
        .map(drop)
}

/// Counts that the gateway was asked.
pub fn count_try(transaction: &Transaction, order_id: OrderId, attempt: i64) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_payment_attempt SET tries = tries + 1 WHERE order_id = ?1 AND attempt = ?2",
            &params![order_id, attempt],
        )
        .map(drop)
}

/// Ends the undecided attempt of an order, if there is one.
pub fn decide(
    transaction: &Transaction,
    order_id: OrderId,
    outcome: Outcome,
    decided_at: Timestamp,
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_payment_attempt SET outcome = ?2, decided_at = ?3 WHERE order_id = ?1 AND outcome IS NULL",
            &params![order_id, outcome, decided_at],
        )
        .map(drop)
}
