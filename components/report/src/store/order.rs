//! The tables `known_order` and `order_line`.

use bulkhead_contracts::v1::OrderLine;
use bulkhead_contracts::{Money, OrderId, ProductId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Transaction, params, row, serde_json};

use crate::rules::day::Day;
use crate::rules::order::{Order, Status};

row! {
    /// How many orders stand so.
    pub struct StatusCount {
        /// How they stand.
        pub status: Status,
        /// How many.
        pub count: i64,
    }
}

/// What is known of an order.
pub fn by_id(read: &impl Read, id: OrderId) -> Result<Option<Order>, Error> {
    let row: Option<(Status, Option<Day>, Option<Money>)> = read.query_optional(
        "SELECT status, day, amount FROM known_order WHERE order_id_ref = ?1",
        &params![id],
    )?;
    Ok(row.map(|(status, day, amount)| Order { status, day, amount }))
}

/// Keeps what is known of an order.
pub fn set(transaction: &Transaction, id: OrderId, order: &Order) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO known_order (order_id_ref, status, day, amount) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (order_id_ref) DO UPDATE SET status = excluded.status, day = excluded.day, amount = excluded.amount",
            &params![id, order.status, order.day, order.amount],
        )
        .map(drop)
}

/// Keeps the lines of an order.
pub fn insert_lines(transaction: &Transaction, id: OrderId, lines: &[OrderLine]) -> Result<(), Error> {
    let lines: Vec<(ProductId, u32, i64)> =
        lines.iter().map(|line| (line.product_id, line.quantity, line.unit_price.cents())).collect();
    let lines = serde_json::to_string(&lines)
        .map_err(|error| Error::Other(format!("the lines of an order are no JSON: {error}")))?;
    transaction
        .execute(
            "INSERT INTO order_line (order_id_ref, product_id_ref, quantity, unit_price) \
             SELECT ?1, line.value ->> 0, line.value ->> 1, line.value ->> 2 FROM json_each(?2) AS line",
            &params![id, lines],
        )
        .map(drop)
}

/// How many orders stand how. Those that nothing stands at are left out.
pub fn by_status(read: &impl Read) -> Result<Vec<StatusCount>, Error> {
    read.query_all("SELECT status, count(*) AS count FROM known_order GROUP BY status", &params![])
}
