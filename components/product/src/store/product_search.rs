//! The index of full-text search: the view `product_words`, through which it is written, and the table `product_search_due`.
//!
//! A product's words are written in the unit of work that writes its name and description ([`super::product`]). Those of products from before
//! migration 3 are written by a timer of their own (`events/words.rs`).

use bulkhead_contracts::ProductId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read, Transaction, params};

use crate::rules::words::words;

/// So many products get words that are due at once, at most.
const DUE_AT_ONCE_MAX: usize = 100;

/// And no more once their texts have so many bytes, for a text takes time by its length: so a unit of work takes milliseconds, also where
/// each text is the longest.
const DUE_BYTES_AT_ONCE_MAX: usize = 32 * 1024;

/// Writes the words that a product is found by, in the place of those that were.
pub fn write(transaction: &Transaction, id: ProductId, name: &str, description: &str) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO product_words (search_rowid, name, description) SELECT search_rowid, ?2, ?3 FROM product WHERE id = ?1",
            &params![id, words(name), words(description)],
        )
        .map(drop)
}

/// The row of the first product whose words are due; none where all are written.
pub fn first_due(read: &impl Read) -> Result<Option<i64>, Error> {
    let (first,) = read.query_one("SELECT min(search_rowid) FROM product_search_due", &[])?;
    Ok(first)
}

/// Writes the words of some products whose words are due, from the first: of one at least, where there is one.
pub fn write_due(transaction: &Transaction) -> Result<(), Error> {
    let mut bytes = 0;
    for _ in 0..DUE_AT_ONCE_MAX {
        let next: Option<(ProductId, String, String)> = transaction.query_optional(
            "SELECT id, name, description FROM product WHERE search_rowid = (SELECT min(search_rowid) FROM product_search_due)",
            &[],
        )?;
        let Some((id, name, description)) = next else { break };
        write(transaction, id, &name, &description)?;
        bytes += name.len() + description.len();
        if bytes >= DUE_BYTES_AT_ONCE_MAX {
            break;
        }
    }
    Ok(())
}
