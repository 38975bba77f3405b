//! `sql`: converts values, results and errors between the boundary and the store.

use bulkhead_store::{ConstraintKind, StatementError, Value};

use crate::bindings::bulkhead::service::sql::{
    self, ConstraintViolation, Error, ExecuteResult, Limit, ResultSet, Value as WitValue,
};

impl From<WitValue> for Value {
    fn from(value: WitValue) -> Self {
        match value {
            WitValue::Null => Self::Null,
            WitValue::Integer(value) => Self::Integer(value),
            WitValue::Real(value) => Self::Real(value),
            WitValue::Text(value) => Self::Text(value),
            WitValue::Blob(value) => Self::Blob(value),
        }
    }
}

impl From<Value> for WitValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Integer(value),
            Value::Real(value) => Self::Real(value),
            Value::Text(value) => Self::Text(value),
            Value::Blob(value) => Self::Blob(value),
        }
    }
}

impl From<bulkhead_store::ResultSet> for ResultSet {
    fn from(result: bulkhead_store::ResultSet) -> Self {
        let rows = result.rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        Self { columns: result.columns, rows }
    }
}

impl From<bulkhead_store::ExecuteResult> for ExecuteResult {
    fn from(outcome: bulkhead_store::ExecuteResult) -> Self {
        Self { rows_affected: outcome.rows_affected, last_insert_rowid: outcome.last_insert_rowid }
    }
}

impl From<StatementError> for Error {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Constraint(constraint) => Self::ConstraintViolation(ConstraintViolation {
                kind: match constraint.kind {
                    ConstraintKind::Unique => sql::ConstraintKind::Unique,
                    ConstraintKind::PrimaryKey => sql::ConstraintKind::PrimaryKey,
                    ConstraintKind::ForeignKey => sql::ConstraintKind::ForeignKey,
                    ConstraintKind::Check => sql::ConstraintKind::Check,
                    ConstraintKind::NotNull => sql::ConstraintKind::NotNull,
                    ConstraintKind::Datatype => sql::ConstraintKind::Datatype,
                    ConstraintKind::Trigger => sql::ConstraintKind::Trigger,
                    ConstraintKind::Other => sql::ConstraintKind::Other,
                },
                name: constraint.name,
            }),
            StatementError::ReadOnly => Self::ReadOnly,
            StatementError::Limit { what, maximum } => {
                Self::LimitExceeded(Limit { what: what.to_owned(), maximum })
            }
            StatementError::NotAllowed(reason) => Self::NotAllowed(reason),
            StatementError::Invalid(reason) => Self::InvalidStatement(reason),
            StatementError::InvalidValue(reason) => Self::InvalidValue(reason),
            StatementError::StorageFull => Self::StorageFull,
            StatementError::Interrupted => Self::Interrupted,
            StatementError::Busy => Self::Busy,
            StatementError::Aborted(reason) => Self::Aborted(reason),
            StatementError::Other(reason) => Self::Other(reason),
        }
    }
}

/// The parameters in the form that the store expects.
pub(super) fn parameters(values: Vec<WitValue>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}
