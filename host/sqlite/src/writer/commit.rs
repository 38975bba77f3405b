//! Makes a batch durable.
//!
//! A failed COMMIT is ambiguous: the WAL may have the batch. Each batch that wrote anything writes its number to a host row. After a
//! failure the database is opened again, and this row shows whether the batch is there. That alone is not final: a batch that is not there
//! may be back after a crash.
//!
//! Invariant: members are reported as undone, or run again, only after a later commit has succeeded (`settle.rs`). Until then the outcome
//! is unknown, and is reported as unknown.

use bulkhead_store::{Abort, Commit, CommitFault};

use super::lease::Lease;
use super::session::CommitFailure;

impl<M> Lease<M> {
    /// See [`bulkhead_store::Lease::commit`].
    pub(super) fn commit_batch(&mut self) -> Commit<M> {
        let session = self.session();
        let members = std::mem::take(&mut session.members);
        if session.batch.is_none() {
            return Commit::Durable(members);
        }
        let number = session.number + 1;
        let wrote = session.was_written();
        let (result, settles) = self.run_commit(number);
        let session = self.session();
        session.number = if wrote { number } else { session.number };
        let reason = match result {
            Ok(()) => {
                session.batch = None;
                self.notify_commit();
                return Commit::Durable(members);
            }
            Err(CommitFailure::Undone(abort)) => {
                tracing::warn!(%abort, durable = false, "a commit failed");
                session.close();
                return self.aborted(members, abort);
            }
            // Nothing was written that could come back.
            Err(CommitFailure::Ambiguous(reason)) if !wrote => {
                session.close();
                return self.aborted(members, Abort::Commit(reason));
            }
            Err(CommitFailure::Ambiguous(reason)) => reason,
        };
        let settled = if settles {
            session.settle()
        } else {
            session.leave_unsettled();
            Err(CommitFault::MESSAGE.to_owned())
        };
        match settled {
            Ok(durable) => {
                tracing::warn!(reason, durable, "a commit failed");
                if durable {
                    self.notify_commit();
                    Commit::Durable(members)
                } else {
                    self.aborted(members, Abort::Commit(reason))
                }
            }
            Err(error) => {
                tracing::error!(reason, error, "a commit failed, and what became of it is unknown");
                Commit::Unknown { members, reason }
            }
        }
    }

    fn aborted(&mut self, members: Vec<M>, abort: Abort) -> Commit<M> {
        let session = self.session();
        session.aborts.note();
        session.timers = false;
        Commit::Aborted { members, abort }
    }

    /// Commits, or fails as a test has planned. Also returns whether the outcome of a failure is to be found out.
    fn run_commit(&mut self, number: i64) -> (Result<(), CommitFailure>, bool) {
        let fault = self.faults().next();
        let session = self.session();
        let failed = || Err(CommitFailure::Ambiguous(CommitFault::MESSAGE.to_owned()));
        match fault {
            None => (session.number_and_commit(number), true),
            Some(CommitFault::BeforeDurable) => (failed(), true),
            Some(CommitFault::AfterDurable) => {
                (session.number_and_commit(number).and_then(|()| failed()), true)
            }
            Some(CommitFault::Unknown) => (failed(), false),
        }
    }
}
