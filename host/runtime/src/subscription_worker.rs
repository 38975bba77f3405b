//! A subscription worker: the thread that consumes a producer's event log, event by event, in a consumer's units of work.
//!
//! Invariants:
//!
//! - The row of the position is the truth. The unit of work of an event moves the position to that event, and only from the event where
//!   this subscription worker believes the position to be. If the position is elsewhere (a batch was aborted, say), nothing is done, and
//!   the subscription worker starts again from the row. So the subscription worker never needs to know what became of its batches, and an
//!   event that took effect is never consumed again.
//! - Before it goes on, the subscription worker looks up the last event that it consumed or passed over, at its place in the event log, by
//!   its id. If another event is there, or none, if the event log has another id, or if it begins after the next event (the trim point),
//!   the subscription worker stops: it neither skips nor repeats events.
//! - A failing event does not hold up the subscription worker. The commit that moves the position past the event parks it, and later events
//!   of its subject are parked behind it. An event at which the host itself panics counts as failed too.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bulkhead_store::{
    Cursor, EventLog, InboxReader, Logged, Parked, ParkedState, ReplicaSpec, StatementError,
};
use bulkhead_types::limits::{SUBSCRIPTION_EVENTS_READ_MAX, SUBSCRIPTION_EVENTS_SKIPPED_MAX};
use bulkhead_types::{Sequence, Subject};

use crate::database::UnitOfWork;
use crate::deferred::Deferred;
use crate::delivery::{Delivery, Written, changes, parked, report_parked};
use crate::instance::NotConsumed;
use crate::member::Settle;
use crate::observer::{DropCause, Observation};
use crate::runner::{HasRunner, Runner};
use crate::subscription::Subscription;
use crate::supervise::{self, Progress};

#[cfg(test)]
mod tests;

/// How long a subscription worker waits before it tries again after a failure because of the disk or the lease, or after events were not
/// committed. It waits because each attempt runs the handler, and its calls to other services, also while the disk is full.
const PAUSE: Duration = Duration::from_millis(100);
/// The reason that is given for an event that waits behind another event of its subject.
const BEHIND: &str = "an earlier event of its subject is parked";

pub(crate) struct SubscriptionWorker {
    subscription: Arc<Subscription>,
    log: Box<dyn EventLog>,
    runner: Runner,
    inbox: Box<dyn InboxReader>,
    deferred: Arc<Deferred>,
    stop: Arc<AtomicBool>,
    /// Where this subscription worker believes the row of the position to be.
    cursor: Cursor,
    /// The last event that was consumed or passed over. If events were passed over, it is later than the row.
    seen: (Sequence, String),
    /// Subjects that have, or had, a parked event.
    held: HashSet<Subject>,
    /// Replicas that include more events than were consumed, each with the last event that it includes.
    filled: BTreeMap<String, Sequence>,
    /// The event during which a batch was aborted. It runs in a batch of its own.
    alone: Option<Sequence>,
    /// The event that is being consumed; 0 for none.
    consuming: Option<Sequence>,
    /// The event at which this subscription worker panicked, and what the panic said.
    panicked: Option<(Sequence, String)>,
    /// The sequence up to which the event log was durably consumed when the thread started.
    started_at: Sequence,
}

/// Why a subscription worker stops going through what it read.
enum Halt {
    /// What the subscription worker believed is not true: start again from the row.
    Stale,
    /// What failed may work later.
    Pause(String),
    /// The event log and the position don't match.
    Stopped(String),
}

impl From<StatementError> for Halt {
    fn from(error: StatementError) -> Self {
        Self::Pause(error.to_string())
    }
}

impl HasRunner for SubscriptionWorker {
    fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }
}

impl SubscriptionWorker {
    pub(crate) fn new(
        subscription: Arc<Subscription>,
        log: Box<dyn EventLog>,
        runner: Runner,
        inbox: Box<dyn InboxReader>,
        deferred: Arc<Deferred>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let cursor = Cursor::default();
        log.tail(subscription.waker());
        let none = Sequence::BEFORE_FIRST;
        Self {
            subscription,
            log,
            runner,
            inbox,
            deferred,
            stop,
            cursor,
            seen: (none, String::new()),
            held: HashSet::new(),
            filled: BTreeMap::new(),
            alone: None,
            consuming: None,
            panicked: None,
            started_at: none,
        }
    }

    /// Follows the event log until it must stop.
    pub(crate) fn run(&mut self, progress: &Progress) {
        self.subscription.go_on();
        self.subscription.refresh();
        self.started_at = self.subscription.applied();
        while !self.stop.load(Ordering::Acquire) {
            supervise::point("turn");
            let went = self.go(progress);
            self.let_go();
            match went {
                Ok(()) => {
                    let _ = self.subscription.woken().recv();
                }
                Err(Halt::Stale) => self.subscription.refresh(),
                Err(Halt::Pause(why)) => {
                    tracing::warn!(
                        producer = self.subscription.spec.producer.as_str(),
                        consumer = self.subscription.spec.consumer.as_str(),
                        why,
                        "a subscription worker waits"
                    );
                    self.subscription.refresh();
                    std::thread::sleep(PAUSE);
                }
                Err(Halt::Stopped(why)) => {
                    self.subscription.stop(why);
                    // Until it must stop, or must look again.
                    while !self.stop.load(Ordering::Acquire) {
                        let _ = self.subscription.woken().recv();
                        if self.subscription.take_stale() {
                            self.subscription.go_on();
                            self.subscription.refresh();
                            break;
                        }
                    }
                }
            }
        }
        self.let_go();
    }

    /// Lets go of what this thread held when it panicked. What was not durable is consumed again, from the row. The event that the thread
    /// was at is parked, like an event whose handler fails.
    pub(crate) fn mend(&mut self, why: &str) {
        self.runner = self.runner.fresh();
        // The supervisor decides how long a thread waits after a panic.
        let _ = self.subscription.take_undone();
        if let Some(consuming) = self.consuming.take() {
            self.alone = Some(consuming);
            self.panicked = Some((consuming, why.to_owned()));
        }
        self.subscription.stop(format!("its thread panicked and is restarted; the log says more: {why}"));
    }

    /// Consumes all available events.
    fn go(&mut self, progress: &Progress) -> Result<(), Halt> {
        loop {
            self.look_for_undone()?;
            if self.subscription.take_stale() {
                self.begin()?;
            }
            let events = self.read()?;
            let Some(last) = events.last() else { break };
            let (last, end) = (last.sequence, self.subscription.held_at());
            for (place, event) in events.iter().enumerate() {
                if event.sequence > end || self.stop.load(Ordering::Acquire) {
                    self.runner.commit_open_batch();
                    self.note_applied();
                    return Ok(());
                }
                let more = place + 1 < events.len()
                    && events.get(place + 1).is_some_and(|next| next.sequence <= end);
                self.inside(|this| {
                    // Only a panic in here counts as caused by this event: not a panic while the batch is committed at the gate, and not
                    // one in a request that is run again.
                    this.consuming = Some(event.sequence);
                    let consumed = this.consume(event, more);
                    this.consuming = None;
                    consumed
                })?;
                self.look_for_undone()?;
                if self.subscription.applied() > self.started_at {
                    progress.made();
                }
            }
            if last.since(self.cursor.sequence) >= SUBSCRIPTION_EVENTS_SKIPPED_MAX && self.seen.0 == last {
                self.inside(Self::commit_skipped)?;
            }
            self.runner.commit_open_batch();
            self.note_applied();
        }
        self.runner.commit_open_batch();
        self.note_applied();
        Ok(())
    }

    /// Makes the subscription worker wait if events that it consumed were not committed.
    fn look_for_undone(&self) -> Result<(), Halt> {
        if self.subscription.take_undone() {
            return Err(Halt::Pause("events that it consumed were not committed".to_owned()));
        }
        Ok(())
    }

    /// Whether there is another event for the consumer.
    ///
    /// # Errors
    ///
    /// Why the subscription worker waits, or has stopped.
    pub(crate) fn has_next(&mut self) -> Result<bool, String> {
        let mut look = || {
            if self.subscription.take_stale() {
                self.begin()?;
            }
            Ok(self.read()?.iter().any(|event| self.is_for_consumer(event)))
        };
        look().map_err(|halt| match halt {
            Halt::Pause(why) | Halt::Stopped(why) => why,
            Halt::Stale => "its position is elsewhere".to_owned(),
        })
    }

    /// Makes the next event run on a new instance.
    pub(crate) fn renew(&mut self) {
        self.runner.instance.retire(DropCause::Undone);
    }

    /// Consumes the next event for the consumer, if there is one, as [`Self::go`] consumes all of them. The event is durable when this
    /// returns.
    ///
    /// # Errors
    ///
    /// Why the subscription worker waits, or has stopped.
    pub(crate) fn step(&mut self) -> Result<Option<Logged>, String> {
        loop {
            let stepped = self.try_step();
            self.let_go();
            match stepped {
                Ok(consumed) => return Ok(consumed),
                Err(Halt::Stale) => self.subscription.refresh(),
                Err(Halt::Pause(why) | Halt::Stopped(why)) => return Err(why),
            }
        }
    }

    fn try_step(&mut self) -> Result<Option<Logged>, Halt> {
        loop {
            if self.subscription.take_stale() {
                self.begin()?;
            }
            let events = self.read()?;
            if events.is_empty() {
                self.note_applied();
                return Ok(None);
            }
            for event in events {
                let before = self.cursor.sequence;
                self.inside(|this| this.consume(&event, false))?;
                if self.cursor.sequence != before {
                    self.runner.commit_open_batch();
                    if self.subscription.take_stale() {
                        return Err(Halt::Stale);
                    }
                    self.note_applied();
                    return Ok(Some(event));
                }
            }
        }
    }

    /// Starts from the row.
    fn begin(&mut self) -> Result<(), Halt> {
        self.runner.commit_open_batch();
        let producer = &self.subscription.spec.producer;
        let log = self.log.id();
        self.cursor = self
            .inbox
            .cursor(producer)?
            .unwrap_or_else(|| Cursor { log: log.to_owned(), ..Cursor::default() });
        if self.cursor.log != log {
            return Err(Halt::Stopped(format!(
                "the position is in the log {} of {producer}, and the log that is there is {log}: its database was replaced; put the \
                 right file back, or recreate this service's database",
                self.cursor.log
            )));
        }
        let position = self.cursor.sequence;
        if let Some(first) = self.log.trimmed_beyond(position)? {
            return Err(Halt::Stopped(format!(
                "the position is at event {position} of {producer}, and its log begins at event {first}: the events between them are gone; \
                 put the whole log back, or recreate this service's database"
            )));
        }
        self.seen = (self.cursor.sequence, self.cursor.event_id.clone());
        self.held = self.inbox.parked_subjects(producer)?;
        self.filled = self.inbox.filled(self.log.id())?;
        if self.inbox.has_any(producer)? {
            self.subscription.note_trouble();
        }
        self.subscription.set_applied(self.cursor.sequence);
        Ok(())
    }

    /// The events after the last seen event. Checks first that the last seen event is still at its place.
    fn read(&mut self) -> Result<Vec<Logged>, Halt> {
        let (sequence, id) = &self.seen;
        let mut events = match self.log.read((*sequence).max(Sequence::FIRST), SUBSCRIPTION_EVENTS_READ_MAX) {
            Err(StatementError::InvalidValue(why)) => {
                return Err(Halt::Stopped(format!(
                    "the log of {} has an event behind number {sequence} that can't be read: {why}; it was altered: put the right file back",
                    self.subscription.spec.producer
                )));
            }
            read => read?,
        };
        if *sequence == Sequence::BEFORE_FIRST {
            return Ok(events);
        }
        match events.first() {
            Some(first) if first.sequence == *sequence && first.id == *id => {
                events.remove(0);
                Ok(events)
            }
            found => {
                let found = match found {
                    Some(first) if first.sequence == *sequence => format!("event {}", first.id),
                    _ => "no event".to_owned(),
                };
                Err(Halt::Stopped(format!(
                    "the position is at event {id}, number {sequence} of the log of {}, and the log has {found} there: it was restored or \
                     altered; put the right file back",
                    self.subscription.spec.producer
                )))
            }
        }
    }

    /// Whether an event is for the consumer. An erased event has no data, and only an event that says that a row is gone needs none.
    /// Everything else that matters about the end of its subject comes later in the event log.
    fn is_for_consumer(&self, event: &Logged) -> bool {
        let ends = |replica: &ReplicaSpec| replica.delete.as_ref() == Some(&event.kind);
        let erased = event.data.is_empty() && !self.subscription.spec.replicas.iter().any(ends);
        self.subscription.consumes(&event.kind) && !erased
    }

    fn is_to_apply(&self, replica: &ReplicaSpec, event: &Logged) -> bool {
        replica.takes(&event.kind) && changes(&self.filled, replica, event.sequence)
    }

    /// Consumes one event, or passes over it.
    fn consume(&mut self, event: &Logged, more: bool) -> Result<(), Halt> {
        let subscription = Arc::clone(&self.subscription);
        let spec = &subscription.spec;
        if !self.is_for_consumer(event) {
            self.seen = (event.sequence, event.id.clone());
            return Ok(());
        }
        if self.alone == Some(event.sequence) {
            self.runner.commit_open_batch();
        }
        if self.held.contains(&event.subject) && self.follows(event, more)? {
            return Ok(());
        }
        if let Some((_, why)) = self.panicked.take_if(|(at, _)| *at == event.sequence) {
            let why = format!("the host panicked at it, which is a mistake of the host's own: {why}");
            return self.park(event, 1, &NotConsumed::Retry(why), more);
        }
        let delivery = Delivery {
            event,
            producer: &spec.producer,
            attempt: 1,
            handled: spec.types.contains(&event.kind) && !event.data.is_empty(),
            replicas: spec.replicas.iter().filter(|replica| self.is_to_apply(replica, event)).collect(),
        };
        let consumed = !delivery.is_skipped();
        let (producer, from, to) = (&spec.producer, &self.cursor, (event.sequence, event.id.as_str()));
        let mark = |unit: &mut UnitOfWork| unit.move_cursor(producer, from, to);
        let why = match self.runner.deliver(&delivery, mark, self.delivered(event.sequence, consumed), more) {
            Ok(Written::Kept) => {
                tracing::debug!(
                    service = spec.consumer.as_str(),
                    producer = spec.producer.as_str(),
                    trace_id = event.trace_id.to_string(),
                    event = event.id,
                    kind = event.kind,
                    "an event was consumed"
                );
                self.moved(event);
                return Ok(());
            }
            Ok(Written::Moved) => return Err(Halt::Stale),
            Ok(Written::Unavailable(why)) => return Err(Halt::Pause(why)),
            Ok(Written::Failed(why)) => NotConsumed::Retry(why),
            Err(why) => why,
        };
        // If the batch was aborted, the events before this one may be undone too. They come first, and then this event again, in a batch of
        // its own.
        let parked_before = self.alone == Some(event.sequence);
        self.alone = Some(event.sequence);
        if !parked_before && self.was_moved_back()? {
            return Err(Halt::Stale);
        }
        self.park(event, 1, &why, more)
    }

    /// Whether the row is no longer where this subscription worker believes it to be. This commits first: as long as a unit of work of this
    /// subscription worker is in an open batch, the row may still change.
    fn was_moved_back(&mut self) -> Result<bool, Halt> {
        self.runner.commit_open_batch();
        let row = self.inbox.cursor(&self.subscription.spec.producer)?;
        Ok(row.map_or(Sequence::BEFORE_FIRST, |row| row.sequence) != self.cursor.sequence)
    }

    /// Parks an event behind an earlier event of its subject; false if no earlier event is parked any more.
    fn follows(&mut self, event: &Logged, more: bool) -> Result<bool, Halt> {
        let producer = self.subscription.spec.producer.clone();
        let mut waits = false;
        let mut row = parked(&self.runner, event, &producer, 0, &NotConsumed::Retry(BEHIND.into()));
        row.next = self.runner.time();
        let (from, to) = (self.cursor.clone(), (event.sequence, event.id.as_str()));
        let settle = self.parked(event.sequence, &row);
        let written = self.runner.write(
            |unit| {
                waits = unit.has_parked(&producer, &event.subject)?;
                if !waits {
                    return Ok(false);
                }
                unit.park(&row)?;
                unit.move_cursor(&producer, &from, to)
            },
            settle,
            more,
        );
        if !waits && written == Written::Moved {
            self.held.remove(&event.subject);
            return Ok(false);
        }
        match written {
            Written::Kept => {
                self.moved(event);
                Ok(true)
            }
            Written::Moved => Err(Halt::Stale),
            Written::Failed(why) | Written::Unavailable(why) => Err(Halt::Pause(why)),
        }
    }

    /// Parks an event that failed, or makes it a dead letter.
    fn park(&mut self, event: &Logged, attempts: u32, why: &NotConsumed, more: bool) -> Result<(), Halt> {
        let producer = self.subscription.spec.producer.clone();
        let row = parked(&self.runner, event, &producer, attempts, why);
        report_parked(&self.runner, &row);
        let dead = row.state == ParkedState::Dead;
        let settle = self.parked(event.sequence, &row);
        let (from, to) = (self.cursor.clone(), (event.sequence, event.id.as_str()));
        let written = self.runner.write(
            |unit| {
                unit.park(&row)?;
                unit.move_cursor(&producer, &from, to)
            },
            settle,
            more,
        );
        match written {
            Written::Kept => {
                if !dead {
                    self.held.insert(event.subject.clone());
                }
                self.moved(event);
                Ok(())
            }
            Written::Moved => Err(Halt::Stale),
            Written::Failed(why) | Written::Unavailable(why) => Err(Halt::Pause(why)),
        }
    }

    /// Makes the position durable when events were passed over.
    fn commit_skipped(&mut self) -> Result<(), Halt> {
        let (producer, from, to) = (&self.subscription.spec.producer, &self.cursor, &self.seen);
        let (subscription, at) = (Arc::clone(&self.subscription), to.0);
        let passed = Settle::new(move |kept| {
            if kept {
                subscription.set_applied(at);
                subscription.wake();
            } else {
                subscription.note_undone();
            }
        });
        let written =
            self.runner.write(|unit| unit.move_cursor(producer, from, (to.0, &to.1)), passed, false);
        match written {
            Written::Kept => {
                (self.cursor.sequence, self.cursor.event_id) = self.seen.clone();
                Ok(())
            }
            Written::Moved => Err(Halt::Stale),
            Written::Failed(why) | Written::Unavailable(why) => Err(Halt::Pause(why)),
        }
    }

    /// An event was passed: it took effect, or nobody here gets it (`consumed` is false).
    pub(crate) fn delivered(&self, sequence: Sequence, consumed: bool) -> Settle {
        let (subscription, observed) = (Arc::clone(&self.subscription), self.runner.context.observed.clone());
        Settle::new(move |kept| {
            if kept {
                subscription.counts.delivered.fetch_add(1, Ordering::Relaxed);
                if consumed {
                    let producer = &subscription.spec.producer;
                    observed.notify(&Observation::EventConsumed { producer, sequence });
                }
                subscription.set_applied(sequence);
                subscription.wake();
            } else {
                subscription.note_undone();
            }
        })
    }

    /// An event was parked.
    pub(crate) fn parked(&self, sequence: Sequence, row: &Parked) -> Settle {
        let (subscription, deferred) = (Arc::clone(&self.subscription), Arc::clone(&self.deferred));
        let (observed, row) = (self.runner.context.observed.clone(), row.clone());
        Settle::new(move |kept| {
            if kept {
                observed.notify(&Observation::EventParked { row: &row });
                // This comes before the position shows that the event was passed.
                subscription.note_trouble();
                subscription.set_applied(sequence);
                deferred.wake();
                subscription.wake();
            } else {
                subscription.note_undone();
            }
        })
    }

    fn moved(&mut self, event: &Logged) {
        self.seen = (event.sequence, event.id.clone());
        (self.cursor.sequence, self.cursor.event_id) = self.seen.clone();
    }

    /// Reports that everything up to the last seen event is consumed, unless a unit of work of this subscription worker still waits for its
    /// commit. In that case the commit wakes the subscription worker.
    fn note_applied(&self) {
        if self.subscription.applied() >= self.cursor.sequence {
            self.subscription.set_applied(self.seen.0);
        }
    }
}
