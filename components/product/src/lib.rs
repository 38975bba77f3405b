//! The product service of the shop: categories, products with their stock, images and reviews.
//!
//! - [`rules`]: what the shop decides, pure functions.
//! - [`store`]: all SQL.
//! - [`http`]: the handlers, a file per resource.
//! - [`events`]: what is published, and what is done at the events of others.
//!
//! Copies of others' data: `user`, a replica that the host keeps, for the first names beside reviews.
//!
//! Invariants: SQL stands in `store` alone; creating or changing a product or a category publishes its state in the same unit of work, and
//! deleting a product that it is gone (changes of stock by hand, of images and reviews publish nothing, nor does deleting a category);
//! available + reserved + sold = added, by a CHECK of the table; the stock of an order moves along the one life that
//! [`rules::reservation`] has, whatever arrives and however often.

pub mod events;
pub mod http;
pub mod problems;
pub mod rules;
pub mod store;

bulkhead_sdk::service!(http::service);
