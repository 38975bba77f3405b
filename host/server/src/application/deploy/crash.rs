//! Ends the process at a chosen step of a deploy or of a replica fill. Tests use it to check the state after a crash.
//!
//! `BULKHEAD_CRASH_AT_DEPLOY=kept` kills the process, as by SIGKILL, at the point with that name. Nothing is cleaned up.

use rustix::process::{Signal, getpid, kill_process};

/// The environment variable.
const VARIABLE: &str = "BULKHEAD_CRASH_AT_DEPLOY";

/// The points, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::application) enum Point {
    Validated,
    Compiled,
    Tried,
    Rehearsed,
    /// The file is on disk.
    Kept,
    /// Nobody runs a handler.
    Held,
    /// Schema and version are written but not committed.
    Written,
    /// Schema and version are durable.
    Committed,
    Switched,
    /// The new content of replicas is read, and nothing is written. This point and the next two are points of a start and of a
    /// reload.
    Staged,
    /// The content is written but not committed.
    Filled,
    /// The content is durable.
    FillCommitted,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Compiled => "compiled",
            Self::Tried => "tried",
            Self::Rehearsed => "rehearsed",
            Self::Kept => "kept",
            Self::Held => "held",
            Self::Written => "written",
            Self::Committed => "committed",
            Self::Switched => "switched",
            Self::Staged => "staged",
            Self::Filled => "filled",
            Self::FillCommitted => "fill-committed",
        }
    }

    /// Ends the process here, if the variable names this point.
    pub(in crate::application) fn reach(self) {
        if std::env::var_os(VARIABLE).is_some_and(|asked| asked == self.name()) {
            tracing::error!(point = self.name(), "the process ends here, as {VARIABLE} says");
            if let Err(error) = kill_process(getpid(), Signal::KILL) {
                tracing::error!(%error, "the process can't be killed");
            }
        }
    }
}
