//! Metrics of what happens in the services, for `/metrics`. They are counted by an observer, and start at zero with the host.

use std::collections::BTreeMap;

use bulkhead_runtime::{DropCause, Limit, Observation, Observer, QUEUES};
use bulkhead_types::ServiceName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds.
const WAITS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    service: String,
    queue: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    service: String,
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    service: String,
    limit: &'static str,
}

/// The metrics of all services, with labels.
pub(crate) struct RuntimeFigures {
    waits: Family<QueueLabels, Histogram, fn() -> Histogram>,
    created: Family<ServiceLabels, Counter>,
    dropped: Family<CauseLabels, Counter>,
    batches: Family<ServiceLabels, Counter>,
    units: Family<ServiceLabels, Counter>,
    limits: Family<LimitLabels, Counter>,
    /// The same metrics by service, so that nobody looks for labels when something happens.
    services: BTreeMap<ServiceName, ServiceFigures>,
}

struct ServiceFigures {
    waits: [(&'static str, Histogram); 3],
    created: Counter,
    dropped: [(DropCause, Counter); 6],
    batches: Counter,
    units: Counter,
    limits: [(Limit, Counter); 4],
}

impl RuntimeFigures {
    /// The metrics of these services.
    pub(crate) fn new<'n>(services: impl Iterator<Item = &'n ServiceName>) -> Self {
        let mut this = Self {
            waits: Family::new_with_constructor(|| Histogram::new(WAITS)),
            created: Family::default(),
            dropped: Family::default(),
            batches: Family::default(),
            units: Family::default(),
            limits: Family::default(),
            services: BTreeMap::new(),
        };
        for name in services {
            let figures = this.of(name);
            this.services.insert(name.clone(), figures);
        }
        this
    }

    fn of(&self, name: &str) -> ServiceFigures {
        let service = || name.to_owned();
        let labels = ServiceLabels { service: service() };
        ServiceFigures {
            waits: QUEUES.map(|queue| {
                (queue, self.waits.get_or_create_owned(&QueueLabels { service: service(), queue }))
            }),
            created: self.created.get_or_create_owned(&labels),
            dropped: DropCause::ALL.map(|cause| {
                let labels = CauseLabels { service: service(), cause: cause.name() };
                (cause, self.dropped.get_or_create_owned(&labels))
            }),
            batches: self.batches.get_or_create_owned(&labels),
            units: self.units.get_or_create_owned(&labels),
            limits: Limit::ALL.map(|limit| {
                let labels = LimitLabels { service: service(), limit: limit.name() };
                (limit, self.limits.get_or_create_owned(&labels))
            }),
        }
    }

    /// Adds the metrics to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "queue_wait",
            "Time that requests and calls have stood in the queue",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register("instances_created", "Instances that were made", self.created.clone());
        registry.register(
            "instances_dropped",
            "Instances that will not run again; a failed one trapped, was ended or did not consume its event, and an undone one may \
             remember effects that were rolled back",
            self.dropped.clone(),
        );
        registry.register("batches_committed", "Batches that are durable", self.batches.clone());
        registry.register("units_of_work_committed", "Units of work that are durable", self.units.clone());
        registry.register(
            "limits_reached",
            "How often requests and handlers met a limit of the service",
            self.limits.clone(),
        );
    }
}

impl Observer for RuntimeFigures {
    fn observe(&self, service: &ServiceName, observation: &Observation<'_>) {
        let figures = || self.services.get(service);
        match *observation {
            Observation::Started { queue, waited } => {
                let waits = figures().into_iter().flat_map(|figures| &figures.waits);
                for (_, wait) in waits.filter(|(name, _)| *name == queue) {
                    wait.observe(waited.as_secs_f64());
                }
            }
            Observation::BatchCommitted { units } => {
                if let Some(figures) = figures() {
                    figures.batches.inc();
                    figures.units.inc_by(units as u64);
                }
            }
            Observation::InstanceCreated { .. } => {
                if let Some(figures) = figures() {
                    figures.created.inc();
                }
            }
            Observation::InstanceDropped { cause } => {
                count(figures().map(|figures| &figures.dropped[..]), cause)
            }
            Observation::LimitReached { limit } => count(figures().map(|figures| &figures.limits[..]), limit),
            // Metrics of events and requests are counted elsewhere.
            Observation::Queued { .. }
            | Observation::DatabaseCalled { .. }
            | Observation::ServiceCalled { .. }
            | Observation::Joined
            | Observation::Finished { .. }
            | Observation::EventConsumed { .. }
            | Observation::EventParked { .. } => {}
        }
    }
}

fn count<T: PartialEq + Copy>(counters: Option<&[(T, Counter)]>, what: T) {
    for (_, counter) in counters.unwrap_or_default().iter().filter(|(name, _)| *name == what) {
        counter.inc();
    }
}
