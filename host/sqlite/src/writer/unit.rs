//! The unit of work: what one handler writes and publishes. It is released into the batch as a whole, or rolled back as a whole.
//!
//! SQLite ends the whole transaction, not the savepoint, when a write is interrupted, on SQLITE_FULL, IOERR and NOMEM, and by `OR ROLLBACK`
//! and `RAISE(ROLLBACK)`. If a guest then ignored the error and continued, it would write, and commit, outside any unit of work. So the
//! transaction is checked before each statement and after each error. Once it is gone, the unit of work is *aborted* and runs nothing more.
//! A unit of work whose statement met a full database or its deadline is aborted too, also if SQLite undid only the statement. In that case
//! its neighbours are kept.

use std::time::{Duration, Instant};

use bulkhead_store::{
    Abort, AppendEvent, Ended, ExecuteResult, NewEvent, PublishError, ResultSet, StatementError, Value,
    check_subject,
};
use bulkhead_types::limits::{ANSWER_SUBJECTS_MAX, LEASE_HOLD_DEFAULT};
use bulkhead_types::{Sequence, Subject};
use rusqlite::ffi;

use super::lease::Lease;
use crate::Database;
use crate::connection::with_reserve;
use crate::error::classify;
use crate::statement::{self, Access};
use crate::{outbox, timeline};

/// An open unit of work: see [`bulkhead_store::UnitOfWork`].
pub(crate) struct UnitOfWork<M> {
    lease: Lease<M>,
    deadline: Instant,
    aborted: Option<Abort>,
    /// The sequence of the last event that this unit published.
    published: Option<Sequence>,
    /// It set a timer.
    timer: bool,
    /// The subjects of the events that it published and of the timers that it set, and those that its handler named.
    about: Vec<Subject>,
    /// How many of them its handler named.
    named: usize,
    /// SQLite's count of changed rows when it began.
    changes_before: u64,
}

impl<M> Lease<M> {
    /// See [`bulkhead_store::Lease::begin`].
    pub(super) fn begin_unit(mut self) -> Result<UnitOfWork<M>, (Self, StatementError)> {
        match self.session().begin_batch() {
            Ok(()) => Ok(UnitOfWork::begin(self)),
            Err(error) => Err((self, error)),
        }
    }
}

impl<M: Send + 'static> bulkhead_store::UnitOfWork<M> for UnitOfWork<M> {
    fn end_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<ResultSet, StatementError> {
        self.check()?;
        let deadline = self.deadline;
        let guarded = self.lease.session().guarded()?;
        let result =
            statement::query(&guarded.connection, &guarded.guard, Access::Write, deadline, sql, parameters);
        self.look(result)
    }

    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<ExecuteResult, StatementError> {
        self.check()?;
        let deadline = self.deadline;
        let guarded = self.lease.session().guarded()?;
        let result = statement::execute(&guarded.connection, &guarded.guard, deadline, sql, parameters);
        self.look(result)
    }

    fn meet(&mut self, error: StatementError) -> StatementError {
        self.aborted.get_or_insert(error.clone().into());
        error
    }

    fn wrote(&mut self) -> bool {
        let before = self.changes_before;
        self.lease.session().guarded().is_ok_and(|guarded| guarded.connection.total_changes() != before)
    }

    fn position(&mut self) -> Sequence {
        let head = self.lease.session().head;
        self.published.unwrap_or(head)
    }

    fn about(&mut self, subject: &Subject) -> Result<(), StatementError> {
        check_subject(subject)?;
        if self.named >= ANSWER_SUBJECTS_MAX {
            return Err(StatementError::InvalidValue(format!(
                "a handler says of at most {ANSWER_SUBJECTS_MAX} subjects that its answer is about them"
            )));
        }
        self.named += 1;
        self.note_subject(subject);
        Ok(())
    }

    fn erase(&mut self, subject: &Subject) -> Result<u64, StatementError> {
        self.as_host(|connection| outbox::erase(connection, subject))
    }

    fn finish(mut self: Box<Self>, keep: bool) -> (Box<dyn bulkhead_store::Lease<M>>, Ended<M>) {
        // One more check: the transaction may have ended without an error that this unit of work saw.
        let _ = self.check();
        let ended = match self.aborted.clone() {
            None => self.leave_savepoint(keep),
            Some(abort) if self.lease.session().is_open() => {
                self.leave_savepoint(false).map(|_| Ended::Failed(abort))
            }
            Some(_) => None,
        };
        let ended = ended.unwrap_or_else(|| {
            let abort = self.aborted.take().unwrap_or_else(|| Abort::Other("the transaction ended".into()));
            let session = self.lease.session();
            session.roll_back();
            let neighbours = std::mem::take(&mut session.members);
            if !neighbours.is_empty() {
                session.aborts.note();
            }
            Ended::Aborted { abort, neighbours }
        });
        (Box::new(self.lease), ended)
    }

    fn time(&mut self) -> Duration {
        self.database().timeline().now()
    }

    fn write_time(&mut self) -> Result<(), StatementError> {
        let row = self.database().timeline().row();
        self.as_host(|connection| timeline::write(connection, row))
    }
}

impl<M: Send + 'static> AppendEvent for UnitOfWork<M> {
    fn append(&mut self, event: &NewEvent<'_>) -> Result<Sequence, PublishError> {
        event.check()?;
        let sequence = self.as_host(|connection| outbox::append(connection, event))?;
        self.published = Some(sequence);
        self.note_subject(event.subject);
        Ok(sequence)
    }
}

impl<M> UnitOfWork<M> {
    fn begin(lease: Lease<M>) -> Self {
        let deadline = Instant::now() + LEASE_HOLD_DEFAULT;
        let mut unit = Self {
            lease,
            deadline,
            aborted: None,
            published: None,
            timer: false,
            about: Vec::new(),
            named: 0,
            changes_before: 0,
        };
        let session = unit.lease.session();
        if let Ok(guarded) = session.guarded() {
            unit.changes_before = guarded.connection.total_changes();
            // This unit of work must not see the rowid of a neighbour's insert.
            set_last_insert_rowid(&guarded.connection, 0);
        }
        let result = session.host("/*bulkhead*/SAVEPOINT unit").and_then(|()| session.restore_quota());
        if let Err(error) = result {
            // Without a savepoint to roll back to, the unit of work must not run. This aborts the batch of its neighbours.
            unit.aborted = Some(error.into());
        }
        unit
    }

    /// Runs the host's own statements in the unit of work. The guest does not see that they inserted anything.
    pub(crate) fn as_host<T>(
        &mut self,
        run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StatementError> {
        self.check()?;
        let connection = &self.lease.session().guarded()?.connection;
        let rowid = connection.last_insert_rowid();
        let result = run(connection).map_err(|error| classify(&error, None));
        set_last_insert_rowid(connection, rowid);
        self.look(result)
    }

    /// Like [`Self::as_host`], with the host's reserve beyond the guests' quota: for rows of events, which must find room when the guest
    /// has none.
    pub(crate) fn as_host_with_reserve<T>(
        &mut self,
        run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StatementError> {
        let session = self.lease.session();
        let storage = session.database.storage();
        session.quota_raised = true;
        self.as_host(|connection| with_reserve(connection, storage, run))
    }

    pub(crate) fn database(&mut self) -> &Database {
        &self.lease.session().database
    }

    /// The secret with which idempotent requests are hashed.
    pub(crate) fn secret(&mut self) -> Vec<u8> {
        self.lease.session().database.secret().to_owned()
    }

    /// A timer was set. [`bulkhead_store::Happened`] reports it if the unit of work is kept.
    pub(crate) fn note_timer(&mut self) {
        self.timer = true;
    }

    /// Like `about`, for a subject that was checked.
    pub(crate) fn note_subject(&mut self, subject: &Subject) {
        if self.about.last().is_none_or(|last| *last != *subject) {
            self.about.push(subject.clone());
        }
    }

    /// The subjects that it is about, as far as they are known by now.
    pub(crate) fn subjects(&self) -> &[Subject] {
        &self.about
    }

    /// Leaves the savepoint. `None` if that failed, and the batch is aborted.
    fn leave_savepoint(&mut self, keep: bool) -> Option<Ended<M>> {
        let (published, timer) = (self.published, self.timer);
        let session = self.lease.session();
        // Deferred keys would fail only at COMMIT, and without a known culprit. They belong to this unit of work: every earlier one left
        // none.
        let dangling = keep && session.guarded().is_ok_and(|guarded| has_deferred_keys(&guarded.connection));
        let left = if keep && !dangling {
            session.host("/*bulkhead*/RELEASE unit")
        } else {
            session
                .host("/*bulkhead*/ROLLBACK TO unit")
                .and_then(|()| session.host("/*bulkhead*/RELEASE unit"))
        };
        match left {
            Err(error) => {
                self.aborted.get_or_insert(error.into());
                None
            }
            Ok(()) if dangling => Some(Ended::ForeignKeys),
            Ok(()) if !keep => Some(Ended::RolledBack),
            Ok(()) => {
                session.head = published.unwrap_or(session.head);
                session.timers |= timer;
                Some(Ended::Kept { position: session.head })
            }
        }
    }

    fn check(&mut self) -> Result<(), StatementError> {
        if self.aborted.is_none() && !self.lease.session().is_open() {
            self.aborted = Some(Abort::Other("the transaction ended".into()));
        }
        match &self.aborted {
            Some(abort) => Err(StatementError::Aborted(abort.to_string())),
            None => Ok(()),
        }
    }

    fn look<T>(&mut self, result: Result<T, StatementError>) -> Result<T, StatementError> {
        if let Err(error) = &result {
            let final_error = matches!(
                error,
                StatementError::StorageFull | StatementError::Interrupted | StatementError::Aborted(_)
            );
            if final_error || !self.lease.session().is_open() {
                self.aborted = Some(error.clone().into());
            }
        }
        result
    }
}

/// Sets the rowid that SQLite returns for the latest insert.
fn set_last_insert_rowid(connection: &rusqlite::Connection, rowid: i64) {
    // SAFETY: the handle is that of an open connection, which the reference keeps alive.
    unsafe { ffi::sqlite3_set_last_insert_rowid(connection.handle(), rowid) }
}

/// Whether foreign keys are unresolved (<https://sqlite.org/c3ref/c_dbstatus_options.html>).
fn has_deferred_keys(connection: &rusqlite::Connection) -> bool {
    let (mut current, mut highest) = (0, 0);
    // SAFETY: the handle is that of an open connection, which the reference keeps alive; the two out-parameters are valid
    // for the call, which keeps neither.
    let status = unsafe {
        ffi::sqlite3_db_status(
            connection.handle(),
            ffi::SQLITE_DBSTATUS_DEFERRED_FKS,
            &raw mut current,
            &raw mut highest,
            0,
        )
    };
    status == ffi::SQLITE_OK && current != 0
}
