//! Fills a service's replicas that are new or whose declaration has changed, and drops those that are no longer declared.
//!
//! Invariants:
//!
//! - All changes are one transaction: either all of them are made or none. The old replica stays until the new one is complete. If the host
//!   is killed at any moment, the next start finds the one or the other.
//! - The rows show the position that the same transaction sees, or a later event. In the second case no event up to that one is applied to
//!   them any more: see `stage.rs`.
//! - No row is lost. If a row can't be made, nothing is changed, and the caller gets the number of such rows and the reason for the first.
//!
//! The rows are first read into temporary tables, without a lock on the service's database. So the service can serve requests meanwhile.
//! Under its gate and its lease, only two things are left: to apply the events since then, and to copy from table to table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bulkhead_store::{ColumnType, Filled, FindOwner, NOT_MADE_FROM, ReplicaSpec, Replicas, StoreError};
use bulkhead_types::Sequence;
use rusqlite::{Connection, OptionalExtension as _, ffi};

use super::sql::quoted;
use super::stage::Stage;
use crate::authorizer::Mode;
use crate::connection::Guarded;
use crate::error::{sqlite_message, store_error};
use crate::row;
use crate::settle::Settled;
use crate::{Database, inbox, settle, trial};

/// What a replica was created with.
struct Made {
    spec: String,
    log: String,
}

impl Replicas for Database {
    fn make_replicas(
        &self,
        replicas: &[ReplicaSpec],
        handled: &BTreeSet<String>,
        find: &FindOwner<'_>,
    ) -> Result<Vec<Filled>, StoreError> {
        match self.stage_replicas(replicas, handled, find)? {
            Some(mut refill) => {
                refill.write(None)?;
                refill.commit()
            }
            None => Ok(Vec::new()),
        }
    }

    fn stage_replicas(
        &self,
        replicas: &[ReplicaSpec],
        handled: &BTreeSet<String>,
        find: &FindOwner<'_>,
    ) -> Result<Option<Box<dyn bulkhead_store::Refill + '_>>, StoreError> {
        let opened = self.open_writer()?;
        let failed = |source| self.replicas_failed(source);
        let made = made(&opened.connection).map_err(failed)?;
        let gone: Vec<String> = made
            .keys()
            .filter(|name| !replicas.iter().any(|replica| replica.name == **name))
            .cloned()
            .collect();
        let mut refill = Refill {
            database: self,
            opened,
            gone,
            stages: Vec::new(),
            replicas: replicas.to_vec(),
            handled: handled.clone(),
            filled: Vec::new(),
        };
        let connection = &refill.opened.connection;
        // There may be more rows than fit into the memory that all services share.
        connection.pragma_update(None, "temp_store", "FILE").map_err(failed)?;
        for (number, replica) in replicas.iter().enumerate() {
            let before = made.get(&replica.name);
            let owner = find(replica)?;
            let cursor = inbox::cursor(connection, &replica.owner).map_err(failed)?;
            // A replica from another event log is not what this owner holds. If the position is in that event log too, the subscription
            // stops and reports it.
            let is_of_another = |made: &Made| {
                let log = owner.as_ref().map(|owner| owner.log.id());
                !made.log.is_empty()
                    && log.is_some_and(|log| log != made.log)
                    && cursor.as_ref().is_none_or(|cursor| Some(cursor.log.as_str()) == log)
            };
            if before.is_some_and(|made| made.spec == replica.text() && !is_of_another(made)) {
                continue;
            }
            let refused = |why| self.refused(replica, why);
            check_place(connection, replica, before.is_some()).map_err(refused)?;
            let stage = Stage::read(connection, number, replica, owner, cursor.as_ref());
            refill.stages.push(stage.map_err(refused)?);
        }
        let has_work = !(refill.gone.is_empty() && refill.stages.is_empty());
        Ok(has_work.then(|| Box::new(refill) as _))
    }

    fn has_replicas(&self, replicas: &[ReplicaSpec]) -> Result<bool, StoreError> {
        let made = made(&self.open_reader()?.connection).map_err(|source| self.replicas_failed(source))?;
        let is_made =
            |replica: &ReplicaSpec| made.get(&replica.name).is_some_and(|made| made.spec == replica.text());
        Ok(made.len() == replicas.len() && replicas.iter().all(is_made))
    }
}

impl Database {
    fn refused(&self, replica: &ReplicaSpec, why: String) -> StoreError {
        StoreError::Replica { path: self.path().to_owned(), name: replica.name.clone(), why }
    }

    fn replicas_failed(&self, source: rusqlite::Error) -> StoreError {
        store_error("make the replicas of", self.path(), &source)
    }
}

fn made(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Made>> {
    connection
        .prepare("SELECT name, spec, log FROM _bulkhead_replica")?
        .query_map([], |row| Ok((row.get(0)?, Made { spec: row.get(1)?, log: row.get(2)? })))?
        .collect()
}

/// Checks that a replica may have its name.
fn check_place(connection: &Connection, replica: &ReplicaSpec, is_made: bool) -> Result<(), String> {
    let failed = |error: rusqlite::Error| sqlite_message(&error);
    let taken: Option<String> = connection
        .query_row("SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE", [&replica.name], |row| {
            row.get(0)
        })
        .optional()
        .map_err(failed)?;
    if let Some(kind) = taken.filter(|_| !is_made) {
        return Err(format!(
            "the service has a {kind} of that name; choose another name for the replica, or drop that one by a migration"
        ));
    }
    let child: Option<String> = connection
        .query_row(
            "SELECT child.name FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS key
             WHERE child.type = 'table' AND lower(key.\"table\") = lower(?1)",
            [&replica.name],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    child.map_or(Ok(()), |child| {
        Err(format!(
            "a foreign key of the table {child} points to it, and a replica's rows come and go as their owner says; drop the key \
             by a migration"
        ))
    })
}

/// Replicas whose rows were read. If it is dropped, nothing has changed.
pub(crate) struct Refill<'d> {
    database: &'d Database,
    opened: Guarded,
    /// The names of the replicas that are no longer declared.
    gone: Vec<String>,
    stages: Vec<Stage>,
    /// All declared replicas.
    replicas: Vec<ReplicaSpec>,
    handled: BTreeSet<String>,
    filled: Vec<Filled>,
}

impl bulkhead_store::Refill for Refill<'_> {
    fn unusable(&self) -> Vec<(&str, &str)> {
        let stages = self.stages.iter();
        stages.filter_map(|stage| Some((stage.replica.name.as_str(), stage.unusable.as_deref()?))).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.stages.iter().map(|stage| stage.replica.name.as_str()).collect()
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.check_until(None)
    }

    fn write(&mut self, until: Option<Instant>) -> Result<(), StoreError> {
        let database = self.database;
        let guard = std::sync::Arc::clone(&self.opened.guard);
        let _entered = guard.enter(Mode::Host, until);
        self.opened
            .connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|source| database.replicas_failed(source))?;
        self.check_until(until)?;
        let connection = &self.opened.connection;
        for name in &self.gone {
            let quoted = quoted(name);
            let dropped = connection
                .execute_batch(&format!("DROP TABLE IF EXISTS main.{quoted}"))
                .and_then(|()| connection.execute("DELETE FROM _bulkhead_replica WHERE name = ?1", [name]));
            dropped.map_err(|source| database.replicas_failed(source))?;
        }
        for stage in &self.stages {
            let written = stage.write(connection).and_then(|rows| self.settle(stage).map(|()| rows));
            let rows = written.map_err(|error| {
                database
                    .refused(&stage.replica, out_of_room(&error).unwrap_or_else(|| sqlite_message(&error)))
            })?;
            self.filled.push(Filled {
                name: stage.replica.name.clone(),
                rows,
                source: stage.source,
                unusable: stage.unusable.clone(),
            });
        }
        Ok(())
    }

    fn unsuited<'s>(&self, statements: &'s [String]) -> Vec<(&'s str, String)> {
        trial::unsuited(&self.opened, statements)
    }

    fn commit(self: Box<Self>) -> Result<Vec<Filled>, StoreError> {
        let connection = &self.opened.connection;
        let marked = settle::mark(connection).map_err(|source| self.database.replicas_failed(source))?;
        if let Err(failed) = connection.execute_batch("COMMIT")
            && settle::of_marked(self.database, connection, marked, &failed) != Settled::There
        {
            return Err(self.database.replicas_failed(failed));
        }
        Ok(self.filled)
    }
}

impl Refill<'_> {
    fn check_until(&mut self, until: Option<Instant>) -> Result<(), StoreError> {
        let Self { database, opened, stages, .. } = self;
        for stage in stages {
            let brought = bring(&opened.connection, stage, until);
            brought.map_err(|why| database.refused(&stage.replica, why))?;
        }
        Ok(())
    }

    /// Handles the dead letters that failed because the rows did not yet have what they have now. A dead letter that only the replica needs
    /// is deleted. If the service's handler or another replica gets it as well, it is tried again: its effect there is still missing.
    fn settle(&self, stage: &Stage) -> rusqlite::Result<()> {
        let connection = &self.opened.connection;
        let replica = &stage.replica;
        let dead: Vec<(Sequence, String, String)> = connection
            .prepare(
                "SELECT sequence, type, reason FROM _bulkhead_parked INDEXED BY _bulkhead_parked_by_producer
                 WHERE producer = ?1 AND sequence <= ?2 AND state = 'dead'",
            )?
            .query_map((replica.owner.as_str(), stage.at.get()), |row| {
                Ok((row::sequence(row, 0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (sequence, kind, reason) in dead {
            if !replica.takes(&kind) || !stage.covers(sequence) {
                continue;
            }
            let is_wanted_by = |other: &ReplicaSpec| other.owner == replica.owner && other.takes(&kind);
            let is_covered = |other: &ReplicaSpec| {
                self.stages.iter().any(|stage| stage.replica == *other && stage.covers(sequence))
            };
            let is_handled = self.handled.contains(&kind);
            let place = (replica.owner.as_str(), sequence.get());
            if !is_handled && self.replicas.iter().filter(|other| is_wanted_by(other)).all(is_covered) {
                connection
                    .execute("DELETE FROM _bulkhead_parked WHERE producer = ?1 AND sequence = ?2", place)?;
            } else if !is_handled || reason.contains(NOT_MADE_FROM) {
                connection.execute(
                    "UPDATE _bulkhead_parked SET state = 'parked', attempts = 0, next_ms = 0
                     WHERE producer = ?1 AND sequence = ?2",
                    place,
                )?;
            }
        }
        Ok(())
    }
}

fn bring(connection: &Connection, stage: &mut Stage, until: Option<Instant>) -> Result<(), String> {
    let cursor = inbox::cursor(connection, &stage.replica.owner).map_err(|error| sqlite_message(&error))?;
    stage.bring_to(connection, cursor.as_ref(), until)?;
    let Some((count, sequence, subject, why)) = stage.lost(connection)? else { return Ok(()) };
    let (owner, name) = (&stage.replica.owner, &stage.replica.name);
    let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let select = match &stage.unusable {
        None => format!("add [service.{owner}.entity.{name}] with a select that gives its columns"),
        Some(unusable) => {
            format!("correct the select of [service.{owner}.entity.{name}], which can't be used: {unusable}")
        }
    };
    Err(format!(
        "{rows} would be lost, the first that of {subject:?}, by event {sequence} of {owner}: {why}; {}, or {select}",
        remedy(&stage.replica, &why)
    ))
}

/// What helps if a row can't be made for this reason (`ReplicaSpec::values`). A default helps only if a field is missing.
fn remedy(replica: &ReplicaSpec, why: &str) -> String {
    let is_about = |name: &str| why.contains(&format!("{NOT_MADE_FROM}: {name} "));
    if is_about(&replica.key) {
        return format!(
            "name the field that has the events' subject, a text, as the key in the place of {}",
            replica.key
        );
    }
    match replica.columns.iter().find(|column| is_about(&column.name)) {
        Some(column) if why.ends_with(" is missing") => {
            format!(
                "give the column a default, as in {} = {{ type = \"{}\", default = {} }}",
                column.name,
                column.kind.declared().to_lowercase(),
                if column.kind == ColumnType::Text { "\"\"" } else { "0" }
            )
        }
        Some(column) => format!("declare the column {} with the type that its events have", column.name),
        None => format!("have {} publish data from which the replica can be made", replica.owner),
    }
}

/// What to do if there is no room for the rows.
fn out_of_room(error: &rusqlite::Error) -> Option<String> {
    let is_full = matches!(error, rusqlite::Error::SqliteFailure(error, _) if error.extended_code & 0xff == ffi::SQLITE_FULL);
    is_full.then(|| {
        "its rows find no room: the disk is full, or the database has as much as limits.storage allows; raise that, or make room".to_owned()
    })
}
