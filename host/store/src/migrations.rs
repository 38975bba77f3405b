//! Bringing a database to the schema of its component: each step once, recorded with its checksum, all of them in one
//! transaction.
//!
//! Foreign keys are off while the steps run, so that a table with children can be rebuilt (<https://sqlite.org/lang_altertable.html>,
//! section 7), and every key is checked before COMMIT. The pragma is set before BEGIN: inside, SQLite ignores it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bulkhead_types::HOST_TABLE_PREFIX;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use sha2::{Digest, Sha256};

use crate::authorizer::{Guard, Mode, is_host_table};
use crate::connection::Guarded;
use crate::error::sqlite_message;
use crate::versions::Activation;
use crate::{Database, StoreError, system};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, … without a gap.
    pub version: u32,
    /// For example `create_note`.
    pub name: String,
    /// One or more statements.
    pub sql: String,
    /// What undoes it; none where it can't be undone.
    pub reverse: Option<String>,
}

/// Why a migration was refused or failed. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The versions are not 1, 2, 3, ….
    #[error(
        "the component's migrations are numbered 1, 2, 3, … without a gap, and number {place} is V{found:04}; renumber it"
    )]
    Gap {
        /// The place in the list, from 1.
        place: u32,
        /// What stands there.
        found: u32,
    },
    /// An applied migration reads differently now.
    #[error(
        "V{version:04}__{name} was applied as {recorded_name} with SHA-256 {recorded} and now has {found}; an applied \
         migration never changes: restore it, and put the change into a new one, V{next:04}"
    )]
    Edited {
        /// Its number.
        version: u32,
        /// Its name now.
        name: String,
        /// Its name then.
        recorded_name: String,
        /// Its checksum then.
        recorded: String,
        /// Its checksum now.
        found: String,
        /// The first free number.
        next: u32,
    },
    /// The database is newer than the component.
    #[error(
        "the database has V{recorded:04}, and the component's migrations end at V{known:04}; run the version of the \
         component that made it, or a later one"
    )]
    Newer {
        /// The last migration in the database.
        recorded: u32,
        /// The last that the component has.
        known: u32,
    },
    /// The component is an earlier one, and a step that it does not know can't be undone.
    #[error(
        "V{version:04}__{name} can't be undone: it has no reverse SQL; deploy a version that goes on from V{last:04}, with a migration \
         that takes back what is to be taken back"
    )]
    Irreversible {
        /// The step's number.
        version: u32,
        /// Its name.
        name: String,
        /// The last migration in the database.
        last: u32,
    },
    /// Its time was over.
    #[error("V{version:04}__{name} was ended: it took longer than it may, or the host was stopped")]
    TooLong {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
    },
    /// The time was over while what the steps left was checked.
    #[error("looking whether every foreign key points to something took longer than it may")]
    ChecksTooLong,
    /// A statement was refused by the authorizer.
    #[error("V{version:04}__{name} does what a migration may not do: {reason}")]
    Refused {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
        /// What.
        reason: String,
    },
    /// A statement failed.
    #[error("V{version:04}__{name}: {message}")]
    Failed {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
        /// SQLite's text.
        message: String,
    },
    /// Foreign keys point nowhere after the steps.
    #[error(
        "after the migrations {count} rows have foreign keys that point nowhere, the first in table {table}, to table \
         {parent}; move or delete those rows in the migration"
    )]
    DanglingKeys {
        /// How many rows.
        count: usize,
        /// The first one's table.
        table: String,
        /// The table that it points to.
        parent: String,
    },
    /// After the steps something has, or points to, a name of the host's.
    #[error(
        "after the migrations there is {name}: names that begin with {HOST_TABLE_PREFIX} are the host's; choose another"
    )]
    HostName {
        /// The name.
        name: String,
    },
    /// After the steps a foreign key points to a replica.
    #[error(
        "after the migrations a foreign key of the table {table} points to the replica {replica}, whose rows come and go as their owner \
         says; leave the key out: `bulkhead check` looks at columns named {replica}_id_ref"
    )]
    KeyToReplica {
        /// The table that has the key.
        table: String,
        /// The replica.
        replica: String,
    },
    /// COMMIT failed: whether the steps are in the database, [`Database::active`] tells.
    #[error("commit the migrations: {0}")]
    Commit(rusqlite::Error),
    /// The host's own part failed.
    #[error("{0}")]
    Host(#[from] rusqlite::Error),
}

/// From the schema that is there to the one that a component needs.
#[derive(Clone, Copy, Default)]
pub struct Upgrade<'a> {
    /// The component's steps.
    pub migrations: &'a [Migration],
    /// Those of the version that is left, for a way back: what undoes a step is for the version that has it to say. Empty for a way that
    /// only leads forward.
    pub leaving: &'a [Migration],
    /// Written in the same transaction.
    pub activation: Option<&'a Activation>,
    /// When its statements are ended.
    pub until: Option<Instant>,
    /// They are ended as soon as this is set, too.
    pub stop: Option<&'a Arc<AtomicBool>>,
    /// Called when all is done but for the COMMIT.
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

/// A step, with the time that it took.
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
    /// See [`MigrationError`]; the database is then as it was.
    pub fn migrate(&self, migrations: &[Migration], now: &str) -> Result<Outcome, StoreError> {
        self.upgrade(&Upgrade { migrations, ..Upgrade::default() }, now)
    }

    /// Brings the schema to what a component needs and records its version, in one transaction.
    ///
    /// # Errors
    ///
    /// See [`MigrationError`]; the database is then as it was.
    pub fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Outcome, StoreError> {
        self.upgrader()?.upgrade(upgrade, now)
    }

    /// A connection for an upgrade: for one who does not want to be waited for while it is opened.
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
    /// Why it can't be made, as far as that can be told without trying it.
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
    /// See [`MigrationError`]; the database is then as it was.
    pub fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Outcome, StoreError> {
        let opened = &self.opened;
        if let Some(stop) = upgrade.stop {
            opened.guard.end_when(stop);
        }
        // What a migration sorts may be larger than the memory that all services share.
        let run = || {
            opened.connection.pragma_update(None, "temp_store", "FILE")?;
            run(&opened.connection, &opened.guard, upgrade, now)
        };
        run().map_err(|error| self.database.migration(error))
    }
}

/// The steps from the schema that is there to another.
struct Way<'m> {
    /// The last first.
    undo: Vec<&'m Migration>,
    apply: Vec<&'m Migration>,
}

fn run(
    connection: &Connection,
    guard: &Guard,
    upgrade: &Upgrade<'_>,
    now: &str,
) -> Result<Outcome, MigrationError> {
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
    let result = change(connection, guard, upgrade, &way, now);
    // After an error the transaction may be over already, by the statement's own doing.
    match (&result, connection.is_autocommit()) {
        (Ok(_), _) => {
            if let Some(told) = upgrade.before_commit {
                told();
            }
            connection.execute_batch("COMMIT").map_err(MigrationError::Commit)?;
        }
        (Err(_), false) => connection.execute_batch("ROLLBACK")?,
        (Err(_), true) => {}
    }
    result.map(|(undone, applied)| Outcome { undone, applied, version })
}

/// What is to be undone and what applied, once the applied steps are found unchanged.
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
    // What undoes a step belongs to the step as it was applied.
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
    connection: &Connection,
    guard: &Guard,
    upgrade: &Upgrade<'_>,
    way: &Way<'_>,
    now: &str,
) -> Result<(Vec<Step>, Vec<Step>), MigrationError> {
    let (mut undone, mut applied) = (Vec::new(), Vec::new());
    for migration in &way.undo {
        let reverse = migration.reverse.as_deref().unwrap_or_default();
        undone.push(step(connection, guard, migration, reverse, upgrade.until)?);
        connection.execute("DELETE FROM _bulkhead_migration WHERE version = ?1", [migration.version])?;
    }
    for migration in &way.apply {
        applied.push(step(connection, guard, migration, &migration.sql, upgrade.until)?);
        connection.execute(
            "INSERT INTO _bulkhead_migration (version, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4)",
            (migration.version, &migration.name, sha256(&migration.sql), now),
        )?;
    }
    if !(undone.is_empty() && applied.is_empty()) {
        let _entered = guard.enter(Mode::Host, upgrade.until);
        let checks = [check_host_names, check_replica_keys, check_foreign_keys];
        checks.iter().try_for_each(|check| check(connection)).map_err(|error| match error {
            MigrationError::Host(error) if is_interrupted(&error) => MigrationError::ChecksTooLong,
            error => error,
        })?;
    }
    if let Some(activation) = upgrade.activation {
        activation.write(connection)?;
    }
    Ok((undone, applied))
}

/// Runs the statements of one step, forth or back.
fn step(
    connection: &Connection,
    guard: &Guard,
    migration: &Migration,
    sql: &str,
    until: Option<Instant>,
) -> Result<Step, MigrationError> {
    let (version, name) = (migration.version, migration.name.clone());
    let started = Instant::now();
    let result = {
        let _entered = guard.enter(Mode::Migration, until);
        connection.execute_batch(sql)
    };
    match result {
        Ok(()) => Ok(Step { version, name, took: started.elapsed() }),
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

/// The authorizer is not told the new name of a renamed table, nor which table a foreign key points to.
fn check_host_names(connection: &Connection) -> Result<(), MigrationError> {
    let taken = |sql: &str| {
        let mut statement = connection.prepare(sql)?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        names
            .collect::<rusqlite::Result<Vec<_>>>()
            .map(|names| names.into_iter().find(|name| is_host_table(name)))
    };
    let own = system::names_in_sql();
    let object = taken(&format!("SELECT name FROM sqlite_schema WHERE name NOT IN ({own})"))?;
    let on = taken(&format!("SELECT tbl_name FROM sqlite_schema WHERE name NOT IN ({own})"))?;
    let parent = taken(
        "SELECT key.\"table\" FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key WHERE child.type = 'table'",
    )?;
    match object.or(on).or(parent) {
        Some(name) => Err(MigrationError::HostName { name }),
        None => Ok(()),
    }
}

/// The host writes to replicas with its own rights: a key to one would have it run the guest's cascades and triggers with them.
fn check_replica_keys(connection: &Connection) -> Result<(), MigrationError> {
    let found = connection
        .query_row(
            "SELECT child.name, replica.name FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key
             JOIN _bulkhead_replica AS replica ON lower(replica.name) = lower(key.\"table\") WHERE child.type = 'table' LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match found {
        Some((table, replica)) => Err(MigrationError::KeyToReplica { table, replica }),
        None => Ok(()),
    }
}

fn check_foreign_keys(connection: &Connection) -> Result<(), MigrationError> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let dangling = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    match dangling.first() {
        None => Ok(()),
        Some((table, parent)) => Err(MigrationError::DanglingKeys {
            count: dangling.len(),
            table: table.clone(),
            parent: parent.clone(),
        }),
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests;
