//! `outbox`: events, written in the unit of work.

use bulkhead_store::{NewEvent, PublishError, StatementError};
use bulkhead_types::rfc3339;

use super::transaction::join;
use crate::bindings::bulkhead::service::outbox::{Error, Host};
use crate::handler::State;

impl Host for State {
    fn publish(
        &mut self,
        kind: String,
        subject: String,
        data: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if !self.context.grants.publishes.contains(&kind) {
            return Ok(Err(Error::NotAllowed(format!(
                "the manifest does not let this service publish {kind}: add it to `publishes`"
            ))));
        }
        let surroundings = &self.context.surroundings;
        let now = surroundings.clock.now();
        let mut random = [0; 10];
        surroundings.random.fill(&mut random);
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().to_string();
        let time = rfc3339(now);
        let trace_id = self.running.as_ref().map(|running| running.trace_id.clone()).unwrap_or_default();
        let event = NewEvent {
            id: &id,
            kind: &kind,
            subject: &subject,
            time: &time,
            trace_id: &trace_id,
            data: &data,
        };
        let published = join(self).map_err(PublishError::from).and_then(|unit| unit.publish(&event));
        Ok(published.map(|()| id).map_err(Into::into))
    }

    fn compact(&mut self, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        let compacted = join(self).and_then(|unit| unit.compact(&subject));
        Ok(compacted.map_err(|error| PublishError::from(error).into()))
    }

    fn schedule(
        &mut self,
        _kind: String,
        _subject: String,
        _data: String,
        _due: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        Ok(Err(Error::NotAllowed("this host delivers no events, so a timer would never ring".into())))
    }
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
