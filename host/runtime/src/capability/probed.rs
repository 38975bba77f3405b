//! A guest's database calls, as a probe sees them.

use std::fmt::Display;
use std::sync::Arc;

use bulkhead_store::StatementError;

use super::transaction::join;
use crate::probe::DatabaseCall;
use crate::running::FailedCall;
use crate::state::State;

impl State {
    /// Runs a database call of a guest. The probe sees it if there is one, and the last call that failed is remembered. `rows` says how
    /// many rows a result is about.
    pub(crate) fn database_call<T, E: From<StatementError> + Display>(
        &mut self,
        call: &DatabaseCall<'_>,
        rows: impl FnOnce(&T) -> u64,
        run: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let result = self.probed_call(call, rows, run);
        if let (Err(error), Some(running)) = (&result, &mut self.running) {
            running.failed_call = Some(FailedCall::new(call, error, running.began.elapsed()));
        }
        result
    }

    fn probed_call<T, E: From<StatementError> + Display>(
        &mut self,
        call: &DatabaseCall<'_>,
        rows: impl FnOnce(&T) -> u64,
        run: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(probe) = self.host_context.probe.clone() else { return run(self) };
        let spec = Arc::clone(&self.spec);
        let result = match probe.before_database(&spec.name, call) {
            None => run(self),
            Some(error) => Err(self.meet(call, error).into()),
        };
        let told = match &result {
            Ok(value) => Ok(rows(value)),
            Err(error) => Err(error as &dyn Display),
        };
        probe.after_database(&spec.name, call, told);
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
