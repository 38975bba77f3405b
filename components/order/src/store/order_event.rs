//! The table `order_event`.

use bulkhead_contracts::OrderId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, params, row};

use crate::rules::status::Cause;

row! {
    /// Something that happened to an order.
    pub struct OrderEvent {
        /// 1, 2, … of its order.
        pub sequence: i64,
        /// What.
        pub cause: Cause,
        /// When.
        pub at: Timestamp,
    }
}

/// Adds what happened to an order.
pub fn append(
    transaction: &Transaction,
    order_id: OrderId,
    cause: Cause,
    at: Timestamp,
) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO order_event (order_id, sequence, cause, at) \
             SELECT ?1, coalesce(max(sequence), 0) + 1, ?2, ?3 FROM order_event WHERE order_id = ?1",
            &params![order_id, cause, at],
        )
        .map(drop)
}

/// All that happened to an order, in its order. There is little: attempts to pay have a bound.
pub fn all(read: &impl Read, order_id: OrderId) -> Result<Vec<OrderEvent>, Error> {
    read.query_all(
        "SELECT sequence, cause, at FROM order_event WHERE order_id = ?1 ORDER BY sequence",
        &params![order_id],
    )
}
