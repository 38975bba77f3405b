//! Compiled components, which all sites share: nearly each test starts a host, and to compile the shop takes seconds.
//!
//! The host names such a file by the component, by wasmtime's version and settings and by the CPU, so one that is there fits.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::paths;

/// So many are kept, the newest. The components of all tests are about twenty.
const MOST: usize = 100;

/// Puts what earlier hosts compiled into the data folder of a new site.
pub(crate) fn bring(data: &Path) {
    let Some(shared) = shared() else { return };
    let cache = data.join("cache");
    fs::DirBuilder::new().mode(0o700).create(&cache).expect("a folder can be made in a new site");
    for path in files(&shared) {
        share(&path, &cache);
    }
}

/// Keeps what a host has compiled.
pub(crate) fn keep(data: &Path) {
    let Some(shared) = shared() else { return };
    let new: Vec<PathBuf> = files(&data.join("cache"))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| !shared.join(name).exists()))
        .collect();
    if new.is_empty() {
        return;
    }
    new.iter().for_each(|path| share(path, &shared));
    let written = |path: &PathBuf| {
        fs::metadata(path).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let mut all = files(&shared);
    all.sort_by_key(|path| std::cmp::Reverse(written(path)));
    for path in all.iter().skip(MOST) {
        // Another test may have removed it.
        let _ = fs::remove_file(path);
    }
}

/// Where they are, if there is a target folder.
fn shared() -> Option<PathBuf> {
    let folder = paths::target()?.join("tmp/compiled");
    fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

/// Has the file in `folder` too, whole or not at all. Tests run at the same time: another may have put it there, or removed it here.
fn share(path: &Path, folder: &Path) {
    let Some(name) = path.file_name() else { return };
    let to = folder.join(name);
    if fs::hard_link(path, &to).is_ok() || to.exists() {
        return;
    }
    // The two are on different file systems.
    let temporary = folder.join(format!("{}.new", std::process::id()));
    if fs::copy(path, &temporary).is_ok() {
        let _ = fs::rename(&temporary, &to);
    }
}
