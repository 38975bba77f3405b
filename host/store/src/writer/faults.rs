//! Failures that a test has commits meet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What SQLite says where a test has it fail.
pub(super) const MADE: &str = "disk I/O error (made by the test)";

/// A failure that a test has a COMMIT meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// The batch is not in the database.
    BeforeDurable,
    /// It is, and COMMIT says that it failed.
    AfterDurable,
    /// It is not, and nobody can tell.
    Unknown,
}

/// The failures that the next commits of a writer meet, in their order: none, but for a test.
#[derive(Debug, Clone, Default)]
pub struct CommitFaults(Arc<Mutex<VecDeque<CommitFault>>>);

impl CommitFaults {
    /// Has one more commit fail, after those that are to fail already.
    pub fn plan(&self, fault: CommitFault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Has no further commit fail; gives how many were still to.
    pub fn clear(&self) -> usize {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }

    pub(super) fn next(&self) -> Option<CommitFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
