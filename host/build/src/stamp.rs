//! Whether a component is up to date with its inputs.
//!
//! Asking cargo takes longer than a test of a component. So a build leaves a *stamp* beside the component. It lists the input files, as in
//! cargo's dep-info (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>). Its modification time is the time when
//! the build began. The component's own time does not help: a build that does not change the component leaves its time as it is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{BuildError, BuildOptions, BuildRequest, build, migrations};

/// Files in the folders above a crate that its build depends on.
const ABOVE: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "rust-toolchain", ".cargo/config.toml"];

/// The freshness of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// None of its inputs has changed since the build.
    Fresh,
    /// This input has changed since the build.
    Stale(PathBuf),
    /// This input is gone.
    Lacking(PathBuf),
    /// The component does not exist, or its inputs are unknown: another crate, or another tool, built it.
    Unknown,
}

impl Freshness {
    /// Why the component must be built again, as text that follows the name of `component`.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Fresh | Self::Unknown => None,
            Self::Stale(newer) => Some(format!("is older than {}", newer.display())),
            Self::Lacking(gone) => Some(format!("was made of {}, which is gone", gone.display())),
        }
    }
}

/// The freshness of the component of the crate in `crate_dir`.
#[must_use]
pub fn freshness(crate_dir: &Path, component: &Path) -> Freshness {
    let stamp = beside(component, "built");
    let changed = |file: &Path| fs::metadata(file).and_then(|file| file.modified()).ok();
    let (Some(_), Some(began), Ok(sources)) =
        (changed(component), changed(&stamp), fs::read_to_string(&stamp))
    else {
        return Freshness::Unknown;
    };
    // Several checkouts may share a target folder.
    let manifest = manifest_of(crate_dir);
    if !sources.lines().any(|file| Path::new(file) == manifest) {
        return Freshness::Unknown;
    }
    let differs = |file: &str| match changed(Path::new(file)) {
        None => Some(Freshness::Lacking(file.into())),
        Some(at) => (at > began).then(|| Freshness::Stale(file.into())),
    };
    sources.lines().find_map(differs).unwrap_or(Freshness::Fresh)
}

/// Builds a service's component into `out_dir`, unless it is fresh, and returns its file. If several processes call this, one builds and
/// the others wait.
///
/// # Errors
///
/// As [`build`]; [`BuildError::File`] when the folder can't be locked.
pub fn build_if_stale(
    request: &BuildRequest,
    out_dir: &Path,
    note: &mut dyn FnMut(&str),
) -> Result<PathBuf, BuildError> {
    let component = out_dir.join(format!("{}.wasm", request.service));
    let is_fresh = || freshness(&request.crate_dir, &component) == Freshness::Fresh;
    if is_fresh() {
        return Ok(component);
    }
    let failed = |what, file: &Path| {
        let file = file.to_owned();
        move |error| BuildError::File { what, file, error }
    };
    fs::create_dir_all(out_dir).map_err(failed("make", out_dir))?;
    let lock = beside(&component, "lock");
    // Held until it is dropped. Another process may have built the component meanwhile.
    let locked = File::create(&lock).map_err(failed("make", &lock))?;
    locked.lock().map_err(failed("lock", &lock))?;
    if !is_fresh() {
        let options = BuildOptions { out_dir: Some(out_dir.to_owned()) };
        build(std::slice::from_ref(request), &options, note)?;
    }
    Ok(component)
}

/// Lets only one process at a time write a component and its stamp, until the returned file is dropped.
pub(crate) fn writing(out_dir: &Path, service: &str) -> std::io::Result<File> {
    fs::create_dir_all(out_dir)?;
    let lock = File::create(out_dir.join(format!("{service}.writing")))?;
    lock.lock()?;
    Ok(lock)
}

/// Writes the stamp of a component that was encoded from `module` by a build that began at `began`. If cargo left no dep-info, there is no
/// stamp.
pub(crate) fn leave(
    component: &Path,
    crate_dir: &Path,
    module: &Path,
    began: SystemTime,
) -> std::io::Result<()> {
    let Ok(dep_info) = fs::read_to_string(module.with_extension("d")) else { return Ok(()) };
    let sources: Vec<PathBuf> = dependencies(&dep_info).into_iter().map(PathBuf::from).collect();
    // Other inputs of cargo: the manifests of the component's crates, the files in the folders above its own crate, and the compiler.
    let manifest = manifest_of(crate_dir);
    let above = manifest.ancestors().skip(1).flat_map(|folder| ABOVE.map(|name| folder.join(name)));
    let of_crates = sources.iter().filter_map(|source| {
        source.ancestors().skip(1).map(|folder| folder.join("Cargo.toml")).find(|file| file.is_file())
    });
    // A new or removed migration changes the modification time of its folder.
    let migrations = migrations::folders(crate::folder_of(&manifest));
    let others: BTreeSet<PathBuf> =
        above.filter(|file| file.is_file()).chain(of_crates).chain(migrations).collect();
    // For a new crate cargo writes the lock file before it builds.
    let locks = others.iter().filter(|file| file.ends_with("Cargo.lock"));
    let written = locks.filter_map(|lock| fs::metadata(lock).and_then(|lock| lock.modified()).ok());
    let began = written.filter(|at| *at <= SystemTime::now()).fold(began, SystemTime::max);
    let lines: Vec<String> = sources.iter().chain(&others).map(|file| file.display().to_string()).collect();
    // The stamp appears whole, with its time, or not at all.
    let temporary = beside(component, &format!("built.{}", std::process::id()));
    let mut stamp = File::create(&temporary)?;
    stamp.write_all(lines.join("\n").as_bytes())?;
    stamp.set_modified(began)?;
    fs::rename(&temporary, beside(component, "built"))
}

fn beside(component: &Path, extension: &str) -> PathBuf {
    component.with_extension(extension)
}

fn manifest_of(crate_dir: &Path) -> PathBuf {
    crate_dir.canonicalize().unwrap_or_else(|_| crate_dir.to_owned()).join("Cargo.toml")
}

/// The files after the colon of dep-info. In it a backslash escapes a space.
fn dependencies(dep_info: &str) -> Vec<String> {
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
    fn dep_info_files_follow_the_colon() {
        let files = dependencies("/t/libnotes.rlib: /p/a.rs /p/with\\ space.rs\n\n/p/a.rs:\n");
        assert_eq!(files, ["/p/a.rs", "/p/with space.rs"]);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn component_is_fresh_until_an_input_changes_or_disappears() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let (crate_dir, component) = (folder.join("notes"), folder.join("components/notes.wasm"));
        let (manifest, source) = (crate_dir.join("Cargo.toml"), crate_dir.join("src lib.rs"));
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let write = |file: &Path, text: &str, seconds| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
            File::options().append(true).open(file).unwrap().set_modified(time(seconds)).unwrap();
        };
        let module = folder.join("notes.wasm");
        let dep_info = format!("x: {}\n", source.display().to_string().replace(' ', "\\ "));
        write(&module.with_extension("d"), &dep_info, 1);
        write(&manifest, "", 1);
        write(&source, "", 1);
        assert_eq!(freshness(&crate_dir, &component), Freshness::Unknown, "there is none");
        write(&component, "", 9);
        assert_eq!(freshness(&crate_dir, &component), Freshness::Unknown, "it was made by other means");

        leave(&component, &crate_dir, &module, time(5)).unwrap();
        assert_eq!(freshness(&crate_dir, &component), Freshness::Fresh);
        assert_eq!(freshness(&folder.join("other"), &component), Freshness::Unknown, "of another crate");
        // A change during the build may not be in the component.
        write(&source, "", 6);
        assert_eq!(freshness(&crate_dir, &component), Freshness::Stale(source.clone()));
        write(&source, "", 4);
        write(&manifest, "", 6);
        assert_eq!(freshness(&crate_dir, &component), Freshness::Stale(manifest.clone()));
        write(&manifest, "", 1);
        fs::remove_file(&source).unwrap();
        assert_eq!(freshness(&crate_dir, &component), Freshness::Lacking(source));
    }
}
