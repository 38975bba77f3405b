//! The versions of the services' components: their files, and which version runs.
//!
//! The active version is a row of the service's own database (`bulkhead_store::Versions`). This module keeps the files that such rows
//! name. Each file is named by its hash, is whole, and is on disk before its row.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead_build::folder_of;
use bulkhead_manifest::{ServiceSection, Source};
use bulkhead_runtime::Version;
use bulkhead_store::{Activation, Database, How};
use bulkhead_types::{Clock as _, SystemClock, limits, rfc3339};

use super::files::{self, UNFINISHED};
use crate::database_engine;

/// The number of activations that are searched for earlier versions.
pub(super) const HISTORY: u32 = 10_000;

/// The component that a service runs from a start on.
pub(super) struct Chosen {
    pub(super) bytes: Vec<u8>,
    /// Set if this version was not the active one before. It is recorded when the database has the version's schema.
    pub(super) activation: Option<Activation>,
}

/// The folder of the components that are or were active.
pub(super) struct VersionFiles {
    folder: PathBuf,
}

impl VersionFiles {
    pub(super) fn new(data: &Path) -> Self {
        Self { folder: data.join("versions") }
    }

    /// The folder of a service.
    pub(super) fn of(&self, service: &str) -> PathBuf {
        self.folder.join(service)
    }

    /// The file of a version.
    pub(super) fn path(&self, service: &str, version: &Version) -> PathBuf {
        self.of(service).join(format!("{}.wasm", version.sha256()))
    }

    /// Creates the folder of a service.
    pub(super) fn make(&self, service: &str) -> std::io::Result<PathBuf> {
        let folder = self.of(service);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(folder)
    }

    /// Keeps a component, durably, unless it already exists.
    pub(super) fn keep(&self, service: &str, version: &Version, bytes: &[u8]) -> Result<(), String> {
        let path = self.path(service, version);
        // An existing file may be damaged by a disk failure, so its bytes are compared.
        let is_there = fs::read(&path).is_ok_and(|there| there == bytes);
        let write = || {
            let folder = self.make(service)?;
            if !is_there {
                files::replace(&path, bytes)?;
            }
            // Syncs the folder of the file, even if the file existed, and the parent folders, which may be new as well.
            let folders = [folder.as_path(), &self.folder, folder_of(&self.folder)];
            folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| format!("keep the component as {}: {error}", path.display()))
    }

    /// The component of a version.
    pub(super) fn read(&self, service: &str, version: &Version) -> Result<Vec<u8>, String> {
        let path = self.path(service, version);
        let bytes = fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
        if Version::of(&bytes) == *version {
            Ok(bytes)
        } else {
            Err(format!("{} is not what was deployed: it was altered", path.display()))
        }
    }

    /// Whether the file of a version exists.
    pub(super) fn has(&self, service: &str, version: &Version) -> bool {
        self.path(service, version).is_file()
    }

    /// Removes all but the last active versions, the current one included. `activations` has the newest first.
    pub(super) fn prune(&self, service: &str, activations: &[Activation]) {
        let mut kept: Vec<&str> = Vec::new();
        for activation in activations {
            if kept.len() < limits::VERSIONS_KEPT && !kept.contains(&activation.sha256.as_str()) {
                kept.push(&activation.sha256);
            }
        }
        let Ok(entries) = fs::read_dir(self.of(service)) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            // The unfinished file of a killed process is removed as well.
            if extension == UNFINISHED || (extension == "wasm" && !kept.contains(&name)) {
                remove(&path);
            }
        }
    }

    /// The component that a service runs from a start on. It is the active version, unless the manifest's source has changed since that
    /// version was activated. So a deployed version stays, and a newer build is used.
    pub(super) fn choose(
        &self,
        name: &str,
        entry: &ServiceSection,
        active: Option<Activation>,
    ) -> Result<Chosen, Vec<String>> {
        let source = read_source(name, entry);
        let Some(active) = active else {
            let bytes = source.map_err(|error| vec![error])?;
            let activation = started(&Version::of(&bytes));
            return Ok(Chosen { bytes, activation: Some(activation) });
        };
        if let Ok(bytes) = source {
            let version = Version::of(&bytes);
            if version.sha256() == active.sha256 {
                // The source is now the deployed version. From here on a different source is a new version.
                let is_known = active.source == active.sha256;
                return Ok(Chosen { bytes, activation: (!is_known).then(|| started(&version)) });
            }
            if version.sha256() != active.source {
                return Ok(Chosen { activation: Some(started(&version)), bytes });
            }
        }
        let kept = Version::from_sha256(&active.sha256)
            .ok_or_else(|| format!("the active version {:?} is no SHA-256", active.sha256))
            .and_then(|version| self.read(name, &version));
        let bytes = kept.map_err(|error| {
            vec![format!(
                "the version that was deployed at {} can't be started: {error}; put the file back, or build its source again to run that",
                active.at
            )]
        })?;
        Ok(Chosen { bytes, activation: None })
    }
}

fn started(version: &Version) -> Activation {
    Activation {
        sha256: version.sha256().to_owned(),
        source: version.sha256().to_owned(),
        how: How::Start,
        author: String::new(),
        note: String::new(),
        at: rfc3339(SystemClock.now()),
    }
}

/// The component at the manifest's source.
pub(super) fn read_source(name: &str, entry: &ServiceSection) -> Result<Vec<u8>, String> {
    let path = entry.source.component(name);
    fs::read(&path).map_err(|error| {
        let remedy = match &entry.source {
            Source::Crate(_) => format!("build it with `bulkhead build {name}`"),
            Source::File(_) => "name the component's file in `source`".to_owned(),
        };
        format!("read its component {}: {error}; {remedy}", path.display())
    })
}

/// Removes a file that is no longer needed.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "an old version could not be removed");
    }
}

/// The database that records the active version of a service without its own database. It has the host's tables only, and the service can't
/// access it.
pub(super) fn version_database(files: &VersionFiles, service: &str) -> Result<Arc<dyn Database>, String> {
    let folder =
        files.make(service).map_err(|error| format!("make {}: {error}", files.of(service).display()))?;
    let settings =
        bulkhead_store::Settings { path: folder.join("versions.db"), storage: limits::STORAGE_DEFAULT };
    let database = database_engine().open(settings, Arc::new(SystemClock));
    database.map(|database| database as _).map_err(|error| error.to_string())
}
