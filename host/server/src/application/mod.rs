//! An application: from its manifest to running services, and its stop.
//!
//! Everything that can be refused is refused before the first request. All errors are reported at once.

mod checkpoints;
mod databases;
mod delivery_threads;
mod deploy;
mod fault;
mod files;
mod load;
mod logs;
mod probation;
mod rebuild;
mod refill;
mod reload;
mod routes;
mod service_entry;
mod start;
mod versions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bulkhead_runtime::{
    ComponentCache, Consumer, Deferred, Description, Engine, HostContext, Service, WritableDatabase,
    supervise,
};
use bulkhead_store::{AfterCommit, DataFolder, Database, StoreError};
use bulkhead_types::{Current, ServiceName};

use self::checkpoints::Checkpoints;
pub use self::databases::{cache, database_file, select_of};
pub use self::deploy::{DeployError, DeployOptions, DeployOutcome, Deployed, Progress, VersionReport};
pub use self::fault::Fault;
use self::fault::at;
pub use self::load::CompiledFile;
pub use self::logs::{Logs, Subscriptions};
pub use self::probation::{ProbationReport, ProbationState};
pub use self::rebuild::{RebuildError, Rebuilt};
pub use self::reload::{ReloadError, Reloaded};
pub(crate) use self::routes::{Routes, Target};
pub use self::service_entry::ServiceEntry;
pub use self::start::{describe, faults};
use self::versions::VersionFiles;
use crate::figures::{Connections, HttpFigures, RuntimeFigures};
use crate::identity::{Identity, Revocations, TokenCheck};
use crate::interface::Interface;
use bulkhead_manifest::Manifest;

/// All the reasons why an application can't start.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct StartError(pub Vec<String>);

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self(vec![error.to_string()])
    }
}

/// The exclusive right to check, rebuild, deploy or reload. Dropping it releases the right.
pub struct Maintenance<'a> {
    _only: MutexGuard<'a, ()>,
}

/// Running services.
pub struct Application {
    /// The configuration that the services run with now. It includes all deploys and reloads since the start.
    manifest: Current<Manifest>,
    engine: Engine,
    /// For components that are compiled while the services serve.
    cache: ComponentCache,
    versions: VersionFiles,
    host_context: Arc<HostContext>,
    logs: Logs,
    subscriptions: Arc<Current<Subscriptions>>,
    /// All services.
    consumers: BTreeMap<ServiceName, Consumer>,
    /// The services that have a database.
    service_entries: BTreeMap<ServiceName, ServiceEntry>,
    /// The databases that record the active version, for services without a database of their own.
    version_databases: BTreeMap<ServiceName, Arc<dyn Database>>,
    /// None if the manifest has no `auth`. Still set after the application has stopped.
    token_check: Option<TokenCheck>,
    /// The state behind `token_check`. Set until the application stops.
    identity: Mutex<Option<Arc<Identity>>>,
    interface: Arc<Current<Interface>>,
    routes: Arc<Current<Routes>>,
    connections: Arc<Connections>,
    http_figures: Arc<HttpFigures>,
    runtime_figures: Arc<RuntimeFigures>,
    running: Mutex<Option<(Vec<Service>, Checkpoints)>>,
    /// The number of subscriptions that there are instances for.
    subscriptions_max: usize,
    /// Held by the one check, rebuild, deploy or reload that runs. Each of them holds subscription workers or replaces something.
    maintained: Mutex<()>,
    /// Held while the release of a service is replaced. There is one lock for all services, because each switch builds the next manifest,
    /// subscriptions and routes from the running ones. So the rollback of a failed probation never waits for the compile or the rehearsal
    /// of a deploy, but it waits for its switch. While another service's migrations run or its replicas change, that is the whole pause
    /// (with `--allow-pause` up to `PAUSE_MAX`).
    switching: Mutex<()>,
    /// When this is set, running migrations end at once.
    stopping: Arc<AtomicBool>,
    /// The progress of the running deploy, or of the last one.
    progress: Mutex<Progress>,
    /// The last version of each service that was on probation.
    probations: Mutex<BTreeMap<ServiceName, probation::Watched>>,
    /// Held until the last connection is closed.
    _folder: DataFolder,
}

impl Application {
    /// Waits for the right to check, rebuild, deploy or reload.
    #[must_use]
    pub fn maintain(&self) -> Maintenance<'_> {
        Maintenance { _only: self.maintained.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The same without waiting. None while somebody else holds the right.
    #[must_use]
    pub fn try_maintain(&self) -> Option<Maintenance<'_>> {
        match self.maintained.try_lock() {
            Ok(only) => Some(Maintenance { _only: only }),
            Err(TryLockError::Poisoned(poisoned)) => Some(Maintenance { _only: poisoned.into_inner() }),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The current database of a service: a rebuild replaces it.
    #[must_use]
    pub fn database(&self, service: &str) -> Option<Arc<WritableDatabase>> {
        let service_entry = self.service_entries.get(service)?;
        Some(Arc::clone(&service_entry.consumer.database()?.database))
    }

    /// The current databases, by service.
    fn databases(&self) -> BTreeMap<ServiceName, Arc<WritableDatabase>> {
        let named = |name: &ServiceName| Some((name.clone(), self.database(name)?));
        self.service_entries.keys().filter_map(named).collect()
    }

    /// The manifest that the services run with now.
    #[must_use]
    pub fn manifest(&self) -> Arc<Manifest> {
        self.manifest.get()
    }

    /// The way to the services, and the clock and the randomness that they see.
    #[must_use]
    pub fn host_context(&self) -> Arc<HostContext> {
        Arc::clone(&self.host_context)
    }

    /// The services' event logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// All subscriptions.
    #[must_use]
    pub fn subscriptions(&self) -> Arc<Subscriptions> {
        self.subscriptions.get()
    }

    /// The subscriptions, including later changes.
    pub(crate) fn current_subscriptions(&self) -> Arc<Current<Subscriptions>> {
        Arc::clone(&self.subscriptions)
    }

    /// The subscriptions of a service: the events that it consumes from other services.
    #[must_use]
    pub fn subscriptions_of(&self, name: &str) -> Subscriptions {
        self.subscriptions()
            .iter()
            .filter(|subscription| subscription.spec.consumer == name)
            .cloned()
            .collect()
    }

    /// All services, by name.
    #[must_use]
    pub fn consumers(&self) -> &BTreeMap<ServiceName, Consumer> {
        &self.consumers
    }

    /// The services that have a database, by name.
    #[must_use]
    pub fn service_entries(&self) -> &BTreeMap<ServiceName, ServiceEntry> {
        &self.service_entries
    }

    /// The documents and pages that describe the services' interface.
    pub(crate) fn interface(&self) -> Arc<Current<Interface>> {
        Arc::clone(&self.interface)
    }

    /// The routes of requests.
    pub(crate) fn routes(&self) -> Arc<Current<Routes>> {
        Arc::clone(&self.routes)
    }

    /// The connections of clients.
    pub(crate) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
    }

    /// The HTTP metrics.
    pub(crate) fn http_figures(&self) -> Arc<HttpFigures> {
        Arc::clone(&self.http_figures)
    }

    /// The metrics of what happens in the services.
    pub(crate) fn runtime_figures(&self) -> &RuntimeFigures {
        &self.runtime_figures
    }

    /// The current descriptions of the components, by service.
    fn described(&self) -> BTreeMap<ServiceName, Description> {
        let described = self.consumers.iter().filter_map(|(name, consumer)| {
            Some((name.clone(), consumer.release().component.description.clone()?))
        });
        described.collect()
    }

    /// The database that records the active version of a service.
    fn version_database(&self, service: &str) -> Option<Arc<dyn Database>> {
        let own = self.database(service).map(|database| database as Arc<dyn Database>);
        own.or_else(|| self.version_databases.get(service).cloned())
    }

    /// The token check, shared by all listeners. None only if the manifest has no `auth`: then everybody is anonymous.
    pub(crate) fn token_check(&self) -> Option<TokenCheck> {
        self.token_check.clone()
    }

    /// Answers the accepted requests, and ends every thread. The last connection to a database checkpoints and truncates its WAL.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(self.identity.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.service_entries.values().for_each(ServiceEntry::stop_delivery_threads);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((services, checkpoints)) = running else { return };
        for service in services {
            service.stop();
        }
        checkpoints.stop();
    }
}

/// Runs when events and timers are durable, before the answers that depend on them are sent: revoked tokens stop being valid, and waiters
/// on the event log wake up.
fn after_commit(deferred: Arc<Deferred>, revoked: Option<Arc<Revocations>>) -> AfterCommit {
    Arc::new(move |happened| {
        if happened.head.is_some() {
            // The batch is durable: a panic here must not lose its answers. Tokens are then no longer valid: see `Revocations`.
            if let Some(revoked) = &revoked
                && let Some(why) = supervise::caught(|| revoked.follow())
            {
                tracing::error!(
                    why,
                    "the host panicked where it reads ended tokens: no token counts until it can"
                );
            }
        }
        if happened.timers {
            deferred.wake();
        }
    })
}
