//! Where the engine of the services' databases is chosen. Nothing else above the engine's own crate knows which one it is.

use bulkhead_runtime::DatabaseEngine;
use bulkhead_sqlite::Sqlite;

/// What opens the databases.
#[must_use]
pub fn database_engine() -> &'static DatabaseEngine {
    &Sqlite
}
