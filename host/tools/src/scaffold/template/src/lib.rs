//! Keeps entries, which are short texts, and tells of each new one.
//!
//! - [`rules`]: what becomes of a text, pure functions.
//! - [`store`]: all SQL.
//! - [`http`]: the handlers, and what the service is made of.
//! - [`events`]: what it publishes.
//!
//! What it publishes, takes and calls stands in its section of `bulkhead.toml` too: the host grants what is there, and nothing else.

pub mod events;
pub mod http;
pub mod rules;
pub mod store;

bulkhead_sdk::service!(http::service);
