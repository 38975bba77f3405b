//! Events: what a service publishes and takes.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::{PublishError, Transaction};
use crate::sql::Error;
use crate::time::Timestamp;
use crate::wit::bulkhead::service::types;
pub use crate::wit::exports::bulkhead::service::event_handler::HandleError;

/// An event's payload.
pub trait Event: Serialize + DeserializeOwned {
    /// Begins with the name of the service that publishes it: `product.changed`.
    const TYPE: &'static str;

    /// The entity that it is about: the key that events are kept in order by. 1 to 255 bytes.
    fn subject(&self) -> Cow<'_, str>;
}

/// An event that has arrived.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// A UUIDv7, the same in every attempt.
    pub id: String,
    /// The service that published it.
    pub source: String,
    /// When it was published; none where the time is not RFC 3339.
    pub time: Option<Timestamp>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The payload.
    pub event: E,
}

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
            let types::Event { id, source, time, attempt, .. } = event;
            handler(
                Received { id, source, time: time.parse().ok(), attempt, event: payload },
                Transaction(()),
            )
        };
        Self { event_type: E::TYPE, handle: Box::new(handle) }
    }
}

/// Statements that are wrong are wrong the next time too; everything else may be better then, also a constraint, where what it
/// refers to has not arrived yet.
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

impl From<PublishError> for HandleError {
    fn from(PublishError(error): PublishError) -> Self {
        HandleError::Retry(format!("publishing failed: {error}"))
    }
}
