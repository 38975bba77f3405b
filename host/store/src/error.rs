//! Why a statement, a publication or the store itself failed.

use std::path::PathBuf;

use bulkhead_types::ServiceName;

use crate::EngineError;
use crate::migration_error::Seen;

/// The kinds of constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// UNIQUE, also by a unique index.
    Unique,
    /// PRIMARY KEY.
    PrimaryKey,
    /// REFERENCES.
    ForeignKey,
    /// CHECK.
    Check,
    /// NOT NULL.
    NotNull,
    /// A value of another type than the column's.
    Datatype,
    /// RAISE in a trigger.
    Trigger,
    /// Any other.
    Other,
}

/// Which constraint was violated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Its kind.
    pub kind: ConstraintKind,
    /// Its name: `product.sku`, a CHECK's name, a RAISE's message; empty for a foreign key.
    pub name: String,
}

/// Why a guest's statement failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StatementError {
    /// A constraint refused the write.
    #[error("constraint {:?} {} was violated", .0.kind, .0.name)]
    Constraint(Constraint),
    /// A write to a snapshot.
    #[error("a snapshot can only be read")]
    ReadOnly,
    /// A limit was exceeded.
    #[error("more than {maximum} {what}")]
    Limit {
        /// What is limited, with its unit.
        what: &'static str,
        /// The most that is allowed.
        maximum: u64,
    },
    /// The service may not run it.
    #[error("{0}")]
    NotAllowed(String),
    /// The database could not prepare it.
    #[error("{0}")]
    Invalid(String),
    /// Parameters or result values that are not valid.
    #[error("{0}")]
    InvalidValue(String),
    /// The quota or the disk is full.
    #[error("the database has no room left")]
    StorageFull,
    /// The deadline passed.
    #[error("the statement was interrupted at its deadline")]
    Interrupted,
    /// The lease, or a snapshot, was not available before the deadline.
    #[error("the database was busy until the deadline")]
    Busy,
    /// The unit of work was aborted.
    #[error("the unit of work was aborted: {0}")]
    Aborted(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Why an event was not published.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PublishError {
    /// The type, the subject or the data is not valid.
    #[error("{0}")]
    Invalid(String),
    /// The row could not be written.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// Why the store can't do what the host requests.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The event log can't be read.
    #[error("read the event log of {}: {source}", path.display())]
    Log {
        /// The database.
        path: PathBuf,
        /// Why.
        source: StatementError,
    },
    /// The database refused.
    #[error("{action} {}: {source}", path.display())]
    Engine {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// Why not.
        source: EngineError,
    },
    /// The file system refused.
    #[error("{action} {}: {source}; {remedy}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// Another host holds the data folder.
    #[error(
        "lock {}: another host holds this data folder; stop that host, or give this one a folder of its own with --data",
        path.display()
    )]
    FolderHeld {
        /// The folder.
        path: PathBuf,
    },
    /// The service has no database.
    #[error("{service} has no database")]
    NoDatabase {
        /// The service.
        service: ServiceName,
    },
    /// A replica can't be created.
    #[error("make the replica {name} in {}: {why}", path.display())]
    Replica {
        /// The database.
        path: PathBuf,
        /// The replica.
        name: String,
        /// Why not.
        why: String,
    },
    /// A migration was refused or failed.
    #[error("migrate {}: {source}", path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Box<crate::MigrationError>,
    },
}

impl StoreError {
    /// What the database has now, if the outcome of a COMMIT is unknown. None if the database is as it was, and this is final.
    #[must_use]
    pub fn unknown_outcome(&self) -> Option<Seen> {
        match self {
            Self::Migration { source, .. } => match **source {
                crate::MigrationError::OutcomeUnknown { seen, .. } => Some(seen),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the operation was ended because its time was over.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        match self {
            Self::Engine { source, .. } => source.interrupted,
            Self::Log { source, .. } => *source == StatementError::Interrupted,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_interruption_counts_as_too_long() {
        let path = || PathBuf::from("a.db");
        let engine = |interrupted| StoreError::Engine {
            action: "copy",
            path: path(),
            source: EngineError { message: "no".into(), interrupted },
        };
        let log = |source| StoreError::Log { path: path(), source };
        for (error, is_too_long) in [
            (engine(true), true),
            (engine(false), false),
            (log(StatementError::Interrupted), true),
            (log(StatementError::Busy), false),
            (StoreError::FolderHeld { path: path() }, false),
        ] {
            assert_eq!(error.is_too_long(), is_too_long, "{error}");
        }
    }
}
