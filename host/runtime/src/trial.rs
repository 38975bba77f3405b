//! For tests: a service without guest code, on a database of its own, whose commits fail when the test says so.

mod lines;
mod seen;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bulkhead_sqlite::Sqlite;
use bulkhead_store::{
    CommitFault, CommitFaults, Engine as _, InboxReader, Logged, MemoryLog, NewEvent, Parked, Settings,
    StatementError, WriterOptions,
};
use bulkhead_types::limits::{BATCH_AGE_MAX, MEMORY_DEFAULT};
use bulkhead_types::{Clock, Random, Sequence, SystemClock, TraceId};
use flume::Receiver;
use http::{HeaderName, HeaderValue, StatusCode};
use tempfile::TempDir;

use crate::bindings::bulkhead::service::types::Request;
use crate::cache::ComponentCache;
use crate::component::{Compiled, Component};
use crate::consumer::Consumer;
use crate::database::{ServiceDatabase, UnitOfWork, WritableDatabase};
use crate::deferred::{Deferred, DeferredWork, Source};
use crate::delivery::{Written, parked};
use crate::engine::Engine;
use crate::host_context::HostContext;
use crate::instance::{NotConsumed, Run};
use crate::job::{Answer, Failure, Job, Outcome};
use crate::member::{Member, Pending, RequestMember, Settle};
use crate::observer::Observers;
use crate::queues::queues;
use crate::release::{Release, ServiceContext};
use crate::runner::Runner;
use crate::running::Calls;
use crate::spec::ServiceSpec;
use crate::state::State;
use crate::subscription::{Subscription, SubscriptionSpec};
use crate::subscription_worker::SubscriptionWorker;
use crate::waited::Waited;

/// An empty component: it exports no handler, so each event for it becomes a dead letter.
pub(crate) const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
/// Bytes that a database may have.
pub(crate) const STORAGE: u64 = 1 << 30;

pub(crate) use lines::lines_with;
pub(crate) use seen::Seen;

/// A service.
pub(crate) struct Trial {
    pub(crate) consumer: Consumer,
    pub(crate) context: Arc<ServiceContext>,
    pub(crate) commits: CommitFaults,
    pub(crate) seen: Seen,
    /// How often an event failed: each time a wait is chosen at random.
    pub(crate) failures: Arc<AtomicUsize>,
    _folder: TempDir,
}

/// Counts how often it is asked.
struct Counted(Arc<AtomicUsize>);

impl Random for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fetch_add(1, Ordering::AcqRel);
        bytes.fill(0);
    }
}

impl Trial {
    /// A service whose units of work wait for the lease no longer than `request_timeout`.
    pub(crate) fn new(request_timeout: Duration) -> Self {
        Self::with_storage(request_timeout, STORAGE)
    }

    /// The same, with a database of at most `storage` bytes.
    pub(crate) fn with_storage(request_timeout: Duration, storage: u64) -> Self {
        Self::with_clock(request_timeout, storage, Arc::new(SystemClock))
    }

    /// The same, with a database that has this clock.
    pub(crate) fn with_clock(request_timeout: Duration, storage: u64, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(4, MEMORY_DEFAULT).unwrap();
        let mut spec = ServiceSpec { name: "taker".into(), ..ServiceSpec::default() };
        spec.limits.request_timeout = request_timeout;
        let (commits, failures) = (CommitFaults::default(), Arc::<AtomicUsize>::default());
        let seen = Seen::default();
        let host_context = Arc::new(HostContext {
            clock: Box::new(SystemClock),
            random: Box::new(Counted(Arc::clone(&failures))),
            directory: Default::default(),
            observers: Observers::new(vec![Arc::new(seen.clone())]),
            faults: None,
        });
        let cache = ComponentCache::existing(Path::new("/there/is/none"));
        let compiled = Compiled::new(&engine, &cache, EMPTY).unwrap();
        let component = Component::load(&engine, &compiled, &spec, &host_context).unwrap();
        let settings = Settings { path: folder.path().join("taker.db"), storage };
        let database: Arc<WritableDatabase> = Sqlite.open(settings, clock).unwrap();
        database.migrate(&[], "now").unwrap();
        let options = WriterOptions { faults: commits.clone(), ..WriterOptions::default() };
        let database = ServiceDatabase::open_with(database, options, Arc::new(|_| {})).unwrap();
        let (queues, _) = queues(&spec, &host_context.observers);
        let release = Release {
            component: Arc::new(component),
            spec: Arc::new(spec),
            database: Some(Arc::new(database)),
            probation: None,
        };
        let context = ServiceContext::new(release, host_context);
        let consumer = Consumer::new(engine, Arc::clone(&context), queues);
        Self { consumer, context, commits, seen, failures, _folder: folder }
    }

    /// What an instance's store holds for a handler of the service, whose manifest grants nothing.
    pub(crate) fn state(&self) -> State {
        State::new(Arc::default(), Arc::clone(&self.context.host_context))
    }

    /// Makes the next commits fail.
    pub(crate) fn fail_commits(&self, count: usize) {
        (0..count).for_each(|_| self.commits.plan(CommitFault::BeforeDurable));
    }

    pub(crate) fn inbox(&self) -> Box<dyn InboxReader> {
        self.consumer.inbox().unwrap()
    }

    /// Sets a timer that is due.
    pub(crate) fn set_timer(&self, id: &str) {
        let event = NewEvent {
            id,
            kind: "taker.rung",
            subject: &"a".into(),
            time: "now",
            trace_id: trace_id(),
            data: "{}",
        };
        self.write(|unit| {
            unit.schedule(&event, Duration::ZERO).map_err(|error| StatementError::Other(error.to_string()))
        });
    }

    /// Parks an event of the producer, which is due.
    pub(crate) fn park(&self, event: &Logged) {
        self.park_because(event, &NotConsumed::Retry("no".into()));
    }

    /// The same for an event that was not consumed for this reason.
    pub(crate) fn park_because(&self, event: &Logged, why: &NotConsumed) {
        self.park_row(&self.row(event, why));
    }

    /// The row of such an event, which is due.
    pub(crate) fn row(&self, event: &Logged, why: &NotConsumed) -> Parked {
        Parked { next: Duration::ZERO, ..parked(&self.consumer.runner(), event, &"maker".into(), 1, why) }
    }

    pub(crate) fn park_row(&self, row: &Parked) {
        self.write(|unit| unit.park(row));
    }

    /// A request whose handler made these calls, and whose batch was aborted.
    pub(crate) fn aborted(&self, job: Job, calls: Calls) -> Member {
        let (release, pending) = (self.context.release.get(), Pending::new(&self.context.aborts));
        let (component, spec) = (Arc::clone(&release.component.info), Arc::clone(&release.spec));
        let outcome = Err(Failure::Aborted);
        Member::Request(RequestMember { job, outcome, calls, component, spec, pending, kept: true })
    }

    /// A thread's runner that keeps a batch which is due, and the receiver that gets whether the batch is durable.
    pub(crate) fn with_open_batch(&self) -> (Runner, Receiver<bool>) {
        loop {
            let (sender, received) = flume::unbounded();
            let mut runner = self.consumer.runner();
            let settle = Settle::new(move |kept| sender.send(kept).unwrap());
            let opened = Instant::now();
            assert_eq!(runner.write(|_| Ok(true), settle, true), Written::Kept);
            // On a busy machine the batch may have been due at once, and was committed.
            if runner.keeps_batch() {
                while opened.elapsed() <= 2 * BATCH_AGE_MAX {
                    std::thread::yield_now();
                }
                return (runner, received);
            }
        }
    }

    /// Runs a unit of work, which is durable when this returns.
    pub(crate) fn write(&self, work: impl FnOnce(&mut UnitOfWork) -> Result<(), StatementError>) {
        let (sender, received) = flume::bounded(1);
        let settle = Settle::new(move |kept| sender.send(kept).unwrap());
        let mut runner = self.consumer.runner();
        assert_eq!(runner.write(|unit| work(unit).map(|()| true), settle, false), Written::Kept);
        assert!(received.recv().unwrap());
    }

    /// The timers that are due, by their places.
    pub(crate) fn due_timers(&self, inbox: &mut dyn InboxReader) -> Vec<i64> {
        let now = self.consumer.runner().time();
        let (timers, _) = inbox.due_timers(now, 64).unwrap();
        timers.into_iter().map(|timer| timer.sequence.get()).collect()
    }

    /// The service's deferred work, with these events in the producer's event log.
    pub(crate) fn deferred(&self, events: Vec<Logged>) -> DeferredWork {
        let source: Source = (Arc::new(subscription()), Box::new(MemoryLog::from(events)));
        DeferredWork::new(
            Arc::new(Deferred::default()),
            self.consumer.runner(),
            self.inbox(),
            [("maker".into(), source)].into(),
            Arc::default(),
        )
    }

    /// The worker of its subscription, with these events in the event log.
    pub(crate) fn subscription_worker(&self, events: Vec<Logged>) -> (Arc<Subscription>, SubscriptionWorker) {
        let subscription = Arc::new(subscription());
        let subscription_worker = SubscriptionWorker::new(
            Arc::clone(&subscription),
            Box::new(MemoryLog::from(events)),
            self.consumer.runner(),
            self.inbox(),
            Arc::default(),
            Arc::default(),
        );
        (subscription, subscription_worker)
    }
}

/// Its subscription.
fn subscription() -> Subscription {
    Subscription::new(SubscriptionSpec {
        producer: "maker".into(),
        consumer: "taker".into(),
        types: ["maker.made".to_owned()].into(),
        replicas: Vec::new(),
    })
}

/// The trace of all requests and events.
pub(crate) fn trace_id() -> TraceId {
    "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap()
}

/// An event of the producer's event log.
pub(crate) fn event(sequence: i64, kind: &str, subject: &str) -> Logged {
    Logged {
        sequence: Sequence::new(sequence),
        id: format!("e{sequence}"),
        kind: kind.into(),
        subject: subject.into(),
        time: "now".into(),
        trace_id: trace_id(),
        data: "{}".into(),
    }
}

/// A POST from nobody, and the receiver of its outcome.
pub(crate) fn job(deadline: Instant, key: Option<&str>) -> (Job, Receiver<Outcome>) {
    let (sender, received) = flume::unbounded();
    let request = Request {
        method: "POST".into(),
        route: "/taker/...".into(),
        path: "/taker/things".into(),
        query: None,
        headers: Vec::new(),
        body: Vec::new(),
        principal: None,
        peer: String::new(),
        caller: None,
        trace_id: trace_id().to_string(),
    };
    let job = Job {
        request,
        trace_id: trace_id(),
        deadline,
        reply: Box::new(move |outcome| sender.send(outcome).unwrap()),
        again: false,
        logged: false,
        idempotency_key: key.map(str::to_owned),
        waited: Waited::default(),
    };
    (job, received)
}

/// 201 with these headers.
pub(crate) fn answer(headers: &[(HeaderName, &str)]) -> Answer {
    let value = |(name, value): &(HeaderName, &str)| (name.clone(), HeaderValue::from_str(value).unwrap());
    Answer {
        status: StatusCode::CREATED,
        headers: headers.iter().map(value).collect(),
        body: Vec::new(),
        position: None,
        replayed: false,
        version: HeaderValue::from_static("taker@1"),
    }
}

/// How a handler left that called nobody.
pub(crate) fn run(outcome: Outcome, keep: bool) -> Run {
    let (calls, running) = (Calls::None, None);
    Run { outcome, keep, calls, called_in_recovery: false, logged: false, running, spoilt: false }
}
