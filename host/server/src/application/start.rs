//! From the manifest to running services.
//!
//! Everything that can be refused is refused before the first request. All errors are reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_runtime::{
    Component, ComponentCache, Deferred, Description, HostContext, Release, Service, ServiceDatabase,
    Subscription, WritableDatabase,
};
use bulkhead_store::{DataFolder, Database, StoreError, Upgrade};
use bulkhead_types::{Current, ServiceName};

use super::checkpoints::Checkpoints;
use super::deploy::remove_leftover;
use super::load::{Loaded, SPARE_INSTANCES, load_all, load_good};
use super::routes::Routes;
use super::versions::{self, Chosen, HISTORY, VersionFiles};
use super::{Application, Fault, Logs, Progress, ServiceEntry, StartError, after_commit, at, databases};
use crate::database_engine;
use crate::identity::{Identity, Revocations, TokenCheck};
use crate::interface::Interface;

impl Application {
    /// Loads and checks every component, brings every database to its schema, and starts the workers and the subscription workers.
    ///
    /// # Errors
    ///
    /// All errors, each with what to do. Nothing runs then. Each database is migrated as a whole or not at all.
    pub fn start(manifest: &Manifest) -> Result<Self, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError(vec![error.to_string()]);
        let folder = DataFolder::lock(&manifest.data)?;
        let files = databases::files(manifest, folder.path())?;
        let all = databases::open(manifest, &files)?;
        let versions = VersionFiles::new(folder.path());
        manifest.services.keys().for_each(|name| remove_leftover(&versions.of(name)));
        let (version_databases, mut chosen) = choose(manifest, &versions, &all)?;
        let bytes = |name: &str, _: &ServiceSection| {
            let chosen = chosen.get(name).map(|chosen| chosen.bytes.as_slice());
            Ok(chosen.unwrap_or_default().to_vec())
        };
        let Loaded { engine, mut queues, host_context, runtime_figures, components: loaded } =
            load_all(manifest, &bytes)?;
        let described = described(&loaded);
        let subscriptions: Vec<Arc<Subscription>> =
            manifest.subscriptions().into_iter().map(|spec| Arc::new(Subscription::new(spec))).collect();

        let mut wrong = Vec::new();
        let (mut opened, mut checkpointers) = (BTreeMap::new(), Vec::new());
        let mut revocations = None;
        let mut failed_services = BTreeSet::new();
        for name in databases::owners_first(manifest) {
            let Some((section, component)) = loaded.iter().find(|(section, _)| section.spec.name == *name)
            else {
                continue;
            };
            let name = &section.spec.name;
            // Without its owner's data it can't be checked.
            if section.replicas.iter().any(|replica| failed_services.contains(&replica.owner)) {
                continue;
            }
            let Some(Chosen { bytes, activation }) = chosen.remove(name) else { continue };
            // The file of a version that was active before exists, unless the databases were moved here without the version files.
            let is_kept = activation.is_none() && versions.has(name, component.version());
            if !is_kept && let Err(error) = versions.keep(name, component.version(), &bytes) {
                wrong.extend(at(manifest, section, vec![error]));
                continue;
            }
            let Some(database) = all.get(name) else {
                // A service without a database has no schema, but its version is recorded all the same.
                let recorded = version_databases
                    .get(name)
                    .map(|version_database| databases::record(&**version_database, activation.as_ref()));
                if let Some(Err(error)) = recorded {
                    wrong.extend(at(manifest, section, vec![error.to_string()]));
                }
                continue;
            };
            let owners = (manifest, &all);
            let prepared = databases::prepare(&**database, section, component, activation.as_ref(), owners);
            let opening = prepared.and_then(|()| {
                let revoked = revocations_of(manifest, section, database, &host_context)?;
                revocations = revocations.take().or_else(|| revoked.clone());
                let deferred = Arc::new(Deferred::default());
                checkpointers
                    .extend(database.checkpointer()?.map(|checkpointer| (name.clone(), checkpointer)));
                let after = after_commit(Arc::clone(&deferred), revoked);
                Ok((Arc::new(ServiceDatabase::open(Arc::clone(database), after)?), deferred))
            });
            match opening {
                Ok(database) => drop(opened.insert(name.clone(), database)),
                Err(error) => {
                    failed_services.insert(name.clone());
                    wrong.extend(at(manifest, section, vec![Fault::of_database(section, &error)]));
                }
            }
        }
        if !wrong.is_empty() {
            return Err(StartError(wrong));
        }

        let (mut services, mut service_entries, mut consumers) =
            (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut logs = Logs::default();
        for (section, component) in loaded {
            let name = &section.spec.name;
            let Some((senders, ends)) = queues.remove(name) else { continue };
            let (database, deferred) = opened.remove(name).unzip();
            let (component, spec) = (Arc::new(component), Arc::new(section.spec.clone()));
            let release = Release { component, spec, database, probation: None };
            let service = Service::start(&engine, release, &host_context, &senders, ends)
                .map_err(|error| failed(&format!("start a thread: {error}")))?;
            consumers.insert(name.clone(), service.consumer());
            logs.add(service.consumer());
            if let Some(deferred) = deferred {
                let service_entry = ServiceEntry {
                    consumer: service.consumer(),
                    deferred,
                    delivery_threads: Mutex::default(),
                };
                service_entries.insert(name.clone(), service_entry);
            }
            services.push(service);
        }
        let checkpoints =
            Checkpoints::start(checkpointers).map_err(|error| failed(&format!("start a thread: {error}")))?;
        let cache = ComponentCache::gentle(&databases::cache(&manifest.data))
            .map_err(|error| failed(&format!("start a thread: {error}")))?;
        let identity = manifest
            .auth
            .as_ref()
            .map(|auth| Arc::new(Identity::new(Arc::clone(&host_context), auth, revocations)));
        let routes = Routes::new(&host_context.directory, &logs);
        let this = Self {
            manifest: Current::new(manifest.clone()),
            engine,
            cache,
            versions,
            host_context,
            logs,
            subscriptions: Arc::new(Current::new(subscriptions)),
            consumers,
            service_entries,
            version_databases,
            token_check: identity.as_ref().map(TokenCheck::new),
            identity: Mutex::new(identity),
            interface: Arc::new(Current::new(Interface::new(manifest, &described))),
            routes: Arc::new(Current::new(routes)),
            connections: Arc::default(),
            http_figures: Arc::default(),
            runtime_figures,
            running: Mutex::new(Some((services, checkpoints))),
            subscriptions_max: manifest.subscriptions().len() + SPARE_INSTANCES / 2,
            maintained: Mutex::default(),
            switching: Mutex::default(),
            stopping: Arc::default(),
            progress: Mutex::new(Progress::default()),
            probations: Mutex::default(),
            _folder: folder,
        };
        for (name, service_entry) in &this.service_entries {
            this.start_delivery_threads(name, service_entry).map_err(|error| failed(&error))?;
        }
        Ok(this)
    }
}

/// The databases that record the active version of services without a database of their own, by service.
type VersionDatabases = BTreeMap<ServiceName, Arc<dyn Database>>;

/// Chooses the component that each service runs. Also returns the databases that record it.
fn choose(
    manifest: &Manifest,
    versions: &VersionFiles,
    all: &BTreeMap<ServiceName, Arc<WritableDatabase>>,
) -> Result<(VersionDatabases, BTreeMap<ServiceName, Chosen>), StartError> {
    let (mut version_databases, mut chosen, mut wrong) =
        (VersionDatabases::new(), BTreeMap::new(), Vec::new());
    for (name, section) in &manifest.services {
        let version_database = match all.get(name) {
            Some(database) => Ok(Arc::clone(database) as Arc<dyn Database>),
            None => versions::version_database(versions, name),
        };
        let active = version_database.and_then(|version_database| {
            // Read once: for the component that runs and for the files to keep.
            let activations = version_database.activations(HISTORY).map_err(|error| error.to_string());
            if !all.contains_key(name) {
                version_databases.insert(name.clone(), version_database);
            }
            activations.map(|activations| {
                versions.prune(name, &activations);
                activations.into_iter().next()
            })
        });
        match active.map_err(|error| vec![error]).and_then(|active| versions.choose(name, section, active)) {
            Ok(component) => drop(chosen.insert(name.clone(), component)),
            Err(errors) => wrong.extend(at(manifest, section, errors)),
        }
    }
    if wrong.is_empty() { Ok((version_databases, chosen)) } else { Err(StartError(wrong)) }
}

/// The revocations, if this service publishes the events that end tokens.
fn revocations_of(
    manifest: &Manifest,
    section: &ServiceSection,
    database: &Arc<WritableDatabase>,
    host_context: &Arc<HostContext>,
) -> Result<Option<Arc<Revocations>>, StoreError> {
    let revoked_by = manifest.auth.as_ref().and_then(|auth| auth.revoked_by.as_deref());
    revoked_by
        .filter(|kind| section.spec.grants.publishes.contains(*kind))
        .map(|kind| Revocations::open(&**database, kind, Arc::clone(host_context)))
        .transpose()
}

/// The descriptions of an application's components, by service. The components are those at the manifest's sources. Nothing runs, and no
/// database is opened.
///
/// # Errors
///
/// As for [`Application::start`], for errors of the components.
pub fn describe(manifest: &Manifest) -> Result<BTreeMap<ServiceName, Description>, StartError> {
    let read = |name: &str, section: &ServiceSection| {
        versions::read_source(name, section).map_err(|error| vec![error])
    };
    Ok(described(&load_all(manifest, &read)?.components))
}

/// The faults of the components at the manifest's sources, and of the schemas in existing databases, by service. Each fault says what to
/// do. Nothing runs, databases are only read, and no folder is created.
///
/// # Errors
///
/// If the machine lacks the resources to run components.
pub fn faults(manifest: &Manifest) -> Result<BTreeMap<ServiceName, Vec<Fault>>, StartError> {
    let read = |name: &str, section: &ServiceSection| {
        versions::read_source(name, section).map_err(|error| vec![error])
    };
    let cache = ComponentCache::existing(&databases::cache(&manifest.data));
    let (loaded, faults) = load_good(manifest, &cache, &read)?;
    let mut by_service = BTreeMap::<ServiceName, Vec<Fault>>::new();
    for (section, errors) in faults {
        by_service.entry(section.spec.name.clone()).or_default().extend(errors);
    }
    for (section, component) in &loaded.components {
        let fault = unfit_schema(manifest, section, component);
        by_service.entry(section.spec.name.clone()).or_default().extend(fault);
    }
    by_service.retain(|_, faults| !faults.is_empty());
    Ok(by_service)
}

/// Why a start could not migrate the database of a service to the schema of its component. For example, the database belongs to a later
/// version or to another service. A database that can't be read is reported elsewhere.
fn unfit_schema(manifest: &Manifest, section: &ServiceSection, component: &Component) -> Option<Fault> {
    let path = databases::database_file(manifest, section).filter(|path| path.exists())?;
    let database = database_engine().look(&path).ok()??;
    let active = database.activations(1).ok()?.into_iter().next();
    let version = component.version().sha256();
    // The start runs the deployed version, whose schema the database already has (`VersionFiles::choose`).
    if active.is_some_and(|active| version == active.source && version != active.sha256) {
        return None;
    }
    let upgrade = Upgrade { migrations: &component.migrations, ..Upgrade::default() };
    let error = database.plan(&upgrade).err()?;
    Some(Fault::at(section.lines.of("database"), error.to_string()))
}

fn described(components: &[(&ServiceSection, Component)]) -> BTreeMap<ServiceName, Description> {
    let described = components
        .iter()
        .filter_map(|(section, component)| Some((section.spec.name.clone(), component.description.clone()?)));
    described.collect()
}
