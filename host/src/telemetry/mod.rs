//! The log: structured lines on standard error.
//!
//! Invariant: whoever logs never waits for standard error, and never fails with it. Lines go into a bounded queue (`writer.rs`), from which
//! one thread writes them; what has no room or can't be written is dropped and counted. Everything that this process says on standard error
//! goes the same way, so the order holds: log lines, panics, the progress of a command and the reason why it failed.

mod writer;

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::LazyLock;

use bulkhead_types::limits::{LOG_FLUSH_MAX, LOG_PANIC_FLUSH_MAX};
use tracing_subscriber::EnvFilter;

use self::writer::Lines;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The way to standard error.
static LINES: LazyLock<Lines> = LazyLock::new(|| Lines::to(std::io::stderr()));

/// Starts the log. `filter` is a level or a list such as `info,bulkhead_store=debug`.
///
/// # Errors
///
/// When `filter` is neither.
pub(crate) fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("read the log filter {filter:?}: {error}; give for example \"info\"")
    })?;
    // An error of the log itself must not go to standard error by a way of its own, which panics where that can't be written.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LINES.line())
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Says something to the one at the terminal, on a line of its own.
pub(crate) fn say(text: &str) {
    LINES.push(format!("{text}\n").into_bytes());
}

/// Waits until all that was said is written; not for long, in case nobody reads it.
pub(crate) fn flush() {
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
