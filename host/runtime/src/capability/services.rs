//! `services`: calling another service of the application, through its queue.

use std::time::Instant;

use bulkhead_types::limits::IDEMPOTENCY_KEY_BYTES_MAX;

use crate::bindings::bulkhead::service::services::{Error, Host, IncomingResponse, OutgoingRequest};
use crate::bindings::bulkhead::service::types::{Header, Request};
use crate::handler::State;
use crate::header::is_hosts;
use crate::hold::{Calls, Hold};
use crate::job::{Failure, Job};
use crate::problem::Problem;

impl Host for State {
    fn call(
        &mut self,
        service: String,
        request: OutgoingRequest,
    ) -> wasmtime::Result<Result<IncomingResponse, Error>> {
        let Some(probe) = self.surroundings.probe.clone() else { return Ok(call(self, &service, request)) };
        let (caller, method, path) = (self.spec.name.clone(), request.method.clone(), request.path.clone());
        let result = match probe.before_call(&caller, &service) {
            None => call(self, &service, request),
            Some(reason) => Err(Error::Unavailable(reason)),
        };
        let told = match &result {
            Ok(answer) => Ok(answer.status),
            Err(error) => Err(error as &dyn std::fmt::Display),
        };
        probe.after_call(&caller, &service, (&method, &path), told);
        Ok(result)
    }
}

fn call(state: &mut State, service: &str, request: OutgoingRequest) -> Result<IncomingResponse, Error> {
    let Some(running) = state.running.as_mut().filter(|running| !running.starting) else {
        return Err(Error::NotAllowed("nobody can be called while a component is loaded".into()));
    };
    let granted = state.spec.grants.calls.iter().any(|name| name == service);
    let Some(target) = state.surroundings.directory.get(service).filter(|_| granted) else {
        return Err(Error::NotAllowed(format!(
            "the manifest does not let this service call {service}: add it to `calls`"
        )));
    };
    match &state.worker.hold {
        Hold::Joined(_) => return Err(Error::LeaseHeld),
        Hold::Reserved(_) => {
            running.called_in_recovery = true;
            return Err(Error::LeaseHeld);
        }
        Hold::Carried(_) | Hold::Nothing => {}
    }
    let front = target.front();
    check(&request, front.body)?;

    // Nothing is held while this worker waits for another service: not the answers of others, not a snapshot.
    let lost = state.worker.hold.commit_carried();
    state.worker.lost.extend(lost);
    if let Some(reader) = &mut state.worker.reader {
        reader.end();
    }
    let reads = is_read(&request.method);
    let is_head = request.method == "HEAD";
    let idempotency_key = idempotency_key(&request);
    running.calls = running.calls.max(if reads { Calls::Reading } else { Calls::Effective });

    let deadline = running.deadline.min(Instant::now() + front.request_timeout);
    let (answer, answered) = flume::bounded(1);
    let job = Job {
        request: Request {
            method: request.method,
            route: front.route_of(&request.path).unwrap_or_default().to_owned(),
            path: request.path,
            query: request.query,
            headers: passed_on(request.headers),
            body: request.body,
            // The original request's principal, and never more.
            principal: running.principal.clone(),
            peer: running.peer.clone(),
            caller: Some(state.spec.name.clone()),
            trace_id: running.trace_id.clone(),
        },
        deadline,
        again: false,
        idempotency_key,
        reply: Box::new(move |outcome| {
            // One who no longer waits has been told of its own deadline.
            let _ = answer.send(outcome);
        }),
    };
    target.submit(&front, job).map_err(|failure| match failure {
        Failure::QueueFull => Error::QueueFull,
        other => Error::Unavailable(other.to_string()),
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    match answered.recv_timeout(left) {
        Ok(Ok(answer)) => Ok(IncomingResponse {
            status: answer.status.as_u16(),
            headers: answer
                .headers
                .iter()
                .map(|(name, value)| Header {
                    name: name.as_str().to_owned(),
                    value: value.as_bytes().to_vec(),
                })
                .collect(),
            // A guest answers HEAD as it does GET (RFC 9110, section 9.3.2): the body is for neither a client nor a caller.
            body: if is_head { Vec::new() } else { answer.body },
        }),
        Ok(Err(failure)) => {
            let problem = Problem::from(&failure);
            Ok(IncomingResponse {
                status: problem.status,
                headers: vec![Header {
                    name: "content-type".into(),
                    value: b"application/problem+json".to_vec(),
                }],
                body: problem.to_json(&running.trace_id),
            })
        }
        Err(flume::RecvTimeoutError::Timeout) => Err(Error::DeadlineExceeded),
        Err(flume::RecvTimeoutError::Disconnected) => Err(Error::Unavailable(format!("{service} stopped"))),
    }
}

/// The key of a POST, as one from outside may have.
fn idempotency_key(request: &OutgoingRequest) -> Option<String> {
    let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("idempotency-key"))?;
    let key = String::from_utf8(header.value.clone()).ok()?;
    (request.method == "POST" && (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())).then_some(key)
}

/// The headers that go with a guest's call, their names in lower case, as the one who is called expects them. The name of the machine is not
/// the guest's to say either.
fn passed_on(headers: Vec<Header>) -> Vec<Header> {
    let passes = |name: &str| !is_hosts(name) && name != "host";
    let lowered = |header: Header| Header { name: header.name.to_ascii_lowercase(), ..header };
    headers.into_iter().map(lowered).filter(|header| passes(&header.name)).collect()
}

/// Whether a method only reads: such a request goes to a service's readers, and may be made again.
pub(crate) fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

fn check(request: &OutgoingRequest, body_max: usize) -> Result<(), Error> {
    let invalid = |what: &str| Err(Error::InvalidRequest(what.to_owned()));
    if http::Method::from_bytes(request.method.as_bytes()).is_err() {
        return invalid("the method is not a token");
    }
    let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let target_form = format!("{}{query}", request.path);
    if !request.path.starts_with('/')
        || request.path.contains('?')
        || target_form.parse::<http::uri::PathAndQuery>().is_err()
    {
        return invalid(
            "the path begins with / and has no ?, and path and query have only characters of a URI",
        );
    }
    for header in &request.headers {
        if http::HeaderName::from_bytes(header.name.as_bytes()).is_err()
            || http::HeaderValue::from_bytes(&header.value).is_err()
        {
            return Err(Error::InvalidRequest(format!("the header {:?} can't be sent", header.name)));
        }
    }
    if request.body.len() > body_max {
        return Err(Error::InvalidRequest(format!("the body has more than {body_max} bytes")));
    }
    Ok(())
}
