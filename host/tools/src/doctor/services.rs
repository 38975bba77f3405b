//! The checks of each service: the variables of its secrets, its component, its database.

use bulkhead_build::freshness;
use bulkhead_manifest::{Manifest, ServiceSection, Source};
use bulkhead_server::application::{Fault, database_file, faults};
use bulkhead_server::database_engine;

use super::Check;

/// The environment variables that the manifest names. An unset secret is missing for the service, which may accept that.
pub(super) fn variables(manifest: &Manifest) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, entry) in &manifest.services {
        for variable in &entry.variables {
            let check = format!("variable {variable}");
            checks.push(match std::env::var_os(variable).filter(|value| !value.is_empty()) {
                Some(_) => Check::ok(check, format!("is set, for {name}")),
                None => {
                    let found = format!("is not set, so {name} has no such secret");
                    Check::warning(
                        check,
                        found,
                        format!("set {variable} where `bulkhead up` runs, if {name} needs it"),
                    )
                }
            });
        }
    }
    checks
}

/// The components, compared with this host and with their grants in the manifest.
pub(super) fn components(manifest: &Manifest) -> Vec<Check> {
    let faults = match faults(manifest) {
        Ok(faults) => faults,
        Err(error) => {
            return vec![Check::reported("components", &error.to_string(), "correct the manifest's limits")];
        }
    };
    let mut checks = Vec::new();
    for (name, entry) in &manifest.services {
        let check = format!("service {name}");
        if let Some(lack) = missing_crate(&check, entry) {
            checks.push(lack);
            continue;
        }
        match faults.get(name) {
            Some(faults) => checks.extend(faults.iter().map(|Fault { line, message }| {
                let line = line.unwrap_or(entry.line);
                let otherwise = format!("see to it in {}:{line}", manifest.path.display());
                Check::reported(&check, message, &otherwise)
            })),
            None => checks.push(good(&check, name, entry)),
        }
    }
    checks
}

/// A service whose source is not a crate, and not a component either.
fn missing_crate(check: &str, entry: &ServiceSection) -> Option<Check> {
    let Source::Crate(folder) = &entry.source else { return None };
    (!folder.join("Cargo.toml").is_file()).then(|| {
        let remedy = "correct `source` in the manifest: the folder of a crate, or a component's file, which ends with .wasm";
        Check::wrong(check, format!("there is no crate in {}", folder.display()), remedy)
    })
}

/// A component without errors. It may still be out of date.
fn good(check: &str, name: &str, entry: &ServiceSection) -> Check {
    let component = entry.source.component(name);
    if let Source::Crate(folder) = &entry.source
        && let Some(why) = freshness(folder, &component).why_not()
    {
        let found = format!("{} {why}", component.display());
        return Check::warning(check, found, format!("build it with `bulkhead build {name}`"));
    }
    let kibibytes = std::fs::metadata(&component).map(|file| file.len().div_ceil(1024)).unwrap_or_default();
    Check::ok(check, format!("{} ({kibibytes} KiB)", component.display()))
}

/// The existing databases. Missing ones are created at the start.
pub(super) fn databases(manifest: &Manifest) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, entry) in &manifest.services {
        let Some(path) = database_file(manifest, entry).filter(|path| path.exists()) else { continue };
        let check = format!("database {name}");
        checks.push(match database_engine().examine(&path) {
            Ok(()) => Check::ok(check, path.display().to_string()),
            Err(error) => {
                let otherwise = "put back a copy that is whole, or give another file in `database`";
                Check::reported(&check, &error.to_string(), otherwise)
            }
        });
    }
    checks
}
