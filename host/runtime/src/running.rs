//! The guest code that runs now: which handler it is, and what it has done and said so far.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_types::limits::{PANIC_MESSAGE_BYTES_MAX, PANIC_PLACE_BYTES_MAX, STATEMENT_LOGGED_BYTES_MAX};
use bulkhead_types::{Sequence, TraceId, own_words};

use crate::bindings::bulkhead::service::types::Principal;
use crate::component_info::ComponentInfo;
use crate::database_call::DatabaseCall;
use crate::job::Failure;

/// The handler that runs now.
pub(crate) struct Running {
    /// It is not a handler: a component is asked what it is, or an instance starts.
    pub(crate) starting: bool,
    /// The component that runs; none while a component is loaded.
    pub(crate) component: Option<Arc<ComponentInfo>>,
    pub(crate) handler: Handler,
    /// The trace of its request or event.
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) principal: Option<Principal>,
    pub(crate) peer: String,
    /// If this is the handler of one of the service's own timers, the timer's sequence.
    pub(crate) timer: Option<Sequence>,
    pub(crate) deadline: Instant,
    /// Until when the lease may be held, once it is held.
    pub(crate) lease_until: Option<Instant>,
    pub(crate) joined: bool,
    pub(crate) calls: Calls,
    /// It called another service while it was run again under the lease.
    pub(crate) called_in_recovery: bool,
    pub(crate) log_lines: u32,
    pub(crate) began: Instant,
    /// What the guest said about the trap in which it is about to end.
    pub(crate) panic: Option<Panic>,
    /// It asked for more memory than it may have.
    pub(crate) memory_refused: bool,
    /// The last database call that failed.
    pub(crate) failed_call: Option<FailedCall>,
    /// The guest's last line of the level `error`.
    pub(crate) last_error: Option<String>,
}

/// Which handler it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handler {
    /// None: a component is asked what it is, or an instance starts.
    None,
    /// The handler of a request.
    Request {
        method: String,
        /// In its normal form. It is reported as the template that it falls under.
        path: String,
        /// The route of the manifest.
        route: String,
    },
    /// The handler of an event.
    Event {
        /// Its type.
        kind: String,
    },
}

impl std::fmt::Display for Handler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => write!(formatter, "the start"),
            // The route is in another field of the same log line.
            Self::Request { .. } => write!(formatter, "the request"),
            Self::Event { kind } => write!(formatter, "the event {kind}"),
        }
    }
}

impl Running {
    /// Guest code of a component, until `deadline`.
    pub(crate) fn of(component: &Arc<ComponentInfo>, deadline: Instant) -> Self {
        Self { component: Some(Arc::clone(component)), ..Self::starting(deadline) }
    }

    /// Guest code that runs for no request, until `deadline`. It has no database and can't call other services.
    pub(crate) fn starting(deadline: Instant) -> Self {
        Self {
            starting: true,
            component: None,
            handler: Handler::None,
            trace_id: None,
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

/// What calls a handler made to other services. This decides whether it can be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Calls {
    /// None: it can be run again under the lease.
    #[default]
    None,
    /// GET, HEAD and OPTIONS: it can be run again, but not under the lease.
    Reading,
    /// Other methods: it can't be run again.
    Effective,
}

impl Calls {
    /// What the client gets if a handler made these calls, and its batch was aborted. What another service did by then stands. So the
    /// answer does not say that nothing was done, and does not ask the client to try again.
    pub(crate) fn aborted(self) -> Failure {
        match self {
            Self::None | Self::Reading => Failure::Aborted,
            Self::Effective => Failure::OutcomeUnknown(
                "the batch was aborted after the handler had called another service, whose effect stands"
                    .to_owned(),
            ),
        }
    }
}

/// Why a guest panicked, as it reported to the host before it trapped (`log.panicked`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic {
    message: String,
    place: String,
}

impl Panic {
    pub(crate) fn new(message: &str, place: &str) -> Self {
        let message = own_words(message, PANIC_MESSAGE_BYTES_MAX);
        Self { message, place: own_words(place, PANIC_PLACE_BYTES_MAX) }
    }
}

impl Display for Panic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = if self.message.is_empty() { "it does not say why" } else { self.message.as_str() };
        write!(formatter, "{message}")?;
        if self.place.is_empty() { Ok(()) } else { write!(formatter, " ({})", self.place) }
    }
}

/// A database call of a handler that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedCall {
    /// The statement without its values, or the type of the event that was not written.
    what: String,
    error: String,
    /// Measured from the handler's beginning.
    after: Duration,
}

impl FailedCall {
    pub(crate) fn new(call: &DatabaseCall<'_>, error: &dyn Display, after: Duration) -> Self {
        let what = match call {
            DatabaseCall::Statement { sql, .. } => {
                // No more of it than can be reported: a statement may have 100,000 bytes.
                let words = sql.split_whitespace().take(STATEMENT_LOGGED_BYTES_MAX / 2);
                words.collect::<Vec<_>>().join(" ")
            }
            DatabaseCall::Publish { kind, .. } => format!("publish {kind}"),
            DatabaseCall::Schedule { kind, .. } => format!("schedule {kind}"),
            DatabaseCall::Cancel { .. } => "cancel a timer".to_owned(),
            DatabaseCall::CancelAll { kind, .. } => format!("cancel all timers of the type {kind}"),
            DatabaseCall::Erase { .. } => "erase the events of a subject".to_owned(),
            DatabaseCall::About { .. } => "say whom an answer is about".to_owned(),
            DatabaseCall::ForgetAnswers { .. } => "forget the answers about a subject".to_owned(),
        };
        let bounded = |text: &str| own_words(text, STATEMENT_LOGGED_BYTES_MAX);
        Self { what: bounded(&what), error: bounded(&error.to_string()), after }
    }
}

impl Display for FailedCall {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({}, after {} ms)", self.what, self.error, self.after.as_millis())
    }
}

/// A trap that the host causes: the guest's time is up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Expired(pub(crate) Failure);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_is_logged_on_one_line_without_its_values() {
        let parameters = [bulkhead_store::Value::Text("secret".to_owned())];
        let sql = "SELECT name\n   FROM note WHERE id = ?1";
        let call = DatabaseCall::Statement { function: "snapshot.query", sql, parameters: &parameters };
        let logged = FailedCall::new(&call, &"no such column: name", Duration::ZERO).to_string();
        assert_eq!(logged, "SELECT name FROM note WHERE id = ?1 (no such column: name, after 0 ms)");
        let long = format!("SELECT {}", "1, ".repeat(30_000));
        let call = DatabaseCall::Statement { function: "snapshot.query", sql: &long, parameters: &[] };
        assert!(
            FailedCall::new(&call, &"too long", Duration::ZERO).to_string().len()
                < 2 * STATEMENT_LOGGED_BYTES_MAX
        );
    }

    #[test]
    fn panic_is_reported_with_its_location() {
        assert_eq!(Panic::new("no\nlines", "src/lib.rs:7:5").to_string(), "no\\nlines (src/lib.rs:7:5)");
        assert_eq!(Panic::new("", "").to_string(), "it does not say why");
    }
}
