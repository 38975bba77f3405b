//! What a store holds for the handler that runs in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{Reader, StatementError};
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::bindings::bulkhead::service::types::Principal;
use crate::component::Component;
use crate::diagnosis::{FailedCall, Panic};
use crate::hold::{AbortedMembers, Calls, Hold};
use crate::job::Failure;
use crate::probe::Probe;
use crate::service::{HostContext, ServiceDatabase, ServiceSpec};

/// What belongs to the worker and not to the instance: it goes from one instance to the next.
#[derive(Default)]
pub(crate) struct WorkerParts {
    /// The service's database, as it was when the handler began.
    pub(crate) database: Option<Arc<ServiceDatabase>>,
    /// The read-only connection, once it was used.
    pub(crate) reader: Option<Reader>,
    pub(crate) hold: Hold,
    /// Members whose batch was aborted while a handler ran.
    pub(crate) aborted: AbortedMembers,
}

/// The handler that runs now.
pub(crate) struct Running {
    /// It is no handler: a component is asked what it is, or an instance starts.
    pub(crate) starting: bool,
    /// What it is a run of; none while a component is loaded.
    pub(crate) component: Option<Arc<Component>>,
    pub(crate) handler: Handler,
    pub(crate) trace_id: String,
    pub(crate) principal: Option<Principal>,
    pub(crate) peer: String,
    /// The service's own timer, by its sequence, that this is the handler of.
    pub(crate) timer: Option<i64>,
    pub(crate) deadline: Instant,
    /// Until when the lease may be held, once it is.
    pub(crate) lease_until: Option<Instant>,
    pub(crate) joined: bool,
    pub(crate) calls: Calls,
    /// It called another service while it was run again under the lease.
    pub(crate) called_in_recovery: bool,
    pub(crate) log_lines: u32,
    pub(crate) began: Instant,
    /// What the guest said of the trap that it is about to end in.
    pub(crate) panic: Option<Panic>,
    /// It asked for more memory than there may be.
    pub(crate) memory_refused: bool,
    /// The call to the database that failed last.
    pub(crate) failed_call: Option<FailedCall>,
    /// The guest's last line of the level `error`.
    pub(crate) last_error: Option<String>,
}

/// Which handler it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handler {
    /// None: a component is asked what it is, or an instance starts.
    None,
    /// That of a request.
    Request {
        method: String,
        /// In its normal form: it is told as the template that it falls under.
        path: String,
        /// The route of the manifest.
        route: String,
    },
    /// That of an event.
    Event {
        /// Its type.
        kind: String,
    },
}

impl std::fmt::Display for Handler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => write!(formatter, "the start"),
            // Which of its routes it is stands beside it, in a field of the line.
            Self::Request { .. } => write!(formatter, "the request"),
            Self::Event { kind } => write!(formatter, "the event {kind}"),
        }
    }
}

impl Running {
    /// Guest code that runs for no request, until `deadline`: it has no database and can call nobody.
    pub(crate) fn starting(deadline: Instant) -> Self {
        Self {
            starting: true,
            component: None,
            handler: Handler::None,
            trace_id: String::new(),
            principal: None,
            peer: String::new(),
            timer: None,
            deadline,
            lease_until: None,
            joined: false,
            calls: Calls::None,
            called_in_recovery: false,
            log_lines: 0,
            began: Instant::now(),
            panic: None,
            memory_refused: false,
            failed_call: None,
            last_error: None,
        }
    }
}

/// The data of a `wasmtime::Store`.
pub(crate) struct State {
    /// What the manifest says of the service.
    pub(crate) spec: Arc<ServiceSpec>,
    pub(crate) host_context: Arc<HostContext>,
    pub(crate) worker: WorkerParts,
    /// None between two handlers.
    pub(crate) running: Option<Running>,
    pub(crate) memory: MemoryLimit,
}

impl State {
    pub(crate) fn new(spec: Arc<ServiceSpec>, host_context: Arc<HostContext>) -> Self {
        let maximum = usize::try_from(spec.limits.memory).unwrap_or(usize::MAX);
        let probe = host_context.probe.clone().map(|probe| (probe, spec.name.clone()));
        let memory = MemoryLimit { maximum, bytes: 0, refused: false, probe };
        Self { spec, host_context, worker: WorkerParts::default(), running: None, memory }
    }

    /// The database and the handler, or why there is none.
    pub(crate) fn database(
        &mut self,
    ) -> Result<(Arc<ServiceDatabase>, &mut WorkerParts, &mut Running, Duration), StatementError> {
        let Some(database) = self.worker.database.clone() else {
            return Err(StatementError::NotAllowed("the manifest gives this service no database".into()));
        };
        let Some(running) = self.running.as_mut().filter(|running| !running.starting) else {
            return Err(StatementError::NotAllowed(
                "there is no database while a component is loaded".into(),
            ));
        };
        Ok((database, &mut self.worker, running, self.spec.limits.lease_hold))
    }

    /// Called at each tick while the guest runs.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let now = Instant::now();
        if let Some(running) = &self.running {
            if now >= running.deadline {
                return Err(Expired(Failure::Deadline).into());
            }
            if running.lease_until.is_some_and(|until| now >= until) {
                return Err(Expired(Failure::LeaseHeld).into());
            }
        }
        let aborted = self.worker.hold.commit_carried_when_due();
        self.worker.aborted.extend(aborted);
        Ok(UpdateDeadline::Continue(1))
    }
}

/// A trap of the host's making: the guest's time is up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Expired(pub(crate) Failure);

/// Keeps to the service's memory, and knows how much there is.
pub(crate) struct MemoryLimit {
    maximum: usize,
    pub(crate) bytes: usize,
    /// More was asked for than there may be, since the handler began.
    pub(crate) refused: bool,
    /// A test that may refuse more, with the service's name.
    probe: Option<(Arc<dyn Probe>, String)>,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What an instance begins with is no growth.
        let grows = |(probe, service): &(Arc<dyn Probe>, String)| current == 0 || probe.may_grow(service);
        let allowed = desired <= self.maximum && self.probe.as_ref().is_none_or(grows);
        if allowed {
            self.bytes = desired;
        }
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool's own limit on elements holds.
        Ok(true)
    }
}
