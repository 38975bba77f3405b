//! What a service takes later: its timers that have become due, and its parked events.
//!
//! Two threads for each service, one for its timers and one for its parked events: however long the handlers of the one kind take, and
//! however many of them fail, the other kind waits for none of them. A timer's row, or the row of a parked event, goes in the unit of work
//! that takes it, and only while it is as it was when it was read: so each has its effect once, whoever else looks at it meanwhile.
//!
//! What is due is a matter of the database's own time, which only goes forward (`host/store/src/timeline.rs`).

#[cfg(test)]
mod tests;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulkhead_store::{InboxReader, Logged, Parked, ReplicaSpec, StatementError, UnitOfWork};
use flume::{Receiver, Sender};

use crate::delivery::{Delivery, Written, changes, failed, tell_of_parked};
use crate::event_log::EventLog;
use crate::instance::NotTaken;
use crate::member::Settle;
use crate::runner::{HasRunner, Runner};
use crate::subscription::Subscription;
use crate::supervise::{self, Progress};

/// The longest wait: the clock that waits go by does not count the time of a suspended machine, and the wall clock may be set.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often answers of idempotency keys are looked for that are too old.
const SWEEP: Duration = Duration::from_secs(600);
/// The wait after something failed for want of the disk or the lease, or was not committed.
const PAUSE: Duration = Duration::from_millis(100);

/// What a thread takes.
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

/// The way to a service's deferred work.
#[derive(Default)]
pub struct Deferred {
    timers: Waking,
    parked: Waking,
}

impl Deferred {
    /// Something has become due, or will be earlier than was known.
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

/// The wait before one that can't be read is looked at again.
const UNREADABLE_WAIT: Duration = Duration::from_secs(5);

/// A subscription with a log of its own to read parked events from.
pub(crate) type Source = (Arc<Subscription>, Box<dyn EventLog>);

pub(crate) struct DeferredWork {
    deferred: Arc<Deferred>,
    runner: Runner,
    inbox: InboxReader,
    /// By producer.
    sources: BTreeMap<String, Source>,
    stop: Arc<AtomicBool>,
    /// A batch with units of work of this thread's was not committed: it waits before it tries them again.
    undone: Arc<AtomicBool>,
    swept: Option<Instant>,
    /// The timer, or the parked event by its producer, that is being taken.
    taking: Option<Place>,
    /// The one at which this thread panicked, and what the panic said.
    panicked: Option<(Place, String)>,
}

/// Where the row is of what is taken: whose log, and the place there; a timer that is not parked has no producer.
type Place = (Option<String>, i64);

/// What a look found: whether anything was due, and else how long until the next is.
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
        inbox: InboxReader,
        sources: BTreeMap<String, Source>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (undone, swept, taking, panicked) = (Arc::default(), None, None, None);
        Self { deferred, runner, inbox, sources, stop, undone, swept, taking, panicked }
    }

    /// Takes what is due of one kind until it is told to stop.
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
            let taken = self.take_all(kind);
            self.let_go();
            progress.made();
            match taken {
                Ok(wait) => {
                    let wait = wait.map_or(WAIT_MAX, |wait| wait.min(WAIT_MAX));
                    let _ = self.deferred.of(kind).woken.recv_timeout(wait);
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::warn!(service = self.name(), what = kind.name(), why, "what is due waits");
                    // Whoever wakes it meanwhile, what failed is not tried at once.
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Lets go of what was held when this thread panicked. What it was at is taken as an attempt that failed: so it holds up nothing else.
    pub(crate) fn mend(&mut self, why: &str) {
        self.runner = self.runner.fresh();
        // How long a thread waits that panicked is its supervisor's to say.
        self.undone.store(false, Ordering::Release);
        self.panicked = self.taking.take().map(|place| (place, why.to_owned()));
    }

    /// Has what is due next be taken by a new instance.
    pub(crate) fn renew(&mut self) {
        self.runner.instance.retire();
    }

    /// Has the database know how its time and the wall clock are apart, where that is new: so that it finds its time again after a restart.
    fn write_time_if_set(&mut self) {
        if !self.runner.parts.database.as_ref().is_some_and(|service| service.database.clock_was_set()) {
            return;
        }
        tracing::warn!(
            service = self.name(),
            "the wall clock was set: what is due is due after the same delay"
        );
        let written = self.runner.inside(|runner| {
            runner.write(|unit| unit.write_time().map(|()| true), Settle::new(|_| {}), false)
        });
        if let Written::Failed(why) | Written::Unavailable(why) = written {
            tracing::warn!(service = self.name(), why, "the time is written down later");
        }
    }

    /// Takes out what nobody may ask for any more.
    fn sweep(&mut self) {
        let now = self.runner.time();
        let written = loop {
            let settle = self.settle(None);
            let written = self.runner.inside(|runner| {
                let written = runner.write(|unit| unit.forget_old_answers(now), settle, false);
                runner.commit_carried();
                written
            });
            // What is not committed is there again, and would be without end while the disk is full.
            let is_undone = self.undone.load(Ordering::Acquire);
            if written != Written::Kept || is_undone || self.stop.load(Ordering::Acquire) {
                break written;
            }
        };
        if let Written::Failed(why) | Written::Unavailable(why) = written {
            tracing::warn!(service = self.name(), why, "old answers of idempotency keys stay for now");
        }
    }

    /// Takes all of one kind that is due, and gives how long until the next is.
    fn take_all(&mut self, kind: Kind) -> Result<Option<Duration>, StatementError> {
        loop {
            if self.stop.load(Ordering::Acquire) {
                return Ok(None);
            }
            if self.undone.swap(false, Ordering::AcqRel) {
                return Err(StatementError::Other("what was taken was not committed".into()));
            }
            let Look { found, wait } = self.take_some(kind)?;
            if !found {
                return Ok(wait);
            }
        }
    }

    fn take_some(&mut self, kind: Kind) -> Result<Look, StatementError> {
        match kind {
            Kind::Timers => self.take_timers(),
            Kind::Parked => self.try_parked(),
        }
    }

    /// Takes all of both kinds that is due, on one thread, and gives how long until the next is.
    pub(crate) fn take_due(&mut self) -> Result<Option<Duration>, StatementError> {
        loop {
            let looks = [self.take_some(Kind::Timers)?, self.take_some(Kind::Parked)?];
            if looks.iter().all(|look| !look.found) {
                return Ok(looks.into_iter().filter_map(|look| look.wait).min());
            }
        }
    }

    fn name(&self) -> &str {
        &self.runner.context.name
    }

    /// What the host's panic at this place said, if this thread has panicked there.
    fn panicked_at(&mut self, place: &Place) -> Option<NotTaken> {
        let (_, why) = self.panicked.take_if(|(at, _)| at == place)?;
        Some(NotTaken::Retry(format!("the host panicked at it, which is a mistake of the host's own: {why}")))
    }

    /// Tries the parked event that is due first.
    fn try_parked(&mut self) -> Result<Look, StatementError> {
        let now = self.runner.time();
        let (row, next) = self.inbox.next_parked(now)?;
        let Some(row) = row else {
            return Ok(Look { found: false, wait: next.map(|next| next.saturating_sub(now)) });
        };
        self.taking = Some((Some(row.producer.clone()), row.sequence));
        let tried = self.inside(|this| {
            let tried = this.try_again(&row);
            this.runner.commit_carried();
            tried
        });
        self.taking = None;
        tried?;
        Ok(Look { found: true, wait: None })
    }

    /// Its unit of work is carried, and never handed to one who waits: the next look is to see it, and so it is committed by
    /// [`Self::try_parked`].
    fn try_again(&mut self, row: &Parked) -> Result<(), StatementError> {
        let name = self.name().to_owned();
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
            let why = NotTaken::Reject(match &subscription {
                None if !own => {
                    format!("the manifest has this service take nothing of {} any more", row.producer)
                }
                _ => "the event is no longer in the log".to_owned(),
            });
            return self.park_again(row, attempts, &why);
        };
        // One that was erased meanwhile says no more than that a row is gone, here as in its subscription worker; its data are no business
        // of the handler's.
        let erased = event.data.is_empty();
        let cursor = self.inbox.cursor(&row.producer)?.map_or(0, |cursor| cursor.sequence);
        let spec = subscription.as_ref().map(|subscription| &subscription.spec);
        let replicas = match (spec, self.sources.get_mut(&row.producer)) {
            (Some(spec), Some((_, log))) => {
                // One that was read from its owner tells of this event, or of a later one.
                let filled = self.inbox.filled(log.id())?;
                let is_behind = |replica: &&ReplicaSpec| changes(&filled, replica, row.sequence);
                match replicas_of(log.as_mut(), spec.replicas.iter().filter(is_behind), &event, cursor) {
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
        let passed_over = !delivery.handled && delivery.replicas.is_empty();
        let settle = self.settle(subscription.clone().filter(|_| !passed_over));
        let mark = |unit: &mut UnitOfWork<_>| {
            Ok(unit.unpark(row)? && (!own || unit.take_timer(row.sequence, true)?))
        };
        let why = match self.runner.deliver(&delivery, mark, settle, true) {
            Ok(Written::Kept | Written::Moved) => return Ok(()),
            Ok(Written::Unavailable(why)) => return Err(StatementError::Other(why)),
            Ok(Written::Failed(why)) => NotTaken::Retry(why),
            Err(why) => why,
        };
        self.park_again(row, attempts, &why)
    }

    /// The event of a row; none where it is no longer there, or nothing is taken of its producer any more.
    fn event_of(&mut self, row: &Parked, own: bool) -> Result<Option<Logged>, StatementError> {
        if own {
            return self.inbox.timer(row.sequence);
        }
        let Some((_, log)) = self.sources.get_mut(&row.producer) else { return Ok(None) };
        Ok(log.read(row.sequence, 1)?.into_iter().find(|event| event.sequence == row.sequence))
    }

    fn park_again(&mut self, row: &Parked, attempts: u32, why: &NotTaken) -> Result<(), StatementError> {
        let again = failed(&self.runner, row.clone(), attempts, why);
        self.replace(row, &again)
    }

    /// An event that can't be read now must not hold up those that can: it has its turn again behind them. It was not tried.
    fn put_off(&mut self, row: &Parked, why: String) -> Result<(), StatementError> {
        let again = Parked { next: self.runner.time() + UNREADABLE_WAIT, reason: why, ..row.clone() };
        self.replace(row, &again)
    }

    fn replace(&mut self, row: &Parked, again: &Parked) -> Result<(), StatementError> {
        tell_of_parked(&self.runner, again);
        let settle = self.settle(None);
        let written = self.runner.write(
            |unit| {
                // Only if it is still as it was read: an operator may have dropped it meanwhile.
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

    /// What is told when it is durable or aborted: whatever it is, there is something to look at again.
    fn settle(&self, delivered: Option<Arc<Subscription>>) -> Settle {
        let (deferred, undone) = (Arc::clone(&self.deferred), Arc::clone(&self.undone));
        Settle::new(move |kept| {
            if let Some(subscription) = delivered.filter(|_| kept) {
                subscription.counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
            if !kept {
                undone.store(true, Ordering::Release);
                deferred.wake();
            }
        })
    }

    /// What is told when a timer was parked: the other thread has one more to look after.
    fn settle_parked(&self) -> Settle {
        let (deferred, undone) = (Arc::clone(&self.deferred), Arc::clone(&self.undone));
        Settle::new(move |kept| {
            if !kept {
                undone.store(true, Ordering::Release);
            }
            deferred.wake();
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

/// The replicas that an event is applied to: one that a later event of the subject has been applied to must not be put back.
fn replicas_of<'r>(
    log: &mut dyn EventLog,
    replicas: impl Iterator<Item = &'r ReplicaSpec>,
    event: &Logged,
    cursor: i64,
) -> Result<Vec<&'r ReplicaSpec>, StatementError> {
    let mut applied = Vec::new();
    for replica in replicas.filter(|replica| replica.takes(&event.kind)) {
        let kinds = [replica.upsert.as_str(), replica.delete.as_deref().unwrap_or_default()];
        if !log.has_later(&event.subject, kinds, (event.sequence, cursor))? {
            applied.push(replica);
        }
    }
    Ok(applied)
}
