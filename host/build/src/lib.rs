//! The engine of `bulkhead build`: it turns the crates of services into component files.
//!
//! A service is an ordinary Rust library of type `cdylib`. [`build`] finds a toolchain that can build it ([`Toolchain::find`]). It runs
//! cargo once for each workspace, encodes each core module as a component ([`encode()`]), and checks that it imports nothing that a service
//! may not have ([`check_imports`]). Then it writes the component to `target/components/NAME.wasm`, with a stamp beside it that lists its
//! inputs ([`freshness`]).
//!
//! Invariants: nothing here compiles or runs WebAssembly (`bulkhead-runtime` does), and nothing reads Bulkhead's manifest.
//! [`check_imports`] accepts any bytes without a panic, because the host calls it for files that it did not build.

mod bindings;
mod compile;
mod encode;
mod error;
mod imports;
mod migrations;
mod place;
mod stamp;
mod statements;
mod toolchain;
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use bindings::{Bindings, WIT_BINDGEN};
pub use encode::{EncodeError, encode};
pub use error::BuildError;
pub use imports::{INTERFACES, Imports, ImportsError, check_imports};
pub use place::folder_of;
pub use stamp::{Freshness, build_if_stale, freshness};
pub use statements::statements;
pub use toolchain::{NoToolchain, RUSTC_MINIMUM, TARGET, TOOLCHAIN_VARIABLE, Toolchain, Way};
use workspace::{Package, Workspace};

/// A service to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// Its name in the manifest, and the component's file name.
    pub service: String,
    /// The folder of its crate.
    pub crate_dir: PathBuf,
}

/// How to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// The folder for the components. The default is `components` in the target folder of each crate's workspace.
    pub out_dir: Option<PathBuf>,
}

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The service's name in the manifest.
    pub service: String,
    /// The component's file.
    pub component: PathBuf,
    /// The file's size in bytes.
    pub size: usize,
    /// Whether the file is new or has changed.
    pub changed: bool,
    /// Its imports and exports.
    pub imports: Imports,
}

/// The services whose crates are in one workspace.
struct Group<'a> {
    workspace: Workspace,
    toolchain: Toolchain,
    members: Vec<Member<'a>>,
}

/// A service and its crate.
struct Member<'a> {
    /// Its index in the requests.
    index: usize,
    service: &'a str,
    crate_dir: &'a Path,
    package: Package,
}

/// Builds the services, with one run of cargo for each workspace. Returns the components in the order of the requests.
///
/// cargo's output goes to standard error immediately. `note` gets one line for people before each run: the toolchain that builds.
pub fn build(
    requests: &[BuildRequest],
    options: &BuildOptions,
    note: &mut dyn FnMut(&str),
) -> Result<Vec<Built>, BuildError> {
    // Everything that can be refused without compiling is refused before the first crate is compiled.
    let groups = grouped(requests)?;
    let began = SystemTime::now();
    let mut built: Vec<(usize, Built)> = Vec::with_capacity(requests.len());
    for Group { workspace, toolchain, members } in &groups {
        note(&format!("guests are built by {}", toolchain.describe()));
        let packages = distinct(members);
        let modules = compile::compile(workspace, &packages, toolchain)?;
        let out_dir = options.out_dir.clone().unwrap_or_else(|| workspace.target_dir.join("components"));
        for member in members {
            let module = modules.get(&member.package.id).ok_or_else(|| BuildError::Cargo {
                packages: member.package.name.clone(),
                reason: "cargo made no WebAssembly file for it".to_owned(),
            })?;
            let Member { index, service, crate_dir, .. } = member;
            let made = component(service, (crate_dir, module), &out_dir, began)?;
            built.push((*index, made));
        }
    }
    built.sort_by_key(|(index, _)| *index);
    Ok(built.into_iter().map(|(_, built)| built).collect())
}

/// Finds each service's crate, workspace and toolchain.
fn grouped(requests: &[BuildRequest]) -> Result<Vec<Group<'_>>, BuildError> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, BuildRequest { service, crate_dir }) in requests.iter().enumerate() {
        if !is_file_name(service) {
            return Err(BuildError::ServiceName(service.clone()));
        }
        let file = crate_dir.join("Cargo.toml");
        let no_crate = || BuildError::NoCrate { service: service.clone(), file: file.clone() };
        // The path as cargo writes it: absolute, without symbolic links.
        let dir = crate_dir.canonicalize().map_err(|_| no_crate())?;
        if !file.is_file() {
            return Err(no_crate());
        }
        let known = groups
            .iter()
            .enumerate()
            .find_map(|(group, known)| Some((group, known.workspace.package_in(&dir)?.clone())));
        let (group, package) = match known {
            Some(known) => known,
            None => {
                let toolchain = Toolchain::find(&dir)?;
                let workspace = Workspace::of(&dir, &toolchain)?;
                let package = workspace.package_in(&dir).cloned().ok_or_else(no_crate)?;
                groups.push(Group { workspace, toolchain, members: Vec::new() });
                (groups.len() - 1, package)
            }
        };
        if !package.is_cdylib() {
            return Err(BuildError::NotCdylib { service: service.clone(), package: package.name, file });
        }
        if let Some(group) = groups.get_mut(group) {
            group.members.push(Member { index, service, crate_dir, package });
        }
    }
    Ok(groups)
}

/// The packages to compile, each once: two services may be built from one crate.
fn distinct<'a>(members: &'a [Member<'_>]) -> Vec<&'a Package> {
    let mut packages: Vec<&Package> = members.iter().map(|member| &member.package).collect();
    packages.sort_by(|a, b| a.id.cmp(&b.id));
    packages.dedup_by(|a, b| a.id == b.id);
    packages
}

/// Encodes, checks and writes the component of one service, and the stamp beside it.
fn component(
    service: &str,
    (crate_dir, module): (&Path, &Path),
    out_dir: &Path,
    began: SystemTime,
) -> Result<Built, BuildError> {
    let bytes = fs::read(module).map_err(|error| BuildError::File {
        what: "read",
        file: module.to_owned(),
        error,
    })?;
    let unnamed = migrations::unnamed(crate_dir, &bytes).map_err(|error| BuildError::File {
        what: "read",
        file: crate_dir.join("migrations"),
        error,
    })?;
    if !unnamed.is_empty() {
        return Err(BuildError::Migrations { service: service.to_owned(), files: unnamed });
    }
    let bytes = encode(&bytes).map_err(|error| BuildError::Encode { service: service.to_owned(), error })?;
    let imports =
        check_imports(&bytes).map_err(|error| BuildError::Imports { service: service.to_owned(), error })?;
    let file = out_dir.join(format!("{service}.wasm"));
    let write = || {
        let _writing = stamp::writing(out_dir, service)?;
        let changed = encode::write_if_changed(&file, &bytes)?;
        stamp::leave(&file, crate_dir, module, began)?;
        Ok(changed)
    };
    let changed = write().map_err(|error| BuildError::File { what: "write", file: file.clone(), error })?;
    Ok(Built { service: service.to_owned(), component: file, size: bytes.len(), changed, imports })
}

/// Whether a service's name can be a file name with `.wasm`: it must not lead out of the folder.
fn is_file_name(service: &str) -> bool {
    !service.is_empty()
        && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_for(service: &str, crate_dir: &Path) -> String {
        let request = BuildRequest { service: service.to_owned(), crate_dir: crate_dir.to_owned() };
        let error = build(&[request], &BuildOptions::default(), &mut |_| ()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn name_that_points_outside_the_folder_is_refused() {
        for name in ["", "..", "a/b", "a b", "ä"] {
            assert!(error_for(name, Path::new(".")).contains("letters, digits"), "{name:?}");
        }
    }

    #[test]
    fn folder_without_a_crate_is_refused_before_the_toolchain_search() {
        let folder = tempfile::tempdir().unwrap();
        for dir in [folder.path().to_owned(), folder.path().join("missing")] {
            let error = error_for("greeter", &dir);
            assert!(error.starts_with("find the crate of service `greeter`: there is no "), "{error}");
        }
    }

    #[test]
    fn building_nothing_needs_no_toolchain() {
        assert_eq!(build(&[], &BuildOptions::default(), &mut |_| ()).unwrap(), []);
    }
}
