//! Several services of an application together, with the real subscriptions between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bulkhead_manifest::Manifest;
use bulkhead_types::{Clock as _, ServiceName, from_rfc3339, rfc3339};

use crate::advance::{STEPS_MAX, advance};
use crate::component::{manifest, read};
use crate::event::{State, state_of};
use crate::fail::or_fail;
use crate::service::Service;
use crate::stand_in::{Call, Reply, StandIn};
use crate::world::{Plan, World};

/// The time at which a test begins by default.
const BEGINNING: &str = "2026-01-01T00:00:00Z";

/// The services and settings of a test, before it runs.
#[must_use = "nothing runs until `.start()`"]
pub struct Builder {
    manifest: Manifest,
    run: Vec<ServiceName>,
    stand_ins: BTreeMap<ServiceName, StandIn>,
    seed: u64,
    now: Duration,
}

impl Builder {
    #[track_caller]
    pub(crate) fn new(manifest: Manifest, run: Vec<ServiceName>) -> Self {
        let now = from_rfc3339(BEGINNING).unwrap_or_default();
        Self { manifest, run, stand_ins: BTreeMap::new(), seed: 0, now }
    }

    /// Lets `answer` answer the calls to a service.
    pub fn stand_in(
        mut self,
        service: &str,
        answer: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.stand_ins.insert(service.into(), Box::new(answer));
        self
    }

    /// The same with a table: the first entry whose `METHOD PATH` matches the call answers it. Any other call gets 404.
    pub fn stand_in_table(self, service: &str, table: Vec<(&str, Reply)>) -> Self {
        let table: Vec<(String, Reply)> =
            table.into_iter().map(|(line, reply)| (line.to_owned(), reply)).collect();
        self.stand_in(service, move |call| {
            let line = format!("{} {}", call.method(), call.path());
            let found = table.iter().find(|(of, _)| *of == line);
            found.map_or_else(|| Reply::problem(404, "not-found"), |(_, reply)| reply.clone())
        })
    }

    /// The seed of random bytes, and so of ids. The default is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The time that the clock shows at first: RFC 3339, in UTC.
    ///
    /// # Panics
    ///
    /// When `time` is not valid.
    #[track_caller]
    pub fn at(mut self, time: &str) -> Self {
        self.now = or_fail(from_rfc3339(time).ok_or(()), |()| {
            format!("{time:?} is no time: write RFC 3339, in UTC")
        });
        self
    }

    /// A setting of a service. It overrides the manifest's.
    #[track_caller]
    pub fn config(mut self, service: &str, key: &str, value: &str) -> Self {
        self.entry(service).spec.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A secret of a service. Secrets from the environment are available as well.
    #[track_caller]
    pub fn secret(mut self, service: &str, key: &str, value: &str) -> Self {
        self.entry(service).spec.secrets.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The maximum memory of an instance of a service, in bytes.
    #[track_caller]
    pub fn memory(mut self, service: &str, bytes: u64) -> Self {
        self.entry(service).spec.limits.memory = bytes;
        self
    }

    /// The maximum size of a service's database, in bytes.
    #[track_caller]
    pub fn storage(mut self, service: &str, bytes: u64) -> Self {
        self.entry(service).spec.limits.storage = bytes;
        self
    }

    #[track_caller]
    fn entry(&mut self, service: &str) -> &mut bulkhead_manifest::ServiceSection {
        let path = self.manifest.path.display().to_string();
        or_fail(self.manifest.services.get_mut(service).ok_or(()), |()| {
            format!("{path} has no service {service}")
        })
    }

    /// Starts the application.
    ///
    /// # Panics
    ///
    /// When a component can't be built or loaded, or uses what the manifest does not grant.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Application {
        let Self { manifest, run, stand_ins, seed, now } = self;
        for service in stand_ins.keys() {
            assert!(
                manifest.services.contains_key(service.as_str()),
                "{} has no service {service} to stand in for",
                manifest.path.display()
            );
            assert!(!run.contains(service), "{service} runs in this test: nobody stands in for it");
        }
        Application { world: World::start(Plan { manifest, run, stand_ins, seed, now }) }
    }
}

/// Services that run in a test. Clones share the same application.
#[derive(Clone)]
pub struct Application {
    world: Rc<World>,
}

impl Application {
    /// Runs these services of the manifest. They call one another as in a host. Events between them wait until the test lets a service
    /// consume them.
    #[track_caller]
    pub fn of<'n>(services: impl IntoIterator<Item = &'n str>) -> Builder {
        Builder::new(manifest(), services.into_iter().map(ServiceName::from).collect())
    }

    /// The same with another manifest than the one in the nearest folder above the test's crate.
    ///
    /// # Panics
    ///
    /// When the manifest can't be read.
    #[track_caller]
    pub fn in_manifest<'n>(file: impl AsRef<Path>, services: impl IntoIterator<Item = &'n str>) -> Builder {
        Builder::new(read(file.as_ref()), services.into_iter().map(ServiceName::from).collect())
    }

    /// One of the services.
    ///
    /// # Panics
    ///
    /// When it does not run in this test.
    #[must_use]
    #[track_caller]
    pub fn service(&self, name: &str) -> Service {
        self.world.member(name);
        Service { world: Rc::clone(&self.world), name: name.to_owned() }
    }

    /// Lets the first subscription that has an event consume it. Subscriptions are ordered by the names of producer and consumer. Returns
    /// the event, or none if all events were consumed.
    #[track_caller]
    pub fn step(&self) -> Option<Step> {
        self.next(false)
    }

    /// With `more`, a failing test shows what happens now in addition to what happened before.
    #[track_caller]
    fn next(&self, more: bool) -> Option<Step> {
        // Not in a closure: if the test fails here, the failure must be at the test's own line.
        for subscription in self.world.subscriptions() {
            if let Some(step) = step(&self.world, subscription, more) {
                return Some(step);
            }
        }
        None
    }

    /// Lets one subscription consume one event. A test can use it to choose the order in which events of several producers come.
    ///
    /// # Panics
    ///
    /// When `consumer` does not consume events of `producer`.
    #[track_caller]
    pub fn step_subscription(&self, producer: &str, consumer: &str) -> Option<Step> {
        let of = |spec: &bulkhead_runtime::SubscriptionSpec| {
            spec.producer == producer && spec.consumer == consumer
        };
        let subscription = self.world.subscriptions().iter().find(|subscription| of(&subscription.spec));
        let subscription = or_fail(subscription.ok_or(()), |()| {
            format!("{consumer} takes nothing of {producer}, or does not run")
        });
        step(&self.world, subscription, false)
    }

    /// Lets the services consume all events, and the events that these cause, until there are none. Returns them in the order of
    /// consumption.
    ///
    /// # Panics
    ///
    /// When the events never end.
    #[track_caller]
    pub fn settle(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(step) = self.next(!steps.is_empty()) {
            steps.push(step);
            if steps.len() > STEPS_MAX as usize {
                panic!("after {STEPS_MAX} events there are still more: they cause one another");
            }
        }
        steps
    }

    /// Moves the clock. It stops at each time at which a timer or a retry of a parked event is due, and runs it. So a timer that sets
    /// another one does it at its own time. Events that result wait, as usual.
    #[track_caller]
    pub fn advance(&self, time: Duration) {
        advance(&self.world, time, None);
    }

    /// Sets the wall clock forward, or back if `seconds` is negative, as an operator or NTP may. No time passes: timers and parked events
    /// are due as late as before, whatever time the services now see.
    pub fn set_clock_by(&self, seconds: i64) {
        self.world.set_clock_by(seconds);
    }

    /// The time of the clock: RFC 3339, UTC, with milliseconds.
    #[must_use]
    pub fn now(&self) -> String {
        rfc3339(self.world.clock.now())
    }
}

/// An event that was delivered to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The service that published it.
    pub producer: String,
    /// The service that consumed it.
    pub consumer: String,
    /// Its type.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// Why it was not consumed, and is parked or a dead letter instead.
    pub not_consumed: Option<String>,
}

#[track_caller]
fn step(
    world: &Rc<World>,
    subscription: &std::sync::Arc<bulkhead_runtime::Subscription>,
    more: bool,
) -> Option<Step> {
    let (producer, consumer) = (subscription.spec.producer.clone(), subscription.spec.consumer.clone());
    if !world.has_next(subscription) {
        return None;
    }
    world.tick();
    let what = format!("{consumer}: the next event of {producer}");
    if !more {
        world.recorder.clear();
    }
    let event = match world.observe_more(what, None, || world.step(subscription, false)) {
        Ok(event) => event?,
        Err(why) => world.fail(&why),
    };
    let not_consumed = match state_of(world, &consumer, &producer, event.sequence) {
        State::Consumed | State::Skipped => None,
        State::Parked(why) | State::Dead(why) => Some(why),
    };
    if not_consumed.is_none() {
        world.hits.event(&consumer, &event.kind);
    }
    Some(Step {
        producer: producer.to_string(),
        consumer: consumer.to_string(),
        kind: event.kind,
        subject: event.subject.to_string(),
        not_consumed,
    })
}
