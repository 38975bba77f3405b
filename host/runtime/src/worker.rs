//! A worker: a thread that takes jobs from a queue, runs their handlers on a warm instance, and sees to their units of work.
//!
//! A worker that holds the lease when a handler has returned does one of three things: it hands the lease, with the batch open, to
//! one who waits; it carries the lease into the next job of its queue, until the batch is due; or it commits. Whatever it
//! does, nobody's answer leaves before COMMIT, and no batch stays open without somebody who sees to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bulkhead_store::{Ended, Lease, recover};
use bulkhead_types::limits::{HEADERS_MAX, INSTANCE_GROWTH_MAX, INSTANCE_USES_MAX, RESPONSE_HEADERS_MAX};
use flume::Receiver;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasmtime::Store;

use crate::bindings::bulkhead::service::types::{Effects, Response};
use crate::bindings::exports::bulkhead::service::http_handler::Guest;
use crate::component::{Component, new_store};
use crate::engine::Engine;
use crate::handler::{Expired, Running, State, WorkerParts};
use crate::header::is_hosts;
use crate::hold::{Calls, Hold, Member, commit, settle, settle_unit};
use crate::job::{Answer, Failure, Job, Outcome};
use crate::service::{InstancePolicy, ServiceContext, Work};

/// An instance with its store.
struct Instance {
    store: Store<State>,
    http: Guest,
    uses: u32,
    /// Bytes of memory after the first use.
    settled_bytes: usize,
    /// What `ServiceContext::lost` was when it was made.
    lost: u64,
}

/// How a handler left.
struct Run {
    outcome: Outcome,
    /// What the handler wishes for its unit of work.
    keep: bool,
    calls: Calls,
    called_in_recovery: bool,
    /// The instance must not serve again.
    spoilt: bool,
}

pub(crate) struct Worker {
    engine: Engine,
    component: Arc<Component>,
    context: Arc<ServiceContext>,
    queue: Receiver<Work>,
    instance: Option<Instance>,
    parts: WorkerParts,
    /// Jobs that lost their batch and can't be run under the lease: they go before the queue.
    again: VecDeque<Job>,
    stopped: bool,
}

impl Worker {
    pub(crate) fn new(
        engine: Engine,
        component: Arc<Component>,
        context: Arc<ServiceContext>,
        queue: Receiver<Work>,
    ) -> Self {
        let (parts, again) = (WorkerParts::default(), VecDeque::new());
        Self { engine, component, context, queue, instance: None, parts, again, stopped: false }
    }

    /// Takes jobs until it is told to stop.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.next() {
            self.run_job(job);
            self.recover_lost();
        }
    }

    /// The next job, waited for. While a batch is carried there is no waiting: with no job at hand the batch is committed.
    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.again.pop_front() {
                return Some(job);
            }
            if self.stopped {
                return None;
            }
            let carries = matches!(self.parts.hold, Hold::Carried(_));
            let work = if carries {
                self.queue.try_recv().ok()
            } else {
                Some(self.queue.recv().unwrap_or(Work::Stop))
            };
            match work {
                Some(Work::Job(job)) => return Some(job),
                Some(Work::Stop) => self.stopped = true,
                None => {}
            }
            self.commit_carried();
        }
    }

    /// Runs a job to its answer, or to its place in the open batch.
    fn run_job(&mut self, job: Job) {
        if Instant::now() >= job.deadline {
            (job.reply)(Err(Failure::Deadline));
            return;
        }
        let run = self.run_handler(&job, job.deadline);
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(unit) => {
                let (lease, ended) = unit.finish(run.keep);
                self.after_unit(lease, ended, job, run);
            }
            // It touched nothing but snapshots: its answer rests on nothing that is not durable.
            other => {
                self.parts.hold = other;
                (job.reply)(run.outcome);
                let lost = self.parts.hold.commit_carried_when_due();
                self.parts.lost.extend(lost);
            }
        }
    }

    /// A unit of work ended: its member waits for COMMIT, or its batch was lost.
    fn after_unit(&mut self, mut lease: Lease<Member>, ended: Ended<Member>, job: Job, run: Run) {
        let outcome = settle_unit(run.outcome, &ended);
        if !matches!(ended, Ended::Kept { .. }) {
            // Its memory may remember what never happened.
            self.instance = None;
        }
        if let Ended::Lost { loss, neighbours } = ended {
            tracing::warn!(
                service = self.context.name, trace_id = job.request.trace_id, %loss,
                neighbours = neighbours.len(), "a batch was lost"
            );
            (job.reply)(outcome);
            self.recover(lease, neighbours);
            return;
        }
        lease.push(Member { job, outcome, calls: run.calls });
        let more = !self.queue.is_empty();
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
        let lost = commit(&mut lease);
        if !lost.is_empty() {
            self.recover(lease, lost);
        }
    }

    fn commit_carried(&mut self) {
        let lost = self.parts.hold.commit_carried();
        self.parts.lost.extend(lost);
        self.recover_lost();
    }

    /// Runs those again whose batch was lost while a handler ran.
    fn recover_lost(&mut self) {
        if self.parts.lost.is_empty() {
            return;
        }
        let lost = std::mem::take(&mut self.parts.lost);
        let lease = match std::mem::take(&mut self.parts.hold) {
            // What is carried now was opened after the loss.
            Hold::Carried(mut lease) => {
                let more = commit(&mut lease);
                self.parts.lost.extend(more);
                Some(lease)
            }
            _ => self.context.database.as_ref().and_then(|database| {
                database.writer.acquire(Instant::now() + self.context.limits.request_timeout).ok()
            }),
        };
        match lease {
            Some(lease) => self.recover(lease, lost),
            None => {
                for member in lost {
                    (member.job.reply)(Err(Failure::Lost));
                }
            }
        }
        self.recover_lost();
    }

    /// Runs the members of a lost batch again: see `bulkhead_store::recover`. One that called others is not run under the lease.
    fn recover(&mut self, mut lease: Lease<Member>, members: Vec<Member>) {
        // What the members' instances remember, here and in other workers, is of a run that never happened.
        self.context.lost.fetch_add(1, Ordering::AcqRel);
        let mut runnable = Vec::new();
        for member in members {
            match member.calls {
                Calls::Reading if member.job.again => (member.job.reply)(Err(Failure::Lost)),
                Calls::None => runnable.push(member),
                Calls::Reading => {
                    let deadline = Instant::now() + self.context.limits.request_timeout;
                    self.again.push_back(Job { deadline, again: true, ..member.job });
                }
                Calls::Effective => (member.job.reply)(Err(Failure::Lost)),
            }
        }
        // The lease may come with a batch that others opened; it is theirs to keep.
        let lost = commit(&mut lease);
        self.parts.lost.extend(lost);
        let lease = recover(lease, runnable, |lease, member| self.run_again(lease, member), settle);
        drop(lease);
    }

    /// Runs a member again, under the lease.
    fn run_again(
        &mut self,
        lease: Lease<Member>,
        member: &mut Member,
    ) -> (Lease<Member>, Option<Ended<Member>>) {
        self.parts.hold = Hold::Reserved(lease);
        // Its own deadline may have passed while it waited for the culprit, which is no fault of its own.
        let deadline = Instant::now() + self.context.limits.request_timeout;
        let run = self.run_handler(&member.job, deadline);
        // What it may not do under the lease, call others or compute for long, it is to be asked for again.
        let unfit = run.called_in_recovery || matches!(run.outcome, Err(Failure::LeaseHeld));
        let outcome = if unfit { Err(Failure::Lost) } else { run.outcome };
        let keep = run.keep && !unfit;
        match std::mem::take(&mut self.parts.hold) {
            Hold::Joined(unit) => {
                let (lease, ended) = unit.finish(keep);
                if !matches!(ended, Ended::Kept { .. }) {
                    self.instance = None;
                }
                member.outcome = settle_unit(outcome, &ended);
                (lease, Some(ended))
            }
            Hold::Carried(lease) | Hold::Reserved(lease) => {
                member.outcome = outcome;
                (lease, None)
            }
            // `run_handler` gives back what it was given: a lease in one of the forms above.
            Hold::Nothing => {
                member.outcome = outcome;
                (self.reacquire(), None)
            }
        }
    }

    /// The lease once more, however long it takes: others hold it for a bounded time.
    fn reacquire(&self) -> Lease<Member> {
        loop {
            let database = self.context.database.as_ref();
            let patience = Instant::now() + self.context.limits.request_timeout;
            if let Some(Ok(lease)) = database.map(|database| database.writer.acquire(patience)) {
                return lease;
            }
        }
    }

    /// Calls the handler. What it holds of the lease is in `self.parts.hold`, before and after.
    fn run_handler(&mut self, job: &Job, deadline: Instant) -> Run {
        let lost = self.context.lost.load(Ordering::Acquire);
        let warm = self.instance.take().filter(|instance| instance.lost == lost);
        let mut instance = match warm.map_or_else(|| self.instantiate(deadline), Ok) {
            Ok(instance) => instance,
            Err(error) => {
                tracing::error!(service = self.context.name, error = format!("{error:#}"), "no instance");
                let outcome = Err(Failure::Host(format!("instantiate the component: {error:#}")));
                return Run {
                    outcome,
                    keep: false,
                    calls: Calls::None,
                    called_in_recovery: false,
                    spoilt: true,
                };
            }
        };
        let request = &job.request;
        let state = instance.store.data_mut();
        state.worker = std::mem::take(&mut self.parts);
        // A handler that is run again has the lease from its beginning.
        let reserved = matches!(state.worker.hold, Hold::Reserved(_));
        state.running = Some(Running {
            trace_id: request.trace_id.clone(),
            route: request.route.clone(),
            principal: request.principal.clone(),
            peer: request.peer.clone(),
            lease_until: reserved.then(|| Instant::now() + self.context.limits.lease_hold),
            starting: false,
            ..Running::starting(deadline)
        });
        instance.store.set_epoch_deadline(1);
        let result = {
            let _ticking = self.engine.running();
            instance.http.call_handle(&mut instance.store, request)
        };
        let state = instance.store.data_mut();
        self.parts = std::mem::take(&mut state.worker);
        if let Some(reader) = &mut self.parts.reader {
            reader.end();
        }
        let running = state.running.take();
        let run = self.judge(result, running, request);
        self.keep_or_drop(instance, &run);
        run
    }

    /// What the handler's return makes of the request.
    fn judge(
        &self,
        result: wasmtime::Result<Response>,
        running: Option<Running>,
        request: &crate::Request,
    ) -> Run {
        let (joined, calls, called_in_recovery) = running
            .as_ref()
            .map(|running| (running.joined, running.calls, running.called_in_recovery))
            .unwrap_or_default();
        let name = self.context.name.as_str();
        let (trace_id, route) = (request.trace_id.as_str(), request.route.as_str());
        if let Some(left_out) = running
            .and_then(|running| running.log_lines.checked_sub(bulkhead_types::limits::LOG_LINES_MAX + 1))
        {
            tracing::warn!(service = name, trace_id, route, lines = left_out + 1, "log lines were left out");
        }
        let (outcome, keep) = match result {
            Ok(response) => {
                let effects = response.effects;
                match check(response) {
                    Ok(answer) => {
                        let keep = match effects {
                            Effects::ByStatus => answer.status.as_u16() < 400,
                            Effects::Commit => true,
                            Effects::Discard => false,
                        };
                        (Ok(answer), keep)
                    }
                    Err(reason) => (Err(Failure::InvalidResponse(reason)), false),
                }
            }
            Err(error) => (
                Err(match error.downcast_ref::<Expired>() {
                    Some(Expired(failure)) => failure.clone(),
                    // Without the frames above it: components have no names for them.
                    None => Failure::Trap(error.root_cause().to_string()),
                }),
                false,
            ),
        };
        let trapped = match &outcome {
            Err(failure) => {
                tracing::error!(service = name, trace_id, route, %failure, "a request failed");
                !matches!(failure, Failure::InvalidResponse(_))
            }
            Ok(_) => false,
        };
        // An instance whose writes were rolled back may remember what never happened.
        Run { outcome, keep, calls, called_in_recovery, spoilt: trapped || (joined && !keep) }
    }

    /// A new instance. Its start function, if it has one, runs within the request's time; what the worker carries is committed
    /// when it is due, as while a handler runs.
    fn instantiate(&mut self, deadline: Instant) -> wasmtime::Result<Instance> {
        let lost = self.context.lost.load(Ordering::Acquire);
        let mut store = new_store(&self.engine, Arc::clone(&self.context));
        let state = store.data_mut();
        state.running = Some(Running::starting(deadline));
        state.worker = std::mem::take(&mut self.parts);
        store.set_epoch_deadline(1);
        let started = {
            let _ticking = self.engine.running();
            self.component.pre.instantiate(&mut store)
        };
        self.parts = std::mem::take(&mut store.data_mut().worker);
        let instance = started?;
        let indices = self.component.http.as_ref();
        let indices = indices.ok_or_else(|| wasmtime::Error::msg("it exports no http-handler"))?;
        let http = indices.load(&mut store, &instance)?;
        Ok(Instance { store, http, uses: 0, settled_bytes: 0, lost })
    }

    fn keep_or_drop(&mut self, mut instance: Instance, run: &Run) {
        let bytes = instance.store.data().memory.bytes;
        instance.uses += 1;
        if instance.uses == 1 {
            instance.settled_bytes = bytes;
        }
        let worn = instance.uses >= INSTANCE_USES_MAX || bytes > instance.settled_bytes + INSTANCE_GROWTH_MAX;
        if !run.spoilt && !worn && self.context.instances == InstancePolicy::Reused {
            self.instance = Some(instance);
        }
    }
}

/// Checks a response, and drops what is the host's to say.
fn check(response: Response) -> Result<Answer, String> {
    let status = StatusCode::from_u16(response.status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| format!("the status is {}", response.status))?;
    // A map of too many headers panics.
    let bytes: usize = response.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if response.headers.len() > RESPONSE_HEADERS_MAX || bytes > HEADERS_MAX {
        return Err(format!(
            "it has more than {RESPONSE_HEADERS_MAX} headers or {HEADERS_MAX} bytes of them"
        ));
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers {
        if is_hosts(&header.name) {
            continue;
        }
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| format!("the header name {:?} is none", header.name))?;
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(header.value))
            .map_err(|_| format!("the header {name} has a value that can't be sent"))?;
        headers.append(name, value);
    }
    Ok(Answer { status, headers, body: response.body, position: None })
}
