//! The writer lease: which thread may write now, and which is next.
//!
//! While a batch is open, the thread that comes first gets the lease, which saves a thread switch. After the batch is committed, the thread
//! that has waited longest gets it. So nobody waits longer than one batch while others pass.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use bulkhead_store::{
    AfterCommit, Busy, Commit, CommitFaults, Happened, NotBegun, StoreError, WriterOptions,
};

use super::session::Session;
use crate::Database;

struct Queue<M> {
    free: Option<Box<Session<M>>>,
    tickets: VecDeque<u64>,
    next_ticket: u64,
}

/// The one writer: see [`bulkhead_store::Writer`].
pub(crate) struct Writer<M> {
    shared: Arc<Shared<M>>,
    database: Arc<Database>,
}

/// What the writer and its lease know.
struct Shared<M> {
    options: WriterOptions,
    after_commit: AfterCommit,
    queue: Mutex<Queue<M>>,
    freed: Condvar,
    waiting: AtomicUsize,
}

impl<M: Send + 'static> Writer<M> {
    /// Opens the writing connection.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub(crate) fn open(
        database: Arc<Database>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Result<Arc<Self>, StoreError> {
        let session = Session::open(Arc::clone(&database))?;
        Ok(Self::with(database, session, options, after_commit))
    }

    fn with(
        database: Arc<Database>,
        session: Session<M>,
        options: WriterOptions,
        after_commit: AfterCommit,
    ) -> Arc<Self> {
        let queue = Queue { free: Some(Box::new(session)), tickets: VecDeque::new(), next_ticket: 0 };
        let shared = Shared {
            options,
            after_commit,
            queue: Mutex::new(queue),
            freed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        };
        Arc::new(Self { shared: Arc::new(shared), database })
    }

    /// See [`bulkhead_store::Writer::acquire`].
    pub(super) fn lease(&self, deadline: Instant) -> Result<Lease<M>, Busy> {
        let shared = &self.shared;
        let lease = |session| Lease { shared: Arc::clone(shared), session: Some(session) };
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = queue.tickets.is_empty() || queue.free.as_ref().is_some_and(|free| free.batch.is_some());
        if passes && let Some(session) = queue.free.take() {
            return Ok(lease(session));
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.tickets.push_back(ticket);
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        let session = loop {
            if queue.tickets.front() == Some(&ticket)
                && let Some(session) = queue.free.take()
            {
                break Some(session);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break None };
            (queue, _) = shared.freed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        };
        queue.tickets.retain(|waiting| *waiting != ticket);
        shared.waiting.fetch_sub(1, Ordering::Relaxed);
        // A thread that gave up may have been woken instead of the next one.
        shared.freed.notify_all();
        drop(queue);
        session.map(lease).ok_or(Busy)
    }
}

impl<M: Send + 'static> bulkhead_store::Writer<M> for Writer<M> {
    fn reopened(&self) -> Arc<dyn bulkhead_store::Writer<M>> {
        let database = Arc::clone(&self.database);
        let session = Session::reopened(Arc::clone(&database));
        Self::with(database, session, self.shared.options.clone(), Arc::clone(&self.shared.after_commit))
    }

    fn acquire(&self, deadline: Instant) -> Result<Box<dyn bulkhead_store::Lease<M>>, Busy> {
        Ok(Box::new(self.lease(deadline)?))
    }
}

/// The lease: see [`bulkhead_store::Lease`], also for its invariant.
pub(super) struct Lease<M> {
    shared: Arc<Shared<M>>,
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
    pub(super) fn notify_commit(&mut self) {
        let session = self.session();
        let timers = std::mem::take(&mut session.timers);
        let head = (session.head > session.notified_head).then_some(session.head);
        session.notified_head = session.head;
        let notifier = Arc::clone(session.database.notifier());
        if timers || head.is_some() {
            (self.shared.after_commit)(Happened { head, timers });
        }
        if let Some(head) = head {
            notifier.notify(head);
        }
    }

    /// The failures that a test plans for its commits.
    pub(super) fn faults(&self) -> &CommitFaults {
        &self.shared.options.faults
    }
}

impl<M: Send + 'static> bulkhead_store::Lease<M> for Lease<M> {
    fn begin(self: Box<Self>) -> Result<Box<dyn bulkhead_store::UnitOfWork<M>>, NotBegun<M>> {
        match self.begin_unit() {
            Ok(unit) => Ok(Box::new(unit)),
            Err((lease, error)) => Err((Box::new(lease), error)),
        }
    }

    fn push(&mut self, member: M) {
        self.session().members.push(member);
    }

    fn is_due(&mut self) -> bool {
        let WriterOptions { batch_members, batch_age, .. } = self.shared.options;
        let session = self.session();
        session.batch.as_ref().is_some_and(|batch| batch.opened_at.elapsed() >= batch_age)
            || session.members.len() >= batch_members
    }

    fn stays_open(&mut self, more: bool) -> bool {
        let may_share = self.session().aborts.may_share();
        may_share && (more || self.others_wait()) && !self.is_due()
    }

    fn pass_on(mut self: Box<Self>) -> Option<Box<dyn bulkhead_store::Lease<M>>> {
        let shared = Arc::clone(&self.shared);
        // Under the lock that a waiting thread holds while it gives up.
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.tickets.is_empty() {
            return Some(self);
        }
        queue.free = self.session.take();
        drop(queue);
        shared.freed.notify_all();
        None
    }

    fn others_wait(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > 0
    }

    fn commit(&mut self) -> Commit<M> {
        self.commit_batch()
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
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.free = Some(session);
        let wake = !queue.tickets.is_empty();
        drop(queue);
        if wake {
            // Wakes all of them: only the first in the queue gets the lease, and no more wait than the service has threads that write.
            self.shared.freed.notify_all();
        }
    }
}
