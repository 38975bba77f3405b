//! Runs handlers on a warm instance, and decides what becomes of their units of work.
//!
//! The thread that holds the lease when a handler returns does one of three things. It passes the lease, with the open batch, on to a
//! waiting thread; or it keeps the lease for what it runs next, until the batch is due; or it commits. In all three cases no answer leaves
//! before COMMIT, and every open batch has a thread that is responsible for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{Ended, Fate, recover};

use crate::database::{Lease, UnitOfWork};
use crate::diagnosis;
use crate::engine::Engine;
use crate::gate::Inside;
use crate::hold::Hold;
use crate::idempotency;
use crate::instance::{Run, WarmInstance, report_once};
use crate::job::{Failure, Job, Outcome};
use crate::member::{Member, Pending, RequestMember, commit, settle, settle_unit};
use crate::observer::DropCause;
use crate::release::{Release, ServiceContext};
use crate::running::{Calls, Running};
use crate::state::WorkerParts;

/// What a thread runs handlers with.
pub(crate) struct Runner {
    pub(crate) context: Arc<ServiceContext>,
    /// The service's release when this thread began what it runs now.
    pub(crate) release: Arc<Release>,
    pub(crate) instance: WarmInstance,
    pub(crate) parts: WorkerParts,
    /// Jobs whose batch was aborted and which can't be run under the lease. They run before all other jobs.
    again: VecDeque<Job>,
    /// This thread is inside the gate. This is the last field, so that the lease is dropped first when a thread panics.
    inside: Option<Inside>,
}

/// Something that runs handlers and does work of the host, with its own runner.
pub(crate) trait HasRunner {
    fn runner(&mut self) -> &mut Runner;

    /// Does `work` inside the gate, on the release that is current then. Nobody changes the schema until `work` has ended. Then this thread
    /// runs the jobs again whose batch `work` aborted, and leaves the gate if it was outside before.
    fn inside<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let entered = self.runner().enter();
        let result = work(self);
        self.runner().run_again_alone();
        if entered {
            self.runner().leave();
        }
        result
    }

    /// Call this before this thread waits. While it waits it must hold nothing: neither the lease nor the answers of others.
    fn let_go(&mut self) {
        self.runner().commit_open_batch();
        self.runner().run_again_alone();
    }
}

impl HasRunner for Runner {
    fn runner(&mut self) -> &mut Runner {
        self
    }
}

impl Runner {
    pub(crate) fn new(engine: Engine, context: Arc<ServiceContext>) -> Self {
        let release = context.release.get();
        let parts = WorkerParts { database: release.database.clone(), ..WorkerParts::default() };
        let instance = WarmInstance::new(engine, Arc::clone(&context));
        let (again, inside) = (VecDeque::new(), None);
        Self { context, release, instance, parts, again, inside }
    }

    /// A runner that holds nothing, to replace this one after its thread panicked.
    pub(crate) fn fresh(&self) -> Self {
        Self::new(self.instance.engine.clone(), Arc::clone(&self.context))
    }

    /// The database's own time. It decides when timers and parked events are due, and when answers are too old.
    pub(crate) fn time(&self) -> Duration {
        match &self.parts.database {
            Some(database) => database.database.time(),
            // Without a database nothing is due.
            None => Duration::ZERO,
        }
    }

    /// Enters the gate, and uses the release that is current then. Returns false if this thread was inside already.
    fn enter(&mut self) -> bool {
        let entered = self.inside.is_none();
        self.enter_until(None);
        entered
    }

    /// Does `work` inside the gate, like [`HasRunner::inside`]. If the gate is still held at a `deadline`, `work` runs outside of the gate,
    /// and its second argument is false. This function does not run jobs again whose batch was aborted: the caller decides when they run.
    pub(crate) fn inside_until<R>(
        &mut self,
        deadline: Option<Instant>,
        work: impl FnOnce(&mut Self, bool) -> R,
    ) -> R {
        let was_inside = self.inside.is_some();
        let is_inside = self.enter_until(deadline);
        let result = work(self, is_inside);
        if !was_inside {
            self.leave();
        }
        result
    }

    /// Enters the gate; returns false if the gate is still held at `deadline`. Nobody changes the schema until [`Self::leave`].
    pub(crate) fn enter_until(&mut self, deadline: Option<Instant>) -> bool {
        if self.inside.is_some() {
            return true;
        }
        let inside = self.context.gate.try_enter().or_else(|| {
            // This thread holds nothing while it waits: neither the lease nor the answers of others.
            self.commit_open_batch();
            self.context.gate.enter(deadline)
        });
        let Some(inside) = inside else { return false };
        self.inside = Some(inside);
        let release = self.context.release.get();
        if !Arc::ptr_eq(&release, &self.release) {
            self.follow(release);
        }
        true
    }

    /// Leaves the gate. This thread may still keep an open batch.
    fn leave(&mut self) {
        self.inside = None;
    }

    /// Switches to another release.
    fn follow(&mut self, release: Arc<Release>) {
        let before = std::mem::replace(&mut self.release, release);
        self.instance.retire(DropCause::Replaced);
        let same = match (&before.database, &self.release.database) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        if !same {
            // If a batch is open, it is a batch of the earlier database, of a service that is rebuilt. Where the schema changed, no batch
            // is open.
            self.commit_open_batch();
            self.parts.reader = None;
            self.parts.database = self.release.database.clone();
        }
    }

    /// Whether this thread keeps the lease, with an open batch.
    pub(crate) fn keeps_batch(&self) -> bool {
        matches!(self.parts.hold, Hold::OpenBatch(_))
    }

    /// Makes the warm instance.
    #[cfg(test)]
    pub(crate) fn warm_up(&mut self) {
        self.instance.warm_up(&self.release, &mut self.parts);
    }

    /// The next job to run again; it runs before all other jobs.
    pub(crate) fn next_again(&mut self) -> Option<Job> {
        self.again.pop_front()
    }

    /// Runs a job until it is answered or is a member of the open batch. `more` says whether the caller has further work at hand.
    pub(crate) fn run_job(&mut self, job: Job, more: impl Fn() -> bool) {
        match idempotency::earlier_answer(&mut self.parts, &self.release.component.info.label, &job) {
            None => {}
            Some(outcome) => {
                if let Err(failure) = &outcome {
                    self.report_failure(&job, failure);
                }
                (job.reply)(outcome);
                self.commit_open_batch_when_due();
                return;
            }
        }
        let mut run = self.instance.run_handler(&self.release, &mut self.parts, &job, job.deadline);
        self.join_to_remember(&job, &run);
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(mut unit) => {
                idempotency::remember(self.parts.database.as_deref(), &mut *unit, &job, &mut run);
                let (lease, ended) = unit.finish(run.keep);
                self.after_request(lease, ended, job, run, more());
            }
            // The handler used only snapshots, so its answer depends on nothing that is not durable.
            other => {
                self.parts.hold = other;
                (job.reply)(run.outcome);
                self.commit_open_batch_when_due();
            }
        }
    }

    /// Joins a unit of work to record the answer of a job whose only effect was in another service, so that its idempotency key counts as
    /// used. If the lease can't be had, the answer leaves anyway, because the effect stands.
    fn join_to_remember(&mut self, job: &Job, run: &Run) {
        if !idempotency::is_to_be_kept(job, run) || run.calls != Calls::Effective {
            return;
        }
        let Some(database) = self.parts.database.clone() else { return };
        let lease_hold = self.release.spec.limits.lease_hold;
        if let Err(error) =
            self.parts.hold.join(&database.writer, job.deadline, lease_hold, &self.context.observed)
        {
            tracing::warn!(
                service = self.context.name.as_str(), trace_id = job.request.trace_id, %error,
                "an answer is not kept for its idempotency key"
            );
        }
    }

    /// A request's unit of work ended: either its member waits for COMMIT, or its batch was aborted.
    fn after_request(&mut self, lease: Box<Lease>, ended: Ended<Member>, mut job: Job, run: Run, more: bool) {
        job.logged = run.logged;
        let outcome = self.settled(run.outcome, run.running.as_ref(), &ended, &mut job);
        if let Ended::Aborted { abort, neighbours } = ended {
            tracing::warn!(
                service = self.context.name.as_str(), trace_id = job.request.trace_id, %abort,
                neighbours = neighbours.len(), "a batch was aborted"
            );
            (job.reply)(outcome);
            self.recover(lease, neighbours);
            return;
        }
        let (component, spec) = (Arc::clone(&self.release.component.info), Arc::clone(&self.release.spec));
        let (pending, kept) = (Pending::new(&self.context.aborts), matches!(ended, Ended::Kept { .. }));
        let member = RequestMember { job, outcome, calls: run.calls, component, spec, pending, kept };
        self.join_batch(lease, Member::Request(member), more);
    }

    /// Combines a handler's outcome with the end of its unit of work. If the request failed and the failure is not logged yet, this logs
    /// it.
    fn settled(
        &mut self,
        outcome: Outcome,
        running: Option<&Running>,
        ended: &Ended<Member>,
        job: &mut Job,
    ) -> Outcome {
        if !matches!(ended, Ended::Kept { .. }) {
            // The instance's memory may contain effects that were rolled back.
            self.instance.retire(DropCause::Undone);
        }
        let outcome = settle_unit(outcome, ended);
        if let (false, Err(failure)) = (job.logged, &outcome) {
            let Release { component, spec, .. } = &*self.release;
            diagnosis::report_request(&component.info, spec, &job.request, failure, running);
            job.logged = true;
        }
        outcome
    }

    /// Logs, once, a request that failed outside its handler.
    pub(crate) fn report_failure(&self, job: &Job, failure: &Failure) {
        report_once(&self.release, job, failure);
    }

    /// Answers a job whose batch was aborted and which can't be run again.
    fn give_up(&self, job: Job) {
        self.report_failure(&job, &Failure::Aborted);
        (job.reply)(Err(Failure::Aborted));
    }

    /// Adds `member` to the batch whose lease this thread holds, and decides what becomes of the lease.
    pub(crate) fn join_batch(&mut self, mut lease: Box<Lease>, member: Member, more: bool) {
        lease.push(member);
        if lease.stays_open(more) {
            // Within a batch the lease stays with a thread that has work for it, because passing it on costs a thread switch. A waiting
            // thread is next when the batch is committed.
            if more {
                self.parts.hold = Hold::OpenBatch(lease);
                return;
            }
            match lease.pass_on() {
                None => return,
                Some(kept) => lease = kept,
            }
        }
        let aborted = commit(&mut *lease, &self.context.observed);
        if !aborted.is_empty() {
            self.recover(lease, aborted);
        }
    }

    /// Commits the batch that this thread keeps, and runs the members again if the batch was aborted.
    pub(crate) fn commit_open_batch(&mut self) {
        let aborted = self.parts.hold.commit_open_batch(&self.context.observed);
        self.parts.aborted.extend(aborted);
        self.recover_aborted();
    }

    /// Commits the batch that this thread keeps, if it is due. Called after each job, also after a job for which no handler ran. If the
    /// batch was aborted, [`Self::recover_aborted`] runs its members again.
    pub(crate) fn commit_open_batch_when_due(&mut self) {
        let aborted = self.parts.hold.commit_open_batch_when_due(&self.context.observed);
        self.parts.aborted.extend(aborted);
    }

    /// Runs the jobs again that must run by themselves.
    pub(crate) fn run_again_alone(&mut self) {
        let was_inside = self.inside.is_some();
        while let Some(job) = self.next_again() {
            self.enter();
            self.run_job(job, || false);
            self.recover_aborted();
        }
        if !was_inside {
            self.leave();
        }
    }

    /// Answers the jobs that would have to run again by themselves: their batch was aborted, and this caller may not run handlers.
    pub(crate) fn give_up_again(&mut self) {
        while let Some(job) = self.next_again() {
            self.give_up(job);
        }
    }

    /// Runs the members again whose batch was aborted while a handler ran.
    pub(crate) fn recover_aborted(&mut self) {
        if self.parts.aborted.is_empty() {
            return;
        }
        let aborted = std::mem::take(&mut self.parts.aborted);
        let lease = match std::mem::take(&mut self.parts.hold) {
            // The batch that this thread keeps now was opened after the abort.
            Hold::OpenBatch(mut lease) => {
                let more = commit(&mut *lease, &self.context.observed);
                self.parts.aborted.extend(more);
                Some(lease)
            }
            _ => {
                // While this thread did not hold the lease the schema may have changed. The members run again on the current release.
                // From then on the lease gives the same guarantee as the gate.
                self.inside_until(None, |runner, _| {
                    let patience = Instant::now() + runner.release.spec.limits.request_timeout;
                    runner.parts.database.as_ref().and_then(|database| database.writer.acquire(patience).ok())
                })
            }
        };
        match lease {
            Some(lease) => self.recover(lease, aborted),
            None => {
                for member in aborted {
                    member.give_up();
                }
            }
        }
        self.recover_aborted();
    }

    /// Runs the members of an aborted batch again: see `bulkhead_store::recover`. A member that called other services is not run again
    /// under the lease. An event is not run again at all: its subscription worker gets the result.
    pub(crate) fn recover(&mut self, mut lease: Box<Lease>, members: Vec<Member>) {
        // The members' instances, here and in other workers, may remember a run that was rolled back.
        self.context.aborts.raise();
        let mut runnable = Vec::new();
        for member in members {
            match member {
                Member::Request(member) if member.calls == Calls::None => {
                    runnable.push(Member::Request(member));
                }
                Member::Request(member) if member.calls == Calls::Reading && !member.job.again => {
                    let deadline = Instant::now() + self.release.spec.limits.request_timeout;
                    self.again.push_back(Job { deadline, again: true, ..member.job });
                }
                member => member.give_up(),
            }
        }
        // The lease may come with a batch that other threads opened. That batch must be kept, so commit it.
        let aborted = commit(&mut *lease, &self.context.observed);
        self.parts.aborted.extend(aborted);
        let observed = self.context.observed.clone();
        let settle = |members, fate: &Fate| settle(members, fate, &observed);
        let lease = recover(lease, runnable, |lease, member| self.run_again(lease, member), settle);
        drop(lease);
    }

    /// Runs a member again, under the lease.
    fn run_again(&mut self, lease: Box<Lease>, member: &mut Member) -> (Box<Lease>, Option<Ended<Member>>) {
        let Member::Request(member) = member else { return (lease, None) };
        member.kept = false;
        self.parts.hold = Hold::Reserved(lease);
        // The member's own deadline may have passed while it waited for the culprit, which is not the member's fault.
        let deadline = Instant::now() + self.release.spec.limits.request_timeout;
        let mut run = self.instance.run_handler(&self.release, &mut self.parts, &member.job, deadline);
        member.job.logged = run.logged;
        if run.is_to_be_asked_for_again() {
            self.report_failure(&member.job, &Failure::Aborted);
            member.job.logged = true;
            run.outcome = Err(Failure::Aborted);
            run.keep = false;
        }
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(mut unit) => {
                idempotency::remember(self.parts.database.as_deref(), &mut *unit, &member.job, &mut run);
                let (lease, ended) = unit.finish(run.keep);
                member.kept = matches!(ended, Ended::Kept { .. });
                member.outcome = self.settled(run.outcome, run.running.as_ref(), &ended, &mut member.job);
                (lease, Some(ended))
            }
            Hold::OpenBatch(lease) | Hold::Reserved(lease) => {
                member.outcome = run.outcome;
                (lease, None)
            }
            // `run_handler` gives back the hold that it got: a lease in one of the forms above.
            Hold::Nothing => {
                member.outcome = run.outcome;
                (self.reacquire(), None)
            }
        }
    }

    /// Acquires the lease again, however long it takes: other threads hold it for a bounded time.
    fn reacquire(&self) -> Box<Lease> {
        loop {
            let patience = Instant::now() + self.release.spec.limits.request_timeout;
            let database = self.parts.database.as_ref();
            if let Some(Ok(lease)) = database.map(|database| database.writer.acquire(patience)) {
                return lease;
            }
        }
    }

    /// Takes the open unit of work of the last run, if it joined one.
    pub(crate) fn take_unit(&mut self) -> Option<Box<UnitOfWork>> {
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(unit) => Some(unit),
            other => {
                self.parts.hold = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
