//! Whether a component is as new as what it is built from.
//!
//! A build that changes nothing in a component leaves the file's time as it is, so its core module is looked at as well, which cargo
//! writes anew. Beside the module cargo leaves a list of all files that went into it (a `.d` file, as make reads it): the SDK and other
//! crates are in it. Where there is no module yet, the crate's own folder is looked at alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::fresh::dependencies;
use crate::toolchain::TARGET;

/// Whether a file is one that the crate in `folder` is built from: hidden ones, what editors leave and what a build writes are not.
pub fn is_source(folder: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else { return false };
    let written = ["target", "Cargo.lock"];
    let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    inside != Path::new("")
        && !parts.any(|part| part.starts_with('.') || part.ends_with('~') || written.contains(&part.as_str()))
}

/// A file that was changed since the component was built from the crate in `crate_dir`; none where the component is as new as all of
/// them, or can't be read.
pub fn newer_source(crate_dir: &Path, component: &Path) -> Option<PathBuf> {
    let mut built = modified(component)?;
    let target_dir = component.parent()?.parent()?;
    let mut sources = own_sources(crate_dir);
    if let Some(module) = module(crate_dir, target_dir) {
        built = built.max(modified(&module)?);
        sources.extend(
            fs::read_to_string(module.with_extension("d"))
                .iter()
                .flat_map(|text| dependencies(text))
                .map(PathBuf::from),
        );
    }
    let dated = sources.into_iter().filter_map(|source| Some((modified(&source)?, source)));
    dated.filter(|(time, _)| *time > built).max().map(|(_, source)| source)
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// The core module of a crate, of whichever profile is the newest.
fn module(crate_dir: &Path, target_dir: &Path) -> Option<PathBuf> {
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(crate_dir.join("Cargo.toml")).ok()?).ok()?;
    let name = |section: &str| manifest.get(section)?.get("name")?.as_str();
    let name = name("lib").or_else(|| name("package"))?.replace('-', "_");
    let profiles = fs::read_dir(target_dir.join("guest").join(TARGET)).ok()?.flatten();
    let modules = profiles.map(|profile| profile.path().join(format!("{name}.wasm")));
    modules.filter(|module| module.is_file()).max_by_key(|module| modified(module))
}

/// The files in a crate's folder that it may be built from. What its tests are made of is not.
fn own_sources(crate_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![crate_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !is_source(crate_dir, &path) || path == crate_dir.join("tests") {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(_) => found.push(path),
                Err(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    /// Writes a file that was changed at this second of a day.
    fn write(file: &Path, text: &str, second: u64) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
        File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_component_is_stale_when_a_file_of_its_crate_was_changed_later() {
        let folder = tempfile::tempdir().unwrap();
        let (crate_dir, component) =
            (folder.path().join("greeter"), folder.path().join("target/components/greeter.wasm"));
        let newer = || newer_source(&crate_dir, &component);
        write(&crate_dir.join("src/lib.rs"), "", 10);
        assert_eq!(newer(), None, "there is no component");
        write(&component, "", 20);
        assert_eq!(newer(), None);
        write(&crate_dir.join("tests/greeter.rs"), "", 30);
        write(&crate_dir.join(".lib.rs.swp"), "", 30);
        write(&crate_dir.join("target/x"), "", 30);
        assert_eq!(newer(), None, "none of these goes into it");
        write(&crate_dir.join("migrations/V0002__add_name.sql"), "", 30);
        assert_eq!(newer(), Some(crate_dir.join("migrations/V0002__add_name.sql")));
    }

    #[test]
    fn a_build_that_changed_nothing_makes_it_fresh_and_another_crate_that_it_is_made_of_stale() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (crate_dir, component) = (root.join("greeter"), root.join("target/components/greeter.wasm"));
        let module = root.join("target/guest").join(TARGET).join("guest/the_greeter.wasm");
        write(&crate_dir.join("Cargo.toml"), "[package]\nname = 'the-greeter'", 30);
        write(&component, "", 20);
        write(&module, "", 40);
        let sdk = root.join("the sdk/lib.rs");
        let list = format!("{}: {}\n", module.display(), sdk.display().to_string().replace(' ', "\\ "));
        write(&module.with_extension("d"), &list, 40);
        write(&sdk, "", 35);
        assert_eq!(newer_source(&crate_dir, &component), None);
        write(&sdk, "", 45);
        assert_eq!(newer_source(&crate_dir, &component), Some(sdk));
    }
}
