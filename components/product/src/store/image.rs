//! The table `product_image`.

use bulkhead_contracts::{ImageId, ProductId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{ConstraintKind, Cursor, Limit, Problem, Read, Result, Transaction, params, row};

row! {
    /// An image of a product.
    pub struct Image {
        /// Its id.
        pub id: ImageId,
        /// The product.
        pub product_id: ProductId,
        /// An https URL.
        pub image_url: String,
        /// Images are shown in this order.
        pub display_order: i64,
    }
}

/// The order of the list, by which a cursor goes on.
pub type Key = (i64, ImageId);

/// A page of a product's images in the order of display.
pub fn list(
    read: &impl Read,
    product_id: ProductId,
    cursor: Option<&Cursor>,
    scope: &str,
    limit: Limit,
) -> Result<Vec<Image>> {
    let behind: Option<Key> = cursor.map(|cursor| cursor.keys(scope)).transpose()?;
    let images = match behind {
        None => read.query_all(
            "SELECT id, product_id, image_url, display_order FROM product_image WHERE product_id = ?1 \
             ORDER BY display_order, id LIMIT ?2",
            &params![product_id, limit.and_one_more()],
        ),
        Some((display_order, id)) => read.query_all(
            "SELECT id, product_id, image_url, display_order FROM product_image \
             WHERE product_id = ?1 AND (display_order, id) > (?3, ?4) ORDER BY display_order, id LIMIT ?2",
            &params![product_id, limit.and_one_more(), display_order, id],
        ),
    };
    Ok(images?)
}

/// The image of this product with this id.
pub fn by_id(read: &impl Read, product_id: ProductId, id: ImageId) -> Result<Option<Image>, Error> {
    read.query_optional(
        "SELECT id, product_id, image_url, display_order FROM product_image WHERE id = ?1 AND product_id = ?2",
        &params![id, product_id],
    )
}

/// How many images a product has, and the number that comes behind the last one's `display_order`.
pub fn count_and_next_order(read: &impl Read, product_id: ProductId) -> Result<(i64, i64), Error> {
    read.query_one(
        "SELECT count(*), coalesce(max(display_order) + 1, 0) FROM product_image WHERE product_id = ?1",
        &params![product_id],
    )
}

/// Adds an image: 404 where there is no such product.
pub fn insert(transaction: &Transaction, image: &Image) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO product_image (id, product_id, image_url, display_order) VALUES (?1, ?2, ?3, ?4)",
            &params![image.id, image.product_id, image.image_url, image.display_order],
        )
        .map_err(|error| match error.constraint() {
            Some((ConstraintKind::ForeignKey, _)) => Problem::not_found("there is no such product"),
            _ => error.into(),
        })?;
    Ok(())
}

/// Deletes an image: false where the product has none of that id.
pub fn delete(transaction: &Transaction, product_id: ProductId, id: ImageId) -> Result<bool, Error> {
    let outcome = transaction
        .execute("DELETE FROM product_image WHERE id = ?1 AND product_id = ?2", &params![id, product_id])?;
    Ok(outcome.rows_affected > 0)
}
