//! The reports of the shop: what was sold, and how its orders stand. A read model (CQRS): the service owns nothing, publishes nothing and
//! writes at events alone, so the host can rebuild it from the logs of the others.
//!
//! - [`rules`]: what an order counts as, pure functions.
//! - [`store`]: all SQL.
//! - [`http`]: the handlers, for admins alone.
//! - `events`: what becomes of each event.
//!
//! Invariants: SQL stands in `store` alone; what the tables hold is the same however the logs of the order service and of the product
//! service interleave, so no handler needs another log's event to have come before; the rows of `sale` are the sums of the lines of
//! the orders that [`rules::order::Order::is_sold`]; no row holds a user's id.

mod events;
pub mod http;
pub mod rules;
pub mod store;

bulkhead_sdk::service!(http::service);
