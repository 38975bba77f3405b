//! Rehearses an upgrade on a copy, and the way back from it.
//!
//! Reverse SQL is needed when something is wrong already, and nobody has run it before. So a rehearsal runs it too: on real rows, after the
//! steps that it undoes. It must leave the schema that was there before. If only the order of a table's columns differs, the rehearsal
//! reports that instead of failing. A dropped column that is added again is right for statements that name their columns, and wrong for
//! others.

use std::time::Instant;

use bulkhead_store::{Migration, MigrationError, Rehearsed, StoreError, Upgrade, Upgraded};

use super::schema::Schema;
use super::{Failure, Upgrader, checks, is_interrupted, step};
use crate::Database;
use crate::authorizer::Mode;
use crate::connection::Guarded;

/// See [`bulkhead_store::Migrations::rehearse`].
pub(super) fn rehearse(
    database: &Database,
    upgrade: &Upgrade<'_>,
    now: &str,
) -> Result<Rehearsed, StoreError> {
    let upgrader = database.open_upgrader()?;
    let mut schemas = Vec::new();
    let started = Instant::now();
    let outcome = upgrader.upgrade_with(upgrade, now, &mut |connection, step| {
        if step.reverse.is_some() {
            schemas.push((step.version, Schema::read(connection)?));
        }
        Ok(())
    })?;
    let took = started.elapsed();
    let reordered = upgrader.undo(upgrade, &outcome, schemas).map_err(|error| database.migration(error))?;
    Ok(Rehearsed { outcome, took, reordered })
}

impl Upgrader<'_> {
    /// Undoes the steps that were applied. `schemas` has the schema before each step that has reverse SQL. Returns the value of
    /// [`Rehearsed::reordered`].
    fn undo(
        &self,
        upgrade: &Upgrade<'_>,
        outcome: &Upgraded,
        mut schemas: Vec<(u32, Schema)>,
    ) -> Result<Vec<(u32, String, String)>, Failure> {
        let Guarded { connection, guard } = &self.opened;
        let mut reordered = Vec::new();
        // Foreign keys are still off, as when the steps were applied.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for applied in outcome.applied.iter().rev() {
            let migration = upgrade.migrations.iter().find(|migration| migration.version == applied.version);
            let Some(migration @ Migration { reverse: Some(reverse), .. }) = migration else { break };
            let Some((_, before)) = schemas.pop() else { break };
            let failed = |why: String| MigrationError::ReverseFailed {
                version: migration.version,
                name: migration.name.clone(),
                why,
            };
            step(connection, guard, migration, reverse, upgrade.until).map_err(|error| match error {
                Failure::Migration(MigrationError::Refused { reason, .. }) => failed(reason).into(),
                Failure::Migration(MigrationError::Failed { message, .. }) => failed(message).into(),
                error => error,
            })?;
            let _entered = guard.enter(Mode::Host, upgrade.until);
            checks::ALL.iter().try_for_each(|check| check(connection)).map_err(|error| match error {
                Failure::Sqlite(error) if is_interrupted(&error) => MigrationError::ChecksTooLong,
                error => failed(error.to_string()),
            })?;
            let after = Schema::read(connection)?;
            let differences = before.differences(&after);
            if !differences.is_empty() {
                return Err(MigrationError::NotRestored {
                    version: migration.version,
                    name: migration.name.clone(),
                    differences: differences.join("; "),
                }
                .into());
            }
            let of_step = |table: &str| (migration.version, migration.name.clone(), table.to_owned());
            reordered.extend(before.reordered(&after).map(of_step));
        }
        connection.execute_batch("ROLLBACK")?;
        Ok(reordered)
    }
}
