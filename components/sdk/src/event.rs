//! Events: what a service publishes and consumes.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::time::Timestamp;
pub use crate::wit::exports::bulkhead::service::event_handler::HandleError;

/// An event's payload.
pub trait Event: Serialize + DeserializeOwned {
    /// Begins with the name of the service that publishes it: `product.changed`.
    const TYPE: &'static str;

    /// The entity that the event is about: events of one entity are kept in order. 1 to 255 bytes.
    fn subject(&self) -> Cow<'_, str>;
}

/// An event that has arrived.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// A UUIDv7, the same in every attempt.
    pub id: String,
    /// The service that published it.
    pub source: String,
    /// When it was published; none if the time is not RFC 3339.
    pub time: Option<Timestamp>,
    /// The trace of the request or event that it was published under: 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The payload.
    pub event: E,
}
