//! Answers.

use serde::Serialize;
use serde_json::Value;

use crate::problem::{Problem, Result};
use crate::value::Schema;
use crate::wit::bulkhead::service::types::Header;
pub use crate::wit::bulkhead::service::types::{Effects, Response};

impl Response {
    /// An answer without headers and body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), effects: Effects::ByStatus }
    }

    /// Adds a header. The name is in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Says what becomes of the unit of work.
    #[must_use]
    pub fn with_effects(mut self, effects: Effects) -> Self {
        self.effects = effects;
        self
    }
}

/// What a handler may answer with.
pub trait Reply {
    /// The status, for the description.
    const STATUS: u16;

    /// The schema of the body, for the description; none where there is none.
    fn schema() -> Option<Value>;

    /// The answer.
    fn into_response(self) -> Result<Response>;
}

/// 200 with a JSON body.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Serialize + Schema> Reply for Json<T> {
    const STATUS: u16 = 200;

    fn schema() -> Option<Value> {
        Some(T::schema())
    }

    fn into_response(self) -> Result<Response> {
        json(200, &self.0)
    }
}

/// 201 with a JSON body and the new thing's `Location`.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// The new thing's path.
    pub location: String,
    /// The new thing.
    pub body: T,
}

impl<T: Serialize + Schema> Reply for Created<T> {
    const STATUS: u16 = 201;

    fn schema() -> Option<Value> {
        Some(T::schema())
    }

    fn into_response(self) -> Result<Response> {
        json(201, &self.body).map(|response| response.with_header("location", self.location))
    }
}

/// 204.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl Reply for NoContent {
    const STATUS: u16 = 204;

    fn schema() -> Option<Value> {
        None
    }

    fn into_response(self) -> Result<Response> {
        Ok(Response::new(204))
    }
}

/// An answer put together by hand: described as 200 without a schema.
impl Reply for Response {
    const STATUS: u16 = 200;

    fn schema() -> Option<Value> {
        None
    }

    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}

fn json<T: Serialize>(status: u16, body: &T) -> Result<Response> {
    // Most single answers fit, so that writing them does not grow the buffer step by step.
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body)
        .map_err(|error| Problem::internal(format!("the answer cannot be written as JSON: {error}")))?;
    Ok(Response::new(status).with_header("content-type", "application/json").with_body(bytes))
}
