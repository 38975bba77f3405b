//! The table `product_review`.

use bulkhead_contracts::{ProductId, ReviewId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{
    ConstraintKind, Cursor, Limit, Problem, Read, Result, Timestamp, Transaction, params, row,
};

row! {
    /// What a customer thinks of a product.
    pub struct Review {
        /// Its id.
        pub id: ReviewId,
        /// The product.
        pub product_id: ProductId,
        /// Who wrote it.
        pub user_id_ref: UserId,
        /// From 1 to 5.
        pub rating: i64,
        /// In words; null where the customer left none.
        pub comment: Option<String>,
        /// When it was created.
        pub created_at: Timestamp,
    }
}

/// The order of the list, by which a cursor goes on.
pub type Key = (String, ReviewId);

/// A page of a product's reviews, the newest first.
pub fn list(
    read: &impl Read,
    product_id: ProductId,
    cursor: Option<&Cursor>,
    scope: &str,
    limit: Limit,
) -> Result<Vec<Review>> {
    let behind: Option<Key> = cursor.map(|cursor| cursor.keys(scope)).transpose()?;
    let reviews = match behind {
        None => read.query_all(
            "SELECT id, product_id, user_id_ref, rating, comment, created_at FROM product_review WHERE product_id = ?1 \
             ORDER BY created_at DESC, id DESC LIMIT ?2",
            &params![product_id, limit.and_one_more()],
        ),
        Some((created_at, id)) => read.query_all(
            "SELECT id, product_id, user_id_ref, rating, comment, created_at FROM product_review \
             WHERE product_id = ?1 AND (created_at, id) < (?3, ?4) ORDER BY created_at DESC, id DESC LIMIT ?2",
            &params![product_id, limit.and_one_more(), created_at, id],
        ),
    };
    Ok(reviews?)
}

/// The review of this product with this id.
pub fn by_id(read: &impl Read, product_id: ProductId, id: ReviewId) -> Result<Option<Review>, Error> {
    read.query_optional(
        "SELECT id, product_id, user_id_ref, rating, comment, created_at FROM product_review \
         WHERE id = ?1 AND product_id = ?2",
        &params![id, product_id],
    )
}

/// Adds a review: 404 where there is no such product, 409 where the customer has one already.
pub fn insert(transaction: &Transaction, review: &Review) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO product_review (id, product_id, user_id_ref, rating, comment, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &params![
                review.id,
                review.product_id,
                review.user_id_ref,
                review.rating,
                review.comment,
                review.created_at
            ],
        )
        .map_err(|error| match error.constraint() {
            Some((ConstraintKind::ForeignKey, _)) => Problem::not_found("there is no such product"),
            Some((ConstraintKind::Unique, constraint)) => {
                let constraint = constraint.to_owned();
                Problem::conflict("review-exists", "you have reviewed this product already")
                    .with("constraint", constraint)
            }
            _ => error.into(),
        })?;
    Ok(())
}

/// Deletes a review.
pub fn delete(transaction: &Transaction, id: ReviewId) -> Result<(), Error> {
    transaction.execute("DELETE FROM product_review WHERE id = ?1", &params![id]).map(drop)
}
