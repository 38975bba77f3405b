//! The user service of the shop: accounts, addresses, preferences, and the sessions of everybody.
//!
//! - [`rules`]: what the shop decides, pure functions.
//! - [`store`]: all SQL.
//! - [`http`]: the handlers, a file per resource.
//! - [`events`]: what is published.
//! - [`settings`]: what the manifest sets.
//!
//! Invariants: SQL stands in `store` alone; a password is hashed before the unit of work begins, and only by a handler that has the
//! right to compute; passwords and their hashes can be neither displayed nor serialised, and their `Debug` hides them, so none gets
//! into an answer or the log; what is a user's is reached by `http::own` alone, which shows it to nobody else; creating or
//! changing a user publishes their state in the same unit of work, and deleting one takes the data out of those events and publishes
//! that they are gone (passwords, addresses and preferences publish nothing).

pub mod events;
pub mod http;
pub mod problems;
pub mod rules;
pub mod settings;
pub mod store;

bulkhead_sdk::service!(http::service);
