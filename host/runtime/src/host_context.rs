//! What is around every service of an application.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_types::{Clock, Random};

use crate::probe::Probe;
use crate::queues::Queues;

/// What is around every service of an application.
pub struct HostContext {
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub random: Box<dyn Random>,
    /// The services, by name.
    pub directory: Directory,
    /// A test that observes.
    pub probe: Option<Arc<dyn Probe>>,
}

/// Every service's queues.
pub type Directory = BTreeMap<String, Queues>;
