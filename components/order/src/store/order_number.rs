//! The table `order_number`.

use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read as _, Transaction, params};

use crate::rules::number::OrderNumber;

/// The next number of a year.
pub fn take(transaction: &Transaction, year: i64) -> Result<OrderNumber, Error> {
    let (count,) = transaction.query_one(
        "INSERT INTO order_number (year, last) VALUES (?1, 1) \
         ON CONFLICT (year) DO UPDATE SET last = last + 1 RETURNING last",
        &params![year],
    )?;
    Ok(OrderNumber::new(year, count))
}
