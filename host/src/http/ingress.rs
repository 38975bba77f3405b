//! The life of a request, from its headers to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bulkhead_runtime::{Answer, Failure, Header, Job, Problem, Request, Surroundings, is_hosts};
use bulkhead_types::limits::{ANSWER_GRACE, BODY_DISCARD_MAX, HEADERS_MAX, PATH_MAX};
use bulkhead_types::{Current, Position, TraceId};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::after::Positions;
use super::body;
use super::compression::{Asked, compressed};
use super::problems::{own, problem_response};
use super::same_key::{self, Keys};
use crate::application::{Application, Routes, Target};
use crate::identity::Identity;
use crate::interface::Interface;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
static POSITION: HeaderName = HeaderName::from_static("bulkhead-position");
static VERSION: HeaderName = HeaderName::from_static("bulkhead-version");

/// What every request needs.
pub(super) struct Ingress {
    surroundings: Arc<Surroundings>,
    routes: Arc<Current<Routes>>,
    identity: Option<Identity>,
    positions: Positions,
    keys: Keys,
    interface: Arc<Current<Interface>>,
    pub(super) stopping: AtomicBool,
}

impl Ingress {
    pub(super) fn new(application: &Application) -> Self {
        let (identity, positions) = (application.take_identity(), Positions::new(application));
        Self {
            surroundings: application.surroundings(),
            routes: application.routes(),
            identity,
            positions,
            keys: Keys::default(),
            interface: application.interface(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(
        &self,
        peer: IpAddr,
        request: http::Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let random = self.surroundings.random.as_ref();
        let given = request.headers().get(&TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace = given.and_then(TraceId::from_traceparent).unwrap_or_else(|| TraceId::new(random));
        let trace_id = trace.to_string();

        let stopping = self.stopping.load(Ordering::Relaxed);
        let interface = self.interface.get();
        let page = interface.page(request.uri().path());
        let mut response = match own(&request, page, stopping, &trace_id) {
            Some(response) => response,
            None => self
                .route(peer, request, &trace_id)
                .await
                .unwrap_or_else(|problem| problem_response(&problem, &trace_id)),
        };
        if let Ok(value) = HeaderValue::try_from(trace.to_traceparent(random)) {
            response.headers_mut().insert(&TRACERESPONSE, value);
        }
        response
    }

    /// Finds the service, reads the body, and waits for the answer. Nobody waits here for a lease or a commit: workers do.
    async fn route(
        &self,
        peer: IpAddr,
        request: http::Request<Incoming>,
        trace_id: &str,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let (mut parts, incoming) = request.into_parts();
        let compression = Asked::take(&mut parts.headers);
        let path = parts.uri.path();
        if path.len() > PATH_MAX {
            return Err(Problem::new(
                414,
                "uri-too-long",
                "The path is too long",
                format!("the path has more than {PATH_MAX} bytes"),
            ));
        }
        let header_bytes: usize =
            parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if header_bytes > HEADERS_MAX {
            return Err(Problem::new(
                431,
                "headers-too-large",
                "The headers are too large",
                format!("the headers have more than {HEADERS_MAX} bytes"),
            ));
        }
        let routes = self.routes.get();
        let (route, target) = routes.find(path).ok_or_else(|| {
            Problem::new(404, "not-found", "Not found", "no service has a route to this path")
        })?;
        let front = target.queues.front();

        let principal = match &self.identity {
            Some(identity) => identity.of(&parts.headers).await,
            None => Ok(None),
        };
        // Read in any case: who is still sending would not get to see the answer.
        let body = body::read(incoming, front.body, BODY_DISCARD_MAX).await;
        let (principal, body) = (principal?, body?);
        // From the last byte of the request on.
        let deadline = Instant::now() + front.request_timeout;
        let positions = self.positions.of(&parts.headers)?;
        let idempotency_key = same_key::key_of(&parts.method, &parts.headers)?;
        self.positions.wait(&target.service, &positions, deadline).await?;
        let subject = principal.as_ref().map_or("", |principal| principal.subject.as_str());
        // Held until the job has its answer, which leaves after the commit: so the next with this key finds it, also when this client goes
        // away meanwhile.
        let held = match &idempotency_key {
            Some(key) => Some(self.keys.hold(&target.service, subject, key, deadline).await?),
            None => None,
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            request: Request {
                method: parts.method.as_str().to_owned(),
                path: path.to_owned(),
                query: parts.uri.query().map(str::to_owned),
                route: route.to_owned(),
                headers: passed_on(&parts.headers),
                body,
                principal,
                peer: peer.to_string(),
                caller: None,
                trace_id: trace_id.to_owned(),
            },
            deadline,
            again: false,
            idempotency_key,
            reply: Box::new(move |outcome| {
                // A client that went away does not undo what was committed.
                let _ = answer.send(outcome);
                drop(held);
            }),
        };
        target.queues.submit(&front, job).map_err(|failure| Problem::from(&failure))?;
        // A job that was taken is answered by its deadline, or when a COMMIT that had begun has ended. One whose reply was dropped
        // had no effect: its service stopped before it, or started its worker anew.
        let patience = tokio::time::timeout_at((deadline + ANSWER_GRACE).into(), answered);
        let outcome = match patience.await {
            Ok(answered) => answered.unwrap_or(Err(Failure::Stopping)),
            Err(_) => Err(Failure::OutcomeUnknown("there was no answer long after the deadline".into())),
        };
        match outcome {
            Ok(answer) => Ok(response(answer, target, compression).await),
            Err(failure) => Err(Problem::from(&failure)),
        }
    }
}

/// The headers that a service gets to see: no credentials, nothing of the connection's, nothing that only the host may say.
fn passed_on(headers: &HeaderMap) -> Vec<Header> {
    headers
        .iter()
        .filter(|(name, _)| !is_hosts(name.as_str()))
        .map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
        .collect()
}

async fn response(answer: Answer, target: &Target, asked: Asked) -> Response<Full<Bytes>> {
    let mut response = compressed(answer.status, answer.headers, answer.body, asked).await;
    response.headers_mut().insert(&VERSION, answer.version);
    if answer.replayed {
        response.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    }
    if let (Some(sequence), Some(log)) = (answer.position, &target.log) {
        let position = Position { service: target.service.to_string(), log: log.to_string(), sequence };
        if let Ok(value) = HeaderValue::try_from(position.to_string()) {
            response.headers_mut().insert(&POSITION, value);
        }
    }
    response
}
