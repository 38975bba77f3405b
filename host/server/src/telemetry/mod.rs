//! The log: structured lines on standard error.
//!
//! Invariant: whoever logs never waits for standard error, and never fails with it. Lines go into a bounded queue (`writer.rs`), from which
//! one thread writes them; what has no room or can't be written is dropped and counted. Everything that this process says on standard error
//! goes the same way, so the order holds: log lines, panics, the progress of a command and the reason why it failed.

mod writer;

use std::fmt;
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, OnceLock};

use bulkhead_types::limits::{LOG_FLUSH_MAX, LOG_PANIC_FLUSH_MAX};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::registry::LookupSpan;

use self::writer::Lines;
use bulkhead_manifest::AccessLog;

/// The target of the access log's lines, which tells them from others.
pub(crate) const ACCESS_TARGET: &str = "access";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// How the lines of the access log look, where that is said.
static ACCESS_FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Has the lines of the access log look so; they look as all others before.
pub fn set_access_log(access_log: Option<AccessLog>) {
    let format = match access_log {
        Some(AccessLog::Text) => LogFormat::Text,
        Some(AccessLog::Json) => LogFormat::Json,
        // There are none, or nothing is said of them.
        Some(AccessLog::Off) | None => return,
    };
    let _ = ACCESS_FORMAT.set(format);
}

/// The way to standard error.
static LINES: LazyLock<Lines> = LazyLock::new(|| Lines::to(std::io::stderr()));

/// An error of several lines, a refusal for several reasons say, as a record of the log has it: one record is one line.
pub fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A log filter that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("read the log filter {filter:?}: {why}; give for example \"info\"")]
pub struct FilterError {
    filter: String,
    why: String,
}

/// Starts the log. `filter` is a level or a list such as `info,bulkhead_store=debug`.
///
/// # Errors
///
/// When `filter` is neither.
pub fn start(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| FilterError { filter: filter.to_owned(), why: error.to_string() })?;
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LINES.line())
        // An error of the log itself must not go to standard error by a way of its own, which panics where that can't be written.
        .log_internal_errors(false)
        .with_ansi(is_terminal && format == LogFormat::Text)
        .event_format(Form::new(format))
        .init();
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Says something to the one at the terminal, on a line of its own.
pub fn say(text: &str) {
    LINES.push(format!("{text}\n").into_bytes());
}

/// Waits until all that was said is written; not for long, in case nobody reads it.
pub fn flush() {
    LINES.flush(LOG_FLUSH_MAX);
}

/// How many lines were dropped since the process started: there was no room for them, or they could not be written.
pub(crate) fn dropped_lines() -> u64 {
    LINES.dropped()
}

/// The default hook writes to standard error itself, where it may wait for ever.
fn report_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        "a thread panicked at {place}: {}",
        bulkhead_runtime::supervise::message(info.payload())
    );
    // The process may end before anybody else has written it.
    LINES.flush(LOG_PANIC_FLUSH_MAX);
}

/// Writes lines of either form.
struct Form {
    usual: LogFormat,
    text: Format<Full>,
    json: Format<Json>,
}

impl Form {
    fn new(usual: LogFormat) -> Self {
        Self { usual, text: format(), json: format().json().flatten_event(true) }
    }
}

impl<S> FormatEvent<S, DefaultFields> for Form
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
