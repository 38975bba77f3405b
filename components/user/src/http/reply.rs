//! Answers that the SDK has no type for.

use bulkhead_sdk::response::AnswerDescription;
use bulkhead_sdk::{Reply, Response, Result};

/// An answer that nobody may keep.
#[derive(Debug)]
pub(super) struct NotKept<R>(pub(super) R);

impl<R: Reply> Reply for NotKept<R> {
    fn describe() -> Vec<AnswerDescription> {
        R::describe()
    }

    fn into_response(self) -> Result<Response> {
        Ok(self.0.into_response()?.with_header("cache-control", "no-store"))
    }
}

/// An answer that anybody may keep for a minute.
#[derive(Debug)]
pub(super) struct KeptForAMinute<R>(pub(super) R);

impl<R: Reply> Reply for KeptForAMinute<R> {
    fn describe() -> Vec<AnswerDescription> {
        R::describe()
    }

    fn into_response(self) -> Result<Response> {
        Ok(self.0.into_response()?.with_header("cache-control", "public, max-age=60"))
    }
}
