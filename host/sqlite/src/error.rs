//! What the errors of SQLite mean to the host and to guests.

use std::path::Path;

use bulkhead_store::{Constraint, ConstraintKind, EngineError, StatementError, StoreError};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// What SQLite says of a failure, for those who do not know SQLite.
pub(crate) fn engine_error(error: &rusqlite::Error) -> EngineError {
    let interrupted = error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted);
    EngineError { message: error.to_string(), interrupted }
}

/// The error of an action on a database, for example `open`.
pub(crate) fn store_error(action: &'static str, path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Engine { action, path: path.to_owned(), source: engine_error(error) }
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
    use bulkhead_store::{ConstraintKind, StatementError};
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn only_an_interruption_is_reported_as_one() {
        for (code, interrupted) in [(ffi::SQLITE_INTERRUPT, true), (ffi::SQLITE_FULL, false)] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(engine_error(&error).interrupted, interrupted);
        }
    }

    #[test]
    fn each_sqlite_code_has_its_error() {
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
    fn each_kind_of_constraint_is_reported_with_what_it_is_about() {
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
