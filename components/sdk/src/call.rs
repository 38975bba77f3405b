//! Calling another service of the application. Call first, transact last: a call while the writer lease is held is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoding::percent_encode;
use crate::problem::{Problem, Result};
use crate::wit::bulkhead::service::services;
pub use crate::wit::bulkhead::service::services::Error as CallError;
use crate::wit::bulkhead::service::types::Header;

/// A request to another service. The host adds the trace, the remaining deadline and the original request's principal.
#[derive(Debug, Clone)]
pub struct Call(pub services::OutgoingRequest);

impl Call {
    /// A request with a method in upper case and a path that begins with `/`, percent-encoded.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self(services::OutgoingRequest {
            method: method.to_owned(),
            path: path.into(),
            query: None,
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        let query = self.0.query.get_or_insert_default();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&percent_encode(name));
        query.push('=');
        query.push_str(&percent_encode(value));
        self
    }

    /// Adds a header. The name is in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.0.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// Sets a JSON body.
    pub fn with_json<T: Serialize>(mut self, body: &T) -> Result<Self> {
        self.0.body = serde_json::to_vec(body).map_err(|error| {
            Problem::internal(format!("the body of a call cannot be written as JSON: {error}"))
        })?;
        Ok(self.with_header("content-type", "application/json"))
    }

    /// Calls the service, and waits for its answer. An answer of any status is a success.
    pub fn send(&self, service: &str) -> core::result::Result<Answer, CallError> {
        services::call(service, &self.0).map(Answer)
    }
}

/// What a service answered.
#[derive(Debug, Clone)]
pub struct Answer(pub services::IncomingResponse);

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The body, read as JSON. An error is the fault of the called service: 500, and a log line says why.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0.body).map_err(|error| {
            Problem::internal(format!("a called service's answer is not as expected: {error}"))
        })
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::QueueFull => Problem::unavailable("a service that this one needs is busy"),
            CallError::Unavailable(why) => Problem::unavailable("a service that this one needs is not there")
                .for_the_operator(format!("a called service is not there: {why}")),
            CallError::DeadlineExceeded => Problem::deadline_exceeded(),
            error => Problem::internal(format!("a call failed: {error}")),
        }
    }
}
