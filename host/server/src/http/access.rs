//! The access log: one line for each request, written when its answer is about to be sent. A client finds the trace id and the span id
//! of the line in the `traceresponse` header.
//!
//! A line has no query (it may contain search terms), no header except the trace, no body, no token and no principal. It has the path, with
//! the ids in it, and the client's address: in many countries this is personal data. A line without a status means that the client went
//! away before the answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_runtime::Waited;
use bulkhead_types::limits::{METHOD_SHOWN_BYTES_MAX, PATH_MAX};
use bulkhead_types::{ServiceName, TraceContext, own_words};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use hyper::body::Body as _;

use crate::telemetry::ACCESS_TARGET;

/// What is known of a request. If the client goes away, this is dropped before the answer, and still writes its line: the effects of the
/// request remain.
pub(super) struct Visit {
    began: Instant,
    peer: IpAddr,
    context: TraceContext,
    /// Whether there is an access log.
    has_log: bool,
    is_answered: bool,
    /// None if the request's head could not be read.
    pub(super) method: Option<Method>,
    /// The path in its one normal spelling, if it has one.
    path: String,
    pub(super) service: Option<ServiceName>,
    /// The route as the component describes it, or else as the manifest has it.
    pub(super) route: Option<Arc<str>>,
    waited: Waited,
}

impl Visit {
    pub(super) fn begin(peer: IpAddr, context: TraceContext, has_log: bool) -> Self {
        Self {
            began: Instant::now(),
            peer,
            context,
            has_log,
            is_answered: false,
            method: None,
            path: String::new(),
            service: None,
            route: None,
            waited: if has_log { Waited::new() } else { Waited::default() },
        }
    }

    /// The client's address.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Notes the requested path, up to the maximum length of a request's path. The path of a refused request may have any characters.
    pub(super) fn asks_for(&mut self, path: &str) {
        if self.has_log {
            self.path = own_words(path, PATH_MAX);
        }
    }

    /// Records how long the request waits in a queue.
    pub(super) fn waited(&self) -> Waited {
        self.waited.clone()
    }

    /// The time since the request arrived.
    pub(super) fn duration(&self) -> Duration {
        self.began.elapsed()
    }

    /// The request has its answer.
    pub(super) fn answered(mut self, response: &Response<Full<Bytes>>) {
        self.is_answered = true;
        self.log(Some(response));
    }

    fn log(&self, response: Option<&Response<Full<Bytes>>>) {
        if !self.has_log {
            return;
        }
        // The answer to a HEAD request still has the body of its GET here. Hyper removes it later.
        let body = response.map(Response::body).filter(|_| self.method != Some(Method::HEAD));
        let version = response.and_then(|response| response.headers().get("bulkhead-version"));
        let TraceContext { trace, span, parent } = self.context;
        tracing::info!(
            target: ACCESS_TARGET,
            trace_id = trace.to_string(),
            span_id = span.to_string(),
            parent_id = parent.map(|parent| parent.to_string()),
            client = %self.peer,
            method = self.method.as_ref().map(|method| own_words(method.as_str(), METHOD_SHOWN_BYTES_MAX)),
            path = self.path,
            status = response.map(|response| response.status().as_u16()),
            bytes = body.and_then(|body| body.size_hint().exact()),
            milliseconds = milliseconds(self.duration()),
            queued_milliseconds = self.waited.measured().map(milliseconds),
            service = self.service.as_deref(),
            route = self.route.as_deref(),
            version = version.and_then(|version| version.to_str().ok()),
        );
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_answered {
            self.log(None);
        }
    }
}

/// Rounds to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    let microseconds = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(microseconds) / 1e3
}
