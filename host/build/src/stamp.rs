//! Whether a component is as new as what it was made of.
//!
//! Asking cargo takes longer than a test of a component. So a build leaves a *stamp* beside the component: the files that it was made of, as
//! cargo's dep-info has them (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>), and by its own time of change
//! when the build began. The component's own time says nothing: a build that changes nothing in it leaves it as it is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{BuildError, BuildOptions, BuildRequest, build, migrations};

/// Files above a crate that its build goes by.
const ABOVE: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "rust-toolchain", ".cargo/config.toml"];

/// What is known of a component's age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing that it was made of has changed since.
    Fresh,
    /// This has changed since.
    Stale(PathBuf),
    /// This is gone.
    Lacking(PathBuf),
    /// It is not there, or nobody knows what it was made of: another crate, or by other means.
    Unknown,
}

impl Freshness {
    /// Why the component is to be built again: what is to be said of `component` behind its name.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Fresh | Self::Unknown => None,
            Self::Stale(newer) => Some(format!("is older than {}", newer.display())),
            Self::Lacking(gone) => Some(format!("was made of {}, which is gone", gone.display())),
        }
    }
}

/// How old the component of the crate in `crate_dir` is.
#[must_use]
pub fn freshness(crate_dir: &Path, component: &Path) -> Freshness {
    let stamp = beside(component, "built");
    let changed = |file: &Path| fs::metadata(file).and_then(|file| file.modified()).ok();
    let (Some(_), Some(began), Ok(sources)) =
        (changed(component), changed(&stamp), fs::read_to_string(&stamp))
    else {
        return Freshness::Unknown;
    };
    // Checkouts may share a target folder.
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

/// Builds a service's component into `out_dir`, unless it is fresh, and gives its file. Of several processes one builds, and the others wait.
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
    // Until it is dropped. Another process may have built meanwhile.
    let locked = File::create(&lock).map_err(failed("make", &lock))?;
    locked.lock().map_err(failed("lock", &lock))?;
    if !is_fresh() {
        let options = BuildOptions { out_dir: Some(out_dir.to_owned()) };
        build(std::slice::from_ref(request), &options, note)?;
    }
    Ok(component)
}

/// Has a component and its stamp be written by one at a time: until it is dropped.
pub(crate) fn writing(out_dir: &Path, service: &str) -> std::io::Result<File> {
    fs::create_dir_all(out_dir)?;
    let lock = File::create(out_dir.join(format!("{service}.writing")))?;
    lock.lock()?;
    Ok(lock)
}

/// Leaves the stamp of a component that was made of `module` by a build that began then. Where cargo left no dep-info there is none.
pub(crate) fn leave(
    component: &Path,
    crate_dir: &Path,
    module: &Path,
    began: SystemTime,
) -> std::io::Result<()> {
    let Ok(dep_info) = fs::read_to_string(module.with_extension("d")) else { return Ok(()) };
    let sources: Vec<PathBuf> = dependencies(&dep_info).into_iter().map(PathBuf::from).collect();
    // What cargo goes by besides: the manifests of the crates that it is made of, what stands above its own, and the compiler.
    let manifest = manifest_of(crate_dir);
    let above = manifest.ancestors().skip(1).flat_map(|folder| ABOVE.map(|name| folder.join(name)));
    let of_crates = sources.iter().filter_map(|source| {
        source.ancestors().skip(1).map(|folder| folder.join("Cargo.toml")).find(|file| file.is_file())
    });
    // A migration that comes or goes changes the time of its folder.
    let migrations = migrations::folders(manifest.parent().unwrap_or(crate_dir));
    let others: BTreeSet<PathBuf> =
        above.filter(|file| file.is_file()).chain(of_crates).chain(migrations).collect();
    // Where a crate is new cargo writes the lock file, before it builds.
    let locks = others.iter().filter(|file| file.ends_with("Cargo.lock"));
    let written = locks.filter_map(|lock| fs::metadata(lock).and_then(|lock| lock.modified()).ok());
    let began = written.filter(|at| *at <= SystemTime::now()).fold(began, SystemTime::max);
    let lines: Vec<String> = sources.iter().chain(&others).map(|file| file.display().to_string()).collect();
    // Whole, with its time, or not at all.
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

/// The files behind the colon of dep-info, in which a space is escaped by a backslash.
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
    fn files_of_dep_info_are_behind_the_colon() {
        let files = dependencies("/t/libnotes.rlib: /p/a.rs /p/with\\ space.rs\n\n/p/a.rs:\n");
        assert_eq!(files, ["/p/a.rs", "/p/with space.rs"]);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn component_is_fresh_until_what_it_was_made_of_changes_or_goes() {
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
        // A change while it was built may not be in it.
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
