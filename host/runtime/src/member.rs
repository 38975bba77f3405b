//! The members of a batch: whose units of work are in it, and what becomes of them when it is durable, or is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bulkhead_store::{Commit, Ended, Fate, Lease};

use crate::component_info::ComponentInfo;
use crate::diagnosis;
use crate::job::{Failure, Job, Outcome};
use crate::observer::{Observation, Observed};
use crate::running::Calls;
use crate::spec::ServiceSpec;

/// The owner of a unit of work in the open batch.
#[expect(clippy::large_enum_variant, reason = "as in a queue, nearly all are requests")]
pub enum Member {
    /// A request, with the outcome that is sent when the batch is durable.
    Request(RequestMember),
    /// An event, or a write of the host itself. It is not run again when the batch is aborted, because its subscription worker goes back to
    /// the durable position. It is notified whether it is durable.
    Event(Settle, Pending),
}

/// Counts how often units of work that handlers believed to be kept were rolled back, or had an unknown outcome. Instances from before may
/// remember effects that never happened.
#[derive(Default)]
pub(crate) struct AbortCount(AtomicU64);

impl AbortCount {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn raise(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A member's unit of work that is not durable. If it is dropped in this state, the unit of work is rolled back, or may be. Instances may
/// then remember effects that never happened, so they are retired.
pub struct Pending(Option<Arc<AbortCount>>);

impl Pending {
    pub(crate) fn new(aborts: &Arc<AbortCount>) -> Self {
        Self(Some(Arc::clone(aborts)))
    }

    fn durable(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(aborts) = self.0.take() {
            aborts.raise();
        }
    }
}

/// What became of a unit of work of the host itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is durable.
    Durable,
    /// It has no effect.
    Undone,
    /// The outcome is unknown: after a crash it may be durable.
    Unknown,
}

/// Is notified, once, of what became of a unit of work. If it is dropped before that (its thread panicked), it is notified that the unit of
/// work was undone.
pub struct Settle(Option<Box<dyn FnOnce(Effect) + Send>>);

impl Settle {
    /// For a caller that looks again unless the unit of work is known to be durable.
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

    /// Sends no notification: the unit of work joined no batch, and its caller knows.
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
pub struct RequestMember {
    pub(crate) job: Job,
    pub(crate) outcome: Outcome,
    pub(crate) calls: Calls,
    /// What the handler ran on, and with which settings: the log line about the request names them.
    pub(crate) component: Arc<ComponentInfo>,
    pub(crate) spec: Arc<ServiceSpec>,
    pub(crate) pending: Pending,
    /// Its unit of work is in the batch: it joined one, and that was not rolled back.
    pub(crate) kept: bool,
}

impl Member {
    fn is_kept(&self) -> bool {
        match self {
            Self::Request(member) => member.kept,
            Self::Event(..) => true,
        }
    }

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

    /// It failed, or its outcome is unknown.
    pub(crate) fn fail(self, failure: Failure) {
        match self {
            Self::Request(member) => {
                // This comes before the client can ask for something else.
                drop(member.pending);
                if !member.job.logged {
                    let (component, spec) = (&member.component, &member.spec);
                    diagnosis::report_request(component, spec, &member.job.request, &failure, None);
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

/// The members of an aborted batch, which are run again as soon as the worker is free.
pub(crate) type AbortedMembers = Vec<Member>;

/// Commits the open batch and answers its members. Returns the members that must be run again.
pub(crate) fn commit(lease: &mut dyn Lease<Member>, observed: &Observed) -> AbortedMembers {
    match lease.commit() {
        Commit::Durable(members) => {
            answer(members, observed);
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

/// Answers the members of a batch that were run again.
pub(crate) fn settle(members: Vec<Member>, fate: &Fate, observed: &Observed) {
    let failure = match fate {
        Fate::Durable => return answer(members, observed),
        // The culprit gets its own failure. A neighbour whose commit failed twice is asked to try again.
        Fate::Aborted(abort) => Failure::from(abort.clone()),
        Fate::Unknown(reason) => Failure::OutcomeUnknown(reason.clone()),
    };
    for member in members {
        member.fail(failure.clone());
    }
}

/// Answers the members of a durable batch.
fn answer(members: Vec<Member>, observed: &Observed) {
    let units = members.iter().filter(|member| member.is_kept()).count();
    if units > 0 {
        observed.notify(&Observation::BatchCommitted { units });
    }
    for member in members {
        member.answer();
    }
}

/// Combines a handler's outcome with the end of its unit of work.
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
    use std::time::Duration;

    use bulkhead_store::{Abort, CommitFault, Ended};

    use super::{Effect, Settle, settle_unit};
    use crate::delivery::Written;
    use crate::job::Failure;
    use crate::trial::Trial;

    /// The effect that is reported for a unit of work whose commit has this fault, and whether instances are retired.
    fn reported(fault: Option<CommitFault>) -> (Effect, bool) {
        let trial = Trial::new(Duration::from_secs(60));
        fault.into_iter().for_each(|fault| trial.commits.plan(fault));
        let (sender, reported) = flume::unbounded();
        let settle = Settle::of_effect(move |effect| sender.send(effect).unwrap());
        let mut runner = trial.consumer.runner();
        let written = runner.write(|unit| unit.write_time().map(|()| true), settle, false);
        assert_eq!(written, Written::Kept);
        (reported.recv().unwrap(), trial.context.aborts.count() > 0)
    }

    #[test]
    fn unit_of_work_not_known_to_be_durable_retires_instances_that_may_remember_it() {
        assert_eq!(reported(None), (Effect::Durable, false));
        assert_eq!(reported(Some(CommitFault::AfterDurable)), (Effect::Durable, false));
        assert_eq!(reported(Some(CommitFault::BeforeDurable)), (Effect::Undone, true));
        assert_eq!(reported(Some(CommitFault::Unknown)), (Effect::Unknown, true));
    }

    /// A trap at the deadline is what the operator should read, not the abort that came with it.
    #[test]
    fn exceeded_deadline_is_reported_instead_of_the_abort_it_caused() {
        let settled = |failure| settle_unit(Err(failure), &Ended::Failed(Abort::StorageFull)).unwrap_err();
        assert_eq!(settled(Failure::Deadline), Failure::Deadline);
        assert_eq!(settled(Failure::LeaseHeld), Failure::LeaseHeld);
        assert_eq!(settled(Failure::Trap("no".into())), Failure::StorageFull);
    }

    #[test]
    fn batch_dropped_with_its_thread_retires_instances_that_may_remember_it() {
        let trial = Trial::new(Duration::from_secs(60));
        let (runner, reported) = trial.with_open_batch();
        drop(runner);
        assert_eq!(reported.recv(), Ok(false));
        assert!(trial.context.aborts.count() > 0);
    }
}
