//! An application, from its manifest to running services and back to nothing.
//!
//! Everything that can be refused is refused before the first request, and everything that is wrong is reported at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulkhead_build::{Imports, check_imports};
use bulkhead_runtime::{
    Component, ComponentCache, Description, Engine, Queues, Service, ServiceDatabase, Surroundings, queues,
};
use bulkhead_store::{AfterPublish, Checkpointer, DataFolder, Database, FileIdentity, Settings};
use bulkhead_types::{Clock as _, SystemClock, SystemRandom, limits, rfc3339};

use crate::identity::{Identity, Revocations};
use crate::manifest::{Manifest, ServiceEntry, Source};

/// How often the write-ahead logs are looked at.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(200);
/// Instances beyond one for each worker: those that a load asks what they are.
const SPARE_INSTANCES: usize = 8;

/// Everything that keeps an application from starting.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct StartError(pub Vec<String>);

impl From<bulkhead_store::StoreError> for StartError {
    fn from(error: bulkhead_store::StoreError) -> Self {
        Self(vec![error.to_string()])
    }
}

/// Running services.
pub struct Application {
    surroundings: Arc<Surroundings>,
    /// The id of each service's event log.
    logs: BTreeMap<String, String>,
    identity: Option<Identity>,
    services: Vec<Service>,
    checkpoints: Checkpoints,
    /// Held until the last connection is closed.
    _folder: DataFolder,
}

impl Application {
    /// Loads and checks every component, brings every database to its schema, and starts the workers.
    ///
    /// # Errors
    ///
    /// All that is wrong, each with what to do. Nothing runs then, and databases are migrated whole or not at all.
    pub fn start(manifest: &Manifest) -> Result<Self, StartError> {
        let folder = DataFolder::lock(&manifest.data)?;
        let databases = database_files(manifest, folder.path())?;
        let Loaded { engine, queues, surroundings, components: loaded } = load_all(manifest)?;

        let mut wrong = Vec::new();
        let mut opened = BTreeMap::new();
        let mut checkpointers = Vec::new();
        let mut revocations = None;
        for (entry, component) in &loaded {
            let Some(path) = databases.get(&entry.spec.name) else { continue };
            let opening = migrated(path, entry, component).and_then(|database| {
                let revoked_by = manifest.auth.as_ref().and_then(|auth| auth.revoked_by.as_deref());
                let after_publish =
                    match revoked_by.filter(|kind| entry.spec.grants.publishes.contains(*kind)) {
                        Some(kind) => {
                            let revoked = Revocations::open(&database, kind, Arc::clone(&surroundings))?;
                            revocations = Some(Arc::clone(&revoked));
                            Box::new(move || revoked.follow()) as AfterPublish
                        }
                        None => Box::new(|| {}) as AfterPublish,
                    };
                checkpointers.push(Checkpointer::open(&database)?);
                ServiceDatabase::open(database, after_publish)
            });
            match opening {
                Ok(database) => drop(opened.insert(entry.spec.name.clone(), database)),
                Err(error) => wrong.extend(at(manifest, entry, vec![error.to_string()])),
            }
        }
        if !wrong.is_empty() {
            return Err(StartError(wrong));
        }

        let logs =
            opened.iter().map(|(name, opened)| (name.clone(), opened.database.log().to_owned())).collect();
        let failed = |error| StartError(vec![format!("start a thread: {error}")]);
        let mut queues = queues;
        let mut services = Vec::new();
        for (entry, component) in loaded {
            let name = &entry.spec.name;
            let Some((senders, ends)) = queues.remove(name) else { continue };
            let database = opened.remove(name);
            let service = Service::start(
                &engine,
                Arc::new(component),
                entry.spec.clone(),
                database,
                &surroundings,
                &senders,
                ends,
            );
            services.push(service.map_err(failed)?);
        }
        let checkpoints = Checkpoints::start(checkpointers).map_err(failed)?;
        let identity =
            manifest.auth.as_ref().map(|auth| Identity::new(Arc::clone(&surroundings), auth, revocations));
        Ok(Self { surroundings, logs, identity, services, checkpoints, _folder: folder })
    }

    /// The way to the services, and to the clock and the randomness that they see.
    #[must_use]
    pub fn surroundings(&self) -> Arc<Surroundings> {
        Arc::clone(&self.surroundings)
    }

    /// The ids of the services' event logs.
    #[must_use]
    pub fn logs(&self) -> &BTreeMap<String, String> {
        &self.logs
    }

    /// The check of requests' tokens, for the one who serves; none where the manifest has no `auth`.
    pub(crate) fn take_identity(&mut self) -> Option<Identity> {
        self.identity.take()
    }

    /// Answers what was taken, and ends every thread. The last connection to a database cuts its log back.
    pub fn stop(self) {
        for service in self.services {
            service.stop();
        }
        self.checkpoints.stop();
    }
}

/// What the components of an application say of themselves, by service. Nothing runs, and no database is opened.
///
/// # Errors
///
/// As for [`Application::start`], where the components are wrong.
pub fn describe(manifest: &Manifest) -> Result<BTreeMap<String, Description>, StartError> {
    let Loaded { components, .. } = load_all(manifest)?;
    let described = components
        .into_iter()
        .filter_map(|(entry, component)| Some((entry.spec.name.clone(), component.description?)));
    Ok(described.collect())
}

/// Components that are loaded and checked, with what they are to run in.
struct Loaded<'m> {
    engine: Engine,
    queues: BTreeMap<String, (Queues, bulkhead_runtime::QueueEnds)>,
    surroundings: Arc<Surroundings>,
    components: Vec<(&'m ServiceEntry, Component)>,
}

fn load_all(manifest: &Manifest) -> Result<Loaded<'_>, StartError> {
    let cache = ComponentCache::open(&manifest.data.join("cache"));
    let (engine, queues) = (engine(manifest)?, all_queues(manifest));
    let directory = queues.iter().map(|(name, (queues, _))| (name.clone(), queues.clone())).collect();
    let surroundings =
        Arc::new(Surroundings { clock: Box::new(SystemClock), random: Box::new(SystemRandom), directory });
    let mut wrong = Vec::new();
    let mut components = Vec::new();
    for (name, entry) in &manifest.services {
        match load(&engine, &cache, name, entry, &surroundings) {
            Ok(component) => components.push((entry, component)),
            Err(errors) => wrong.extend(at(manifest, entry, errors)),
        }
    }
    if !wrong.is_empty() {
        return Err(StartError(wrong));
    }
    Ok(Loaded { engine, queues, surroundings, components })
}

/// Messages about a service, with the place of its section.
fn at(manifest: &Manifest, entry: &ServiceEntry, messages: Vec<String>) -> impl Iterator<Item = String> {
    let place = format!("{}:{}: service.{}", manifest.path.display(), entry.line, entry.spec.name);
    messages.into_iter().map(move |message| format!("{place}: {message}"))
}

/// The databases by service. Each is a file of its own, whatever the paths say.
///
/// Looking at a file opens and closes it, which would drop SQLite's locks on it in this process: so this is done for all of
/// them before any is opened.
fn database_files(manifest: &Manifest, folder: &Path) -> Result<BTreeMap<String, PathBuf>, StartError> {
    let mut files = BTreeMap::new();
    let mut owners: BTreeMap<FileIdentity, &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, entry) in &manifest.services {
        let Some(file) = &entry.database else { continue };
        let path = folder.join(file);
        match FileIdentity::of(&path) {
            Ok(identity) => {
                if let Some(owner) = owners.insert(identity, name) {
                    let message = format!(
                        "database: {} is the same file as the database of service.{owner}; a service's database is its own: \
                         give each another file",
                        path.display()
                    );
                    wrong.extend(at(manifest, entry, vec![message]));
                }
                files.insert(name.clone(), path);
            }
            Err(error) => wrong.extend(at(manifest, entry, vec![error.to_string()])),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(StartError(wrong)) }
}

fn engine(manifest: &Manifest) -> Result<Engine, StartError> {
    let limits = manifest.services.values().map(|entry| &entry.spec.limits);
    let workers: usize = limits
        .clone()
        .map(|limits| limits.read_workers + limits.write_workers + limits.compute_workers)
        .sum();
    let memory = limits.map(|limits| limits.memory).max().unwrap_or(limits::MEMORY_DEFAULT);
    // A worker has one instance at a time.
    let instances = u32::try_from(workers + SPARE_INSTANCES).unwrap_or(u32::MAX);
    Engine::new(instances, memory).map_err(|error| {
        StartError(vec![format!(
            "reserve address space for {instances} instances: {error:#}; lower limits.read_workers or limits.write_workers"
        )])
    })
}

fn all_queues(manifest: &Manifest) -> BTreeMap<String, (Queues, bulkhead_runtime::QueueEnds)> {
    manifest.services.iter().map(|(name, entry)| (name.clone(), queues(&entry.spec))).collect()
}

/// Reads, checks and loads a component; gives all that is wrong with it.
fn load(
    engine: &Engine,
    cache: &ComponentCache,
    name: &str,
    entry: &ServiceEntry,
    surroundings: &Arc<Surroundings>,
) -> Result<Component, Vec<String>> {
    let path = entry.source.component(name);
    let bytes = std::fs::read(&path).map_err(|error| {
        let remedy = match &entry.source {
            Source::Crate(_) => format!("build it with `bulkhead build {name}`"),
            Source::File(_) => "name the component's file in `source`".to_owned(),
        };
        vec![format!("read its component {}: {error}; {remedy}", path.display())]
    })?;
    let imports = check_imports(&bytes).map_err(|error| vec![format!("load {}: {error}", path.display())])?;
    let component = Component::load(engine, cache, &bytes, &entry.spec, surroundings)
        .map_err(|error| vec![format!("load {}: {error}", path.display())])?;
    let wrong = missing_grants(entry, &imports, &component);
    if wrong.is_empty() { Ok(component) } else { Err(wrong) }
}

/// What the component uses and the manifest does not grant, and what the manifest routes to it and it does not have.
fn missing_grants(entry: &ServiceEntry, imports: &Imports, component: &Component) -> Vec<String> {
    let spec = &entry.spec;
    let mut wrong = Vec::new();
    let mut lacks = |uses: &str, grant: &str, example: String| {
        wrong.push(format!("the component {uses}, and the manifest gives it no `{grant}`; add {example}"));
    };
    let database = format!("database = \"sqlite:data/{}.db\"", spec.name);
    for interface in ["bulkhead:service/snapshot", "bulkhead:service/transaction", "bulkhead:service/outbox"]
    {
        if imports.imports(interface) && entry.database.is_none() {
            lacks(&format!("imports {interface}"), "database", database.clone());
        }
    }
    if !component.migrations.is_empty() && entry.database.is_none() {
        lacks("has migrations", "database", database);
    }
    if imports.imports("bulkhead:service/services") && spec.grants.calls.is_empty() {
        lacks(
            "imports bulkhead:service/services",
            "calls",
            "calls = [\"…\"] with the services that it calls".to_owned(),
        );
    }
    if let Some(description) = &component.description {
        for kind in &description.publishes {
            if !spec.grants.publishes.contains(kind) {
                lacks(&format!("publishes {kind}"), "publishes", format!("\"{kind}\" to publishes"));
            }
        }
        for kind in &description.subscribes {
            wrong.push(format!("the component subscribes to {kind}, and this host delivers no events"));
        }
    }
    if !spec.routes.is_empty() && !component.answers_http() {
        wrong.push(
            "routes lead to it, and the component exports no bulkhead:service/http-handler; remove the routes, or export it"
                .to_owned(),
        );
    }
    wrong
}

/// Opens a service's database and brings it to the component's schema.
fn migrated(
    path: &Path,
    entry: &ServiceEntry,
    component: &Component,
) -> Result<Arc<Database>, bulkhead_store::StoreError> {
    let settings = Settings { path: path.to_owned(), storage: entry.spec.limits.storage };
    let database = Database::open(settings)?;
    let outcome = database.migrate(&component.migrations, &rfc3339(SystemClock.now()))?;
    if !outcome.applied.is_empty() {
        tracing::info!(service = entry.spec.name, applied = ?outcome.applied, version = outcome.version, "migrated");
    }
    Ok(database)
}

/// The thread that moves the write-ahead logs into the databases.
struct Checkpoints {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    fn start(checkpointers: Vec<Checkpointer>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("checkpoints".into()).spawn(move || {
            while stopped.recv_timeout(CHECKPOINT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for checkpointer in &checkpointers {
                    if let Err(error) = checkpointer.tick() {
                        tracing::warn!(%error, "a checkpoint failed");
                    }
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread had panicked");
        }
    }
}
