//! `log`: a guest's lines, among the host's, each with where it is from.

use bulkhead_types::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX, PANIC_MESSAGE_BYTES_MAX};

use crate::bindings::bulkhead::service::log::{Field, Host, Level};
use crate::diagnosis::{Panic, Place, own_words};
use crate::handler::State;

impl Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<Field>) -> wasmtime::Result<()> {
        // Guest code runs for something, always.
        let Some(running) = &mut self.running else { return Ok(()) };
        let (message, fields) = cut(&message, &fields);
        if level == Level::Error {
            running.last_error = Some(own_words(&message, PANIC_MESSAGE_BYTES_MAX));
        }
        running.log_lines += 1;
        if running.log_lines > LOG_LINES_MAX {
            return Ok(());
        }
        let service = self.spec.name.as_str();
        let Place { version, trace_id, method, path, kind } = Place::of(running);
        let version = version.map(tracing::field::display);
        // The level of a line is a constant where it is written.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "service", service, version, trace_id, method, path, kind, fields, "{message}"
                )
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
        Ok(())
    }

    fn panicked(&mut self, message: String, place: String) -> wasmtime::Result<()> {
        if let Some(running) = &mut self.running {
            running.panic = Some(Panic::new(&message, &place));
        }
        Ok(())
    }
}

/// The message and the fields (as a JSON object), within the limit on a line.
fn cut(message: &str, fields: &[Field]) -> (String, String) {
    let message = own_words(message, LOG_LINE_BYTES_MAX);
    let mut left = LOG_LINE_BYTES_MAX.saturating_sub(message.len());
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
