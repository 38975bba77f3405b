//! Checks of a database after the steps. They cover what the authorizer can't see while the steps run.

use std::collections::BTreeSet;

use bulkhead_store::MigrationError;
use bulkhead_types::HOST_TABLE_PREFIX;
use rusqlite::{Connection, OptionalExtension as _};

use super::Failure;
use crate::authorizer::is_host_table;
use crate::system;

/// Fails with what does not hold.
type Check = fn(&Connection) -> Result<(), Failure>;

/// The checks that run once, after all steps.
pub(super) const ALL: [Check; 2] = [replica_keys, foreign_keys];

/// What SQLite records about the host's tables, one line each: their schema, their last sequence numbers, and statistics. SQLite keeps this
/// in its own tables, which a step may write to for the service's tables.
pub(super) fn of_host_tables(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut kept = BTreeSet::new();
    for (table, column) in [
        ("sqlite_schema", "tbl_name"),
        ("sqlite_schema", "name"),
        ("sqlite_sequence", "name"),
        ("sqlite_stat1", "tbl"),
        ("sqlite_stat4", "tbl"),
    ] {
        let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1) OR ?1 = 'sqlite_schema'";
        if !connection.query_row(exists, [table], |row| row.get(0))? {
            continue;
        }
        let sql = format!("SELECT * FROM {table} WHERE lower(substr({column}, 1, length(?1))) = ?1");
        let mut statement = connection.prepare(&sql)?;
        let width = statement.column_count();
        let mut rows = statement.query([HOST_TABLE_PREFIX])?;
        while let Some(row) = rows.next()? {
            let mut line = table.to_owned();
            for place in 0..width {
                line.push_str(&format!(" {:?}", row.get_ref(place)?));
            }
            kept.insert(line);
        }
    }
    Ok(kept)
}

/// Checks that a step left these records as they were.
pub(super) fn left_host_tables(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<(), String> {
    let Some(line) = before.symmetric_difference(after).next() else { return Ok(()) };
    let table = line.split(' ').next().unwrap_or_default();
    Err(format!(
        "it changes what {table} says of the host's tables; name your own tables in it: WHERE {} = '…'",
        if table.starts_with("sqlite_stat") { "tbl" } else { "name" }
    ))
}

/// The authorizer does not get the new name of a renamed table, nor the table that a foreign key points to.
pub(super) fn host_names(connection: &Connection) -> Result<(), Failure> {
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
        Some(name) => Err(MigrationError::HostName { name }.into()),
        None => Ok(()),
    }
}

/// The host writes to replicas with its own rights. A foreign key to a replica would make the host run the guest's cascades and triggers
/// with these rights.
fn replica_keys(connection: &Connection) -> Result<(), Failure> {
    let found = connection
        .query_row(
            "SELECT child.name, replica.name FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key
             JOIN _bulkhead_replica AS replica ON lower(replica.name) = lower(key.\"table\") WHERE child.type = 'table' LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match found {
        Some((table, replica)) => Err(MigrationError::KeyToReplica { table, replica }.into()),
        None => Ok(()),
    }
}

fn foreign_keys(connection: &Connection) -> Result<(), Failure> {
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
        }
        .into()),
    }
}
