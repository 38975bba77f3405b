//! Applies one event: first the replicas that it updates, then the service's handler, in one unit of work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bulkhead_store::{Abort, ApplyError, Ended, Logged, Parked, ParkedState, ReplicaSpec, StatementError};
use bulkhead_types::limits::{ATTEMPTS_MAX, REASON_BYTES_MAX, RETRY_FIRST, RETRY_MAX};
use bulkhead_types::{Sequence, ServiceName, own_words};

use crate::bindings::bulkhead::service::types::Event;
use crate::database::UnitOfWork;
use crate::hold::Hold;
use crate::host_context::HostContext;
use crate::instance::NotConsumed;
use crate::member::{Member, Pending, Settle};
use crate::observer::DropCause;
use crate::runner::Runner;
use crate::supervise;

/// An event, on its way to a consumer.
pub(crate) struct Delivery<'a> {
    pub(crate) event: &'a Logged,
    pub(crate) producer: &'a ServiceName,
    /// 1 for the first attempt.
    pub(crate) attempt: u32,
    /// The consumer's handler gets it.
    pub(crate) handled: bool,
    /// The replicas that this event keeps up to date.
    pub(crate) replicas: Vec<&'a ReplicaSpec>,
}

impl Delivery<'_> {
    /// The sequence of a timer. An event that a service consumes from itself is a timer: its own event log is only for other services.
    fn timer(&self, consumer: &ServiceName) -> Option<Sequence> {
        (self.producer == consumer).then_some(self.event.sequence)
    }

    /// Nobody gets it: no handler, and no replica.
    pub(crate) fn is_skipped(&self) -> bool {
        !self.handled && self.replicas.is_empty()
    }
}

/// The result of a unit of work of the host itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is in the batch.
    Kept,
    /// The position, the timer or the parked event was not as the caller believed. Nothing was done.
    Moved,
    /// It failed, for this reason. Nothing was done. If the whole batch was aborted, its members got their results.
    Failed(String),
    /// The lease could not be acquired in time, or the database can't be written to now.
    Unavailable(String),
}

impl Runner {
    /// Applies an event, in one unit of work with the write that marks it as consumed: see [`Self::write`]. If its handler or a replica
    /// fails, the unit of work is rolled back.
    pub(crate) fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        mark: impl FnOnce(&mut UnitOfWork) -> Result<bool, StatementError>,
        settle: Settle,
        more: bool,
    ) -> Result<Written, NotConsumed> {
        match self.apply(delivery) {
            Ok(()) => Ok(self.write(mark, settle, more)),
            Err(why) => {
                settle.disarm();
                Err(why.with_abort(self.undo()))
            }
        }
    }

    /// Brings the replicas up to date and calls the handler. The unit of work is still open when this returns.
    fn apply(&mut self, delivery: &Delivery<'_>) -> Result<(), NotConsumed> {
        let deadline = Instant::now() + self.release.spec.limits.request_timeout;
        if !delivery.replicas.is_empty() {
            let unit = self.open_unit(deadline).map_err(|error| NotConsumed::Retry(error.to_string()))?;
            for replica in &delivery.replicas {
                match unit.apply(replica, delivery.event) {
                    Ok(()) => {}
                    Err(ApplyError::Malformed(why)) => return Err(NotConsumed::Reject(why)),
                    Err(ApplyError::Statement(error)) => return Err(NotConsumed::Retry(error.to_string())),
                }
            }
        }
        if delivery.handled {
            let event = delivery.event;
            let trace_id = event.trace_id;
            let event = Event {
                id: event.id.clone(),
                source: delivery.producer.to_string(),
                type_: event.kind.clone(),
                subject: event.subject.to_string(),
                time: event.time.clone(),
                trace_id: trace_id.to_string(),
                data: event.data.clone(),
                attempt: delivery.attempt,
            };
            let timer = delivery.timer(&self.context.name);
            self.instance.run_event(&self.release, &mut self.parts, &event, trace_id, timer, deadline)?;
        }
        Ok(())
    }

    /// The open unit of work, or a new one.
    fn open_unit(&mut self, deadline: Instant) -> Result<&mut UnitOfWork, StatementError> {
        let Some(database) = self.parts.database.clone() else {
            return Err(StatementError::Other("the service has no database".into()));
        };
        let hold = self.release.spec.limits.lease_hold;
        Ok(self.parts.hold.join(&database.writer, deadline, hold, &self.context.observed)?.unit)
    }

    /// Rolls back the open unit of work.
    fn undo(&mut self) -> Option<Abort> {
        let unit = self.take_unit()?;
        let (lease, ended) = unit.finish(false);
        match ended {
            Ended::Aborted { abort, neighbours } => {
                tracing::warn!(service = self.context.name.as_str(), %abort, neighbours = neighbours.len(), "a batch was aborted");
                self.instance.retire(DropCause::Undone);
                self.recover(lease, neighbours);
                Some(abort)
            }
            // The lease stays with this thread, because it writes next at once.
            ended => {
                self.parts.hold = Hold::OpenBatch(lease);
                match ended {
                    Ended::Failed(abort) => Some(abort),
                    _ => None,
                }
            }
        }
    }

    /// Ends the open unit of work (or opens one). `mark` writes that the event is consumed or parked, and returns whether the row was as
    /// its caller believed. `more` is true if the caller has further work at hand. If the unit of work is kept, `settle` is notified of
    /// what becomes of the batch. If it is not kept, `settle` gets nothing: the return value says so.
    pub(crate) fn write(
        &mut self,
        mark: impl FnOnce(&mut UnitOfWork) -> Result<bool, StatementError>,
        settle: Settle,
        more: bool,
    ) -> Written {
        let deadline = Instant::now() + self.release.spec.limits.request_timeout;
        let marked = match self.open_unit(deadline) {
            Ok(unit) => {
                supervise::point("write");
                mark(unit)
            }
            Err(error) => {
                settle.disarm();
                return Written::Unavailable(error.to_string());
            }
        };
        let Some(unit) = self.take_unit() else {
            settle.disarm();
            return Written::Unavailable("the unit of work could not be joined".into());
        };
        let keep = matches!(marked, Ok(true));
        let (lease, ended) = unit.finish(keep);
        let written = match (&marked, &ended) {
            (_, Ended::Aborted { abort, .. } | Ended::Failed(abort)) => Written::Failed(abort.to_string()),
            (_, Ended::ForeignKeys) => Written::Failed("a foreign key points to what is not there".into()),
            (Err(error), _) => Written::Failed(error.to_string()),
            (Ok(false), _) => Written::Moved,
            (Ok(true), _) => Written::Kept,
        };
        if written == Written::Kept {
            self.join_batch(lease, Member::Event(settle, Pending::new(&self.context.aborts)), more);
        } else {
            settle.disarm();
            self.instance.retire(DropCause::Undone);
            if let Ended::Aborted { neighbours, .. } = ended {
                self.recover(lease, neighbours);
            } else {
                self.parts.hold = Hold::OpenBatch(lease);
            }
        }
        written
    }
}

/// Whether an event changes a replica. It does not if the replica was read from its owner after the owner had published the event. `filled`
/// has the last event that is included in each replica that was read in this way.
pub(crate) fn changes(
    filled: &BTreeMap<String, Sequence>,
    replica: &ReplicaSpec,
    sequence: Sequence,
) -> bool {
    filled.get(&replica.name).is_none_or(|filled| sequence > *filled)
}

/// The row of an event that was not consumed.
pub(crate) fn parked(
    runner: &Runner,
    event: &Logged,
    producer: &ServiceName,
    attempts: u32,
    why: &NotConsumed,
) -> Parked {
    let row = Parked {
        producer: producer.clone(),
        sequence: event.sequence,
        id: event.id.clone(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        trace_id: event.trace_id,
        state: ParkedState::Parked,
        attempts,
        next: Duration::ZERO,
        since: runner.context.host_context.clock.now(),
        reason: String::new(),
    };
    failed(runner, row, attempts, why)
}

/// The row after `attempts` attempts, the last of which failed for this reason. The event is tried again or becomes a dead letter.
pub(crate) fn failed(runner: &Runner, row: Parked, attempts: u32, why: &NotConsumed) -> Parked {
    let (state, reason) = match why {
        NotConsumed::Reject(reason) => (ParkedState::Dead, reason.clone()),
        NotConsumed::Retry(reason) if attempts >= ATTEMPTS_MAX => {
            (ParkedState::Dead, format!("after {attempts} attempts: {reason}"))
        }
        NotConsumed::Retry(reason) => (ParkedState::Parked, reason.clone()),
    };
    // A guest may give a reason of any length. The row keeps as much of it as an operator reads.
    let reason = own_words(&reason, REASON_BYTES_MAX);
    let next = runner.time() + backoff(&runner.context.host_context, attempts);
    Parked { state, attempts, next, reason, ..row }
}

/// Writes the log line about an event or a timer that is parked or dead-lettered.
pub(crate) fn report_parked(runner: &Runner, row: &Parked) {
    tracing::warn!(
        service = runner.context.name.as_str(),
        version = %runner.release.component.version(),
        producer = row.producer.as_str(),
        trace_id = row.trace_id.to_string(),
        event = row.id,
        kind = row.kind,
        attempts = row.attempts,
        reason = row.reason,
        dead = row.state == ParkedState::Dead,
        "an event was not consumed"
    );
}

/// The time from one attempt to the next. It doubles, up to a bound, and up to half of it is random, so that events that failed together
/// are not tried again together.
fn backoff(host_context: &HostContext, attempts: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(RETRY_MAX);
    let mut chance = [0; 1];
    host_context.random.fill(&mut chance);
    let [chance] = chance;
    doubled / 2 + doubled.mul_f64(f64::from(chance) / 510.0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bulkhead_store::{Abort, NewEvent, ParkedState, ReplicaSpec, StatementError};
    use bulkhead_types::limits::{RETRY_FIRST, RETRY_MAX};
    use bulkhead_types::{Random, Sequence, SystemClock};

    use super::{ATTEMPTS_MAX, Delivery, Written, backoff, changes, parked};
    use crate::host_context::HostContext;
    use crate::instance::NotConsumed;
    use crate::member::Settle;
    use crate::observer::Observers;
    use crate::trial::{Trial, event};

    /// Always gives the same number.
    struct Always(u8);

    impl Random for Always {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn backoff_doubles_up_to_a_maximum_and_half_of_it_is_random() {
        let with = |number| HostContext {
            clock: Box::new(SystemClock),
            random: Box::new(Always(number)),
            directory: Default::default(),
            observers: Observers::default(),
            faults: None,
        };
        let (least, most) = (with(0), with(u8::MAX));
        for (attempts, whole) in [
            (0, RETRY_FIRST),
            (1, RETRY_FIRST),
            (2, RETRY_FIRST * 2),
            (4, RETRY_FIRST * 8),
            (60, RETRY_MAX),
            (u32::MAX, RETRY_MAX),
        ] {
            assert_eq!(backoff(&least, attempts), whole / 2, "{attempts}");
            assert_eq!(backoff(&most, attempts), whole, "{attempts}");
        }
        assert!(RETRY_FIRST * 8 < RETRY_MAX);
    }

    /// The result of a unit of work with this mark, and what its settle function got.
    fn reported(trial: &Trial, marked: Result<bool, StatementError>) -> (Written, Vec<bool>) {
        let (sender, reported) = flume::unbounded();
        let mut runner = trial.consumer.runner();
        let settle = Settle::new(move |kept| sender.send(kept).unwrap());
        let written = runner.write(|_| marked, settle, false);
        runner.commit_open_batch();
        (written, reported.drain().collect())
    }

    #[test]
    fn rolled_back_unit_of_work_has_a_reason() {
        let trial = Trial::with_storage(Duration::from_secs(60), 1 << 18);
        let mut runner = trial.consumer.runner();
        let soon = || Instant::now() + Duration::from_secs(60);
        let data = format!("\"{}\"", "x".repeat(1 << 14));
        let event = NewEvent {
            id: "e",
            kind: "taker.made",
            subject: &"a".into(),
            time: "now",
            trace_id: crate::trial::trace_id(),
            data: &data,
        };
        runner.open_unit(soon()).unwrap();
        assert!(runner.undo().is_none());
        let failed = runner.open_unit(soon()).unwrap().meet(StatementError::Interrupted);
        assert_eq!(failed, StatementError::Interrupted);
        assert!(matches!(runner.undo(), Some(Abort::Interrupted)), "its neighbours stand");
        let unit = runner.open_unit(soon()).unwrap();
        while unit.append(&event).is_ok() {}
        assert!(matches!(runner.undo(), Some(Abort::StorageFull)));
    }

    #[test]
    fn event_from_the_service_itself_is_a_timer() {
        let event = event(7, "taker.due", "a");
        let timer_of = |producer: &str| {
            let producer = &producer.into();
            let delivery =
                Delivery { event: &event, producer, attempt: 1, handled: true, replicas: Vec::new() };
            delivery.timer(&"taker".into())
        };
        assert_eq!(timer_of("taker"), Some(Sequence::new(7)));
        assert_eq!(timer_of("maker"), None);
    }

    #[test]
    fn event_is_skipped_if_neither_the_handler_nor_a_replica_consumes_it() {
        let (event, replica) = (event(7, "maker.made", "a"), item());
        for (handled, replicas, is_skipped) in
            [(false, vec![], true), (true, vec![], false), (false, vec![&replica], false)]
        {
            let delivery =
                Delivery { event: &event, producer: &"maker".into(), attempt: 1, handled, replicas };
            assert_eq!(delivery.is_skipped(), is_skipped);
        }
    }

    #[test]
    fn event_is_a_dead_letter_after_its_last_attempt_or_if_it_is_rejected() {
        let trial = Trial::new(Duration::from_secs(60));
        let runner = trial.consumer.runner();
        let retry = || NotConsumed::Retry("no".to_owned());
        for (attempts, why, state, reason) in [
            (1, NotConsumed::Reject("never".to_owned()), ParkedState::Dead, "never".to_owned()),
            (ATTEMPTS_MAX - 1, retry(), ParkedState::Parked, "no".to_owned()),
            (ATTEMPTS_MAX, retry(), ParkedState::Dead, format!("after {ATTEMPTS_MAX} attempts: no")),
        ] {
            let row = parked(&runner, &event(7, "maker.made", "a"), &"maker".into(), attempts, &why);
            assert_eq!((row.state, row.reason, row.attempts), (state, reason, attempts));
        }
    }

    fn item() -> ReplicaSpec {
        ReplicaSpec {
            name: "item".into(),
            owner: "maker".into(),
            upsert: "maker.made".into(),
            delete: None,
            key: "id".into(),
            columns: Vec::new(),
        }
    }

    #[test]
    fn event_already_included_in_a_replica_fill_does_not_change_the_replica() {
        let replica = item();
        let filled = [("item".to_owned(), Sequence::new(7))].into();
        assert_eq!(
            [6, 7, 8].map(|sequence| changes(&filled, &replica, Sequence::new(sequence))),
            [false, false, true]
        );
        assert!(changes(&[("other".to_owned(), Sequence::new(7))].into(), &replica, Sequence::new(1)));
    }

    #[test]
    fn unit_of_work_that_joins_no_batch_is_reported_only_by_the_return_value() {
        let trial = Trial::new(Duration::from_millis(1));
        assert_eq!(reported(&trial, Ok(true)), (Written::Kept, vec![true]));
        assert_eq!(reported(&trial, Ok(false)), (Written::Moved, vec![]));
        let failed = StatementError::Other("no".into());
        assert_eq!(reported(&trial, Err(failed)), (Written::Failed("no".into()), vec![]));
        let writer = &trial.consumer.database().unwrap().writer;
        let lease = writer.acquire(Instant::now() + Duration::from_secs(60)).unwrap();
        let (written, reported) = reported(&trial, Ok(true));
        assert!(matches!(written, Written::Unavailable(_)) && reported.is_empty(), "{written:?}");
        drop(lease);
    }
}
