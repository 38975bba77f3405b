//! `bulkhead.toml`: the parts of an application, and what each service may do.
//!
//! A manifest is read as a whole. All errors are reported at once, each with its line and what to do.

pub mod address;
mod check;
mod data;
mod host_paths;
mod lines;
mod read;
mod report;
mod section;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bulkhead_runtime::ServiceSpec;
use bulkhead_store::ReplicaSpec;
use bulkhead_types::ServiceName;

pub use self::host_paths::{DOCUMENT, DOCUMENT_3_0, HEALTH_ALIASES, HOST_PATHS, PROBLEMS, is_page};
pub use self::lines::Lines;
pub use self::read::{example_database, is_service_name};

/// An application.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The application's name.
    pub name: String,
    /// The version of its interface, which its OpenAPI documents state.
    pub version: semver::Version,
    /// Where to listen for HTTP.
    pub listen: SocketAddr,
    /// Where operators reach the host. The address must be on this machine.
    pub admin: SocketAddr,
    /// The data folder: the databases, the cache of compiled components, the lock.
    pub data: PathBuf,
    /// The access log. If it is not set, its lines have the form of the other log lines.
    pub access_log: Option<AccessLog>,
    /// How tokens of requests are checked. Without it no request has a principal.
    pub auth: Option<Auth>,
    /// The lines of the entries of `[application]`.
    pub lines: Lines,
    /// The services by name.
    pub services: BTreeMap<ServiceName, ServiceSection>,
    /// Values that override those of the file.
    pub given: Given,
}

/// The command line's values that override the manifest file, for as long as the host runs.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Where operators reach the host.
    pub admin: Option<SocketAddr>,
    /// The data folder.
    pub data: Option<PathBuf>,
    /// The access log.
    pub access_log: Option<AccessLog>,
}

/// Whether each request gets a log line, and in which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    Off,
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl AccessLog {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Text, Self::Json];

    /// Its word in a manifest and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// How requests' tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The service that has the public keys.
    pub service: ServiceName,
    /// The path that it serves them at, as a JSON Web Key Set.
    pub path: String,
    /// The `iss` of a valid token.
    pub issuer: String,
    /// The value that the `aud` of a valid token must contain.
    pub audience: String,
    /// The type of event that ends the tokens of its subject.
    pub revoked_by: Option<String>,
}

/// A service's section of the manifest.
#[derive(Debug, Clone)]
pub struct ServiceSection {
    /// The line that its section begins at.
    pub line: usize,
    /// The lines of its entries.
    pub lines: Lines,
    /// Where its component comes from.
    pub source: Source,
    /// The database's file, relative to the data folder.
    pub database: Option<PathBuf>,
    /// The part of the section that the runtime needs.
    pub spec: ServiceSpec,
    /// The replicas of other services' data that it keeps.
    pub replicas: Vec<ReplicaSpec>,
    /// The entities that it owns, by name.
    pub entities: BTreeMap<String, Entity>,
    /// The environment variables that its secrets come from.
    pub variables: BTreeSet<String>,
    /// It owns no data: everything in its database can be rebuilt from the event logs.
    pub rebuildable: bool,
}

/// Data that a service owns and others may replicate. The consistency check compares replicas with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// A SELECT on the owner's database. It returns one row for each entity, with the columns as replicas have them. The key is `id`.
    pub select: String,
    /// The event type that reports that an entity is gone.
    pub deleted: Option<String>,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The folder of a crate, which `bulkhead build` builds.
    Crate(PathBuf),
    /// A component.
    File(PathBuf),
}

impl Source {
    /// The component's file. For a crate it is `target/components/NAME.wasm`, in the target folder of its workspace.
    #[must_use]
    pub fn component(&self, service: &str) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Crate(folder) => components_folder(folder).join(format!("{service}.wasm")),
        }
    }
}

/// The folder for the components of the crate in `folder`. The workspace is the nearest parent folder with a `Cargo.lock`: asking cargo
/// would take longer than the rest of a start.
#[must_use]
pub fn components_folder(folder: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).unwrap_or_else(|| {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let root = absolute.ancestors().find(|above| above.join("Cargo.lock").exists());
        root.unwrap_or(folder).join("target")
    });
    target.join("components")
}

/// An error in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

/// All errors in a manifest.
#[derive(Debug, thiserror::Error)]
pub struct ManifestError {
    /// The file.
    pub path: PathBuf,
    /// In the order of the lines. Never empty.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.mistakes.len();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "read {}: {count} {plural}", self.path.display())?;
        for mistake in &self.mistakes {
            write!(f, "\n  {}:{}: {}", self.path.display(), mistake.line, mistake.message)?;
        }
        Ok(())
    }
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    ///
    /// All errors in it, at once.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let failed = |mistakes| ManifestError { path: path.to_owned(), mistakes };
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!(
                "the file can't be read: {error}; run in the folder that has it, or name it with --manifest"
            );
            failed(vec![Mistake { line: 1, message }])
        })?;
        Self::parse(path, &text).map_err(failed)
    }

    /// Overrides values of the file with the given ones.
    #[must_use]
    pub fn with(self, given: Given) -> Self {
        Self {
            listen: given.listen.unwrap_or(self.listen),
            admin: given.admin.unwrap_or(self.admin),
            data: given.data.clone().unwrap_or(self.data),
            access_log: given.access_log.or(self.access_log),
            given,
            ..self
        }
    }

    /// Why the addresses clash; none if they do not. Clients and operators need separate addresses: if both were the same, the host's two
    /// listeners would conflict.
    #[must_use]
    pub fn clash_of_addresses(&self) -> Option<String> {
        let Self { listen, admin, .. } = self;
        let overlap = listen.ip() == admin.ip() || listen.ip().is_unspecified();
        (overlap && listen.port() == admin.port() && listen.port() != 0).then(|| {
            format!(
                "{admin} is the address for operators (`admin`), and clients are served on {listen} (`listen`); give the two other ports"
            )
        })
    }

    /// The errors between its services.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        check::check(self, &mut mistakes);
        mistakes.into_iter().map(|mistake| mistake.message).collect()
    }

    /// Parses a manifest's text as if it were in the file at `path`.
    ///
    /// # Errors
    ///
    /// All errors in it, at once.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Mistake>> {
        let (manifest, mut mistakes) = read::read(path, text);
        if let Some(manifest) = &manifest {
            check::check(manifest, &mut mistakes);
        }
        mistakes.sort_by_key(|mistake| mistake.line);
        match manifest {
            Some(manifest) if mistakes.is_empty() => Ok(manifest),
            _ => Err(mistakes),
        }
    }
}
