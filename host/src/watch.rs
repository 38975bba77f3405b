//! `bulkhead up --watch`: builds and deploys what changes on disk.
//!
//! If a file in the folder of a component's crate changes, that component is built and deployed, and no other. If a component file changes,
//! it is deployed. If the manifest changes, it is reloaded. If a build or deploy fails, the error is reported, and the running version
//! still serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use bulkhead_build::{BuildOptions, BuildRequest, build, folder_of};
use bulkhead_manifest::{Manifest, Source, components_folder};
use bulkhead_runtime::supervise::{self, Down, Progress};
use bulkhead_server::application::{Application, DeployOptions, DeployOutcome};
use bulkhead_server::telemetry::{one_line, say};
use bulkhead_types::ServiceName;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How long nothing more may change before the watcher acts: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// The author of these deploys.
const AUTHOR: &str = "watch";

/// Watches until it is dropped.
pub(crate) struct Watch {
    _watcher: RecommendedWatcher,
    stop: Arc<AtomicBool>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Changed {
    Manifest,
    Service(ServiceName),
}

impl Watch {
    /// Starts to watch the files of an application.
    ///
    /// # Errors
    ///
    /// When the system can't watch a folder.
    pub(crate) fn start(application: Arc<Application>) -> anyhow::Result<Self> {
        let manifest = application.manifest();
        let (sender, events) = channel::<Event>();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            // The receiver may have ended. Then it needs no event.
            Ok(event) => drop(sender.send(event)),
            Err(error) => tracing::warn!(%error, "changed files may not be seen"),
        })?;
        let mut folders = BTreeSet::from([(absolute(folder_of(&manifest.path)), false)]);
        for entry in manifest.services.values() {
            folders.insert(match &entry.source {
                Source::Crate(folder) => (absolute(folder), true),
                Source::File(file) => (absolute(folder_of(file)), false),
            });
        }
        for (folder, recursive) in &folders {
            let mode = if *recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            watcher
                .watch(folder, mode)
                .map_err(|error| anyhow::anyhow!("watch {}: {error}", folder.display()))?;
        }
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let run = move |events: &mut Receiver<Event>, progress: &Progress| {
            follow(&application, events, progress);
            if !stopped.load(Ordering::Acquire) {
                tracing::error!("the system tells of changed files no more: restart the host");
                Down::note("watch").for_good();
            }
        };
        supervise::spawn("watch".to_owned(), &stop, events, run, |_, _| {})?;
        tracing::info!(folders = folders.len(), "watching the components' sources and the manifest");
        Ok(Self { _watcher: watcher, stop })
    }
}

/// Handles each change, until the watcher is gone.
fn follow(application: &Arc<Application>, events: &Receiver<Event>, progress: &Progress) {
    while let Ok(event) = events.recv() {
        // A panic at this event must not count as no progress: the next event is another one.
        progress.made();
        supervise::point("turn");
        let mut changed = changes(&application.manifest(), &event);
        loop {
            match events.recv_timeout(QUIET) {
                Ok(event) => changed.extend(changes(&application.manifest(), &event)),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        for what in changed {
            match what {
                Changed::Manifest => reload(application),
                Changed::Service(name) => renew(application, &name),
            }
        }
    }
}

/// What a file system event means for the application.
fn changes(manifest: &Manifest, event: &Event) -> BTreeSet<Changed> {
    if event.need_rescan() {
        // Too many events came at once for the system to report each change.
        let services = manifest.services.keys().cloned().map(Changed::Service);
        return services.chain([Changed::Manifest]).collect();
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return BTreeSet::new();
    }
    event.paths.iter().flat_map(|path| changes_by(manifest, path)).collect()
}

fn changes_by(manifest: &Manifest, path: &Path) -> BTreeSet<Changed> {
    let mut changed = BTreeSet::new();
    if same(path, &manifest.path) {
        changed.insert(Changed::Manifest);
    }
    for (name, entry) in &manifest.services {
        let concerned = match &entry.source {
            Source::File(file) => same(path, file),
            Source::Crate(folder) => is_source(&absolute(folder), path),
        };
        if concerned {
            changed.insert(Changed::Service(name.clone()));
        }
    }
    changed
}

/// Whether the crate in `folder` is built from this file. Hidden files, editors' leftovers and build outputs do not count.
fn is_source(folder: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else { return false };
    let written = ["target", "Cargo.lock"];
    let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    inside != Path::new("")
        && !parts.any(|part| part.starts_with('.') || part.ends_with('~') || written.contains(&part.as_str()))
}

fn reload(application: &Application) {
    match application.reload(&application.maintain()) {
        Ok(reloaded) if reloaded.services.is_empty() => {}
        Ok(reloaded) => {
            tracing::info!(services = ?reloaded.services, "what has changed in the manifest holds")
        }
        Err(error) => tracing::error!(error = one_line(&error), "the manifest was not reloaded"),
    }
}

/// Builds a service's component, if its source is a crate, and deploys it.
fn renew(application: &Arc<Application>, name: &str) {
    let manifest = application.manifest();
    let Some(entry) = manifest.services.get(name) else { return };
    if let Source::Crate(folder) = &entry.source {
        tracing::info!(service = name, "its source has changed: building it");
        let request = BuildRequest { service: name.to_owned(), crate_dir: folder.clone() };
        let options = BuildOptions { out_dir: Some(components_folder(folder)) };
        let mut said = Vec::new();
        if let Err(error) = build(&[request], &options, &mut |line| said.push(line.to_owned())) {
            // The compiler's output is for people, and may have several lines. A log record is one line.
            said.iter().for_each(|line| say(line));
            tracing::error!(service = name, error = one_line(&error), "it can't be built");
            return;
        }
    }
    let path = entry.source.component(name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        // The file is being written. Another event comes when it is whole.
        Err(error) => {
            return tracing::warn!(service = name, file = %path.display(), %error, "it can't be read");
        }
    };
    // A user who watches waits for this change, and not for other requests.
    let options = DeployOptions { allow_pause: true, author: AUTHOR.to_owned(), ..DeployOptions::default() };
    let only = application.maintain();
    match application.deploy(&only, name, &bytes, &options) {
        Ok(deployed) if deployed.outcome == DeployOutcome::Unchanged => {
            tracing::info!(service = name, "the component is the same as before");
        }
        Ok(deployed) => tracing::info!(
            service = name,
            version = deployed.version,
            milliseconds = deployed.milliseconds,
            "what was changed serves"
        ),
        Err(error) if error.serves() => {
            tracing::error!(
                service = name,
                error = one_line(&error),
                "what was changed serves, and its deploy failed in part"
            )
        }
        Err(error) => {
            tracing::error!(service = name, error = one_line(&error), "what was changed does not serve")
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn same(path: &Path, file: &Path) -> bool {
    path.file_name() == file.file_name() && absolute(folder_of(path)) == absolute(folder_of(file))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_source;

    #[test]
    fn output_of_a_build_or_an_editor_is_not_a_source() {
        let folder = Path::new("/shop/components/note");
        for (path, expected) in [
            ("/shop/components/note/src/lib.rs", true),
            ("/shop/components/note/migrations/V0002__add_mood.sql", true),
            ("/shop/components/note/Cargo.toml", true),
            ("/shop/components/note", false),
            ("/shop/components/note/target/release/x.d", false),
            ("/shop/components/note/Cargo.lock", false),
            ("/shop/components/note/src/.lib.rs.swp", false),
            ("/shop/components/note/src/lib.rs~", false),
            ("/shop/components/notebook/src/lib.rs", false),
        ] {
            assert_eq!(is_source(folder, Path::new(path)), expected, "{path}");
        }
    }
}
