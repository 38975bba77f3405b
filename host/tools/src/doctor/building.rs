//! Checks what builds guests: the toolchain, its compiler, and the crates that bind guests to this host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulkhead_build::{Bindings, RUSTC_MINIMUM, Toolchain, WIT_BINDGEN};
use bulkhead_manifest::{Manifest, Source};

use super::Check;

/// The checks for the workspace in `folder`. If every service is already a component file, nothing needs to be built.
pub(super) fn checks(folder: &Path, manifest: Option<&Manifest>) -> Vec<Check> {
    let crates: Option<Vec<&PathBuf>> = manifest.map(|manifest| {
        let sources = manifest.services.values().map(|entry| &entry.source);
        sources
            .filter_map(|source| if let Source::Crate(folder) = source { Some(folder) } else { None })
            .collect()
    });
    let nothing_to_build = crates.as_ref().is_some_and(Vec::is_empty);
    let lacking = if nothing_to_build { Check::warning } else { Check::wrong };
    let mut checks = Vec::new();
    match Toolchain::find(folder) {
        Ok(toolchain) => {
            checks.push(Check::ok("toolchain", format!("guests are built by {}", toolchain.describe())));
            checks.push(rustc(toolchain.rustc_version(folder), lacking));
        }
        Err(error) => checks.push(lacking("toolchain", error.lack(), error.remedy())),
    }
    // Each workspace has one lock file.
    let locks: BTreeSet<PathBuf> =
        crates.into_iter().flatten().filter_map(|folder| lock_of(folder)).collect();
    checks.extend(locks.iter().filter_map(|lock| bindings(lock, &std::fs::read_to_string(lock).ok()?)));
    checks
}

fn rustc(version: Option<(u32, u32)>, lacking: fn(&'static str, String, String) -> Check) -> Check {
    let (major, minor) = RUSTC_MINIMUM;
    let remedy =
        format!("install rustc {major}.{minor} or newer: rustup update, or a channel in rust-toolchain.toml");
    match version {
        Some(version) if version >= RUSTC_MINIMUM => {
            Check::ok("rustc", format!("{}.{} ({major}.{minor} or newer will do)", version.0, version.1))
        }
        Some(version) => {
            let found = format!("{}.{}, and guests need {major}.{minor} or newer", version.0, version.1);
            lacking("rustc", found, remedy)
        }
        None => lacking("rustc", "it does not say its version".to_owned(), remedy),
    }
}

fn lock_of(crate_dir: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(crate_dir).ok()?;
    absolute.ancestors().map(|above| above.join("Cargo.lock")).find(|lock| lock.is_file())
}

/// The crates that bind a workspace's guests to the host. None if its lock file does not show them.
fn bindings(lock: &Path, text: &str) -> Option<Check> {
    let bindings = Bindings::of_lock(text)?;
    let Bindings { sdk, wit_bindgen } = &bindings;
    let found = format!("bulkhead-sdk {sdk} with wit-bindgen {wit_bindgen}, by {}", lock.display());
    if bindings.fit() {
        return Some(Check::ok("bindings", found));
    }
    let remedy = format!(
        "this host reads what wit-bindgen {WIT_BINDGEN} writes: take the SDK that came with it, or put \
         wit-bindgen back to ={WIT_BINDGEN} where the SDK is built"
    );
    Some(Check::wrong("bindings", found, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_compiler_is_new_enough_from_the_minimum_on() {
        let (major, minor) = RUSTC_MINIMUM;
        let state = |version| rustc(version, Check::wrong).state;
        assert_eq!(state(Some((major, minor))), State::Ok);
        assert_eq!(state(Some((major + 1, 0))), State::Ok);
        assert_eq!(state(Some((major, minor - 1))), State::Wrong);
        assert_eq!(state(None), State::Wrong);
        assert_eq!(rustc(None, Check::warning).state, State::Warning);
    }

    #[test]
    fn bindings_that_this_host_cannot_read_are_wrong() {
        let lock = |version: &str| {
            format!(
                "[[package]]\nname = 'bulkhead-sdk'\nversion = '0.1.0'\ndependencies = ['wit-bindgen']\n\
                 [[package]]\nname = 'wit-bindgen'\nversion = '{version}'\n"
            )
        };
        let state = |text: &str| bindings(Path::new("Cargo.lock"), text).map(|check| check.state);
        assert_eq!(state(&lock(WIT_BINDGEN)), Some(State::Ok));
        assert_eq!(state(&lock("0.61.1")), Some(State::Wrong));
        assert_eq!(state("version = 4"), None);
    }
}
