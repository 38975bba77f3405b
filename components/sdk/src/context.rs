//! A request on its way to a handler.

use std::fmt;

use crate::database::Reads;
use crate::problem::Result;
use crate::response::Response;
use crate::router::Captures;
pub use crate::wit::bulkhead::service::types::Request;

/// A request on its way to a handler.
#[derive(Debug)]
pub struct Context<'r> {
    /// The request.
    pub request: &'r Request,
    /// The parts of the path that stand for the route's parameters, still percent-encoded.
    pub captures: Captures<'r>,
    pub(crate) routes: &'r dyn Routes,
    /// What a [`Snapshot`](crate::Snapshot) reads from.
    pub(crate) reads: Reads,
}

/// The routes of a service.
pub(crate) trait Routes: fmt::Debug {
    /// The answer of the route's handler.
    fn answer(&self, request: &Request, reads: Reads) -> Result<Response>;
}
