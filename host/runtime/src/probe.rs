//! The seam for a test harness: what it sees of what a handler asks of the host, and what it has fail. A host that serves has none.

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

/// What a harness is told, and asked. `service` is the one whose handler runs.
pub trait Probe: Send + Sync {
    /// A handler is about to ask its database. An error is what it gets in the place of what it asks for, as from a database that can't:
    /// a unit of work is aborted by it wherever SQLite would have ended the transaction.
    fn before_database(&self, service: &str, call: &DatabaseCall<'_>) -> Option<StatementError>;

    /// What came of it: the rows that were read or changed.
    fn after_database(&self, service: &str, call: &DatabaseCall<'_>, result: Result<u64, &dyn Display>);

    /// A handler is about to call another service. A reason is why that is not to be had.
    fn before_call(&self, service: &str, callee: &str) -> Option<String>;

    /// What came of it: the status.
    fn after_call(
        &self,
        service: &str,
        callee: &str,
        request: (&str, &str),
        result: Result<u16, &dyn Display>,
    );

    /// Whether an instance may have more memory, where it is within its limit.
    fn may_grow(&self, service: &str) -> bool;
}
