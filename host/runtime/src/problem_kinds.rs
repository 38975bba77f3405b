//! The kinds of problem that the host answers with: the status, the code and the title of each. They are nowhere else.
//!
//! What a code means to a client is in `host/server/src/interface/problems.rs`. The SDK has kinds of its own.

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemKind {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
}

impl ProblemKind {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.status
    }

    /// For programs: never changes its meaning.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }
}

const fn kind(status: u16, code: &'static str, title: &'static str) -> ProblemKind {
    ProblemKind { status, code, title }
}

/// `Idempotency-Key` is not a key.
pub const INVALID_IDEMPOTENCY_KEY: ProblemKind =
    kind(400, "invalid-idempotency-key", "The idempotency key is not valid");
/// `Bulkhead-After` is not a position of an event log here, or is ahead of it.
pub const INVALID_POSITION: ProblemKind = kind(400, "invalid-position", "The position is not valid");
/// The request breaks a rule of HTTP.
pub const MALFORMED_REQUEST: ProblemKind = kind(400, "malformed-request", "Malformed request");
/// The token does not count.
pub const INVALID_TOKEN: ProblemKind = kind(401, "invalid-token", "The token is not valid");
/// The client may not do this.
pub const FORBIDDEN: ProblemKind = kind(403, "forbidden", "Forbidden");
/// There is nothing at the path, or no such thing.
pub const NOT_FOUND: ProblemKind = kind(404, "not-found", "Not found");
/// The path has other methods.
pub const METHOD_NOT_ALLOWED: ProblemKind = kind(405, "method-not-allowed", "Method not allowed");
/// The body did not come in time.
pub const REQUEST_TIMEOUT: ProblemKind = kind(408, "request-timeout", "The request took too long");
/// A deploy, a reload, a check or a rebuild runs.
pub const BUSY: ProblemKind = kind(409, "busy", "Something else runs");
/// A constraint of the data refused the change.
pub const CONFLICT: ProblemKind = kind(409, "conflict", "A constraint refused the change");
/// Handlers did not end in time for a switch.
pub const DRAIN_TIMEOUT: ProblemKind = kind(409, "drain-timeout", "Handlers did not end in time");
/// The request took effect before, and its answer was not kept.
pub const IDEMPOTENCY_ANSWER_NOT_KEPT: ProblemKind =
    kind(409, "idempotency-answer-not-kept", "The request took effect before");
/// The event is not a dead letter.
pub const NOT_DEAD: ProblemKind = kind(409, "not-dead", "It is no dead letter");
/// The service can't be rebuilt.
pub const NOT_REBUILDABLE: ProblemKind = kind(409, "not-rebuildable", "It can't be rebuilt");
/// A deploy would let requests wait for too long.
pub const PAUSE_TOO_LONG: ProblemKind = kind(409, "pause-too-long", "Requests would wait for too long");
/// The component to deploy is larger than the host accepts.
pub const COMPONENT_TOO_LARGE: ProblemKind = kind(413, "payload-too-large", "The component is too large");
/// The body is larger than the service accepts.
pub const PAYLOAD_TOO_LARGE: ProblemKind = kind(413, "payload-too-large", "The body is too large");
/// The path is longer than the host accepts.
pub const URI_TOO_LONG: ProblemKind = kind(414, "uri-too-long", "The path is too long");
/// The version can't be deployed.
pub const DEPLOY_REFUSED: ProblemKind = kind(422, "deploy-refused", "The version is not deployed");
/// Another request had this idempotency key.
pub const IDEMPOTENCY_KEY_REUSED: ProblemKind =
    kind(422, "idempotency-key-reused", "The idempotency key was used before");
/// A parameter or the body is wrong.
pub const INVALID: ProblemKind = kind(422, "invalid", "Invalid");
/// The manifest can't be reloaded.
pub const RELOAD_REFUSED: ProblemKind = kind(422, "reload-refused", "The manifest was not reloaded");
/// The headers are larger than the host accepts.
pub const HEADERS_TOO_LARGE: ProblemKind = kind(431, "headers-too-large", "The headers are too large");
/// The host's own code failed.
pub const HOST_FAILED: ProblemKind = kind(500, "internal", "The host failed");
/// The component trapped, its answer can't be sent, or the host could not run it.
pub const SERVICE_FAILED: ProblemKind = kind(500, "internal", "The service failed");
/// The request wants what the host does not do.
pub const NOT_IMPLEMENTED: ProblemKind = kind(501, "not-implemented", "Not implemented");
/// The event that a request waits for is parked.
pub const EVENT_PARKED: ProblemKind = kind(503, "event-parked", "An event is parked");
/// The commit failed or did not end in time, and what became of it is not known.
pub const OUTCOME_UNKNOWN: ProblemKind = kind(503, "outcome-unknown", "The outcome is unknown");
/// Nothing was done: there is no room or time now, the commit was undone, or the service stops. The client may try again.
pub const UNAVAILABLE: ProblemKind = kind(503, "unavailable", "Try again");
/// The deadline passed, or the handler wrote for longer than it may.
pub const DEADLINE_EXCEEDED: ProblemKind = kind(504, "deadline-exceeded", "The deadline passed");
/// The position was not reached in time.
pub const POSITION_TIMEOUT: ProblemKind = kind(504, "position-timeout", "The position was not reached");
/// The database or the disk is full.
pub const STORAGE_FULL: ProblemKind = kind(507, "storage-full", "The service has no room left");
