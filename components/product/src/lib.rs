//! The product service of the shop: categories, products with their stock, images and reviews.
//!
//! - [`rules`]: what the shop decides, pure functions.
//! - [`store`]: all SQL.
//! - [`http`]: the handlers, a file per resource.
//! - [`events`]: what is published.
//!
//! Invariants: SQL stands in `store` alone; creating or changing a product or a category publishes its state in the same unit of work, and
//! deleting a product that it is gone (changes of stock, images and reviews publish nothing, nor does deleting a category);
//! available + reserved + sold = added, by a CHECK of the table.

pub mod events;
pub mod http;
pub mod rules;
pub mod store;

bulkhead_sdk::service!(http::service);
