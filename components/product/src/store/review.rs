//! The tables `product_review` and `deleted_user`. The first names come from `user`, a table that the host keeps and the service only
//! reads.

use crate::problems::REVIEW_EXISTS;
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
        /// Who wrote it; null where that user is gone.
        pub user_id_ref: Option<UserId>,
        /// The author's first name; null where that user is gone, or so new that it is not known here yet.
        pub first_name: Option<String>,
        /// From 1 to 5.
        pub rating: i64,
        /// In words; null where the customer left none.
        pub comment: Option<String>,
        /// When it was created.
        pub created_at: Timestamp,
    }
}

/// Reviews with the first names of their authors.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT product_review.id AS id, product_id, user_id_ref, first_name, rating, comment, created_at ",
            "FROM product_review LEFT JOIN user ON user.id = product_review.user_id_ref WHERE ",
            $rest
        )
    };
}

/// What a review is made from.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// Its id.
    pub id: ReviewId,
    /// The product.
    pub product_id: ProductId,
    /// Who writes it.
    pub user_id_ref: UserId,
    /// From 1 to 5.
    pub rating: i64,
    /// In words.
    pub comment: Option<String>,
    /// Now.
    pub created_at: Timestamp,
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
            select!(
                "product_id = ?1 ORDER BY product_review.created_at DESC, product_review.id DESC LIMIT ?2"
            ),
            &params![product_id, limit.and_one_more()],
        ),
        Some((created_at, id)) => read.query_all(
            select!(
                "product_id = ?1 AND (product_review.created_at, product_review.id) < (?3, ?4) \
                 ORDER BY product_review.created_at DESC, product_review.id DESC LIMIT ?2"
            ),
            &params![product_id, limit.and_one_more(), created_at, id],
        ),
    };
    Ok(reviews?)
}

/// The review of this product with this id.
pub fn by_id(read: &impl Read, product_id: ProductId, id: ReviewId) -> Result<Option<Review>, Error> {
    read.query_optional(select!("product_review.id = ?1 AND product_id = ?2"), &params![id, product_id])
}

/// Adds a review: 404 where there is no such product, 409 where the customer has one already, 403 where the customer is gone.
pub fn insert(transaction: &Transaction, review: &NewReview) -> Result<()> {
    let outcome = transaction
        .execute(
            "INSERT INTO product_review (id, product_id, user_id_ref, rating, comment, created_at) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM deleted_user WHERE user_id_ref = ?3)",
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
                Problem::of(REVIEW_EXISTS, "you have reviewed this product already")
                    .with("constraint", constraint)
            }
            _ => error.into(),
        })?;
    if outcome.rows_affected == 0 {
        return Err(Problem::forbidden("this account was deleted"));
    }
    Ok(())
}

/// Takes a user's name off what they wrote, and keeps them from writing more.
pub fn forget_user(transaction: &Transaction, id: UserId) -> Result<(), Error> {
    transaction.execute("INSERT OR IGNORE INTO deleted_user (user_id_ref) VALUES (?1)", &params![id])?;
    transaction
        .execute("UPDATE product_review SET user_id_ref = NULL WHERE user_id_ref = ?1", &params![id])
        .map(drop)
}

/// Deletes a review.
pub fn delete(transaction: &Transaction, id: ReviewId) -> Result<(), Error> {
    transaction.execute("DELETE FROM product_review WHERE id = ?1", &params![id]).map(drop)
}
