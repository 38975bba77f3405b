//! The log: structured lines on standard error.

use std::fmt;
use std::sync::OnceLock;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::registry::LookupSpan;

use crate::http::ACCESS_TARGET;
use crate::manifest::AccessLog;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// How the lines of the access log look, where that is said.
static ACCESS_FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Has the lines of the access log look so; they look as all others before.
pub(crate) fn set_access_log(access_log: Option<AccessLog>) {
    let format = match access_log {
        Some(AccessLog::Text) => LogFormat::Text,
        Some(AccessLog::Json) => LogFormat::Json,
        // There are none, or nothing is said of them.
        Some(AccessLog::Off) | None => return,
    };
    let _ = ACCESS_FORMAT.set(format);
}

/// An error of several lines, a refusal for several reasons say, as a record of the log has it: one record is one line.
pub(crate) fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Starts the log. `filter` is a level or a list such as `info,bulkhead_store=debug`.
///
/// # Errors
///
/// When `filter` is neither.
pub(crate) fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("read the log filter {filter:?}: {error}; give for example \"info\"")
    })?;
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal && format == LogFormat::Text)
        .event_format(Lines::new(format))
        .init();
    Ok(())
}

/// Writes lines of either form.
struct Lines {
    usual: LogFormat,
    text: Format<Full>,
    json: Format<Json>,
}

impl Lines {
    fn new(usual: LogFormat) -> Self {
        Self { usual, text: format(), json: format().json().flatten_event(true) }
    }
}

impl<S> FormatEvent<S, DefaultFields> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    DefaultFields: for<'writer> FormatFields<'writer>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_access = event.metadata().target() == ACCESS_TARGET;
        let format = ACCESS_FORMAT.get().filter(|_| is_access).copied().unwrap_or(self.usual);
        match format {
            LogFormat::Text => self.text.format_event(context, writer, event),
            LogFormat::Json => self.json.format_event(context, writer, event),
        }
    }
}
