//! The clock, the randomness, the settings and the log lines of the host, and their replacements when a service is compiled natively for
//! its unit tests: there the clock and the randomness are the machine's, nothing is set, and log lines go nowhere.

use crate::wit::bulkhead::service::log;

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
#[cfg(target_arch = "wasm32")]
pub(crate) fn wall_clock() -> (u64, u32) {
    let now = crate::wit::wasi::clocks::wall_clock::now();
    (now.seconds, now.nanoseconds)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn wall_clock() -> (u64, u32) {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_nanos())
}

/// 64 random bits.
#[cfg(target_arch = "wasm32")]
pub(crate) fn random_u64() -> u64 {
    crate::wit::wasi::random::random::get_random_u64()
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn random_u64() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(wall_clock())
}

/// Random bytes.
#[cfg(target_arch = "wasm32")]
pub(crate) fn random_bytes(length: usize) -> Vec<u8> {
    crate::wit::wasi::random::random::get_random_bytes(length as u64)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn random_bytes(length: usize) -> Vec<u8> {
    std::iter::repeat_with(random_u64).flat_map(u64::to_le_bytes).take(length).collect()
}

/// A setting.
#[cfg(target_arch = "wasm32")]
pub(crate) fn config(key: &str) -> Option<String> {
    crate::wit::bulkhead::service::config::get(key)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn config(_: &str) -> Option<String> {
    None
}

/// A secret.
#[cfg(target_arch = "wasm32")]
pub(crate) fn secret(key: &str) -> Option<String> {
    crate::wit::bulkhead::service::config::get_secret(key)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn secret(_: &str) -> Option<String> {
    None
}

/// Writes a log line.
#[cfg(target_arch = "wasm32")]
pub(crate) fn log(level: log::Level, message: &str, fields: &[log::Field]) {
    log::write(level, message, fields);
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn log(_: log::Level, _: &str, _: &[log::Field]) {}

/// Says why this guest is about to trap, and where.
#[cfg(target_arch = "wasm32")]
pub(crate) fn panicked(message: &str, place: &str) {
    log::panicked(message, place);
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn panicked(_: &str, _: &str) {}
