//! The unit of work: what one handler writes and publishes, released into the batch whole or rolled back whole.
//!
//! SQLite ends the whole transaction, not the savepoint, when a write is interrupted, on SQLITE_FULL, IOERR and NOMEM, and by
//! `OR ROLLBACK` and `RAISE(ROLLBACK)`. A guest that ignored the error and wrote on would then write, and commit, outside any unit
//! of work. So the transaction is looked at before each statement and after each error: once it is gone the unit is *aborted* and
//! runs nothing more. A unit whose statement met a full database or its deadline is aborted too, where SQLite undid no more
//! than the statement: but then its neighbours stand.

use std::time::Instant;

use bulkhead_types::limits::{ANSWER_SUBJECTS_MAX, LEASE_HOLD_DEFAULT};
use rusqlite::ffi;

use super::abort::Abort;
use super::lease::Lease;
use crate::connection::with_reserve;
use crate::error::classify;
use crate::outbox::{self, NewEvent, check_subject};
use crate::statement::{self, Access};
use crate::{Database, Outcome, PublishError, ResultSet, StatementError, Value};

/// How a unit of work ended.
#[derive(Debug)]
pub enum Ended<M> {
    /// Released into the batch.
    Kept {
        /// The sequence of the last event that it published, or where the log stood.
        position: u64,
    },
    /// Rolled back, as its caller wished.
    RolledBack,
    /// Rolled back, because it left foreign keys that COMMIT would have refused.
    ForeignKeys,
    /// Rolled back, because a statement of its own failed in a way that it can't go on from. Its neighbours stand.
    Failed(Abort),
    /// The whole batch is gone, with the units of work of these neighbours, in their order.
    Aborted {
        /// Why.
        abort: Abort,
        /// The members that the batch had.
        neighbours: Vec<M>,
    },
}

/// An open unit of work.
pub struct UnitOfWork<M> {
    lease: Lease<M>,
    deadline: Instant,
    aborted: Option<Abort>,
    /// The sequence of the last event that this unit published.
    published: Option<i64>,
    /// It set a timer.
    timer: bool,
    /// The subjects of what it published and set, and those that its handler named.
    about: Vec<String>,
    /// How many of those its handler named.
    named: usize,
    /// SQLite's count of changed rows when it began.
    changes_before: u64,
}

impl<M> Lease<M> {
    /// Begins a unit of work: a savepoint in the open batch, or in a new one. See [`UnitOfWork::end_at`].
    ///
    /// # Errors
    ///
    /// Why no batch could be opened; nothing was done, and nothing was lost.
    pub fn begin(mut self) -> Result<UnitOfWork<M>, (Self, StatementError)> {
        match self.session().begin_batch() {
            Ok(()) => Ok(UnitOfWork::begin(self)),
            Err(error) => Err((self, error)),
        }
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
            // That of a neighbour is nothing that this unit may see.
            set_last_insert_rowid(&guarded.connection, 0);
        }
        let result = session.host("/*bulkhead*/SAVEPOINT unit").and_then(|()| session.restore_quota());
        if let Err(error) = result {
            // With nothing to roll back to, the unit must not run: that costs its neighbours the batch.
            unit.aborted = Some(error.into());
        }
        unit
    }

    /// Has statements be interrupted at `deadline`, in place of [`LEASE_HOLD_DEFAULT`] after the beginning.
    pub fn end_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Runs a statement and gives its rows.
    ///
    /// # Errors
    ///
    /// Why the statement failed; [`StatementError::Aborted`] once the unit of work is gone.
    pub fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<ResultSet, StatementError> {
        self.check()?;
        let deadline = self.deadline;
        let guarded = self.lease.session().guarded()?;
        let result =
            statement::query(&guarded.connection, &guarded.guard, Access::Write, deadline, sql, parameters);
        self.look(result)
    }

    /// Runs a statement and drops its rows.
    ///
    /// # Errors
    ///
    /// As [`Self::query`].
    pub fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<Outcome, StatementError> {
        self.check()?;
        let deadline = self.deadline;
        let guarded = self.lease.session().guarded()?;
        let result = statement::execute(&guarded.connection, &guarded.guard, deadline, sql, parameters);
        self.look(result)
    }

    /// Runs statements of the host's own in the unit of work. To the guest nothing was inserted by them.
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

    /// The same, with the host's reserve beyond the guests' quota: for rows of events, which must find room when the guest has none.
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

    /// What idempotent requests are hashed with.
    pub(crate) fn secret(&mut self) -> Vec<u8> {
        self.lease.session().database.secret().to_owned()
    }

    /// Has the unit of work meet `error`, as if a statement of its own had, and so be aborted: for a test of what becomes of it.
    pub fn meet(&mut self, error: StatementError) -> StatementError {
        self.aborted.get_or_insert(error.clone().into());
        error
    }

    /// A timer was set, which [`super::Happened`] is to tell of if the unit of work is kept.
    pub(crate) fn note_timer(&mut self) {
        self.timer = true;
    }

    /// Whether it has written anything: a row, an event, a timer.
    pub fn wrote(&mut self) -> bool {
        let before = self.changes_before;
        self.lease.session().guarded().is_ok_and(|guarded| guarded.connection.total_changes() != before)
    }

    /// Where the log stands, if nothing else is published.
    pub fn position(&mut self) -> u64 {
        let head = self.lease.session().head;
        self.published.unwrap_or(head).unsigned_abs()
    }

    /// Appends an event to the log.
    ///
    /// # Errors
    ///
    /// When the event can't be, or the row could not be written.
    pub fn publish(&mut self, event: &NewEvent<'_>) -> Result<(), PublishError> {
        event.check()?;
        let sequence = self.as_host(|connection| outbox::append(connection, event))?;
        self.published = Some(sequence);
        self.note_subject(event.subject);
        Ok(())
    }

    /// Says that it is about this subject: see [`Self::forget_answers`].
    ///
    /// # Errors
    ///
    /// For a text that is no subject, and for more of them than one unit of work may name; the unit of work stands.
    pub fn about(&mut self, subject: &str) -> Result<(), StatementError> {
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

    /// The same of a subject that was checked.
    pub(crate) fn note_subject(&mut self, subject: &str) {
        if self.about.last().is_none_or(|last| last != subject) {
            self.about.push(subject.to_owned());
        }
    }

    /// What it is about, as far as that is known by now.
    pub(crate) fn subjects(&self) -> &[String] {
        &self.about
    }

    /// Erases the data of every event of `subject` that is in the log, and gives how many had any.
    ///
    /// # Errors
    ///
    /// When the rows could not be written.
    pub fn erase(&mut self, subject: &str) -> Result<u64, StatementError> {
        self.as_host(|connection| outbox::erase(connection, subject))
    }

    /// Ends it: released into the batch when `keep`, else rolled back.
    pub fn finish(mut self, keep: bool) -> (Lease<M>, Ended<M>) {
        // One more look: the transaction may have ended without an error that this unit saw.
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
        (self.lease, ended)
    }

    /// `None` when that failed, and the batch is aborted.
    fn leave_savepoint(&mut self, keep: bool) -> Option<Ended<M>> {
        let (published, timer) = (self.published, self.timer);
        let session = self.lease.session();
        // Deferred keys would fail only at COMMIT, and with no culprit. They are those of this unit of work: every earlier one
        // left none.
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
                Some(Ended::Kept { position: session.head.unsigned_abs() })
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

/// Sets what SQLite gives as the rowid of the newest insert.
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
