//! The trait for answering the requests of a listener.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

/// A future answer.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// Answers the requests of a listener.
pub(crate) trait Answer: Send + Sync {
    /// Answers a request from a client at this address.
    fn answer(self: Arc<Self>, peer: IpAddr, request: Request<Incoming>) -> Answering;

    /// The answer to send when the HTTP library itself answers a client at this address with a status.
    fn own_answer(&self, peer: IpAddr, status: StatusCode) -> Option<Response<Full<Bytes>>>;
}
