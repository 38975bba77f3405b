//! The threads that deliver events and timers to a service: stopped while what they go by is replaced, and started again.
//!
//! Invariant: they run, or whoever stopped them is about to start them again, or `/readyz` says that they do not. The second ends with a
//! [`Stopped`], which is dropped also where the host panics in between.

use std::collections::BTreeSet;

use bulkhead_runtime::{Deliveries, SchedulerError, supervise};

use super::logs::open_log;
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
        let open = |producer: &str| open_log(&self.logs, producer);
        let deliveries =
            Deliveries::start(&service_entry.consumer, &subscriptions, &service_entry.deferred, &open)?;
        service_entry.set_delivery_threads(DeliveryThreads::Running(deliveries));
        Ok(())
    }

    /// Stops the subscription workers and timers of these services, until they are started again.
    pub(super) fn stop_delivery_threads(&self, services: BTreeSet<String>) -> Stopped<'_> {
        // First: also where one of them panics the others are seen to.
        let stopped = Stopped { application: self, services };
        let service_entries = stopped.services.iter().filter_map(|name| self.service_entries.get(name));
        service_entries.for_each(ServiceEntry::stop_delivery_threads);
        stopped
    }
}

/// Services whose subscription workers are stopped. Dropped before they are started again, it has the host be not ready.
pub(super) struct Stopped<'a> {
    application: &'a Application,
    /// Those that are not started yet.
    services: BTreeSet<String>,
}

impl Stopped<'_> {
    /// Starts them, as the subscriptions are now. Where that can't be done the host is not ready, and the log says why.
    pub(super) fn start_again(mut self) -> Result<(), SchedulerError> {
        let mut result = Ok(());
        // Each, whatever becomes of another.
        while let Some(name) = self.services.first() {
            let name = name.clone();
            supervise::point("delivery_threads");
            if let Some(service_entry) = self.application.service_entries.get(&name)
                && let Err(error) = self.application.start_delivery_threads(&name, service_entry)
            {
                tracing::error!(
                    service = name, %error,
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
