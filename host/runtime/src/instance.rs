//! A component's instance, and one run of a handler on it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::Abort;
use bulkhead_types::limits::{
    HEADERS_MAX, INSTANCE_GROWTH_MAX, INSTANCE_USES_MAX, LOG_LINES_MAX, METHOD_SHOWN_BYTES_MAX,
    PANIC_MESSAGE_BYTES_MAX, RESPONSE_HEADERS_MAX,
};
use bulkhead_types::{Sequence, TraceId, own_words};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasmtime::Store;

use crate::bindings::bulkhead::service::types::{Effects, Event, Principal, Response};
use crate::bindings::exports::bulkhead::service::event_handler::{self, HandleError};
use crate::bindings::exports::bulkhead::service::http_handler;
use crate::component::new_store;
use crate::diagnosis::{self, Place};
use crate::engine::Engine;
use crate::header::is_hosts;
use crate::hold::Hold;
use crate::job::{Answer, Failure, Job, Outcome};
use crate::observer::{DropCause, Observation, Observed};
use crate::release::{Release, ServiceContext};
use crate::running::{Calls, Handler, Running};
use crate::spec::InstancePolicy;
use crate::state::{State, WorkerParts};

/// An instance with its store.
pub(crate) struct Instance {
    store: Store<State>,
    http: Option<http_handler::Guest>,
    events: Option<event_handler::Guest>,
    uses: u32,
    /// Bytes of memory after the first use.
    settled_bytes: usize,
    /// The abort count when this instance was made.
    aborts: u64,
    observed: Observed,
    /// Why it goes, if it is dropped now.
    cause: DropCause,
}

impl Instance {
    fn drop_for(mut self, cause: DropCause) {
        self.cause = cause;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.observed.notify(&Observation::InstanceDropped { cause: self.cause });
    }
}

/// How the run of a request's handler ended.
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    /// Whether the handler wants its unit of work to be kept.
    pub(crate) keep: bool,
    pub(crate) calls: Calls,
    pub(crate) called_in_recovery: bool,
    /// The failure is logged already: in this run, or in an earlier one.
    pub(crate) logged: bool,
    /// What ran; none if nothing did.
    pub(crate) running: Option<Running>,
    /// The instance must not serve again.
    pub(crate) spoilt: bool,
}

impl Run {
    /// Whether the handler did something that is not allowed under the lease: it called other services, or computed for long.
    pub(crate) fn is_to_be_asked_for_again(&self) -> bool {
        self.called_in_recovery || matches!(self.outcome, Err(Failure::LeaseHeld))
    }
}

/// Why an event was not consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotConsumed {
    /// It is to be tried again.
    Retry(String),
    /// It will never work.
    Reject(String),
}

impl NotConsumed {
    /// Adds the reason of the abort if the batch was aborted as well. The guest says only that its statement failed; the abort says why.
    pub(crate) fn with_abort(self, abort: Option<Abort>) -> Self {
        match (self, abort) {
            (Self::Retry(why), Some(abort)) => Self::Retry(format!("{abort}; {why}")),
            (why, _) => why,
        }
    }
}

/// The instance that a thread keeps warm, and what is needed to make another one.
pub(crate) struct WarmInstance {
    pub(crate) engine: Engine,
    context: Arc<ServiceContext>,
    instance: Option<Instance>,
}

impl WarmInstance {
    pub(crate) fn new(engine: Engine, context: Arc<ServiceContext>) -> Self {
        Self { engine, context, instance: None }
    }

    /// Makes the next run use a new instance.
    pub(crate) fn retire(&mut self, cause: DropCause) {
        if let Some(instance) = self.instance.take() {
            instance.drop_for(cause);
        }
    }

    #[cfg(test)]
    pub(crate) fn warm_up(&mut self, release: &Release, parts: &mut WorkerParts) {
        let instance = self.instantiate(release, parts, Instant::now() + Duration::from_secs(60)).unwrap();
        self.keep_or_drop(release, instance, None);
    }

    #[cfg(test)]
    pub(crate) fn is_warm(&self) -> bool {
        self.instance.is_some()
    }

    /// Calls the handler of a request. What the thread holds of the lease is in `parts.hold`, before and after.
    pub(crate) fn run_handler(
        &mut self,
        release: &Release,
        parts: &mut WorkerParts,
        job: &Job,
        deadline: Instant,
    ) -> Run {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut instance = match self.take(release, parts, deadline) {
            Ok(instance) => instance,
            Err(why) => return did_not_run(release, job, Failure::Host(why)),
        };
        let request = &job.request;
        let running = of_request(release, job, deadline);
        let Some(http) = &instance.http else {
            return did_not_run(release, job, Failure::Host("it exports no http-handler".into()));
        };
        enter(&mut instance.store, parts, running);
        let result = {
            let _ticking = self.engine.running();
            http.call_handle(&mut instance.store, request)
        };
        let running = leave(&mut instance.store, parts);
        self.report_left_out_lines(&running);
        let spoilt_by = if result.is_err() { DropCause::Failed } else { DropCause::Undone };
        let run = judge(release, result, running, job, left);
        let outcome = run.outcome.as_ref().map(|answer| answer.status);
        self.context.observed.notify(&Observation::Finished { outcome });
        if let Err(failure) = outcome {
            self.context.observed.notify_limit_of(failure);
        }
        self.keep_or_drop(release, instance, run.spoilt.then_some(spoilt_by));
        run
    }

    /// Calls the handler of an event. `trace_id` is the event's. If the event is one of the service's own timers, `timer` is its sequence. What the thread holds of
    /// the lease is in `parts.hold`, before and after.
    pub(crate) fn run_event(
        &mut self,
        release: &Release,
        parts: &mut WorkerParts,
        event: &Event,
        trace_id: TraceId,
        timer: Option<Sequence>,
        deadline: Instant,
    ) -> Result<(), NotConsumed> {
        let mut instance = self.take(release, parts, deadline).map_err(NotConsumed::Retry)?;
        let running = of_event(release, event, (trace_id, timer), deadline);
        let Some(events) = &instance.events else {
            return Err(NotConsumed::Reject("the component exports no event-handler".into()));
        };
        enter(&mut instance.store, parts, running);
        let result = {
            let _ticking = self.engine.running();
            events.call_handle(&mut instance.store, event)
        };
        let running = leave(&mut instance.store, parts);
        self.report_left_out_lines(&running);
        let trapped = result.is_err();
        let spec = &release.spec;
        let said = |reason: &str| diagnosis::reason(&own_words(reason, PANIC_MESSAGE_BYTES_MAX), &running);
        let consumed = match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(HandleError::Retry(reason))) => Err(NotConsumed::Retry(said(&reason))),
            Ok(Err(HandleError::Reject(reason))) => Err(NotConsumed::Reject(said(&reason))),
            Err(error) => {
                let failure = diagnosis::failure(&error, &running, spec);
                self.context.observed.notify_limit_of(&failure);
                let sentence = diagnosis::sentence(&failure, &running, spec);
                Err(NotConsumed::Retry(diagnosis::reason(&sentence, &running)))
            }
        };
        note_event(release, event.attempt, &consumed, trapped);
        // Nothing is kept of an event that was not consumed, and the instance may remember effects that never happened.
        self.keep_or_drop(release, instance, consumed.is_err().then_some(DropCause::Failed));
        consumed
    }

    /// The warm instance or a new one, or the reason why there is none.
    fn take(
        &mut self,
        release: &Release,
        parts: &mut WorkerParts,
        deadline: Instant,
    ) -> Result<Instance, String> {
        let aborts = self.context.aborts.count();
        let instance = match self.instance.take() {
            // If the host panics while it runs, it goes as one that failed.
            Some(mut instance) if instance.aborts == aborts => {
                instance.cause = DropCause::Failed;
                Ok(instance)
            }
            before => {
                if let Some(before) = before {
                    before.drop_for(DropCause::Undone);
                }
                self.instantiate(release, parts, deadline)
            }
        };
        if let (Err(why), Some(probation)) = (&instance, &release.probation) {
            probation.note(Some(why));
        }
        instance
    }

    fn report_left_out_lines(&self, running: &Running) {
        let Some(left_out) = running.log_lines.checked_sub(LOG_LINES_MAX + 1) else { return };
        let (service, lines) = (self.context.name.as_str(), left_out + 1);
        let Place { version, trace_id, method, path, kind } = Place::of(running);
        let (version, trace_id) = (version.map(tracing::field::display), trace_id.map(|id| id.to_string()));
        tracing::warn!(service, version, trace_id, method, path, kind, lines, "log lines were left out");
    }

    /// A new instance. Its start function, if it has one, runs within the request's time. The batch that the worker keeps is committed when
    /// it is due, as it is while a handler runs.
    ///
    /// # Errors
    ///
    /// Why there is none, for an operator.
    fn instantiate(
        &self,
        release: &Release,
        parts: &mut WorkerParts,
        deadline: Instant,
    ) -> Result<Instance, String> {
        let (aborts, began) = (self.context.aborts.count(), Instant::now());
        let mut store =
            new_store(&self.engine, Arc::clone(&release.spec), Arc::clone(&self.context.host_context));
        let state = store.data_mut();
        state.running = Some(Running::of(&release.component.info, deadline));
        state.worker = std::mem::take(parts);
        store.set_epoch_deadline(1);
        let started = {
            let _ticking = self.engine.running();
            release.component.pre.instantiate(&mut store)
        };
        let running = leave(&mut store, parts);
        let component = &release.component;
        let loaded = started.and_then(|instance| {
            let http = component.http.as_ref().map(|http| http.load(&mut store, &instance)).transpose()?;
            let events =
                component.events.as_ref().map(|events| events.load(&mut store, &instance)).transpose()?;
            Ok((http, events))
        });
        let (http, events) = loaded.map_err(|error| {
            let spec = &release.spec;
            let ended = diagnosis::trapped(&error, running.panic.as_ref(), running.memory_refused, spec);
            format!("instantiate the component: at its start it {ended}")
        })?;
        self.context.observed.notify(&Observation::InstanceCreated { took: began.elapsed() });
        let (observed, cause) = (self.context.observed.clone(), DropCause::Failed);
        Ok(Instance { store, http, events, uses: 0, settled_bytes: 0, aborts, observed, cause })
    }

    /// Keeps an instance for the next run, unless it is `spoilt` for this reason, or worn.
    fn keep_or_drop(&mut self, release: &Release, mut instance: Instance, spoilt: Option<DropCause>) {
        let bytes = instance.store.data().memory.bytes;
        instance.uses += 1;
        if instance.uses == 1 {
            instance.settled_bytes = bytes;
        }
        let worn = instance.uses >= INSTANCE_USES_MAX || bytes > instance.settled_bytes + INSTANCE_GROWTH_MAX;
        let cause = match spoilt {
            Some(cause) => cause,
            None if release.spec.instances != InstancePolicy::Reused => DropCause::Policy,
            None if worn => DropCause::Worn,
            None => {
                instance.cause = DropCause::Stopped;
                self.instance = Some(instance);
                return;
            }
        };
        instance.drop_for(cause);
    }
}

/// Prepares `store` to run for `running`.
fn enter(store: &mut Store<State>, parts: &mut WorkerParts, running: Running) {
    let state = store.data_mut();
    let lease_hold = state.spec.limits.lease_hold;
    state.worker = std::mem::take(parts);
    state.memory.refused = false;
    // A handler that is run again holds the lease from its beginning. So does the handler of an event that updates a replica.
    let holds = matches!(state.worker.hold, Hold::Reserved(_) | Hold::Joined(_));
    state.running = Some(Running {
        lease_until: holds.then(|| Instant::now() + lease_hold),
        starting: false,
        began: Instant::now(),
        ..running
    });
    store.set_epoch_deadline(1);
}

/// Ends the run in `store`, and returns what ran.
fn leave(store: &mut Store<State>, parts: &mut WorkerParts) -> Running {
    let state = store.data_mut();
    *parts = std::mem::take(&mut state.worker);
    if let Some(reader) = &mut parts.reader {
        reader.end();
    }
    let memory_refused = state.memory.refused;
    let running = state.running.take().unwrap_or_else(|| Running::starting(Instant::now()));
    Running { memory_refused, ..running }
}

/// The run of a request's handler.
fn of_request(release: &Release, job: &Job, deadline: Instant) -> Running {
    let request = &job.request;
    Running {
        handler: Handler::Request {
            method: own_words(&request.method, METHOD_SHOWN_BYTES_MAX),
            path: request.path.clone(),
            route: request.route.clone(),
        },
        trace_id: Some(job.trace_id),
        principal: request.principal.clone(),
        peer: request.peer.clone(),
        ..Running::of(&release.component.info, deadline)
    }
}

/// The run of an event's handler. The service itself is its principal.
fn of_event(
    release: &Release,
    event: &Event,
    (trace_id, timer): (TraceId, Option<Sequence>),
    deadline: Instant,
) -> Running {
    let subject = format!("service:{}", release.spec.name);
    Running {
        handler: Handler::Event { kind: event.type_.clone() },
        trace_id: Some(trace_id),
        principal: Some(Principal { subject, roles: Vec::new(), expires_at: None }),
        timer,
        ..Running::of(&release.component.info, deadline)
    }
}

/// The result for a request for which no handler ran.
fn did_not_run(release: &Release, job: &Job, failure: Failure) -> Run {
    report_once(release, job, &failure);
    let (outcome, calls) = (Err(failure), Calls::None);
    Run { outcome, keep: false, calls, called_in_recovery: false, logged: true, running: None, spoilt: true }
}

/// Logs a request that failed outside its handler, unless its failure is logged already.
pub(crate) fn report_once(release: &Release, job: &Job, failure: &Failure) {
    if !job.logged {
        diagnosis::report_request(&release.component.info, &release.spec, &job.request, failure, None);
    }
}

/// Decides the result of a request from what its handler returned.
fn judge(
    release: &Release,
    result: wasmtime::Result<Response>,
    running: Running,
    job: &Job,
    left: Duration,
) -> Run {
    let Running { joined, calls, called_in_recovery, .. } = running;
    let (component, spec, request) = (&release.component.info, &release.spec, &job.request);
    let (outcome, keep) = match result {
        Ok(response) => {
            let effects = response.effects;
            match check(response, component.label.clone()) {
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
        Err(error) => (Err(diagnosis::failure(&error, &running, spec)), false),
    };
    let mut logged = job.logged;
    let trapped = match &outcome {
        Err(failure) => {
            if !logged {
                diagnosis::report_request(component, spec, request, failure, Some(&running));
            }
            logged = true;
            !matches!(failure, Failure::InvalidResponse(_))
        }
        Ok(answer) => {
            if answer.status.is_server_error() {
                if !logged {
                    diagnosis::report_answer(component, spec, request, answer.status, &running);
                }
                logged = true;
            }
            false
        }
    };
    note_request(release, &outcome, &running, left);
    // An instance whose writes were rolled back may still remember them.
    let spoilt = trapped || (joined && !keep);
    Run { outcome, keep, calls, called_in_recovery, logged, running: Some(running), spoilt }
}

/// Notes how a request ended, while the version is new. A failure is the version's own if the handler trapped, or answered with an error by
/// itself. A 503 may be about another service, and another service may have used up the request's time.
fn note_request(release: &Release, outcome: &Outcome, running: &Running, left: Duration) {
    let Some(probation) = &release.probation else { return };
    match outcome {
        Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {}
        Ok(answer) if answer.status.is_server_error() => {
            let Place { method, path, .. } = Place::of(running);
            let (method, path) = (method.unwrap_or_default(), path.unwrap_or_default());
            probation.note(Some(&format_args!("{method} {path} answered {}", answer.status)));
        }
        Ok(_) => probation.note(None),
        Err(Failure::Deadline)
            if running.calls != Calls::None || left < release.spec.limits.request_timeout / 2 => {}
        Err(failure) => {
            probation.note(Some(&diagnosis::sentence(failure, running, &release.spec)));
        }
    }
}

/// Notes how an event ended, while the version is new. An event that failed before, perhaps with another version, says nothing about this
/// version. What the handler refuses by itself is no failure of the version.
fn note_event(release: &Release, attempt: u32, consumed: &Result<(), NotConsumed>, trapped: bool) {
    let Some(probation) = release.probation.as_ref().filter(|_| attempt == 1) else { return };
    match consumed {
        Err(NotConsumed::Retry(why) | NotConsumed::Reject(why)) if trapped => probation.note(Some(why)),
        _ => probation.note(None),
    }
}

/// Checks a response, and drops the headers that only the host may set.
fn check(response: Response, version: HeaderValue) -> Result<Answer, String> {
    let status = StatusCode::from_u16(response.status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| format!("the status is {}", response.status))?;
    // A header map with too many headers panics.
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
            .map_err(|_| format!("\"{}\" is not a header's name", own_words(&header.name, 128)))?;
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(header.value))
            .map_err(|_| format!("the header {name} has a value that can't be sent"))?;
        headers.append(name, value);
    }
    Ok(Answer { status, headers, body: response.body, position: None, replayed: false, version })
}
