//! `answers`: what is kept for idempotency keys, and which subjects it is about.

use bulkhead_types::Subject;

use super::database::DatabaseView;
use crate::bindings::bulkhead::service::answers::Host;
use crate::bindings::bulkhead::service::sql::Error;
use crate::database_call::DatabaseCall;

impl Host for DatabaseView<'_> {
    fn about(&mut self, subject: String) -> wasmtime::Result<Result<(), Error>> {
        let subject = Subject::from(subject);
        let call = DatabaseCall::About { subject: &subject };
        let result =
            self.call(&call, |()| 1, |database| database.join().and_then(|unit| unit.about(&subject)));
        Ok(result.map_err(Into::into))
    }

    fn forget(&mut self, subject: String) -> wasmtime::Result<Result<u64, Error>> {
        let subject = Subject::from(subject);
        let call = DatabaseCall::ForgetAnswers { subject: &subject };
        let forgotten = self.call(
            &call,
            |count: &u64| *count,
            |database| database.join().and_then(|unit| unit.forget_answers(&subject)),
        );
        Ok(forgotten.map_err(Into::into))
    }
}
