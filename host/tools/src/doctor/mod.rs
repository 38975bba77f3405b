//! Checks what an application needs before it starts, piece by piece: the cheapest and most basic checks first.
//!
//! Invariants:
//!
//! - Nothing is created or changed, with one exception: the index of a database's WAL that exists without an index (see
//!   [`bulkhead_store::Engine::examine`]). So it can run at any time, also while the host runs.
//! - Each finding that is not OK has a remedy.
//! - An error in one check does not prevent the other checks, unless they depend on it.
//!
//! A host that *starts* meanwhile can be disturbed in one way. To find who holds the data folder, the check takes its lock, for the time
//! between two system calls. A start at that moment is refused as if another host held the folder. The next start is not. The checks of
//! ports do not listen on them, which on Linux never blocks a host. On other systems a start between two system calls finds a port in use.
//!
//! Left out on purpose: reading whole databases, which takes time (`bulkhead check` does it on a running host). However, the checks do read
//! the rows that the next start would read to fill a replica: there is no other way to tell whether rows would be lost.

mod building;
mod folders;
mod ports;
mod replicas;
mod services;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bulkhead_build::folder_of;
use bulkhead_manifest::Manifest;
use serde::Serialize;

use crate::scaffold::{MANIFEST_DEFAULT, application_above};

/// What to do if there is no manifest.
const ELSEWHERE: &str = "run in the folder that has it, or name it with --manifest; `bulkhead new NAME` makes a new application here";

/// The input of the checks: a manifest, and values that override it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The manifest's file.
    pub manifest: PathBuf,
    /// The data folder.
    pub data: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Where operators reach the host.
    pub admin: Option<SocketAddr>,
}

/// The state of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everything is OK.
    Ok,
    /// It works, but may cause a problem later.
    Warning,
    /// The application can't be built, or can't start.
    Wrong,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Its finding.
    pub found: String,
    /// What to do. None if everything is OK.
    pub remedy: Option<String>,
}

impl Check {
    /// A check with the state OK.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Ok, found: found.into(), remedy: None }
    }

    /// A check with a warning.
    pub fn warning(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { name: name.into(), state: State::Warning, found: found.into(), remedy }
    }

    /// A check that failed.
    pub fn wrong(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Wrong, ..Self::warning(name, found, remedy) }
    }

    /// A check that failed with a message of the host. Such messages say what is wrong, and after the last semicolon what to do.
    fn reported(name: &str, message: &str, otherwise: &str) -> Self {
        let (found, remedy) = message.rsplit_once("; ").unwrap_or((message, otherwise));
        Self::wrong(name, found, remedy)
    }
}

/// Runs all checks.
#[must_use]
pub fn examine(asked: &Asked) -> Vec<Check> {
    let folder = folder_of(&asked.manifest);
    let manifest = Manifest::read(&asked.manifest);
    let mut checks = vec![host()];
    checks.extend(building::checks(folder, manifest.as_ref().ok()));
    let mut manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            checks.extend(unread(&asked.manifest, application_above(folder), &error));
            checks.push(ports::open_files());
            return checks;
        }
    };
    let count = manifest.services.len();
    let found = format!("{}, of {} with {count} services", manifest.path.display(), manifest.name);
    checks.push(Check::ok("manifest", if count == 1 { found.replace("services", "service") } else { found }));
    checks.extend(services::variables(&manifest));
    manifest.data = asked.data.clone().unwrap_or(manifest.data);
    manifest.listen = asked.listen.unwrap_or(manifest.listen);
    manifest.admin = asked.admin.unwrap_or(manifest.admin);
    let (held, looked) = folders::checks(&manifest.data);
    checks.extend(looked);
    checks.extend(ports::checks(&manifest, asked.admin.is_some(), held));
    checks.push(ports::open_files());
    checks.extend(services::components(&manifest));
    checks.extend(services::databases(&manifest));
    checks.extend(replicas::checks(&manifest));
    checks
}

/// This host, and what it contains.
fn host() -> Check {
    let found = format!(
        "bulkhead {}, with wasmtime {} and {}",
        env!("CARGO_PKG_VERSION"),
        bulkhead_runtime::WASMTIME_VERSION,
        bulkhead_server::database_engine().version()
    );
    Check::ok("host", found)
}

/// The errors of a manifest that can't be read. `above` is a parent folder that has an application.
fn unread(path: &Path, above: Option<PathBuf>, error: &bulkhead_manifest::ManifestError) -> Vec<Check> {
    if !path.exists() {
        let found = format!("there is no {}", path.display());
        let check = match above {
            _ if path != Path::new(MANIFEST_DEFAULT) => Check::wrong("manifest", found, ELSEWHERE),
            Some(folder) => Check::wrong(
                "manifest",
                format!("{found} here, and there is an application in {}", folder.display()),
                "run there, or name its manifest with --manifest",
            ),
            // A folder without an application yet is not an error.
            None => Check::warning("manifest", found, ELSEWHERE),
        };
        return vec![check];
    }
    let mistakes = error.mistakes.iter().map(|mistake| {
        let place = format!("{}:{}", path.display(), mistake.line);
        let otherwise = format!("correct line {} of {}", mistake.line, path.display());
        Check::reported("manifest", &format!("{place}: {}", mistake.message), &otherwise)
    });
    mistakes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_message_is_split_into_problem_and_remedy() {
        let reported = |message| Check::reported("x", message, "look at it");
        let check = reported("a; b is missing; add b");
        assert_eq!((check.found.as_str(), check.remedy.as_deref()), ("a; b is missing", Some("add b")));
        let check = reported("it is cut short");
        assert_eq!((check.found.as_str(), check.remedy.as_deref()), ("it is cut short", Some("look at it")));
    }

    #[test]
    fn manifest_that_was_not_named_may_be_missing() {
        let missing = |path: &str, above: Option<&str>| {
            let path = Path::new(path);
            unread(path, above.map(PathBuf::from), &Manifest::read(path).unwrap_err()).remove(0)
        };
        for above in [None, Some("/a")] {
            assert_eq!(missing("nowhere/bulkhead.toml", above).state, State::Wrong);
        }
        assert_eq!(missing(MANIFEST_DEFAULT, None).state, State::Warning);
        let check = missing(MANIFEST_DEFAULT, Some("/a"));
        assert_eq!((check.state, check.found.contains("an application in /a")), (State::Wrong, true));
        assert!(!check.remedy.unwrap().contains("new"));
    }
}
