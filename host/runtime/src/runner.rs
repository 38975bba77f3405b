//! Running handlers on a warm instance, and seeing to their units of work.
//!
//! Whoever holds the lease when a handler has returned does one of three things: it hands the lease, with the batch open, to
//! one who waits; it carries the lease into what it runs next, until the batch is due; or it commits. Whatever it
//! does, nobody's answer leaves before COMMIT, and no batch stays open without somebody who sees to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{Ended, Lease, UnitOfWork, recover};

use crate::diagnosis;
use crate::engine::Engine;
use crate::gate::Inside;
use crate::hold::Hold;
use crate::idempotency;
use crate::instance::{Run, WarmInstance, tell_once};
use crate::job::{Failure, Job, Outcome};
use crate::member::{Member, Pending, RequestMember, commit, settle, settle_unit};
use crate::release::{Release, ServiceContext};
use crate::running::{Calls, Running};
use crate::state::WorkerParts;

/// What a thread runs handlers with.
pub(crate) struct Runner {
    engine: Engine,
    pub(crate) context: Arc<ServiceContext>,
    /// What the service is: as it was when this thread began with what it runs now.
    pub(crate) release: Arc<Release>,
    pub(crate) instance: WarmInstance,
    pub(crate) parts: WorkerParts,
    /// Jobs whose batch was aborted and which can't be run under the lease: they go before all others.
    again: VecDeque<Job>,
    /// This thread is inside the gate. The last field: where a thread panics the lease goes first.
    inside: Option<Inside>,
}

/// One that runs handlers, and does work of the host's own, with a runner of its own.
pub(crate) trait HasRunner {
    fn runner(&mut self) -> &mut Runner;

    /// Does `work` inside the gate, on the release that is there then: until it has ended nobody changes the schema. Those whose batch it
    /// aborted are run again, and then this thread is where it was before.
    fn inside<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let entered = self.runner().enter();
        let result = work(self);
        self.runner().run_again_alone();
        if entered {
            self.runner().leave();
        }
        result
    }

    /// Before this thread waits: it holds nothing meanwhile, not the lease, not the answers of others.
    fn let_go(&mut self) {
        self.runner().commit_carried();
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
        let instance = WarmInstance::new(engine.clone(), Arc::clone(&context));
        let (again, inside) = (VecDeque::new(), None);
        Self { engine, context, release, instance, parts, again, inside }
    }

    /// One that holds nothing, in the place of this one: for a thread that panicked.
    pub(crate) fn fresh(&self) -> Self {
        Self::new(self.engine.clone(), Arc::clone(&self.context))
    }

    /// The time by which timers and parked events are due, and answers are old: the database's own.
    pub(crate) fn time(&self) -> Duration {
        match &self.parts.database {
            Some(database) => database.database.time(),
            // Without a database nothing is due.
            None => Duration::ZERO,
        }
    }

    /// Goes through the gate, and takes the release that is there then; false where this thread is inside already.
    fn enter(&mut self) -> bool {
        let entered = self.inside.is_none();
        self.enter_until(None);
        entered
    }

    /// Does `work` inside the gate, as [`HasRunner::inside`]; where the gate is still held at `deadline`, outside of it, and `work` is told
    /// so. Those that are to be run again are not: their turn is the caller's to give.
    pub(crate) fn inside_until<R>(
        &mut self,
        deadline: Instant,
        work: impl FnOnce(&mut Self, bool) -> R,
    ) -> R {
        let was_inside = self.inside.is_some();
        let is_inside = self.enter_until(Some(deadline));
        let result = work(self, is_inside);
        if !was_inside {
            self.leave();
        }
        result
    }

    /// The same; false where the gate is still held at `deadline`. Until [`Self::leave`] nobody changes the schema.
    pub(crate) fn enter_until(&mut self, deadline: Option<Instant>) -> bool {
        if self.inside.is_some() {
            return true;
        }
        let inside = self.context.gate.try_enter().or_else(|| {
            // Nothing is held while this thread waits: not the lease, not the answers of others.
            self.commit_carried();
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

    /// Goes out of the gate. A batch may still be carried.
    fn leave(&mut self) {
        self.inside = None;
    }

    /// Runs on another release from now on.
    fn follow(&mut self, release: Arc<Release>) {
        let before = std::mem::replace(&mut self.release, release);
        self.instance.retire();
        let same = match (&before.database, &self.release.database) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        if !same {
            // A batch of the database of before, of a service that is rebuilt: nothing is open where the schema changed.
            self.commit_carried();
            self.parts.reader = None;
            self.parts.database = self.release.database.clone();
        }
    }

    /// Whether the lease is carried, with an open batch.
    pub(crate) fn carries(&self) -> bool {
        matches!(self.parts.hold, Hold::Carried(_))
    }

    /// A job to run again before all others.
    pub(crate) fn next_again(&mut self) -> Option<Job> {
        self.again.pop_front()
    }

    /// Runs a job to its answer, or to its place in the open batch. `more` says whether the caller has further work at hand.
    pub(crate) fn run_job(&mut self, job: Job, more: impl Fn() -> bool) {
        match idempotency::earlier_answer(&mut self.parts, &self.release.component.info.label, &job) {
            None => {}
            Some(outcome) => {
                if let Err(failure) = &outcome {
                    self.tell(&job, failure);
                }
                (job.reply)(outcome);
                self.commit_carried_when_due();
                return;
            }
        }
        let mut run = self.instance.run_handler(&self.release, &mut self.parts, &job, job.deadline);
        self.join_to_remember(&job, &run);
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(mut unit) => {
                idempotency::remember(self.parts.database.as_deref(), &mut unit, &job, &mut run);
                let (lease, ended) = unit.finish(run.keep);
                self.after_request(lease, ended, job, run, more());
            }
            // It touched nothing but snapshots: its answer rests on nothing that is not durable.
            other => {
                self.parts.hold = other;
                (job.reply)(run.outcome);
                self.commit_carried_when_due();
            }
        }
    }

    /// Joins a unit of work for the record of an answer whose one effect is what another service did: the key is to be used by it. Where
    /// the lease is not to be had the answer leaves all the same, for the effect stands.
    fn join_to_remember(&mut self, job: &Job, run: &Run) {
        if !idempotency::is_to_be_kept(job, run) || run.calls != Calls::Effective {
            return;
        }
        let Some(database) = self.parts.database.clone() else { return };
        let lease_hold = self.release.spec.limits.lease_hold;
        if let Err(error) = self.parts.hold.join(&database.writer, job.deadline, lease_hold) {
            tracing::warn!(
                service = self.context.name, trace_id = job.request.trace_id, %error,
                "an answer is not kept for its idempotency key"
            );
        }
    }

    /// A request's unit of work ended: its member waits for COMMIT, or its batch was aborted.
    fn after_request(
        &mut self,
        lease: Lease<Member>,
        ended: Ended<Member>,
        mut job: Job,
        run: Run,
        more: bool,
    ) {
        job.told = run.told;
        let outcome = self.settled(run.outcome, run.running.as_ref(), &ended, &mut job);
        if let Ended::Aborted { abort, neighbours } = ended {
            tracing::warn!(
                service = self.context.name, trace_id = job.request.trace_id, %abort,
                neighbours = neighbours.len(), "a batch was aborted"
            );
            (job.reply)(outcome);
            self.recover(lease, neighbours);
            return;
        }
        let (component, spec) = (Arc::clone(&self.release.component.info), Arc::clone(&self.release.spec));
        let pending = Pending::new(&self.context.aborts);
        let member = RequestMember { job, outcome, calls: run.calls, component, spec, pending };
        self.join_batch(lease, Member::Request(member), more);
    }

    /// What the end of its unit of work makes of a handler's outcome: where that it failed is not told yet, it is told here.
    fn settled(
        &mut self,
        outcome: Outcome,
        running: Option<&Running>,
        ended: &Ended<Member>,
        job: &mut Job,
    ) -> Outcome {
        if !matches!(ended, Ended::Kept { .. }) {
            // Its memory may remember what never happened.
            self.instance.retire();
        }
        let outcome = settle_unit(outcome, ended);
        if let (false, Err(failure)) = (job.told, &outcome) {
            let Release { component, spec, .. } = &*self.release;
            diagnosis::tell_of_request(&component.info, spec, &job.request, failure, running);
            job.told = true;
        }
        outcome
    }

    /// Tells of a request that failed, and not in its handler; once.
    pub(crate) fn tell(&self, job: &Job, failure: &Failure) {
        tell_once(&self.release, job, failure);
    }

    /// Tells the client of a job whose batch was aborted, and which can't be run again.
    fn give_up(&self, job: Job) {
        self.tell(&job, &Failure::Aborted);
        (job.reply)(Err(Failure::Aborted));
    }

    /// Makes `member` one of the batch whose lease this thread holds, and decides what becomes of the lease.
    pub(crate) fn join_batch(&mut self, mut lease: Lease<Member>, member: Member, more: bool) {
        lease.push(member);
        if lease.stays_open(more) {
            // Within a batch the lease stays with a thread that has work for it: passing it costs a switch of threads. One who
            // waits is next when the batch is committed.
            if more {
                self.parts.hold = Hold::Carried(lease);
                return;
            }
            match lease.hand_over() {
                None => return,
                Some(kept) => lease = kept,
            }
        }
        let aborted = commit(&mut lease);
        if !aborted.is_empty() {
            self.recover(lease, aborted);
        }
    }

    /// Commits what is carried, and runs those again whose batch was aborted.
    pub(crate) fn commit_carried(&mut self) {
        let aborted = self.parts.hold.commit_carried();
        self.parts.aborted.extend(aborted);
        self.recover_aborted();
    }

    /// Commits what is carried if it is due: behind each job, also one that no handler was run for. Those whose batch was aborted are
    /// run again by [`Self::recover_aborted`].
    pub(crate) fn commit_carried_when_due(&mut self) {
        let aborted = self.parts.hold.commit_carried_when_due();
        self.parts.aborted.extend(aborted);
    }

    /// Runs the jobs that are to be run again by themselves.
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

    /// Tells those that are to be run again by themselves that they are not: for one who may run no handler.
    pub(crate) fn give_up_again(&mut self) {
        while let Some(job) = self.next_again() {
            self.give_up(job);
        }
    }

    /// Runs those again whose batch was aborted while a handler ran.
    pub(crate) fn recover_aborted(&mut self) {
        if self.parts.aborted.is_empty() {
            return;
        }
        let aborted = std::mem::take(&mut self.parts.aborted);
        let lease = match std::mem::take(&mut self.parts.hold) {
            // What is carried now was opened after the abort.
            Hold::Carried(mut lease) => {
                let more = commit(&mut lease);
                self.parts.aborted.extend(more);
                Some(lease)
            }
            _ => {
                // Without the lease the schema may be another one meanwhile: they are run again on what is there then.
                let entered = self.enter();
                let patience = Instant::now() + self.release.spec.limits.request_timeout;
                let lease =
                    self.parts.database.as_ref().and_then(|database| database.writer.acquire(patience).ok());
                // The lease keeps the gate's promise from here on.
                if entered {
                    self.leave();
                }
                lease
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

    /// Runs the members of an aborted batch again: see `bulkhead_store::recover`. One that called others is not run under the lease, and
    /// an event not at all: its subscription worker is told.
    pub(crate) fn recover(&mut self, mut lease: Lease<Member>, members: Vec<Member>) {
        // What the members' instances remember, here and in other workers, is of a run that never happened.
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
        // The lease may come with a batch that others opened; it is theirs to keep.
        let aborted = commit(&mut lease);
        self.parts.aborted.extend(aborted);
        let lease = recover(lease, runnable, |lease, member| self.run_again(lease, member), settle);
        drop(lease);
    }

    /// Runs a member again, under the lease.
    fn run_again(
        &mut self,
        lease: Lease<Member>,
        member: &mut Member,
    ) -> (Lease<Member>, Option<Ended<Member>>) {
        let Member::Request(member) = member else { return (lease, None) };
        self.parts.hold = Hold::Reserved(lease);
        // Its own deadline may have passed while it waited for the culprit, which is no fault of its own.
        let deadline = Instant::now() + self.release.spec.limits.request_timeout;
        let mut run = self.instance.run_handler(&self.release, &mut self.parts, &member.job, deadline);
        member.job.told = run.told;
        if run.is_to_be_asked_for_again() {
            self.tell(&member.job, &Failure::Aborted);
            member.job.told = true;
            run.outcome = Err(Failure::Aborted);
            run.keep = false;
        }
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(mut unit) => {
                idempotency::remember(self.parts.database.as_deref(), &mut unit, &member.job, &mut run);
                let (lease, ended) = unit.finish(run.keep);
                member.outcome = self.settled(run.outcome, run.running.as_ref(), &ended, &mut member.job);
                (lease, Some(ended))
            }
            Hold::Carried(lease) | Hold::Reserved(lease) => {
                member.outcome = run.outcome;
                (lease, None)
            }
            // `run_handler` gives back what it was given: a lease in one of the forms above.
            Hold::Nothing => {
                member.outcome = run.outcome;
                (self.reacquire(), None)
            }
        }
    }

    /// The lease once more, however long it takes: others hold it for a bounded time.
    fn reacquire(&self) -> Lease<Member> {
        loop {
            let patience = Instant::now() + self.release.spec.limits.request_timeout;
            let database = self.parts.database.as_ref();
            if let Some(Ok(lease)) = database.map(|database| database.writer.acquire(patience)) {
                return lease;
            }
        }
    }

    /// Takes the open unit of work of what ran last, if it joined one.
    pub(crate) fn take_unit(&mut self) -> Option<UnitOfWork<Member>> {
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
