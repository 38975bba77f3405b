//! Migrations: see `bulkhead_store::Migrations`.
//!
//! Foreign keys are off while the steps run, so that a table with children can be rebuilt (<https://sqlite.org/lang_altertable.html>,
//! section 7). Every key is checked before COMMIT. The pragma is set before BEGIN: inside a transaction SQLite ignores it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use bulkhead_store::{Migration, MigrationError, Migrations, Rehearsed, Step, StoreError, Upgrade, Upgraded};
use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};

use crate::authorizer::{Guard, Mode};
use crate::connection::{Guarded, with_reserve};
use crate::error::{engine_error, sqlite_message};
use crate::settle::Settled;
use crate::{Database, settle};
use crate::{trial, versions};

mod checks;
mod reverse;
mod schema;

impl Migrations for Database {
    fn migrate(&self, migrations: &[Migration], now: &str) -> Result<Upgraded, StoreError> {
        self.upgrade(&Upgrade { migrations, ..Upgrade::default() }, now)
    }

    fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Upgraded, StoreError> {
        self.open_upgrader()?.upgrade_with(upgrade, now, &mut |_, _| Ok(()))
    }

    fn upgrader(&self) -> Result<Box<dyn bulkhead_store::Upgrader + '_>, StoreError> {
        Ok(Box::new(self.open_upgrader()?))
    }

    fn plan(&self, upgrade: &Upgrade<'_>) -> Result<(Vec<u32>, Vec<u32>), StoreError> {
        let opened = self.open_reader()?;
        let way = way(&opened.connection, upgrade).map_err(|error| self.migration(error))?;
        let numbers = |steps: &[&Migration]| steps.iter().map(|step| step.version).collect();
        Ok((numbers(&way.undo), numbers(&way.apply)))
    }

    fn rehearse(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Rehearsed, StoreError> {
        reverse::rehearse(self, upgrade, now)
    }

    fn unsuited<'s>(&self, statements: &'s [String]) -> Result<Vec<(&'s str, String)>, StoreError> {
        Ok(trial::unsuited(&self.open_reader()?, statements))
    }
}

impl Database {
    fn open_upgrader(&self) -> Result<Upgrader<'_>, StoreError> {
        Ok(Upgrader { database: self, opened: self.open_writer()? })
    }

    fn migration(&self, source: Failure) -> StoreError {
        StoreError::Migration { path: self.path().to_owned(), source: Box::new(source.into()) }
    }
}

/// Why an upgrade failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// For this reason.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The host's own part failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl From<Failure> for MigrationError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Migration(error) => error,
            Failure::Sqlite(error) => Self::Host(engine_error(&error)),
        }
    }
}

/// Called with the database before each step that is applied.
type BeforeStep<'b> = dyn FnMut(&Connection, &Migration) -> rusqlite::Result<()> + 'b;

/// A connection for an upgrade.
pub(crate) struct Upgrader<'d> {
    database: &'d Database,
    opened: Guarded,
}

impl bulkhead_store::Upgrader for Upgrader<'_> {
    fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Upgraded, StoreError> {
        self.upgrade_with(upgrade, now, &mut |_, _| Ok(()))
    }
}

impl Upgrader<'_> {
    /// Like `upgrade`; calls `before` before each step that is applied.
    fn upgrade_with(
        &self,
        upgrade: &Upgrade<'_>,
        now: &str,
        before: &mut BeforeStep<'_>,
    ) -> Result<Upgraded, StoreError> {
        let opened = &self.opened;
        if let Some(stop) = upgrade.stop {
            opened.guard.end_when(stop);
        }
        // A migration may sort more than fits into the memory that all services share.
        let mut run = || {
            opened.connection.pragma_update(None, "temp_store", "FILE")?;
            self.run(upgrade, now, before)
        };
        run().map_err(|error| self.database.migration(error))
    }

    fn run(
        &self,
        upgrade: &Upgrade<'_>,
        now: &str,
        before: &mut BeforeStep<'_>,
    ) -> Result<Upgraded, Failure> {
        let Guarded { connection, guard } = &self.opened;
        let way = way(connection, upgrade)?;
        let version = u32::try_from(upgrade.migrations.len()).unwrap_or(u32::MAX);
        let changes = !(way.undo.is_empty() && way.apply.is_empty());
        if !changes && upgrade.activation.is_none() {
            return Ok(Upgraded { undone: Vec::new(), applied: Vec::new(), version });
        }
        if changes {
            connection.pragma_update(None, "foreign_keys", false)?;
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let changed = change((connection, self.database.storage()), guard, upgrade, &way, now, before)
            .and_then(|steps| Ok((steps, settle::mark(connection)?)));
        let ((undone, applied), mark) = match changed {
            Ok(changed) => changed,
            Err(error) => {
                // The statement itself may have ended the transaction already.
                if !connection.is_autocommit() {
                    connection.execute_batch("ROLLBACK")?;
                }
                return Err(error);
            }
        };
        if let Some(callback) = upgrade.before_commit {
            callback();
        }
        if let Err(error) = connection.execute_batch("COMMIT") {
            self.settle(mark, error)?;
        }
        Ok(Upgraded { undone, applied, version })
    }

    /// Finds out what became of the transaction with this mark, whose COMMIT failed. `Ok` if it is in the database, and this is final.
    fn settle(&self, mark: i64, failed: rusqlite::Error) -> Result<(), Failure> {
        match settle::of_marked(self.database, &self.opened.connection, mark, &failed) {
            Settled::There => Ok(()),
            Settled::Undone => Err(MigrationError::Commit(engine_error(&failed)).into()),
            Settled::Unknown(seen) => {
                Err(MigrationError::OutcomeUnknown { reason: sqlite_message(&failed), seen }.into())
            }
        }
    }
}

/// The steps from the current schema to another.
struct Way<'m> {
    /// The last first.
    undo: Vec<&'m Migration>,
    apply: Vec<&'m Migration>,
}

/// Which steps to undo and which to apply. Checks first that the applied steps are unchanged.
fn way<'m>(connection: &Connection, upgrade: &Upgrade<'m>) -> Result<Way<'m>, Failure> {
    let migrations = upgrade.migrations;
    for (place, migration) in (1..).zip(migrations) {
        if migration.version != place {
            return Err(MigrationError::Gap { place, found: migration.version }.into());
        }
    }
    let mut statement = connection.prepare("SELECT version, name, sha256 FROM _bulkhead_migration")?;
    let recorded = statement
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
        .collect::<rusqlite::Result<BTreeMap<u32, (String, String)>>>()?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let last = recorded.last_key_value().map_or(0, |(last, _)| *last);
    if last > known && upgrade.leaving.is_empty() {
        return Err(MigrationError::Newer { recorded: last, known }.into());
    }
    // The reverse SQL belongs to the step as it was applied.
    let unchanged = |migration: &Migration| match recorded.get(&migration.version) {
        Some((recorded_name, checksum)) if *checksum != sha256(&migration.sql) => {
            Err(MigrationError::Edited {
                version: migration.version,
                name: migration.name.clone(),
                recorded_name: recorded_name.clone(),
                recorded: checksum.clone(),
                found: sha256(&migration.sql),
                next: known + 1,
            })
        }
        _ => Ok(()),
    };
    migrations.iter().try_for_each(unchanged)?;
    let mut undo = Vec::new();
    for (&version, (name, _)) in recorded.iter().rev().take_while(|(version, _)| **version > known) {
        let step = upgrade.leaving.iter().find(|step| step.version == version);
        match step.filter(|step| step.reverse.is_some()) {
            Some(step) => {
                unchanged(step)?;
                undo.push(step);
            }
            None => return Err(MigrationError::Irreversible { version, name: name.clone(), last }.into()),
        }
    }
    let apply = migrations.iter().filter(|step| step.version > last).collect();
    Ok(Way { undo, apply })
}

fn change(
    (connection, storage): (&Connection, u64),
    guard: &Guard,
    upgrade: &Upgrade<'_>,
    way: &Way<'_>,
    now: &str,
    before: &mut BeforeStep<'_>,
) -> Result<(Vec<Step>, Vec<Step>), Failure> {
    let (mut undone, mut applied) = (Vec::new(), Vec::new());
    for migration in &way.undo {
        let reverse = migration.reverse.as_deref().unwrap_or_default();
        undone.push(step(connection, guard, migration, reverse, upgrade.until)?);
        connection.execute("DELETE FROM _bulkhead_migration WHERE version = ?1", [migration.version])?;
    }
    for migration in &way.apply {
        before(connection, migration)?;
        applied.push(step(connection, guard, migration, &migration.sql, upgrade.until)?);
        with_reserve(connection, storage, |connection| {
            connection.execute(
                "INSERT INTO _bulkhead_migration (version, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4)",
                (migration.version, &migration.name, sha256(&migration.sql), now),
            )
        })?;
    }
    if !(undone.is_empty() && applied.is_empty()) {
        let _entered = guard.enter(Mode::Host, upgrade.until);
        checks::ALL.iter().try_for_each(|check| check(connection)).map_err(|error| match error {
            Failure::Sqlite(error) if is_interrupted(&error) => MigrationError::ChecksTooLong.into(),
            error => error,
        })?;
    }
    if let Some(activation) = upgrade.activation {
        with_reserve(connection, storage, |connection| versions::write(connection, activation))?;
    }
    Ok((undone, applied))
}

/// Runs the statements of one step, forward or reverse.
fn step(
    connection: &Connection,
    guard: &Guard,
    migration: &Migration,
    sql: &str,
    until: Option<Instant>,
) -> Result<Step, Failure> {
    let (version, name) = (migration.version, migration.name.clone());
    let before = checks::of_host_tables(connection)?;
    let started = Instant::now();
    let result = {
        let _entered = guard.enter(Mode::Migration, until);
        connection.execute_batch(sql)
    };
    let took = started.elapsed();
    match result {
        Ok(()) => {
            checks::host_names(connection)?;
            match checks::left_host_tables(&before, &checks::of_host_tables(connection)?) {
                Ok(()) => Ok(Step { version, name, took }),
                Err(reason) => Err(MigrationError::Refused { version, name, reason }.into()),
            }
        }
        Err(error) => Err(Failure::Migration(match guard.take_denied() {
            Some(reason) => MigrationError::Refused { version, name, reason },
            None if is_interrupted(&error) => MigrationError::TooLong { version, name },
            None => MigrationError::Failed { version, name, message: sqlite_message(&error) },
        })),
    }
}

fn is_interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests;
