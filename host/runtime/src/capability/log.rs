//! `log`: a guest's lines, among the host's, each with where it is from.

use bulkhead_types::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

use crate::bindings::bulkhead::service::log::{Field, Host, Level};
use crate::handler::State;

impl Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<Field>) -> wasmtime::Result<()> {
        let service = self.spec.name.as_str();
        let (trace_id, route) = match &mut self.running {
            Some(running) => {
                running.log_lines += 1;
                if running.log_lines > LOG_LINES_MAX {
                    return Ok(());
                }
                (running.trace_id.as_str(), running.route.as_str())
            }
            None => ("", ""),
        };
        let (message, fields) = cut(message, &fields);
        match level {
            Level::Trace => tracing::trace!(target: "service", service, trace_id, route, fields, "{message}"),
            Level::Debug => tracing::debug!(target: "service", service, trace_id, route, fields, "{message}"),
            Level::Info => tracing::info!(target: "service", service, trace_id, route, fields, "{message}"),
            Level::Warn => tracing::warn!(target: "service", service, trace_id, route, fields, "{message}"),
            Level::Error => tracing::error!(target: "service", service, trace_id, route, fields, "{message}"),
        }
        Ok(())
    }
}

/// The message and the fields (as a JSON object), within the limit on a line.
fn cut(mut message: String, fields: &[Field]) -> (String, String) {
    message.truncate(message.floor_char_boundary(LOG_LINE_BYTES_MAX));
    if message.contains(char::is_control) {
        // A line stays a line: nobody forges another one, or moves the cursor of who reads it.
        message = message.escape_debug().to_string();
        message.truncate(message.floor_char_boundary(LOG_LINE_BYTES_MAX));
    }
    let mut left = LOG_LINE_BYTES_MAX - message.len();
    let mut kept = serde_json::Map::new();
    for field in fields {
        let size = field.name.len() + field.value.len();
        if size > left {
            break;
        }
        left -= size;
        kept.insert(field.name.clone(), field.value.clone().into());
    }
    (message, serde_json::Value::Object(kept).to_string())
}
