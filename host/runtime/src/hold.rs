//! What a worker holds of its service's writer lease, and the members that it answers when the batch is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bulkhead_store::{Commit, Ended, Fate, Lease, StatementError, UnitOfWork, Writer};

use crate::diagnosis;
use crate::job::{Failure, Job, Outcome};
use crate::release::{Release, ServiceContext};

/// Whose unit of work is in the open batch.
#[expect(clippy::large_enum_variant, reason = "as in a queue, nearly all are requests")]
pub(crate) enum Member {
    /// A request, with the outcome that leaves when it is durable.
    Request(RequestMember),
    /// An event, or what the host itself writes: it is not run again when the batch is aborted, since its subscription worker goes back to
    /// the position that is durable. Told whether it is.
    Event(Settle, Pending),
}

/// A member's unit of work that is not durable. One that is dropped so is gone, or may be: instances may remember what never happened, and
/// are retired.
pub(crate) struct Pending(Option<Arc<ServiceContext>>);

impl Pending {
    pub(crate) fn new(context: &Arc<ServiceContext>) -> Self {
        Self(Some(Arc::clone(context)))
    }

    fn durable(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(context) = self.0.take() {
            context.aborts.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// What became of a unit of work of the host's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is durable.
    Durable,
    /// It has none.
    Undone,
    /// Nobody can tell: after a crash it may be durable.
    Unknown,
}

/// Told what became of a unit of work, once: one that is dropped untold (its thread panicked) is told that it was undone.
pub(crate) struct Settle(Option<Box<dyn FnOnce(Effect) + Send>>);

impl Settle {
    /// For one who looks again wherever it is not known to be durable.
    pub(crate) fn new(tell: impl FnOnce(bool) + Send + 'static) -> Self {
        Self::of_effect(move |effect| tell(effect == Effect::Durable))
    }

    pub(crate) fn of_effect(tell: impl FnOnce(Effect) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    fn tell(mut self, effect: Effect) {
        if let Some(tell) = self.0.take() {
            tell(effect);
        }
    }

    /// Tells nothing: its unit of work joined no batch, and its caller knows.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(Effect::Undone);
        }
    }
}

/// A job with its outcome.
pub(crate) struct RequestMember {
    pub(crate) job: Job,
    pub(crate) outcome: Outcome,
    pub(crate) calls: Calls,
    /// What it was run on.
    pub(crate) release: Arc<Release>,
    pub(crate) pending: Pending,
}

impl Member {
    /// It is durable.
    fn answer(self) {
        match self {
            Self::Request(member) => {
                member.pending.durable();
                (member.job.reply)(member.outcome);
            }
            Self::Event(settle, pending) => {
                pending.durable();
                settle.tell(Effect::Durable);
            }
        }
    }

    /// Its batch was aborted, and it is not run again.
    pub(crate) fn give_up(self) {
        let failure = match &self {
            Self::Request(member) => member.calls.aborted(),
            Self::Event(..) => Failure::Aborted,
        };
        self.fail(failure);
    }

    /// It failed, or nobody can tell.
    pub(crate) fn fail(self, failure: Failure) {
        match self {
            Self::Request(member) => {
                // Before its client can ask for something else.
                drop(member.pending);
                let Release { component, spec, .. } = &*member.release;
                if !member.job.told {
                    diagnosis::tell_of_request(component, spec, &member.job.request, &failure, None);
                }
                (member.job.reply)(Err(failure));
            }
            Self::Event(settle, pending) => {
                drop(pending);
                settle.tell(match failure {
                    Failure::OutcomeUnknown(_) => Effect::Unknown,
                    _ => Effect::Undone,
                });
            }
        }
    }
}

/// What calls a handler made to other services: whether it can be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Calls {
    /// None: it can be run again under the lease.
    #[default]
    None,
    /// GET, HEAD and OPTIONS: it can be run again, but not under the lease.
    Reading,
    /// Others: it can't.
    Effective,
}

impl Calls {
    /// What the client is told of a handler that made these calls, and whose batch was aborted. What another service did by then stands: so
    /// it is not told that nothing was done, nor to try again.
    pub(crate) fn aborted(self) -> Failure {
        match self {
            Self::None | Self::Reading => Failure::Aborted,
            Self::Effective => Failure::OutcomeUnknown(
                "the batch was aborted after the handler had called another service, whose effect stands"
                    .to_owned(),
            ),
        }
    }
}

/// What a worker holds while a handler runs, and between two.
#[derive(Default)]
pub(crate) enum Hold {
    /// Nothing.
    #[default]
    Nothing,
    /// The lease, with the open batch of earlier handlers; this one has not joined it. It is committed as soon as it is due,
    /// or before anything that may take long.
    Carried(Lease<Member>),
    /// The lease, for a handler that is run again; the batch waits for it.
    Reserved(Lease<Member>),
    /// The unit of work of this handler, and when it joined.
    Joined(UnitOfWork<Member>),
}

/// Those whose batch was aborted, to be run again as soon as the worker is free.
pub(crate) type AbortedMembers = Vec<Member>;

impl Hold {
    /// Joins the unit of work, or is in it already. The lease is held until `now + lease_hold` at most, and not beyond `deadline`.
    pub(crate) fn join(
        &mut self,
        writer: &Arc<Writer<Member>>,
        deadline: Instant,
        lease_hold: Duration,
    ) -> Result<Joined<'_>, StatementError> {
        let mut newly = None;
        if !matches!(self, Self::Joined(_)) {
            let (lease, reserved) = match std::mem::take(self) {
                Self::Reserved(lease) => (lease, true),
                Self::Carried(lease) => (lease, false),
                _ => (writer.acquire(deadline).map_err(|_| StatementError::Busy)?, false),
            };
            match lease.begin() {
                Ok(mut unit) => {
                    // From here on: opening the batch may have truncated the WAL.
                    let until = deadline.min(Instant::now() + lease_hold);
                    unit.end_at(until);
                    newly = Some(until);
                    *self = Self::Joined(unit);
                }
                Err((lease, error)) => {
                    // One that is run again keeps the lease, for those that come after it.
                    *self = if reserved { Self::Reserved(lease) } else { Self::Nothing };
                    return Err(error);
                }
            }
        }
        match self {
            Self::Joined(unit) => Ok(Joined { unit, until: newly }),
            _ => Err(StatementError::Other("the unit of work could not be joined".into())),
        }
    }

    /// Commits what is carried, if anything is: before something that may take long.
    pub(crate) fn commit_carried(&mut self) -> AbortedMembers {
        match std::mem::take(self) {
            Self::Carried(mut lease) => commit(&mut lease),
            other => {
                *self = other;
                Vec::new()
            }
        }
    }

    /// Commits what is carried if it is due.
    pub(crate) fn commit_carried_when_due(&mut self) -> AbortedMembers {
        let due = match self {
            Self::Carried(lease) => lease.is_due(),
            _ => false,
        };
        if due { self.commit_carried() } else { Vec::new() }
    }
}

/// See [`Hold::join`].
pub(crate) struct Joined<'h> {
    pub(crate) unit: &'h mut UnitOfWork<Member>,
    /// Until when the lease may be held, if it was taken just now.
    pub(crate) until: Option<Instant>,
}

/// Commits the open batch and answers its members; gives those that are to be run again.
pub(crate) fn commit(lease: &mut Lease<Member>) -> AbortedMembers {
    match lease.commit() {
        Commit::Durable(members) => {
            for member in members {
                member.answer();
            }
            Vec::new()
        }
        Commit::Aborted { members, .. } => members,
        Commit::Unknown { members, reason } => {
            for member in members {
                member.fail(Failure::OutcomeUnknown(reason.clone()));
            }
            Vec::new()
        }
    }
}

/// Answers a member that was run again.
pub(crate) fn settle(member: Member, fate: Fate) {
    match fate {
        Fate::Durable => member.answer(),
        // The culprit has the failure of its own; a neighbour whose commit failed twice is told to try again.
        Fate::Aborted(abort) => member.fail(abort.into()),
        Fate::Unknown(reason) => member.fail(Failure::OutcomeUnknown(reason)),
    }
}

/// What a unit of work's end makes of its handler's outcome.
pub(crate) fn settle_unit(outcome: Outcome, ended: &Ended<Member>) -> Outcome {
    match ended {
        Ended::Kept { position } => outcome.map(|mut answer| {
            answer.position = Some(*position);
            answer
        }),
        Ended::RolledBack => outcome,
        Ended::ForeignKeys => Err(Failure::Constraint { name: String::new() }),
        Ended::Failed(abort) | Ended::Aborted { abort, .. } => Err(match outcome {
            // A trap at the deadline is what the operator should read, not the abort that came with it.
            Err(failure @ (Failure::Deadline | Failure::LeaseHeld)) => failure,
            _ => abort.clone().into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use bulkhead_store::{Abort, CommitFault, Ended};

    use super::{Effect, Settle, settle_unit};
    use crate::delivery::Written;
    use crate::job::Failure;
    use crate::trial::Trial;

    /// What a unit of work is told whose commit meets this, and whether instances are retired.
    fn told(fault: Option<CommitFault>) -> (Effect, bool) {
        let trial = Trial::new(Duration::from_secs(60));
        fault.into_iter().for_each(|fault| trial.commits.plan(fault));
        let (tell, told) = flume::unbounded();
        let settle = Settle::of_effect(move |effect| tell.send(effect).unwrap());
        let mut runner = trial.consumer.runner();
        let written = runner.write(|unit| unit.write_time().map(|()| true), settle, false);
        assert_eq!(written, Written::Kept);
        (told.recv().unwrap(), trial.context.aborts.load(Ordering::Acquire) > 0)
    }

    #[test]
    fn unit_of_work_that_is_not_known_to_be_durable_retires_what_may_remember_it() {
        assert_eq!(told(None), (Effect::Durable, false));
        assert_eq!(told(Some(CommitFault::AfterDurable)), (Effect::Durable, false));
        assert_eq!(told(Some(CommitFault::BeforeDurable)), (Effect::Undone, true));
        assert_eq!(told(Some(CommitFault::Unknown)), (Effect::Unknown, true));
    }

    /// A trap at the deadline is what the operator should read, not the abort that came with it.
    #[test]
    fn time_that_is_over_is_told_before_the_abort_that_it_brought() {
        let settled = |failure| settle_unit(Err(failure), &Ended::Failed(Abort::StorageFull)).unwrap_err();
        assert_eq!(settled(Failure::Deadline), Failure::Deadline);
        assert_eq!(settled(Failure::LeaseHeld), Failure::LeaseHeld);
        assert_eq!(settled(Failure::Trap("no".into())), Failure::StorageFull);
    }

    #[test]
    fn batch_that_goes_with_its_thread_retires_what_may_remember_it() {
        let trial = Trial::new(Duration::from_secs(60));
        let (runner, told) = trial.carrying();
        drop(runner);
        assert_eq!(told.recv(), Ok(false));
        assert!(trial.context.aborts.load(Ordering::Acquire) > 0);
    }
}
