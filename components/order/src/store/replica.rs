//! The tables `product` and `user`: replicas that the host keeps, which are only read.

use bulkhead_contracts::{Money, ProductId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Column, Read, Value, params, serde_json};

use crate::rules::basket::Known;

/// Money as the owner's events have it: a decimal in a text.
struct Decimal(Money);

impl Column for Decimal {
    fn from_value(value: Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        text.parse().map(Self).map_err(|error: bulkhead_contracts::MoneyError| format!("{text:?} {error}"))
    }
}

/// Those of these products that the shop knows, in any order.
pub fn products(read: &impl Read, ids: &[ProductId]) -> Result<Vec<Known>, Error> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows: Vec<(ProductId, String, Decimal)> = read.query_all(
        "SELECT id, name, price FROM product WHERE id IN (SELECT value FROM json_each(?1))",
        &params![serde_json::Value::from(ids).to_string()],
    )?;
    Ok(rows.into_iter().map(|(id, name, Decimal(price))| Known { id, name, price }).collect())
}

/// The shop knows this user.
pub fn user_exists(read: &impl Read, id: UserId) -> Result<bool, Error> {
    let row: Option<(i64,)> = read.query_optional("SELECT 1 FROM user WHERE id = ?1", &params![id])?;
    Ok(row.is_some())
}
