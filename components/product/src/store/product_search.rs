//! The index of full-text search: the view `product_words`, through which it is written, and the table `product_search_due`.
//!
//! A product's words are written in the unit of work that writes its name and description ([`super::product`]).

use bulkhead_contracts::ProductId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read as _, Transaction, params};

use crate::rules::words::words;

/// So many products from before the service wrote the words itself get theirs at once: so few that it takes milliseconds.
const DUE_AT_ONCE_MAX: i64 = 100;

/// Writes the words that a product is found by, in the place of those that were.
pub fn write(transaction: &Transaction, id: ProductId, name: &str, description: &str) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO product_words (search_rowid, name, description) SELECT search_rowid, ?2, ?3 FROM product WHERE id = ?1",
            &params![id, words(name), words(description)],
        )
        .map(drop)
}

/// Writes the words of some products from before migration 3, as long as there are any.
pub fn write_due(transaction: &Transaction) -> Result<(), Error> {
    let due: Vec<(ProductId, String, String)> = transaction.query_all(
        "SELECT id, name, description FROM product WHERE search_rowid IN \
         (SELECT search_rowid FROM product_search_due ORDER BY search_rowid LIMIT ?1)",
        &params![DUE_AT_ONCE_MAX],
    )?;
    due.iter().try_for_each(|(id, name, description)| write(transaction, *id, name, description))
}
