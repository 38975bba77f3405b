//! Answers that the SDK has no type for.

use bulkhead_sdk::serde::Serialize;
use bulkhead_sdk::{Created, Json, Reply, Response, Result, Schema, serde_json};

/// An answer that nobody may keep.
#[derive(Debug)]
pub(super) struct NotKept<R>(pub(super) R);

impl<R: Reply> Reply for NotKept<R> {
    const STATUS: u16 = R::STATUS;

    fn schema() -> Option<serde_json::Value> {
        R::schema()
    }

    fn into_response(self) -> Result<Response> {
        Ok(self.0.into_response()?.with_header("cache-control", "no-store"))
    }
}

/// An answer that anybody may keep for a minute.
#[derive(Debug)]
pub(super) struct KeptForAMinute<R>(pub(super) R);

impl<R: Reply> Reply for KeptForAMinute<R> {
    const STATUS: u16 = R::STATUS;

    fn schema() -> Option<serde_json::Value> {
        R::schema()
    }

    fn into_response(self) -> Result<Response> {
        Ok(self.0.into_response()?.with_header("cache-control", "public, max-age=60"))
    }
}

/// The answer of a PUT to a place that may have been empty: 201 where it was, 200 where it was not. Described as 200.
#[derive(Debug)]
pub(super) enum Put<T> {
    /// The place was empty.
    Created(Created<T>),
    /// Something was there before.
    Replaced(Json<T>),
}

impl<T: Serialize + Schema> Reply for Put<T> {
    const STATUS: u16 = 200;

    fn schema() -> Option<serde_json::Value> {
        Some(T::schema())
    }

    fn into_response(self) -> Result<Response> {
        match self {
            Self::Created(created) => created.into_response(),
            Self::Replaced(replaced) => replaced.into_response(),
        }
    }
}
