//! What a store holds for the handler that runs in it.

use std::sync::Arc;
use std::time::Instant;

use bulkhead_store::Reader;
use bulkhead_types::ServiceName;
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::database::ServiceDatabase;
use crate::fault_injector::FaultInjector;
use crate::hold::Hold;
use crate::host_context::HostContext;
use crate::job::Failure;
use crate::member::AbortedMembers;
use crate::observer::{Limit, Observed};
use crate::running::{Expired, Running};
use crate::spec::ServiceSpec;

/// What belongs to the worker and not to the instance: it is passed from one instance to the next.
#[derive(Default)]
pub(crate) struct WorkerParts {
    /// The service's database, as it was when the handler began.
    pub(crate) database: Option<Arc<ServiceDatabase>>,
    /// The read-only connection, once it was used.
    pub(crate) reader: Option<Box<dyn Reader>>,
    pub(crate) hold: Hold,
    /// Members whose batch was aborted while a handler ran.
    pub(crate) aborted: AbortedMembers,
}

/// The data of a `wasmtime::Store`.
pub(crate) struct State {
    /// What the manifest says of the service.
    pub(crate) spec: Arc<ServiceSpec>,
    pub(crate) host_context: Arc<HostContext>,
    pub(crate) observed: Observed,
    pub(crate) worker: WorkerParts,
    /// None if no guest code runs.
    pub(crate) running: Option<Running>,
    pub(crate) memory: MemoryLimit,
}

impl State {
    pub(crate) fn new(spec: Arc<ServiceSpec>, host_context: Arc<HostContext>) -> Self {
        let maximum = usize::try_from(spec.limits.memory).unwrap_or(usize::MAX);
        let observed = host_context.observers.of(&spec.name);
        let faults = host_context.faults.clone().map(|faults| (faults, spec.name.clone()));
        let memory = MemoryLimit { maximum, bytes: 0, refused: false, observed: observed.clone(), faults };
        Self { spec, host_context, observed, worker: WorkerParts::default(), running: None, memory }
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
        let aborted = self.worker.hold.commit_open_batch_when_due(&self.observed);
        self.worker.aborted.extend(aborted);
        Ok(UpdateDeadline::Continue(1))
    }
}

/// Enforces the service's memory limit, and knows how much memory there is.
pub(crate) struct MemoryLimit {
    maximum: usize,
    pub(crate) bytes: usize,
    /// Since the handler began, it asked for more memory than it may have.
    pub(crate) refused: bool,
    observed: Observed,
    /// A test that may refuse more memory, with the service's name.
    faults: Option<(Arc<dyn FaultInjector>, ServiceName)>,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What an instance begins with is not growth.
        let grows = |(faults, service): &(Arc<dyn FaultInjector>, ServiceName)| {
            current == 0 || faults.may_grow(service)
        };
        let allowed = desired <= self.maximum && self.faults.as_ref().is_none_or(grows);
        if allowed {
            self.bytes = desired;
        }
        if !allowed && !self.refused {
            self.observed.notify_limit(Limit::Memory);
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
        // The pool's own limit on elements applies.
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_store::StatementError;

    use super::*;
    use crate::database_call::DatabaseCall;
    use crate::observer::Observers;
    use crate::trial::Seen;

    /// Refuses every byte.
    struct Refuses;

    impl FaultInjector for Refuses {
        fn fail_database(&self, _: &ServiceName, _: &DatabaseCall<'_>) -> Option<StatementError> {
            None
        }

        fn fail_call(&self, _: &ServiceName, _: &ServiceName) -> Option<String> {
            None
        }

        fn may_grow(&self, _: &ServiceName) -> bool {
            false
        }
    }

    /// A harness refuses growth, and not what an instance begins with. The service's limit holds for both.
    #[test]
    fn memory_has_a_limit_and_a_harness_can_refuse_its_growth() {
        let faults: Arc<dyn FaultInjector> = Arc::new(Refuses);
        for (faults, current, desired, is_allowed) in [
            (None, 0, 100, true),
            (None, 50, 100, true),
            (None, 50, 101, false),
            (None, 0, 101, false),
            (Some(&faults), 0, 100, true),
            (Some(&faults), 50, 100, false),
        ] {
            let faults = faults.map(|faults| (Arc::clone(faults), "a".into()));
            let seen = Seen::default();
            let observed = Observers::new(vec![Arc::new(seen.clone())]).of(&"a".into());
            let mut limit = MemoryLimit { maximum: 100, bytes: 50, refused: false, observed, faults };
            assert_eq!(
                limit.memory_growing(current, desired, None).unwrap(),
                is_allowed,
                "{current} {desired}"
            );
            let bytes = if is_allowed { desired } else { 50 };
            assert_eq!((limit.bytes, limit.refused), (bytes, !is_allowed), "{current} {desired}");
            // Once for each handler.
            let _ = limit.memory_growing(current, desired, None).unwrap();
            let reached = if is_allowed { Vec::new() } else { vec!["a: limit memory".to_owned()] };
            assert_eq!(seen.take(), reached);
        }
    }
}
