//! Structured log lines. The host adds the service, its version, the trace id, and the route or the type of the event to every line, cuts
//! lines at 8 KiB, and leaves out what is beyond 100 lines of one handler.
//!
//! ```
//! bulkhead_sdk::log::warn("stock is low", &[("sku", &"27334"), ("left", &3)]);
//! ```

use std::fmt::Display;

use crate::wit::bulkhead::service::log::Field;
pub use crate::wit::bulkhead::service::log::Level;

/// Writes a line with named values.
pub fn write(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, value)| Field { name: (*name).to_owned(), value: value.to_string() })
        .collect();
    crate::host::log(level, message, &fields);
}

/// Writes a line for somebody who follows one request through the code.
pub fn debug(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Debug, message, fields);
}

/// Writes a line about something that happens in normal operation.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Info, message, fields);
}

/// Writes a line about something that an operator may want to look at.
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Warn, message, fields);
}

/// Writes a line about something that is wrong.
pub fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Error, message, fields);
}
