//! Making a batch durable.
//!
//! A failed COMMIT is ambiguous: the log may hold the batch. Each batch that wrote anything writes its number to a host row;
//! after a failure the database is opened again, and the row tells.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::lease::Lease;
use super::unit::Loss;

/// What became of a batch.
#[derive(Debug)]
pub enum Commit<M> {
    /// It is durable: the answers of these members may leave.
    Durable(Vec<M>),
    /// It is not in the database: these members are to be run again.
    Lost {
        /// The members, in their order.
        members: Vec<M>,
        /// What COMMIT said.
        loss: Loss,
    },
    /// COMMIT failed and the database can't be opened again: nobody can tell.
    Unknown {
        /// The members, in their order.
        members: Vec<M>,
        /// What SQLite said.
        reason: String,
    },
}

/// A failure that a test has a COMMIT meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// The batch is not in the database.
    BeforeDurable,
    /// It is, and COMMIT says that it failed.
    AfterDurable,
}

/// The failures that the next commits of a writer meet, in their order: none, but for a test.
#[derive(Debug, Clone, Default)]
pub struct CommitFaults(Arc<Mutex<VecDeque<CommitFault>>>);

impl CommitFaults {
    /// Has one more commit fail, after those that are to fail already.
    pub fn plan(&self, fault: CommitFault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Has no further commit fail; gives how many were still to.
    pub fn clear(&self) -> usize {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }

    fn next(&self) -> Option<CommitFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl<M> Lease<M> {
    /// Commits the open batch, if there is one.
    pub fn commit(&mut self) -> Commit<M> {
        let session = self.session();
        let members = std::mem::take(&mut session.members);
        if session.batch.is_none() {
            return Commit::Durable(members);
        }
        let number = session.number + 1;
        let wrote = session.was_written();
        let result = self.run_commit(number);
        let session = self.session();
        match result {
            Ok(()) => {
                session.batch = None;
                session.number = if wrote { number } else { session.number };
                self.tell();
                Commit::Durable(members)
            }
            Err(reason) => match session.reopen() {
                Ok(found) => {
                    session.number = found;
                    tracing::warn!(%reason, durable = found == number, "a commit failed");
                    if found == number {
                        self.tell();
                        Commit::Durable(members)
                    } else {
                        session.losses.note();
                        session.timers = false;
                        Commit::Lost { members, loss: Loss::Commit(reason) }
                    }
                }
                Err(error) => {
                    tracing::error!(%reason, %error, "a commit failed, and what became of it can't be told");
                    Commit::Unknown { members, reason }
                }
            },
        }
    }

    fn run_commit(&mut self, number: i64) -> Result<(), String> {
        let fault = self.faults().next();
        let session = self.session();
        match fault {
            None => session.number_and_commit(number),
            Some(CommitFault::BeforeDurable) => Err("disk I/O error (made by the test)".into()),
            Some(CommitFault::AfterDurable) => {
                session.number_and_commit(number)?;
                Err("disk I/O error (made by the test)".into())
            }
        }
    }
}
