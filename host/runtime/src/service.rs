//! A service: what it is given, its queues, and its worker threads.
//!
//! Reads (GET, HEAD, OPTIONS) never wait behind the rest, and neither of them behind handlers that compute for long: each kind has a queue and
//! workers of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulkhead_store::{AfterCommit, Database, StoreError, Writer, WriterOptions};
use bulkhead_types::{Clock, Random, limits};
use flume::{Receiver, Sender, TrySendError};

use crate::capability::is_read;
use crate::component::Component;
use crate::compute::{ComputeRoutes, give_way};
use crate::consumer::Consumer;
use crate::engine::Engine;
use crate::hold::Member;
use crate::job::{Failure, Job};
use crate::runner::Runner;
use crate::worker::Worker;

/// What the manifest lets a service do.
#[derive(Debug, Clone, Default)]
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
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Default)]
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
        let writer = Writer::open(Arc::clone(&database), WriterOptions::default(), after_commit)?;
        Ok(Self { database, writer })
    }
}

/// What is around every service of an application.
pub struct Surroundings {
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub random: Box<dyn Random>,
    /// The services, by name.
    pub directory: Directory,
}

/// The way to every service's queues.
pub type Directory = BTreeMap<String, Queues>;

/// What stands in a queue.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are jobs: boxing them would cost each an allocation"
)]
pub(crate) enum Work {
    /// A request.
    Job(Job),
    /// The one who takes it is to end.
    Stop,
}

/// The sending ends of a service's queues.
#[derive(Clone)]
pub struct Queues {
    reads: Sender<Work>,
    writes: Sender<Work>,
    computations: Sender<Work>,
    /// Set when the service starts.
    compute_routes: Arc<OnceLock<ComputeRoutes>>,
    stopping: Arc<AtomicBool>,
    routes: Arc<[String]>,
    /// Bytes that a body may have.
    pub body: usize,
    /// Time for a request.
    pub request_timeout: Duration,
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
    let (reads, read_end) = flume::bounded(spec.limits.queue);
    let (writes, write_end) = flume::bounded(spec.limits.queue);
    let (computations, computation_end) = flume::bounded(spec.limits.queue);
    let queues = Queues {
        reads,
        writes,
        computations,
        compute_routes: Arc::default(),
        stopping: Arc::default(),
        routes: spec.routes.clone().into(),
        body: spec.limits.body,
        request_timeout: spec.limits.request_timeout,
    };
    (queues, QueueEnds { reads: read_end, writes: write_end, computations: computation_end })
}

impl Queues {
    /// Puts a job into the queue for its route or its method. It is answered through its reply, later.
    ///
    /// # Errors
    ///
    /// [`Failure::QueueFull`] or [`Failure::Stopping`]; the job was not taken, and its reply is dropped.
    pub fn submit(&self, job: Job) -> Result<(), Failure> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Failure::Stopping);
        }
        let (method, path) = (&job.request.method, &job.request.path);
        let queue = if self.compute_routes.get().is_some_and(|routes| routes.has(method, path)) {
            &self.computations
        } else if is_read(method) {
            &self.reads
        } else {
            &self.writes
        };
        queue.try_send(Work::Job(job)).map_err(|error| match error {
            TrySendError::Full(_) => Failure::QueueFull,
            TrySendError::Disconnected(_) => Failure::Stopping,
        })
    }

    /// The routes of the manifest that lead to the service.
    #[must_use]
    pub fn routes(&self) -> &[String] {
        &self.routes
    }

    /// The route of the manifest that `path` falls under, the most specific one.
    #[must_use]
    pub fn route_of(&self, path: &str) -> Option<&str> {
        self.routes
            .iter()
            .map(String::as_str)
            .filter(|route| route_matches(route, path))
            .max_by_key(|r| r.len())
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

/// What the handlers of a service can reach.
pub(crate) struct ServiceContext {
    pub(crate) name: String,
    pub(crate) grants: Grants,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) instances: InstancePolicy,
    /// Changes when a service is rebuilt from the logs: whoever begins to handle something takes what is there then.
    database: RwLock<Option<Arc<ServiceDatabase>>>,
    pub(crate) surroundings: Arc<Surroundings>,
    /// Raised when units of work that handlers thought kept are gone: instances from before may remember what never happened.
    pub(crate) lost: AtomicU64,
}

impl ServiceContext {
    pub(crate) fn new(
        spec: ServiceSpec,
        database: Option<Arc<ServiceDatabase>>,
        surroundings: Arc<Surroundings>,
    ) -> Arc<Self> {
        let database = RwLock::new(database);
        let ServiceSpec { name, routes: _, grants, config, secrets, limits, instances } = spec;
        let lost = AtomicU64::new(0);
        Arc::new(Self { name, grants, config, secrets, limits, instances, database, surroundings, lost })
    }

    /// The database, as it is now.
    pub(crate) fn database(&self) -> Option<Arc<ServiceDatabase>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same with another database, and nothing else shared that changes.
    pub(crate) fn with_database(&self, database: Arc<ServiceDatabase>) -> Arc<Self> {
        Arc::new(Self {
            name: self.name.clone(),
            grants: self.grants.clone(),
            config: self.config.clone(),
            secrets: self.secrets.clone(),
            limits: self.limits.clone(),
            instances: self.instances,
            database: RwLock::new(Some(database)),
            surroundings: Arc::clone(&self.surroundings),
            lost: AtomicU64::new(0),
        })
    }

    /// Puts another database in the place of the one that is there.
    pub(crate) fn replace_database(&self, database: Arc<ServiceDatabase>) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
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
        component: Arc<Component>,
        spec: ServiceSpec,
        database: Option<Arc<ServiceDatabase>>,
        surroundings: &Arc<Surroundings>,
        queues: &Queues,
        ends: QueueEnds,
    ) -> std::io::Result<Self> {
        let compute_routes = ComputeRoutes::of(component.description.as_ref());
        let Limits { read_workers, write_workers, compute_workers, .. } = spec.limits;
        let compute_workers = if compute_routes.is_empty() { 0 } else { compute_workers };
        // A service is started once for its queues.
        let _ = queues.compute_routes.set(compute_routes);
        let context = ServiceContext::new(spec, database, Arc::clone(surroundings));
        let kinds = [
            (Kind::Read, &queues.reads, ends.reads, read_workers),
            (Kind::Write, &queues.writes, ends.writes, write_workers),
            (Kind::Compute, &queues.computations, ends.computations, compute_workers),
        ];
        let (mut workers, mut stops) = (Vec::new(), Vec::new());
        for (kind, sender, queue, count) in kinds {
            for number in 0..count {
                let (engine, component) = (engine.clone(), Arc::clone(&component));
                let (context, queue) = (Arc::clone(&context), queue.clone());
                let name = format!("{}-{}-{number}", context.name, kind.name());
                let thread = thread::Builder::new().name(name);
                stops.push(sender.clone());
                workers.push(thread.spawn(move || {
                    if kind == Kind::Compute {
                        give_way();
                    }
                    work(&engine, &component, &context, &queue);
                })?);
            }
        }
        let consumer = Consumer::new(engine.clone(), component, context);
        Ok(Self { stopping: Arc::clone(&queues.stopping), stops, workers, consumer })
    }

    /// The service, as lanes and operators reach it.
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
            if worker.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
    }
}

/// What a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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

/// Runs a worker until it is told to stop.
///
/// A panic of the host's own code would be a mistake; it must not cost a service a thread. What the worker held goes with it: its
/// lease rolls an open batch back, and the replies that are dropped tell their clients that nothing was done.
fn work(engine: &Engine, component: &Arc<Component>, context: &Arc<ServiceContext>, queue: &Receiver<Work>) {
    let run = || {
        let runner = Runner::new(engine.clone(), Arc::clone(component), Arc::clone(context));
        Worker::new(runner, queue.clone()).run();
    };
    while panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
        tracing::error!(service = context.name, "a worker panicked and is started anew");
    }
}

#[cfg(test)]
mod tests {
    use super::route_matches;

    #[test]
    fn route_with_dots_takes_what_is_below_and_nothing_beside() {
        for (route, path, expected) in [
            ("/notes/...", "/notes", true),
            ("/notes/...", "/notes/", true),
            ("/notes/...", "/notes/1/replies", true),
            ("/notes/...", "/notesandmore", false),
            ("/notes/...", "/", false),
            ("/notes", "/notes", true),
            ("/notes", "/notes/1", false),
            ("/...", "/anything", true),
            ("/...", "/", true),
        ] {
            assert_eq!(route_matches(route, path), expected, "{route} {path}");
        }
    }
}
