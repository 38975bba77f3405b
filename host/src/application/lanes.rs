//! The threads that deliver events and timers to a service: stopped while what they go by is replaced, and started again.
//!
//! Invariant: they run, or whoever stopped them is about to start them again, or `/readyz` says that they do not. The second ends with a
//! [`Stopped`], which is dropped also where the host panics in between.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use bulkhead_runtime::supervise::{self, Down};
use bulkhead_runtime::{Deliveries, DispatchError};

use super::{Application, Station, open_log};

/// The lanes that lead to a service, and its timers.
#[derive(Default)]
pub(super) enum Lanes {
    /// They are not to run now.
    #[default]
    Stopped,
    Running(Deliveries),
    /// They are to run and do not: the host is not ready until they are started, or are not to run any more.
    Failed {
        _down: Down,
    },
}

impl Lanes {
    fn failed(service: &str) -> Self {
        Self::Failed { _down: Down::note(&format!("{service}-deliveries")) }
    }
}

impl Station {
    fn set_lanes(&self, lanes: Lanes) -> Lanes {
        std::mem::replace(&mut *self.lanes.lock().unwrap_or_else(PoisonError::into_inner), lanes)
    }

    /// Ends its lanes and timers, each when what it runs is done.
    pub(super) fn stop_lanes(&self) {
        if let Lanes::Running(deliveries) = self.set_lanes(Lanes::Stopped) {
            deliveries.stop();
        }
    }
}

impl Application {
    /// Starts the lanes that lead to a service, and its timers.
    pub(super) fn start_lanes(&self, name: &str, station: &Station) -> Result<(), DispatchError> {
        let edges = self.edges_to(name);
        let open = |producer: &str| open_log(&self.logs, producer);
        let deliveries = Deliveries::start(&station.consumer, &edges, &station.deferred, &open)?;
        station.set_lanes(Lanes::Running(deliveries));
        Ok(())
    }

    /// Stops the lanes and timers of these services, until they are started again.
    pub(super) fn stop_lanes(&self, services: BTreeSet<String>) -> Stopped<'_> {
        // First: also where one of them panics the others are seen to.
        let stopped = Stopped { application: self, services };
        let stations = stopped.services.iter().filter_map(|name| self.stations.get(name));
        stations.for_each(Station::stop_lanes);
        stopped
    }
}

/// Services whose lanes are stopped. Dropped before they are started again, it has the host be not ready.
pub(super) struct Stopped<'a> {
    application: &'a Application,
    /// Those that are not started yet.
    services: BTreeSet<String>,
}

impl Stopped<'_> {
    /// Starts them, as the edges are now. Where that can't be done the host is not ready, and the log says why.
    pub(super) fn start_again(mut self) -> Result<(), DispatchError> {
        let mut result = Ok(());
        // Each, whatever becomes of another.
        while let Some(name) = self.services.first() {
            let name = name.clone();
            supervise::point("lanes");
            if let Some(station) = self.application.stations.get(&name)
                && let Err(error) = self.application.start_lanes(&name, station)
            {
                tracing::error!(
                    service = name, %error,
                    "its events and timers are not delivered, since their threads can't be started again: restart the host"
                );
                station.set_lanes(Lanes::failed(&name));
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
            if let Some(station) = self.application.stations.get(name) {
                station.set_lanes(Lanes::failed(name));
            }
        }
    }
}
