//! The queues of a service, and what decides whether a request gets into one of them.
//!
//! Reads (GET, HEAD, OPTIONS) never wait behind other requests, and neither reads nor writes wait behind handlers that compute for long.
//! Each kind has a queue and workers of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bulkhead_types::Current;
use flume::{Receiver, Sender};

use crate::described::DescribedRoutes;
use crate::job::{Failure, Job};
use crate::kind::{Kind, is_read};
use crate::observer::{Limit, Observation, Observed, Observers};
use crate::spec::{ServiceSpec, route_matches, route_rank};

/// What is in a queue.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are jobs: boxing them would cost each an allocation"
)]
pub(crate) enum Work {
    /// A request, and when it was put there.
    Job(Job, Instant),
    /// The worker that gets it must end.
    Stop,
}

/// The sending ends of a service's queues.
#[derive(Clone)]
pub struct Queues {
    reads: Sender<Work>,
    writes: Sender<Work>,
    computations: Sender<Work>,
    admission_limits: Arc<Current<AdmissionLimits>>,
    stopping: Arc<AtomicBool>,
    submitted: Arc<AtomicU64>,
    observed: Observed,
    /// Runs a job at once instead of putting it into a queue.
    at_once: Option<RunAtOnce>,
}

/// Runs a job until it is answered, on the thread that submits it.
pub type RunAtOnce = Arc<dyn Fn(Job) + Send + Sync>;

/// Decides, before a request gets into a queue of a service, whether it is let in, and into which queue: by the routes of the manifest and
/// of the component, and by the limits.
pub struct AdmissionLimits {
    /// The routes of the manifest that lead to it.
    pub routes: Vec<String>,
    /// Requests that may wait in each queue.
    pub queue: usize,
    /// Bytes that a body may have.
    pub body: usize,
    /// Time for a request.
    pub request_timeout: Duration,
    described: Arc<DescribedRoutes>,
}

impl AdmissionLimits {
    /// The admission limits of a service, with what its component says about itself once that is known.
    fn new(spec: &ServiceSpec, described: Arc<DescribedRoutes>) -> Self {
        Self {
            routes: spec.routes.clone(),
            queue: spec.limits.queue,
            body: spec.limits.body,
            request_timeout: spec.limits.request_timeout,
            described,
        }
    }

    /// A request that may be repeated runs each time, whatever its key.
    pub(crate) fn drop_needless_key(&self, job: &mut Job) {
        if job.idempotency_key.is_some() && self.described.repeats(&job.request.method, &job.request.path) {
            job.idempotency_key = None;
        }
    }

    /// The route of the manifest that `path` falls under, as the ingress finds it: the route of the highest rank.
    #[must_use]
    pub fn route_of(&self, path: &str) -> Option<&str> {
        let routes = self.routes.iter().map(String::as_str);
        routes.filter(|route| route_matches(route, path)).max_by_key(|route| route_rank(route))
    }

    /// The route that a request leads to, as the component describes it, such as `/notes/{id}`; none if it describes none for the request.
    #[must_use]
    pub fn described_route(&self, method: &str, path: &str) -> Option<Arc<str>> {
        self.described.find(method, path).map(|route| Arc::clone(&route.path))
    }
}

/// The receiving ends.
pub struct QueueEnds {
    pub(crate) reads: Receiver<Work>,
    pub(crate) writes: Receiver<Work>,
    pub(crate) computations: Receiver<Work>,
}

/// The queues of a service.
#[must_use]
pub fn queues(spec: &ServiceSpec, observers: &Observers) -> (Queues, QueueEnds) {
    // `submit` bounds them, because the number of jobs that may wait in them can change.
    let (reads, read_end) = flume::unbounded();
    let (writes, write_end) = flume::unbounded();
    let (computations, computation_end) = flume::unbounded();
    let queues = Queues {
        reads,
        writes,
        computations,
        admission_limits: Arc::new(Current::new(AdmissionLimits::new(spec, Arc::default()))),
        stopping: Arc::default(),
        submitted: Arc::default(),
        observed: observers.of(&spec.name),
        at_once: None,
    };
    (queues, QueueEnds { reads: read_end, writes: write_end, computations: computation_end })
}

impl Queues {
    /// Queues in which nothing waits: the thread that submits a job runs it. For a service without threads of its own, or for something
    /// that stands in for a service.
    #[must_use]
    pub fn at_once(spec: &ServiceSpec, run: RunAtOnce) -> Self {
        let (queues, _) = queues(spec, &Observers::default());
        Self { at_once: Some(run), ..queues }
    }

    /// Puts a job into the queue for its route or its method. It is answered through its reply, later.
    ///
    /// # Errors
    ///
    /// [`Failure::QueueFull`] or [`Failure::Stopping`]; the job was not accepted, and its reply is dropped.
    pub fn submit(&self, admission_limits: &AdmissionLimits, mut job: Job) -> Result<(), Failure> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Failure::Stopping);
        }
        admission_limits.drop_needless_key(&mut job);
        if let Some(run) = &self.at_once {
            run(job);
            return Ok(());
        }
        let (method, path) = (&job.request.method, &job.request.path);
        let kind = if admission_limits.described.computes(method, path) {
            Kind::Compute
        } else if is_read(method) {
            Kind::Read
        } else {
            Kind::Write
        };
        let queue = self.of(kind);
        // Threads that look at the same time may all see the last free place: as many as there are network threads.
        if queue.len() >= admission_limits.queue {
            self.observed.notify_limit(Limit::Queue);
            return Err(Failure::QueueFull);
        }
        self.submitted.fetch_add(1, Ordering::Relaxed);
        // Before a worker can take it.
        self.observed.notify(&Observation::Queued { queue: kind.name() });
        queue.send(Work::Job(job, Instant::now())).map_err(|_| Failure::Stopping)
    }

    /// The current admission limits.
    #[must_use]
    pub fn admission_limits(&self) -> Arc<AdmissionLimits> {
        self.admission_limits.get()
    }

    /// How many jobs were accepted since the start.
    #[must_use]
    pub fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Relaxed)
    }

    /// How many jobs wait in the longest queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.reads.len().max(self.writes.len()).max(self.computations.len())
    }

    /// The name of each queue, and how many jobs wait in it.
    #[must_use]
    pub fn lengths(&self) -> [(&'static str, usize); 3] {
        Kind::ALL.map(|kind| (kind.name(), self.of(kind).len()))
    }

    /// Lets requests in as the service's current release says.
    pub(crate) fn follow(&self, spec: &ServiceSpec, described: Arc<DescribedRoutes>) {
        self.admission_limits.set(Arc::new(AdmissionLimits::new(spec, described)));
    }

    /// Whether the service accepts no more jobs.
    pub(crate) fn stopping(&self) -> &Arc<AtomicBool> {
        &self.stopping
    }

    /// The sending end of the queue of a kind.
    pub(crate) fn of(&self, kind: Kind) -> &Sender<Work> {
        match kind {
            Kind::Read => &self.reads,
            Kind::Write => &self.writes,
            Kind::Compute => &self.computations,
        }
    }
}

#[cfg(test)]
mod tests;
