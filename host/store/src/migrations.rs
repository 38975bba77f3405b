//! Brings a database to the schema of its component. Each step is applied once and recorded with its checksum, all of them in one
//! transaction.
//!
//! Foreign keys are off while the steps run, so that a table with children can be rebuilt (<https://sqlite.org/lang_altertable.html>,
//! section 7). Every key is checked before COMMIT. The pragma is set before BEGIN: inside a transaction SQLite ignores it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};

use crate::authorizer::{Guard, Mode};
use crate::connection::{Guarded, with_reserve};
use crate::error::sqlite_message;
use crate::settle::Settled;
use crate::versions::Activation;
use crate::{Database, StoreError, settle};

mod checks;
mod reverse;
mod schema;

pub use self::reverse::Rehearsed;
pub use crate::migration_error::{MigrationError, Seen};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, … without a gap.
    pub version: u32,
    /// For example `create_note`.
    pub name: String,
    /// One or more statements.
    pub sql: String,
    /// The SQL that undoes the step; none if it can't be undone.
    pub reverse: Option<String>,
}

/// From the current schema to the one that a component needs.
#[derive(Clone, Copy, Default)]
pub struct Upgrade<'a> {
    /// The component's steps.
    pub migrations: &'a [Migration],
    /// The steps of the version that is replaced, to undo them: only the version that has a step can say what undoes it. Empty for an
    /// upgrade that only applies steps.
    pub leaving: &'a [Migration],
    /// Written in the same transaction.
    pub activation: Option<&'a Activation>,
    /// The time at which its statements are interrupted.
    pub until: Option<Instant>,
    /// Its statements are also interrupted as soon as this is set.
    pub stop: Option<&'a Arc<AtomicBool>>,
    /// Called when all is done except the COMMIT.
    pub before_commit: Option<&'a dyn Fn()>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that were undone, the last first.
    pub undone: Vec<Step>,
    /// The steps that were applied.
    pub applied: Vec<Step>,
    /// The version of the schema.
    pub version: u32,
}

impl Outcome {
    /// The versions of the steps that were applied.
    #[must_use]
    pub fn applied_versions(&self) -> Vec<u32> {
        self.applied.iter().map(|step| step.version).collect()
    }
}

/// A step, with how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// How long its statements ran.
    pub took: Duration,
}

impl Database {
    /// Applies those of `migrations` that are not applied yet, all or none. `now` is the time to record (RFC 3339).
    ///
    /// # Errors
    ///
    /// See [`MigrationError`]. After an error the database is as it was, except after [`MigrationError::OutcomeUnknown`].
    pub fn migrate(&self, migrations: &[Migration], now: &str) -> Result<Outcome, StoreError> {
        self.upgrade(&Upgrade { migrations, ..Upgrade::default() }, now)
    }

    /// Brings the schema to what a component needs and records its version, in one transaction.
    ///
    /// # Errors
    ///
    /// See [`MigrationError`]. After an error the database is as it was, except after [`MigrationError::OutcomeUnknown`].
    pub fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Outcome, StoreError> {
        self.upgrader()?.upgrade(upgrade, now)
    }

    /// Opens a connection for an upgrade. A caller can open it early, so that nobody waits while it is opened.
    ///
    /// # Errors
    ///
    /// When SQLite can't open it.
    pub fn upgrader(&self) -> Result<Upgrader<'_>, StoreError> {
        Ok(Upgrader { database: self, opened: self.open_writer()? })
    }

    /// The numbers of the steps that an upgrade would undo, and of those that it would apply.
    ///
    /// # Errors
    ///
    /// Why the upgrade can't be made, as far as that is known without trying it.
    pub fn plan(&self, upgrade: &Upgrade<'_>) -> Result<(Vec<u32>, Vec<u32>), StoreError> {
        let opened = self.open_reader()?;
        let way = way(&opened.connection, upgrade).map_err(|error| self.migration(error))?;
        let numbers = |steps: &[&Migration]| steps.iter().map(|step| step.version).collect();
        Ok((numbers(&way.undo), numbers(&way.apply)))
    }

    fn migration(&self, source: MigrationError) -> StoreError {
        StoreError::Migration { path: self.path().to_owned(), source: Box::new(source) }
    }
}

/// Called with the database before each step that is applied.
type BeforeStep<'b> = dyn FnMut(&Connection, &Migration) -> rusqlite::Result<()> + 'b;

/// A connection for an upgrade.
pub struct Upgrader<'d> {
    database: &'d Database,
    opened: Guarded,
}

impl Upgrader<'_> {
    /// See [`Database::upgrade`].
    ///
    /// # Errors
    ///
    /// See [`MigrationError`]. After an error the database is as it was, except after [`MigrationError::OutcomeUnknown`].
    pub fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Outcome, StoreError> {
        self.upgrade_with(upgrade, now, &mut |_, _| Ok(()))
    }

    /// Like [`Self::upgrade`]; calls `before` before each step that is applied.
    fn upgrade_with(
        &self,
        upgrade: &Upgrade<'_>,
        now: &str,
        before: &mut BeforeStep<'_>,
    ) -> Result<Outcome, StoreError> {
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
    ) -> Result<Outcome, MigrationError> {
        let Guarded { connection, guard } = &self.opened;
        let way = way(connection, upgrade)?;
        let version = u32::try_from(upgrade.migrations.len()).unwrap_or(u32::MAX);
        let changes = !(way.undo.is_empty() && way.apply.is_empty());
        if !changes && upgrade.activation.is_none() {
            return Ok(Outcome { undone: Vec::new(), applied: Vec::new(), version });
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
        if let Some(told) = upgrade.before_commit {
            told();
        }
        if let Err(error) = connection.execute_batch("COMMIT") {
            self.settle(mark, error)?;
        }
        Ok(Outcome { undone, applied, version })
    }

    /// Finds out what became of the transaction with this mark, whose COMMIT failed. `Ok` if it is in the database, and this is final.
    fn settle(&self, mark: i64, failed: rusqlite::Error) -> Result<(), MigrationError> {
        match settle::of_marked(self.database, &self.opened.connection, mark, &failed) {
            Settled::There => Ok(()),
            Settled::Undone => Err(MigrationError::Commit(failed)),
            Settled::Unknown(seen) => {
                Err(MigrationError::OutcomeUnknown { reason: sqlite_message(&failed), seen })
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
fn way<'m>(connection: &Connection, upgrade: &Upgrade<'m>) -> Result<Way<'m>, MigrationError> {
    let migrations = upgrade.migrations;
    for (place, migration) in (1..).zip(migrations) {
        if migration.version != place {
            return Err(MigrationError::Gap { place, found: migration.version });
        }
    }
    let mut statement = connection.prepare("SELECT version, name, sha256 FROM _bulkhead_migration")?;
    let recorded = statement
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
        .collect::<rusqlite::Result<BTreeMap<u32, (String, String)>>>()?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let last = recorded.last_key_value().map_or(0, |(last, _)| *last);
    if last > known && upgrade.leaving.is_empty() {
        return Err(MigrationError::Newer { recorded: last, known });
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
            None => return Err(MigrationError::Irreversible { version, name: name.clone(), last }),
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
) -> Result<(Vec<Step>, Vec<Step>), MigrationError> {
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
            MigrationError::Host(error) if is_interrupted(&error) => MigrationError::ChecksTooLong,
            error => error,
        })?;
    }
    if let Some(activation) = upgrade.activation {
        with_reserve(connection, storage, |connection| activation.write(connection))?;
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
) -> Result<Step, MigrationError> {
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
                Err(reason) => Err(MigrationError::Refused { version, name, reason }),
            }
        }
        Err(error) => Err(match guard.take_denied() {
            Some(reason) => MigrationError::Refused { version, name, reason },
            None if is_interrupted(&error) => MigrationError::TooLong { version, name },
            None => MigrationError::Failed { version, name, message: sqlite_message(&error) },
        }),
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
