//! `/metrics`, in the text format of Prometheus and OpenMetrics. The values are computed for each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bulkhead_runtime::{Problem, Subscription, problem_kinds, supervise};
use bulkhead_types::from_rfc3339;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::Full;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::application::Application;
use crate::check::LastCheck;
use crate::telemetry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriptionLabels {
    producer: String,
    consumer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplicaLabels {
    service: String,
    replica: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ThreadLabels {
    thread: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    service: String,
    queue: &'static str,
}

type Seconds<L> = Family<L, Gauge<f64, AtomicU64>>;

pub(super) fn answer(
    application: &Application,
    last_check: &LastCheck,
) -> Result<Response<Full<Bytes>>, Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        Problem::new(problem_kinds::HOST_FAILED, format!("the metrics can't be collected: {error}"))
    };
    let text = text(application, last_check).map_err(|error| failed(&error))?;
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn text(application: &Application, last_check: &LastCheck) -> anyhow::Result<String> {
    let mut registry = Registry::with_prefix("bulkhead");
    let published = Family::<ServiceLabels, Counter>::default();
    registry.register("events_published", "Events in the service's log", published.clone());
    for (service, head) in application.logs().heads() {
        let labels = ServiceLabels { service: service.to_owned() };
        published.get_or_create(&labels).inc_by(head.get().unsigned_abs());
    }

    let counter = |registry: &mut Registry, name: &str, help: &str| {
        let family = Family::<SubscriptionLabels, Counter>::default();
        registry.register(name, help, family.clone());
        family
    };
    let delivered =
        counter(&mut registry, "events_delivered", "Events that took effect since the host started");
    let retried = counter(&mut registry, "events_retried", "Attempts after the first since the host started");
    let parked = Family::<SubscriptionLabels, Gauge>::default();
    registry.register(
        "events_parked",
        "Events that are parked and tried again; timers have their own service as the producer",
        parked.clone(),
    );
    let dead = Family::<SubscriptionLabels, Gauge>::default();
    registry.register(
        "dead_letters",
        "Events that are dead letters; timers have their own service as the producer",
        dead.clone(),
    );
    let lag = Family::<SubscriptionLabels, Gauge>::default();
    registry.register(
        "subscription_lag_events",
        "Events in the producer's log that the consumer has not consumed or passed",
        lag.clone(),
    );
    let late = Seconds::<SubscriptionLabels>::default();
    registry.register(
        "subscription_lag_seconds",
        "Age of the oldest event that the consumer has not consumed or passed",
        late.clone(),
    );
    let stopped = Family::<SubscriptionLabels, Gauge>::default();
    registry.register(
        "subscription_stopped",
        "1 where the log and the position do not fit each other",
        stopped.clone(),
    );
    let stale = Seconds::<ReplicaLabels>::default();
    registry.register(
        "replica_staleness_seconds",
        "Age of the oldest event that the replica does not have",
        stale.clone(),
    );

    let now = application.host_context().clock.now();
    for subscription in application.subscriptions().iter() {
        let labels = SubscriptionLabels {
            producer: subscription.spec.producer.to_string(),
            consumer: subscription.spec.consumer.to_string(),
        };
        delivered.get_or_create(&labels).inc_by(subscription.counts.delivered.load(Ordering::Relaxed));
        retried.get_or_create(&labels).inc_by(subscription.counts.retried.load(Ordering::Relaxed));
        // The order matters: parked events are counted after reading the position that passed them, so that no event is missing from both.
        let (behind, age) = behind(application, subscription, now)?;
        let (parked_now, dead_now) = match application.service_entries().get(&subscription.spec.consumer) {
            Some(service_entry) => service_entry.consumer.inbox()?.counts(&subscription.spec.producer)?,
            None => (0, 0),
        };
        parked.get_or_create(&labels).set(i64::try_from(parked_now).unwrap_or(i64::MAX));
        dead.get_or_create(&labels).set(i64::try_from(dead_now).unwrap_or(i64::MAX));
        lag.get_or_create(&labels).set(i64::try_from(behind).unwrap_or(i64::MAX));
        late.get_or_create(&labels).set(age.as_secs_f64());
        stopped.get_or_create(&labels).set(i64::from(subscription.stopped().is_some()));
        // A replica also lacks the parked events and the dead letters.
        let age = match application.service_entries().get(&subscription.spec.consumer) {
            Some(service_entry) if parked_now + dead_now > 0 => {
                let since = service_entry.consumer.inbox()?.oldest_parked(&subscription.spec.producer)?;
                since.map_or(age, |since| age.max(now.saturating_sub(since)))
            }
            _ => age,
        };
        for replica in &subscription.spec.replicas {
            let labels = ReplicaLabels {
                service: subscription.spec.consumer.to_string(),
                replica: replica.name.clone(),
            };
            stale.get_or_create(&labels).set(age.as_secs_f64());
        }
    }

    for timers in super::parked_timers(application)? {
        let labels = SubscriptionLabels { producer: timers.service.clone(), consumer: timers.service };
        parked.get_or_create(&labels).set(i64::try_from(timers.parked).unwrap_or(i64::MAX));
        dead.get_or_create(&labels).set(i64::try_from(timers.dead).unwrap_or(i64::MAX));
    }

    if let Some(last) = last_check.counts() {
        let findings = Family::<CheckLabels, Gauge>::default();
        registry.register("check_findings", "Findings of the last consistency check", findings.clone());
        for (kind, count) in last {
            let labels = CheckLabels { kind: kind.to_owned() };
            findings.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    threads(&mut registry);
    queues(application, &mut registry);
    application.runtime_figures().register(&mut registry);
    let connections = application.connections();
    let open: Gauge = Gauge::default();
    open.set(i64::try_from(connections.open()).unwrap_or(i64::MAX));
    registry.register("connections_open", "Connections of clients", open);
    let accepted: Counter = Counter::default();
    accepted.inc_by(connections.accepted());
    registry.register("connections_accepted", "Connections since the host started", accepted);

    // These names come from a convention, without a prefix.
    let mut http = Registry::default();
    application.http_figures().register(&mut http);
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    encode_registry(&mut text, &http)?;
    encode_eof(&mut text)?;
    Ok(text)
}

/// Metrics of the process itself.
fn threads(registry: &mut Registry) {
    let dropped = Counter::<u64>::default();
    registry.register(
        "log_lines_dropped",
        "Log lines that could not be written to standard error, or not as fast as they came, since the host started",
        dropped.clone(),
    );
    dropped.inc_by(telemetry::dropped_lines());
    let restarted = Family::<ThreadLabels, Counter>::default();
    registry.register(
        "threads_restarted",
        "How often a thread panicked and was restarted since the host started",
        restarted.clone(),
    );
    for (thread, count) in supervise::restarts() {
        restarted.get_or_create(&ThreadLabels { thread }).inc_by(count);
    }
    let down = Family::<ThreadLabels, Gauge>::default();
    registry.register("threads_down", "1 for each thread that is to run and does not", down.clone());
    for thread in supervise::down() {
        down.get_or_create(&ThreadLabels { thread }).set(1);
    }
}

/// The number of requests in each queue of each service.
fn queues(application: &Application, registry: &mut Registry) {
    let lengths = Family::<QueueLabels, Gauge>::default();
    for (service, queues) in &application.host_context().directory {
        for (queue, length) in queues.lengths() {
            let labels = QueueLabels { service: service.to_string(), queue };
            lengths.get_or_create(&labels).set(i64::try_from(length).unwrap_or(i64::MAX));
        }
    }
    registry.register("queue_requests", "Requests and calls that stand in the queue", lengths);
}

/// How many events a consumer has not consumed yet, and the age of the oldest of them.
fn behind(
    application: &Application,
    subscription: &Arc<Subscription>,
    now: Duration,
) -> anyhow::Result<(u64, Duration)> {
    let (logs, producer) = (application.logs(), &subscription.spec.producer);
    let applied = subscription.applied();
    let behind = logs.head(producer).map_or(0, |head| head.since(applied));
    if behind == 0 {
        return Ok((0, Duration::ZERO));
    }
    let oldest = logs.open(producer)?.map(|log| log.read(applied.next(), 1)).transpose()?.unwrap_or_default();
    let time = oldest.first().and_then(|event| from_rfc3339(&event.time));
    Ok((behind, time.map_or(Duration::ZERO, |time| now.saturating_sub(time))))
}
