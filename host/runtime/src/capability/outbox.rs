//! `outbox`: events, written in the unit of work.

use bulkhead_store::{NewEvent, PublishError, StatementError, UnitOfWork};
use bulkhead_types::rfc3339;

use super::transaction::join;
use crate::bindings::bulkhead::service::outbox::{Error, Host};
use crate::handler::State;
use crate::hold::Member;
use crate::probe::DatabaseCall;

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
        let call = DatabaseCall::Publish { kind: &kind, subject: &subject, data: &data };
        let written = self.database_call(
            &call,
            |_| 1,
            |state| write(state, &kind, &subject, &data, |unit, event| unit.publish(event)),
        );
        Ok(written.map_err(Into::into))
    }

    fn compact(&mut self, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        let call = DatabaseCall::Compact { subject: &subject };
        let rows = |compacted: &u64| *compacted;
        let compacted =
            self.database_call(&call, rows, |state| join(state).and_then(|unit| unit.compact(&subject)));
        Ok(compacted.map_err(|error| PublishError::from(error).into()))
    }

    fn schedule(
        &mut self,
        kind: String,
        subject: String,
        data: String,
        due: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        let grants = &self.spec.grants;
        if !grants.timers.contains(&kind) {
            return Ok(Err(Error::NotAllowed(format!(
                "the manifest does not let this service set a timer of the type {kind}: its name begins with the service's own and a \
                 dot; add it to `subscribes`, and not to `publishes`"
            ))));
        }
        let Some(time) = bulkhead_types::from_rfc3339(&due) else {
            return Ok(Err(Error::Invalid(format!("{due:?} is no time: write RFC 3339, in UTC"))));
        };
        let call = DatabaseCall::Schedule { kind: &kind, subject: &subject, data: &data, due: &due };
        let written = self.database_call(
            &call,
            |_| 1,
            |state| {
                // What counts is how far ahead it is: the wall clock may be set meanwhile.
                let now = state.surroundings.clock.now();
                write(state, &kind, &subject, &data, |unit, event| {
                    let due = (unit.time() + time).saturating_sub(now);
                    unit.schedule(event, due)
                })
            },
        );
        Ok(written.map_err(Into::into))
    }
}

/// Writes an event in the unit of work, and gives its id.
fn write(
    state: &mut State,
    kind: &str,
    subject: &str,
    data: &str,
    write: impl FnOnce(&mut UnitOfWork<Member>, &NewEvent<'_>) -> Result<(), PublishError>,
) -> Result<String, PublishError> {
    let surroundings = &state.surroundings;
    let now = surroundings.clock.now();
    let mut random = [0; 10];
    surroundings.random.fill(&mut random);
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().to_string();
    let time = rfc3339(now);
    let trace_id = state.running.as_ref().map(|running| running.trace_id.clone()).unwrap_or_default();
    let event = NewEvent { id: &id, kind, subject, time: &time, trace_id: &trace_id, data };
    write(join(state)?, &event)?;
    Ok(id)
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Invalid(reason) => Self::Invalid(reason),
            PublishError::Statement(StatementError::StorageFull) => Self::StorageFull,
            PublishError::Statement(StatementError::Busy) => Self::Busy,
            PublishError::Statement(StatementError::Lost(reason)) => Self::Lost(reason),
            PublishError::Statement(StatementError::NotAllowed(reason)) => Self::NotAllowed(reason),
            PublishError::Statement(other) => Self::Other(other.to_string()),
        }
    }
}
