//! `services`: calling another service of the application, through its queue.

use std::time::Instant;

use bulkhead_types::ServiceName;
use bulkhead_types::limits::{HEADER_LINES_MAX, HEADERS_MAX, PATH_MAX};
use wasmtime::component::HasData;

use crate::bindings::bulkhead::service::services::{Error, Host, IncomingResponse, OutgoingRequest};
use crate::bindings::bulkhead::service::types::{Header, Request};
use crate::fault_injector::FaultInjector;
use crate::header::is_hosts;
use crate::hold::Hold;
use crate::host_context::Directory;
use crate::idempotency_key::idempotency_key;
use crate::job::{Failure, Job};
use crate::kind::is_read;
use crate::observer::{Observation, Observed};
use crate::path::{normal_path, normal_query};
use crate::problem::Problem;
use crate::running::{Calls, Running};
use crate::spec::Grants;
use crate::state::{State, WorkerParts};
use crate::waited::Waited;

/// What `services` sees of a handler's state.
pub(crate) struct ServicesView<'s> {
    service: &'s ServiceName,
    grants: &'s Grants,
    directory: &'s Directory,
    faults: Option<&'s dyn FaultInjector>,
    observed: &'s Observed,
    worker: &'s mut WorkerParts,
    running: Option<&'s mut Running>,
}

impl HasData for ServicesView<'static> {
    type Data<'s> = ServicesView<'s>;
}

impl ServicesView<'_> {
    pub(crate) fn of(state: &mut State) -> ServicesView<'_> {
        ServicesView {
            service: &state.spec.name,
            grants: &state.spec.grants,
            directory: &state.host_context.directory,
            faults: state.host_context.faults.as_deref(),
            observed: &state.observed,
            worker: &mut state.worker,
            running: state.running.as_mut(),
        }
    }
}

impl Host for ServicesView<'_> {
    fn call(
        &mut self,
        service: String,
        request: OutgoingRequest,
    ) -> wasmtime::Result<Result<IncomingResponse, Error>> {
        let service = ServiceName::from(service);
        let is_observed = !self.observed.is_empty();
        let request_line = is_observed.then(|| (request.method.clone(), request.path.clone()));
        let result = match self.faults.and_then(|faults| faults.fail_call(self.service, &service)) {
            None => call(self, &service, request),
            Some(reason) => Err(Error::Unavailable(reason)),
        };
        let observed_result = match &result {
            Ok(answer) => Ok(answer.status),
            Err(error) => Err(error as &dyn std::fmt::Display),
        };
        if let Some((method, path)) = &request_line {
            self.observed.notify(&Observation::ServiceCalled {
                callee: &service,
                method,
                path,
                result: observed_result,
            });
        }
        Ok(result)
    }
}

fn call(
    view: &mut ServicesView<'_>,
    service: &ServiceName,
    request: OutgoingRequest,
) -> Result<IncomingResponse, Error> {
    let Some(running) = view.running.as_deref_mut().filter(|running| !running.starting) else {
        return Err(Error::NotAllowed("nobody can be called while a component is loaded".into()));
    };
    let Some(trace_id) = running.trace_id else {
        return Err(Error::NotAllowed("no handler runs".into()));
    };
    let granted = view.grants.calls.contains(service);
    let Some(target) = view.directory.get(service).filter(|_| granted) else {
        return Err(Error::NotAllowed(format!(
            "the manifest does not let this service call {service}: add it to `calls`"
        )));
    };
    match &view.worker.hold {
        Hold::Joined(_) => return Err(Error::LeaseHeld),
        Hold::Reserved(_) => {
            running.called_in_recovery = true;
            return Err(Error::LeaseHeld);
        }
        Hold::OpenBatch(_) | Hold::Nothing => {}
    }
    let admission_limits = target.admission_limits();
    let request = checked(request, admission_limits.body)?;
    let idempotency_key = key_of(&request)?;

    // This worker holds nothing while it waits for another service: neither the answers of others nor a snapshot.
    let aborted = view.worker.hold.commit_open_batch(view.observed);
    view.worker.aborted.extend(aborted);
    if let Some(reader) = &mut view.worker.reader {
        reader.end();
    }
    let reads = is_read(&request.method);
    let is_head = request.method == "HEAD";
    running.calls = running.calls.max(if reads { Calls::Reading } else { Calls::Effective });

    let deadline = running.deadline.min(Instant::now() + admission_limits.request_timeout);
    let (answer, answered) = flume::bounded(1);
    let job = Job {
        request: Request {
            method: request.method,
            route: admission_limits.route_of(&request.path).unwrap_or_default().to_owned(),
            path: request.path,
            query: request.query,
            headers: passed_on(request.headers),
            body: request.body,
            // The original request's principal, and never more.
            principal: running.principal.clone(),
            peer: running.peer.clone(),
            caller: Some(view.service.to_string()),
            trace_id: trace_id.to_string(),
        },
        trace_id,
        deadline,
        again: false,
        logged: false,
        idempotency_key,
        waited: Waited::default(),
        reply: Box::new(move |outcome| {
            // A caller that no longer waits has got the error of its own deadline.
            let _ = answer.send(outcome);
        }),
    };
    target.submit(&admission_limits, job).map_err(|failure| match failure {
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
            // A guest answers HEAD like GET (RFC 9110, section 9.3.2). Neither a client nor a caller may get the body.
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
                body: problem.to_json(trace_id),
            })
        }
        Err(flume::RecvTimeoutError::Timeout) => Err(Error::DeadlineExceeded),
        Err(flume::RecvTimeoutError::Disconnected) => Err(Error::Unavailable(format!("{service} stopped"))),
    }
}

/// The key of a call. A key that is not valid is refused, as in a request from outside: if the call were sent without it, it would have a
/// second effect when it is repeated.
fn key_of(request: &OutgoingRequest) -> Result<Option<String>, Error> {
    let keys = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("idempotency-key"));
    idempotency_key(&request.method, keys.map(|header| header.value.as_slice()))
        .map_err(|error| Error::InvalidRequest(error.to_string()))
}

/// The headers that go with a guest's call. Their names are in lower case, as the called service expects them. The guest can't set the name
/// of the machine either.
fn passed_on(headers: Vec<Header>) -> Vec<Header> {
    let passes = |name: &str| !is_hosts(name) && name != "host";
    let lowered = |header: Header| Header { name: header.name.to_ascii_lowercase(), ..header };
    headers.into_iter().map(lowered).filter(|header| passes(&header.name)).collect()
}

/// The request with its path and query in normal form. An error if the host would refuse the request from outside too, or if it has a `#`:
/// from outside the HTTP library cuts that off before the host sees it.
fn checked(request: OutgoingRequest, body_max: usize) -> Result<OutgoingRequest, Error> {
    let invalid = |what: String| Err(Error::InvalidRequest(what));
    match http::Method::from_bytes(request.method.as_bytes()) {
        Ok(http::Method::CONNECT) => {
            return invalid("CONNECT asks for a proxy, and no service is one".into());
        }
        Ok(_) => {}
        Err(_) => return invalid(format!("the method {:?} is not a token", request.method)),
    }
    let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let target_form = format!("{}{query}", request.path);
    if request.path.contains(['?', '#'])
        || query.contains('#')
        || target_form.parse::<http::uri::PathAndQuery>().is_err()
    {
        return invalid(
            "the path has no ? and no #, and path and query have only characters of a URI".into(),
        );
    }
    let path = match normal_path(&request.path) {
        Ok(path) if path.len() <= PATH_MAX => path.into_owned(),
        Ok(_) => return invalid(format!("the path has more than {PATH_MAX} bytes")),
        Err(error) => return invalid(error.to_string()),
    };
    let mut header_bytes: usize = 0;
    for header in &request.headers {
        if http::HeaderName::from_bytes(header.name.as_bytes()).is_err()
            || http::HeaderValue::from_bytes(&header.value).is_err()
        {
            return invalid(format!("the header {:?} can't be sent", header.name));
        }
        header_bytes = header_bytes.saturating_add(header.name.len() + header.value.len() + 4);
    }
    if request.headers.len() > HEADER_LINES_MAX || header_bytes > HEADERS_MAX {
        return invalid(format!(
            "there are more than {HEADER_LINES_MAX} headers, or they have more than {HEADERS_MAX} bytes"
        ));
    }
    if request.body.len() > body_max {
        return invalid(format!("the body has more than {body_max} bytes"));
    }
    let query = request.query.as_deref().map(|query| normal_query(query).into_owned());
    Ok(OutgoingRequest { path, query, ..request })
}

#[cfg(test)]
mod tests {
    use bulkhead_types::limits::{HEADER_LINES_MAX, HEADERS_MAX, PATH_MAX};

    use super::{Error, Header, OutgoingRequest, checked, passed_on};

    fn call(path: String, headers: Vec<Header>) -> Result<OutgoingRequest, Error> {
        asking(path, None, headers)
    }

    fn asking(path: String, query: Option<&str>, headers: Vec<Header>) -> Result<OutgoingRequest, Error> {
        let (method, query) = ("GET".to_owned(), query.map(str::to_owned));
        checked(OutgoingRequest { method, path, query, headers, body: Vec::new() }, 0)
    }

    fn header(name: &str, value: &[u8]) -> Header {
        Header { name: name.to_owned(), value: value.to_vec() }
    }

    #[test]
    fn path_of_a_call_has_the_size_limit_of_an_external_request() {
        let call = |bytes: usize| call(format!("/{}", "x".repeat(bytes - 1)), Vec::new());
        assert_eq!(call(PATH_MAX).map(|request| request.path.len()).ok(), Some(PATH_MAX));
        assert!(matches!(call(PATH_MAX + 1), Err(Error::InvalidRequest(_))));
    }

    #[test]
    fn query_of_a_call_is_normalized() {
        for (query, normal) in [(None, None), (Some("q=%74ea%2f"), Some("q=tea%2F"))] {
            let asked = asking("/a".to_owned(), query, Vec::new());
            assert_eq!(asked.map(|request| request.query).ok(), Some(normal.map(str::to_owned)));
        }
    }

    #[test]
    fn path_of_a_call_is_normalized_and_excludes_the_query() {
        assert_eq!(
            call("/%61b".to_owned(), Vec::new()).map(|request| request.path).ok().as_deref(),
            Some("/ab")
        );
        for path in ["/a?b", "/a#b", "/a b"] {
            assert!(matches!(call(path.to_owned(), Vec::new()), Err(Error::InvalidRequest(_))), "{path}");
        }
    }

    #[test]
    fn headers_of_a_call_follow_the_rules_for_external_requests() {
        let is_good = |headers: Vec<Header>| match call("/".to_owned(), headers) {
            Ok(_) => true,
            Err(Error::InvalidRequest(_)) => false,
            Err(error) => panic!("{error:?}"),
        };
        // A line has four bytes besides the name and the value: a colon, a blank and its end.
        let half = HEADERS_MAX / 2 - "ab".len() - 4;
        for (more, fits) in [(0, true), (1, false)] {
            let headers = vec![header("ab", &vec![b'x'; half]), header("cd", &vec![b'x'; half + more])];
            assert_eq!(is_good(headers), fits);
            assert_eq!(is_good(vec![header("a", b""); HEADER_LINES_MAX + more]), fits);
        }
        assert!(!is_good(vec![header("a b", b"x")]));
        assert!(!is_good(vec![header("a", b"x\n")]));
    }

    #[test]
    fn caller_cannot_set_headers_of_the_host() {
        let given = ["Host", "Authorization", "Cookie", "X-Own", "host"].map(|name| header(name, b"x"));
        let names: Vec<String> = passed_on(given.to_vec()).into_iter().map(|header| header.name).collect();
        assert_eq!(names, ["x-own"]);
    }
}
