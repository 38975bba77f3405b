//! The version of the product service after `product-column`: V0005 rebuilds the table of the products, which has children.
//!
//! It is made of the modules of the versions before it, as that one is.

#[path = "../../../../components/product/src/events/mod.rs"]
pub mod events;
#[path = "../../../../components/product/src/http/mod.rs"]
pub mod http;
#[path = "../../product-column/src/origin.rs"]
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
    origin::add_to(http::service())
        .migration(migration!(
            "../../product-column/migrations/V0004__add_origin.sql",
            "../../product-column/migrations/reverse/V0004__add_origin.sql"
        ))
        .migration(migration!(
            "../migrations/V0005__require_origin.sql",
            "../migrations/reverse/V0005__require_origin.sql"
        ))
}

bulkhead_sdk::service!(service);
