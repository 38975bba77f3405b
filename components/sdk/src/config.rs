//! The settings and secrets of the manifest. They do not change while a version runs.

use crate::wit::bulkhead::service::config;

/// A setting; none where there is no such key.
pub fn config(key: &str) -> Option<String> {
    config::get(key)
}

/// A secret; none where there is no such key or it is empty. Never log it.
pub fn secret(key: &str) -> Option<String> {
    config::get_secret(key)
}
