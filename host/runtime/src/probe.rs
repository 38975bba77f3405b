//! The interface for a test harness: it sees what a handler asks of the host, and can make it fail. A host that serves has no probe.

use std::fmt::Display;

use bulkhead_store::{StatementError, Value};

/// What a handler asks of its database.
#[derive(Debug, Clone, Copy)]
pub enum DatabaseCall<'a> {
    /// A statement.
    Statement {
        /// Which function was called: `snapshot.query`, `transaction.query` or `transaction.execute`.
        function: &'static str,
        /// The statement.
        sql: &'a str,
        /// What is bound to it.
        parameters: &'a [Value],
    },
    /// An event.
    Publish {
        /// Its type.
        kind: &'a str,
        /// The entity that it is about.
        subject: &'a str,
        /// JSON.
        data: &'a str,
    },
    /// A timer.
    Schedule {
        /// The type of event that it is.
        kind: &'a str,
        /// The entity that it is about.
        subject: &'a str,
        /// JSON.
        data: &'a str,
        /// When it is due: RFC 3339, UTC.
        due: &'a str,
    },
    /// A timer that is cancelled.
    Cancel {
        /// Its id.
        id: &'a str,
    },
    /// Timers that are cancelled together.
    CancelAll {
        /// The type of event that they are.
        kind: &'a str,
        /// The entity that they are about.
        subject: &'a str,
    },
    /// The data of a subject's events are erased.
    Erase {
        /// The subject.
        subject: &'a str,
    },
    /// An answer is said to be about a subject.
    About {
        /// The subject.
        subject: &'a str,
    },
    /// The kept answers that are about a subject are forgotten.
    ForgetAnswers {
        /// The subject.
        subject: &'a str,
    },
}

/// What a harness is notified of, and asked. `service` is the one whose handler runs.
pub trait Probe: Send + Sync {
    /// A handler is about to ask its database. If this returns an error, the handler gets the error instead of a result, as from a database
    /// that can't do it. The error aborts the unit of work in every case in which the database would have ended the transaction.
    fn before_database(&self, service: &str, call: &DatabaseCall<'_>) -> Option<StatementError>;

    /// What came of it: the rows that were read or changed.
    fn after_database(&self, service: &str, call: &DatabaseCall<'_>, result: Result<u64, &dyn Display>);

    /// A handler is about to call another service. If this returns a reason, the service is unavailable for that reason.
    fn before_call(&self, service: &str, callee: &str) -> Option<String>;

    /// What came of it: the status.
    fn after_call(
        &self,
        service: &str,
        callee: &str,
        request: (&str, &str),
        result: Result<u16, &dyn Display>,
    );

    /// Whether an instance may have more memory, when it is within its limit.
    fn may_grow(&self, service: &str) -> bool;
}
