//! `log`: a guest's log lines, among the host's, each with where it is from.

use bulkhead_types::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX, PANIC_MESSAGE_BYTES_MAX};
use bulkhead_types::{ServiceName, own_words};
use wasmtime::component::HasData;

use crate::bindings::bulkhead::service::log::{Field, Host, Level};
use crate::diagnosis::Place;
use crate::running::{Panic, Running};
use crate::state::State;

/// What `log` sees of a handler's state.
pub(crate) struct LogView<'s> {
    service: &'s ServiceName,
    running: Option<&'s mut Running>,
}

impl HasData for LogView<'static> {
    type Data<'s> = LogView<'s>;
}

impl LogView<'_> {
    pub(super) fn of(state: &mut State) -> LogView<'_> {
        LogView { service: &state.spec.name, running: state.running.as_mut() }
    }
}

impl Host for LogView<'_> {
    fn write(&mut self, level: Level, message: String, fields: Vec<Field>) -> wasmtime::Result<()> {
        // Guest code always runs for something.
        let Some(running) = &mut self.running else { return Ok(()) };
        let (message, fields) = cut(&message, &fields);
        if level == Level::Error {
            running.last_error = Some(own_words(&message, PANIC_MESSAGE_BYTES_MAX));
        }
        running.log_lines += 1;
        if running.log_lines > LOG_LINES_MAX {
            return Ok(());
        }
        let service = self.service.as_str();
        let Place { version, trace_id, method, path, kind } = Place::of(running);
        let version = version.map(tracing::field::display);
        // The level of a log line must be a constant where the line is written.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "service", service, version, trace_id = trace_id.map(|id| id.to_string()), method, path, kind,
                    fields, "{message}"
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

/// The message and the fields (as a JSON object), within the limit on a line. JSON has escapes for only a few control characters: the
/// others (C1, and those that change the direction of writing) would reach the reader of the line.
fn cut(message: &str, fields: &[Field]) -> (String, String) {
    let message = own_words(message, LOG_LINE_BYTES_MAX);
    let mut left = LOG_LINE_BYTES_MAX.saturating_sub(message.len());
    let mut kept = serde_json::Map::new();
    for field in fields {
        if field.name.len() + field.value.len() > left {
            break;
        }
        let (name, value) = (own_words(&field.name, left), own_words(&field.value, left));
        let size = name.len() + value.len();
        if size > left {
            break;
        }
        left -= size;
        kept.insert(name, value.into());
    }
    (message, serde_json::Value::Object(kept).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bulkhead_types::limits::LOG_LINE_BYTES_MAX;

    use super::{Field, Host as _, Level, LogView, cut};
    use crate::running::Running;
    use crate::trial::{Trial, lines_with};

    /// The line about a failed request has the guest's own last words.
    #[test]
    fn only_the_last_error_line_of_a_guest_is_remembered() {
        let trial = Trial::new(Duration::from_secs(60));
        let mut state = trial.state();
        state.running = Some(Running::starting(Instant::now()));
        for (level, message, remembered) in [
            (Level::Warn, "one", None),
            (Level::Error, "two", Some("two")),
            (Level::Info, "three", Some("two")),
            (Level::Error, "four", Some("four")),
        ] {
            let lines = lines_with(message, || {
                LogView::of(&mut state).write(level, message.to_owned(), Vec::new()).unwrap();
            });
            assert_eq!(lines.len(), 1, "{lines:?}");
            let running = state.running.as_ref().unwrap();
            assert_eq!(running.last_error.as_deref(), remembered, "{message}");
        }
    }

    fn fields(fields: &[(&str, &str)]) -> String {
        let field = |(name, value): &(&str, &str)| Field { name: (*name).into(), value: (*value).into() };
        cut("", &fields.iter().map(field).collect::<Vec<_>>()).1
    }

    #[test]
    fn field_names_and_values_contain_no_control_characters() {
        assert_eq!(fields(&[("id", "a \"b\" ü")]), r#"{"id":"a \"b\" ü"}"#);
        for letter in ['\u{9b}', '\u{7f}', '\u{202e}', '\u{2028}', '\n'] {
            let text = format!("a{letter}b");
            let logged = fields(&[(&text, "name"), ("value", &text)]);
            assert!(!logged.contains(letter), "{logged:?}");
            let logged: serde_json::Value = serde_json::from_str(&logged).unwrap();
            let words = format!("a{}b", letter.escape_debug());
            assert_eq!((&logged[&words], &logged["value"]), (&"name".into(), &words.clone().into()));
        }
    }

    #[test]
    fn fields_beyond_the_line_limit_are_omitted_entirely() {
        let half = "x".repeat(LOG_LINE_BYTES_MAX / 2);
        let logged = fields(&[("a", &half), ("b", &half), ("c", "d")]);
        assert_eq!(logged, format!(r#"{{"a":"{half}"}}"#));
        // As many bytes as there may be, and one more.
        let (first, rest) = ("x".repeat(LOG_LINE_BYTES_MAX / 2 - 2), LOG_LINE_BYTES_MAX / 2 - 2);
        let whole = "y".repeat(rest);
        assert_eq!(
            fields(&[("aa", &first), ("bb", &whole)]),
            format!(r#"{{"aa":"{first}","bb":"{whole}"}}"#)
        );
        let more = "y".repeat(rest + 1);
        assert_eq!(fields(&[("aa", &first), ("bb", &more), ("c", "d")]), format!(r#"{{"aa":"{first}"}}"#));
        // The escaped form is longer.
        let controls = "\u{9b}".repeat(LOG_LINE_BYTES_MAX / 4);
        assert_eq!(fields(&[("a", &controls)]), "{}");
    }
}
