//! What of an order decides what may happen to it: the table `order`, with the payment's state.

use bulkhead_contracts::{Money, OrderId, PaymentId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, params, row};

use crate::rules::status::{PaymentStatus, Status};

row! {
    /// The head of an order.
    pub struct Head {
        /// Its id.
        pub id: OrderId,
        /// The customer; none once they are deleted.
        pub user_id_ref: Option<UserId>,
        /// Where it stands.
        pub status: Status,
        /// The sum of its items.
        pub total_amount: Money,
        /// When the time to pay is over.
        pub payment_due_at: Timestamp,
        /// Its payment.
        pub payment_id: PaymentId,
        /// How that stands.
        pub payment_status: PaymentStatus,
    }
}

macro_rules! select_head {
    ($rest:literal) => {
        concat!(
            "SELECT \"order\".id AS id, user_id_ref, status, total_amount, payment_due_at, ",
            "order_payment.id AS payment_id, payment_status ",
            "FROM \"order\" JOIN order_payment ON order_payment.order_id = \"order\".id WHERE ",
            $rest
        )
    };
}

/// The head of the order with this id.
pub fn by_id(read: &impl Read, id: OrderId) -> Result<Option<Head>, Error> {
    read.query_optional(select_head!("\"order\".id = ?1"), &params![id])
}

/// The heads of so many orders of a user, the oldest first.
pub fn of_user(read: &impl Read, user_id: UserId, count: i64) -> Result<Vec<Head>, Error> {
    read.query_all(
        select_head!("user_id_ref = ?1 ORDER BY created_at, \"order\".id LIMIT ?2"),
        &params![user_id, count],
    )
}

/// Sets where an order stands.
pub fn set_status(
    transaction: &Transaction,
    id: OrderId,
    status: Status,
    updated_at: Timestamp,
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE \"order\" SET status = ?2, updated_at = ?3 WHERE id = ?1",
            &params![id, status, updated_at],
        )
        .map(drop)
}

/// Notes that something of an order has changed.
pub fn touch(transaction: &Transaction, id: OrderId, updated_at: Timestamp) -> Result<(), Error> {
    transaction
        .execute("UPDATE \"order\" SET updated_at = ?2 WHERE id = ?1", &params![id, updated_at])
        .map(drop)
}

/// Forgets whose an order was.
pub fn forget_user(transaction: &Transaction, id: OrderId, updated_at: Timestamp) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE \"order\" SET user_id_ref = NULL, updated_at = ?2 WHERE id = ?1",
            &params![id, updated_at],
        )
        .map(drop)
}
