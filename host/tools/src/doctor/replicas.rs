//! The replicas that the next start must fill: whether it can, and without losing a row. The check fills them like a start, except for the
//! last step.

use std::collections::BTreeMap;

use bulkhead_manifest::{Manifest, ServiceSection};
use bulkhead_server::application::{Fault, database_file, select_of};
use bulkhead_server::database_engine;
use bulkhead_store::{Database, Owner, ReplicaSpec, StoreError};

use super::Check;

/// The checks of the existing databases. Databases that can't be opened, and those of an earlier host version, are skipped.
pub(super) fn checks(manifest: &Manifest) -> Vec<Check> {
    let databases: BTreeMap<_, _> = manifest
        .services
        .iter()
        .filter_map(|(name, entry)| {
            let path = database_file(manifest, entry).filter(|path| path.exists())?;
            Some((name.as_str(), database_engine().look(&path).ok()??))
        })
        .collect();
    let mut checks = Vec::new();
    for (name, entry) in manifest.services.iter().filter(|(_, entry)| !entry.replicas.is_empty()) {
        if let Some(database) = databases.get(name.as_str()) {
            let find = |replica: &ReplicaSpec| {
                let owner = databases.get(replica.owner.as_str());
                owner.map(|owner| Owner::of(&**owner, select_of(manifest, replica))).transpose()
            };
            checks.push(of_service(manifest, (name, entry), &**database, &find));
        }
    }
    checks
}

fn of_service(
    manifest: &Manifest,
    (name, entry): (&str, &ServiceSection),
    database: &dyn Database,
    find: &bulkhead_store::FindOwner<'_>,
) -> Check {
    let check = format!("replicas {name}");
    let reported = |error: &StoreError| {
        let Fault { line, message } = Fault::of_database(entry, error);
        let line = line.unwrap_or_else(|| entry.lines.of("replica"));
        Check::reported(&check, &message, &format!("see to it in {}:{line}", manifest.path.display()))
    };
    let mut refill = match database.stage_replicas(&entry.replicas, &entry.spec.grants.subscribes, find) {
        Ok(None) => return Check::ok(check, "are as the manifest declares them"),
        Ok(Some(refill)) => refill,
        Err(error) => return reported(&error),
    };
    let names = refill.names().join(", ");
    let unusable: Vec<String> = refill
        .unusable()
        .into_iter()
        .map(|(replica, why)| {
            format!("the select of the entity {replica} can't be used as its owner's database is now: {why}")
        })
        .collect();
    match refill.check() {
        Ok(()) if unusable.is_empty() => {
            let what = if names.is_empty() {
                "go, as they are no longer declared".to_owned()
            } else {
                format!("{names}: filled")
            };
            Check::ok(check, format!("{what} at the next start"))
        }
        Ok(()) => Check::warning(
            check,
            format!("{names}: filled at the next start from events; {}", unusable.join("; ")),
            "correct the select; or start, if migrations of its owner that are still to come have it work",
        ),
        Err(error) => reported(&error),
    }
}
