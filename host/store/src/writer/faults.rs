//! Commit failures that a test plans.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A failure of a COMMIT that a test plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// The batch is not in the database.
    BeforeDurable,
    /// The batch is in the database, and COMMIT reports a failure.
    AfterDurable,
    /// The batch is not in the database, and nobody can find that out.
    Unknown,
}

impl CommitFault {
    /// The message of a failure that a test planned.
    pub const MESSAGE: &str = "disk I/O error (made by the test)";
}

/// The failures of a writer's next commits, in order. Only tests plan any.
#[derive(Debug, Clone, Default)]
pub struct CommitFaults(Arc<Mutex<VecDeque<CommitFault>>>);

impl CommitFaults {
    /// Makes one more commit fail, after those that are planned already.
    pub fn plan(&self, fault: CommitFault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Cancels the planned failures. Returns how many were left.
    pub fn clear(&self) -> usize {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }

    /// The failure of the next commit; none if it is not to fail. An engine calls this once for each commit.
    #[must_use]
    pub fn next(&self) -> Option<CommitFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
