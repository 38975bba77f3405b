//! The order service of the shop: orders with their items, payment and shipping, and the saga that leads them from being placed to
//! being delivered, rejected or cancelled.
//!
//! - [`rules`]: what the shop decides, pure functions.
//! - [`store`]: all SQL.
//! - [`life`]: the one way in which an order changes.
//! - [`paying`]: attempts to pay.
//! - [`http`]: the handlers of requests, a file per resource.
//! - [`events`]: the handlers of events and timers, a file per producer.
//! - [`timers`]: what the service tells itself, later.
//! - [`settings`]: what the manifest sets.
//!
//! Invariants: SQL stands in `store` alone; an order's status, payment, shipping, history and published facts change by
//! [`life::advance`] alone, together, and as `rules::status::next` says, so that an event that comes late or twice changes nothing; an
//! attempt to pay is recorded before the gateway is asked, and the gateway takes money once for each attempt; the payment token is
//! kept until it is used, and stands in no answer, event or log line; an order that is neither pending nor reserved has a payment that
//! is captured, refunded or voided; of a deleted user no order says who they were or where they lived.

pub mod events;
pub mod http;
pub mod life;
pub mod paying;
pub mod problems;
pub mod rules;
pub mod settings;
pub mod store;
pub mod timers;

bulkhead_sdk::service!(http::service);
