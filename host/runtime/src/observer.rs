//! What happens in the services, for those who observe it: metrics, traces, tests.
//!
//! Observers are called on the thread where something happens, some of them while the writer lease is held and before answers leave. So an
//! observer must be quick, must not wait and must not panic. A host without observers pays a look at an empty list each time.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_store::Parked;
use bulkhead_types::{Sequence, ServiceName};
use http::StatusCode;

use crate::database_call::DatabaseCall;
use crate::job::Failure;

/// Observes what happens in the services.
pub trait Observer: Send + Sync {
    /// This happened in the service.
    fn observe(&self, service: &ServiceName, observation: &Observation<'_>);
}

/// What happened.
#[derive(Clone, Copy)]
pub enum Observation<'a> {
    /// A request or a call was put into a queue: `read`, `write` or `compute`.
    Queued {
        /// The queue.
        queue: &'static str,
    },
    /// A worker took it from the queue.
    Started {
        /// The queue.
        queue: &'static str,
        /// How long it was in the queue.
        waited: Duration,
    },
    /// A handler asked its database. The result has the number of rows that were read or changed.
    DatabaseCalled {
        /// What it asked.
        call: &'a DatabaseCall<'a>,
        /// What came of it.
        result: Result<u64, &'a dyn Display>,
    },
    /// A handler called another service.
    ServiceCalled {
        /// The service that was called.
        callee: &'a ServiceName,
        /// The method of the request.
        method: &'a str,
        /// Its path.
        path: &'a str,
        /// The status of the answer, or why there is none.
        result: Result<u16, &'a dyn Display>,
    },
    /// A handler joined a unit of work, or the host began one for the service.
    Joined,
    /// The handler of a request returned. What it wrote is not durable yet, and a handler whose batch is aborted runs again.
    Finished {
        /// The status of what it answered, or why it did not answer. What is sent may differ, if its unit of work can't be kept.
        outcome: Result<StatusCode, &'a Failure>,
    },
    /// A batch is durable.
    BatchCommitted {
        /// How many units of work of it were kept: at least one.
        units: usize,
    },
    /// An event or a timer was consumed, and this is durable.
    EventConsumed {
        /// The service whose event log has it; for a timer the service itself.
        producer: &'a ServiceName,
        /// Its sequence there, or that of the timer.
        sequence: Sequence,
    },
    /// An event or a timer that could not be consumed, or that waits behind one, was parked, and this is durable.
    EventParked {
        /// Its row.
        row: &'a Parked,
    },
    /// An instance was made.
    InstanceCreated {
        /// How long that took.
        took: Duration,
    },
    /// An instance will not run again.
    InstanceDropped {
        /// Why.
        cause: DropCause,
    },
    /// A handler or a request met a limit of the service.
    LimitReached {
        /// Which one.
        limit: Limit,
    },
}

/// Why an instance does not run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropCause {
    /// Its handler trapped, was ended, or did not consume its event; or the host panicked, or the component lacks the handler.
    Failed,
    /// Its memory may have effects of a unit of work that was undone: by an answer of 400 or more, by an abort, or by the harness.
    Undone,
    /// It ran as often as it may, or its memory grew.
    Worn,
    /// The manifest asks for a new instance each time.
    Policy,
    /// The service runs on another release now: by a deploy, a rollback, a reload or a rebuild.
    Replaced,
    /// Its thread ended, or what the host ran it for.
    Stopped,
}

impl DropCause {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Failed, Self::Undone, Self::Worn, Self::Policy, Self::Replaced, Self::Stopped];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Worn => "worn",
            Self::Policy => "policy",
            Self::Replaced => "replaced",
            Self::Stopped => "stopped",
        }
    }
}

/// A limit of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `limits.queue`: a request found the queue full.
    Queue,
    /// `limits.memory`: an instance wanted more.
    Memory,
    /// `limits.request_timeout`: a handler did not return in time, or no worker was free in time.
    RequestTimeout,
    /// `limits.lease_hold`: a handler held the writer lease for too long.
    LeaseHold,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Memory, Self::RequestTimeout, Self::LeaseHold];

    /// Its name in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Memory => "memory",
            Self::RequestTimeout => "request_timeout",
            Self::LeaseHold => "lease_hold",
        }
    }

    /// The limit that a failure is about, if it is about one.
    pub(crate) fn of(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::Deadline => Some(Self::RequestTimeout),
            Failure::LeaseHeld => Some(Self::LeaseHold),
            _ => None,
        }
    }
}

/// Everything that observes the services.
#[derive(Clone, Default)]
pub struct Observers(Arc<[Arc<dyn Observer>]>);

impl Observers {
    /// These.
    #[must_use]
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Self(observers.into())
    }

    /// What happens in this service.
    pub(crate) fn of(&self, service: &ServiceName) -> Observed {
        Observed { service: service.clone(), observers: self.clone() }
    }
}

/// A service that is observed.
#[derive(Clone)]
pub(crate) struct Observed {
    service: ServiceName,
    observers: Observers,
}

impl Observed {
    /// Whether there are no observers.
    pub(crate) fn is_empty(&self) -> bool {
        self.observers.0.is_empty()
    }

    /// Notifies all observers.
    pub(crate) fn notify(&self, observation: &Observation<'_>) {
        for observer in self.observers.0.iter() {
            observer.observe(&self.service, observation);
        }
    }

    /// Notifies all observers which limit a failure is about, if it is about one.
    pub(crate) fn notify_limit_of(&self, failure: &Failure) {
        if let Some(limit) = Limit::of(failure) {
            self.notify_limit(limit);
        }
    }

    /// Notifies all observers that a limit was reached.
    pub(crate) fn notify_limit(&self, limit: Limit) {
        self.notify(&Observation::LimitReached { limit });
    }
}

#[cfg(test)]
mod tests;
