//! Why a unit of work, or its batch, was aborted.

use crate::{Constraint, StatementError};

/// Why a unit of work, or its batch, was aborted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Abort {
    /// The quota or the disk is full.
    #[error("the database has no room left")]
    StorageFull,
    /// A write was interrupted at its deadline.
    #[error("a write was interrupted at its deadline")]
    Interrupted,
    /// `OR ROLLBACK` or `RAISE(ROLLBACK)`.
    #[error("a statement rolled the whole transaction back: {:?} {}", .0.kind, .0.name)]
    RolledBack(Constraint),
    /// COMMIT failed, and the batch is not in the database.
    #[error("the commit failed: {0}")]
    Commit(String),
    /// Anything else: the disk, or memory.
    #[error("{0}")]
    Other(String),
}

impl From<StatementError> for Abort {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::StorageFull => Self::StorageFull,
            StatementError::Interrupted => Self::Interrupted,
            StatementError::Constraint(constraint) => Self::RolledBack(constraint),
            StatementError::Aborted(reason) => Self::Other(reason),
            other => Self::Other(other.to_string()),
        }
    }
}
