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

    /// The value of the first header of this name, in lower case.
    pub(crate) fn find(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|header| header.name == name)?;
        Some(&header.value)
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets what becomes of the unit of work.
    #[must_use]
    pub fn with_effects(mut self, effects: Effects) -> Self {
        self.effects = effects;
        self
    }
}

/// An answer that is not a problem, for the description.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerDescription {
    /// The status.
    pub status: u16,
    /// The JSON Schema of the body; none if the answer has no body, or one that is not JSON.
    pub schema: Option<Value>,
}

impl AnswerDescription {
    /// An answer with a JSON body.
    pub fn json<T: Schema>(status: u16) -> Self {
        Self { status, schema: Some(T::schema()) }
    }
}

/// What a handler may answer with.
pub trait Reply {
    /// Every answer that it makes, the usual one first.
    fn describe() -> Vec<AnswerDescription>;

    /// The answer.
    fn into_response(self) -> Result<Response>;
}

/// 200 with a JSON body.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Serialize + Schema> Reply for Json<T> {
    fn describe() -> Vec<AnswerDescription> {
        vec![AnswerDescription::json::<T>(200)]
    }

    fn into_response(self) -> Result<Response> {
        json(200, &self.0)
    }
}

/// 201 with a JSON body and the new thing's `Location`.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// The new thing's path. The body is what a GET of this path returns, and the answer has the `ETag` of that.
    pub location: String,
    /// The new thing.
    pub body: T,
}

impl<T: Serialize + Schema> Reply for Created<T> {
    fn describe() -> Vec<AnswerDescription> {
        vec![AnswerDescription::json::<T>(201)]
    }

    fn into_response(self) -> Result<Response> {
        json(201, &self.body).map(|response| response.with_header("location", self.location))
    }
}

/// The answer of a PUT to a place that may have been empty: 201 if it was, 200 if it was not.
#[derive(Debug, Clone)]
pub enum Put<T> {
    /// The place was empty.
    Created(Created<T>),
    /// Something was there before.
    Replaced(Json<T>),
}

impl<T: Serialize + Schema> Reply for Put<T> {
    fn describe() -> Vec<AnswerDescription> {
        vec![AnswerDescription::json::<T>(200), AnswerDescription::json::<T>(201)]
    }

    fn into_response(self) -> Result<Response> {
        match self {
            Self::Created(created) => created.into_response(),
            Self::Replaced(replaced) => replaced.into_response(),
        }
    }
}

/// 204.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl Reply for NoContent {
    fn describe() -> Vec<AnswerDescription> {
        vec![AnswerDescription { status: 204, schema: None }]
    }

    fn into_response(self) -> Result<Response> {
        Ok(Response::new(204))
    }
}

/// An answer that the handler builds itself: described as 200 without a schema.
impl Reply for Response {
    fn describe() -> Vec<AnswerDescription> {
        vec![AnswerDescription { status: 200, schema: None }]
    }

    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}

fn json<T: Serialize>(status: u16, body: &T) -> Result<Response> {
    // Most single answers fit in this, so that writing them does not grow the buffer step by step.
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body)
        .map_err(|error| Problem::internal(format!("the answer cannot be written as JSON: {error}")))?;
    Ok(Response::new(status).with_header("content-type", "application/json").with_body(bytes))
}
