//! Problem documents (RFC 9457): the one mapping from what went wrong to what a client reads.

use bulkhead_types::TraceId;
use serde::Serialize;

use crate::job::Failure;
use crate::problem_kinds::{self, ProblemKind};

/// Seconds after which a client may try again what was refused because there was no room.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What a client reads. `code` is stable, `detail` is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// For programs: never changes its meaning.
    pub code: &'static str,
    /// The same for every occurrence.
    pub title: &'static str,
    /// This occurrence, and what to do.
    pub detail: String,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem after which the client should not try again.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let ProblemKind { status, code, title } = kind;
        Self { status, code, title, detail: detail.into(), retry_after: None }
    }

    /// 503: there is no room or no time at the moment.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let problem = Self::new(problem_kinds::UNAVAILABLE, detail);
        Self { retry_after: Some(RETRY_AFTER_SECONDS), ..problem }
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self, trace_id: TraceId) -> Vec<u8> {
        let document = Document {
            kind: format!("/.well-known/bulkhead/problems#{}", self.code),
            title: self.title,
            status: self.status,
            detail: &self.detail,
            code: self.code,
            trace_id,
        };
        // A document of strings and a number always has a JSON form.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// The members in the order of the standard, then Bulkhead's own.
#[derive(Serialize)]
struct Document<'p> {
    #[serde(rename = "type")]
    kind: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    code: &'p str,
    trace_id: TraceId,
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Trap(_) | Failure::InvalidResponse(_) | Failure::Host(_) => Self::new(
                problem_kinds::SERVICE_FAILED,
                "the service failed while it handled this request; nothing that it wrote was kept",
            ),
            // Without `Retry-After`: a client that follows it would repeat the request, and have its effects twice.
            Failure::OutcomeUnknown(_) => Self::new(
                problem_kinds::OUTCOME_UNKNOWN,
                "the commit failed or did not end in time, and whether the change was made is not known; repeat the request with the same \
                 Idempotency-Key, or look whether the change is there before you repeat it without one",
            ),
            Failure::Deadline => Self::new(
                problem_kinds::DEADLINE_EXCEEDED,
                "the service did not finish in time; nothing that it wrote was kept",
            ),
            Failure::LeaseHeld => Self::new(
                problem_kinds::DEADLINE_EXCEEDED,
                "the service wrote for longer than it may; nothing that it wrote was kept",
            ),
            Failure::StorageFull => {
                Self::new(problem_kinds::STORAGE_FULL, "the service's database is full; nothing was written")
            }
            Failure::Constraint { name } => Self::new(
                problem_kinds::CONFLICT,
                if name.is_empty() {
                    "a foreign key points to what is not there; nothing was written".to_owned()
                } else {
                    format!("the constraint {name} refused it; nothing was written")
                },
            ),
            Failure::KeyReused => Self::new(
                problem_kinds::IDEMPOTENCY_KEY_REUSED,
                "another request was made with this Idempotency-Key; give each request a key of its own, and repeat one unchanged",
            ),
            Failure::AnswerNotKept => Self::new(
                problem_kinds::IDEMPOTENCY_ANSWER_NOT_KEPT,
                "the same request with this Idempotency-Key took effect, and its answer, which nobody may keep, can't be given again; \
                 look at what is there, or do it once more with another key",
            ),
            Failure::Aborted => Self::unavailable("the change could not be committed and was not made"),
            Failure::QueueFull => Self::unavailable("the service has as many requests waiting as it takes"),
            Failure::Stopping => Self::unavailable("the service is stopping or restarting; nothing was done"),
        }
    }
}
