//! The list of orders: filters, pages, and the items of a page in few queries.

use std::collections::BTreeMap;

use bulkhead_contracts::{OrderId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Cursor, Limit, Page, Parameter as _, Read, Result, Value};

use crate::rules::status::Status;
use crate::store::item::{self, Item, OfOrder};
use crate::store::order::{Order, select_order};

/// The items of so many orders are read at once: however many items each has, they are fewer than the rows and bytes that one answer of
/// the database may have.
const ORDERS_AT_ONCE: usize = 25;

/// Which orders.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Of this customer.
    pub user_id: Option<UserId>,
    /// That stand so.
    pub status: Option<Status>,
}

/// A page of the orders that the filter takes, the newest first. What is ordered meanwhile comes before the page or behind it, and
/// moves nothing.
pub fn page(read: &impl Read, filter: Filter, cursor: Option<&Cursor>, limit: Limit) -> Result<Page<Order>> {
    let scope = format!("orders {filter:?}");
    let mut sql = concat!(select_order!(), "WHERE true").to_owned();
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(user_id) = filter.user_id {
        parameters.push(user_id.parameter());
        sql.push_str(&format!(" AND user_id_ref = ?{}", parameters.len()));
    }
    if let Some(status) = filter.status {
        parameters.push(status.parameter());
        sql.push_str(&format!(" AND status = ?{}", parameters.len()));
    }
    if let Some(cursor) = cursor {
        let (created_at, id): (String, OrderId) = cursor.keys(&scope)?;
        parameters.extend([created_at.parameter(), id.parameter()]);
        let last = parameters.len();
        sql.push_str(&format!(" AND (created_at, \"order\".id) < (?{}, ?{last})", last - 1));
    }
    parameters.push(limit.and_one_more().parameter());
    sql.push_str(&format!(" ORDER BY created_at DESC, \"order\".id DESC LIMIT ?{}", parameters.len()));
    let mut orders: Vec<Order> = read.query_all(&sql, &parameters)?;
    add_items(read, &mut orders)?;
    Page::new(orders, limit, &scope, |order| (order.created_at.to_string(), order.id))
}

fn add_items(read: &impl Read, orders: &mut [Order]) -> Result<(), Error> {
    for orders in orders.chunks_mut(ORDERS_AT_ONCE) {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let mut items: BTreeMap<OrderId, Vec<Item>> = BTreeMap::new();
        for OfOrder(order_id, item) in item::of_orders(read, &ids)? {
            items.entry(order_id).or_default().push(item);
        }
        for order in orders {
            order.items = items.remove(&order.id).unwrap_or_default();
        }
    }
    Ok(())
}
