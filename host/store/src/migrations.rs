//! Bringing a database to the schema of its component: each step once, recorded with its checksum, all of them in one
//! transaction.
//!
//! Foreign keys are off while the steps run, so that a table with children can be rebuilt (<https://sqlite.org/lang_altertable.html>,
//! section 7), and every key is checked before COMMIT. The pragma is set before BEGIN: inside, SQLite ignores it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bulkhead_types::HOST_TABLE_PREFIX;
use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest, Sha256};

use crate::authorizer::{Guard, Mode, is_host_table};
use crate::error::sqlite_message;
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
    /// The host's own part failed.
    #[error("{0}")]
    Host(#[from] rusqlite::Error),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The versions that were applied now.
    pub applied: Vec<u32>,
    /// The version of the schema.
    pub version: u32,
}

impl Database {
    /// Applies those of `migrations` that are not applied yet, all or none. `now` is the time to record (RFC 3339).
    ///
    /// # Errors
    ///
    /// See [`MigrationError`]; the database is then as it was.
    pub fn migrate(&self, migrations: &[Migration], now: &str) -> Result<Outcome, StoreError> {
        let opened = self.open_writer()?;
        run(&opened.connection, &opened.guard, migrations, now).map_err(|source| StoreError::Migration {
            path: self.path().to_owned(),
            source: Box::new(source),
        })
    }
}

fn run(
    connection: &Connection,
    guard: &Guard,
    migrations: &[Migration],
    now: &str,
) -> Result<Outcome, MigrationError> {
    let pending = pending(connection, migrations)?;
    let version = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if pending.is_empty() {
        return Ok(Outcome { applied: Vec::new(), version });
    }
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = apply(connection, guard, pending, now);
    // After an error the transaction may be over already, by the statement's own doing.
    match (&result, connection.is_autocommit()) {
        (Ok(_), _) => connection.execute_batch("COMMIT")?,
        (Err(_), false) => connection.execute_batch("ROLLBACK")?,
        (Err(_), true) => {}
    }
    result.map(|applied| Outcome { applied, version })
}

/// Those that are not applied yet, once the applied ones are found unchanged.
fn pending<'m>(
    connection: &Connection,
    migrations: &'m [Migration],
) -> Result<&'m [Migration], MigrationError> {
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
    if let Some((&last, _)) = recorded.last_key_value()
        && last > known
    {
        return Err(MigrationError::Newer { recorded: last, known });
    }
    for migration in migrations {
        let Some((recorded_name, checksum)) = recorded.get(&migration.version) else { continue };
        let found = sha256(&migration.sql);
        if *checksum != found {
            return Err(MigrationError::Edited {
                version: migration.version,
                name: migration.name.clone(),
                recorded_name: recorded_name.clone(),
                recorded: checksum.clone(),
                found,
                next: known + 1,
            });
        }
    }
    Ok(migrations.get(recorded.len()..).unwrap_or_default())
}

fn apply(
    connection: &Connection,
    guard: &Guard,
    pending: &[Migration],
    now: &str,
) -> Result<Vec<u32>, MigrationError> {
    let mut applied = Vec::new();
    for migration in pending {
        let (version, name) = (migration.version, &migration.name);
        let result = {
            let _entered = guard.enter(Mode::Migration, None);
            connection.execute_batch(&migration.sql)
        };
        if let Err(error) = result {
            return Err(match guard.take_denied() {
                Some(reason) => MigrationError::Refused { version, name: name.clone(), reason },
                None => {
                    MigrationError::Failed { version, name: name.clone(), message: sqlite_message(&error) }
                }
            });
        }
        connection.execute(
            "INSERT INTO _bulkhead_migration (version, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4)",
            (version, name, sha256(&migration.sql), now),
        )?;
        applied.push(version);
    }
    check_host_names(connection)?;
    check_replica_keys(connection)?;
    check_foreign_keys(connection)?;
    Ok(applied)
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
mod tests {
    use super::Migration;
    use crate::{Database, Settings};

    fn migration(version: u32, sql: &str) -> Migration {
        Migration { version, name: format!("step_{version}"), sql: sql.into() }
    }

    const CREATE: &str = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
        CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE) STRICT;
        INSERT INTO parent VALUES (1, 'a'); INSERT INTO child VALUES (1, 1), (2, 1);";

    fn with_database(test: impl FnOnce(&Database)) {
        let folder = tempfile::tempdir().unwrap();
        test(&Database::open(Settings { path: folder.path().join("a.db"), storage: 1 << 30 }).unwrap());
    }

    fn count(database: &Database, table: &str) -> i64 {
        let connection = database.open_writer().unwrap().connection;
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn applied_once_and_recorded() {
        with_database(|database| {
            assert_eq!(database.migrate(&[migration(1, CREATE)], "now").unwrap().applied, [1]);
            assert!(database.migrate(&[migration(1, CREATE)], "now").unwrap().applied.is_empty());
            assert_eq!(count(database, "_bulkhead_migration"), 1);
        });
    }

    /// With foreign keys on, dropping the old table would delete the children by their cascade.
    #[test]
    fn table_with_children_can_be_rebuilt() {
        with_database(|database| {
            let rebuild =
                "CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT) STRICT;
                INSERT INTO parent_new (id, name) SELECT id, name FROM parent;
                DROP TABLE parent; ALTER TABLE parent_new RENAME TO parent;";
            database.migrate(&[migration(1, CREATE), migration(2, rebuild)], "now").unwrap();
            assert_eq!(count(database, "child"), 2);
        });
    }

    #[test]
    fn refused_or_failed_migration_changes_nothing() {
        with_database(|database| {
            database.migrate(&[migration(1, CREATE)], "now").unwrap();
            for (sql, message) in [
                ("DELETE FROM parent", "foreign keys that point nowhere"),
                ("INSERT INTO parent VALUES (2, 'b'); COMMIT", "transactions are the host's"),
                ("INSERT INTO parent VALUES (2, 'b'); SAVEPOINT s", "transactions are the host's"),
                ("INSERT INTO parent VALUES (2, 'b'); ATTACH ':memory:' AS other", "one database"),
                ("PRAGMA foreign_keys = ON", "PRAGMA foreign_keys"),
                ("PRAGMA writable_schema = ON", "PRAGMA writable_schema"),
                ("UPDATE _bulkhead_meta SET batch = 7", "is the host's"),
                ("DROP TABLE _bulkhead_outbox", "are the host's"),
                ("CREATE TABLE _Bulkhead_x (a)", "are the host's"),
                (
                    "CREATE TRIGGER t AFTER INSERT ON _bulkhead_outbox BEGIN DELETE FROM parent; END",
                    "are the host's",
                ),
                ("CREATE VIRTUAL TABLE v USING dbstat", "virtual tables of module dbstat"),
                ("INSERT INTO parent VALUES (2, 'b'); SELECT FROM", "syntax error"),
                ("INSERT OR ROLLBACK INTO parent VALUES (1, 'b')", "UNIQUE constraint failed"),
                ("INSERT INTO parent VALUES (random(), 'b')", "function random"),
                ("CREATE TABLE t (a, b DEFAULT (random()))", "function random"),
                ("CREATE TABLE t (a, b DEFAULT CURRENT_TIMESTAMP)", "CURRENT_TIMESTAMP"),
                ("ALTER TABLE child RENAME TO _bulkhead_child", "are the host's"),
                ("CREATE TABLE t (a REFERENCES _bulkhead_outbox (sequence))", "are the host's"),
            ] {
                let error = database.migrate(&[migration(1, CREATE), migration(2, sql)], "now").unwrap_err();
                assert!(error.to_string().contains(message), "{sql}: {error}");
                assert_eq!(count(database, "parent"), 1, "{sql}");
                assert_eq!(count(database, "_bulkhead_migration"), 1, "{sql}");
            }
        });
    }

    /// SQLite looks for rows that the new column does not suit by a pragma of its own.
    #[test]
    fn column_can_be_added_to_a_table_with_rows() {
        for column in ["note TEXT", "note TEXT NOT NULL DEFAULT '-'", "note TEXT CHECK (note <> '')"] {
            for options in ["", "STRICT"] {
                with_database(|database| {
                    let create = format!(
                        "CREATE TABLE parent (id INTEGER PRIMARY KEY) {options}; INSERT INTO parent VALUES (1)"
                    );
                    let add = migration(2, &format!("ALTER TABLE parent ADD COLUMN {column}"));
                    let applied = database.migrate(&[migration(1, &create), add], "now");
                    assert!(applied.is_ok(), "{options} {column}: {}", applied.unwrap_err());
                });
            }
        }
    }

    #[test]
    fn edited_missing_and_misnumbered_migrations_are_refused() {
        with_database(|database| {
            database.migrate(&[migration(1, CREATE)], "now").unwrap();
            for (migrations, message) in [
                (vec![migration(1, "SELECT 1")], "an applied migration never changes"),
                (vec![], "run the version of the component that made it"),
                (vec![migration(1, CREATE), migration(3, "SELECT 1")], "number 2 is V0003"),
            ] {
                let error = database.migrate(&migrations, "now").unwrap_err().to_string();
                assert!(error.contains(message), "{error}");
            }
        });
    }
}
