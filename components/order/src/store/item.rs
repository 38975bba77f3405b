//! The table `order_item`.

use bulkhead_contracts::{Money, OrderId, OrderItemId, ProductId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{FromRow, Read, Row, Transaction, params, reply, serde_json};

reply! {
    /// An item of an order.
    pub struct Item {
        /// Its id.
        pub id: OrderItemId,
        /// The product.
        pub product_id_ref: ProductId,
        /// What the product is called; once the order is shipped or ended, what it was called then.
        pub product_name: String,
        /// What one cost when it was ordered.
        pub unit_price: Money,
        /// How many.
        pub quantity: i64,
        /// What they cost together.
        pub subtotal: Money,
    }
}

/// An item and the order that it is of.
pub struct OfOrder(pub OrderId, pub Item);

impl FromRow for OfOrder {
    fn from_row(row: &mut Row<'_>) -> Result<Self, Error> {
        let order_id = row.take("order_id")?;
        let item = Item {
            id: row.take("id")?,
            product_id_ref: row.take("product_id_ref")?,
            product_name: row.take("product_name")?,
            unit_price: row.take("unit_price")?,
            quantity: row.take("quantity")?,
            subtotal: row.take("subtotal")?,
        };
        Ok(Self(order_id, item))
    }
}

/// Adds the items of an order, in one statement.
pub fn insert(transaction: &Transaction, order_id: OrderId, items: &[Item]) -> Result<(), Error> {
    let rows: serde_json::Value = items
        .iter()
        .map(|item| {
            serde_json::json!([
                item.id,
                item.product_id_ref,
                item.product_name,
                item.unit_price.cents(),
                item.quantity,
                item.subtotal.cents()
            ])
        })
        .collect();
    transaction
        .execute(
            "INSERT INTO order_item (order_id, id, product_id_ref, product_name, unit_price, quantity, subtotal) \
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
             FROM json_each(?2)",
            &params![order_id, rows.to_string()],
        )
        .map(drop)
}

/// The items of these orders, in the order of each. The orders are few enough that the rows are not too many for one answer.
pub fn of_orders(read: &impl Read, ids: &[OrderId]) -> Result<Vec<OfOrder>, Error> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    read.query_all(
        "SELECT order_id, id, product_id_ref, product_name, unit_price, quantity, subtotal FROM order_item \
         WHERE order_id IN (SELECT value FROM json_each(?1)) ORDER BY order_id, id",
        &params![serde_json::Value::from(ids).to_string()],
    )
}

/// The items of an order, in their order.
pub fn of_order(read: &impl Read, id: OrderId) -> Result<Vec<Item>, Error> {
    let rows: Vec<OfOrder> = read.query_all(
        "SELECT order_id, id, product_id_ref, product_name, unit_price, quantity, subtotal FROM order_item \
         WHERE order_id = ?1 ORDER BY id",
        &params![id],
    )?;
    Ok(rows.into_iter().map(|OfOrder(_, item)| item).collect())
}

/// Gives the items of open orders the name that their product has now.
pub fn rename(transaction: &Transaction, product_id: ProductId, name: &str) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_item SET product_name = ?2 \
             WHERE product_id_ref = ?1 AND name_follows = 1 AND product_name <> ?2",
            &params![product_id, name],
        )
        .map(drop)
}

/// From now on the names of an order's items stay as they are.
pub fn freeze_names(transaction: &Transaction, order_id: OrderId) -> Result<(), Error> {
    transaction
        .execute("UPDATE order_item SET name_follows = 0 WHERE order_id = ?1", &params![order_id])
        .map(drop)
}
