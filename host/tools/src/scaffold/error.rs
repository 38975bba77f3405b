//! Why nothing was made.

use std::path::PathBuf;

use bulkhead_manifest::ManifestError;

/// Why nothing was made. Each is a fragment that can follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name can't be a service's, or a crate's.
    #[error("name a service {name:?}: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it, and what to do.
        why: String,
    },

    /// Something is in the way.
    #[error("make {}: {what} is there already; choose another name, or remove it", path.display())]
    Exists {
        /// What it is.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },

    /// What is named as the manifest is not called as one.
    #[error(
        "make a manifest {}: its name ends with .toml; name it for example {}",
        file.display(),
        file.with_file_name("bulkhead.toml").display()
    )]
    ManifestName {
        /// What was named.
        file: PathBuf,
    },

    /// No manifest was named, and the folder is one of an application.
    #[error(
        "make a new application: there is an application in {}: run there, or name its manifest with --manifest",
        folder.display()
    )]
    ApplicationAbove {
        /// Where its manifest is.
        folder: PathBuf,
    },

    /// The manifest has such a service.
    #[error("add the service {name}: {place} has it already; choose another name")]
    ServiceExists {
        /// The name.
        name: String,
        /// Where it is.
        place: String,
    },

    /// Another crate has the name.
    #[error("make a crate {name}: there is a crate of that name already, {other}; choose another name")]
    CrateExists {
        /// The name.
        name: String,
        /// Which.
        other: String,
    },

    /// The manifest is wrong before anything is added to it.
    #[error("{0}\ncorrect these first: `bulkhead doctor` looks at the rest as well")]
    Manifest(ManifestError),

    /// The manifest would be wrong with it.
    #[error("add the service {name} to the manifest: {}", mistakes.join("\n"))]
    Clash {
        /// The name.
        name: String,
        /// What would be wrong.
        mistakes: Vec<String>,
    },

    /// The crate has no workspace to be in.
    #[error(
        "find the workspace of the new crate: {} has no [workspace]; add one, or make the application in a folder of its own",
        file.display()
    )]
    NoWorkspace {
        /// The `Cargo.toml` that is there.
        file: PathBuf,
    },

    /// A workspace's `Cargo.toml` can't be understood.
    #[error("read {}: {why}", file.display())]
    Cargo {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },

    /// Bulkhead's sources are needed, and not found.
    #[error(
        "find Bulkhead's sources, which have the guest SDK: {why}; name their folder with --bulkhead DIR"
    )]
    Sources {
        /// Where they are not.
        why: String,
    },

    /// A file can't be read or written.
    #[error("{what} {}: {error}", file.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
}
