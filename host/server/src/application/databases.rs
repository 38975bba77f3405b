//! The databases of an application: which file belongs to which service, and how each one gets its replicas and its schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead_build::folder_of;
use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_runtime::{Component, WritableDatabase};
use bulkhead_store::{
    Activation, Database, FileIdentity, Filled, FindOwner, Owner, ReplicaSpec, Settings, StoreError, Upgrade,
};
use bulkhead_types::{Clock as _, ServiceName, SystemClock, rfc3339};

use super::deploy::crash::Point;
use super::{Fault, StartError, at};
use crate::database_engine;

/// The file that is in use instead of the manifest's file. A rebuilt service has another database, and a pointer file beside it names that
/// database. The pointer file is replaced as a whole, so there is always one answer.
pub(super) fn active(path: &Path) -> PathBuf {
    let named = std::fs::read_to_string(pointer(path)).ok();
    let name = named.as_deref().map(str::trim).filter(|name| !name.is_empty() && !name.contains('/'));
    name.map_or_else(|| path.to_owned(), |name| path.with_file_name(name))
}

/// The database file of a service, if the manifest gives it one. This is the file in use, whether it exists yet or not.
#[must_use]
pub fn database_file(manifest: &Manifest, entry: &ServiceSection) -> Option<PathBuf> {
    entry.database.as_ref().map(|file| active(&manifest.data.join(file)))
}

/// The pointer file: it names the database in use.
pub(super) fn pointer(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".active");
    name.into()
}

/// The databases by service. Each one must be a file of its own, whatever the paths say.
///
/// This check opens and closes each file, which would drop the locks that this process has on it. So it checks all files before any database
/// is opened.
pub(super) fn files(
    manifest: &Manifest,
    folder: &Path,
) -> Result<BTreeMap<ServiceName, PathBuf>, StartError> {
    let mut files = BTreeMap::new();
    let mut owners: BTreeMap<FileIdentity, &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, entry) in &manifest.services {
        let Some(file) = &entry.database else { continue };
        let path = active(&folder.join(file));
        if entry.rebuildable {
            remove_leftovers(&folder.join(file));
        }
        match FileIdentity::of(&path) {
            Ok(identity) => {
                if let Some(owner) = owners.insert(identity, name) {
                    let message = format!(
                        "database: {} is the same file as the database of service.{owner}; a service's database is its own: \
                         give each another file",
                        path.display()
                    );
                    wrong.extend(at(manifest, entry, vec![at_file(entry, message)]));
                }
                files.insert(name.clone(), path);
            }
            Err(error) => wrong.extend(at(manifest, entry, vec![at_file(entry, error.to_string())])),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(StartError(wrong)) }
}

/// Reports a fault of a database file at the manifest line that names the file.
fn at_file(entry: &ServiceSection, message: String) -> Fault {
    Fault::at(entry.lines.of("database"), message)
}

/// Opens the databases, with the host's own tables in them.
pub(super) fn open(
    manifest: &Manifest,
    files: &BTreeMap<ServiceName, PathBuf>,
) -> Result<BTreeMap<ServiceName, Arc<WritableDatabase>>, StartError> {
    let mut wrong = Vec::new();
    let mut opened = BTreeMap::new();
    for (name, entry) in &manifest.services {
        let Some(path) = files.get(name) else { continue };
        let settings = Settings { path: path.clone(), storage: entry.spec.limits.storage };
        match database_engine().open(settings, Arc::new(SystemClock)) {
            Ok(database) => drop(opened.insert(name.clone(), database)),
            Err(error) => wrong.extend(at(manifest, entry, vec![at_file(entry, error.to_string())])),
        }
    }
    if wrong.is_empty() { Ok(opened) } else { Err(StartError(wrong)) }
}

/// The services, owners of replicated data first: the statement that selects an owner's rows needs the owner's schema. Where two services
/// replicate each other's data, the owner that is not prepared yet is read from its events.
pub(super) fn owners_first(manifest: &Manifest) -> Vec<&ServiceName> {
    manifest.sorted_by_dependency(&|entry| entry.replicas.iter().map(|replica| &replica.owner).collect())
}

/// Where to read the rows of a replica, for the service whose database is at `path`.
pub(super) fn owner<'o>(
    manifest: &'o Manifest,
    replica: &ReplicaSpec,
    database: Option<&'o Arc<WritableDatabase>>,
    path: &Path,
) -> Result<Option<Owner<'o>>, StoreError> {
    let Some(database) = database else {
        let why = "its owner has no database".to_owned();
        return Err(StoreError::Replica { path: path.to_owned(), name: replica.name.clone(), why });
    };
    Owner::of(&**database, select_of(manifest, replica)).map(Some)
}

/// The statement that selects the rows of a replica, if the manifest has one.
#[must_use]
pub fn select_of<'m>(manifest: &'m Manifest, replica: &ReplicaSpec) -> Option<&'m str> {
    let entity = manifest.services.get(&replica.owner)?.entities.get(&replica.name)?;
    Some(&entity.select)
}

/// Logs which replicas were filled.
pub(super) fn report_filled(service: &str, filled: &[Filled]) {
    for Filled { name, rows, source, unusable } in filled {
        tracing::info!(service, replica = name, rows, ?source, "a replica was filled");
        if let Some(why) = unusable {
            tracing::warn!(
                service,
                replica = name,
                why,
                "the select of its entity can't be used: its events were"
            );
        }
    }
}

/// Creates a service's replicas. Nobody else may use its database meanwhile.
pub(super) fn fill(
    database: &dyn Database,
    entry: &ServiceSection,
    find: &FindOwner<'_>,
) -> Result<(), StoreError> {
    let staged = database.stage_replicas(&entry.replicas, &entry.spec.grants.subscribes, find)?;
    let Some(mut refill) = staged else { return Ok(()) };
    Point::Staged.reach();
    refill.write(None)?;
    Point::Filled.reach();
    report_filled(&entry.spec.name, &refill.commit()?);
    Point::FillCommitted.reach();
    Ok(())
}

/// Creates a service's replicas, and brings its database to the component's schema.
pub(super) fn prepare(
    database: &dyn Database,
    entry: &ServiceSection,
    component: &Component,
    activation: Option<&Activation>,
    (manifest, all): (&Manifest, &BTreeMap<ServiceName, Arc<WritableDatabase>>),
) -> Result<(), StoreError> {
    let find = |replica: &ReplicaSpec| owner(manifest, replica, all.get(&replica.owner), database.path());
    fill(database, entry, &find)?;
    let upgrade = Upgrade { migrations: &component.migrations, activation, ..Upgrade::default() };
    let outcome = database.upgrade(&upgrade, &rfc3339(SystemClock.now()))?;
    if !outcome.applied.is_empty() {
        let applied = outcome.applied_versions();
        tracing::info!(service = entry.spec.name.as_str(), ?applied, version = outcome.version, "migrated");
    }
    Ok(())
}

/// Records a version that became the active one without a schema change.
pub(super) fn record(
    version_database: &dyn Database,
    activation: Option<&Activation>,
) -> Result<(), StoreError> {
    let upgrade = Upgrade { activation, ..Upgrade::default() };
    version_database.upgrade(&upgrade, &rfc3339(SystemClock.now())).map(drop)
}

/// The folder of compiled components.
#[must_use]
pub fn cache(data: &Path) -> PathBuf {
    data.join("cache")
}

/// Removes the leftovers of earlier rebuilds that were killed: databases with the name of this one and a number. None of them is in use.
pub(super) fn remove_leftovers(base: &Path) {
    let active = active(base);
    let Some(stem) = base.file_stem().and_then(|stem| stem.to_str()) else { return };
    let Ok(entries) = std::fs::read_dir(folder_of(base)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".db"));
        let is_rebuilt =
            number.is_some_and(|number| number.len() > 9 && number.bytes().all(|byte| byte.is_ascii_digit()));
        // The first file is no longer in use once there is another.
        let is_first = path == base && active != base;
        if path != active && (is_rebuilt || is_first) {
            remove(&path);
        }
    }
}

/// Removes a database with its side files, also the journal of an unfinished copy. A connection that is open can still use it.
pub(super) fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        if let Err(error) = std::fs::remove_file(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %file.display(), %error, "a database that is no longer in use could not be removed");
        }
    }
}
