//! Several services of an application together, with the real subscriptions between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bulkhead_manifest::Manifest;
use bulkhead_types::{Clock as _, from_rfc3339, rfc3339};

use crate::advance::{STEPS_MAX, advance};
use crate::component::{manifest, read};
use crate::event::{State, state_of};
use crate::fail::or_fail;
use crate::service::Service;
use crate::stand_in::{Call, Reply, StandIn};
use crate::world::{Plan, World};

/// When a test begins, if it does not say so.
const BEGINNING: &str = "2026-01-01T00:00:00Z";

/// What is to run, before it does.
#[must_use = "nothing runs until `.start()`"]
pub struct Builder {
    manifest: Manifest,
    run: Vec<String>,
    stand_ins: BTreeMap<String, StandIn>,
    seed: u64,
    now: Duration,
}

impl Builder {
    #[track_caller]
    pub(crate) fn new(manifest: Manifest, run: Vec<String>) -> Self {
        let now = from_rfc3339(BEGINNING).unwrap_or_default();
        Self { manifest, run, stand_ins: BTreeMap::new(), seed: 0, now }
    }

    /// Has `answer` answer the calls to a service.
    pub fn stand_in(
        mut self,
        service: &str,
        answer: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.stand_ins.insert(service.to_owned(), Box::new(answer));
        self
    }

    /// The same by a table: the first entry whose `METHOD PATH` is that of the call, and 404 for any other call.
    pub fn stand_in_table(self, service: &str, table: Vec<(&str, Reply)>) -> Self {
        let table: Vec<(String, Reply)> =
            table.into_iter().map(|(line, reply)| (line.to_owned(), reply)).collect();
        self.stand_in(service, move |call| {
            let line = format!("{} {}", call.method(), call.path());
            let found = table.iter().find(|(of, _)| *of == line);
            found.map_or_else(|| Reply::problem(404, "not-found"), |(_, reply)| reply.clone())
        })
    }

    /// What random bytes, and so ids, are made from. 0 if it is not said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What the clock says at first: RFC 3339, in UTC.
    ///
    /// # Panics
    ///
    /// When `time` is none.
    #[track_caller]
    pub fn at(mut self, time: &str) -> Self {
        self.now = or_fail(from_rfc3339(time).ok_or(()), |()| {
            format!("{time:?} is no time: write RFC 3339, in UTC")
        });
        self
    }

    /// A setting of a service, in the place of the manifest's.
    #[track_caller]
    pub fn config(mut self, service: &str, key: &str, value: &str) -> Self {
        self.entry(service).spec.config.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A secret of a service. Those of the environment are there as well.
    #[track_caller]
    pub fn secret(mut self, service: &str, key: &str, value: &str) -> Self {
        self.entry(service).spec.secrets.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The bytes of memory that an instance of a service may have.
    #[track_caller]
    pub fn memory(mut self, service: &str, bytes: u64) -> Self {
        self.entry(service).spec.limits.memory = bytes;
        self
    }

    /// The bytes that a service's database may have.
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

    /// Runs it.
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
                manifest.services.contains_key(service),
                "{} has no service {service} to stand in for",
                manifest.path.display()
            );
            assert!(!run.contains(service), "{service} runs in this test: nobody stands in for it");
        }
        Application { world: World::start(Plan { manifest, run, stand_ins, seed, now }) }
    }
}

/// Services that run in a test. Clones are the same application.
#[derive(Clone)]
pub struct Application {
    world: Rc<World>,
}

impl Application {
    /// These services of the manifest. They call one another as they do in a host; events between them wait until the test has them taken.
    #[track_caller]
    pub fn of<'n>(services: impl IntoIterator<Item = &'n str>) -> Builder {
        Builder::new(manifest(), services.into_iter().map(str::to_owned).collect())
    }

    /// The same of another manifest than that above the test's crate.
    ///
    /// # Panics
    ///
    /// When the manifest can't be read.
    #[track_caller]
    pub fn in_manifest<'n>(file: impl AsRef<Path>, services: impl IntoIterator<Item = &'n str>) -> Builder {
        Builder::new(read(file.as_ref()), services.into_iter().map(str::to_owned).collect())
    }

    /// One of the services.
    ///
    /// # Panics
    ///
    /// When it does not run here.
    #[must_use]
    #[track_caller]
    pub fn service(&self, name: &str) -> Service {
        self.world.member(name);
        Service { world: Rc::clone(&self.world), name: name.to_owned() }
    }

    /// Has one event be taken: of the first subscription, by the names of its producer and its consumer, that has one. Gives what it was;
    /// none where all were taken.
    #[track_caller]
    pub fn step(&self) -> Option<Step> {
        self.next(false)
    }

    /// `more` says that what happens is shown beside what did before, where a test fails.
    #[track_caller]
    fn next(&self, more: bool) -> Option<Step> {
        // Not by a closure: a test that fails here is to fail at its own line.
        for subscription in self.world.subscriptions() {
            if let Some(step) = step(&self.world, subscription, more) {
                return Some(step);
            }
        }
        None
    }

    /// Has one event of one subscription be taken: to choose in which order events of several producers come.
    ///
    /// # Panics
    ///
    /// When `consumer` takes nothing of `producer`.
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

    /// Has all events be taken, and those that they cause, until there are none; gives them in the order in which they were taken.
    ///
    /// # Panics
    ///
    /// When there is no end to them.
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

    /// Moves the clock. It stops at each time at which a timer is due or a parked event is to be tried again, which then is: so what a
    /// timer sets, it sets at its own time. Events that this causes wait, as any.
    #[track_caller]
    pub fn advance(&self, time: Duration) {
        advance(&self.world, time, None);
    }

    /// Sets the wall clock forward, or back where `seconds` is negative, as an operator or NTP may: no time passes, so timers and parked
    /// events are as far away as before, whatever services now see as the time.
    pub fn set_clock_by(&self, seconds: i64) {
        self.world.set_clock_by(seconds);
    }

    /// What the clock says: RFC 3339, UTC, with milliseconds.
    #[must_use]
    pub fn now(&self) -> String {
        rfc3339(self.world.clock.now())
    }
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who published it.
    pub producer: String,
    /// Who took it.
    pub consumer: String,
    /// Its type.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// Why it was not taken, and is parked or a dead letter instead.
    pub not_taken: Option<String>,
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
    let not_taken = match state_of(world, &consumer, &producer, event.sequence) {
        State::Taken | State::PassedOver => None,
        State::Parked(why) | State::Dead(why) => Some(why),
    };
    if not_taken.is_none() {
        world.hits.event(&consumer, &event.kind);
    }
    Some(Step { producer, consumer, kind: event.kind, subject: event.subject, not_taken })
}
