//! The tables `product` and `category`: the newest state that is known, of what is gone too.

use bulkhead_contracts::v1::{CategoryChanged, ProductChanged};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Transaction, params};

/// Keeps the state of a product.
pub fn set_product(transaction: &Transaction, product: &ProductChanged) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO product (id, name, category_id) VALUES (?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, category_id = excluded.category_id",
            &params![product.id, product.name, product.category_id],
        )
        .map(drop)
}

/// Keeps the state of a category.
pub fn set_category(transaction: &Transaction, category: &CategoryChanged) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO category (id, name, parent_category_id) VALUES (?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, parent_category_id = excluded.parent_category_id",
            &params![category.id, category.name, category.parent_category_id],
        )
        .map(drop)
}
