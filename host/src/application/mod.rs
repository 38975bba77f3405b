//! An application, from its manifest to running services and back to nothing.
//!
//! Everything that can be refused is refused before the first request, and everything that is wrong is reported at once.

mod checkpoints;
mod databases;
mod load;
mod rebuild;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bulkhead_runtime::{
    Bell, Component, Consumer, Deferred, Deliveries, Description, Edge, EmbeddedLog, EventLog, Service,
    ServiceDatabase, Surroundings,
};
use bulkhead_store::{AfterCommit, Checkpointer, DataFolder, Database, LogReader, StoreError};
use bytes::Bytes;

use self::checkpoints::Checkpoints;
use self::load::{Loaded, load_all};
pub use self::rebuild::{RebuildError, Rebuilt};
use crate::identity::{Identity, Revocations};
use crate::interface::problems;
use crate::manifest::{Manifest, ServiceEntry};

/// Everything that keeps an application from starting.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct StartError(pub Vec<String>);

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self(vec![error.to_string()])
    }
}

/// The logs of an application, by the service that writes them.
pub type Logs = BTreeMap<String, (Arc<Database>, Arc<Bell>)>;

/// The one that checks or rebuilds, until it is dropped.
pub struct Maintenance<'a> {
    _only: MutexGuard<'a, ()>,
}

/// A service that has a database, as those see it who look at events.
pub struct Station {
    /// The service, as its lanes know it.
    pub consumer: Consumer,
    /// Its timers and parked events.
    pub deferred: Arc<Deferred>,
    /// Where its lanes and timers run.
    deliveries: Mutex<Option<Deliveries>>,
}

/// Running services.
pub struct Application {
    manifest: Manifest,
    surroundings: Arc<Surroundings>,
    /// Each service's database and bell.
    logs: Logs,
    edges: Vec<Arc<Edge>>,
    stations: BTreeMap<String, Station>,
    identity: Mutex<Option<Identity>>,
    /// The page of problem codes, in HTML.
    problem_page: Bytes,
    running: Mutex<Option<(Vec<Service>, Checkpoints)>>,
    /// Held by the one check or rebuild that runs: each holds lanes, or puts databases in each other's place.
    maintained: Mutex<()>,
    /// Held until the last connection is closed.
    _folder: DataFolder,
}

impl Application {
    /// Loads and checks every component, brings every database to its schema, and starts the workers and the lanes.
    ///
    /// # Errors
    ///
    /// All that is wrong, each with what to do. Nothing runs then, and databases are migrated whole or not at all.
    pub fn start(manifest: &Manifest) -> Result<Self, StartError> {
        let folder = DataFolder::lock(&manifest.data)?;
        let files = databases::files(manifest, folder.path())?;
        let Loaded { engine, mut queues, surroundings, components: loaded } = load_all(manifest)?;
        let described = described(&loaded);
        let all = databases::open(manifest, &files)?;
        let edges: Vec<Arc<Edge>> =
            manifest.edges().into_iter().map(|spec| Arc::new(Edge::new(spec))).collect();

        let mut wrong = Vec::new();
        let (mut opened, mut logs, mut checkpointers) = (BTreeMap::new(), Logs::new(), Vec::new());
        let mut revocations = None;
        for (entry, component) in &loaded {
            let name = &entry.spec.name;
            let Some(database) = all.get(name) else { continue };
            let opening = databases::prepare(database, entry, component, &all).and_then(|()| {
                let revoked = revocations_of(manifest, entry, database, &surroundings)?;
                revocations = revocations.take().or_else(|| revoked.clone());
                let (bell, deferred) = (Arc::new(Bell::default()), Arc::new(Deferred::default()));
                bell.ring(
                    LogReader::open(database)?
                        .head()
                        .map_err(|source| StoreError::Log { path: database.path().to_owned(), source })?,
                );
                logs.insert(name.clone(), (Arc::clone(database), Arc::clone(&bell)));
                checkpointers.push((name.clone(), Checkpointer::open(database)?));
                let after = after_commit(bell, Arc::clone(&deferred), revoked);
                Ok((Arc::new(ServiceDatabase::open(Arc::clone(database), after)?), deferred))
            });
            match opening {
                Ok(database) => drop(opened.insert(name.clone(), database)),
                Err(error) => wrong.extend(at(manifest, entry, vec![error.to_string()])),
            }
        }
        if !wrong.is_empty() {
            return Err(StartError(wrong));
        }

        let failed = |error: &dyn std::fmt::Display| StartError(vec![error.to_string()]);
        let (mut services, mut stations) = (Vec::new(), BTreeMap::new());
        for (entry, component) in loaded {
            let name = &entry.spec.name;
            let Some((senders, ends)) = queues.remove(name) else { continue };
            let (database, deferred) = opened.remove(name).unzip();
            let service = Service::start(
                &engine,
                Arc::new(component),
                entry.spec.clone(),
                database,
                &surroundings,
                &senders,
                ends,
            )
            .map_err(|error| failed(&format!("start a thread: {error}")))?;
            if let Some(deferred) = deferred {
                let station =
                    Station { consumer: service.consumer(), deferred, deliveries: Mutex::default() };
                stations.insert(name.clone(), station);
            }
            services.push(service);
        }
        let checkpoints =
            Checkpoints::start(checkpointers).map_err(|error| failed(&format!("start a thread: {error}")))?;
        let identity =
            manifest.auth.as_ref().map(|auth| Identity::new(Arc::clone(&surroundings), auth, revocations));
        let this = Self {
            manifest: manifest.clone(),
            surroundings,
            logs,
            edges,
            stations,
            identity: Mutex::new(identity),
            problem_page: problems::html(&manifest.name, &described).into(),
            running: Mutex::new(Some((services, checkpoints))),
            maintained: Mutex::default(),
            _folder: folder,
        };
        for (name, station) in &this.stations {
            this.deliver_to(name, station).map_err(|error| failed(&error))?;
        }
        Ok(this)
    }

    /// Starts the lanes that lead to a service, and its timers.
    fn deliver_to(&self, name: &str, station: &Station) -> Result<(), bulkhead_runtime::DispatchError> {
        let edges: Vec<Arc<Edge>> = self.edges_to(name).cloned().collect();
        let open = |producer: &str| open_log(&self.logs, producer);
        let deliveries = Deliveries::start(&station.consumer, &edges, &station.deferred, &open)?;
        *station.deliveries.lock().unwrap_or_else(PoisonError::into_inner) = Some(deliveries);
        Ok(())
    }

    /// The right to check or to rebuild, waited for.
    #[must_use]
    pub fn maintain(&self) -> Maintenance<'_> {
        Maintenance { _only: self.maintained.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The same; none while somebody else has it.
    #[must_use]
    pub fn try_maintain(&self) -> Option<Maintenance<'_>> {
        match self.maintained.try_lock() {
            Ok(only) => Some(Maintenance { _only: only }),
            Err(TryLockError::Poisoned(poisoned)) => Some(Maintenance { _only: poisoned.into_inner() }),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The database of a service as it is now: a rebuild puts another one in its place.
    #[must_use]
    pub fn database(&self, service: &str) -> Option<Arc<Database>> {
        let station = self.stations.get(service)?;
        Some(Arc::clone(&station.consumer.database()?.database))
    }

    /// The manifest that it was started with.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The way to the services, and to the clock and the randomness that they see.
    #[must_use]
    pub fn surroundings(&self) -> Arc<Surroundings> {
        Arc::clone(&self.surroundings)
    }

    /// The services' event logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// All edges.
    #[must_use]
    pub fn edges(&self) -> &[Arc<Edge>] {
        &self.edges
    }

    /// The edges that lead to a service.
    pub fn edges_to<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Edge>> {
        self.edges.iter().filter(move |edge| edge.spec.consumer == name)
    }

    /// The services that have a database, by name.
    #[must_use]
    pub fn stations(&self) -> &BTreeMap<String, Station> {
        &self.stations
    }

    /// The page of problem codes, in HTML.
    pub(crate) fn problem_page(&self) -> Bytes {
        self.problem_page.clone()
    }

    /// The check of requests' tokens, for the one who serves; none where the manifest has no `auth`.
    pub(crate) fn take_identity(&self) -> Option<Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Answers what was taken, and ends every thread. The last connection to a database cuts its log back.
    pub fn stop(&self) {
        for station in self.stations.values() {
            let deliveries = station.deliveries.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(deliveries) = deliveries {
                deliveries.stop();
            }
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((services, checkpoints)) = running else { return };
        for service in services {
            service.stop();
        }
        checkpoints.stop();
    }
}

/// The log of a producer, which is a table of its database.
fn open_log(logs: &Logs, producer: &str) -> Result<Option<Box<dyn EventLog>>, StoreError> {
    let Some((database, bell)) = logs.get(producer) else { return Ok(None) };
    Ok(Some(Box::new(EmbeddedLog::open(database, bell)?)))
}

/// The revocations, if this is the service whose events end tokens.
fn revocations_of(
    manifest: &Manifest,
    entry: &ServiceEntry,
    database: &Arc<Database>,
    surroundings: &Arc<Surroundings>,
) -> Result<Option<Arc<Revocations>>, StoreError> {
    let revoked_by = manifest.auth.as_ref().and_then(|auth| auth.revoked_by.as_deref());
    revoked_by
        .filter(|kind| entry.spec.grants.publishes.contains(*kind))
        .map(|kind| Revocations::open(database, kind, Arc::clone(surroundings)))
        .transpose()
}

/// What is done when events and timers are durable, before the answers that rest on them leave: revoked tokens count no more, and those
/// who wait for the log are woken.
fn after_commit(bell: Arc<Bell>, deferred: Arc<Deferred>, revoked: Option<Arc<Revocations>>) -> AfterCommit {
    Box::new(move |happened| {
        if let Some(head) = happened.head {
            if let Some(revoked) = &revoked {
                revoked.follow();
            }
            bell.ring(head);
        }
        if happened.timers {
            deferred.wake();
        }
    })
}

/// What the components of an application say of themselves, by service. Nothing runs, and no database is opened.
///
/// # Errors
///
/// As for [`Application::start`], where the components are wrong.
pub fn describe(manifest: &Manifest) -> Result<BTreeMap<String, Description>, StartError> {
    Ok(described(&load_all(manifest)?.components))
}

fn described(components: &[(&ServiceEntry, Component)]) -> BTreeMap<String, Description> {
    let described = components
        .iter()
        .filter_map(|(entry, component)| Some((entry.spec.name.clone(), component.description.clone()?)));
    described.collect()
}

/// Messages about a service, with the place of its section.
fn at(manifest: &Manifest, entry: &ServiceEntry, messages: Vec<String>) -> impl Iterator<Item = String> {
    let place = format!("{}:{}: service.{}", manifest.path.display(), entry.line, entry.spec.name);
    messages.into_iter().map(move |message| format!("{place}: {message}"))
}
