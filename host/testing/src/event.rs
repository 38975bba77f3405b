//! Events: those that a test delivers, and those that a service published.

use std::borrow::Borrow;
use std::fmt::Display;
use std::rc::Rc;

use bulkhead_store::{Logged, ParkedState};
use bulkhead_types::{Clock as _, Sequence, ServiceName, Subject, rfc3339};
use serde_json::Value;

use crate::fault::{Fault, NO_END};
use crate::world::World;

/// An event that is being built, from a service that does not run. Nothing happens until [`Event::deliver`].
#[must_use = "an event is delivered by `.deliver()`"]
#[derive(Clone)]
pub struct Event {
    world: Rc<World>,
    consumer: ServiceName,
    kind: String,
    subject: Subject,
    data: String,
    id: Option<String>,
    fault: Option<Fault>,
}

impl Event {
    pub(crate) fn new(world: &Rc<World>, consumer: &str, kind: &str) -> Self {
        Self {
            world: Rc::clone(world),
            consumer: consumer.into(),
            kind: kind.to_owned(),
            subject: Subject::default(),
            data: "{}".to_owned(),
            id: None,
            fault: None,
        }
    }

    /// The entity that it is about. Events with the same subject are consumed in their order.
    pub fn subject(mut self, subject: impl Display) -> Self {
        self.subject = subject.to_string().into();
        self
    }

    /// Its data.
    pub fn data(mut self, data: impl Borrow<Value>) -> Self {
        self.data = data.borrow().to_string();
        self
    }

    /// Its data as raw text, for a producer that breaks its contract. Empty for an event whose data were erased.
    pub fn raw(mut self, data: &str) -> Self {
        self.data = data.to_owned();
        self
    }

    /// Its id. By default a new one.
    pub fn id(mut self, id: impl Display) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// The fault that occurs while it is handled.
    pub fn failing(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Lets the service consume it, after all events that were delivered before.
    ///
    /// # Panics
    ///
    /// When the service does not consume such an event according to the manifest, or its producer runs in this test: then the producer must
    /// publish it.
    #[must_use = "what became of it is to be checked"]
    #[track_caller]
    pub fn deliver(self) -> Delivered {
        let world = Rc::clone(&self.world);
        let id = self.id.clone().unwrap_or_else(|| world.id());
        self.deliver_as(&id)
    }

    /// Delivers it, and then the same event once more, as a producer that sends duplicates. Returns the result of the second delivery.
    ///
    /// # Panics
    ///
    /// As for [`Event::deliver`], and when the first delivery was not consumed.
    #[must_use = "what became of it is to be checked"]
    #[track_caller]
    pub fn deliver_twice(self) -> Delivered {
        let world = Rc::clone(&self.world);
        let id = self.id.clone().unwrap_or_else(|| world.id());
        let again = Self { fault: None, ..self.clone() };
        self.deliver_as(&id).consumed();
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
            sequence: Sequence::BEFORE_FIRST,
            id: id.to_owned(),
            kind: kind.clone(),
            subject: subject.clone(),
            time: rfc3339(world.clock.now()),
            trace_id: world.trace_id(),
            data,
        };
        let sequence = world.feed(producer).push(event);
        let what = format!("{consumer}: {kind} {subject}");
        let consumed =
            world.observe(what.clone(), fault, || world.step(subscription, fault == Some(Fault::Memory)));
        let consumed = match consumed {
            Ok(consumed) => consumed,
            Err(why) => world.fail(&why),
        };
        let state = match consumed {
            None => State::Skipped,
            Some(_) => state_of(&world, &consumer, producer, sequence),
        };
        if state == State::Consumed {
            world.hits.event(&consumer, &kind);
        }
        let (database_calls, reported) = (world.recorder.database_calls(), world.recorder.reported());
        Delivered { world, what, state, database_calls, reported }
    }
}

/// The result of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Consumed,
    Skipped,
    Parked(String),
    Dead(String),
}

/// The result of the event at this sequence of a producer's event log, after the consumer has passed it.
#[track_caller]
pub(crate) fn state_of(
    world: &World,
    consumer: &ServiceName,
    producer: &ServiceName,
    sequence: Sequence,
) -> State {
    let parked = world.look(consumer, |database, looks| {
        looks.inbox(database)?.parked_at(producer, sequence).map_err(|error| error.to_string())
    });
    match parked {
        None => State::Consumed,
        Some(parked) if parked.state == ParkedState::Dead => State::Dead(parked.reason),
        Some(parked) => State::Parked(parked.reason),
    }
}

/// The result of an event that was delivered.
pub struct Delivered {
    world: Rc<World>,
    what: String,
    state: State,
    database_calls: u32,
    reported: String,
}

impl Delivered {
    /// How many database calls the handler made. A test can use it to let each call fail in turn.
    #[must_use]
    pub fn database_calls(&self) -> u32 {
        self.database_calls
    }

    /// Checks that it took effect.
    #[track_caller]
    pub fn consumed(self) -> Self {
        self.expect(&State::Consumed, "")
    }

    /// Checks that it was skipped, because its data were erased.
    #[track_caller]
    pub fn skipped(self) -> Self {
        self.expect(&State::Skipped, "")
    }

    /// Checks that it is a dead letter, because it will never work. The reason contains these words.
    #[track_caller]
    pub fn rejected(self, words: &str) -> Self {
        self.expect(&State::Dead(String::new()), words)
    }

    /// Checks that it is parked, and tried again later. The reason contains these words.
    #[track_caller]
    pub fn parked(self, words: &str) -> Self {
        self.expect(&State::Parked(String::new()), words)
    }

    #[track_caller]
    fn expect(self, expected: &State, words: &str) -> Self {
        let same = std::mem::discriminant(&self.state) == std::mem::discriminant(expected);
        let reason = match &self.state {
            State::Parked(reason) | State::Dead(reason) => reason.as_str(),
            State::Consumed | State::Skipped => "",
        };
        if !same || !reason.contains(words) {
            let wanted = match expected {
                State::Consumed => "consumed".to_owned(),
                State::Skipped => "passed over".to_owned(),
                State::Parked(_) => format!("parked, for a reason with {words:?}"),
                State::Dead(_) => format!("rejected, for a reason with {words:?}"),
            };
            let why = format!("{} is {:?}, and was to be {wanted}", self.what, self.state);
            self.world.fail_of(&why, &self.reported);
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
    /// Its data. `Null` if they were erased.
    pub data: Value,
    /// Its id, a UUIDv7.
    pub id: String,
    /// When it was published: RFC 3339, UTC.
    pub time: String,
}

impl From<Logged> for Published {
    fn from(event: Logged) -> Self {
        let data = serde_json::from_str(&event.data).unwrap_or_default();
        Self { kind: event.kind, subject: event.subject.to_string(), data, id: event.id, time: event.time }
    }
}

/// A timer that a service has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// The event type of the timer.
    pub kind: String,
    /// The entity that it is about.
    pub subject: String,
    /// Its data.
    pub data: Value,
    /// When it is due: RFC 3339, UTC.
    pub due: String,
}
