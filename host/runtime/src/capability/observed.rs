//! A guest's database calls, as observers and fault injectors see them.

use std::fmt::Display;

use bulkhead_store::StatementError;

use super::transaction::join;
use crate::database_call::DatabaseCall;
use crate::observer::Observation;
use crate::running::FailedCall;
use crate::state::State;

impl State {
    /// Runs a database call of a guest, unless a test makes it fail. Observers are called, and the last call that failed is remembered.
    /// `rows` says how many rows a result is about.
    pub(crate) fn database_call<T, E: From<StatementError> + Display>(
        &mut self,
        call: &DatabaseCall<'_>,
        rows: impl FnOnce(&T) -> u64,
        run: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let fault = self.host_context.faults.as_ref();
        let result = match fault.and_then(|faults| faults.fail_database(&self.spec.name, call)) {
            None => run(self),
            Some(error) => Err(self.meet(call, error).into()),
        };
        let observed_result = match &result {
            Ok(value) => Ok(rows(value)),
            Err(error) => Err(error as &dyn Display),
        };
        self.observed.notify(&Observation::DatabaseCalled { call, result: observed_result });
        if let (Err(error), Some(running)) = (&result, &mut self.running) {
            running.failed_call = Some(FailedCall::new(call, error, running.began.elapsed()));
        }
        result
    }

    /// Makes the handler get `error`.
    fn meet(&mut self, call: &DatabaseCall<'_>, error: StatementError) -> StatementError {
        let reads = matches!(call, DatabaseCall::Statement { function: "snapshot.query", .. });
        let stays = matches!(error, StatementError::Busy | StatementError::Constraint(_));
        if reads || stays {
            return error;
        }
        match join(self) {
            Ok(unit) => unit.meet(error),
            Err(error) => error,
        }
    }
}
