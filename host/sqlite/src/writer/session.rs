//! What the holder of the lease has: the connection, and the batch that is open on it.

use std::sync::Arc;
use std::time::Instant;

use bulkhead_store::{Abort, StatementError, StoreError};
use bulkhead_types::Sequence;
use bulkhead_types::limits::{BATCH_ABORT_WINDOW, BATCH_ABORTS_MAX};
use rusqlite::Connection;

use super::crash::{self, Moment};
use crate::connection::{Guarded, set_quota};
use crate::error::{classify, sqlite_message, store_error};
use crate::{Database, outbox, settle};

/// An open transaction.
pub(super) struct Batch {
    pub(super) opened_at: Instant,
    /// SQLite's count of changed rows when the batch was opened. It shows whether anything was written since.
    pub(super) changes_before: u64,
}

pub(super) struct Session<M> {
    pub(super) database: Arc<Database>,
    /// `None` if a COMMIT failed and the database could not be opened again.
    guarded: Option<Guarded>,
    pub(super) batch: Option<Batch>,
    /// The members whose units of work ended in the open batch, in order. Empty when no batch is open.
    pub(super) members: Vec<M>,
    /// The bytes that guests may fill, as set on the connection.
    storage: u64,
    /// The host has used its reserve since the quota was set. SQLite sets no quota below the current size of a database, and that size is
    /// smaller after a unit of work is rolled back. So the guests' quota is set again before the next one begins.
    pub(super) quota_raised: bool,
    /// The number of the last batch whose commit was tried. No number is used twice: what a failed COMMIT has left in the WAL must not be
    /// taken for a later batch.
    pub(super) number: i64,
    /// The COMMIT of the last batch failed, and its outcome is not final.
    unsettled: bool,
    /// The sequence of the last event that is durable or in the open batch.
    pub(super) head: Sequence,
    /// The last sequence that was reported to `after_commit`.
    pub(super) notified_head: Sequence,
    /// Timers were set that were not reported to `after_commit` yet.
    pub(super) timers: bool,
    pub(super) aborts: Aborts,
}

impl<M> Session<M> {
    pub(super) fn open(database: Arc<Database>) -> Result<Self, StoreError> {
        let mut session = Self::closed(database);
        session.number = session.reopen()?;
        Ok(session)
    }

    /// Like [`Self::open`]. If the database can't be opened now, the first batch tries again.
    pub(super) fn reopened(database: Arc<Database>) -> Self {
        let mut session = Self::closed(database);
        match session.reopen() {
            Ok(number) => session.number = number,
            Err(error) => tracing::warn!(%error, "a database is opened again with the next batch"),
        }
        session
    }

    fn closed(database: Arc<Database>) -> Self {
        Self {
            database,
            guarded: None,
            batch: None,
            members: Vec::new(),
            storage: 0,
            quota_raised: false,
            number: 0,
            unsettled: false,
            head: Sequence::BEFORE_FIRST,
            notified_head: Sequence::BEFORE_FIRST,
            timers: false,
            aborts: Aborts::default(),
        }
    }

    /// Closes the connection, which rolls back what is open on it, and opens another. Returns the number of the last batch in the database.
    /// The recorded time is then the one that the database has.
    pub(super) fn reopen(&mut self) -> Result<i64, StoreError> {
        self.close();
        self.storage = self.database.storage();
        let guarded = self.database.open_writer()?;
        let read =
            guarded.connection.query_row("SELECT batch, time_ms, wall_ms FROM _bulkhead_meta", [], |row| {
                Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
            });
        let (number, time) =
            read.map_err(|source| store_error("read the last batch of", self.database.path(), &source))?;
        // If a COMMIT failed, this shows what became of the time that it was to record.
        self.database.timeline().was_written(time);
        self.guarded = Some(guarded);
        Ok(number)
    }

    /// Checks whether the last batch whose commit was tried is in the database, and makes that final. Until this succeeds, no batch begins.
    ///
    /// # Errors
    ///
    /// Why the outcome is unknown.
    pub(super) fn settle(&mut self) -> Result<bool, String> {
        self.unsettled = true;
        let found = self.reopen().map_err(|error| error.to_string())?;
        let is_there = found == self.number;
        let connection = &self.guarded().map_err(|error| error.to_string())?.connection;
        settle::make_final(connection, self.database.path(), is_there)?;
        self.unsettled = false;
        Ok(is_there)
    }

    /// Leaves the outcome of the last batch open: for a test.
    pub(super) fn leave_unsettled(&mut self) {
        self.close();
        self.unsettled = true;
    }

    /// Closes the connection, which rolls back what is open on it.
    pub(super) fn close(&mut self) {
        self.guarded = None;
        self.batch = None;
    }

    pub(super) fn guarded(&self) -> Result<&Guarded, StatementError> {
        self.guarded
            .as_ref()
            .ok_or_else(|| StatementError::Other("the database could not be opened again".into()))
    }

    /// Restores the guests' quota after the host has used its reserve.
    pub(super) fn restore_quota(&mut self) -> Result<(), StatementError> {
        if std::mem::take(&mut self.quota_raised) {
            set_quota(&self.guarded()?.connection, self.storage).map_err(|error| classify(&error, None))?;
        }
        Ok(())
    }

    /// Whether a transaction is open, as SQLite sees it.
    pub(super) fn is_open(&self) -> bool {
        self.guarded.as_ref().is_some_and(|guarded| !guarded.connection.is_autocommit())
    }

    /// Opens a batch if none is open.
    pub(super) fn begin_batch(&mut self) -> Result<(), StatementError> {
        if self.batch.is_some() {
            return Ok(());
        }
        if self.unsettled {
            // A write on top of it could not be undone together with it. And its members were reported as unknown.
            let is_there = self.settle().map_err(|why| {
                tracing::error!(why, "what became of a commit is still unknown: nothing is written");
                StatementError::Busy
            })?;
            tracing::warn!(durable = is_there, "what became of a commit is known now");
        } else if self.guarded.is_none() {
            let found = self.reopen().map_err(|error| StatementError::Other(error.to_string()))?;
            self.number = self.number.max(found);
        }
        let storage = self.database.storage();
        if storage != self.storage {
            set_quota(&self.guarded()?.connection, storage).map_err(|error| classify(&error, None))?;
            self.storage = storage;
        }
        let guarded = self.guarded()?;
        self.database.gate().truncate_wal_if_wanted(&guarded.connection);
        // IMMEDIATE: everything that the transaction reads is read under the write lock, so units of work are serializable.
        self.host("/*bulkhead*/BEGIN IMMEDIATE")?;
        let connection = &self.guarded()?.connection;
        let changes_before = connection.total_changes();
        let head = outbox::head(connection).map_err(|error| classify(&error, None));
        match head {
            Ok(head) => self.head = head,
            Err(error) => {
                self.roll_back();
                return Err(error);
            }
        }
        self.batch = Some(Batch { opened_at: Instant::now(), changes_before });
        Ok(())
    }

    /// Runs one of the host's own statements.
    pub(super) fn host(&self, sql: &str) -> Result<(), StatementError> {
        let run = |connection: &Connection| connection.prepare_cached(sql)?.execute([]);
        run(&self.guarded()?.connection).map(drop).map_err(|error| classify(&error, None))
    }

    /// Ends the transaction without effect, in whatever state it is.
    pub(super) fn roll_back(&mut self) {
        self.batch = None;
        self.timers = false;
        if self.is_open()
            && let Err(error) = self.host("/*bulkhead*/ROLLBACK")
        {
            tracing::error!(%error, "a batch could not be rolled back; the connection is closed");
            self.guarded = None;
        }
    }

    /// Whether the batch has written anything.
    pub(super) fn was_written(&self) -> bool {
        match (&self.batch, &self.guarded) {
            (Some(batch), Some(guarded)) => guarded.connection.total_changes() != batch.changes_before,
            _ => false,
        }
    }

    /// Runs the `UPDATE` of the batch's number, and `COMMIT`.
    pub(super) fn number_and_commit(&self, number: i64) -> Result<(), CommitFailure> {
        let guarded = self.guarded().map_err(|error| CommitFailure::Undone(error.into()))?;
        let connection = &guarded.connection;
        let commit = || connection.prepare_cached("/*bulkhead*/COMMIT")?.execute([]).map(drop);
        if !self.was_written() {
            return commit().map_err(|error| CommitFailure::Undone(abort_of(&error)));
        }
        let timeline = self.database.timeline();
        let (time, wall) = timeline.row();
        let update = || {
            let sql =
                "/*bulkhead*/UPDATE _bulkhead_meta SET batch = ?1, time_ms = ?2, wall_ms = ?3 WHERE id = 1";
            connection.prepare_cached(sql)?.execute([number, time, wall])
        };
        update().map_err(|error| CommitFailure::Undone(abort_of(&error)))?;
        let place = crash::next();
        crash::point(place, Moment::Before);
        commit().map_err(|error| {
            if settle::wrote_no_mark(&error) {
                CommitFailure::Undone(abort_of(&error))
            } else {
                CommitFailure::Ambiguous(sqlite_message(&error))
            }
        })?;
        crash::point(place, Moment::After);
        timeline.was_written((time, wall));
        Ok(())
    }
}

/// Why a batch was not committed.
#[derive(Debug)]
pub(super) enum CommitFailure {
    /// The WAL has nothing that could be taken for the batch.
    Undone(Abort),
    /// COMMIT failed for this reason, and the WAL may have the batch.
    Ambiguous(String),
}

fn abort_of(error: &rusqlite::Error) -> Abort {
    match classify(error, None) {
        StatementError::StorageFull => Abort::StorageFull,
        _ => Abort::Commit(sqlite_message(error)),
    }
}

/// Tracks whether a service's batches are aborted so often that its units of work should not share one.
#[derive(Debug, Default)]
pub(super) struct Aborts {
    recent: u32,
    units: u32,
    unbatched: u32,
}

impl Aborts {
    /// A batch with other members was aborted.
    pub(super) fn note(&mut self) {
        self.recent += 1;
        if self.recent >= BATCH_ABORTS_MAX {
            *self = Self { unbatched: BATCH_ABORT_WINDOW, ..Self::default() };
        }
    }

    /// A unit of work ended. Returns whether its batch may take another one.
    pub(super) fn may_share(&mut self) -> bool {
        self.units += 1;
        if self.units >= BATCH_ABORT_WINDOW {
            (self.units, self.recent) = (0, 0);
        }
        self.unbatched = self.unbatched.saturating_sub(1);
        self.unbatched == 0
    }
}
