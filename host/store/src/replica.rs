//! Replicas: tables that a service can only read, kept fresh by the events of their owner.
//!
//! The host makes the table and applies the events, in the unit of work that moves the position in the owner's log. A replica that is
//! new, or declared in another form than it was made in, is filled from the owner's log up to the position that the service has
//! there: so the rows and the position always tell of the same state.

use bulkhead_types::HOST_TABLE_PREFIX;
use rusqlite::types::{ToSqlOutput, Value as SqlValue};
use rusqlite::{Connection, OptionalExtension as _, ToSql, params_from_iter};
use serde_json::Value as Json;

use crate::outbox::{LogReader, Logged};
use crate::{Database, StatementError, StoreError, UnitOfWork, inbox};

/// How many events are read at a time while a replica is filled.
const FILL_EVENTS: u32 = 1000;

/// The type of a replica's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A JSON string.
    Text,
    /// A JSON integer, or true and false as 1 and 0.
    Integer,
    /// A JSON number.
    Real,
}

impl ColumnType {
    /// The type that the manifest names so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "integer" => Some(Self::Integer),
            "real" => Some(Self::Real),
            _ => None,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
        }
    }
}

/// A replica as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSpec {
    /// The table.
    pub name: String,
    /// The service whose data it copies.
    pub owner: String,
    /// The type of event that carries the state of a row.
    pub upsert: String,
    /// The type of event that says that a row is gone.
    pub delete: Option<String>,
    /// The column that is the key: it has the events' subject.
    pub key: String,
    /// The columns with their types, the key among them.
    pub columns: Vec<(String, ColumnType)>,
}

/// Why an event can't be applied to a replica.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The data are not what the columns want.
    #[error("{0}")]
    Malformed(String),
    /// The row could not be written.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl ReplicaSpec {
    /// Whether it is kept by events of this type.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.upsert == kind || self.delete.as_deref() == Some(kind)
    }

    /// The types of the events that keep it.
    #[must_use]
    pub fn kinds(&self) -> [&str; 2] {
        [&self.upsert, self.delete.as_ref().unwrap_or(&self.upsert)]
    }

    /// What it was made with, as text: another text is another replica.
    fn text(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|(name, kind)| [name, kind.sql()]).collect();
        serde_json::json!([self.owner, self.upsert, self.delete, self.key, columns]).to_string()
    }

    fn create(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind)| {
                let key = if *name == self.key { " NOT NULL PRIMARY KEY" } else { "" };
                format!("{} {}{key}", quoted(name), kind.sql())
            })
            .collect();
        format!("CREATE TABLE {} ({}) STRICT, WITHOUT ROWID", quoted(&self.name), columns.join(", "))
    }

    /// The values of a row: what `data` says, with the subject as the key.
    fn values(&self, event: &Logged) -> Result<Vec<Cell>, ApplyError> {
        let data: Json =
            serde_json::from_str(&event.data).map_err(|error| malformed(event, &error.to_string()))?;
        let mut values = Vec::with_capacity(self.columns.len());
        for (name, kind) in &self.columns {
            let value = data.get(name);
            let cell = match (value, kind) {
                (Some(Json::String(text)), ColumnType::Text) => SqlValue::Text(text.clone()),
                (Some(Json::Bool(value)), ColumnType::Integer) => SqlValue::Integer((*value).into()),
                (Some(Json::Number(number)), ColumnType::Integer) => match number.as_i64() {
                    Some(number) => SqlValue::Integer(number),
                    None => return Err(malformed(event, &format!("{name} is no integer"))),
                },
                (Some(Json::Number(number)), ColumnType::Real) => match number.as_f64() {
                    Some(number) => SqlValue::Real(number),
                    None => return Err(malformed(event, &format!("{name} is no number"))),
                },
                (Some(Json::Null), _) if *name != self.key => SqlValue::Null,
                (None, _) => return Err(malformed(event, &format!("{name} is missing"))),
                (Some(_), kind) => {
                    return Err(malformed(
                        event,
                        &format!("{name} is not of the type {}", kind.sql().to_lowercase()),
                    ));
                }
            };
            if *name == self.key && !matches!(&cell, SqlValue::Text(text) if *text == event.subject) {
                return Err(malformed(event, &format!("{name} is not the event's subject")));
            }
            values.push(Cell(cell));
        }
        Ok(values)
    }

    /// Puts a row in its place. An UPDATE where there is one: no trigger or key of the guest's could take it for a deletion.
    pub(crate) fn upsert_statement(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| quoted(name)).collect();
        let places: Vec<String> = (1..=names.len()).map(|place| format!("?{place}")).collect();
        let others = names.iter().filter(|name| **name != quoted(&self.key));
        let changes: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
        let then = if changes.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", changes.join(", "))
        };
        format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {then}",
            quoted(&self.name),
            names.join(", "),
            places.join(", "),
            quoted(&self.key)
        )
    }

    /// Deletes a row by its key.
    pub(crate) fn delete_statement(&self) -> String {
        format!("DELETE FROM {} WHERE {} = ?1", quoted(&self.name), quoted(&self.key))
    }

    /// Brings the row of the event's subject to what the event says.
    fn apply(&self, connection: &Connection, event: &Logged) -> Result<(), ApplyError> {
        // What was erased is gone: its end follows.
        if event.data.is_empty() && event.kind == self.upsert {
            return Ok(());
        }
        let written = if event.kind == self.upsert {
            let values = self.values(event)?;
            let sql = format!("/*bulkhead*/{}", self.upsert_statement());
            connection.prepare_cached(&sql).and_then(|mut insert| insert.execute(params_from_iter(values)))
        } else {
            let sql = format!("/*bulkhead*/{}", self.delete_statement());
            connection.prepare_cached(&sql).and_then(|mut delete| delete.execute([&event.subject]))
        };
        written.map(drop).map_err(|error| ApplyError::Statement(crate::error::classify(&error, None)))
    }
}

fn malformed(event: &Logged, what: &str) -> ApplyError {
    ApplyError::Malformed(format!("the data of {} are not what a replica is made from: {what}", event.kind))
}

/// A name as SQL has it. Names come from the manifest, which takes letters, digits and `_` alone.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

struct Cell(SqlValue);

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl<M> UnitOfWork<M> {
    /// Applies an event to a replica.
    ///
    /// # Errors
    ///
    /// See [`ApplyError`].
    pub fn apply(&mut self, replica: &ReplicaSpec, event: &Logged) -> Result<(), ApplyError> {
        let mut malformed = None;
        self.as_host(|connection| match replica.apply(connection, event) {
            Ok(()) => Ok(Ok(())),
            Err(ApplyError::Malformed(why)) => {
                malformed = Some(why);
                Ok(Ok(()))
            }
            Err(ApplyError::Statement(error)) => Ok(Err(error)),
        })??;
        malformed.map_or(Ok(()), |why| Err(ApplyError::Malformed(why)))
    }

    /// Applies the owner's row to a replica, or deletes the row where the owner has none: what the consistency check repairs by.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    pub fn repair(
        &mut self,
        replica: &ReplicaSpec,
        key: &str,
        row: Option<&[crate::Value]>,
    ) -> Result<(), StatementError> {
        self.as_host(|connection| {
            match row {
                Some(row) => connection
                    .prepare_cached(&format!("/*bulkhead*/{}", replica.upsert_statement()))?
                    .execute(params_from_iter(row))?,
                None => connection
                    .prepare_cached(&format!("/*bulkhead*/{}", replica.delete_statement()))?
                    .execute([key])?,
            };
            Ok(())
        })
    }
}

impl Database {
    /// Makes the replicas that are declared, and drops those that no longer are. `owners` gives the log of each owner, for replicas
    /// that are new where the service has taken events of that owner before.
    ///
    /// To be called before the migrations, so that their views may name replicas; nothing else has the database open.
    ///
    /// # Errors
    ///
    /// When a table of the service has a replica's name, an event of the owner's is malformed, or SQLite fails.
    pub fn make_replicas(
        &self,
        replicas: &[ReplicaSpec],
        owners: &dyn Fn(&str) -> Result<LogReader, StoreError>,
    ) -> Result<(), StoreError> {
        let opened = self.open_writer()?;
        let connection = &opened.connection;
        let failed = |source| StoreError::Sqlite {
            action: "make the replicas of",
            path: self.path().to_owned(),
            source,
        };
        let there: Vec<(String, String)> = connection
            .prepare("SELECT name, spec FROM _bulkhead_replica")
            .and_then(|mut read| read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .map_err(failed)?;
        let wanted = |name: &str| replicas.iter().find(|replica| replica.name == *name);
        for (name, spec) in &there {
            if wanted(name).is_none_or(|replica| replica.text() != *spec) {
                connection
                    .execute_batch(&format!(
                        "BEGIN IMMEDIATE; DROP TABLE IF EXISTS {}; DELETE FROM _bulkhead_replica WHERE name = '{}'; COMMIT",
                        quoted(name),
                        name.replace('\'', "''")
                    ))
                    .map_err(failed)?;
            }
        }
        for replica in replicas {
            if there.iter().any(|(name, spec)| *name == replica.name && replica.text() == *spec) {
                continue;
            }
            self.make(connection, replica, owners)?;
        }
        Ok(())
    }

    fn make(
        &self,
        connection: &Connection,
        replica: &ReplicaSpec,
        owners: &dyn Fn(&str) -> Result<LogReader, StoreError>,
    ) -> Result<(), StoreError> {
        let refused = |why: String| StoreError::Replica {
            path: self.path().to_owned(),
            name: replica.name.clone(),
            why,
        };
        let failed = |error: rusqlite::Error| refused(crate::error::sqlite_message(&error));
        let taken: Option<String> = connection
            .query_row("SELECT type FROM sqlite_schema WHERE name = ?1", [&replica.name], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        if let Some(kind) = taken {
            return Err(refused(format!(
                "the service has a {kind} of that name; choose another name for the replica, or drop that one by a migration"
            )));
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
        if let Some(child) = child {
            return Err(refused(format!(
                "a foreign key of the table {child} points to it, and a replica's rows come and go as their owner says; drop the key \
                 by a migration"
            )));
        }
        let position =
            inbox::cursor(connection, &replica.owner).map_err(failed)?.map_or(0, |cursor| cursor.sequence);
        let transaction = connection.unchecked_transaction().map_err(failed)?;
        connection.execute_batch(&replica.create()).map_err(failed)?;
        let mut next = 1;
        let log = if position > 0 { Some(owners(&replica.owner)?) } else { None };
        while let Some(log) = &log
            && next <= position
        {
            let events = log.read(next, FILL_EVENTS).map_err(|error| refused(error.to_string()))?;
            let Some(last) = events.last() else { break };
            next = last.sequence + 1;
            for event in
                events.iter().filter(|event| event.sequence <= position && replica.takes(&event.kind))
            {
                match replica.apply(connection, event) {
                    Ok(()) => {}
                    // It is a dead letter where the service came by it, or would be.
                    Err(ApplyError::Malformed(why)) => {
                        tracing::warn!(
                            replica = replica.name,
                            event = event.id,
                            why,
                            "an event is left out of a replica"
                        );
                    }
                    Err(ApplyError::Statement(error)) => return Err(refused(error.to_string())),
                }
            }
        }
        connection
            .execute(
                "INSERT INTO _bulkhead_replica (name, spec) VALUES (?1, ?2)",
                (&replica.name, replica.text()),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

/// The names of the replicas in a database, in lower case.
pub(crate) fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT lower(name) FROM _bulkhead_replica")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Whether a name may be a replica's, or a column's of one: so that none needs more than quotes in SQL.
#[must_use]
pub fn is_replica_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    first
        && name.len() <= 60
        && !name.starts_with(HOST_TABLE_PREFIX)
        && !name.starts_with("sqlite_")
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
