//! The settings and secrets of the manifest. They do not change while a version runs.

/// A setting; none if there is no such key.
pub fn config(key: &str) -> Option<String> {
    crate::host::config(key)
}

/// A secret; none if there is no such key, or if it is empty. Never log it.
pub fn secret(key: &str) -> Option<String> {
    crate::host::secret(key)
}
