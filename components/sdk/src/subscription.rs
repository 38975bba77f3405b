//! Handlers of events, and what their errors mean: whether the event is tried again.

use crate::call::CallError;
use crate::database::{PublishError, Transaction};
use crate::event::{Event, HandleError, Received};
use crate::problem::Problem;
use crate::sql::Error;
use crate::wit::bulkhead::service::{outbox, types};

/// A handler of events of one type, by its type and its function.
pub(crate) struct Subscription {
    pub(crate) event_type: &'static str,
    pub(crate) handle: Box<dyn Fn(types::Event) -> Result<(), HandleError> + Send + Sync>,
}

impl Subscription {
    pub(crate) fn new<E: Event + 'static>(
        handler: impl Fn(Received<E>, Transaction) -> Result<(), HandleError> + Send + Sync + 'static,
    ) -> Self {
        let handle = move |event: types::Event| {
            let payload = serde_json::from_str(&event.data).map_err(|error| {
                HandleError::Reject(format!("the data are not what this type has: {error}"))
            })?;
            let types::Event { id, source, time, trace_id, attempt, .. } = event;
            handler(
                Received { id, source, time: time.parse().ok(), trace_id, attempt, event: payload },
                Transaction(()),
            )
        };
        Self { event_type: E::TYPE, handle: Box::new(handle) }
    }
}

/// A statement that is wrong is wrong the next time too. Everything else may work then, also after a constraint error, if what the
/// constraint refers to has not arrived yet.
impl From<Error> for HandleError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidStatement(_) | Error::InvalidValue(_) | Error::NotAllowed(_) => {
                HandleError::Reject(format!("SQL failed: {error}"))
            }
            error => HandleError::Retry(format!("SQL failed: {error}")),
        }
    }
}

/// An event that is wrong, or that the manifest does not grant, fails the next time too.
impl From<PublishError> for HandleError {
    fn from(failed: PublishError) -> Self {
        let text = failed.to_string();
        match failed.error {
            outbox::Error::NotAllowed(_) | outbox::Error::Invalid(_) => HandleError::Reject(text),
            _ => HandleError::Retry(text),
        }
    }
}

/// A call that is wrong, or that the manifest does not grant, fails the next time too.
impl From<CallError> for HandleError {
    fn from(error: CallError) -> Self {
        let text = format!("a call failed: {error}");
        match error {
            CallError::NotAllowed(_) | CallError::LeaseHeld | CallError::InvalidRequest(_) => {
                HandleError::Reject(text)
            }
            _ => HandleError::Retry(text),
        }
    }
}

/// What a client would have to change (4xx) is wrong the next time too. What failed in the service may work then.
impl From<Problem> for HandleError {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string();
        if (400..500).contains(&problem.status()) {
            HandleError::Reject(text)
        } else {
            HandleError::Retry(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_rejected(error: impl Into<HandleError>) -> bool {
        matches!(error.into(), HandleError::Reject(_))
    }

    #[test]
    fn permanent_errors_are_rejected_and_all_others_are_retried() {
        let text = String::new;
        for (error, rejected) in [
            (outbox::Error::NotAllowed(text()), true),
            (outbox::Error::Invalid(text()), true),
            (outbox::Error::StorageFull, false),
            (outbox::Error::Busy, false),
            (outbox::Error::Aborted(text()), false),
            (outbox::Error::Other(text()), false),
        ] {
            assert_eq!(is_rejected(PublishError::from(error.clone())), rejected, "{error}");
        }
        for (error, rejected) in [
            (CallError::NotAllowed(text()), true),
            (CallError::LeaseHeld, true),
            (CallError::InvalidRequest(text()), true),
            (CallError::QueueFull, false),
            (CallError::DeadlineExceeded, false),
            (CallError::Unavailable(text()), false),
            (CallError::Other(text()), false),
        ] {
            assert_eq!(is_rejected(error.clone()), rejected, "{error}");
        }
        for (problem, rejected) in [
            (Problem::not_found("no"), true),
            (Problem::conflict("no"), true),
            (Problem::internal("no"), false),
            (Problem::unavailable("no"), false),
        ] {
            assert_eq!(is_rejected(problem.clone()), rejected, "{problem}");
        }
    }

    #[test]
    fn a_failed_event_reports_its_cause_to_the_operator() {
        let problem = Problem::internal("no such table: note");
        let HandleError::Retry(text) = problem.into() else { panic!("it was rejected") };
        assert!(text.starts_with("internal: ") && text.ends_with("no such table: note"), "{text}");
        let HandleError::Reject(text) = Problem::invalid_field("name", "is missing").into() else {
            panic!("it is to be tried again")
        };
        assert!(text.ends_with("name is missing"), "{text}");
    }
}
