//! What a service consumes later: timers that are due, and parked events.
//!
//! Each service has two threads, one for its timers and one for its parked events. So neither kind waits for the other, however long the
//! other kind's handlers take, and however many of them fail. The unit of work that consumes a timer or a parked event deletes its row, and
//! only while the row is as it was when it was read. So each has its effect once, also if something else looks at it at the same time.
//!
//! The database's own time decides what is due. It only goes forward (`Database::time`).

#[cfg(test)]
mod tests;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulkhead_store::{EventLog, InboxReader, Logged, Parked, ReplicaSpec, StatementError};
use bulkhead_types::{Sequence, ServiceName};
use flume::{Receiver, Sender};

use crate::database::UnitOfWork;
use crate::delivery::{Delivery, Written, changes, failed, report_parked};
use crate::instance::NotConsumed;
use crate::member::Settle;
use crate::observer::{DropCause, Observation, Observed};
use crate::runner::{HasRunner, Runner};
use crate::subscription::Subscription;
use crate::supervise::{self, Progress};

/// The longest wait. There is a limit because the clock for waits does not count the time of a suspended machine, and because the wall
/// clock may be set.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often the thread looks for answers of idempotency keys that are too old.
const SWEEP: Duration = Duration::from_secs(600);
/// The wait after a failure because of the disk or the lease, or after a unit of work was not committed.
const PAUSE: Duration = Duration::from_millis(100);

/// What a thread consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Timers,
    Parked,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Timers, Self::Parked];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timers => "timers",
            Self::Parked => "parked",
        }
    }
}

/// Wakes one thread.
struct Waking {
    wake: Sender<()>,
    woken: Receiver<()>,
}

impl Default for Waking {
    fn default() -> Self {
        let (wake, woken) = flume::bounded(1);
        Self { wake, woken }
    }
}

/// Wakes the threads of a service's deferred work.
#[derive(Default)]
pub struct Deferred {
    timers: Waking,
    parked: Waking,
}

impl Deferred {
    /// Something has become due, or will be due earlier than was known.
    pub fn wake(&self) {
        for kind in Kind::ALL {
            let _ = self.of(kind).wake.try_send(());
        }
    }

    fn of(&self, kind: Kind) -> &Waking {
        match kind {
            Kind::Timers => &self.timers,
            Kind::Parked => &self.parked,
        }
    }
}

/// The wait before the thread looks again at a parked event that can't be read.
const UNREADABLE_WAIT: Duration = Duration::from_secs(5);

/// A subscription, with its own access to the event log from which parked events are read.
pub(crate) type Source = (Arc<Subscription>, Box<dyn EventLog>);

pub(crate) struct DeferredWork {
    deferred: Arc<Deferred>,
    runner: Runner,
    inbox: Box<dyn InboxReader>,
    /// By producer.
    sources: BTreeMap<ServiceName, Source>,
    stop: Arc<AtomicBool>,
    /// A batch with units of work of this thread was not committed. The thread waits before it tries them again.
    undone: Arc<AtomicBool>,
    swept: Option<Instant>,
    /// The timer, or the parked event by its producer, that is being consumed.
    consuming: Option<Place>,
    /// The timer or parked event at which this thread panicked, and what the panic said.
    panicked: Option<(Place, String)>,
}

/// The place of what is being consumed: the producer whose event log it is from, and the sequence there. A timer that is not parked has no
/// producer.
type Place = (Option<ServiceName>, Sequence);

/// What one look found: whether anything was due, and if not, the time until something is.
struct Look {
    found: bool,
    wait: Option<Duration>,
}

impl HasRunner for DeferredWork {
    fn runner(&mut self) -> &mut Runner {
        &mut self.runner
    }
}

impl DeferredWork {
    pub(crate) fn new(
        deferred: Arc<Deferred>,
        runner: Runner,
        inbox: Box<dyn InboxReader>,
        sources: BTreeMap<ServiceName, Source>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (undone, swept, consuming, panicked) = (Arc::default(), None, None, None);
        Self { deferred, runner, inbox, sources, stop, undone, swept, consuming, panicked }
    }

    /// Consumes what is due of one kind, until it must stop.
    pub(crate) fn run(&mut self, kind: Kind, progress: &Progress) {
        while !self.stop.load(Ordering::Acquire) {
            supervise::point("turn");
            if kind == Kind::Parked && self.swept.is_none_or(|swept| swept.elapsed() > SWEEP) {
                self.swept = Some(Instant::now());
                self.sweep();
            }
            if kind == Kind::Parked {
                self.write_time_if_set();
            }
            let consumed = self.consume_all(kind);
            self.let_go();
            progress.made();
            match consumed {
                Ok(wait) => {
                    let wait = wait.map_or(WAIT_MAX, |wait| wait.min(WAIT_MAX));
                    let _ = self.deferred.of(kind).woken.recv_timeout(wait);
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::warn!(
                        service = self.name().as_str(),
                        what = kind.name(),
                        why,
                        "what is due waits"
                    );
                    // Even if something wakes the thread meanwhile, it must not try at once what failed.
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Lets go of what this thread held when it panicked. The timer or event that it was at counts as a failed attempt, so that it does not
    /// hold up anything else.
    pub(crate) fn mend(&mut self, why: &str) {
        self.runner = self.runner.fresh();
        // The supervisor decides how long a thread waits after a panic.
        self.undone.store(false, Ordering::Release);
        self.panicked = self.consuming.take().map(|place| (place, why.to_owned()));
    }

    /// Makes what is due next run on a new instance.
    pub(crate) fn renew(&mut self) {
        self.runner.instance.retire(DropCause::Undone);
    }

    /// Writes the difference between the database's time and the wall clock to the database, if the difference is new. With it the database
    /// finds its time again after a restart.
    fn write_time_if_set(&mut self) {
        if !self.runner.parts.database.as_ref().is_some_and(|service| service.database.clock_was_set()) {
            return;
        }
        tracing::warn!(
            service = self.name().as_str(),
            "the wall clock was set: what is due is due after the same delay"
        );
        let written = self.runner.inside(|runner| {
            runner.write(|unit| unit.write_time().map(|()| true), Settle::new(|_| {}), false)
        });
        if let Written::Failed(why) | Written::Unavailable(why) = written {
            tracing::warn!(service = self.name().as_str(), why, "the time is written down later");
        }
    }

    /// Deletes the answers that nobody may ask for any more.
    fn sweep(&mut self) {
        let now = self.runner.time();
        let written = loop {
            let settle = self.settle(|_| ());
            let written = self.runner.inside(|runner| {
                let written = runner.write(|unit| unit.forget_old_answers(now), settle, false);
                runner.commit_open_batch();
                written
            });
            // Answers whose deletion was not committed are there again. While the disk is full, this loop would never end.
            let is_undone = self.undone.load(Ordering::Acquire);
            if written != Written::Kept || is_undone || self.stop.load(Ordering::Acquire) {
                break written;
            }
        };
        if let Written::Failed(why) | Written::Unavailable(why) = written {
            tracing::warn!(
                service = self.name().as_str(),
                why,
                "old answers of idempotency keys stay for now"
            );
        }
    }

    /// Consumes everything of one kind that is due, and returns the time until the next is due.
    fn consume_all(&mut self, kind: Kind) -> Result<Option<Duration>, StatementError> {
        loop {
            if self.stop.load(Ordering::Acquire) {
                return Ok(None);
            }
            if self.undone.swap(false, Ordering::AcqRel) {
                return Err(StatementError::Other("what was consumed was not committed".into()));
            }
            let Look { found, wait } = self.consume_some(kind)?;
            if !found {
                return Ok(wait);
            }
        }
    }

    fn consume_some(&mut self, kind: Kind) -> Result<Look, StatementError> {
        match kind {
            Kind::Timers => self.consume_timers(),
            Kind::Parked => self.try_parked(),
        }
    }

    /// Consumes everything of both kinds that is due, on one thread, and returns the time until the next is due.
    pub(crate) fn consume_due(&mut self) -> Result<Option<Duration>, StatementError> {
        loop {
            let looks = [self.consume_some(Kind::Timers)?, self.consume_some(Kind::Parked)?];
            if looks.iter().all(|look| !look.found) {
                return Ok(looks.into_iter().filter_map(|look| look.wait).min());
            }
        }
    }

    fn name(&self) -> &ServiceName {
        &self.runner.context.name
    }

    /// What the host's panic at this place said, if this thread has panicked there.
    fn panicked_at(&mut self, place: &Place) -> Option<NotConsumed> {
        let (_, why) = self.panicked.take_if(|(at, _)| at == place)?;
        Some(NotConsumed::Retry(format!(
            "the host panicked at it, which is a mistake of the host's own: {why}"
        )))
    }

    /// Tries the parked event that is due first.
    fn try_parked(&mut self) -> Result<Look, StatementError> {
        let now = self.runner.time();
        let (row, next) = self.inbox.next_parked(now)?;
        let Some(row) = row else {
            return Ok(Look { found: false, wait: next.map(|next| next.saturating_sub(now)) });
        };
        self.consuming = Some((Some(row.producer.clone()), row.sequence));
        let tried = self.inside(|this| {
            let tried = this.try_again(&row);
            this.runner.commit_open_batch();
            tried
        });
        self.consuming = None;
        tried?;
        Ok(Look { found: true, wait: None })
    }

    /// This thread keeps the unit of work, and never passes it on to a waiting thread. [`Self::try_parked`] commits it, because the next
    /// look must see it.
    fn try_again(&mut self, row: &Parked) -> Result<(), StatementError> {
        let name = self.name().clone();
        let own = row.producer == name;
        if let Some(why) = self.panicked_at(&(Some(row.producer.clone()), row.sequence)) {
            return self.park_again(row, row.attempts + 1, &why);
        }
        let event = match self.event_of(row, own) {
            Ok(event) => event,
            Err(error) => return self.put_off(row, format!("the event can't be read: {error}")),
        };
        let subscription = self.sources.get(&row.producer).map(|(subscription, _)| Arc::clone(subscription));
        let attempts = row.attempts + 1;
        let Some(event) = event.filter(|event| event.id == row.id) else {
            let why = NotConsumed::Reject(match &subscription {
                None if !own => {
                    format!("the manifest lets this service consume nothing of {} any more", row.producer)
                }
                _ => "the event is no longer in the log".to_owned(),
            });
            return self.park_again(row, attempts, &why);
        };
        // An event that was erased meanwhile says only that a row is gone, here as in its subscription worker. The handler does not get it.
        let erased = event.data.is_empty();
        let cursor =
            self.inbox.cursor(&row.producer)?.map_or(Sequence::BEFORE_FIRST, |cursor| cursor.sequence);
        let spec = subscription.as_ref().map(|subscription| &subscription.spec);
        let replicas = match (spec, self.sources.get(&row.producer)) {
            (Some(spec), Some((_, log))) => {
                // A replica that was read from its owner may include this event already, or a later one.
                let filled = self.inbox.filled(log.id())?;
                let is_behind = |replica: &&ReplicaSpec| changes(&filled, replica, row.sequence);
                match replicas_of(log.as_ref(), spec.replicas.iter().filter(is_behind), &event, cursor) {
                    Ok(replicas) => replicas,
                    Err(error) => {
                        return self
                            .put_off(row, format!("what came after the event can't be read: {error}"));
                    }
                }
            }
            _ => Vec::new(),
        };
        let delivery = Delivery {
            event: &event,
            producer: &row.producer,
            attempt: attempts,
            handled: !erased && (own || spec.is_some_and(|spec| spec.types.contains(&event.kind))),
            replicas,
        };
        if let Some(subscription) = &subscription
            && row.attempts > 0
        {
            subscription.counts.retried.fetch_add(1, Ordering::Relaxed);
        }
        let consumed = (!delivery.is_skipped()).then(|| (row.producer.clone(), row.sequence));
        let counted = subscription.clone();
        let settle = self.settle(move |observed| {
            let Some((producer, sequence)) = consumed else { return };
            if let Some(subscription) = counted {
                subscription.counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
            observed.notify(&Observation::EventConsumed { producer: &producer, sequence });
        });
        let mark = |unit: &mut UnitOfWork| {
            Ok(unit.unpark(row)? && (!own || unit.consume_timer(row.sequence, true)?))
        };
        match not_consumed(self.runner.deliver(&delivery, mark, settle, true))? {
            None => Ok(()),
            Some(why) => self.park_again(row, attempts, &why),
        }
    }

    /// The event of a row; none if it is no longer there, or if the service consumes nothing of its producer any more.
    fn event_of(&mut self, row: &Parked, own: bool) -> Result<Option<Logged>, StatementError> {
        if own {
            return self.inbox.timer(row.sequence);
        }
        let Some((_, log)) = self.sources.get(&row.producer) else { return Ok(None) };
        Ok(log.read(row.sequence, 1)?.into_iter().find(|event| event.sequence == row.sequence))
    }

    fn park_again(&mut self, row: &Parked, attempts: u32, why: &NotConsumed) -> Result<(), StatementError> {
        let again = failed(&self.runner, row.clone(), attempts, why);
        self.replace(row, &again)
    }

    /// An event that can't be read now must not hold up the events that can. Its next turn comes after theirs. It was not tried.
    fn put_off(&mut self, row: &Parked, why: String) -> Result<(), StatementError> {
        let again = Parked { next: self.runner.time() + UNREADABLE_WAIT, reason: why, ..row.clone() };
        self.replace(row, &again)
    }

    fn replace(&mut self, row: &Parked, again: &Parked) -> Result<(), StatementError> {
        report_parked(&self.runner, again);
        let parked = again.clone();
        let settle = self.settle(move |observed| observed.notify(&Observation::EventParked { row: &parked }));
        let written = self.runner.write(
            |unit| {
                // Only if the row is still as it was read: an operator may have dropped it meanwhile.
                let there = unit.unpark(row)?;
                if there {
                    unit.park(again)?;
                }
                Ok(there)
            },
            settle,
            true,
        );
        finished(written)
    }

    /// Handles the result of a unit of work: calls `kept` when it is durable. If it was aborted, there is something to look at again.
    pub(crate) fn settle(&self, kept: impl FnOnce(&Observed) + Send + 'static) -> Settle {
        let (deferred, undone) = (Arc::clone(&self.deferred), Arc::clone(&self.undone));
        let observed = self.runner.context.observed.clone();
        Settle::new(move |is_kept| {
            if is_kept {
                kept(&observed);
            } else {
                undone.store(true, Ordering::Release);
                deferred.wake();
            }
        })
    }
}

/// Why an event or a timer is parked now; none if it was consumed, or is no longer there as it was read.
///
/// # Errors
///
/// If nothing is known of it, since the database can't be written to now.
fn not_consumed(delivered: Result<Written, NotConsumed>) -> Result<Option<NotConsumed>, StatementError> {
    match delivered {
        Ok(Written::Kept | Written::Moved) => Ok(None),
        Ok(Written::Unavailable(why)) => Err(StatementError::Other(why)),
        Ok(Written::Failed(why)) => Ok(Some(NotConsumed::Retry(why))),
        Err(why) => Ok(Some(why)),
    }
}

/// A row that is no longer as it was read is looked at again. What failed is tried again later.
fn finished(written: Written) -> Result<(), StatementError> {
    match written {
        Written::Kept | Written::Moved => Ok(()),
        Written::Failed(why) | Written::Unavailable(why) => Err(StatementError::Other(why)),
    }
}

/// The replicas to which an event is applied. If a later event of the subject was applied to a replica, this event must not set it back.
fn replicas_of<'r>(
    log: &dyn EventLog,
    replicas: impl Iterator<Item = &'r ReplicaSpec>,
    event: &Logged,
    cursor: Sequence,
) -> Result<Vec<&'r ReplicaSpec>, StatementError> {
    let mut applied = Vec::new();
    for replica in replicas.filter(|replica| replica.takes(&event.kind)) {
        if !log.has_later(&event.subject, replica.kinds(), (event.sequence, cursor))? {
            applied.push(replica);
        }
    }
    Ok(applied)
}
