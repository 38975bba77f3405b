//! The tables `reservation` and `product_reservation`, and what they do to the stock of products.
//!
//! Each movement of stock is one statement over all lines of an order. None of them asks whether it may: that is
//! [`next`](crate::rules::reservation::next)'s.

use std::collections::BTreeMap;

use bulkhead_contracts::v1::StockLine;
use bulkhead_contracts::{OrderId, ProductId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Timestamp, Transaction, params, serde_json};

use crate::rules::reservation::Reservation;

/// Where the items of an order are; none where it has not been heard of.
pub fn of_order(read: &impl Read, order_id: OrderId) -> Result<Option<Reservation>, Error> {
    let row: Option<(Reservation,)> =
        read.query_optional("SELECT state FROM reservation WHERE order_id_ref = ?1", &params![order_id])?;
    Ok(row.map(|(reservation,)| reservation))
}

/// How much there is of each of these products; those that are not there are left out.
pub fn available(read: &impl Read, lines: &[StockLine]) -> Result<BTreeMap<ProductId, i64>, Error> {
    let products: Vec<ProductId> = lines.iter().map(|line| line.product_id).collect();
    let rows: Vec<(ProductId, i64)> = read.query_all(
        "SELECT product.id, stock_quantity FROM json_each(?1) AS line CROSS JOIN product ON product.id = line.value",
        &params![json(&products)?],
    )?;
    Ok(rows.into_iter().collect())
}

/// Says where the items of an order are now.
pub fn set(transaction: &Transaction, order_id: OrderId, reservation: Reservation) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO reservation (order_id_ref, state) VALUES (?1, ?2) \
             ON CONFLICT (order_id_ref) DO UPDATE SET state = excluded.state",
            &params![order_id, reservation],
        )
        .map(drop)
}

/// Sets the lines of an order aside: from available to reserved. The order has its row in `reservation` already.
pub fn set_aside(
    transaction: &Transaction,
    order_id: OrderId,
    lines: &[StockLine],
    now: Timestamp,
) -> Result<(), Error> {
    let lines: Vec<(ProductId, u32)> = lines.iter().map(|line| (line.product_id, line.quantity)).collect();
    transaction.execute(
        "INSERT INTO product_reservation (order_id_ref, product_id, quantity) \
         SELECT ?1, line.value ->> 0, line.value ->> 1 FROM json_each(?2) AS line",
        &params![order_id, json(&lines)?],
    )?;
    transaction
        .execute(
            "UPDATE product SET stock_quantity = stock_quantity - line.quantity, \
               stock_reserved = stock_reserved + line.quantity, updated_at = ?2 \
             FROM product_reservation AS line WHERE line.order_id_ref = ?1 AND product.id = line.product_id",
            &params![order_id, now],
        )
        .map(drop)
}

/// Gives the lines of an order back, from reserved to available, and says what they are.
pub fn give_back(
    transaction: &Transaction,
    order_id: OrderId,
    now: Timestamp,
) -> Result<Vec<StockLine>, Error> {
    transaction.execute(
        "UPDATE product SET stock_quantity = stock_quantity + line.quantity, \
           stock_reserved = stock_reserved - line.quantity, updated_at = ?2 \
         FROM product_reservation AS line WHERE line.order_id_ref = ?1 AND product.id = line.product_id",
        &params![order_id, now],
    )?;
    let rows: Vec<(ProductId, i64)> = transaction.query_all(
        "SELECT product_id, quantity FROM product_reservation WHERE order_id_ref = ?1 ORDER BY product_id",
        &params![order_id],
    )?;
    rows.into_iter()
        .map(|(product_id, quantity)| {
            let quantity = u32::try_from(quantity).map_err(|_| invalid("quantity", quantity))?;
            Ok(StockLine { product_id, quantity })
        })
        .collect()
}

/// Turns the lines of an order from reserved to sold. What is available stays as it is, and so does `updated_at`.
pub fn sell(transaction: &Transaction, order_id: OrderId) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE product SET stock_reserved = stock_reserved - line.quantity, stock_sold = stock_sold + line.quantity \
             FROM product_reservation AS line WHERE line.order_id_ref = ?1 AND product.id = line.product_id",
            &params![order_id],
        )
        .map(drop)
}

/// A list as the parameter of `json_each`.
fn json<T: bulkhead_sdk::serde::Serialize>(list: &[T]) -> Result<String, Error> {
    serde_json::to_string(list).map_err(|error| Error::Other(format!("a list is no JSON: {error}")))
}

fn invalid(column: &str, value: i64) -> Error {
    Error::InvalidValue(format!("the column {column} is {value}"))
}
