//! `outbox`: events, written in the unit of work.

use bulkhead_store::{NewEvent, PublishError, StatementError, Timers};
use bulkhead_types::{Clock, Random, Subject, rfc3339};
use wasmtime::component::HasData;

use super::database::DatabaseView;
use crate::bindings::bulkhead::service::outbox::{Error, Host};
use crate::database::UnitOfWork;
use crate::database_call::DatabaseCall;
use crate::spec::Grants;
use crate::state::State;

/// What `outbox` sees of a handler's state.
pub(crate) struct OutboxView<'s> {
    database: DatabaseView<'s>,
    grants: &'s Grants,
    clock: &'s dyn Clock,
    random: &'s dyn Random,
}

impl HasData for OutboxView<'static> {
    type Data<'s> = OutboxView<'s>;
}

impl OutboxView<'_> {
    pub(crate) fn of(state: &mut State) -> OutboxView<'_> {
        let State { spec, host_context, observed, worker, running, .. } = state;
        OutboxView {
            database: DatabaseView::with((spec, host_context, observed), worker, running.as_mut()),
            grants: &spec.grants,
            clock: host_context.clock.as_ref(),
            random: host_context.random.as_ref(),
        }
    }
}

impl Host for OutboxView<'_> {
    fn publish(
        &mut self,
        kind: String,
        subject: String,
        data: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if !self.grants.publishes.contains(&kind) {
            return Ok(Err(Error::NotAllowed(format!(
                "the manifest does not let this service publish {kind}: add it to `publishes`"
            ))));
        }
        let subject = Subject::from(subject);
        let call = DatabaseCall::Publish { kind: &kind, subject: &subject, data: &data };
        let (clock, random) = (self.clock, self.random);
        let written = self.database.call(
            &call,
            |_| 1,
            |database| {
                write(database, (clock, random), (&kind, &subject, &data), |unit, event| {
                    unit.append(event).map(drop)
                })
            },
        );
        Ok(written.map_err(Into::into))
    }

    fn erase(&mut self, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        let subject = Subject::from(subject);
        let call = DatabaseCall::Erase { subject: &subject };
        let rows = |erased: &u64| *erased;
        let erased =
            self.database.call(&call, rows, |database| database.join().and_then(|unit| unit.erase(&subject)));
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
        let (clock, random) = (self.clock, self.random);
        let written = self.database.call(
            &call,
            |_| 1,
            |database| {
                // What counts is how far ahead the time is now, by either clock. The wait for the lease is not part of it.
                let by_database = database.open()?.database.database.time();
                let due = (by_database + time).saturating_sub(clock.now());
                write(database, (clock, random), (&kind, &subject, &data), |unit, event| {
                    unit.schedule(event, due)
                })
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

impl OutboxView<'_> {
    /// Whether the service may have timers of this type.
    fn may_set(&self, kind: &str) -> Result<(), Error> {
        if self.grants.timers.contains(kind) {
            return Ok(());
        }
        Err(Error::NotAllowed(format!(
            "the manifest does not let this service set a timer of the type {kind}: its name begins with the service's own and a dot; \
             add it to `subscribes`, and not to `publishes`"
        )))
    }

    fn cancel_timers(&mut self, call: &DatabaseCall<'_>, timers: Timers<'_>) -> Result<u64, PublishError> {
        let running = self.database.running.as_ref().and_then(|running| running.timer);
        let service = self.database.service;
        let cancelled = self.database.call(
            call,
            |count| *count,
            |database| database.join().and_then(|unit| unit.cancel(service, timers, running)),
        );
        cancelled.map_err(PublishError::from)
    }
}

/// Writes an event in the unit of work, under the trace of the running handler, and returns its id.
fn write(
    database: &mut DatabaseView<'_>,
    (clock, random): (&dyn Clock, &dyn Random),
    (kind, subject, data): (&str, &Subject, &str),
    write: impl FnOnce(&mut UnitOfWork, &NewEvent<'_>) -> Result<(), PublishError>,
) -> Result<String, PublishError> {
    let now = clock.now();
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid().to_string();
    let time = rfc3339(now);
    let trace_id = database.trace_id()?;
    let event = NewEvent { id: &id, kind, subject, time: &time, trace_id, data };
    write(database.join()?, &event)?;
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
        let mut view = OutboxView::of(&mut state);
        let due = "2027-01-01T00:00:00Z";
        let [kind, subject] = ["taker.rung", "a"].map(str::to_owned);
        let set = view.schedule(kind.clone(), subject.clone(), "{}".into(), due.into()).unwrap();
        let cancelled = view.cancel_all(kind, subject).unwrap();
        for refused in [set.map(drop), cancelled.map(drop)] {
            let Err(Error::NotAllowed(why)) = refused else { panic!("{refused:?}") };
            assert!(why.contains("a timer of the type taker.rung"), "{why}");
        }
    }
}
