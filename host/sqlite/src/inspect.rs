//! Reads whole tables of a database: see `bulkhead_store::Inspector`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bulkhead_store::{Reference, StatementError, StoreError, Value};
use bulkhead_types::{Sequence, Subject};
use rusqlite::types::ValueRef;

use crate::authorizer::{Mode, is_host_table};
use crate::connection::Guarded;
use crate::error::{classify, store_error};
use crate::row;
use crate::{Database, outbox};

/// The suffix of a column's name that refers to an entity of another service.
const REFERENCE_SUFFIX: &str = "_id_ref";

/// One connection, with one snapshot that begins when it is opened.
pub(crate) struct Inspector {
    guarded: Guarded,
}

impl Inspector {
    /// Opens a connection, and a snapshot on it of what is committed now.
    ///
    /// # Errors
    ///
    /// When SQLite can't open the connection.
    pub(crate) fn open(database: &Database) -> Result<Self, StoreError> {
        let guarded = database.open_reader()?;
        // A snapshot begins at its first read.
        let begun = guarded.connection.execute_batch("BEGIN").and_then(|()| {
            guarded.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        });
        begun.map_err(|source| store_error("read", database.path(), &source))?;
        Ok(Self { guarded })
    }
}

impl bulkhead_store::Inspector for Inspector {
    fn head(&self) -> Result<Sequence, StatementError> {
        outbox::head(&self.guarded.connection).map_err(|error| classify(&error, None))
    }

    fn columns(&self, sql: &str) -> Result<Vec<String>, StatementError> {
        let Guarded { connection, guard } = &self.guarded;
        let _entered = guard.enter(Mode::Handler, None);
        let prepared = connection.prepare(sql);
        let names = prepared.map(|statement| statement.column_names().map(str::to_owned).collect());
        names.map_err(|error| classify(&error, guard.take_denied()))
    }

    fn select(
        &self,
        sql: &str,
        row_found: &mut dyn FnMut(Vec<Value>),
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

    fn row_counts(&self, deadline: Instant) -> Result<BTreeMap<String, u64>, StatementError> {
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

    fn references(&self) -> Result<Vec<Reference>, StatementError> {
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

    fn referred(
        &self,
        reference: &Reference,
        found: &mut dyn FnMut(Value, i64),
    ) -> Result<(), StatementError> {
        let name = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (table, column) = (name(&reference.table), name(&reference.column));
        let sql = format!("SELECT {column}, count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1");
        self.select(&sql, &mut |row| {
            let mut row = row.into_iter();
            if let (Some(value), Some(Value::Integer(count))) = (row.next(), row.next()) {
                found(value, count);
            }
        })
        .map(drop)
    }

    fn subjects_behind(
        &self,
        sequence: Sequence,
        kinds: [&str; 2],
    ) -> Result<BTreeSet<Subject>, StatementError> {
        let read = || {
            self.guarded
                .connection
                .prepare_cached(
                    "/*bulkhead*/SELECT subject FROM _bulkhead_outbox WHERE sequence > ?1 AND type IN (?2, ?3)",
                )?
                .query_map((sequence.get(), kinds[0], kinds[1]), |row| row::subject(row, 0))?
                .collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| classify(&error, None))
    }

    fn was_published(&self, kind: &str, subject: &Subject) -> Result<bool, StatementError> {
        let read = || {
            self.guarded
                .connection
                .prepare_cached(
                    "/*bulkhead*/SELECT EXISTS (SELECT 1 FROM _bulkhead_outbox WHERE subject = ?2 AND (data <> '') = 1 AND type = ?1)",
                )?
                .query_row((kind, subject.as_str()), |row| row.get(0))
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
