//! A service's database after its component's migrations, stored as a template: each test begins with a copy.
//!
//! Running the migrations of a service takes longer than most tests of it. So they run once, and the result is stored beside the compiled
//! component. Its file name depends on everything that it was built from: the component, the replicas of the manifest, and the program that
//! built it (which contains the host, so that a change of the host's own tables is noticed).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bulkhead_manifest::ServiceSection;
use bulkhead_runtime::Component;
use bulkhead_server::database_engine;
use bulkhead_store::{Settings, StoreError, Upgrade};
use bulkhead_types::SystemClock;
use bulkhead_types::limits::STORAGE_DEFAULT;
use sha2::{Digest as _, Sha256};

/// The suffix of the files' names.
const ENDING: &str = ".template";

/// The templates that this process has read, by file name.
static READ: Mutex<BTreeMap<String, Arc<[u8]>>> = Mutex::new(BTreeMap::new());

/// Creates a database at `path` with the migrated schema. `kept` is the folder of the stored templates.
pub(crate) fn put(
    path: &Path,
    kept: &Path,
    entry: &ServiceSection,
    component: &Component,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("make {}: {error}", path.display());
    let name = name(entry, component);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let template = match read.get(&name) {
        Some(template) => Arc::clone(template),
        None => {
            let template: Arc<[u8]> = match std::fs::read(kept.join(&name)) {
                Ok(template) => template.into(),
                Err(_) => {
                    make(path, entry, component).map_err(|error| error.to_string())?;
                    let template = std::fs::read(path).map_err(failed)?;
                    keep(kept, &name, &entry.spec.name, &template);
                    template.into()
                }
            };
            read.insert(name, Arc::clone(&template));
            template
        }
    };
    std::fs::write(path, &template).map_err(failed)
}

/// The name of the file. It changes whenever an input of the template changes.
fn name(entry: &ServiceSection, component: &Component) -> String {
    let program = std::env::current_exe().and_then(std::fs::metadata).and_then(|file| file.modified());
    let made_of = format!("{} {:?} {program:?}", component.version().sha256(), entry.replicas);
    let digest = Sha256::digest(made_of);
    let key: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}.{key}{ENDING}", entry.spec.name)
}

/// Runs the migrations. When this returns, nothing has the file open, so the file is complete.
fn make(path: &Path, entry: &ServiceSection, component: &Component) -> Result<(), StoreError> {
    // With enough room, whatever limit the test gives the service.
    let storage = STORAGE_DEFAULT.max(entry.spec.limits.storage);
    let settings = Settings { path: path.to_owned(), storage };
    let database = database_engine().open(settings, Arc::new(SystemClock))?;
    // The replicas are empty: nothing was consumed from any event log.
    database.make_replicas(&entry.replicas, &entry.spec.grants.subscribes, &|_| Ok(None))?;
    let upgrade = Upgrade { migrations: &component.migrations, ..Upgrade::default() };
    database.upgrade(&upgrade, "2026-01-01T00:00:00.000Z").map(drop)
}

/// Stores a template and removes earlier ones. If that fails, the next process builds its own.
fn keep(folder: &Path, name: &str, service: &str, template: &[u8]) {
    let temporary = folder.join(format!("{name}.{}", std::process::id()));
    let kept =
        std::fs::write(&temporary, template).and_then(|()| std::fs::rename(&temporary, folder.join(name)));
    if kept.is_err() {
        let _ = std::fs::remove_file(&temporary);
        return;
    }
    let is_earlier =
        |file: &str| file != name && file.starts_with(&format!("{service}.")) && file.ends_with(ENDING);
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if file.file_name().to_str().is_some_and(is_earlier) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}
