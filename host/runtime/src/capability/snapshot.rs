//! `snapshot`: the last committed state, read through the worker's own read-only connection.

use bulkhead_store::StatementError;

use super::database::{DatabaseView, Open};
use super::sql::parameters;
use crate::bindings::bulkhead::service::snapshot::Host;
use crate::bindings::bulkhead::service::sql::{Error, ResultSet, Value};
use crate::database_call::DatabaseCall;

impl Host for DatabaseView<'_> {
    fn query(&mut self, statement: String, values: Vec<Value>) -> wasmtime::Result<Result<ResultSet, Error>> {
        let values = parameters(values);
        let call =
            DatabaseCall::Statement { function: "snapshot.query", sql: &statement, parameters: &values };
        let rows = |result: &bulkhead_store::ResultSet| result.rows.len() as u64;
        let result = self.call(&call, rows, |database| read(database, &statement, &values));
        Ok(result.map(Into::into).map_err(Into::into))
    }
}

fn read(
    view: &mut DatabaseView<'_>,
    statement: &str,
    values: &[bulkhead_store::Value],
) -> Result<bulkhead_store::ResultSet, StatementError> {
    let Open { database, worker, running, observed } = view.open()?;
    // A long read must not keep the answers of others waiting.
    let aborted = worker.hold.commit_open_batch(observed);
    worker.aborted.extend(aborted);
    let reader = match &mut worker.reader {
        Some(reader) => reader,
        empty => {
            let opened = database.database.reader();
            empty.insert(opened.map_err(|error| StatementError::Other(error.to_string()))?)
        }
    };
    let deadline = running.lease_until.map_or(running.deadline, |until| until.min(running.deadline));
    reader.query(deadline, statement, values)
}
