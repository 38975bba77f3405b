//! The threads that deliver events and timers to a service. They stop while their configuration is replaced, and then start again.
//!
//! Invariant: either the threads run, or the code that stopped them is about to start them again, or `/readyz` reports that they do not
//! run. The second state ends with a [`Stopped`], which is dropped even if the host panics in between.

use std::collections::BTreeSet;

use bulkhead_runtime::{Deliveries, SchedulerError, supervise};
use bulkhead_types::ServiceName;

use super::service_entry::DeliveryThreads;
use super::{Application, ServiceEntry};

impl Application {
    /// Starts the threads that deliver to a service.
    pub(super) fn start_delivery_threads(
        &self,
        name: &str,
        service_entry: &ServiceEntry,
    ) -> Result<(), SchedulerError> {
        let subscriptions = self.subscriptions_of(name);
        let open = |producer: &ServiceName| self.logs.open(producer);
        let deliveries =
            Deliveries::start(&service_entry.consumer, &subscriptions, &service_entry.deferred, &open)?;
        service_entry.set_delivery_threads(DeliveryThreads::Running(deliveries));
        Ok(())
    }

    /// Stops the subscription workers and timers of these services, until they are started again.
    pub(super) fn stop_delivery_threads(&self, services: BTreeSet<ServiceName>) -> Stopped<'_> {
        // Created first: if stopping one of them panics, the others are still handled.
        let stopped = Stopped { application: self, services };
        let service_entries = stopped.services.iter().filter_map(|name| self.service_entries.get(name));
        service_entries.for_each(ServiceEntry::stop_delivery_threads);
        stopped
    }
}

/// Services whose subscription workers are stopped. If it is dropped before they are started again, the host becomes not ready.
pub(super) struct Stopped<'a> {
    application: &'a Application,
    /// The services that are not started yet.
    services: BTreeSet<ServiceName>,
}

impl Stopped<'_> {
    /// Starts the threads, with the current subscriptions. If that fails, the host is not ready, and a log line says why.
    pub(super) fn start_again(mut self) -> Result<(), SchedulerError> {
        let mut result = Ok(());
        // Start each one, even if another one fails.
        while let Some(name) = self.services.first() {
            let name = name.clone();
            supervise::point("delivery_threads");
            if let Some(service_entry) = self.application.service_entries.get(&name)
                && let Err(error) = self.application.start_delivery_threads(&name, service_entry)
            {
                tracing::error!(
                    service = name.as_str(), %error,
                    "its events and timers are not delivered, since their threads can't be started again: restart the host"
                );
                service_entry.set_delivery_threads(DeliveryThreads::failed(&name));
                result = result.and(Err(error));
            }
            self.services.remove(&name);
        }
        result
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        for name in &self.services {
            if let Some(service_entry) = self.application.service_entries.get(name) {
                service_entry.set_delivery_threads(DeliveryThreads::failed(name));
            }
        }
    }
}
