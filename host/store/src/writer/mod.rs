//! The one writer of a service: its lease, the unit of work, and what becomes of an aborted batch.
//!
//! ```text
//! Writer ──acquire──► Lease ──begin──► UnitOfWork ──finish──► Lease, and how it ended
//!                       │ push (the member's answer waits)          │
//!                       ├──────── commit ──► members, durable       │ aborted: the neighbours
//!                       └──────── hand over, with the batch open    └──► recover
//! ```
//!
//! A *batch* is one transaction of the database, and a *unit of work* is a part of it that can be undone alone. The engine decides how many
//! units of work share a batch ([`Lease::stays_open`]): an engine without group commit has batches of one. A *member* is what the caller
//! keeps of a unit of work until the batch is durable. The holder of the lease makes sure that the batch gets committed: it commits the
//! batch itself, or passes the lease on to a waiting thread.

mod abort;
mod faults;
mod recover;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_types::limits::{BATCH_AGE_MAX, BATCH_MEMBERS_MAX};

pub use self::abort::Abort;
pub use self::faults::{CommitFault, CommitFaults};
pub use self::recover::{Fate, Recovered, recover};
use crate::{
    AppendEvent, ChangeReplicas, ExecuteResult, Inbox, KeepAnswers, ResultSet, SetTimers, StatementError,
    Value,
};
use bulkhead_types::{Sequence, Subject};

/// How large and how old a batch may get.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The maximum number of members.
    pub batch_members: usize,
    /// The time after which no further unit of work joins.
    pub batch_age: Duration,
    /// The failures that a test plans for its commits.
    pub faults: CommitFaults,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { batch_members: BATCH_MEMBERS_MAX, batch_age: BATCH_AGE_MAX, faults: CommitFaults::default() }
    }
}

/// The lease was not available before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the writer lease was not to be had before the deadline")]
pub struct Busy;

/// What has become durable since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// The sequence of the last event, if there are new ones.
    pub head: Option<Sequence>,
    /// Timers were set.
    pub timers: bool,
}

/// Called under the lease when events or timers became durable, before any answer that depends on them is sent. It must be quick.
pub type AfterCommit = Arc<dyn Fn(Happened) + Send + Sync>;

/// What became of a batch.
#[derive(Debug)]
pub enum Commit<M> {
    /// It is durable: the answers of these members may be sent.
    Durable(Vec<M>),
    /// It is not in the database, and never will be: these members must be run again.
    Aborted {
        /// The members, in order.
        members: Vec<M>,
        /// The error of COMMIT.
        abort: Abort,
    },
    /// COMMIT failed, and so did the attempt to make its outcome final: after a crash the batch may be in the database.
    Unknown {
        /// The members, in order.
        members: Vec<M>,
        /// The database's message.
        reason: String,
    },
}

/// How a unit of work ended.
#[derive(Debug)]
pub enum Ended<M> {
    /// Released into the batch.
    Kept {
        /// The sequence of the last event that it published; if it published none, the position of the event log.
        position: Sequence,
    },
    /// Rolled back, as its caller requested.
    RolledBack,
    /// Rolled back, because it left foreign keys that COMMIT would have refused.
    ForeignKeys,
    /// Rolled back, because one of its statements failed in a way from which it can't continue. Its neighbours are kept.
    Failed(Abort),
    /// The whole batch was rolled back, including the units of work of these neighbours, in order.
    Aborted {
        /// Why.
        abort: Abort,
        /// The members that the batch had.
        neighbours: Vec<M>,
    },
}

/// The one writer of a service's database. `M` is what is kept of a unit of work until it is durable.
pub trait Writer<M>: Send + Sync {
    /// Creates a writer that replaces this one, with the same options. If the database can't be opened now, the first write tries again. Nobody may
    /// use this one any more.
    #[must_use]
    fn reopened(&self) -> Arc<dyn Writer<M>>;

    /// Waits for the lease until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Busy`] if others hold it until then.
    fn acquire(&self, deadline: Instant) -> Result<Box<dyn Lease<M>>, Busy>;
}

/// Why no unit of work was begun, with the lease.
pub type NotBegun<M> = (Box<dyn Lease<M>>, StatementError);

/// The right to write. One thread at a time has it for the batch that is open.
///
/// Invariant: a batch is open without a holder only while somebody waits for the lease. That thread will get the lease and take care of the
/// batch. So the batch is committed or passed on. If a lease is dropped with an open batch (its thread panicked), the batch is rolled back
/// and its members are dropped.
pub trait Lease<M>: Send {
    /// Begins a unit of work: in the open batch, or in a new one. See [`UnitOfWork::end_at`].
    ///
    /// # Errors
    ///
    /// Why no batch could be opened. Nothing was done, and nothing was rolled back.
    fn begin(self: Box<Self>) -> Result<Box<dyn UnitOfWork<M>>, NotBegun<M>>;

    /// Adds `member` to the batch: [`Self::commit`] returns it. Call this after each unit of work, in order.
    fn push(&mut self, member: M);

    /// Whether the open batch is too old or too large for another unit of work. An engine without group commit answers true once it has a
    /// member.
    fn is_due(&mut self) -> bool;

    /// Whether the batch stays open after the unit of work that just ended. It may if the caller has another unit of work ready (`more`) or
    /// others wait for the lease. An engine without group commit always answers false.
    fn stays_open(&mut self, more: bool) -> bool;

    /// Passes the lease, with the batch as it is, on to a waiting thread. Returns the lease if nobody waits (any more).
    #[must_use = "an open batch that nobody took over is to be committed"]
    fn pass_on(self: Box<Self>) -> Option<Box<dyn Lease<M>>>;

    /// Whether others wait for the lease.
    #[must_use]
    fn others_wait(&self) -> bool;

    /// Commits the open batch, if there is one.
    fn commit(&mut self) -> Commit<M>;
}

/// An open unit of work.
pub trait UnitOfWork<M>: AppendEvent + Inbox + SetTimers + KeepAnswers + ChangeReplicas + Send {
    /// Interrupts statements at `deadline`, instead of [`bulkhead_types::limits::LEASE_HOLD_DEFAULT`] after the beginning.
    fn end_at(&mut self, deadline: Instant);

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// Why the statement failed; [`StatementError::Aborted`] once the unit of work is aborted.
    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<ResultSet, StatementError>;

    /// Runs a statement and drops its rows.
    ///
    /// # Errors
    ///
    /// As [`Self::query`].
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<ExecuteResult, StatementError>;

    /// Aborts the unit of work, as if one of its statements had failed with `error`: for a test of what follows.
    fn meet(&mut self, error: StatementError) -> StatementError;

    /// Whether it has written anything: a row, an event, a timer.
    fn wrote(&mut self) -> bool;

    /// The position of the event log, if nothing else is published.
    fn position(&mut self) -> Sequence;

    /// Records that the unit of work is about this subject: see [`KeepAnswers::forget_answers`].
    ///
    /// # Errors
    ///
    /// For a text that is not a subject, and for more subjects than one unit of work may name. The unit of work goes on.
    fn about(&mut self, subject: &Subject) -> Result<(), StatementError>;

    /// Erases the data of every event of `subject` in the event log, and returns how many had data.
    ///
    /// # Errors
    ///
    /// When the rows could not be written.
    fn erase(&mut self, subject: &Subject) -> Result<u64, StatementError>;

    /// Ends the unit of work: releases it into the batch if `keep`, otherwise rolls it back.
    fn finish(self: Box<Self>, keep: bool) -> (Box<dyn Lease<M>>, Ended<M>);

    /// The time by which delays and ages are measured.
    fn time(&mut self) -> Duration;

    /// Records the time. Every batch that writes anything records it too.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn write_time(&mut self) -> Result<(), StatementError>;
}
