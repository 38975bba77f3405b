//! The handlers, a file per resource. Each takes whom it answers as its first argument: an [`Admin`](bulkhead_contracts::Admin) what
//! changes the catalogue, a [`Customer`](bulkhead_contracts::Customer) a review; reading is for everybody, but for the stock.

mod categories;
mod images;
mod products;
mod reviews;
mod stock;
#[cfg(test)]
mod tests;

use bulkhead_contracts::v1::{
    CategoryChanged, OrderCancelled, OrderPlaced, OrderShipped, ProductChanged, ProductDeleted,
    StockRejected, StockReleased, StockReserved, UserDeleted,
};
use bulkhead_sdk::{Cursor, Limit, Problem, Service, migration, query};

use crate::events::words::WordsDue;
use crate::events::{orders, users, words};
use crate::problems;

query! {
    /// The query of a list without filters.
    pub struct ListQuery {
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins: the `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

fn no_such_product() -> Problem {
    Problem::not_found("there is no such product")
}

/// The service.
pub fn service() -> Service {
    Service::new("The catalogue: categories, products with their stock, images and reviews.")
        .migration(migration!("../../migrations/V0001__create_catalogue.sql"))
        .migration(migration!("../../migrations/V0002__reserve_by_order.sql"))
        .migration(migration!(
            "../../migrations/V0003__search_every_script.sql",
            "../../migrations/reverse/V0003__search_every_script.sql"
        ))
        .publishes::<CategoryChanged>()
        .publishes::<ProductChanged>()
        .publishes::<ProductDeleted>()
        .publishes::<StockReserved>()
        .publishes::<StockRejected>()
        .publishes::<StockReleased>()
        .on::<OrderPlaced>(orders::placed)
        .on::<OrderCancelled>(orders::cancelled)
        .on::<OrderShipped>(orders::shipped)
        .on::<UserDeleted>(users::deleted)
        .on::<WordsDue>(words::due)
        .get("/categories", "Lists the categories by slug.", categories::list)
        .post("/categories", "Creates a category.", categories::create)
        .answers_with(&[
            problems::SLUG_TAKEN,
            problems::UNKNOWN_CATEGORY,
            problems::CATEGORY_TOO_DEEP,
            problems::TOO_MANY_CHILDREN,
        ])
        .get("/categories/{id}", "Gives a category with its path and its children.", categories::by_id)
        .patch("/categories/{id}", "Changes a category.", categories::change)
        .answers_with(&[
            problems::SLUG_TAKEN,
            problems::UNKNOWN_CATEGORY,
            problems::CATEGORY_CYCLE,
            problems::CATEGORY_TOO_DEEP,
            problems::TOO_MANY_CHILDREN,
        ])
        .delete("/categories/{id}", "Deletes a category that is empty.", categories::delete)
        .answers_with(&[problems::CATEGORY_NOT_EMPTY])
        .get("/categories/by-slug/{slug}", "Gives a category by its slug.", categories::by_slug)
        .get("/products", "Lists and searches products.", products::list)
        .post("/products", "Creates a product.", products::create)
        .answers_with(&[problems::SKU_TAKEN, problems::UNKNOWN_CATEGORY])
        .get("/products/{id}", "Gives a product with its images and ratings.", products::by_id)
        .patch("/products/{id}", "Changes a product.", products::change)
        .answers_with(&[problems::SKU_TAKEN, problems::UNKNOWN_CATEGORY])
        .delete("/products/{id}", "Deletes a product of which nothing is reserved.", products::delete)
        .answers_with(&[problems::PRODUCT_RESERVED])
        .get("/products/by-sku/{sku}", "Gives a product by its sku.", products::by_sku)
        .get("/products/{id}/stock", "Says where a product's stock is.", stock::get)
        .post("/products/{id}/stock", "Adds stock to a product, or takes it out.", stock::change)
        .answers_with(&[problems::INSUFFICIENT_STOCK, problems::TOO_MUCH_STOCK])
        .get("/products/{id}/images", "Lists a product's images.", images::list)
        .post("/products/{id}/images", "Adds an image to a product.", images::create)
        .answers_with(&[problems::TOO_MANY_IMAGES])
        .get("/products/{id}/images/{image_id}", "Gives an image.", images::by_id)
        .delete("/products/{id}/images/{image_id}", "Deletes an image.", images::delete)
        .get("/products/{id}/reviews", "Lists a product's reviews, the newest first.", reviews::list)
        .post("/products/{id}/reviews", "Reviews a product, once.", reviews::create)
        .answers_with(&[problems::REVIEW_EXISTS])
        .get("/products/{id}/reviews/{review_id}", "Gives a review.", reviews::by_id)
        .delete("/products/{id}/reviews/{review_id}", "Deletes a review.", reviews::delete)
}
