//! Why a build failed.

use std::path::PathBuf;

use crate::encode::EncodeError;
use crate::imports::ImportsError;
use crate::migrations;
use crate::toolchain::NoToolchain;

/// Why components were not built. Each message is a fragment that can follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The service's name can't be a file name.
    #[error(
        "name the component of service {0:?}: a name has letters, digits, `-` and `_` only; change it in the manifest"
    )]
    ServiceName(String),

    /// There is no crate in the folder.
    #[error("find the crate of service `{service}`: there is no {}; correct `source` in the manifest", file.display())]
    NoCrate {
        /// The service's name.
        service: String,
        /// The crate's Cargo.toml.
        file: PathBuf,
    },

    /// The crate does not produce a WebAssembly file.
    #[error(
        "build service `{service}`: the crate `{package}` makes no component; put `crate-type = [\"cdylib\", \"rlib\"]` \
         under `[lib]` in {}",
        file.display()
    )]
    NotCdylib {
        /// The service's name.
        service: String,
        /// The crate's name.
        package: String,
        /// The crate's Cargo.toml.
        file: PathBuf,
    },

    /// No toolchain was found.
    #[error(transparent)]
    Toolchain(#[from] NoToolchain),

    /// cargo can't describe the crate.
    #[error("read the crate in {}: {reason}", crate_dir.display())]
    Metadata {
        /// The crate's folder.
        crate_dir: PathBuf,
        /// cargo's message.
        reason: String,
    },

    /// The workspace's Cargo.toml can't be read.
    #[error("read {}: {reason}", file.display())]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// cargo failed.
    #[error("build {packages}: {reason}")]
    Cargo {
        /// The crates' names.
        packages: String,
        /// How it ended.
        reason: String,
    },

    /// The module can't be encoded as a component.
    #[error("encode service `{service}`: {error}")]
    Encode {
        /// The service's name.
        service: String,
        /// Why.
        error: EncodeError,
    },

    /// The component can't be loaded as a service.
    #[error("take the component of service `{service}`: {error}")]
    Imports {
        /// The service's name.
        service: String,
        /// Why.
        error: ImportsError,
    },

    /// Migrations that the component would lack.
    #[error(
        "build service `{service}`: the code does not name these migrations:\n{}",
        migrations::remedies(files)
    )]
    Migrations {
        /// The service's name.
        service: String,
        /// Their files.
        files: Vec<PathBuf>,
    },

    /// A file can't be read or written.
    #[error("{what} {}: {error}", file.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// The operating system's message.
        error: std::io::Error,
    },
}
