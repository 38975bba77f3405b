//! `outbox`: events, written in the unit of work.

use std::sync::Arc;

use bulkhead_store::{NewEvent, PublishError, StatementError, Timers};
use bulkhead_types::rfc3339;
use bulkhead_types::{Subject, TraceId};

use super::transaction::join;
use crate::bindings::bulkhead::service::outbox::{Error, Host};
use crate::database::UnitOfWork;
use crate::database_call::DatabaseCall;
use crate::state::State;

impl Host for State {
    fn publish(
        &mut self,
        kind: String,
        subject: String,
        data: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if !self.spec.grants.publishes.contains(&kind) {
            return Ok(Err(Error::NotAllowed(format!(
                "the manifest does not let this service publish {kind}: add it to `publishes`"
            ))));
        }
        let subject = Subject::from(subject);
        let call = DatabaseCall::Publish { kind: &kind, subject: &subject, data: &data };
        let written = self.database_call(
            &call,
            |_| 1,
            |state| write(state, &kind, &subject, &data, |unit, event| unit.append(event).map(drop)),
        );
        Ok(written.map_err(Into::into))
    }

    fn erase(&mut self, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        let subject = Subject::from(subject);
        let call = DatabaseCall::Erase { subject: &subject };
        let rows = |erased: &u64| *erased;
        let erased =
            self.database_call(&call, rows, |state| join(state).and_then(|unit| unit.erase(&subject)));
        Ok(erased.map_err(|error| PublishError::from(error).into()))
    }

    fn schedule(
        &mut self,
        kind: String,
        subject: String,
        data: String,
        due: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if let Err(error) = self.may_set(&kind) {
            return Ok(Err(error));
        }
        let Some(time) = bulkhead_types::from_rfc3339(&due) else {
            return Ok(Err(Error::Invalid(format!("{due:?} is no time: write RFC 3339, in UTC"))));
        };
        let subject = Subject::from(subject);
        let call = DatabaseCall::Schedule { kind: &kind, subject: &subject, data: &data, due: &due };
        let written = self.database_call(
            &call,
            |_| 1,
            |state| {
                // What counts is how far ahead the time is now, by either clock. The wait for the lease is not part of it.
                let by_database = state.database()?.database.database.time();
                let now = state.host_context.clock.now();
                let due = (by_database + time).saturating_sub(now);
                write(state, &kind, &subject, &data, |unit, event| unit.schedule(event, due))
            },
        );
        Ok(written.map_err(Into::into))
    }

    fn cancel(&mut self, id: String) -> wasmtime::Result<Result<bool, Error>> {
        let cancelled = self.cancel_timers(&DatabaseCall::Cancel { id: &id }, Timers::Id(&id));
        Ok(cancelled.map(|count| count > 0).map_err(Into::into))
    }

    fn cancel_all(&mut self, kind: String, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        if let Err(error) = self.may_set(&kind) {
            return Ok(Err(error));
        }
        let subject = Subject::from(subject);
        let call = DatabaseCall::CancelAll { kind: &kind, subject: &subject };
        let cancelled = self.cancel_timers(&call, Timers::Of { kind: &kind, subject: &subject });
        Ok(cancelled.map_err(Into::into))
    }
}

impl State {
    /// Whether the service may have timers of this type.
    fn may_set(&self, kind: &str) -> Result<(), Error> {
        if self.spec.grants.timers.contains(kind) {
            return Ok(());
        }
        Err(Error::NotAllowed(format!(
            "the manifest does not let this service set a timer of the type {kind}: its name begins with the service's own and a dot; \
             add it to `subscribes`, and not to `publishes`"
        )))
    }

    fn cancel_timers(&mut self, call: &DatabaseCall<'_>, timers: Timers<'_>) -> Result<u64, PublishError> {
        let running = self.running.as_ref().and_then(|running| running.timer);
        let cancelled = self.database_call(
            call,
            |count| *count,
            |state| {
                let spec = Arc::clone(&state.spec);
                join(state).and_then(|unit| unit.cancel(&spec.name, timers, running))
            },
        );
        cancelled.map_err(PublishError::from)
    }
}

/// Writes an event in the unit of work, and returns its id.
fn write(
    state: &mut State,
    kind: &str,
    subject: &Subject,
    data: &str,
    write: impl FnOnce(&mut UnitOfWork, &NewEvent<'_>) -> Result<(), PublishError>,
) -> Result<String, PublishError> {
    let host_context = &state.host_context;
    let now = host_context.clock.now();
    let mut random = [0; 10];
    host_context.random.fill(&mut random);
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().to_string();
    let time = rfc3339(now);
    let trace_id = state.running.as_ref().and_then(|running| running.trace_id);
    // A handler runs for a request or an event, and so under its trace.
    let trace_id = trace_id.unwrap_or_else(|| TraceId::new(host_context.random.as_ref()));
    let event = NewEvent { id: &id, kind, subject, time: &time, trace_id, data };
    write(join(state)?, &event)?;
    Ok(id)
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Invalid(reason) => Self::Invalid(reason),
            PublishError::Statement(StatementError::StorageFull) => Self::StorageFull,
            PublishError::Statement(StatementError::Busy) => Self::Busy,
            PublishError::Statement(StatementError::Aborted(reason)) => Self::Aborted(reason),
            PublishError::Statement(StatementError::NotAllowed(reason)) => Self::NotAllowed(reason),
            PublishError::Statement(other) => Self::Other(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trial::Trial;

    #[test]
    fn timer_of_an_undeclared_type_is_neither_set_nor_cancelled() {
        let trial = Trial::new(Duration::from_secs(60));
        let mut state = trial.state();
        let due = "2027-01-01T00:00:00Z";
        let [kind, subject] = ["taker.rung", "a"].map(str::to_owned);
        let set = state.schedule(kind.clone(), subject.clone(), "{}".into(), due.into()).unwrap();
        let cancelled = state.cancel_all(kind, subject).unwrap();
        for refused in [set.map(drop), cancelled.map(drop)] {
            let Err(Error::NotAllowed(why)) = refused else { panic!("{refused:?}") };
            assert!(why.contains("a timer of the type taker.rung"), "{why}");
        }
    }
}
