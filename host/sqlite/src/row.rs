//! Reads the host's own types from the columns of its rows.

use std::sync::Arc;

use bulkhead_types::{Sequence, ServiceName, Subject, TraceId};
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};

pub(crate) fn sequence(row: &Row<'_>, column: usize) -> Result<Sequence> {
    row.get(column).map(Sequence::new)
}

pub(crate) fn service_name(row: &Row<'_>, column: usize) -> Result<ServiceName> {
    row.get::<_, Arc<str>>(column).map(ServiceName::from)
}

pub(crate) fn subject(row: &Row<'_>, column: usize) -> Result<Subject> {
    row.get::<_, Arc<str>>(column).map(Subject::from)
}

/// A text that is not a trace id was not written by the host.
pub(crate) fn trace_id(row: &Row<'_>, column: usize) -> Result<TraceId> {
    let unreadable = |error| Error::FromSqlConversionFailure(column, Type::Text, error);
    let text = row.get_ref(column)?.as_str().map_err(|error| unreadable(Box::new(error)))?;
    text.parse().map_err(|error| unreadable(Box::new(error)))
}
