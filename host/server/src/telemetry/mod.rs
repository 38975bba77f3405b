//! The log of the host: structured log lines on standard error.
//!
//! Invariant: code that logs never waits for standard error, and never fails with it. Lines go into a bounded queue (`writer.rs`), and one
//! thread writes them. Lines that do not fit or can't be written are dropped and counted. All output of this process on standard error uses
//! this queue, so the order is kept: log lines, panics, the progress of a command and the reason why it failed.

mod writer;

use std::fmt;
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, OnceLock};

use bulkhead_manifest::AccessLog;
use bulkhead_types::limits::{LOG_FLUSH_MAX, LOG_PANIC_FLUSH_MAX};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::registry::LookupSpan;

use self::writer::Lines;

/// The target of access log lines. It distinguishes them from other lines.
pub(crate) const ACCESS_TARGET: &str = "access";

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The format of access log lines, if it is set.
static ACCESS_FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets the format of access log lines. Without it they have the format of all other lines.
pub fn set_access_log(access_log: Option<AccessLog>) {
    let format = match access_log {
        Some(AccessLog::Text) => LogFormat::Text,
        Some(AccessLog::Json) => LogFormat::Json,
        // There are no such lines, or the manifest does not set a format.
        Some(AccessLog::Off) | None => return,
    };
    let _ = ACCESS_FORMAT.set(format);
}

/// The queue to standard error.
static LINES: LazyLock<Lines> = LazyLock::new(|| Lines::to(std::io::stderr()));

/// An error of several lines (for example a refusal with several reasons) in the form of a log record: one record is one line.
pub fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A log filter that can't be parsed.
#[derive(Debug, thiserror::Error)]
#[error("read the log filter {filter:?}: {why}; give for example \"info\"")]
pub struct FilterError {
    filter: String,
    why: String,
}

/// Starts logging. `filter` is a level or a list such as `info,bulkhead_store=debug`.
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
        // The logging library must not report its own errors on standard error directly: that panics if standard error can't be written.
        .log_internal_errors(false)
        .with_ansi(is_terminal && format == LogFormat::Text)
        .event_format(Form::new(format))
        .init();
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Writes a message to the user at the terminal, on a line of its own.
pub fn say(text: &str) {
    LINES.push(format!("{text}\n").into_bytes());
}

/// Waits until all lines are written. The wait is limited, in case nobody reads them.
pub fn flush() {
    LINES.flush(LOG_FLUSH_MAX);
}

/// How many lines were dropped since the process started, because there was no room or they could not be written.
pub(crate) fn dropped_lines() -> u64 {
    LINES.dropped()
}

/// The default hook writes to standard error directly, where it may block forever.
fn report_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        "a thread panicked at {place}: {}",
        bulkhead_runtime::supervise::message(info.payload())
    );
    // The process may end before the writer thread writes the line.
    LINES.flush(LOG_PANIC_FLUSH_MAX);
}

/// Writes lines in either format.
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
