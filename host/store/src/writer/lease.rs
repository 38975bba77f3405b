//! The writer lease: which thread may write now, and which is next.
//!
//! While a batch is open, the thread that comes first gets the lease, which saves a thread switch. After the batch is committed, the thread
//! that has waited longest gets it. So nobody waits longer than one batch while others pass.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_types::limits::{BATCH_AGE_MAX, BATCH_MEMBERS_MAX};

use super::faults::CommitFaults;
use super::session::Session;
use crate::{Database, StoreError};

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

struct Queue<M> {
    free: Option<Box<Session<M>>>,
    tickets: VecDeque<u64>,
    next_ticket: u64,
}

/// What has become durable since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// The sequence of the last event, if there are new ones.
    pub head: Option<i64>,
    /// Timers were set.
    pub timers: bool,
}

/// Called under the lease when events or timers became durable, before any answer that depends on them is sent. It must be quick.
pub type AfterCommit = Arc<dyn Fn(Happened) + Send + Sync>;

/// The one writer of a service's database. `M` is what is kept of a unit of work until it is durable.
pub struct Writer<M> {
    options: WriterOptions,
    after_commit: AfterCommit,
    queue: Mutex<Queue<M>>,
    freed: Condvar,
    waiting: AtomicUsize,
}

impl<M> Writer<M> {
    /// Opens the writing connection.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub fn open(
        database: Arc<Database>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Arc<Self>, StoreError> {
        Ok(Self::with(Session::open(database)?, options, after_commit))
    }

    /// Creates a writer that replaces this one, with the same options. If SQLite can't open the connection now, the first write tries
    /// again.
    #[must_use]
    pub fn reopened(&self, database: Arc<Database>) -> Arc<Self> {
        Self::with(Session::reopened(database), self.options.clone(), Arc::clone(&self.after_commit))
    }

    fn with(session: Session<M>, options: WriterOptions, after_commit: AfterCommit) -> Arc<Self> {
        let queue = Queue { free: Some(Box::new(session)), tickets: VecDeque::new(), next_ticket: 0 };
        Arc::new(Self {
            options,
            after_commit,
            queue: Mutex::new(queue),
            freed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Waits for the lease until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Busy`] if others hold it until then.
    pub fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<Lease<M>, Busy> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = queue.tickets.is_empty() || queue.free.as_ref().is_some_and(|free| free.batch.is_some());
        if passes && let Some(session) = queue.free.take() {
            return Ok(Lease { writer: Arc::clone(self), session: Some(session) });
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.tickets.push_back(ticket);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let session = loop {
            if queue.tickets.front() == Some(&ticket)
                && let Some(session) = queue.free.take()
            {
                break Some(session);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break None };
            (queue, _) = self.freed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        };
        queue.tickets.retain(|waiting| *waiting != ticket);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // A thread that gave up may have been woken instead of the next one.
        self.freed.notify_all();
        drop(queue);
        session.map(|session| Lease { writer: Arc::clone(self), session: Some(session) }).ok_or(Busy)
    }
}

/// The right to write, which one thread has at a time.
///
/// Invariant: a batch is open without a holder only while somebody waits for the lease. That thread will get the lease and take care of the
/// batch. So the batch is committed or passed on. If a lease is dropped with an open batch (its thread panicked), the batch is rolled back
/// and its members are dropped.
pub struct Lease<M> {
    writer: Arc<Writer<M>>,
    /// Present until the lease is passed on or dropped.
    session: Option<Box<Session<M>>>,
}

impl<M> Lease<M> {
    #[expect(clippy::expect_used, reason = "the session is taken where the lease itself is consumed")]
    pub(super) fn session(&mut self) -> &mut Session<M> {
        self.session.as_mut().expect("a lease has its session until it is dropped")
    }

    /// Reports events and timers that have become durable since the last report, if there are any. If the outcome of an event's COMMIT was
    /// unknown, the event is reported together with the next one.
    pub(super) fn tell(&mut self) {
        let session = self.session();
        let timers = std::mem::take(&mut session.timers);
        let head = (session.head > session.told).then_some(session.head);
        session.told = session.head;
        let notifier = Arc::clone(session.database.notifier());
        if timers || head.is_some() {
            (self.writer.after_commit)(Happened { head, timers });
        }
        if let Some(head) = head {
            notifier.notify(head);
        }
    }

    /// Adds `member` to the batch: [`Self::commit`] returns it. Call this after each unit of work, in order.
    pub fn push(&mut self, member: M) {
        self.session().members.push(member);
    }

    /// The failures that a test plans for its commits.
    pub(super) fn faults(&self) -> &CommitFaults {
        &self.writer.options.faults
    }

    /// Whether the open batch is too old or too large for another unit of work.
    pub fn is_due(&mut self) -> bool {
        let WriterOptions { batch_members, batch_age, .. } = self.writer.options;
        let session = self.session();
        session.batch.as_ref().is_some_and(|batch| batch.opened_at.elapsed() >= batch_age)
            || session.members.len() >= batch_members
    }

    /// Whether the batch should stay open after the unit of work that just ended. It should if the limits allow it, and if the caller has
    /// another unit of work ready (`more`) or others wait for the lease.
    pub fn stays_open(&mut self, more: bool) -> bool {
        let may_share = self.session().aborts.may_share();
        may_share && (more || self.others_wait()) && !self.is_due()
    }

    /// Passes the lease, with the batch as it is, on to a waiting thread. Returns the lease if nobody waits (any more).
    #[must_use = "an open batch that nobody took over is to be committed"]
    pub fn hand_over(mut self) -> Option<Self> {
        let writer = Arc::clone(&self.writer);
        // Under the lock that a waiting thread holds while it gives up.
        let mut queue = writer.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.tickets.is_empty() {
            return Some(self);
        }
        queue.free = self.session.take();
        drop(queue);
        writer.freed.notify_all();
        None
    }

    /// Whether others wait for the lease.
    #[must_use]
    pub fn others_wait(&self) -> bool {
        self.writer.waiting.load(Ordering::Relaxed) > 0
    }
}

impl<M> Drop for Lease<M> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if session.batch.is_some() {
            tracing::error!(members = session.members.len(), "an open batch was given up and is rolled back");
            session.roll_back();
            session.members.clear();
        }
        let mut queue = self.writer.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.free = Some(session);
        let wake = !queue.tickets.is_empty();
        drop(queue);
        if wake {
            // Wakes all of them: only the first in the queue gets the lease, and no more wait than the service has threads that write.
            self.writer.freed.notify_all();
        }
    }
}
