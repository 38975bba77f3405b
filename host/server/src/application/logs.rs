//! The event logs and subscriptions of an application.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_runtime::{Consumer, Subscription};
use bulkhead_store::{EventLog, StoreError};
use bulkhead_types::{Sequence, ServiceName};

/// The event logs of an application, by the service that writes them. This is the only place that knows where an event log is.
#[derive(Clone, Default)]
pub struct Logs(BTreeMap<ServiceName, Source>);

/// Where a service's event log is: in the database that the service has now.
#[derive(Clone)]
struct Source {
    consumer: Consumer,
    /// The event log's id. A rebuild does not change it: a service that can be rebuilt publishes nothing, so its event log stays empty.
    id: Arc<str>,
}

impl Source {
    fn head(&self) -> Sequence {
        self.consumer.database().map_or(Sequence::BEFORE_FIRST, |database| database.database.head())
    }
}

/// The subscriptions of an application.
pub type Subscriptions = Vec<Arc<Subscription>>;

impl Logs {
    /// Adds the event log of a service, if the service has a database.
    pub(super) fn add(&mut self, consumer: Consumer) {
        let Some(database) = consumer.database() else { return };
        let id = Arc::from(database.database.log());
        self.0.insert(consumer.name().clone(), Source { consumer, id });
    }

    /// The services that have an event log, each with the sequence of its last event.
    pub fn heads(&self) -> impl Iterator<Item = (&str, Sequence)> {
        self.0.iter().map(|(service, source)| (service.as_str(), source.head()))
    }

    /// The sequence of the last event of a service; none if the service has no event log. Reads nothing.
    #[must_use]
    pub fn head(&self, service: &str) -> Option<Sequence> {
        self.0.get(service).map(Source::head)
    }

    /// The id of a service's event log.
    #[must_use]
    pub fn id(&self, service: &str) -> Option<&Arc<str>> {
        self.0.get(service).map(|source| &source.id)
    }

    /// Opens the event log of a service for one reader; none if the service has none.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn open(&self, service: &str) -> Result<Option<Box<dyn EventLog>>, StoreError> {
        let database = self.0.get(service).and_then(|source| source.consumer.database());
        database.map(|database| database.database.event_log()).transpose()
    }
}
