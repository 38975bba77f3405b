//! Building what is not fresh: for tests, each of which asks for its component.
//!
//! Asking cargo whether a component is fresh takes longer than a test. So a build leaves a *stamp* beside the component: the files that it
//! was made of, as cargo's dep-info has them (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>), and by its own
//! time of change when it began. What has changed since then is built again, by one process while the others wait.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{BuildError, BuildOptions, BuildRequest, Built, build};

/// Builds a service's component into `out_dir`, unless it is there and nothing that it is made of has changed since; gives its file.
///
/// # Errors
///
/// As [`build`]; [`BuildError::File`] when the stamp can't be locked or written.
pub fn build_if_stale(
    request: &BuildRequest,
    out_dir: &Path,
    note: &mut dyn FnMut(&str),
) -> Result<PathBuf, BuildError> {
    let file = |extension: &str| out_dir.join(format!("{}.{extension}", request.service));
    let (component, stamp, lock) = (file("wasm"), file("built"), file("lock"));
    let is_fresh = || is_fresh(&component, &stamp, &request.crate_dir);
    if is_fresh() {
        return Ok(component);
    }
    let failed = |what, file: &Path| {
        let file = file.to_owned();
        move |error| BuildError::File { what, file, error }
    };
    fs::create_dir_all(out_dir).map_err(failed("make", out_dir))?;
    // Until it is dropped. Another process may have built meanwhile.
    let locked = File::create(&lock).map_err(failed("make", &lock))?;
    locked.lock().map_err(failed("lock", &lock))?;
    if is_fresh() {
        return Ok(component);
    }
    let began = SystemTime::now();
    let options = BuildOptions { out_dir: Some(out_dir.to_owned()) };
    let built = build(std::slice::from_ref(request), &options, note)?;
    let sources = built.first().map(|built| sources(request, built)).unwrap_or_default();
    let write = || {
        let mut stamp = File::create(&stamp)?;
        std::io::Write::write_all(&mut stamp, sources.join("\n").as_bytes())?;
        stamp.set_modified(began)
    };
    write().map_err(failed("write", &stamp))?;
    Ok(component)
}

/// Whether the component was made of this crate, and nothing that it was made of is newer than the beginning of its build.
fn is_fresh(component: &Path, stamp: &Path, crate_dir: &Path) -> bool {
    let changed = |file: &Path| fs::metadata(file).and_then(|file| file.modified()).ok();
    let (Some(_), Some(began), Ok(sources)) = (changed(component), changed(stamp), fs::read_to_string(stamp))
    else {
        return false;
    };
    // Checkouts may share a target folder.
    let manifest = manifest_of(crate_dir);
    sources.lines().any(|file| Path::new(file) == manifest)
        && sources.lines().all(|file| changed(Path::new(file)).is_some_and(|at| at < began))
}

fn manifest_of(crate_dir: &Path) -> PathBuf {
    crate_dir.canonicalize().unwrap_or_else(|_| crate_dir.to_owned()).join("Cargo.toml")
}

/// The files that a component was made of. None are known where cargo left no dep-info: then it is never fresh.
fn sources(request: &BuildRequest, built: &Built) -> Vec<String> {
    let Ok(dep_info) = fs::read_to_string(built.module.with_extension("d")) else { return Vec::new() };
    let mut sources = dependencies(&dep_info);
    // What cargo goes by besides: that of the crate, and those of its workspace.
    let manifest = manifest_of(&request.crate_dir);
    let manifests = manifest
        .ancestors()
        .skip(1)
        .flat_map(|folder| ["Cargo.toml", "Cargo.lock"].map(|name| folder.join(name)));
    sources.extend(manifests.filter(|file| file.is_file()).map(|file| file.display().to_string()));
    sources
}

/// The files behind the colon of dep-info, in which a space is escaped by a backslash.
pub(crate) fn dependencies(dep_info: &str) -> Vec<String> {
    let line = dep_info.lines().next().unwrap_or_default();
    let Some((_, files)) = line.split_once(": ") else { return Vec::new() };
    let kept = files.replace("\\ ", "\0");
    kept.split(' ').filter(|file| !file.is_empty()).map(|file| file.replace('\0', " ")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files_of_dep_info_are_behind_the_colon() {
        let files = dependencies("/t/libnotes.rlib: /p/a.rs /p/with\\ space.rs\n\n/p/a.rs:\n");
        assert_eq!(files, ["/p/a.rs", "/p/with space.rs"]);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn component_is_fresh_until_a_source_changes_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().canonicalize().unwrap().join(name);
        let (component, stamp, source) = (file("a.wasm"), file("a.built"), file("Cargo.toml"));
        let at = |path: &Path, seconds| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
        };
        let fresh = || is_fresh(&component, &stamp, folder.path());
        assert!(!fresh(), "there is none");
        fs::write(&component, b"").unwrap();
        fs::write(&source, b"").unwrap();
        fs::write(&stamp, source.to_str().unwrap()).unwrap();
        at(&source, 1);
        at(&stamp, 2);
        assert!(fresh());
        assert!(!is_fresh(&component, &stamp, Path::new("/another")), "it was made of another crate");
        at(&source, 2);
        assert!(!fresh(), "it changed when the build began, or later");
        at(&source, 1);
        fs::write(&stamp, format!("{}\n{}", source.display(), file("b.rs").display())).unwrap();
        at(&stamp, 2);
        assert!(!fresh(), "a source has gone");
        fs::write(&stamp, "").unwrap();
        assert!(!fresh(), "nobody knows what it was made of");
    }
}
