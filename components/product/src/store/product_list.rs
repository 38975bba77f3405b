//! The list of products: filters, sorts and full-text search.

use bulkhead_contracts::{CategoryId, Money, ProductId};
use bulkhead_sdk::{Cursor, Limit, Page, Parameter, Problem, Read, Result, Value, choice};

use crate::rules::search::FullText;
use crate::store::product::Product;

choice! {
    /// The order of a list of products. Names are compared by code point; ids decide between equals.
    pub enum Sort {
        /// By name.
        Name = "name",
        /// The cheapest first.
        Price = "price",
        /// The dearest first.
        PriceDescending = "-price",
        /// The oldest first.
        CreatedAt = "created_at",
        /// The newest first.
        CreatedAtDescending = "-created_at",
    }
}

/// Which products, in which order.
#[derive(Debug, Clone)]
pub struct Filter {
    /// In this category or below it.
    pub category: Option<CategoryId>,
    /// That have these words.
    pub full_text: Option<FullText>,
    /// That cost at least so much.
    pub min_price: Option<Money>,
    /// That cost at most so much.
    pub max_price: Option<Money>,
    /// Of which there is stock, or none.
    pub in_stock: Option<bool>,
    /// The order.
    pub sort: Sort,
}

/// A sort's column, and whether it goes down.
fn column(sort: Sort) -> (&'static str, bool) {
    match sort {
        Sort::Name => ("name", false),
        Sort::Price => ("price", false),
        Sort::PriceDescending => ("price", true),
        Sort::CreatedAt => ("created_at", false),
        Sort::CreatedAtDescending => ("created_at", true),
    }
}

/// The key of a product in a sort, as text for the cursor.
fn key(sort: Sort, product: &Product) -> (String, ProductId) {
    let key = match sort {
        Sort::Name => product.name.clone(),
        Sort::Price | Sort::PriceDescending => product.price.cents().to_string(),
        Sort::CreatedAt | Sort::CreatedAtDescending => product.created_at.to_string(),
    };
    (key, product.id)
}

/// The value that [`key`] was made from.
fn key_value(sort: Sort, key: String) -> Result<Value> {
    match sort {
        Sort::Price | Sort::PriceDescending => {
            let cents = key
                .parse()
                .map(Value::Integer)
                .map_err(|_| Problem::invalid_field("cursor", "is not a cursor"))?;
            Ok(cents)
        }
        _ => Ok(Value::Text(key)),
    }
}

/// A statement that grows, and its parameters.
struct Statement {
    sql: String,
    parameters: Vec<Value>,
}

impl Statement {
    /// Adds SQL in which each `?` stands for the next of the values.
    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        let mut parts = sql.split('?');
        self.sql.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            self.parameters.push(value);
            self.sql.push('?');
            self.sql.push_str(&self.parameters.len().to_string());
            self.sql.push_str(part);
        }
    }
}

/// A page of the products that the filter takes.
pub fn page(
    read: &impl Read,
    filter: &Filter,
    cursor: Option<&Cursor>,
    limit: Limit,
) -> Result<Page<Product>> {
    let scope = format!("{filter:?}");
    let (column, descending) = column(filter.sort);
    let mut statement = Statement {
        sql: "SELECT id, category_id, name, description, price, sku, stock_quantity, created_at, updated_at \
              FROM product WHERE true"
            .to_owned(),
        parameters: Vec::new(),
    };
    if let Some(category) = &filter.category {
        statement.add(
            " AND category_id IN (WITH RECURSIVE tree (id) AS (VALUES (?) UNION \
             SELECT category.id FROM tree JOIN category ON category.parent_category_id = tree.id) SELECT id FROM tree)",
            [category.parameter()],
        );
    }
    if let Some(query) = &filter.full_text {
        statement.add(
            " AND search_rowid IN (SELECT rowid FROM product_search WHERE product_search MATCH \
             iif(EXISTS (SELECT 1 FROM product_search_due), ?, ?))",
            [query.either.parameter(), query.folded.parameter()],
        );
    }
    if let Some(price) = &filter.min_price {
        statement.add(" AND price >= ?", [price.parameter()]);
    }
    if let Some(price) = &filter.max_price {
        statement.add(" AND price <= ?", [price.parameter()]);
    }
    match filter.in_stock {
        Some(true) => statement.add(" AND stock_quantity > 0", []),
        Some(false) => statement.add(" AND stock_quantity = 0", []),
        None => {}
    }
    if let Some(cursor) = cursor {
        let (key, id): (String, ProductId) = cursor.keys(&scope)?;
        let comparison = if descending { "<" } else { ">" };
        statement.add(
            &format!(" AND ({column}, id) {comparison} (?, ?)"),
            [key_value(filter.sort, key)?, id.parameter()],
        );
    }
    let direction = if descending { " DESC" } else { "" };
    statement.add(
        &format!(" ORDER BY {column}{direction}, id{direction} LIMIT ?"),
        [limit.and_one_more().parameter()],
    );
    let rows = read.query_all(&statement.sql, &statement.parameters)?;
    Page::new(rows, limit, &scope, |product| key(filter.sort, product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_in_parameter_order() {
        let mut statement = Statement { sql: "SELECT 1 WHERE true".to_owned(), parameters: Vec::new() };
        statement.add(" AND a = ?", [Value::Integer(1)]);
        statement.add(" AND b", []);
        statement.add(" AND (c, d) > (?, ?)", [Value::Integer(2), Value::Integer(3)]);
        assert_eq!(statement.sql, "SELECT 1 WHERE true AND a = ?1 AND b AND (c, d) > (?2, ?3)");
        assert_eq!(statement.parameters.len(), 3);
    }
}
