//! What is around every service of an application.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_types::{Clock, Random, ServiceName};

use crate::fault_injector::FaultInjector;
use crate::observer::Observers;
use crate::queues::Queues;

/// What is around every service of an application.
pub struct HostContext {
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub random: Box<dyn Random>,
    /// The services, by name.
    pub directory: Directory,
    /// What observes the services.
    pub observers: Observers,
    /// A test that makes things fail.
    pub faults: Option<Arc<dyn FaultInjector>>,
}

/// Every service's queues.
pub type Directory = BTreeMap<ServiceName, Queues>;
