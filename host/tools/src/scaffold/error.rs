//! Why nothing was created.

use std::path::PathBuf;

use bulkhead_manifest::ManifestError;

/// Why nothing was created. Each message is a fragment that can follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name is not valid for a service or a crate.
    #[error("name a service {name:?}: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it, and what to do.
        why: String,
    },

    /// Something already exists at this path.
    #[error("make {}: {what} is there already; choose another name, or remove it", path.display())]
    Exists {
        /// What it is.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },

    /// The file that was named as the manifest does not have a manifest's name.
    #[error(
        "make a manifest {}: its name ends with .toml; name it for example {}",
        file.display(),
        file.with_file_name("bulkhead.toml").display()
    )]
    ManifestName {
        /// The file that was named.
        file: PathBuf,
    },

    /// No manifest was named, and the folder belongs to an application.
    #[error(
        "make a new application: there is an application in {}: run there, or name its manifest with --manifest",
        folder.display()
    )]
    ApplicationAbove {
        /// The folder of its manifest.
        folder: PathBuf,
    },

    /// The manifest already has such a service.
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

    /// The manifest already has errors, before anything is added to it.
    #[error("{0}\ncorrect these first: `bulkhead doctor` looks at the rest as well")]
    Manifest(ManifestError),

    /// The manifest would have errors with the new service.
    #[error("add the service {name} to the manifest: {}", mistakes.join("\n"))]
    Clash {
        /// The name.
        name: String,
        /// The errors.
        mistakes: Vec<String>,
    },

    /// There is no workspace for the crate.
    #[error(
        "find the workspace of the new crate: {} has no [workspace]; add one, or make the application in a folder of its own",
        file.display()
    )]
    NoWorkspace {
        /// The existing `Cargo.toml`.
        file: PathBuf,
    },

    /// A workspace's `Cargo.toml` can't be parsed.
    #[error("read {}: {why}", file.display())]
    Cargo {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },

    /// Bulkhead's sources are needed, and were not found.
    #[error(
        "find Bulkhead's sources, which have the guest SDK: {why}; name their folder with --bulkhead DIR"
    )]
    Sources {
        /// Where they were not found.
        why: String,
    },

    /// A file can't be read or written.
    #[error("{what} {}: {error}", file.display())]
    File {
        /// The operation.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// The operating system's message.
        error: std::io::Error,
    },
}
