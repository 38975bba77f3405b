//! An observer that records what it observed.

use std::sync::{Arc, Mutex};

use bulkhead_types::ServiceName;

use crate::observer::{Observation, Observer};

/// What was observed, each with the service. Clones are the same record.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    /// What was observed since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Seen {
    fn observe(&self, service: &ServiceName, observation: &Observation<'_>) {
        let what = match *observation {
            Observation::Queued { queue } => format!("queued {queue}"),
            Observation::Started { queue, .. } => format!("started {queue}"),
            Observation::DatabaseCalled { result, .. } => format!("database {}", result.is_ok()),
            Observation::ServiceCalled { callee, .. } => format!("called {callee}"),
            Observation::Joined => "joined".to_owned(),
            Observation::Finished { outcome } => format!("finished {}", outcome.is_ok()),
            Observation::BatchCommitted { units } => format!("committed {units}"),
            Observation::EventConsumed { producer, sequence } => format!("consumed {producer} {sequence}"),
            Observation::EventParked { row } => format!("parked {} {:?}", row.id, row.state),
            Observation::InstanceCreated { .. } => "created".to_owned(),
            Observation::InstanceDropped { cause } => format!("dropped {}", cause.name()),
            Observation::LimitReached { limit } => format!("limit {}", limit.name()),
        };
        self.0.lock().unwrap().push(format!("{service}: {what}"));
    }
}
