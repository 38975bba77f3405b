//! `transaction`: statements inside the unit of work, which the first of them joins.

use bulkhead_store::StatementError;

use super::sql::parameters;
use crate::bindings::bulkhead::service::sql::{Error, ExecuteResult, ResultSet, Value};
use crate::bindings::bulkhead::service::transaction::Host;
use crate::database::UnitOfWork;
use crate::database_call::DatabaseCall;
use crate::state::{DatabaseView, State};

impl Host for State {
    fn query(&mut self, statement: String, values: Vec<Value>) -> wasmtime::Result<Result<ResultSet, Error>> {
        let values = parameters(values);
        let call =
            DatabaseCall::Statement { function: "transaction.query", sql: &statement, parameters: &values };
        let rows = |result: &bulkhead_store::ResultSet| result.rows.len() as u64;
        let result = self
            .database_call(&call, rows, |state| join(state).and_then(|unit| unit.query(&statement, &values)));
        Ok(result.map(Into::into).map_err(Into::into))
    }

    fn execute(
        &mut self,
        statement: String,
        values: Vec<Value>,
    ) -> wasmtime::Result<Result<ExecuteResult, Error>> {
        let values = parameters(values);
        let call =
            DatabaseCall::Statement { function: "transaction.execute", sql: &statement, parameters: &values };
        let rows = |outcome: &bulkhead_store::ExecuteResult| outcome.rows_affected;
        let result = self.database_call(&call, rows, |state| {
            join(state).and_then(|unit| unit.execute(&statement, &values))
        });
        Ok(result.map(Into::into).map_err(Into::into))
    }
}

/// The unit of work of the running handler. Joins it if the handler has not joined it yet.
pub(super) fn join(state: &mut State) -> Result<&mut UnitOfWork, StatementError> {
    let DatabaseView { database, worker, running, lease_hold, observed } = state.database()?;
    let joined = worker.hold.join(&database.writer, running.deadline, lease_hold, observed)?;
    if joined.until.is_some() {
        running.lease_until = joined.until;
        running.joined = true;
    }
    Ok(joined.unit)
}
