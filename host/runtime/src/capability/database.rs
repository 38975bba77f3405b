//! What the capabilities of the database see of a handler's state, and their calls as observers and fault injectors see them.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_store::StatementError;
use bulkhead_types::{ServiceName, TraceId};
use wasmtime::component::HasData;

use crate::database::{ServiceDatabase, UnitOfWork};
use crate::database_call::DatabaseCall;
use crate::fault_injector::FaultInjector;
use crate::host_context::HostContext;
use crate::observer::{Observation, Observed};
use crate::running::{FailedCall, Running};
use crate::spec::ServiceSpec;
use crate::state::{State, WorkerParts};

/// What `snapshot`, `transaction`, `answers` and `outbox` see of a handler's state.
pub(crate) struct DatabaseView<'s> {
    pub(super) service: &'s ServiceName,
    lease_hold: Duration,
    faults: Option<&'s dyn FaultInjector>,
    observed: &'s Observed,
    worker: &'s mut WorkerParts,
    pub(super) running: Option<&'s mut Running>,
}

impl HasData for DatabaseView<'static> {
    type Data<'s> = DatabaseView<'s>;
}

/// A database that the running handler may use.
pub(super) struct Open<'v> {
    pub(super) database: Arc<ServiceDatabase>,
    pub(super) worker: &'v mut WorkerParts,
    pub(super) running: &'v mut Running,
    pub(super) observed: &'v Observed,
}

impl DatabaseView<'_> {
    pub(super) fn of(state: &mut State) -> DatabaseView<'_> {
        let State { spec, host_context, observed, worker, running, .. } = state;
        DatabaseView::with((spec, host_context, observed), worker, running.as_mut())
    }

    pub(super) fn with<'v>(
        (spec, host_context, observed): (&'v ServiceSpec, &'v HostContext, &'v Observed),
        worker: &'v mut WorkerParts,
        running: Option<&'v mut Running>,
    ) -> DatabaseView<'v> {
        DatabaseView {
            service: &spec.name,
            lease_hold: spec.limits.lease_hold,
            faults: host_context.faults.as_deref(),
            observed,
            worker,
            running,
        }
    }

    /// The database, or why the handler may not use one.
    pub(super) fn open(&mut self) -> Result<Open<'_>, StatementError> {
        let Some(database) = self.worker.database.clone() else {
            return Err(StatementError::NotAllowed("the manifest gives this service no database".into()));
        };
        let Some(running) = self.running.as_deref_mut().filter(|running| !running.starting) else {
            return Err(StatementError::NotAllowed(
                "there is no database while a component is loaded".into(),
            ));
        };
        Ok(Open { database, worker: self.worker, running, observed: self.observed })
    }

    /// The trace of the running handler, which may use the database.
    pub(super) fn trace_id(&mut self) -> Result<TraceId, StatementError> {
        // A handler runs for a request or an event.
        self.open()?.running.trace_id.ok_or_else(|| StatementError::NotAllowed("no handler runs".into()))
    }

    /// The unit of work of the running handler. Joins it if the handler has not joined it yet.
    pub(super) fn join(&mut self) -> Result<&mut UnitOfWork, StatementError> {
        let lease_hold = self.lease_hold;
        let Open { database, worker, running, observed } = self.open()?;
        let joined = worker.hold.join(&database.writer, running.deadline, lease_hold, observed)?;
        if joined.until.is_some() {
            running.lease_until = joined.until;
            running.joined = true;
        }
        Ok(joined.unit)
    }

    /// Runs a database call of a guest, unless a test makes it fail. Observers are called, and the last call that failed is remembered.
    /// `rows` says how many rows a result is about.
    pub(super) fn call<T, E: From<StatementError> + Display>(
        &mut self,
        call: &DatabaseCall<'_>,
        rows: impl FnOnce(&T) -> u64,
        run: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let fault = self.faults.and_then(|faults| faults.fail_database(self.service, call));
        let result = match fault {
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
        match self.join() {
            Ok(unit) => unit.meet(error),
            Err(error) => error,
        }
    }
}
