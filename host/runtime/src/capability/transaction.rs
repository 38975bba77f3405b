//! `transaction`: statements inside the unit of work, which the first of them joins.

use super::database::DatabaseView;
use super::sql::parameters;
use crate::bindings::bulkhead::service::sql::{Error, ExecuteResult, ResultSet, Value};
use crate::bindings::bulkhead::service::transaction::Host;
use crate::database_call::DatabaseCall;

impl Host for DatabaseView<'_> {
    fn query(&mut self, statement: String, values: Vec<Value>) -> wasmtime::Result<Result<ResultSet, Error>> {
        let values = parameters(values);
        let call =
            DatabaseCall::Statement { function: "transaction.query", sql: &statement, parameters: &values };
        let rows = |result: &bulkhead_store::ResultSet| result.rows.len() as u64;
        let result = self
            .call(&call, rows, |database| database.join().and_then(|unit| unit.query(&statement, &values)));
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
        let result = self
            .call(&call, rows, |database| database.join().and_then(|unit| unit.execute(&statement, &values)));
        Ok(result.map(Into::into).map_err(Into::into))
    }
}
