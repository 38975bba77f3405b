//! A service as subscription workers and operators reach it: not through its queues.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bulkhead_store::{Busy, InboxReader, ReplicaSpec, StatementError, StoreError, Value};
use bulkhead_types::{Sequence, ServiceName};

use crate::database::{ServiceDatabase, UnitOfWork};
use crate::delivery::Written;
use crate::engine::Engine;
use crate::gate::{Held, NotHeld};
use crate::member::{Effect, Settle, commit};
use crate::queues::Queues;
use crate::release::{Release, ServiceContext};
use crate::runner::{HasRunner as _, Runner};

/// Why it is not known that an operator's change was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It was not made, for this reason.
    #[error("{0}")]
    Failed(String),
    /// COMMIT failed.
    #[error(
        "the database failed in the commit, and whether the change was made is not known; look whether it was before you repeat it"
    )]
    OutcomeUnknown,
}

/// A service.
#[derive(Clone)]
pub struct Consumer {
    engine: Engine,
    context: Arc<ServiceContext>,
    queues: Queues,
}

impl Consumer {
    pub(crate) fn new(engine: Engine, context: Arc<ServiceContext>, queues: Queues) -> Self {
        Self { engine, context, queues }
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.context.name
    }

    /// Its current release.
    #[must_use]
    pub fn release(&self) -> Arc<Release> {
        self.context.release.get()
    }

    /// Switches to another release, from the next handler on.
    pub fn switch(&self, release: Release) {
        release.let_in(&self.queues);
        self.context.release.set(Arc::new(release));
    }

    /// Makes everybody wait who wants to run a handler, and waits until `deadline` for the handlers that run.
    ///
    /// # Errors
    ///
    /// If some handlers still run by then, or if more than `room` requests wait in a queue meanwhile. In both cases nobody has to wait any
    /// more.
    pub fn hold(&self, deadline: Instant, room: usize) -> Result<Held, NotHeld> {
        self.context.gate.hold(deadline, || self.queues.waiting() > room)
    }

    /// Does `work` under the writer lease, with no batch open, so that nobody else writes meanwhile. If the service has no database, nobody
    /// writes at all.
    ///
    /// # Errors
    ///
    /// If the lease can't be had before `deadline`. Nothing was done.
    pub fn exclusively<R>(&self, deadline: Instant, work: impl FnOnce() -> R) -> Result<R, Busy> {
        let mut runner = self.runner();
        let Some(database) = self.database() else { return Ok(work()) };
        loop {
            let mut lease = database.writer.acquire(deadline)?;
            let aborted = commit(&mut *lease, &self.context.observed);
            if aborted.is_empty() {
                return Ok(work());
            }
            runner.recover(lease, aborted);
            runner.give_up_again();
        }
    }

    /// The queues for its requests.
    #[must_use]
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// The current database.
    #[must_use]
    pub fn database(&self) -> Option<Arc<ServiceDatabase>> {
        self.release().database.clone()
    }

    /// The same service on another database, which nobody else uses. Its queues do not lead to the returned service.
    #[must_use]
    pub fn on(&self, database: Arc<ServiceDatabase>) -> Self {
        let context = ServiceContext::new(
            self.release().with_database(database),
            Arc::clone(&self.context.host_context),
        );
        Self { engine: self.engine.clone(), context, queues: self.queues.clone() }
    }

    /// A reader of its positions and parked events.
    ///
    /// # Errors
    ///
    /// If it has no database, or the database can't be read.
    pub fn inbox(&self) -> Result<Box<dyn InboxReader>, StoreError> {
        match self.database() {
            Some(database) => database.database.inbox(),
            None => Err(StoreError::NoDatabase { service: self.name().clone() }),
        }
    }

    /// Makes a parked event or dead letter due at once; false if there is none.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn retry_parked(&self, producer: &ServiceName, sequence: Sequence) -> Result<bool, ChangeError> {
        self.write(|unit| unit.retry_parked(producer, sequence))
    }

    /// The same for several, in one unit of work. Returns how many of them there are.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn retry_all(&self, places: &[(ServiceName, Sequence)]) -> Result<usize, ChangeError> {
        let mut retried = 0;
        let kept = self.write(|unit| {
            for (producer, sequence) in places {
                retried += usize::from(unit.retry_parked(producer, *sequence)?);
            }
            Ok(retried > 0)
        })?;
        Ok(if kept { retried } else { 0 })
    }

    /// Drops a dead letter for good; false if there is none.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn drop_dead(&self, producer: &ServiceName, sequence: Sequence) -> Result<bool, ChangeError> {
        self.write(|unit| unit.drop_dead(self.name(), producer, sequence))
    }

    /// Sets a row of a replica to what the owner has, or deletes it if the owner has no such row.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn repair(
        &self,
        replica: &ReplicaSpec,
        key: &str,
        row: Option<&[Value]>,
    ) -> Result<bool, ChangeError> {
        self.write(|unit| unit.repair(replica, key, row).map(|()| true))
    }

    /// Drops the dead letters of these types that a producer published up to `sequence`; false if there are none.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn drop_dead_up_to(
        &self,
        producer: &ServiceName,
        kinds: &[&str],
        sequence: Sequence,
    ) -> Result<bool, ChangeError> {
        self.write(|unit| {
            let mut dropped = 0;
            for kind in kinds {
                dropped += unit.drop_dead_up_to(producer, kind, sequence)?;
            }
            Ok(dropped > 0)
        })
    }

    /// Runs a unit of work of the host itself, and waits until it is durable; false if it was not to be kept.
    fn write(
        &self,
        work: impl FnOnce(&mut UnitOfWork) -> Result<bool, StatementError>,
    ) -> Result<bool, ChangeError> {
        let mut runner = self.runner();
        let (sender, durable) = flume::bounded(1);
        let settle = Settle::of_effect(move |effect| {
            let _ = sender.send(effect);
        });
        let written = runner.inside(|runner| {
            let written = runner.write(work, settle, false);
            runner.commit_open_batch();
            written
        });
        match written {
            Written::Kept => match durable.recv() {
                Ok(Effect::Durable) => Ok(true),
                Ok(Effect::Undone) | Err(_) => {
                    Err(ChangeError::Failed("the change could not be committed and was not made".to_owned()))
                }
                Ok(Effect::Unknown) => Err(ChangeError::OutcomeUnknown),
            },
            Written::Moved => Ok(false),
            Written::Failed(why) | Written::Unavailable(why) => Err(ChangeError::Failed(why)),
        }
    }

    pub(crate) fn runner(&self) -> Runner {
        Runner::new(self.engine.clone(), Arc::clone(&self.context))
    }
}
