//! What a service takes later: its timers that have become due, and its parked events.
//!
//! One thread for each service. A timer's row, or the row of a parked event, goes in the unit of work that takes it, and only while
//! it is as it was when it was read: so each has its effect once, whoever else looks at it meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulkhead_store::{InboxReader, Logged, Parked, ParkedState, ReplicaSpec, StatementError};
use flume::{Receiver, Sender};

use crate::delivery::{Delivery, Written, failed, parked};
use crate::edge::Edge;
use crate::event_log::EventLog;
use crate::hold::Settle;
use crate::instance::NotTaken;
use crate::runner::Runner;

/// Timers that are taken at a time.
const TIMERS_AT_A_TIME: u32 = 64;
/// The longest wait: what is due is asked of the wall clock, which may be set.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often answers of idempotency keys are looked for that are too old.
const SWEEP: Duration = Duration::from_secs(600);
/// The wait after something failed for want of the disk or the lease.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to a service's deferred work.
pub struct Deferred {
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl Default for Deferred {
    fn default() -> Self {
        let (wake, woken) = flume::bounded(1);
        Self { wake, woken }
    }
}

impl Deferred {
    /// Something has become due, or will be earlier than was known.
    pub fn wake(&self) {
        let _ = self.wake.try_send(());
    }
}

/// An edge with a log of its own to read parked events from.
pub(crate) type Source = (Arc<Edge>, Box<dyn EventLog>);

pub(crate) struct DeferredWork {
    deferred: Arc<Deferred>,
    runner: Runner,
    inbox: InboxReader,
    /// By producer.
    sources: BTreeMap<String, Source>,
    stop: Arc<AtomicBool>,
}

impl DeferredWork {
    pub(crate) fn new(
        deferred: Arc<Deferred>,
        runner: Runner,
        inbox: InboxReader,
        sources: BTreeMap<String, Source>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self { deferred, runner, inbox, sources, stop }
    }

    /// Takes what is due until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut swept: Option<Instant> = None;
        while !self.stop.load(Ordering::Acquire) {
            if swept.is_none_or(|swept| swept.elapsed() > SWEEP) {
                swept = Some(Instant::now());
                self.sweep();
            }
            let taken = self.take_due();
            // Nothing is held while this thread waits: not the lease, not the answers of others.
            self.runner.commit_carried();
            self.runner.run_again_alone();
            let wait = match taken {
                Ok(Some(wait)) => wait.min(WAIT_MAX),
                Ok(None) => WAIT_MAX,
                Err(error) => {
                    tracing::warn!(
                        service = self.runner.context.name,
                        why = error.to_string(),
                        "timers wait"
                    );
                    PAUSE
                }
            };
            let _ = self.deferred.woken.recv_timeout(wait);
        }
    }

    /// Has what is due next be taken by a new instance.
    pub(crate) fn renew(&mut self) {
        self.runner.instance = None;
    }

    /// Takes out what nobody may ask for any more.
    fn sweep(&mut self) {
        let now = self.runner.context.surroundings.clock.now();
        let written = loop {
            self.runner.begin();
            let written = self.runner.write(|unit| unit.forget_old_answers(now), Settle::new(|_| {}), false);
            self.runner.commit_carried();
            self.runner.end();
            if written != Written::Kept || self.stop.load(Ordering::Acquire) {
                break written;
            }
        };
        if let Written::Failed(why) | Written::Unavailable(why) = written {
            tracing::warn!(service = self.name(), why, "old answers of idempotency keys stay for now");
        }
    }

    /// Takes all that is due, and says how long until the next is.
    pub(crate) fn take_due(&mut self) -> Result<Option<Duration>, StatementError> {
        loop {
            if self.stop.load(Ordering::Acquire) {
                return Ok(None);
            }
            let now = self.runner.context.surroundings.clock.now();
            let (timers, next_timer) = self.inbox.due_timers(now, TIMERS_AT_A_TIME)?;
            let count = timers.len();
            for (place, timer) in timers.iter().enumerate() {
                self.runner.begin();
                let taken = self.take_timer(timer, place + 1 < count);
                self.runner.run_again_alone();
                self.runner.end();
                taken?;
            }
            self.runner.commit_carried();
            let (parked, next_parked) = self.inbox.next_parked(now)?;
            if let Some(parked) = &parked {
                self.runner.begin();
                let tried = self.try_again(parked);
                self.runner.commit_carried();
                self.runner.run_again_alone();
                self.runner.end();
                tried?;
            }
            if count == 0 && parked.is_none() {
                let next = [next_timer, next_parked].into_iter().flatten().min();
                return Ok(next.map(|next| next.saturating_sub(now)));
            }
        }
    }

    fn name(&self) -> &str {
        &self.runner.context.name
    }

    fn take_timer(&mut self, timer: &Logged, more: bool) -> Result<(), StatementError> {
        let name = self.name().to_owned();
        let delivery =
            Delivery { event: timer, producer: &name, attempt: 1, handled: true, replicas: Vec::new() };
        let why = match self.runner.deliver(&delivery) {
            Ok(()) => {
                let settle = self.settle(None);
                match self.runner.write(|unit| unit.take_timer(timer.sequence, false), settle, more) {
                    Written::Kept | Written::Moved => return Ok(()),
                    Written::Unavailable(why) => return Err(StatementError::Other(why)),
                    Written::Failed(why) => NotTaken::Retry(why),
                }
            }
            Err(why) => self.undo(why),
        };
        let row = parked(&self.runner.context.surroundings, timer, &name, 1, &why);
        self.tell(&row);
        let settle = self.settle(None);
        let written = self.runner.write(
            |unit| {
                unit.park(&row)?;
                unit.mark_timer_parked(timer.sequence)
            },
            settle,
            false,
        );
        finished(written)
    }

    fn try_again(&mut self, row: &Parked) -> Result<(), StatementError> {
        let name = self.name().to_owned();
        let own = row.producer == name;
        let event = if own {
            self.inbox.timer(row.sequence)?
        } else {
            match self.sources.get_mut(&row.producer) {
                Some((_, log)) => {
                    log.read(row.sequence, 1)?.into_iter().find(|event| event.sequence == row.sequence)
                }
                None => None,
            }
        };
        let edge = self.sources.get(&row.producer).map(|(edge, _)| Arc::clone(edge));
        let attempts = row.attempts + 1;
        let Some(event) = event.filter(|event| event.id == row.id) else {
            let why = NotTaken::Reject(match &edge {
                None if !own => {
                    format!("the manifest has this service take nothing of {} any more", row.producer)
                }
                _ => "the event is no longer in the log".to_owned(),
            });
            return self.park_again(row, attempts, &why);
        };
        // One that was erased meanwhile says no more than that a row is gone, here as in its lane; its data are no business of the handler's.
        let erased = event.data.is_empty();
        let cursor = self.inbox.cursor(&row.producer)?.map_or(0, |cursor| cursor.sequence);
        let spec = edge.as_ref().map(|edge| &edge.spec);
        // A replica that a later event of the subject has been applied to must not be put back.
        let mut replicas = Vec::new();
        if let (Some(spec), Some((_, log))) = (spec, self.sources.get_mut(&row.producer)) {
            // One that was read from its owner tells of this event, or of a later one.
            let filled = self.inbox.filled(log.id())?;
            let is_behind = |replica: &&ReplicaSpec| {
                filled.get(&replica.name).is_none_or(|filled| row.sequence > *filled)
            };
            for replica in spec.replicas.iter().filter(|replica| replica.takes(&event.kind)).filter(is_behind)
            {
                let kinds = [replica.upsert.as_str(), replica.delete.as_deref().unwrap_or_default()];
                if !log.has_later(&event.subject, kinds, (row.sequence, cursor))? {
                    replicas.push(replica);
                }
            }
        }
        let delivery = Delivery {
            event: &event,
            producer: &row.producer,
            attempt: attempts,
            handled: !erased && (own || spec.is_some_and(|spec| spec.types.contains(&event.kind))),
            replicas,
        };
        if let Some(edge) = &edge
            && row.attempts > 0
        {
            edge.counts.retried.fetch_add(1, Ordering::Relaxed);
        }
        let passed_over = !delivery.handled && delivery.replicas.is_empty();
        let why = match self.runner.deliver(&delivery) {
            Ok(()) => {
                let settle = self.settle(edge.clone().filter(|_| !passed_over));
                let written = self.runner.write(
                    |unit| Ok(unit.unpark(row)? && (!own || unit.take_timer(row.sequence, true)?)),
                    settle,
                    false,
                );
                match written {
                    Written::Kept | Written::Moved => return Ok(()),
                    Written::Unavailable(why) => return Err(StatementError::Other(why)),
                    Written::Failed(why) => NotTaken::Retry(why),
                }
            }
            Err(why) => self.undo(why),
        };
        self.park_again(row, attempts, &why)
    }

    fn park_again(&mut self, row: &Parked, attempts: u32, why: &NotTaken) -> Result<(), StatementError> {
        let again = failed(&self.runner.context.surroundings, row.clone(), attempts, why);
        self.tell(&again);
        let settle = self.settle(None);
        let written = self.runner.write(
            |unit| {
                // Only if it is still as it was read: an operator may have dropped it meanwhile.
                let there = unit.unpark(row)?;
                if there {
                    unit.park(&again)?;
                }
                Ok(there)
            },
            settle,
            false,
        );
        finished(written)
    }

    fn undo(&mut self, why: NotTaken) -> NotTaken {
        why.with_loss(self.runner.undo())
    }

    fn tell(&self, row: &Parked) {
        tracing::warn!(
            service = self.name(),
            version = %self.runner.release.component.version,
            producer = row.producer,
            trace_id = row.trace_id,
            event = row.id,
            kind = row.kind,
            attempts = row.attempts,
            reason = row.reason,
            dead = row.state == ParkedState::Dead,
            "an event was not taken"
        );
    }

    /// What is told when it is durable or lost: whatever it is, there is something to look at again.
    fn settle(&self, delivered: Option<Arc<Edge>>) -> Settle {
        let deferred = Arc::clone(&self.deferred);
        Settle::new(move |kept| {
            if let Some(edge) = delivered.filter(|_| kept) {
                edge.counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
            if !kept {
                deferred.wake();
            }
        })
    }
}

/// What is not there as it was read is looked at again; what failed is tried again later.
fn finished(written: Written) -> Result<(), StatementError> {
    match written {
        Written::Kept | Written::Moved => Ok(()),
        Written::Failed(why) | Written::Unavailable(why) => Err(StatementError::Other(why)),
    }
}
