//! Reads whole tables of a service's database, for the consistency check and for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rusqlite::types::ValueRef;

use crate::authorizer::{Mode, is_host_table};
use crate::connection::Guarded;
use crate::error::classify;
use crate::{Database, StatementError, StoreError, Value, outbox};

/// A column that refers to an entity of another service: `note_id_ref` refers to an entity `note`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The name of the entity.
    pub entity: String,
}

/// The suffix of a column's name that refers to an entity of another service.
const REFERENCE_SUFFIX: &str = "_id_ref";

/// One connection, with one snapshot that begins when it is opened.
pub struct Inspector {
    guarded: Guarded,
}

impl Inspector {
    /// Opens a connection, and a snapshot on it of what is committed now.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let guarded = database.open_reader()?;
        // A snapshot begins at its first read.
        let begun = guarded.connection.execute_batch("BEGIN").and_then(|()| {
            guarded.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        });
        begun.map_err(|source| StoreError::Sqlite {
            action: "read",
            path: database.path().to_owned(),
            source,
        })?;
        Ok(Self { guarded })
    }

    /// The sequence of the last event in the event log.
    ///
    /// # Errors
    ///
    /// SQLite's errors, as for all methods below.
    pub fn head(&self) -> Result<i64, StatementError> {
        outbox::head(&self.guarded.connection).map_err(|error| classify(&error, None))
    }

    /// The names of the columns that a SELECT returns. Runs with the rights of a handler.
    ///
    /// # Errors
    ///
    /// SQLite's errors, and an error for what a handler may not do.
    pub fn columns(&self, sql: &str) -> Result<Vec<String>, StatementError> {
        let Guarded { connection, guard } = &self.guarded;
        let _entered = guard.enter(Mode::Handler, None);
        let prepared = connection.prepare(sql);
        let names = prepared.map(|statement| statement.column_names().map(str::to_owned).collect());
        names.map_err(|error| classify(&error, guard.take_denied()))
    }

    /// Runs a SELECT with the rights of a handler, passes each row to `row_found`, and returns the columns' names. Text that is not UTF-8
    /// is read with replacement characters.
    ///
    /// # Errors
    ///
    /// SQLite's errors, and an error for what a handler may not do.
    pub fn select(
        &self,
        sql: &str,
        mut row_found: impl FnMut(Vec<Value>),
    ) -> Result<Vec<String>, StatementError> {
        let Guarded { connection, guard } = &self.guarded;
        let _entered = guard.enter(Mode::Handler, None);
        let mut run = || {
            let mut statement = connection.prepare(sql)?;
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values = (0..columns.len())
                    .map(|index| row.get_ref(index).map(value))
                    .collect::<Result<_, _>>()?;
                row_found(values);
            }
            Ok(columns)
        };
        run().map_err(|error| classify(&error, guard.take_denied()))
    }

    /// How many rows each of the service's own tables has. Leaves out virtual tables, and the tables that store a search index for another
    /// table.
    ///
    /// # Errors
    ///
    /// SQLite's errors; [`StatementError::Interrupted`] if the rows are not counted by `deadline`.
    pub fn row_counts(&self, deadline: Instant) -> Result<BTreeMap<String, u64>, StatementError> {
        let connection = &self.guarded.connection;
        let _entered = self.guarded.guard.enter(Mode::Host, Some(deadline));
        let read = || {
            let names = connection
                .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")?
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let own = names.into_iter().filter(|name| !is_host_table(name) && !name.starts_with("sqlite_"));
            own.map(|name| {
                let quoted = name.replace('"', "\"\"");
                // `count(*)` is one step of SQLite's virtual machine, however many rows there are. The deadline is checked between steps
                // only.
                let sql = format!("SELECT ifnull(sum(1), 0) FROM \"{quoted}\"");
                let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
                Ok((name, count.unsigned_abs()))
            })
            .collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| classify(&error, None))
    }

    /// The columns that refer to entities of other services.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn references(&self) -> Result<Vec<Reference>, StatementError> {
        let read = || {
            self.guarded
                .connection
                .prepare(
                    "SELECT object.name, field.name FROM sqlite_schema AS object, pragma_table_info(object.name) AS field
                     WHERE object.type = 'table' ORDER BY object.name, field.cid",
                )?
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let columns = read().map_err(|error| classify(&error, None))?;
        Ok(columns
            .into_iter()
            .filter(|(table, _)| !is_host_table(table))
            .filter_map(|(table, column)| {
                let entity = column.strip_suffix(REFERENCE_SUFFIX)?.to_owned();
                Some(Reference { table, column, entity })
            })
            .collect())
    }

    /// Passes each distinct value of a referring column to `found`, with the number of rows that have it.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn referred(
        &self,
        reference: &Reference,
        mut found: impl FnMut(Value, i64),
    ) -> Result<(), StatementError> {
        let name = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (table, column) = (name(&reference.table), name(&reference.column));
        let sql = format!("SELECT {column}, count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1");
        self.select(&sql, |row| {
            let mut row = row.into_iter();
            if let (Some(value), Some(Value::Integer(count))) = (row.next(), row.next()) {
                found(value, count);
            }
        })
        .map(drop)
    }

    /// The subjects of the events of these types after a sequence of the event log.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn subjects_behind(
        &self,
        sequence: i64,
        kinds: [&str; 2],
    ) -> Result<BTreeSet<String>, StatementError> {
        let read = || {
            self.guarded
                .connection
                .prepare_cached(
                    "/*bulkhead*/SELECT subject FROM _bulkhead_outbox WHERE sequence > ?1 AND type IN (?2, ?3)",
                )?
                .query_map((sequence, kinds[0], kinds[1]), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| classify(&error, None))
    }

    /// Whether an event of this type about this subject was published.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn was_published(&self, kind: &str, subject: &str) -> Result<bool, StatementError> {
        let read = || {
            self.guarded
                .connection
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_outbox WHERE subject = ?2 AND (data <> '') = 1 AND type = ?1)",
                )?
                .query_row((kind, subject), |row| row.get(0))
        };
        read().map_err(|error| classify(&error, None))
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => Value::Blob(blob.to_owned()),
    }
}
