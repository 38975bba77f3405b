//! The component of a service: built if it is stale, and compiled once for all processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bulkhead_build::{BuildRequest, build_if_stale, folder_of};
use bulkhead_manifest::{Manifest, ServiceSection, Source, components_folder};
use bulkhead_runtime::{ComponentCache, Engine};
use bulkhead_server::application::CompiledFile;
use bulkhead_types::limits::MEMORY_MAX;

use crate::fail::or_fail;

/// The maximum number of instances in one process, for all tests that run in it. A test needs one for each service, for each subscription
/// and for each service's timers.
const INSTANCES: u32 = 2048;
/// Names the manifest to use instead of the one above the test's crate.
const MANIFEST_VARIABLE: &str = "BULKHEAD_MANIFEST";

/// The engine of this process.
pub(crate) static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(INSTANCES, MEMORY_MAX).expect("the system reserves address space"));

/// The components that this process has compiled, by file.
static COMPILED: Mutex<BTreeMap<PathBuf, Result<Arc<Compiled>, String>>> = Mutex::new(BTreeMap::new());

/// A compiled component, ready for use.
pub(crate) struct Compiled {
    pub(crate) file: CompiledFile,
    /// The folder for derived files that are created once for all processes.
    pub(crate) folder: PathBuf,
}

/// The manifest: the one that the variable names, or `bulkhead.toml` in the nearest folder above the test's crate.
#[track_caller]
pub(crate) fn manifest() -> Manifest {
    if let Some(path) = std::env::var_os(MANIFEST_VARIABLE) {
        return read(Path::new(&path));
    }
    // cargo and nextest set this variable for tests that they run.
    let from = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().expect("there is a current folder"),
    };
    let found = from.ancestors().map(|folder| folder.join("bulkhead.toml")).find(|file| file.is_file());
    read(&or_fail(found.ok_or(()), |()| {
        format!(
            "no folder above {} has a bulkhead.toml: put the test's crate below the manifest, or name it in {MANIFEST_VARIABLE}",
            from.display()
        )
    }))
}

/// The manifest in a file.
#[track_caller]
pub(crate) fn read(path: &Path) -> Manifest {
    or_fail(Manifest::read(path), |error| error.to_string())
}

/// The compiled component of a service, built first if necessary. This process does not retry after an error: otherwise each test would
/// wait for the same error.
pub(crate) fn compiled(name: &str, entry: &ServiceSection, manifest: &Path) -> Result<Arc<Compiled>, String> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let made = compiled.entry(entry.source.component(name)).or_insert_with(|| make(name, entry, manifest));
    made.clone()
}

fn make(name: &str, entry: &ServiceSection, manifest: &Path) -> Result<Arc<Compiled>, String> {
    let file = entry.source.component(name);
    let folder = match &entry.source {
        Source::File(_) => components_folder(folder_of(manifest)),
        Source::Crate(folder) => {
            let out_dir = components_folder(folder);
            let request = BuildRequest { service: name.to_owned(), crate_dir: folder.clone() };
            let report = &mut |line: &str| eprintln!("{line}");
            build_if_stale(&request, &out_dir, report).map_err(|error| format!("failed to {error}"))?;
            out_dir
        }
    };
    let bytes =
        std::fs::read(&file).map_err(|error| format!("failed to read {}: {error}", file.display()))?;
    let folder = folder.join("compiled");
    let cache = ComponentCache::open(&folder);
    let file =
        CompiledFile::new(&ENGINE, &cache, &bytes, &file.display()).map_err(|errors| errors.join("\n"))?;
    Ok(Arc::new(Compiled { file, folder }))
}
