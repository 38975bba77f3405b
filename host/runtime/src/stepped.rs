//! A service on its caller's thread: only what the caller asks for runs, and only when the caller asks for it. It is for tests, in which
//! things then happen in one order.
//!
//! A request, an event or a timer goes through the same steps as in a host that serves: the runner, the unit of work, the position, the
//! parked events. Only the threads, and what they wait for, are left out.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_store::{Commit, Ended, EventLog, InboxReader, Logged, OpenLog};

use crate::consumer::Consumer;
use crate::deferred::{Deferred, DeferredWork};
use crate::engine::Engine;
use crate::host_context::HostContext;
use crate::job::Job;
use crate::observer::DropCause;
use crate::queues::Queues;
use crate::release::{Release, ServiceContext};
use crate::runner::{HasRunner as _, Runner};
use crate::scheduler::SchedulerError;
use crate::subscription::Subscription;
use crate::subscription_worker::SubscriptionWorker;

/// How long a test's own statement may wait for the writer, and run. A busy machine does not reach this bound.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A service without threads.
pub struct SteppedService {
    consumer: Consumer,
    runner: Mutex<Runner>,
}

impl SteppedService {
    /// A service that runs `release`. Other services reach it through `queues`.
    #[must_use]
    pub fn new(engine: &Engine, release: Release, host_context: &Arc<HostContext>, queues: Queues) -> Self {
        release.let_in(&queues);
        let context = ServiceContext::new(release, Arc::clone(host_context));
        let consumer = Consumer::new(engine.clone(), context, queues);
        let runner = Mutex::new(consumer.runner());
        Self { consumer, runner }
    }

    /// Runs a request. When this returns, the request has its answer, and what it wrote is durable.
    pub fn run(&self, mut job: Job) {
        self.consumer.queues().admission_limits().drop_needless_key(&mut job);
        // No thread waits here for itself: the calls that a manifest grants have no cycle.
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        runner.inside(|runner| {
            runner.run_job(job, || false);
            runner.recover_aborted();
        });
    }

    /// Makes the next request run on a new instance.
    pub fn renew(&self) {
        self.runner.lock().unwrap_or_else(PoisonError::into_inner).instance.retire(DropCause::Undone);
    }

    /// Runs a statement of the test itself in a unit of work, which is durable when this returns.
    ///
    /// # Errors
    ///
    /// Why nothing was written.
    pub fn write(&self, sql: &str) -> Result<(), String> {
        let database = self.consumer.database().ok_or("it has no database")?;
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let lease = database.writer.acquire(deadline).map_err(|error| error.to_string())?;
        let mut unit = lease.begin().map_err(|(_, error)| error.to_string())?;
        unit.end_at(deadline);
        let outcome = unit.execute(sql, &[]).map_err(|error| error.to_string());
        let (mut lease, ended) = unit.finish(outcome.is_ok());
        let committed = lease.commit();
        match (outcome?, ended, committed) {
            (_, Ended::Kept { .. }, Commit::Durable(_)) => Ok(()),
            _ => Err("its unit of work was not committed".to_owned()),
        }
    }

    /// The worker of one of its subscriptions.
    ///
    /// # Errors
    ///
    /// See [`SchedulerError`].
    pub fn subscription_worker(
        &self,
        subscription: &Arc<Subscription>,
        log: Box<dyn EventLog>,
    ) -> Result<SteppedSubscriptionWorker, SchedulerError> {
        let (runner, inbox) = self.open()?;
        // The row is read before the first event.
        subscription.refresh();
        Ok(SteppedSubscriptionWorker(SubscriptionWorker::new(
            Arc::clone(subscription),
            log,
            runner,
            inbox,
            Arc::default(),
            never(),
        )))
    }

    /// Its timers and parked events; `subscriptions` are its own.
    ///
    /// # Errors
    ///
    /// See [`SchedulerError`].
    pub fn timers(
        &self,
        subscriptions: &[Arc<Subscription>],
        open: &OpenLog<'_>,
    ) -> Result<SteppedTimers, SchedulerError> {
        let (runner, inbox) = self.open()?;
        let mut sources = BTreeMap::new();
        for subscription in subscriptions {
            if let Some(log) = open(&subscription.spec.producer)? {
                sources.insert(subscription.spec.producer.clone(), (Arc::clone(subscription), log));
            }
        }
        Ok(SteppedTimers(DeferredWork::new(Arc::new(Deferred::default()), runner, inbox, sources, never())))
    }

    fn open(&self) -> Result<(Runner, Box<dyn InboxReader>), SchedulerError> {
        let name = || self.consumer.name().clone();
        let database = self.consumer.database().ok_or_else(|| SchedulerError::NoDatabase(name()))?;
        Ok((self.consumer.runner(), database.database.inbox()?))
    }
}

/// A stop flag that is never set.
fn never() -> Arc<AtomicBool> {
    Arc::default()
}

/// A subscription worker without a thread.
pub struct SteppedSubscriptionWorker(SubscriptionWorker);

impl SteppedSubscriptionWorker {
    /// Consumes the next event of the event log that is for the consumer, and returns it; none if all are consumed. The event took effect,
    /// or was parked, or is a dead letter.
    ///
    /// # Errors
    ///
    /// Why the subscription worker waits, or has stopped.
    pub fn step(&mut self) -> Result<Option<Logged>, String> {
        self.0.step()
    }

    /// Whether there is another event for the consumer.
    ///
    /// # Errors
    ///
    /// Why the subscription worker waits, or has stopped.
    pub fn has_next(&mut self) -> Result<bool, String> {
        self.0.has_next()
    }

    /// Makes the next event run on a new instance.
    pub fn renew(&mut self) {
        self.0.renew();
    }
}

/// A service's timers and parked events, without a thread.
pub struct SteppedTimers(DeferredWork);

impl SteppedTimers {
    /// Consumes everything that is due, and returns the time until the next is due, if there is a next one.
    ///
    /// # Errors
    ///
    /// Why it can't, now.
    pub fn consume_due(&mut self) -> Result<Option<Duration>, String> {
        self.0.consume_due().map_err(|error| error.to_string())
    }

    /// Makes what is due next run on a new instance.
    pub fn renew(&mut self) {
        self.0.renew();
    }
}
