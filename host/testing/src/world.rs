//! The world of a test: services on this thread, the subscriptions between them, and what was recorded.
//!
//! Invariants: nothing runs unless the test asks for it, and only one thing runs at a time. What a handler sees of the world (time,
//! randomness, the ids of requests and events) is a function of the seed and of what the test did before.

use std::cell::{Cell, RefCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant};

use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_runtime::{
    Component, Failure, HostContext, Job, Observers, Queues, Release, ServiceDatabase, SteppedService,
    SteppedSubscriptionWorker, SteppedTimers, Subscription, WritableDatabase,
};
use bulkhead_server::database_engine;
use bulkhead_store::{
    CommitFaults, EventLog, InboxReader, Logged, MemoryLog, Reader, Settings, StatementError, StoreError,
    WriterOptions,
};
use bulkhead_types::{Clock as _, Random as _, Sequence, ServiceName, TraceId};
use tempfile::TempDir;
use tracing::Dispatch;

use crate::clock::{SeededRandom, TestClock};
use crate::component::{ENGINE, compiled};
use crate::fail::or_fail;
use crate::fault::Fault;
use crate::hits::Hits;
use crate::recorder::Recorder;
use crate::stand_in::{StandIn, answer};
use crate::template;

/// A folder for temporary files in memory, on systems that have it.
const MEMORY_FOLDER: &str = "/dev/shm";
/// With less room than this it is not used: a container's may be too small for tests side by side.
const MEMORY_ROOM_MIN: u64 = 256 << 20;
/// The prefix of the tests' folder names, before the process id.
const PREFIX: &str = "bulkhead-test-";
/// Handlers in tests have a long timeout: the machine may be busy with others.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for the writer lease.
const LEASE_HOLD: Duration = Duration::from_secs(30);
/// The time between two requests or events, so that the later one has a later time.
const BETWEEN: Duration = Duration::from_millis(1);

/// The services and settings of a test.
pub(crate) struct Plan {
    pub(crate) manifest: Manifest,
    pub(crate) run: Vec<ServiceName>,
    pub(crate) stand_ins: BTreeMap<ServiceName, StandIn>,
    pub(crate) seed: u64,
    pub(crate) now: Duration,
}

/// A running service.
pub(crate) struct Member {
    pub(crate) stepped: SteppedService,
    pub(crate) component: Arc<Component>,
    pub(crate) entry: ServiceSection,
    pub(crate) queues: Queues,
    database: Option<Arc<WritableDatabase>>,
}

/// The running services, by name. Set once all are created.
type Members = Arc<OnceLock<BTreeMap<ServiceName, Member>>>;

/// The readers of a service's database, opened at their first use.
#[derive(Default)]
pub(crate) struct Looks {
    pub(crate) log: Option<Box<dyn EventLog>>,
    pub(crate) inbox: Option<Box<dyn InboxReader>>,
    pub(crate) rows: Option<Box<dyn Reader>>,
    /// The last event that the test has seen.
    pub(crate) seen: Sequence,
}

pub(crate) struct World {
    pub(crate) clock: TestClock,
    pub(crate) recorder: Recorder,
    pub(crate) hits: Hits,
    dispatch: Dispatch,
    commits: CommitFaults,
    members: Members,
    ids: SeededRandom,
    subscriptions: Vec<Arc<Subscription>>,
    subscription_workers: RefCell<BTreeMap<(ServiceName, ServiceName), SteppedSubscriptionWorker>>,
    deferred: RefCell<BTreeMap<ServiceName, SteppedTimers>>,
    /// The event logs of producers that do not run: the test supplies their events.
    feeds: RefCell<BTreeMap<ServiceName, MemoryLog>>,
    looks: RefCell<BTreeMap<ServiceName, Looks>>,
    /// The record of the last call was already shown.
    reported: Cell<bool>,
    /// Removed when everything in it is closed.
    _folder: TempDir,
}

impl World {
    #[track_caller]
    pub(crate) fn start(plan: Plan) -> Rc<Self> {
        let Plan { manifest, run, stand_ins, seed, now } = plan;
        let (recorder, clock) = (Recorder::default(), TestClock::new(now));
        let (dispatch, commits) = (recorder.dispatch(), CommitFaults::default());
        let members = Members::default();
        let stand_ins = Arc::new(stand_ins);
        let mut directory = BTreeMap::new();
        for (name, entry) in &manifest.services {
            // Weak: each member holds the directory. A strong reference would keep all members, with their instances and files, forever.
            let (members, stand_ins) = (Arc::downgrade(&members), Arc::clone(&stand_ins));
            let (recorder, name) = (recorder.clone(), name.clone());
            let key = name.clone();
            let run = move |job: Job| {
                let members = members.upgrade();
                let member = members.as_ref().and_then(|all| all.get()?.get(&name));
                match (member, stand_ins.get(&name)) {
                    (_, Some(stand_in)) => answer(stand_in, job),
                    (Some(member), None) => member.stepped.run(job),
                    (None, None) => {
                        let caller = job.request.caller.as_deref().unwrap_or_default();
                        recorder.mistake(format!(
                        "{caller} calls {name} ({} {}), which neither runs nor has a stand-in: add .stand_in(\"{name}\", …) or run it",
                        job.request.method, job.request.path
                    ));
                        (job.reply)(Err(Failure::Stopping));
                    }
                }
            };
            directory.insert(key, Queues::at_once(&entry.spec, Arc::new(run)));
        }
        let folder = folder();
        let mut all = BTreeMap::new();
        for name in &run {
            let Some(entry) = manifest.services.get(name) else {
                let names = manifest.services.keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
                panic!("{} has no service {name}; it has {names}", manifest.path.display());
            };
            let host_context = Arc::new(HostContext {
                clock: Box::new(clock.clone()),
                // Each service has its own, so that requests of one service for random bytes change nothing for another.
                random: Box::new(SeededRandom::new(seed_of(seed, name))),
                directory: directory.clone(),
                observers: Observers::new(vec![Arc::new(recorder.clone())]),
                faults: Some(Arc::new(recorder.clone())),
            });
            let made = tracing::dispatcher::with_default(&dispatch, || {
                member(name, entry, &manifest, &host_context, &clock, folder.path(), &commits)
            });
            all.insert(name.clone(), or_fail(made, |error| format!("service {name}: {error}")));
        }
        let subscriptions = manifest
            .subscriptions()
            .into_iter()
            .filter(|subscription| all.contains_key(&subscription.consumer));
        let subscriptions = subscriptions.map(|spec| Arc::new(Subscription::new(spec))).collect();
        assert!(members.set(all).is_ok(), "they are set once");
        Rc::new(Self {
            clock,
            recorder,
            hits: Hits::default(),
            dispatch,
            commits,
            members,
            ids: SeededRandom::new(seed),
            subscriptions,
            subscription_workers: RefCell::default(),
            deferred: RefCell::default(),
            feeds: RefCell::default(),
            looks: RefCell::default(),
            reported: Cell::new(true),
            _folder: folder,
        })
    }

    pub(crate) fn members(&self) -> &BTreeMap<ServiceName, Member> {
        self.members.get().expect("they are set at the start")
    }

    #[track_caller]
    pub(crate) fn member(&self, name: &str) -> &Member {
        let names = || self.members().keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
        or_fail(self.members().get(name).ok_or(()), |()| {
            format!("{name} does not run here; these do: {}", names())
        })
    }

    /// A request or an event comes to a service: later than the one before.
    pub(crate) fn tick(&self) {
        self.clock.move_to(self.clock.now() + BETWEEN);
    }

    /// Sets the wall clock forward or back by this number of seconds.
    pub(crate) fn set_clock_by(&self, seconds: i64) {
        let (now, step) = (self.clock.now(), Duration::from_secs(seconds.unsigned_abs()));
        self.clock.set(if seconds < 0 { now.saturating_sub(step) } else { now + step });
    }

    /// Runs `work`, a request or a delivery, and records what happens in it.
    #[track_caller]
    pub(crate) fn observe<T>(&self, what: String, fault: Option<Fault>, work: impl FnOnce() -> T) -> T {
        self.recorder.clear();
        self.observe_more(what, fault, work)
    }

    /// The same, but keeps the earlier record.
    #[track_caller]
    pub(crate) fn observe_more<T>(&self, what: String, fault: Option<Fault>, work: impl FnOnce() -> T) -> T {
        self.recorder.begin(what, fault, &self.commits);
        self.reported.set(false);
        let result = tracing::dispatcher::with_default(&self.dispatch, work);
        if let Err(mistake) = self.recorder.end(&self.commits) {
            self.fail(&mistake);
        }
        result
    }

    /// Fails the test, and shows what happened in the last request or delivery.
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        self.fail_of(why, &self.recorder.reported())
    }

    /// The same with the record of an earlier one.
    #[track_caller]
    pub(crate) fn fail_of(&self, why: &str, reported: &str) -> ! {
        self.reported.set(true);
        panic!("{why}\n\nwhat happened:\n{reported}");
    }

    /// A new trace.
    pub(crate) fn trace_id(&self) -> TraceId {
        TraceId::new(&self.ids)
    }

    /// A new id, a UUIDv7.
    pub(crate) fn id(&self) -> String {
        let mut random = [0; 10];
        self.ids.fill(&mut random);
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid().to_string()
    }

    /// The deadline of work that begins now.
    pub(crate) fn deadline() -> Instant {
        Instant::now() + REQUEST_TIMEOUT
    }

    /// Reads a service's database.
    #[track_caller]
    pub(crate) fn look<T>(
        &self,
        name: &str,
        look: impl FnOnce(&Arc<WritableDatabase>, &mut Looks) -> Result<T, String>,
    ) -> T {
        self.member(name);
        or_fail(self.try_look(name, look), |error| error)
    }

    /// The same for use in a closure: returns an error instead of a panic.
    pub(crate) fn try_look<T>(
        &self,
        name: &str,
        look: impl FnOnce(&Arc<WritableDatabase>, &mut Looks) -> Result<T, String>,
    ) -> Result<T, String> {
        let database = self.members().get(name).and_then(|member| member.database.as_ref());
        let database = database.ok_or_else(|| format!("the manifest gives {name} no database"))?;
        let mut looks = self.looks.borrow_mut();
        let looks = looks.entry(name.to_owned().into()).or_default();
        look(database, looks).map_err(|error| format!("look at the database of {name}: {error}"))
    }

    /// The subscriptions of the running services, in the order of producer and consumer, as the manifest gives them.
    pub(crate) fn subscriptions(&self) -> &[Arc<Subscription>] {
        &self.subscriptions
    }

    /// The event log of a producer that does not run.
    pub(crate) fn feed(&self, producer: &str) -> MemoryLog {
        self.feeds.borrow_mut().entry(producer.to_owned().into()).or_default().clone()
    }

    fn open_log(&self, producer: &str) -> Result<Option<Box<dyn EventLog>>, StoreError> {
        match self.members().get(producer) {
            None => Ok(Some(Box::new(self.feed(producer)))),
            Some(member) => match &member.database {
                Some(database) => database.event_log().map(Some),
                None => Ok(None),
            },
        }
    }

    /// Whether the producer of a subscription has an event for the consumer.
    #[track_caller]
    pub(crate) fn has_next(&self, subscription: &Arc<Subscription>) -> bool {
        match self.on_subscription_worker(subscription, SteppedSubscriptionWorker::has_next) {
            Ok(has_next) => has_next,
            Err(why) => self.fail(&why),
        }
    }

    /// Lets a subscription's consumer consume the next event of its producer. Returns the event, if there is one, or why the subscription
    /// does not continue.
    pub(crate) fn step(
        &self,
        subscription: &Arc<Subscription>,
        renewed: bool,
    ) -> Result<Option<Logged>, String> {
        self.on_subscription_worker(subscription, |subscription_worker| {
            if renewed {
                subscription_worker.renew();
            }
            subscription_worker.step()
        })
    }

    fn on_subscription_worker<T>(
        &self,
        subscription: &Arc<Subscription>,
        work: impl FnOnce(&mut SteppedSubscriptionWorker) -> Result<T, String>,
    ) -> Result<T, String> {
        let (producer, consumer) = (&subscription.spec.producer, &subscription.spec.consumer);
        let mut subscription_workers = self.subscription_workers.borrow_mut();
        let subscription_worker = match subscription_workers.entry((producer.clone(), consumer.clone())) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let log = self.open_log(producer).map_err(|error| error.to_string())?;
                let log = log.ok_or_else(|| format!("{producer} has no database"))?;
                let member =
                    self.members().get(consumer).ok_or_else(|| format!("{consumer} does not run"))?;
                place.insert(
                    member
                        .stepped
                        .subscription_worker(subscription, log)
                        .map_err(|error| error.to_string())?,
                )
            }
        };
        work(subscription_worker).map_err(|why| format!("the subscription does not go on: {why}"))
    }

    /// The timers of all services that are due and were not consumed yet, parked ones included: each with its service, its type and its id.
    /// If one disappears before it is due, it was cancelled.
    pub(crate) fn timers(&self) -> Result<BTreeSet<(ServiceName, String, String)>, String> {
        let mut timers = BTreeSet::new();
        for (name, _) in self.members().iter().filter(|(_, member)| member.database.is_some()) {
            let (set, parked) = self.try_look(name, |database, looks| {
                let inbox = looks.inbox(database)?;
                let reported = |error: StatementError| error.to_string();
                Ok((inbox.timers().map_err(reported)?, inbox.parked().map_err(reported)?))
            })?;
            let parked = parked.into_iter().filter(|parked| parked.producer == *name);
            let due = set.into_iter().filter(|(_, due)| *due <= self.clock.now());
            let ids = due.map(|(event, _)| (event.kind, event.id));
            let ids = ids.chain(parked.map(|parked| (parked.kind, parked.id)));
            timers.extend(ids.map(|(kind, id)| (name.clone(), kind, id)));
        }
        Ok(timers)
    }

    /// Lets every service consume the timers and parked events that are due now. Returns when the next one is due.
    pub(crate) fn consume_due(&self, renewed: bool) -> Result<Option<Duration>, String> {
        let mut next: Option<Duration> = None;
        for (name, member) in self.members().iter().filter(|(_, member)| member.database.is_some()) {
            let mut timers = self.deferred.borrow_mut();
            let timers = match timers.entry(name.clone()) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(place) => {
                    let subscriptions =
                        self.subscriptions.iter().filter(|subscription| subscription.spec.consumer == *name);
                    let subscriptions: Vec<_> = subscriptions.cloned().collect();
                    let timers = member.stepped.timers(&subscriptions, &|name| self.open_log(name));
                    place.insert(timers.map_err(|error| error.to_string())?)
                }
            };
            if renewed {
                timers.renew();
            }
            let now = self.clock.now();
            let wait = timers.consume_due().map_err(|why| format!("{name} waits: {why}"))?;
            next = [next, wait.map(|wait| now + wait)].into_iter().flatten().min();
        }
        Ok(next)
    }
}

impl Drop for World {
    /// A test that fails in its own assertion also shows what happened.
    fn drop(&mut self) {
        if std::thread::panicking() && !self.reported.get() {
            eprintln!("\nwhat happened in the last call:\n{}", self.recorder.reported());
        }
    }
}

/// Creates a service, with its database at the schema of its component.
fn member(
    name: &str,
    entry: &ServiceSection,
    manifest: &Manifest,
    host_context: &Arc<HostContext>,
    clock: &TestClock,
    folder: &Path,
    commits: &CommitFaults,
) -> Result<Member, String> {
    let compiled = compiled(name, entry, &manifest.path)?;
    let mut entry = entry.clone();
    entry.spec.limits.request_timeout = REQUEST_TIMEOUT;
    entry.spec.limits.lease_hold = LEASE_HOLD;
    let component = compiled.file.load(&ENGINE, &entry, host_context).map_err(|errors| errors.join("\n"))?;
    let component = Arc::new(component);
    let opened = entry.database.as_ref().map(|_| {
        let path = folder.join(format!("{name}.db"));
        template::put(&path, &compiled.folder, &entry, &component)?;
        let failed = |error: StoreError| error.to_string();
        let settings = Settings { path, storage: entry.spec.limits.storage };
        let database = database_engine().open(settings, Arc::new(clock.clone())).map_err(failed)?;
        // Each unit of work is a batch of its own. Otherwise the speed of the machine would decide whether two share a batch.
        let options = WriterOptions { batch_members: 1, faults: commits.clone(), ..WriterOptions::default() };
        let service = ServiceDatabase::open_with(Arc::clone(&database), options, Arc::new(|_| {}));
        Ok::<_, String>((database, Arc::new(service.map_err(failed)?)))
    });
    let (database, service) = opened.transpose()?.unzip();
    let release = Release {
        component: Arc::clone(&component),
        spec: Arc::new(entry.spec.clone()),
        database: service,
        probation: None,
    };
    let queues = host_context.directory.get(name).cloned().ok_or("it has no queues")?;
    let stepped = SteppedService::new(&ENGINE, release, host_context, queues.clone());
    Ok(Member { stepped, component, entry, queues, database })
}

/// A folder that is removed with the test. It is in memory if there is such a place with room.
#[track_caller]
fn folder() -> TempDir {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| remove_leftovers(Path::new(MEMORY_FOLDER)));
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    let room = rustix::fs::statvfs(MEMORY_FOLDER).map_or(0, |there| there.f_bavail * there.f_frsize);
    let in_memory = (room >= MEMORY_ROOM_MIN).then(|| builder.tempdir_in(MEMORY_FOLDER));
    let folder = in_memory.and_then(Result::ok).map_or_else(|| builder.tempdir(), Ok);
    folder.expect("a temporary folder can be made")
}

/// Removes the folders of killed tests, whose processes no longer exist.
fn remove_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let is_gone =
            |process: &str| process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists();
        if process.is_some_and(is_gone) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The seed of a service.
fn seed_of(seed: u64, name: &str) -> u64 {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(name).finalize();
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
