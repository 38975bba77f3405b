//! The table `sale`: sums that are kept as orders come and go, so that no report adds up lines.

use bulkhead_contracts::{OrderId, ProductId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Transaction, params, row};

use crate::rules::amount::Amount;
use crate::rules::day::Day;

row! {
    /// What a department took on a day.
    pub struct DepartmentDay {
        /// The day, in UTC, on which the orders were placed.
        pub day: Day,
        /// The top-level category; null where a product's category is not known.
        pub department: Option<String>,
        /// What was captured, less what was refunded.
        pub revenue: Amount,
    }
}

row! {
    /// How a product sells.
    pub struct BestSeller {
        /// The product.
        pub product_id: ProductId,
        /// Its name; null where it is not known.
        pub name: Option<String>,
        /// How many were sold.
        pub units: i64,
        /// What was captured for them, less what was refunded.
        pub revenue: Amount,
    }
}

/// Counts the lines of an order among the sales of this day.
pub fn count_in(transaction: &Transaction, order_id: OrderId, day: Day) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO sale (product_id_ref, day, units, revenue) \
             SELECT product_id_ref, ?2, quantity, quantity * unit_price FROM order_line WHERE order_id_ref = ?1 \
             ON CONFLICT (product_id_ref, day) \
             DO UPDATE SET units = units + excluded.units, revenue = revenue + excluded.revenue",
            &params![order_id, day],
        )
        .map(drop)
}

/// Takes the lines of an order out of the sales of this day.
pub fn count_out(transaction: &Transaction, order_id: OrderId, day: Day) -> Result<(), Error> {
    transaction.execute(
        "UPDATE sale SET units = units - line.quantity, revenue = revenue - line.quantity * line.unit_price \
         FROM order_line AS line \
         WHERE line.order_id_ref = ?1 AND sale.product_id_ref = line.product_id_ref AND sale.day = ?2",
        &params![order_id, day],
    )?;
    transaction
        .execute(
            "DELETE FROM sale WHERE units = 0 AND day = ?2 \
             AND product_id_ref IN (SELECT product_id_ref FROM order_line WHERE order_id_ref = ?1)",
            &params![order_id, day],
        )
        .map(drop)
}

/// The revenue of each department on each of these days, by the categories as they are known now; so many rows at most. The walk goes from
/// the top down: it ends also where a move of categories is known in part.
pub fn revenue(read: &impl Read, from: Day, to: Day, rows_max: i64) -> Result<Vec<DepartmentDay>, Error> {
    read.query_all(
        "WITH RECURSIVE department (category_id, top_id, name) AS ( \
           SELECT id, id, name FROM category WHERE parent_category_id IS NULL \
           UNION ALL \
           SELECT category.id, department.top_id, department.name \
             FROM department JOIN category ON category.parent_category_id = department.category_id \
         ) \
         SELECT sale.day AS day, department.name AS department, sum(sale.revenue) AS revenue FROM sale \
         LEFT JOIN product ON product.id = sale.product_id_ref \
         LEFT JOIN department ON department.category_id = product.category_id \
         WHERE sale.day BETWEEN ?1 AND ?2 \
         GROUP BY sale.day, department.top_id ORDER BY sale.day, department.name, department.top_id LIMIT ?3",
        &params![from, to, rows_max],
    )
}

/// The products of which most was sold.
pub fn best_sellers(read: &impl Read, limit: i64) -> Result<Vec<BestSeller>, Error> {
    read.query_all(
        "SELECT best.product_id AS product_id, product.name AS name, best.units AS units, best.revenue AS revenue FROM ( \
           SELECT product_id_ref AS product_id, sum(units) AS units, sum(revenue) AS revenue FROM sale \
           GROUP BY product_id_ref ORDER BY units DESC, revenue DESC, product_id LIMIT ?1 \
         ) AS best LEFT JOIN product ON product.id = best.product_id \
         ORDER BY best.units DESC, best.revenue DESC, best.product_id",
        &params![limit],
    )
}
