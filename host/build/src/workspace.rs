//! cargo's data about a guest's crate: its package, its workspace, the target folder, and the profile to build with.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::toolchain::Toolchain;
use crate::{BuildError, folder_of};

/// The profile for guests, if the workspace defines it. Otherwise `release`, which every project has.
const GUEST_PROFILE: &str = "guest";

/// The output of `cargo metadata --no-deps`, with the members that are needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target_dir: PathBuf,
    packages: Vec<Package>,
}

/// A crate of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    /// The argument of `cargo build --package` that names the crate unambiguously.
    pub(crate) id: String,
    pub(crate) name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Workspace {
    /// Asks cargo for the workspace of the crate in this folder.
    pub(crate) fn of(crate_dir: &Path, toolchain: &Toolchain) -> Result<Self, BuildError> {
        let fail = |reason: String| BuildError::Metadata { crate_dir: crate_dir.to_owned(), reason };
        let output = toolchain
            .cargo(crate_dir)
            .args(["metadata", "--no-deps", "--format-version=1"])
            .output()
            .map_err(|error| fail(format!("cargo can't be started ({error})")))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let text = text.trim();
            return Err(fail(text.strip_prefix("error: ").unwrap_or(text).to_owned()));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| fail(format!("its answer is not understood ({error})")))
    }

    /// The crate whose manifest is in this folder. The path must be absolute and without symbolic links.
    pub(crate) fn package_in(&self, crate_dir: &Path) -> Option<&Package> {
        self.packages.iter().find(|package| folder_of(&package.manifest_path) == crate_dir)
    }

    /// The profile that its guests are built with.
    pub(crate) fn profile(&self) -> Result<&'static str, BuildError> {
        let file = self.root.join("Cargo.toml");
        let fail = |reason: String| BuildError::Manifest { file: file.clone(), reason };
        let text = std::fs::read_to_string(&file).map_err(|error| fail(error.to_string()))?;
        let manifest: toml::Table = toml::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let defined = manifest.get("profile").is_some_and(|profiles| profiles.get(GUEST_PROFILE).is_some());
        Ok(if defined { GUEST_PROFILE } else { "release" })
    }
}

impl Package {
    /// Whether it produces a WebAssembly file at all.
    pub(crate) fn is_cdylib(&self) -> bool {
        self.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
    }
}
