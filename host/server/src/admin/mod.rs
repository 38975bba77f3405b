//! The operators' interface, on a port of its own: the state of the application, its metrics, its dead letters, checks, rebuilds and
//! deploys.
//!
//! The port is reachable from this machine only. It requires a token, which is in a file that only its owner can read. It refuses requests
//! from web pages of another origin. So neither another user of the machine nor a web page in a browser can use it.

mod answers;
mod api;
mod deploys;
mod metrics;
mod token;

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

use bulkhead_manifest::PROBLEMS;
use bulkhead_runtime::{Problem, problem_kinds};
use bulkhead_types::limits::{METHOD_SHOWN_BYTES_MAX, PATH_MAX};
use bulkhead_types::{Current, TraceContext, TraceId, own_words};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

pub use self::token::{AdminToken, TOKEN_FILE};
use crate::application::Application;
use crate::check::LastCheck;
use crate::http::body::RequestBody;
use crate::http::{Answer, Answering, Listening, add_trace, own, problem_response, unreadable, well_formed};
use crate::interface::Interface;
use crate::telemetry::one_line;

/// The file in the data folder that contains the admin port's address.
pub const ADDRESS_FILE: &str = "admin.address";

/// Answers requests on the admin port.
pub struct Admin {
    application: Arc<Application>,
    token: AdminToken,
    last_check: LastCheck,
    interface: Arc<Current<Interface>>,
}

impl Admin {
    /// Creates the token and the connection to the application.
    ///
    /// # Errors
    ///
    /// When the token's file can't be written.
    pub fn new(application: Arc<Application>) -> std::io::Result<Arc<Self>> {
        let token = AdminToken::make(&application.manifest().data)?;
        let interface = application.interface();
        Ok(Arc::new(Self { application, token, last_check: LastCheck::default(), interface }))
    }

    /// Answers requests on `listener`, and writes its address into the data folder, where the command line finds it.
    ///
    /// # Errors
    ///
    /// When the address is unknown or can't be written.
    pub fn listening(self: &Arc<Self>, listener: TcpListener) -> std::io::Result<Listening> {
        let address = listener.local_addr()?.to_string();
        std::fs::write(self.application.manifest().data.join(ADDRESS_FILE), address)?;
        Ok(Listening::new(listener, Arc::<Self>::clone(self)))
    }

    async fn answered(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let context = TraceContext::new(self.application.host_context().random.as_ref());
        let trace_id = context.trace;
        let (head, incoming) = request.into_parts();
        let (method, path) = (head.method.clone(), head.uri.path().to_owned());
        let mut body = RequestBody::new(&head, incoming);
        let routed = self.route(Request::from_parts(head, ()), &mut body, trace_id).await;
        let mut response = routed.unwrap_or_else(|problem| {
            if problem.status >= 500 {
                let (status, error) = (problem.status, one_line(&problem.detail));
                let method = own_words(method.as_str(), METHOD_SHOWN_BYTES_MAX);
                let path = own_words(&path, PATH_MAX);
                tracing::error!(trace_id = trace_id.to_string(), %method, path, status, error, "an operator's request failed");
            }
            problem_response(&problem, trace_id)
        });
        body.end(api::DISCARDED_MAX, &mut response).await;
        add_trace(&mut response, &context);
        response
    }

    async fn route(
        self: Arc<Self>,
        mut request: Request<()>,
        body: &mut RequestBody,
        trace_id: TraceId,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        well_formed::check(&mut request)?;
        // This port serves only this page: the other pages are on the other port.
        let interface = self.interface.get();
        let page = (request.uri().path() == PROBLEMS).then(|| interface.page(PROBLEMS)).flatten();
        if let Some(response) = own(&request, page, false, trace_id) {
            return Ok(response);
        }
        self.check(request.headers())?;
        api::answer(self, request, body).await
    }

    /// Checks that a request is allowed: it uses a name of this machine, comes from no page of another origin, and has the token.
    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let host = text(HOST).unwrap_or_default();
        let origin = text(ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
        if !is_loopback(host) || origin.is_some_and(|origin| origin != host) {
            let detail = "the admin port answers requests to an address of this machine alone, such as 127.0.0.1, or to localhost, and no page of another origin";
            return Err(Problem::new(problem_kinds::FORBIDDEN, detail));
        }
        let token = text(AUTHORIZATION).and_then(|value| value.split_once(' '));
        let token =
            token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        if token.is_some_and(|token| self.token.is(token)) {
            return Ok(());
        }
        let detail = format!(
            "the admin port wants Authorization: Bearer TOKEN, with the token in {TOKEN_FILE} of the data folder"
        );
        Err(Problem::new(problem_kinds::INVALID_TOKEN, detail))
    }
}

impl Answer for Admin {
    fn answer(self: Arc<Self>, _: IpAddr, request: Request<Incoming>) -> Answering {
        Box::pin(async move { self.answered(request).await })
    }

    fn own_answer(&self, _: IpAddr, status: StatusCode) -> Option<Response<Full<Bytes>>> {
        let context = TraceContext::new(self.application.host_context().random.as_ref());
        let mut response = problem_response(&unreadable(status)?, context.trace);
        add_trace(&mut response, &context);
        Some(response)
    }
}

/// The timers of a service that are not consumed yet, or can't be consumed.
struct ParkedTimers {
    service: String,
    parked: u64,
    dead: u64,
}

/// The parked timers of each service that has timers, or had some earlier. They are parked with the service itself as their producer, for
/// which there is no subscription.
fn parked_timers(application: &Application) -> anyhow::Result<Vec<ParkedTimers>> {
    let manifest = application.manifest();
    let mut found = Vec::new();
    for (name, service_entry) in application.service_entries() {
        let (parked, dead) = service_entry.consumer.inbox()?.counts(name)?;
        let has_timers =
            manifest.services.get(name).is_some_and(|section| !section.spec.grants.timers.is_empty());
        if has_timers || parked + dead > 0 {
            found.push(ParkedTimers { service: name.to_string(), parked, dead });
        }
    }
    Ok(found)
}

/// Whether a `Host` header names this machine by a name that no other name server can give it.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    // An IP address is not a DNS name at all. Any loopback address may be the manifest's `application.admin`.
    let address = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse().map(IpAddr::V6),
        None => name.parse().map(IpAddr::V4),
    };
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_host_names_are_answered() {
        for host in ["127.0.0.1:9090", "127.0.0.3:1", "localhost:1", "[::1]:9090", "localhost", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "127.0.0.1.example.com:9090",
            "localhost.example",
            "10.0.0.1:9090",
            "[::2]",
            "127.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
