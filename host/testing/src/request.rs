//! A request, as it comes to the service from a client.

use std::borrow::Borrow;
use std::fmt::Display;
use std::rc::Rc;

use bulkhead_runtime::{
    Failure, Header, Job, Principal, Problem, Request as Sent, Waited, is_hosts, normal_path, normal_query,
};
use bulkhead_types::TraceId;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::answer::Answer;
use crate::fail::or_fail;
use crate::fault::Fault;
use crate::world::World;

/// A request that is being built. Nothing happens until [`Request::send`].
#[must_use = "a request is sent by `.send()`"]
pub struct Request {
    world: Rc<World>,
    service: String,
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    principal: Option<Principal>,
    caller: Option<String>,
    peer: String,
    fault: Option<Fault>,
}

impl Request {
    pub(crate) fn new(world: &Rc<World>, service: &str, method: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            world: Rc::clone(world),
            service: service.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            headers: Vec::new(),
            body: Vec::new(),
            principal: None,
            caller: None,
            peer: "127.0.0.1".to_owned(),
            fault: None,
        }
    }

    /// The principal: the subject of a token that the host has checked.
    pub fn principal(mut self, subject: impl Display) -> Self {
        let roles = self.principal.take().map(|principal| principal.roles).unwrap_or_default();
        self.principal = Some(Principal { subject: subject.to_string(), roles, expires_at: None });
        self
    }

    /// Adds a role of the principal.
    #[track_caller]
    pub fn role(mut self, role: &str) -> Self {
        match &mut self.principal {
            Some(principal) => principal.roles.push(role.to_owned()),
            None => panic!("nobody has the role {role}: say .principal(…) before .role(…)"),
        }
        self
    }

    /// When the principal's token expires, in seconds since 1970.
    #[track_caller]
    pub fn expires_at(mut self, seconds: u64) -> Self {
        match &mut self.principal {
            Some(principal) => principal.expires_at = Some(seconds),
            None => panic!("nobody's token ends: say .principal(…) before .expires_at(…)"),
        }
        self
    }

    /// The service that sends the request, for routes that other services call.
    pub fn caller(mut self, service: &str) -> Self {
        self.caller = Some(service.to_owned());
        self
    }

    /// The client's address. The default is 127.0.0.1.
    pub fn peer(mut self, address: &str) -> Self {
        address.clone_into(&mut self.peer);
        self
    }

    /// A JSON body, with its `Content-Type`.
    pub fn json(self, body: impl Borrow<Value>) -> Self {
        self.body(body.borrow().to_string(), "application/json")
    }

    /// A body of any bytes, with its `Content-Type`.
    pub fn body(mut self, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_string()));
        self
    }

    /// Adds a parameter to the query, percent-encoded.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pair = format!("{}={}", encoded(name), encoded(&value.to_string()));
        self.query = Some(self.query.map_or_else(|| pair.clone(), |query| format!("{query}&{pair}")));
        self
    }

    /// An `Idempotency-Key`: all POSTs with the same key together have the effect of one.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The fault that occurs while it is handled.
    pub fn failing(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Sends it. Returns the answer once its writes are durable.
    ///
    /// # Panics
    ///
    /// When no route of the manifest matches its path, a host would refuse its headers, or a [`Fault`] did not occur.
    #[must_use = "an answer is to be checked"]
    #[track_caller]
    pub fn send(self) -> Answer {
        let Self { world, service, method, path, query, headers, body, principal, caller, peer, .. } = self;
        let member = world.member(&service);
        let admission_limits = member.queues.admission_limits();
        // As in a host's ingress: a path has one spelling.
        let path = match normal_path(&path) {
            Ok(path) => path.into_owned(),
            Err(error) => panic!("a host refuses {path:?}: {error}"),
        };
        let query = query.map(|query| normal_query(&query).into_owned());
        let Some(route) = admission_limits.route_of(&path) else {
            panic!(
                "no route of the manifest leads to {path} at {service}; its routes are {:?}",
                admission_limits.routes
            );
        };
        // A service does not see headers that only the host may set.
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            let pair =
                HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
            let (name, value) = or_fail(pair.ok_or(()), |()| format!("{name}: {value:?} can be no header"));
            map.append(name, value);
        }
        let idempotency_key = Method::from_bytes(method.as_bytes())
            .map_or(Ok(None), |method| bulkhead_server::http::idempotency_key(&method, &map));
        let idempotency_key =
            or_fail(idempotency_key, |problem| format!("a host refuses this request: {}", problem.detail));
        if self.fault == Some(Fault::Memory) {
            member.stepped.renew();
        }
        world.tick();
        let trace_id = world.trace_id();
        let target = query.as_ref().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let what = format!("{method} {target}");
        let (reply, outcome) = std::sync::mpsc::channel();
        let job = Job {
            request: Sent {
                method: method.clone(),
                route: route.to_owned(),
                path: path.clone(),
                query,
                headers: headers
                    .into_iter()
                    .filter(|(name, _)| !is_hosts(name))
                    .map(|(name, value)| Header { name, value: value.into_bytes() })
                    .collect(),
                body,
                principal,
                peer,
                caller,
                trace_id: trace_id.to_string(),
            },
            trace_id,
            deadline: World::deadline(),
            again: false,
            logged: false,
            idempotency_key,
            waited: Waited::default(),
            reply: Box::new(move |outcome| {
                let _ = reply.send(outcome);
            }),
        };
        let label = format!("{service}: {what}");
        let outcome = world.observe(label, self.fault, || {
            member.stepped.run(job);
            outcome.try_recv().ok()
        });
        let Some(outcome) = outcome else { world.fail("the request has no answer") };
        let (status, headers, body, replayed) = match outcome {
            Ok(answer) => (answer.status, answer.headers, answer.body, answer.replayed),
            Err(failure) => problem(&failure, trace_id),
        };
        world.hits.request(&service, (&method, &path), status.as_u16(), &body);
        Answer::new(world, what, (status, headers, body), replayed)
    }
}

/// The host's answer in place of a failed handler's.
fn problem(failure: &Failure, trace_id: TraceId) -> (StatusCode, HeaderMap, Vec<u8>, bool) {
    let problem = Problem::from(failure);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, problem.to_json(trace_id), false)
}
