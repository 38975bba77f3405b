//! A request on its way through a service, and what comes back.

use std::time::Instant;

use bulkhead_store::Abort;
use bulkhead_types::{Sequence, TraceId};

use crate::bindings::bulkhead::service::types::Request;
use crate::waited::Waited;

/// One request for a service. It is kept until its answer is durable, so that it can be run again.
pub struct Job {
    /// The request.
    pub request: Request,
    /// Its trace.
    pub trace_id: TraceId,
    /// When it must be answered. A job that a worker gets later is not run.
    pub deadline: Instant,
    /// Where the answer goes.
    pub reply: Reply,
    /// It was run before, and its batch was aborted.
    pub again: bool,
    /// The one log line about its failure is written. However it fails after that, there is no second line.
    pub logged: bool,
    /// The key that the client gave the request, if it gave one. All requests with one key have the effects of one request.
    pub idempotency_key: Option<String>,
    /// Gets the time that the job waited in its queue.
    pub waited: Waited,
}

/// Receives the outcome of a job, once.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// How a job ended.
pub type Outcome = Result<Answer, Failure>;

/// What a handler answered, checked.
#[derive(Debug)]
pub struct Answer {
    /// 200 to 599.
    pub status: http::StatusCode,
    /// What the handler gave, without the headers that only the host may set.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The end of the service's event log after it, if it joined a unit of work that was kept: the sequence of an event.
    pub position: Option<Sequence>,
    /// It is the answer that an earlier request with the same idempotency key got.
    pub replayed: bool,
    /// Which version of which service answered: the header `Bulkhead-Version`.
    pub version: http::HeaderValue,
}

/// Why there is no answer from the handler. The fields have what an operator reads; [`crate::Problem`] has what a client reads.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The guest trapped. A whole sentence says how, and why in the guest's own words.
    #[error("{0}")]
    Trap(String),
    /// The guest's answer can't be sent.
    #[error("the handler's response can't be sent: {0}")]
    InvalidResponse(String),
    /// The host could not run it.
    #[error("the host failed: {0}")]
    Host(String),
    /// COMMIT failed, and its outcome is unknown: after a crash it may be durable.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The request's deadline passed.
    #[error("the request's deadline passed")]
    Deadline,
    /// The handler held the writer lease for too long.
    #[error("the handler held the writer lease for longer than limits.lease_hold")]
    LeaseHeld,
    /// The database is full.
    #[error("the database has no room left")]
    StorageFull,
    /// A deferred foreign key, or a statement that rolled the transaction back.
    #[error("the constraint {name:?} was violated")]
    Constraint {
        /// As the database names it; empty for a foreign key.
        name: String,
    },
    /// The batch was aborted, and the handler can't be run again.
    #[error("the batch was aborted")]
    Aborted,
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The same request with this idempotency key took effect, and its answer was not kept.
    #[error("the request took effect before, and its answer was not kept")]
    AnswerNotKept,
    /// The queue is full.
    #[error("the queue is full")]
    QueueFull,
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

impl From<Abort> for Failure {
    fn from(abort: Abort) -> Self {
        match abort {
            Abort::StorageFull => Self::StorageFull,
            Abort::Interrupted => Self::LeaseHeld,
            Abort::RolledBack(constraint) => Self::Constraint { name: constraint.name },
            Abort::Commit(_) => Self::Aborted,
            Abort::Other(reason) => Self::Host(reason),
        }
    }
}
