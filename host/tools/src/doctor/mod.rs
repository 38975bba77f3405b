//! What an application needs before it starts, looked at piece by piece: the cheapest and most basic first.
//!
//! Invariants: nothing is made or changed, but for the index of a database whose log lies there without one (see
//! [`bulkhead_store::Database::examine`]), so it may be asked at any time, also while the host runs; what is not as it should be comes with
//! a remedy; and what one look finds wrong does not keep the others from being taken, unless they stand on it.
//!
//! A host that *starts* meanwhile can be disturbed in one way: who holds the data folder is found by taking its lock, for the time between
//! two system calls, and a start that falls into it is refused as if another host held the folder. The next one is not. Ports are looked at
//! without listening on them, which on Linux keeps no host from them; elsewhere a start that falls between two system calls finds one taken.
//!
//! Left out on purpose: reading whole databases, which takes time (`bulkhead check` does, of a running host). What the next start would read
//! to fill a replica is read here as well: whether rows would be lost is not to be told otherwise.

mod building;
mod folders;
mod ports;
mod replicas;
mod services;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bulkhead_build::folder_of;
use serde::Serialize;

use crate::scaffold::{MANIFEST_DEFAULT, application_above};
use bulkhead_manifest::Manifest;

/// What to do where there is no manifest.
const ELSEWHERE: &str = "run in the folder that has it, or name it with --manifest; `bulkhead new NAME` makes a new application here";

/// What is looked at: a manifest, and what is asked for in place of what it says.
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

/// How what was looked at is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It will do, and may be in the way later.
    Warning,
    /// The application can't be built, or can't start.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; none where it is as it should be.
    pub remedy: Option<String>,
}

impl Check {
    /// It is as it should be.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Ok, found: found.into(), remedy: None }
    }

    /// It will do.
    pub fn warning(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { name: name.into(), state: State::Warning, found: found.into(), remedy }
    }

    /// It is wrong.
    pub fn wrong(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Wrong, ..Self::warning(name, found, remedy) }
    }

    /// It is wrong, by a message of the host: these say what is wrong, and behind the last semicolon what to do.
    fn told(name: &str, message: &str, otherwise: &str) -> Self {
        let (found, remedy) = message.rsplit_once("; ").unwrap_or((message, otherwise));
        Self::wrong(name, found, remedy)
    }
}

/// Looks at everything.
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

/// This host, and what it carries.
fn host() -> Check {
    let found = format!(
        "bulkhead {}, with wasmtime {} and SQLite {}",
        env!("CARGO_PKG_VERSION"),
        bulkhead_runtime::WASMTIME_VERSION,
        bulkhead_store::sqlite_version()
    );
    Check::ok("host", found)
}

/// What is wrong with a manifest that can't be read. `above`: a folder above its own that has an application.
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
            // Nothing is wrong with a folder that has no application yet.
            None => Check::warning("manifest", found, ELSEWHERE),
        };
        return vec![check];
    }
    let mistakes = error.mistakes.iter().map(|mistake| {
        let place = format!("{}:{}", path.display(), mistake.line);
        let otherwise = format!("correct line {} of {}", mistake.line, path.display());
        Check::told("manifest", &format!("{place}: {}", mistake.message), &otherwise)
    });
    mistakes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_host_is_what_is_wrong_and_what_to_do() {
        let told = |message| Check::told("x", message, "look at it");
        let check = told("a; b is missing; add b");
        assert_eq!((check.found.as_str(), check.remedy.as_deref()), ("a; b is missing", Some("add b")));
        let check = told("it is cut short");
        assert_eq!((check.found.as_str(), check.remedy.as_deref()), ("it is cut short", Some("look at it")));
    }

    #[test]
    fn a_manifest_that_nobody_named_may_be_missing() {
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
