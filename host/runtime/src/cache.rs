//! Compiled components, kept between two starts.
//!
//! wasmtime trusts a compiled file: anybody who can write one can run code in the host. So the folder is the owner's alone, it has only
//! files that this host wrote, and a folder that others may write to is not used.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::compute::give_way;
use crate::engine::Engine;
use crate::version::Version;

/// How long to wait for another process that compiles the same component.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// How often to check whether that process has ended.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// A folder of compiled components.
pub struct ComponentCache {
    folder: Option<PathBuf>,
    /// The threads that compile, if not the caller's own.
    pool: Option<rayon::ThreadPool>,
}

impl ComponentCache {
    /// The cache in `folder`, which is created if it is missing. If the folder can't be used, a log line says why, and every component is
    /// compiled at every start.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let usable = prepare(folder);
        if let Err(reason) = &usable {
            tracing::warn!(folder = %folder.display(), reason, "compiled components are not kept");
        }
        Self { folder: usable.is_ok().then(|| folder.to_owned()), pool: None }
    }

    /// The cache in `folder`, if the folder exists and can be used. Nothing is created except compiled components.
    #[must_use]
    pub fn existing(folder: &Path) -> Self {
        Self { folder: Self::check(folder).is_ok().then(|| folder.to_owned()), pool: None }
    }

    /// Whether compiled components can be kept in an existing folder.
    ///
    /// # Errors
    ///
    /// Why not, and what to do.
    pub fn check(folder: &Path) -> Result<(), String> {
        // The folder must not be a link, and its owner must be the user who creates files in it.
        let metadata = fs::symlink_metadata(folder).map_err(|error| error.to_string())?;
        let probe = folder.join(format!("{}.probe", std::process::id()));
        let owner = fs::File::create(&probe).and_then(|file| file.metadata()).map(|file| file.uid());
        let _ = fs::remove_file(&probe);
        let owner = owner.map_err(|error| format!("no file can be made in the folder: {error}"))?;
        if !metadata.is_dir() || metadata.uid() != owner || metadata.mode() & 0o022 != 0 {
            return Err(
                "the folder is to be this user's own, and nobody else may write to it: remove it".to_owned()
            );
        }
        Ok(())
    }

    /// Like [`Self::open`], but compiles on one thread that gives way to all others: for a host that serves meanwhile.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn gentle(folder: &Path) -> std::io::Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "compile".to_owned())
            .start_handler(|_| give_way())
            .build();
        let pool = pool.map_err(std::io::Error::other)?;
        Ok(Self { pool: Some(pool), ..Self::open(folder) })
    }

    /// Does `work` on the thread that gives way, if there is one.
    pub fn gently<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// The component of these bytes, which have that version.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        bytes: &[u8],
        version: &Version,
    ) -> wasmtime::Result<Component> {
        self.gently(|| self.load_here(engine, bytes, version))
    }

    fn load_here(&self, engine: &Engine, bytes: &[u8], version: &Version) -> wasmtime::Result<Component> {
        let wasmtime = engine.wasmtime();
        let Some(folder) = &self.folder else {
            return Component::from_binary(wasmtime, bytes);
        };
        // The key has the component and everything in the engine that a compiled file depends on: its version, its settings, the CPU.
        let mut compatibility = DefaultHasher::new();
        wasmtime.precompile_compatibility_hash().hash(&mut compatibility);
        let mut key = Sha256::new();
        key.update(version.sha256());
        key.update(compatibility.finish().to_be_bytes());
        let name: String = key.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("{name}.cwasm"));

        if let Some(component) = kept(wasmtime, &path) {
            return Ok(component);
        }
        // Held until it is dropped: of several processes one compiles, and the others find what it has stored.
        let lock = locked(&path.with_extension("lock"), Instant::now() + LOCK_PATIENCE);
        if lock.is_some()
            && let Some(component) = kept(wasmtime, &path)
        {
            return Ok(component);
        }
        let compiled = wasmtime.precompile_component(bytes)?;
        match store(folder, &path, &compiled) {
            // Loaded from the file, its code is mapped and shared with the system's cache, not on the heap.
            // SAFETY: as above.
            Ok(()) => unsafe { Component::deserialize_file(wasmtime, &path) },
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a compiled component could not be kept");
                // SAFETY: the bytes are what this engine's `precompile_component` just gave.
                unsafe { Component::deserialize(wasmtime, &compiled) }
            }
        }
    }
}

/// The lock of a process that compiles a component; other processes wait for it. None if it can't be had until then, or at all. A process
/// without the lock compiles anyway.
fn locked(path: &Path, until: Instant) -> Option<fs::File> {
    let lock = fs::File::create(path).ok()?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Some(lock),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOCK_LOOK),
            Err(_) => return None,
        }
    }
}

/// The compiled component in a file, if the file exists and fits this engine.
fn kept(wasmtime: &wasmtime::Engine, path: &Path) -> Option<Component> {
    if !path.exists() {
        return None;
    }
    // SAFETY: the file is in a folder that only this user may write to (`prepare`), under a name that `store` alone
    // writes, whole, from what `precompile_component` gave an engine like this one.
    match unsafe { Component::deserialize_file(wasmtime, path) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a compiled component can't be used");
            None
        }
    }
}

fn prepare(folder: &Path) -> Result<(), String> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| format!("the folder can't be made: {error}"))?;
    ComponentCache::check(folder)
}

/// Writes the file whole or not at all.
fn store(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = folder.join(format!("{}.new", std::process::id()));
    let mut file =
        fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use bulkhead_types::limits::MEMORY_DEFAULT;

    use super::*;
    use crate::trial::EMPTY;

    #[test]
    fn lock_has_one_holder_and_others_wait_until_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let soon = || Instant::now() + Duration::from_secs(60);
        let held = locked(&path, soon()).unwrap();
        let (began, patience) = (Instant::now(), 4 * LOCK_LOOK);
        assert!(locked(&path, began + patience).is_none());
        assert!(began.elapsed() >= patience);
        let waiting = thread::spawn({
            let path = path.clone();
            move || locked(&path, soon()).is_some()
        });
        drop(held);
        assert!(waiting.join().unwrap());
        assert!(locked(&folder.path().join("no/such/folder"), soon()).is_none());
    }

    #[test]
    fn folder_is_used_only_if_nobody_else_can_write_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("of/the/host");
        assert!(ComponentCache::check(&folder).is_err(), "it is missing");
        prepare(&folder).unwrap();
        for (mode, is_good) in [(0o700, true), (0o755, true), (0o720, false), (0o702, false)] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            for checked in [ComponentCache::check(&folder), prepare(&folder)] {
                assert_eq!(checked.is_ok(), is_good, "{mode:o}: {checked:?}");
            }
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing is left of the look");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(ComponentCache::check(&link).is_err());
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(prepare(&file).is_err());
    }

    #[test]
    fn compiled_component_is_used_only_if_its_file_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(4, MEMORY_DEFAULT).unwrap();
        let path = folder.path().join("a.cwasm");
        assert!(kept(engine.wasmtime(), &path).is_none());
        let compiled = engine.wasmtime().precompile_component(EMPTY).unwrap();
        store(folder.path(), &path, &compiled).unwrap();
        assert!(kept(engine.wasmtime(), &path).is_some());
        // What is mapped stays whole: another file replaces it.
        store(folder.path(), &path, &compiled[..compiled.len() / 2]).unwrap();
        assert!(kept(engine.wasmtime(), &path).is_none());
    }

    /// Serving has the processor first: one thread compiles, with the lowest priority.
    #[test]
    fn gentle_cache_compiles_on_a_single_thread() {
        let folder = tempfile::tempdir().unwrap();
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(ComponentCache::gentle(folder.path()).unwrap().gently(name).as_deref(), Some("compile"));
        assert_eq!(ComponentCache::open(folder.path()).gently(name), name());
    }
}
