//! HTTP metrics for `/metrics`: the number of requests, their duration, and how many are being answered.
//!
//! The names and labels follow OpenTelemetry's semantic conventions for HTTP servers, in Prometheus spelling, with the service as an
//! additional label. Each label has few values, whatever clients send: the services of the manifest, the routes that components describe
//! (or else those of the manifest), the registered methods, and the statuses that are sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_types::ServiceName;
use http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds: the buckets that OpenTelemetry recommends, and two smaller ones for reads that are faster than all of them.
const DURATIONS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A shared name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Name(Option<Arc<str>>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.as_deref().unwrap_or_default().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    service: Name,
    http_request_method: &'static str,
    http_route: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: Name,
    http_request_method: &'static str,
    http_route: Name,
    http_response_status_code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: Name,
}

/// The metrics since the start of the host. An answer that no service gave, such as a 404 for a path without a route, has an empty service
/// and route.
#[derive(Debug)]
pub(crate) struct HttpFigures {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    active: Family<ServiceLabels, Gauge>,
}

impl Default for HttpFigures {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            active: Family::default(),
        }
    }
}

impl HttpFigures {
    /// Counts an answer.
    pub(crate) fn answered(
        &self,
        method: Option<&Method>,
        (service, route): (Option<&ServiceName>, Option<&Arc<str>>),
        status: StatusCode,
        duration: Duration,
    ) {
        let (service, http_route) = (Name(service.cloned().map(Into::into)), Name(route.cloned()));
        let http_request_method = known(method);
        let labels =
            RouteLabels { service: service.clone(), http_request_method, http_route: http_route.clone() };
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
        let http_response_status_code = status.as_u16();
        let labels = RequestLabels { service, http_request_method, http_route, http_response_status_code };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts an active request of a service, until the returned value is dropped.
    pub(crate) fn begin(&self, service: &ServiceName) -> Active {
        let gauge =
            self.active.get_or_create_owned(&ServiceLabels { service: Name(Some(service.clone().into())) });
        gauge.inc();
        Active(gauge)
    }

    /// Adds the metrics to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let (requests, durations, active) = (&self.requests, &self.durations, &self.active);
        registry.register("http_server_requests", "Requests that were answered", requests.clone());
        registry.register_with_unit(
            "http_server_request_duration",
            "Time from the head of a request to its answer, its body and its wait included",
            Unit::Seconds,
            durations.clone(),
        );
        let help = "Requests that are being answered, those that wait included";
        registry.register("http_server_active_requests", help, active.clone());
    }
}

/// A request that is being answered.
pub(crate) struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A method as a label: `_OTHER` for an unregistered method (registered are RFC 9110 and RFC 5789), and for a method that could not be
/// read.
fn known(method: Option<&Method>) -> &'static str {
    match method.map(Method::as_str) {
        Some("GET") => "GET",
        Some("HEAD") => "HEAD",
        Some("POST") => "POST",
        Some("PUT") => "PUT",
        Some("PATCH") => "PATCH",
        Some("DELETE") => "DELETE",
        Some("OPTIONS") => "OPTIONS",
        Some("TRACE") => "TRACE",
        Some("CONNECT") => "CONNECT",
        _ => "_OTHER",
    }
}
