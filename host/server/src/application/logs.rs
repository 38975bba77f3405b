//! The event logs and subscriptions of an application.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_runtime::{CommitNotifier, EmbeddedLog, EventLog, Subscription};
use bulkhead_store::{Database, StoreError};

/// The event logs of an application, by the service that writes them.
pub type Logs = BTreeMap<String, (Arc<Database>, Arc<CommitNotifier>)>;

/// The subscriptions of an application.
pub type Subscriptions = Vec<Arc<Subscription>>;

/// The event log of a producer. It is a table of the producer's database.
pub(super) fn open_log(logs: &Logs, producer: &str) -> Result<Option<Box<dyn EventLog>>, StoreError> {
    let Some((database, notifier)) = logs.get(producer) else { return Ok(None) };
    Ok(Some(Box::new(EmbeddedLog::open(database, notifier)?)))
}
