//! `/products/{id}/reviews`.

use bulkhead_contracts::{Customer, ProductId, ReviewId, UserId};
use bulkhead_sdk::{
    Body, Created, Integer, Json, NoContent, Page, Path, Principal, Problem, Query, Result, Snapshot, Text,
    Transaction, body, new_id, now,
};

use super::{ListQuery, no_such_product};
use crate::rules::review::may_delete;
use crate::store::product;
use crate::store::review::{self, Review};

body! {
    /// What a customer thinks of a product.
    pub struct ReviewInput {
        /// From 1 to 5.
        pub rating: Integer<1, 5>,
        /// In words; null where the customer left none.
        pub comment: Option<Text<1, 5000>>,
    }
}

fn no_such_review() -> Problem {
    Problem::not_found("there is no such review of this product")
}

pub(super) fn list(
    Path(product_id): Path<ProductId>,
    Query(query): Query<ListQuery>,
    snapshot: Snapshot,
) -> Result<Json<Page<Review>>> {
    let scope = format!("reviews {product_id}");
    let rows = review::list(&snapshot, product_id, query.cursor.as_ref(), &scope, query.limit)?;
    if rows.is_empty() && !product::exists(&snapshot, product_id)? {
        return Err(no_such_product());
    }
    Page::new(rows, query.limit, &scope, |review| -> review::Key {
        (review.created_at.to_string(), review.id)
    })
    .map(Json)
}

pub(super) fn by_id(
    Path((product_id, id)): Path<(ProductId, ReviewId)>,
    snapshot: Snapshot,
) -> Result<Json<Review>> {
    review::by_id(&snapshot, product_id, id)?.map(Json).ok_or_else(no_such_review)
}

pub(super) fn create(
    Customer(principal): Customer,
    Path(product_id): Path<ProductId>,
    Body(new): Body<ReviewInput>,
    transaction: Transaction,
) -> Result<Created<Review>> {
    let user: UserId =
        principal.subject.parse().map_err(|_| Problem::forbidden("only a user can review a product"))?;
    let id = new_id().into();
    let new = review::NewReview {
        id,
        product_id,
        user_id_ref: user,
        rating: new.rating.get(),
        comment: new.comment.map(Text::into_string),
        created_at: now(),
    };
    review::insert(&transaction, &new)?;
    let review = review::by_id(&transaction, product_id, id)?
        .ok_or_else(|| Problem::internal("a review is not there that was just written"))?;
    Ok(Created { location: format!("/products/{product_id}/reviews/{id}"), body: review })
}

pub(super) fn delete(
    principal: Principal,
    Path((product_id, id)): Path<(ProductId, ReviewId)>,
    transaction: Transaction,
) -> Result<NoContent> {
    let review = review::by_id(&transaction, product_id, id)?.ok_or_else(no_such_review)?;
    if !may_delete(&principal, review.user_id_ref) {
        return Err(Problem::forbidden("a review is deleted by its author or an admin"));
    }
    review::delete(&transaction, id)?;
    Ok(NoContent)
}
