//! The life of a request, from its headers to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bulkhead_manifest::AccessLog;
use bulkhead_runtime::{
    Answer, Failure, Header, HostContext, Job, Problem, Request, is_hosts, problem_kinds, supervise,
};
use bulkhead_types::limits::{ANSWER_GRACE, BODY_DISCARD_MAX, HEADERS_MAX, METHOD_SHOWN_BYTES_MAX, PATH_MAX};
use bulkhead_types::{Current, Position, Random, TraceContext, TraceId, own_words};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::access::Visit;
use super::after::Positions;
use super::answer::Answering;
use super::body::RequestBody;
use super::problems::{add_trace, host_failed, own, path_too_long, problem_response, unreadable};
use super::same_key::{self, Keys};
use super::well_formed;
use crate::application::{Application, Routes, Target};
use crate::compression::{Asked, compressed};
use crate::figures::HttpFigures;
use crate::identity::TokenCheck;
use crate::interface::Interface;
use crate::tasks;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
static POSITION: HeaderName = HeaderName::from_static("bulkhead-position");
static VERSION: HeaderName = HeaderName::from_static("bulkhead-version");

/// The state that every request needs.
pub(super) struct Ingress {
    host_context: Arc<HostContext>,
    routes: Arc<Current<Routes>>,
    /// None if everybody is anonymous.
    tokens: Option<TokenCheck>,
    positions: Positions,
    keys: Keys,
    interface: Arc<Current<Interface>>,
    figures: Arc<HttpFigures>,
    /// Whether there is an access log.
    has_log: bool,
    pub(super) stopping: AtomicBool,
}

impl Ingress {
    pub(super) fn new(application: &Application) -> Self {
        Self {
            host_context: application.host_context(),
            routes: application.routes(),
            tokens: application.token_check(),
            positions: Positions::new(application),
            keys: Keys::default(),
            interface: application.interface(),
            figures: application.http_figures(),
            has_log: application.manifest().access_log != Some(AccessLog::Off),
            stopping: AtomicBool::new(false),
        }
    }

    /// Answers one request.
    async fn answered(&self, peer: IpAddr, request: http::Request<Incoming>) -> Response<Full<Bytes>> {
        let context = context_of(request.headers(), self.host_context.random.as_ref());
        let trace_id = context.trace;

        let mut visit = Visit::begin(peer, context, self.has_log);
        let (head, incoming) = request.into_parts();
        visit.method = Some(head.method.clone());
        let mut body = RequestBody::new(&head, incoming);
        let routing = self.route(&mut visit, http::Request::from_parts(head, ()), &mut body, trace_id);
        // Caught here, where the answer still gets its trace, its log line and its place in the metrics.
        let routed = tasks::caught(routing).await.unwrap_or_else(|why| {
            tracing::error!(trace_id = trace_id.to_string(), why, "the host panicked at a request");
            Err(host_failed())
        });
        let mut response = routed.unwrap_or_else(|problem| problem_response(&problem, trace_id));
        body.end(BODY_DISCARD_MAX, &mut response).await;
        add_trace(&mut response, &context);
        self.record(visit, &response);
        response
    }

    /// Counts an answer, and writes its access log line.
    fn record(&self, visit: Visit, response: &Response<Full<Bytes>>) {
        let place = (visit.service.as_ref(), visit.route.as_ref());
        self.figures.answered(visit.method.as_ref(), place, response.status(), visit.duration());
        visit.answered(response);
    }

    /// Finds the service, reads the body, and waits for the answer. Only workers wait for the writer lease or a commit. This code does not.
    ///
    /// The body is read only after all checks of the head have passed: a client that waits for `100 Continue` gets it only then.
    async fn route(
        &self,
        visit: &mut Visit,
        mut request: http::Request<()>,
        body: &mut RequestBody,
        trace_id: TraceId,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let checked = well_formed::check(&mut request);
        visit.asks_for(request.uri().path());
        checked?;
        let stopping = self.stopping.load(Ordering::Relaxed);
        let interface = self.interface.get();
        let page = interface.page(request.uri().path());
        if let Some(response) = own(&request, page, stopping, trace_id) {
            return Ok(response);
        }
        let (mut parts, ()) = request.into_parts();
        let compression = Asked::take(&mut parts.headers);
        let path = parts.uri.path();
        if path.len() > PATH_MAX {
            return Err(path_too_long());
        }
        let header_bytes: usize =
            parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if header_bytes > HEADERS_MAX {
            return Err(Problem::new(
                problem_kinds::HEADERS_TOO_LARGE,
                format!("the headers have more than {HEADERS_MAX} bytes"),
            ));
        }
        let routes = self.routes.get();
        let (route, target) = routes
            .find(path)
            .ok_or_else(|| Problem::new(problem_kinds::NOT_FOUND, "no service has a route to this path"))?;
        let admission_limits = target.queues.admission_limits();
        let described = admission_limits.described_route(parts.method.as_str(), path);
        visit.service = Some(target.service.clone());
        visit.route = Some(described.unwrap_or_else(|| Arc::clone(route)));
        let _active = self.figures.begin(&target.service);
        supervise::point("request");

        let principal = match &self.tokens {
            Some(tokens) => tokens.of(&parts.headers).await?,
            None => None,
        };
        let positions = self.positions.of(&parts.headers)?;
        let idempotency_key = same_key::key_of(&parts.method, &parts.headers)?;
        let body = body.read(admission_limits.body, BODY_DISCARD_MAX).await?;
        // The deadline counts from the last byte of the request.
        let deadline = Instant::now() + admission_limits.request_timeout;
        self.positions.wait(&target.service, &positions, deadline).await?;
        // Held until the job has its answer, which is sent after the commit. So the next request with this key finds that answer, even if
        // this client goes away meanwhile.
        let held = match &idempotency_key {
            Some(key) => {
                let subject = principal.as_ref().map_or("", |principal| principal.subject.as_str()).into();
                Some(self.keys.hold(&target.service, &subject, key, deadline).await?)
            }
            None => None,
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            request: Request {
                method: parts.method.as_str().to_owned(),
                path: path.to_owned(),
                query: parts.uri.query().map(str::to_owned),
                route: route.to_string(),
                headers: passed_on(&parts.headers),
                body,
                principal,
                peer: visit.peer().to_string(),
                caller: None,
                trace_id: trace_id.to_string(),
            },
            trace_id,
            deadline,
            again: false,
            logged: false,
            idempotency_key,
            waited: visit.waited(),
            reply: Box::new(move |outcome| {
                // The commit stands even if the client went away.
                let _ = answer.send(outcome);
                drop(held);
            }),
        };
        target.queues.submit(&admission_limits, job).map_err(|failure| Problem::from(&failure))?;
        // An accepted job gets its answer by its deadline, or when a COMMIT that has begun ends. A job whose reply was dropped had no
        // effect: its service stopped before the job ran, or restarted its worker.
        let patience = tokio::time::timeout_at((deadline + ANSWER_GRACE).into(), answered);
        let outcome = match patience.await {
            Ok(answered) => answered.unwrap_or(Err(Failure::Stopping)),
            Err(_) => {
                let failure = Failure::OutcomeUnknown("there was no answer long after the deadline".into());
                // No worker has reported the job: it still runs, or waits for a commit.
                let service = &*target.service;
                let method = own_words(parts.method.as_str(), METHOD_SHOWN_BYTES_MAX);
                tracing::error!(service, trace_id = trace_id.to_string(), method, path = %route, %failure, "a request failed");
                Err(failure)
            }
        };
        match outcome {
            Ok(answer) => Ok(response(answer, target, compression).await),
            Err(failure) => Err(Problem::from(&failure)),
        }
    }
}

impl super::Answer for Ingress {
    fn answer(self: Arc<Self>, peer: IpAddr, request: http::Request<Incoming>) -> Answering {
        Box::pin(async move { self.answered(peer, request).await })
    }

    fn own_answer(&self, peer: IpAddr, status: StatusCode) -> Option<Response<Full<Bytes>>> {
        let context = TraceContext::new(self.host_context.random.as_ref());
        let mut response = problem_response(&unreadable(status)?, context.trace);
        add_trace(&mut response, &context);
        self.record(Visit::begin(peer, context, self.has_log), &response);
        Some(response)
    }
}

/// A new span in the trace that a request names, or in a new trace. A request with two `traceparent` headers belongs to neither trace (W3C
/// Trace Context, section 3.2.1 allows one).
fn context_of(headers: &HeaderMap, random: &dyn Random) -> TraceContext {
    let mut given = headers.get_all(&TRACEPARENT).iter();
    let continued = match (given.next(), given.next()) {
        (Some(only), None) => {
            only.to_str().ok().and_then(|header| TraceContext::from_traceparent(header, random))
        }
        _ => None,
    };
    continued.unwrap_or_else(|| TraceContext::new(random))
}

/// The headers that a service gets. Credentials, the connection's own headers, and headers that only the host may set are removed.
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
        let position = Position { service: target.service.clone(), log: log.to_string(), sequence };
        if let Ok(value) = HeaderValue::try_from(position.to_string()) {
            response.headers_mut().insert(&POSITION, value);
        }
    }
    response
}
