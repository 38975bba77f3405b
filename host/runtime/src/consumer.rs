//! A service, as lanes and operators reach it: past its queues.

use std::sync::Arc;

use bulkhead_store::{InboxReader, Migration, ReplicaSpec, StatementError, StoreError, UnitOfWork, Value};

use crate::component::Component;
use crate::delivery::Written;
use crate::engine::Engine;
use crate::hold::{Member, Settle};
use crate::runner::Runner;
use crate::service::{ServiceContext, ServiceDatabase};

/// A service that has a database.
#[derive(Clone)]
pub struct Consumer {
    engine: Engine,
    component: Arc<Component>,
    context: Arc<ServiceContext>,
}

impl Consumer {
    pub(crate) fn new(engine: Engine, component: Arc<Component>, context: Arc<ServiceContext>) -> Self {
        Self { engine, component, context }
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// The schema of its database.
    #[must_use]
    pub fn migrations(&self) -> &[Migration] {
        &self.component.migrations
    }

    /// The database, as it is now.
    #[must_use]
    pub fn database(&self) -> Option<Arc<ServiceDatabase>> {
        self.context.database()
    }

    /// The same service on another database, which nobody else uses: its queues do not lead to it.
    #[must_use]
    pub fn on(&self, database: Arc<ServiceDatabase>) -> Self {
        Self {
            engine: self.engine.clone(),
            component: Arc::clone(&self.component),
            context: self.context.with_database(database),
        }
    }

    /// Has the service work with another database from the next request on.
    pub fn replace_database(&self, database: Arc<ServiceDatabase>) {
        self.context.replace_database(database);
    }

    /// A look at its positions and parked events.
    ///
    /// # Errors
    ///
    /// When it has no database, or that can't be read.
    pub fn inbox(&self) -> Result<InboxReader, StoreError> {
        match self.database() {
            Some(database) => InboxReader::open(&database.database),
            None => Err(StoreError::NoDatabase { service: self.name().to_owned() }),
        }
    }

    /// Has a parked event or dead letter be tried again at once: false where there is none.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    pub fn retry_parked(&self, producer: &str, sequence: i64) -> Result<bool, String> {
        self.write(|unit| unit.retry_parked(producer, sequence))
    }

    /// Drops a dead letter for good: false where there is none.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    pub fn drop_dead(&self, producer: &str, sequence: i64) -> Result<bool, String> {
        self.write(|unit| unit.drop_dead(self.name(), producer, sequence))
    }

    /// Brings a row of a replica to what the owner has, or deletes it where the owner has none.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    pub fn repair(&self, replica: &ReplicaSpec, key: &str, row: Option<&[Value]>) -> Result<bool, String> {
        self.write(|unit| unit.repair(replica, key, row).map(|()| true))
    }

    /// Runs a unit of work of the host's own, and waits until it is durable: false where it was not to be kept.
    fn write(
        &self,
        work: impl FnOnce(&mut UnitOfWork<Member>) -> Result<bool, StatementError>,
    ) -> Result<bool, String> {
        let mut runner = self.runner();
        let (told, durable) = flume::bounded(1);
        let settle = Settle::new(move |kept| {
            let _ = told.send(kept);
        });
        let written = runner.write(work, settle, false);
        runner.commit_carried();
        runner.run_again_alone();
        match written {
            Written::Kept => match durable.recv() {
                Ok(true) => Ok(true),
                Ok(false) | Err(_) => Err("the change could not be committed and was not made".to_owned()),
            },
            Written::Moved => Ok(false),
            Written::Failed(why) | Written::Unavailable(why) => Err(why),
        }
    }

    pub(crate) fn runner(&self) -> Runner {
        Runner::new(self.engine.clone(), Arc::clone(&self.component), Arc::clone(&self.context))
    }
}
