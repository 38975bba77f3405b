//! Tries migrations on a copy of the database, before any request has to wait.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_store::{Database, FileIdentity, Rehearsed, StoreError, Upgrade};
use bulkhead_types::{Clock as _, SystemClock, rfc3339};

use super::report::{MigrationReport, TableReport, milliseconds};
use super::warnings;
use crate::application::databases::remove;

/// The file of the copy, in the folder of the service's versions.
const COPY: &str = "rehearsal.db";

/// The result of a rehearsal.
pub(super) struct Rehearsal {
    pub(super) migrations: Vec<MigrationReport>,
    pub(super) tables: Vec<TableReport>,
    /// The time from BEGIN to COMMIT.
    pub(super) took: Duration,
    /// Warnings about reverse SQL that changes the order of columns, and about statements that do not fit the new schema.
    pub(super) warnings: Vec<String>,
}

/// Copies the database into a folder, with room for `storage` bytes, and migrates the copy to the new schema. On the copy it also tries the
/// reverse migrations and the component's statements. The copy is removed in any case.
pub(super) fn rehearse(
    database: &dyn Database,
    (upgrade, statements): (&Upgrade<'_>, &[String]),
    (folder, storage): (&Path, u64),
    until: Instant,
) -> Result<Rehearsal, StoreError> {
    let path = folder.join(COPY);
    remove(&path);
    let upgrade = Upgrade { until: Some(until), ..*upgrade };
    let rehearsed = on_copy(database, (&upgrade, statements), (&path, storage), until);
    remove(&path);
    rehearsed
}

/// Removes the copy that a killed process left.
pub(in crate::application) fn remove_leftover(folder: &Path) {
    remove(&folder.join(COPY));
}

fn on_copy(
    database: &dyn Database,
    (upgrade, statements): (&Upgrade<'_>, &[String]),
    (path, storage): (&Path, u64),
    until: Instant,
) -> Result<Rehearsal, StoreError> {
    // Created for its owner alone, before the copy is opened.
    FileIdentity::of(path)?;
    let copy = database.copy_to(path, storage, until)?;
    let before = counts(&*copy, until)?;
    let Rehearsed { outcome, took, reordered } = copy.rehearse(upgrade, &rfc3339(SystemClock.now()))?;
    let mut after = counts(&*copy, until)?;
    let mut tables: Vec<TableReport> = before
        .into_iter()
        .map(|(table, before)| TableReport { after: after.remove(&table), before: Some(before), table })
        .collect();
    tables.extend(after.into_iter().map(|(table, after)| TableReport {
        table,
        before: None,
        after: Some(after),
    }));
    let has_reverse =
        |version| upgrade.migrations.iter().any(|step| step.version == version && step.reverse.is_some());
    let report = |undone: bool| {
        move |step: &bulkhead_store::Step| MigrationReport {
            version: step.version,
            name: step.name.clone(),
            undone,
            reversible: undone || has_reverse(step.version),
            milliseconds: milliseconds(step.took),
        }
    };
    let migrations =
        outcome.undone.iter().map(report(true)).chain(outcome.applied.iter().map(report(false))).collect();
    let mut warnings = warnings::reordered(&reordered);
    warnings.extend(warnings::unsuited(&copy.unsuited(statements)?));
    Ok(Rehearsal { migrations, tables, took, warnings })
}

/// How many rows each of the service's own tables has.
fn counts(database: &dyn Database, until: Instant) -> Result<BTreeMap<String, u64>, StoreError> {
    let path = database.path().to_owned();
    database.inspector()?.row_counts(until).map_err(|source| StoreError::Log { path, source })
}
