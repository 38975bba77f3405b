//! Events: those that a test delivers, and those that a service published.

use std::borrow::Borrow;
use std::fmt::Display;
use std::rc::Rc;

use bulkhead_store::{Logged, ParkedState};
use bulkhead_types::{Clock as _, rfc3339};
use serde_json::Value;

use crate::fault::{Fault, NO_END};
use crate::world::World;

/// An event that is being written, of a service that does not run. Nothing happens until [`Event::deliver`].
#[must_use = "an event is delivered by `.deliver()`"]
#[derive(Clone)]
pub struct Event {
    world: Rc<World>,
    consumer: String,
    kind: String,
    subject: String,
    data: String,
    id: Option<String>,
    fault: Option<Fault>,
}

impl Event {
    pub(crate) fn new(world: &Rc<World>, consumer: &str, kind: &str) -> Self {
        Self {
            world: Rc::clone(world),
            consumer: consumer.to_owned(),
            kind: kind.to_owned(),
            subject: String::new(),
            data: "{}".to_owned(),
            id: None,
            fault: None,
        }
    }

    /// The entity that it is about: events with one subject are taken in the order in which they come.
    pub fn subject(mut self, subject: impl Display) -> Self {
        self.subject = subject.to_string();
        self
    }

    /// What it says.
    pub fn data(mut self, data: impl Borrow<Value>) -> Self {
        self.data = data.borrow().to_string();
        self
    }

    /// What it says, whatever it is: for a producer that breaks its word. Empty for an event whose data were taken out.
    pub fn raw(mut self, data: &str) -> Self {
        self.data = data.to_owned();
        self
    }

    /// Its id; a new one if none is said.
    pub fn id(mut self, id: impl Display) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// What fails while it is handled.
    pub fn failing(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Has the service take it, behind all that were delivered before.
    ///
    /// # Panics
    ///
    /// When the manifest has the service take no such event, or its producer runs in this test: that is to publish it itself.
    #[must_use = "what became of it is to be checked"]
    #[track_caller]
    pub fn deliver(self) -> Delivered {
        let world = Rc::clone(&self.world);
        let id = self.id.clone().unwrap_or_else(|| world.id());
        self.deliver_as(&id)
    }

    /// Delivers it, and the very same once more, as a producer does that tells a thing twice; gives what became of the second.
    ///
    /// # Panics
    ///
    /// As [`Event::deliver`], and when the first was not taken.
    #[must_use = "what became of it is to be checked"]
    #[track_caller]
    pub fn deliver_twice(self) -> Delivered {
        let world = Rc::clone(&self.world);
        let id = self.id.clone().unwrap_or_else(|| world.id());
        let again = Self { fault: None, ..self.clone() };
        self.deliver_as(&id).taken();
        again.deliver_as(&id)
    }

    #[track_caller]
    fn deliver_as(self, id: &str) -> Delivered {
        let Self { world, consumer, kind, subject, data, fault, .. } = self;
        assert!(fault != Some(Fault::Commit), "{NO_END}");
        let subscription = world.subscriptions().iter().find(|subscription| {
            subscription.spec.consumer == consumer
                && (subscription.spec.types.contains(&kind)
                    || subscription.spec.replicas.iter().any(|replica| replica.takes(&kind)))
        });
        let Some(subscription) = subscription else {
            let timers = &world.member(&consumer).entry.spec.grants.timers;
            if timers.contains(&kind) {
                panic!(
                    "{kind} is a timer of {consumer}'s own: move the clock to when it is due with .advance(…)"
                );
            }
            panic!(
                "the manifest has {consumer} take no event of the type {kind}: add it to its `subscribes`"
            );
        };
        let producer = &subscription.spec.producer;
        if world.members().contains_key(producer) {
            panic!(
                "{producer} runs in this test: have it publish {kind} itself, and deliver that with .step() or .settle()"
            );
        }
        world.tick();
        let event = Logged {
            sequence: 0,
            id: id.to_owned(),
            kind: kind.clone(),
            subject: subject.clone(),
            time: rfc3339(world.clock.now()),
            trace_id: world.trace_id(),
            data,
        };
        let sequence = world.feed(producer).append(event);
        let what = format!("{consumer}: {kind} {subject}");
        let taken =
            world.observe(what.clone(), fault, || world.step(subscription, fault == Some(Fault::Memory)));
        let taken = match taken {
            Ok(taken) => taken,
            Err(why) => world.fail(&why),
        };
        let state = match taken {
            None => State::PassedOver,
            Some(_) => state_of(&world, &consumer, producer, sequence),
        };
        if state == State::Taken {
            world.hits.event(&consumer, &kind);
        }
        let (database_calls, told) = (world.recorder.database_calls(), world.recorder.told());
        Delivered { world, what, state, database_calls, told }
    }
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Taken,
    PassedOver,
    Parked(String),
    Dead(String),
}

/// What became of the event at this place of a producer's log, once the consumer has gone past it.
#[track_caller]
pub(crate) fn state_of(world: &World, consumer: &str, producer: &str, sequence: i64) -> State {
    let parked = world.look(consumer, |database, looks| {
        looks.inbox(database)?.parked_at(producer, sequence).map_err(|error| error.to_string())
    });
    match parked {
        None => State::Taken,
        Some(parked) if parked.state == ParkedState::Dead => State::Dead(parked.reason),
        Some(parked) => State::Parked(parked.reason),
    }
}

/// What became of an event that was delivered.
pub struct Delivered {
    world: Rc<World>,
    what: String,
    state: State,
    database_calls: u32,
    told: String,
}

impl Delivered {
    /// How many database calls the handler made: for a test that has each of them fail in turn.
    #[must_use]
    pub fn database_calls(&self) -> u32 {
        self.database_calls
    }

    /// It took effect.
    #[track_caller]
    pub fn taken(self) -> Self {
        self.expect(&State::Taken, "")
    }

    /// Nothing of it was to be taken: its data were taken out.
    #[track_caller]
    pub fn passed_over(self) -> Self {
        self.expect(&State::PassedOver, "")
    }

    /// It is a dead letter, since it will never work; the reason has these words.
    #[track_caller]
    pub fn rejected(self, words: &str) -> Self {
        self.expect(&State::Dead(String::new()), words)
    }

    /// It is parked, and tried again later; the reason has these words.
    #[track_caller]
    pub fn parked(self, words: &str) -> Self {
        self.expect(&State::Parked(String::new()), words)
    }

    #[track_caller]
    fn expect(self, expected: &State, words: &str) -> Self {
        let same = std::mem::discriminant(&self.state) == std::mem::discriminant(expected);
        let reason = match &self.state {
            State::Parked(reason) | State::Dead(reason) => reason.as_str(),
            State::Taken | State::PassedOver => "",
        };
        if !same || !reason.contains(words) {
            let wanted = match expected {
                State::Taken => "taken".to_owned(),
                State::PassedOver => "passed over".to_owned(),
                State::Parked(_) => format!("parked, for a reason with {words:?}"),
                State::Dead(_) => format!("rejected, for a reason with {words:?}"),
            };
            let why = format!("{} is {:?}, and was to be {wanted}", self.what, self.state);
            self.world.fail_of(&why, &self.told);
        }
        self
    }
}

/// An event that a service published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its type.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// What it says; `Null` where its data were taken out.
    pub data: Value,
    /// Its id, a UUIDv7.
    pub id: String,
    /// When it was published: RFC 3339, UTC.
    pub time: String,
}

impl From<Logged> for Published {
    fn from(event: Logged) -> Self {
        let data = serde_json::from_str(&event.data).unwrap_or_default();
        Self { kind: event.kind, subject: event.subject, data, id: event.id, time: event.time }
    }
}

/// A timer that a service has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// The type of event that it is.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// What it says.
    pub data: Value,
    /// When it is due: RFC 3339, UTC.
    pub due: String,
}
