//! A service: what it is given, its queues, and its worker threads.
//!
//! Reads (GET, HEAD, OPTIONS) never wait behind the rest, and neither of them behind handlers that compute for long: each kind has a queue
//! and workers of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bulkhead_store::{AfterCommit, Database, StoreError, Writer, WriterOptions};
use bulkhead_types::{Clock, Current, Random, limits};
use flume::{Receiver, Sender};
use prometheus_client::metrics::histogram::Histogram;

use crate::capability::is_read;
use crate::compute::give_way;
use crate::consumer::Consumer;
use crate::described::DescribedRoutes;
use crate::engine::Engine;
use crate::hold::Member;
use crate::job::{Failure, Job};
use crate::probe::Probe;
use crate::release::{Release, ServiceContext};
use crate::runner::Runner;
use crate::supervise::{self, Progress};
use crate::waits::Waits;
use crate::worker::Worker;

/// What the manifest lets a service do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The types of event that it may publish.
    pub publishes: BTreeSet<String>,
    /// The services that it may call.
    pub calls: BTreeSet<String>,
    /// The types of event that it takes from others.
    pub subscribes: BTreeSet<String>,
    /// The types of timer that it may set, and takes.
    pub timers: BTreeSet<String>,
}

/// The bounds of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory of an instance.
    pub memory: u64,
    /// Bytes of its database.
    pub storage: u64,
    /// Time for a request.
    pub request_timeout: Duration,
    /// Time that a handler may hold the writer lease.
    pub lease_hold: Duration,
    /// Requests in each of its queues.
    pub queue: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Threads for GET, HEAD and OPTIONS.
    pub read_workers: usize,
    /// Threads for the rest.
    pub write_workers: usize,
    /// Threads for what computes for long.
    pub compute_workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: limits::MEMORY_DEFAULT,
            storage: limits::STORAGE_DEFAULT,
            request_timeout: limits::REQUEST_TIMEOUT_DEFAULT,
            lease_hold: limits::LEASE_HOLD_DEFAULT,
            queue: limits::QUEUE_DEFAULT,
            body: limits::BODY_DEFAULT,
            read_workers: limits::READ_WORKERS_DEFAULT,
            write_workers: limits::WRITE_WORKERS_DEFAULT,
            compute_workers: limits::COMPUTE_WORKERS_DEFAULT,
        }
    }
}

/// Whether an instance serves more than one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstancePolicy {
    /// A warm instance for each worker.
    #[default]
    Reused,
    /// A new one for each request.
    Fresh,
}

/// A service as the manifest has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: String,
    /// The routes that lead to it, as in the manifest.
    pub routes: Vec<String>,
    /// What it may do.
    pub grants: Grants,
    /// Its settings.
    pub config: BTreeMap<String, String>,
    /// Its secrets.
    pub secrets: BTreeMap<String, String>,
    /// Its bounds.
    pub limits: Limits,
    /// Whether instances are reused.
    pub instances: InstancePolicy,
}

/// A service's database with its one writer.
pub struct ServiceDatabase {
    /// The file.
    pub database: Arc<Database>,
    /// It may have a reader of this database, which must be gone before the writer is: only a last connection that may write cuts the log
    /// back.
    after_commit: AfterCommit,
    /// The writer.
    pub(crate) writer: Arc<Writer<Member>>,
}

impl ServiceDatabase {
    /// Opens the writer of a database that is migrated.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open(database: Arc<Database>, after_commit: AfterCommit) -> Result<Self, StoreError> {
        Self::open_with(database, WriterOptions::default(), after_commit)
    }

    /// The same, with other options than those of a host that serves.
    ///
    /// # Errors
    ///
    /// When SQLite can't.
    pub fn open_with(
        database: Arc<Database>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Self, StoreError> {
        let writer = Writer::open(Arc::clone(&database), options, Arc::clone(&after_commit))?;
        Ok(Self { database, writer, after_commit })
    }

    /// The same database with another writer, which knows the schema that is there now. Nobody may use this one any more.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let (database, after_commit) = (Arc::clone(&self.database), Arc::clone(&self.after_commit));
        let writer = self.writer.reopened(Arc::clone(&database));
        Self { database, writer, after_commit }
    }
}

/// What is around every service of an application.
pub struct HostContext {
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub random: Box<dyn Random>,
    /// The services, by name.
    pub directory: Directory,
    /// A test that looks on.
    pub probe: Option<Arc<dyn Probe>>,
}

/// The way to every service's queues.
pub type Directory = BTreeMap<String, Queues>;

/// What stands in a queue.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are jobs: boxing them would cost each an allocation"
)]
pub(crate) enum Work {
    /// A request, with when it was put there.
    Job(Job, Instant),
    /// The one who takes it is to end.
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
    taken: Arc<AtomicU64>,
    waits: Waits,
    /// Runs a job where it would stand in a queue.
    at_once: Option<RunAtOnce>,
}

/// Runs a job to its answer, on the thread that brings it.
pub type RunAtOnce = Arc<dyn Fn(Job) + Send + Sync>;

/// What decides, before a request stands in a queue of a service, whether and where it is let in: the routes of the manifest and of the
/// component, and the limits.
pub struct AdmissionLimits {
    /// The routes of the manifest that lead to it.
    pub routes: Vec<String>,
    /// Requests that may stand in each queue.
    pub queue: usize,
    /// Bytes that a body may have.
    pub body: usize,
    /// Time for a request.
    pub request_timeout: Duration,
    described: Arc<DescribedRoutes>,
}

impl AdmissionLimits {
    /// Those of a service, with what its component says of itself once that is known.
    fn new(spec: &ServiceSpec, described: Arc<DescribedRoutes>) -> Self {
        Self {
            routes: spec.routes.clone(),
            queue: spec.limits.queue,
            body: spec.limits.body,
            request_timeout: spec.limits.request_timeout,
            described,
        }
    }

    /// A request that may be repeated is run each time, whatever its key.
    pub(crate) fn drop_needless_key(&self, job: &mut Job) {
        if job.idempotency_key.is_some() && self.described.repeats(&job.request.method, &job.request.path) {
            job.idempotency_key = None;
        }
    }

    /// The route of the manifest that `path` falls under, as the ingress finds it: that of the highest rank.
    #[must_use]
    pub fn route_of(&self, path: &str) -> Option<&str> {
        let routes = self.routes.iter().map(String::as_str);
        routes.filter(|route| route_matches(route, path)).max_by_key(|route| route_rank(route))
    }

    /// The route that a request leads to as the component describes it, such as `/notes/{id}`; none where it describes none for it.
    #[must_use]
    pub fn described_route(&self, method: &str, path: &str) -> Option<Arc<str>> {
        self.described.find(method, path).map(|route| Arc::clone(&route.path))
    }
}

/// The receiving ends.
pub struct QueueEnds {
    reads: Receiver<Work>,
    writes: Receiver<Work>,
    computations: Receiver<Work>,
}

/// The queues of a service.
#[must_use]
pub fn queues(spec: &ServiceSpec) -> (Queues, QueueEnds) {
    // Bounded by `submit`: how many may stand in them can change.
    let (reads, read_end) = flume::unbounded();
    let (writes, write_end) = flume::unbounded();
    let (computations, computation_end) = flume::unbounded();
    let queues = Queues {
        reads,
        writes,
        computations,
        admission_limits: Arc::new(Current::new(AdmissionLimits::new(spec, Arc::default()))),
        stopping: Arc::default(),
        taken: Arc::default(),
        waits: Waits::default(),
        at_once: None,
    };
    (queues, QueueEnds { reads: read_end, writes: write_end, computations: computation_end })
}

impl Queues {
    /// Queues in which nothing stands: whoever brings a job runs it. For a service without threads of its own, or for one that stands in
    /// for a service.
    #[must_use]
    pub fn at_once(spec: &ServiceSpec, run: RunAtOnce) -> Self {
        let (queues, _) = queues(spec);
        Self { at_once: Some(run), ..queues }
    }

    /// Puts a job into the queue for its route or its method. It is answered through its reply, later.
    ///
    /// # Errors
    ///
    /// [`Failure::QueueFull`] or [`Failure::Stopping`]; the job was not taken, and its reply is dropped.
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
        let queue = if admission_limits.described.computes(method, path) {
            &self.computations
        } else if is_read(method) {
            &self.reads
        } else {
            &self.writes
        };
        // Those who look at the same time may all see the last place: as many as there are network threads.
        if queue.len() >= admission_limits.queue {
            return Err(Failure::QueueFull);
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        queue.send(Work::Job(job, Instant::now())).map_err(|_| Failure::Stopping)
    }

    /// What is to be known before a request stands in one of them, now.
    #[must_use]
    pub fn admission_limits(&self) -> Arc<AdmissionLimits> {
        self.admission_limits.get()
    }

    /// How many jobs were taken since the start.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many jobs stand in the longest of them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.reads.len().max(self.writes.len()).max(self.computations.len())
    }

    /// The name of each, how many jobs stand in it, and how long jobs have stood in it.
    #[must_use]
    pub fn figures(&self) -> [(&'static str, usize, Histogram); 3] {
        [
            (Kind::Read, self.reads.len()),
            (Kind::Write, self.writes.len()),
            (Kind::Compute, self.computations.len()),
        ]
        .map(|(kind, length)| (kind.name(), length, self.waits.of(kind).clone()))
    }

    /// Lets requests in as a release has it.
    pub(crate) fn follow(&self, release: &Release) {
        self.admission_limits
            .set(Arc::new(AdmissionLimits::new(&release.spec, Arc::clone(&release.component.described))));
    }
}

/// Of two routes that a path falls under, the one of higher rank holds: a path before what is below one, then the longer.
#[must_use]
pub fn route_rank(route: &str) -> (bool, usize) {
    (!route.ends_with("/..."), route.len())
}

/// Whether `path` falls under `route`: `/notes` is that path alone, `/notes/...` it and all below it.
#[must_use]
pub fn route_matches(route: &str, path: &str) -> bool {
    match route.strip_suffix("/...") {
        None => path == route,
        Some(above) => path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// A running service. Dropping it without [`Service::stop`] leaves its threads to end with the process.
pub struct Service {
    stopping: Arc<AtomicBool>,
    /// The queue of each worker.
    stops: Vec<Sender<Work>>,
    workers: Vec<JoinHandle<()>>,
    consumer: Consumer,
}

impl Service {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        engine: &Engine,
        release: Release,
        host_context: &Arc<HostContext>,
        queues: &Queues,
        ends: QueueEnds,
    ) -> std::io::Result<Self> {
        queues.follow(&release);
        // A later version may have routes that compute, so those workers are there as well.
        let Limits { read_workers, write_workers, compute_workers, .. } = release.spec.limits;
        let context = ServiceContext::new(release, Arc::clone(host_context));
        let kinds = [
            (Kind::Read, &queues.reads, ends.reads, read_workers),
            (Kind::Write, &queues.writes, ends.writes, write_workers),
            (Kind::Compute, &queues.computations, ends.computations, compute_workers),
        ];
        let (mut workers, mut stops) = (Vec::new(), Vec::new());
        for (kind, sender, queue, count) in kinds {
            for number in 0..count {
                let (engine, context, queue) = (engine.clone(), Arc::clone(&context), queue.clone());
                let wait = queues.waits.of(kind).clone();
                let name = format!("{}-{}-{number}", context.name, kind.name());
                stops.push(sender.clone());
                // What a worker holds is its runner's, and goes with it; that it was told to stop does not.
                let work = move |stopped: &mut bool, progress: &Progress| {
                    if kind == Kind::Compute {
                        give_way();
                    }
                    let runner = Runner::new(engine.clone(), Arc::clone(&context));
                    Worker::new(runner, queue.clone(), wait.clone(), stopped).run(progress);
                };
                workers.push(supervise::spawn(name, &queues.stopping, false, work, |_, _| {})?);
            }
        }
        let consumer = Consumer::new(engine.clone(), context, queues.clone());
        Ok(Self { stopping: Arc::clone(&queues.stopping), stops, workers, consumer })
    }

    /// The service, as subscription workers and operators reach it.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        self.consumer.clone()
    }

    /// Takes no more jobs, answers those in the queues, and ends the threads.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // Behind all that was taken: one for each worker, which takes nothing after it.
        for queue in &self.stops {
            let _ = queue.send(Work::Stop);
        }
        for worker in self.workers {
            // Its panic stands in the log.
            let _ = worker.join();
        }
    }
}

/// What a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Compute,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Compute => "compute",
        }
    }
}

#[cfg(test)]
mod tests;
