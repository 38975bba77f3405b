//! What happens in the services, for those who observe it: metrics, traces, tests.
//!
//! Observers are told on the thread where something happens, some of them while the writer lease is held. So an observer must be quick and
//! must not wait. A host without observers pays one look at an empty list.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_store::Parked;
use http::StatusCode;

use crate::database_call::DatabaseCall;
use crate::job::Failure;

/// Is told what happens in the services.
pub trait Observer: Send + Sync {
    /// This happened in the service.
    fn observe(&self, service: &str, observation: &Observation<'_>);
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
        callee: &'a str,
        /// The method of the request.
        method: &'a str,
        /// Its path.
        path: &'a str,
        /// The status of the answer, or why there is none.
        result: Result<u16, &'a dyn Display>,
    },
    /// A handler joined a unit of work, or the host began one for the service.
    Joined,
    /// The handler of a request returned. What it wrote is not durable yet.
    Finished {
        /// The status of its answer, or why it has none.
        outcome: Result<StatusCode, &'a Failure>,
    },
    /// A batch is durable.
    BatchCommitted {
        /// How many units of work were in it.
        members: usize,
    },
    /// An event or a timer was consumed, and this is durable.
    EventConsumed {
        /// The service whose event log has it; for a timer the service itself.
        producer: &'a str,
        /// Its sequence there, or that of the timer.
        sequence: i64,
    },
    /// An event or a timer could not be consumed, and is being parked. It is parked again if this does not become durable.
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
    /// Its handler trapped, was ended, or did not consume its event.
    Failed,
    /// Its memory may have effects of a unit of work that was undone.
    Undone,
    /// It ran as often as it may, or its memory grew.
    Worn,
    /// The manifest asks for a new instance each time.
    Policy,
    /// The service runs on another release now.
    Replaced,
    /// Its thread ended.
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
    /// `limits.request_timeout`: a request was not answered in time.
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
            Failure::QueueFull => Some(Self::Queue),
            Failure::Deadline => Some(Self::RequestTimeout),
            Failure::LeaseHeld => Some(Self::LeaseHold),
            _ => None,
        }
    }
}

/// Those who are told what happens.
#[derive(Clone, Default)]
pub struct Observers(Arc<[Arc<dyn Observer>]>);

impl Observers {
    /// These.
    #[must_use]
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Self(observers.into())
    }

    /// What happens in this service.
    pub(crate) fn of(&self, service: &str) -> Observed {
        Observed { service: service.into(), observers: self.clone() }
    }
}

/// A service that is observed.
#[derive(Clone)]
pub(crate) struct Observed {
    service: Arc<str>,
    observers: Observers,
}

impl Observed {
    /// Tells all observers.
    pub(crate) fn tell(&self, observation: &Observation<'_>) {
        for observer in self.observers.0.iter() {
            observer.observe(&self.service, observation);
        }
    }

    /// Tells all observers which limit a failure is about, if it is about one.
    pub(crate) fn tell_limit(&self, failure: &Failure) {
        if let Some(limit) = Limit::of(failure) {
            self.tell(&Observation::LimitReached { limit });
        }
    }
}

#[cfg(test)]
mod tests;
