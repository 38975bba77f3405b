//! What handlers ask of their database, as observers and fault injectors see it.

use bulkhead_store::Value;
use bulkhead_types::Subject;

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
        subject: &'a Subject,
        /// JSON.
        data: &'a str,
    },
    /// A timer.
    Schedule {
        /// The type of event that it is.
        kind: &'a str,
        /// The entity that it is about.
        subject: &'a Subject,
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
        subject: &'a Subject,
    },
    /// The data of a subject's events are erased.
    Erase {
        /// The subject.
        subject: &'a Subject,
    },
    /// An answer is said to be about a subject.
    About {
        /// The subject.
        subject: &'a Subject,
    },
    /// The kept answers that are about a subject are forgotten.
    ForgetAnswers {
        /// The subject.
        subject: &'a Subject,
    },
}
