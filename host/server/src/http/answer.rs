//! What answers the requests that reach a listener.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

/// An answer, later.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// What answers the requests that reach a listener.
pub(crate) trait Answer: Send + Sync {
    /// Answers a request of a client at this address.
    fn answer(self: Arc<Self>, peer: IpAddr, request: Request<Incoming>) -> Answering;

    /// What goes out with a status that the HTTP library answers a client at this address by itself.
    fn own_answer(&self, peer: IpAddr, status: StatusCode) -> Option<Response<Full<Bytes>>>;
}
