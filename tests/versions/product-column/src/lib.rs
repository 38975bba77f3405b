//! The version of the product service after the one in `components/product`: V0004 adds a column to the products.
//!
//! It is made of that service's own modules, so that nothing is copied. A dependency it can't be: a component has the exports of one
//! service.

#[path = "../../../../components/product/src/events/mod.rs"]
pub mod events;
#[path = "../../../../components/product/src/http/mod.rs"]
pub mod http;
pub mod origin;
#[path = "../../../../components/product/src/problems.rs"]
pub mod problems;
#[path = "../../../../components/product/src/rules/mod.rs"]
pub mod rules;
#[path = "../../../../components/product/src/store/mod.rs"]
pub mod store;

use bulkhead_sdk::{Service, migration};

/// The service.
pub fn service() -> Service {
    origin::add_to(http::service()).migration(migration!(
        "../migrations/V0004__add_origin.sql",
        "../migrations/reverse/V0004__add_origin.sql"
    ))
}

bulkhead_sdk::service!(service);
