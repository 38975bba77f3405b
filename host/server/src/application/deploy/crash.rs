//! Ending the process at a chosen step of a deploy, or of the filling of replicas, for tests of what is there after a crash.
//!
//! `BULKHEAD_CRASH_AT_DEPLOY=kept` has it killed, as by SIGKILL, at the point of that name: nothing is tidied up.

use rustix::process::{Signal, getpid, kill_process};

/// The variable.
const VARIABLE: &str = "BULKHEAD_CRASH_AT_DEPLOY";

/// The points, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::application) enum Point {
    Validated,
    Compiled,
    Tried,
    Rehearsed,
    /// The file is on the disk.
    Kept,
    /// Nobody runs a handler.
    Held,
    /// Schema and version are written, and not committed.
    Written,
    /// Schema and version are durable.
    Committed,
    Switched,
    /// What replicas are to hold is read, and nothing is written. These three are points of a start and of a reload.
    Staged,
    /// It is written, and not committed.
    Filled,
    /// It is durable.
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

    /// Ends the process here, if that was asked for.
    pub(in crate::application) fn reach(self) {
        if std::env::var_os(VARIABLE).is_some_and(|asked| asked == self.name()) {
            tracing::error!(point = self.name(), "the process ends here, as {VARIABLE} says");
            if let Err(error) = kill_process(getpid(), Signal::KILL) {
                tracing::error!(%error, "the process can't be killed");
            }
        }
    }
}
