//! Why a statement, a publication or the store itself failed.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use rusqlite::ffi;

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
    /// A value of another type, in a STRICT table.
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
    /// The name that SQLite gives: `product.sku`, a CHECK's name, a RAISE's message; empty for a foreign key.
    pub name: String,
}

/// Why a guest's statement failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StatementError {
    /// A constraint refused the write.
    #[error("constraint {:?} {} was violated", .0.kind, .0.name)]
    Constraint(Constraint),
    /// A write on a connection that can only read.
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
    /// The authorizer refused.
    #[error("{0}")]
    NotAllowed(String),
    /// SQLite could not prepare it.
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
    /// SQLite refused.
    #[error("{action} {}: {source}", path.display())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
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
        service: String,
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
            Self::Sqlite { source, .. } => {
                source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
            }
            Self::Log { source, .. } => *source == StatementError::Interrupted,
            _ => false,
        }
    }
}

/// SQLite's own text without the parts that rusqlite adds.
pub(crate) fn sqlite_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// Maps an error of SQLite to the error that a guest gets. `denied` is what the authorizer refused meanwhile, if anything.
pub(crate) fn classify(error: &rusqlite::Error, denied: Option<String>) -> StatementError {
    if let Some(reason) = denied {
        return StatementError::NotAllowed(reason);
    }
    let (rusqlite::Error::SqliteFailure(code, _) | rusqlite::Error::SqlInputError { error: code, .. }) =
        error
    else {
        return match error {
            rusqlite::Error::MultipleStatement => {
                StatementError::Invalid("more than one statement; send one with each call".into())
            }
            rusqlite::Error::NulError(_) => StatementError::Invalid("the statement has a NUL byte".into()),
            other => StatementError::Other(other.to_string()),
        };
    };
    let message = sqlite_message(error);
    match code.code {
        ErrorCode::ConstraintViolation => {
            StatementError::Constraint(constraint(code.extended_code, &message))
        }
        ErrorCode::ReadOnly => StatementError::ReadOnly,
        ErrorCode::DiskFull => StatementError::StorageFull,
        ErrorCode::OperationInterrupted => StatementError::Interrupted,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StatementError::Busy,
        ErrorCode::TooBig => StatementError::Limit {
            what: "bytes of a value or row",
            maximum: bulkhead_types::limits::VALUE_BYTES_MAX as u64,
        },
        ErrorCode::AuthorizationForStatementDenied => StatementError::NotAllowed(message),
        ErrorCode::TypeMismatch => StatementError::InvalidValue(message),
        // A statement with only whitespace and comments was stepped.
        ErrorCode::ApiMisuse => StatementError::Invalid("the statement is empty".into()),
        // SQLite's plain SQLITE_ERROR: a mistake in the statement.
        ErrorCode::Unknown if code.extended_code & 0xff == ffi::SQLITE_ERROR => {
            StatementError::Invalid(message)
        }
        _ => StatementError::Other(message),
    }
}

fn constraint(extended_code: i32, message: &str) -> Constraint {
    let kind = match extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_ROWID => ConstraintKind::Unique,
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY => ConstraintKind::PrimaryKey,
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ConstraintKind::ForeignKey,
        ffi::SQLITE_CONSTRAINT_CHECK => ConstraintKind::Check,
        ffi::SQLITE_CONSTRAINT_NOTNULL => ConstraintKind::NotNull,
        ffi::SQLITE_CONSTRAINT_DATATYPE => ConstraintKind::Datatype,
        ffi::SQLITE_CONSTRAINT_TRIGGER => ConstraintKind::Trigger,
        _ => ConstraintKind::Other,
    };
    // «UNIQUE constraint failed: product.sku», but a RAISE's message is the complete text.
    let name = match kind {
        ConstraintKind::ForeignKey => String::new(),
        ConstraintKind::Trigger => message.to_owned(),
        _ => message.split_once(": ").map_or(message, |(_, name)| name).to_owned(),
    };
    Constraint { kind, name }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn only_an_interruption_counts_as_too_long() {
        let path = || std::path::PathBuf::from("a.db");
        let sqlite = |code| StoreError::Sqlite {
            action: "copy",
            path: path(),
            source: rusqlite::Error::SqliteFailure(ffi::Error::new(code), None),
        };
        let log = |source| StoreError::Log { path: path(), source };
        for (error, is_too_long) in [
            (sqlite(ffi::SQLITE_INTERRUPT), true),
            (sqlite(ffi::SQLITE_FULL), false),
            (log(StatementError::Interrupted), true),
            (log(StatementError::Busy), false),
            (StoreError::FolderHeld { path: path() }, false),
        ] {
            assert_eq!(error.is_too_long(), is_too_long, "{error}");
        }
    }

    #[test]
    fn each_code_of_sqlites_has_its_error() {
        let classified = |code| {
            let failure =
                rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("as SQLite says".into()));
            classify(&failure, None)
        };
        let message = || "as SQLite says".to_owned();
        for (code, error) in [
            (ffi::SQLITE_READONLY, StatementError::ReadOnly),
            (ffi::SQLITE_FULL, StatementError::StorageFull),
            (ffi::SQLITE_INTERRUPT, StatementError::Interrupted),
            (ffi::SQLITE_BUSY, StatementError::Busy),
            (ffi::SQLITE_LOCKED, StatementError::Busy),
            (ffi::SQLITE_AUTH, StatementError::NotAllowed(message())),
            (ffi::SQLITE_MISMATCH, StatementError::InvalidValue(message())),
            (ffi::SQLITE_ERROR, StatementError::Invalid(message())),
            // For an unknown code, nobody knows whether the statement is the cause.
            (99, StatementError::Other(message())),
            (ffi::SQLITE_CORRUPT, StatementError::Other(message())),
        ] {
            assert_eq!(classified(code), error, "{code}");
        }
    }

    #[test]
    fn every_kind_of_constraint_is_told_with_what_it_is_about() {
        let made = Connection::open_in_memory().expect("a database");
        made.execute_batch(
            "CREATE TABLE p (id INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE t (
                id INTEGER PRIMARY KEY, k TEXT UNIQUE, n INTEGER NOT NULL, p INTEGER REFERENCES p (id), CONSTRAINT small CHECK (n < 9)
             ) STRICT;
             CREATE TRIGGER raises BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'kept: for good'); END;
             PRAGMA foreign_keys = ON;
             INSERT INTO t VALUES (1, 'a', 1, NULL);",
        )
        .expect("a schema");
        for (sql, kind, name) in [
            ("INSERT INTO t VALUES (2, 'a', 1, NULL)", ConstraintKind::Unique, "t.k"),
            ("INSERT INTO t VALUES (1, 'b', 1, NULL)", ConstraintKind::PrimaryKey, "t.id"),
            ("INSERT INTO t VALUES (2, 'b', NULL, NULL)", ConstraintKind::NotNull, "t.n"),
            ("INSERT INTO t VALUES (2, 'b', 9, NULL)", ConstraintKind::Check, "small"),
            ("INSERT INTO t VALUES (2, 'b', 1, 7)", ConstraintKind::ForeignKey, ""),
            ("DELETE FROM t", ConstraintKind::Trigger, "kept: for good"),
        ] {
            let error = made.execute(sql, []).expect_err(sql);
            let StatementError::Constraint(found) = classify(&error, None) else { panic!("{sql}: {error}") };
            assert_eq!((found.kind, &*found.name), (kind, name), "{sql}");
        }
        let error = made.execute("INSERT INTO t VALUES (2, 'b', 'x', NULL)", []).expect_err("another type");
        let StatementError::Constraint(found) = classify(&error, None) else { panic!("{error}") };
        assert_eq!(found.kind, ConstraintKind::Datatype);
    }
}
