//! The table `order_payment`.

use bulkhead_contracts::{Money, OrderId, PaymentId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, params, row};

use crate::rules::payment::{Method, Token};
use crate::rules::status::PaymentStatus;

row! {
    /// The payment of an order. What it is paid with is no part of it.
    pub struct Payment {
        /// Its id.
        pub id: PaymentId,
        /// How the customer pays; of several attempts, the latest.
        pub payment_method: String,
        /// How it stands.
        pub payment_status: PaymentStatus,
        /// The gateway's, once it is captured.
        pub transaction_id: Option<String>,
        /// What is to be paid, or was.
        pub amount: Money,
        /// When it was captured.
        pub paid_at: Option<Timestamp>,
    }
}

/// Adds the payment of an order, undecided.
pub fn insert(
    transaction: &Transaction,
    order_id: OrderId,
    payment: &Payment,
    token: &Token,
) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO order_payment (id, order_id, payment_method, payment_status, amount, token) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &params![
                payment.id,
                order_id,
                payment.payment_method,
                payment.payment_status,
                payment.amount,
                token
            ],
        )
        .map(drop)
}

/// How the customer pays, and with what; none once that was used.
pub fn means(read: &impl Read, order_id: OrderId) -> Result<Option<(String, Token)>, Error> {
    read.query_optional(
        "SELECT payment_method, token FROM order_payment WHERE order_id = ?1 AND token IS NOT NULL",
        &params![order_id],
    )
}

/// The customer pays again.
pub fn renew(
    transaction: &Transaction,
    order_id: OrderId,
    method: &Method,
    token: &Token,
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_payment SET payment_method = ?2, token = ?3, payment_status = 'pending' WHERE order_id = ?1",
            &params![order_id, method, token],
        )
        .map(drop)
}

/// It was decided: what it was paid with is forgotten.
pub fn settle(transaction: &Transaction, order_id: OrderId, status: PaymentStatus) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_payment SET payment_status = ?2, token = NULL WHERE order_id = ?1",
            &params![order_id, status],
        )
        .map(drop)
}

/// It was captured: what it was paid with is forgotten.
pub fn capture(
    transaction: &Transaction,
    order_id: OrderId,
    transaction_id: &str,
    paid_at: Timestamp,
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_payment SET payment_status = 'captured', token = NULL, transaction_id = ?2, paid_at = ?3 \
             WHERE order_id = ?1",
            &params![order_id, transaction_id, paid_at],
        )
        .map(drop)
}
