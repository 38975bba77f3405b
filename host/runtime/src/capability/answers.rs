//! `answers`: what is kept for idempotency keys, and which subjects it is about.

use bulkhead_types::Subject;

use super::transaction::join;
use crate::bindings::bulkhead::service::answers::Host;
use crate::bindings::bulkhead::service::sql::Error;
use crate::database_call::DatabaseCall;
use crate::state::State;

impl Host for State {
    fn about(&mut self, subject: String) -> wasmtime::Result<Result<(), Error>> {
        let subject = Subject::from(subject);
        let call = DatabaseCall::About { subject: &subject };
        let result =
            self.database_call(&call, |()| 1, |state| join(state).and_then(|unit| unit.about(&subject)));
        Ok(result.map_err(Into::into))
    }

    fn forget(&mut self, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        let subject = Subject::from(subject);
        let call = DatabaseCall::ForgetAnswers { subject: &subject };
        let forgotten = self.database_call(
            &call,
            |count: &u64| *count,
            |state| join(state).and_then(|unit| unit.forget_answers(&subject)),
        );
        Ok(forgotten.map_err(Into::into))
    }
}
