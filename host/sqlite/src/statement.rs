//! Runs one statement of a guest on a connection. Guests' statements run here and nowhere else.
//!
//! A guest's statement is in the connection's statement cache under its own text. All host statements begin with [`HOST_MARK`], and a
//! guest's statement that begins with it is refused. So neither can get a statement that the other prepared.

use std::time::Instant;

use bulkhead_store::{ExecuteResult, ResultSet, StatementError, Value};
use bulkhead_types::limits::{RESULT_BYTES_MAX, RESULT_ROWS_MAX, STATEMENT_BYTES_MAX};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row};

use crate::authorizer::{Guard, Mode};
use crate::error::classify;
use crate::tokens::tokens;
use crate::value::Bound;

/// The text of each cached host statement begins with this.
pub(crate) const HOST_MARK: &str = "/*bulkhead*/";

/// Whether a statement may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only statements that read.
    Read,
    /// Every statement that a handler may run.
    Write,
}

/// Runs a statement and returns its rows.
pub(crate) fn query(
    connection: &Connection,
    guard: &Guard,
    access: Access,
    deadline: Instant,
    sql: &str,
    parameters: &[Value],
) -> Result<ResultSet, StatementError> {
    run(connection, guard, access, deadline, sql, parameters, |statement| {
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let width = columns.len();
        let read = |statement: &mut CachedStatement<'_>| {
            let mut bytes = 0;
            let mut rows = Vec::new();
            let mut cursor = statement.raw_query();
            while let Some(row) = cursor.next().map_err(Failure::Sqlite)? {
                if rows.len() == RESULT_ROWS_MAX {
                    return Err(limit("rows of a result", RESULT_ROWS_MAX));
                }
                let values = read_row(row, width, &columns, &mut bytes)?;
                rows.push(values);
            }
            drop(cursor);
            Ok(rows)
        };
        // A write with RETURNING writes everything before it returns its first row. If its rows can't be read, the write is undone.
        let rows = if statement.readonly() {
            read(statement)
        } else {
            undone_on_error(connection, guard, || read(statement))
        }?;
        Ok(ResultSet { columns, rows })
    })
}

/// Runs `work` in its own savepoint.
fn undone_on_error<T>(
    connection: &Connection,
    guard: &Guard,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let host = |sql: &str| {
        let _as_host = guard.pause();
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map_err(Failure::Sqlite)
    };
    host("/*bulkhead*/SAVEPOINT statement")?;
    let result = work();
    if result.is_err() && !connection.is_autocommit() {
        host("/*bulkhead*/ROLLBACK TO statement")?;
    }
    if !connection.is_autocommit() {
        host("/*bulkhead*/RELEASE statement")?;
    }
    result
}

/// Runs a statement to its end and drops its rows.
pub(crate) fn execute(
    connection: &Connection,
    guard: &Guard,
    deadline: Instant,
    sql: &str,
    parameters: &[Value],
) -> Result<ExecuteResult, StatementError> {
    run(connection, guard, Access::Write, deadline, sql, parameters, |statement| {
        let reads = statement.readonly();
        let mut cursor = statement.raw_query();
        while cursor.next().map_err(Failure::Sqlite)?.is_some() {}
        drop(cursor);
        // A statement that only reads leaves `changes` as the last write set it.
        let rows_affected = if reads { 0 } else { connection.changes() };
        Ok(ExecuteResult { rows_affected, last_insert_rowid: connection.last_insert_rowid() })
    })
}

/// Why a run ended. An error of SQLite is classified together with what the authorizer refused; an error of the host stays as it is.
enum Failure {
    Sqlite(rusqlite::Error),
    Statement(StatementError),
}

fn limit(what: &'static str, maximum: usize) -> Failure {
    Failure::Statement(StatementError::Limit { what, maximum: maximum as u64 })
}

fn run<T>(
    connection: &Connection,
    guard: &Guard,
    access: Access,
    deadline: Instant,
    sql: &str,
    parameters: &[Value],
    finish: impl FnOnce(&mut CachedStatement<'_>) -> Result<T, Failure>,
) -> Result<T, StatementError> {
    if sql.len() > STATEMENT_BYTES_MAX {
        return Err(StatementError::Limit {
            what: "bytes of a statement",
            maximum: STATEMENT_BYTES_MAX as u64,
        });
    }
    if sql.trim_start().starts_with(HOST_MARK) {
        return Err(StatementError::Invalid(format!("a statement may not begin with {HOST_MARK}")));
    }
    let _entered = guard.enter(Mode::Handler, Some(deadline));
    let result =
        prepare(connection, access, sql, parameters).and_then(|mut statement| finish(&mut statement));
    result.map_err(|failure| match failure {
        Failure::Sqlite(error) => match classify(&error, guard.take_denied()) {
            StatementError::StorageFull => {
                let _as_host = guard.pause();
                // This error is as final as a full database. The database may be full nevertheless: SQLite does not tell the two apart.
                match without_numbers(connection, sql) {
                    Some(table) => StatementError::Aborted(format!(
                        "table {table} has given its last number, {}, and AUTOINCREMENT gives none twice: recreate the table by a migration",
                        i64::MAX
                    )),
                    None => StatementError::StorageFull,
                }
            }
            error => error,
        },
        Failure::Statement(error) => error,
    })
}

/// The table that a statement names and whose AUTOINCREMENT numbers are used up, if there is one. SQLite reports this as a full database.
fn without_numbers(connection: &Connection, sql: &str) -> Option<String> {
    let ended = || {
        connection
            .prepare("SELECT name FROM sqlite_sequence WHERE seq = ?1")?
            .query_map([i64::MAX], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()
    };
    let named = tokens(sql);
    ended().ok()?.into_iter().find(|name| named.contains(&name.to_ascii_lowercase()))
}

fn prepare<'c>(
    connection: &'c Connection,
    access: Access,
    sql: &str,
    parameters: &[Value],
) -> Result<CachedStatement<'c>, Failure> {
    let mut statement = connection.prepare_cached(sql).map_err(Failure::Sqlite)?;
    if access == Access::Read && !statement.readonly() {
        return Err(Failure::Statement(StatementError::ReadOnly));
    }
    let wanted = statement.parameter_count();
    if wanted != parameters.len() {
        return Err(Failure::Statement(StatementError::InvalidValue(format!(
            "the statement has {wanted} parameters, and {} were given",
            parameters.len()
        ))));
    }
    for (index, value) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Bound(value)).map_err(Failure::Sqlite)?;
    }
    Ok(statement)
}

fn read_row(
    row: &Row<'_>,
    width: usize,
    columns: &[String],
    bytes: &mut usize,
) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::with_capacity(width);
    for (index, column) in columns.iter().enumerate() {
        let value = match row.get_ref(index).map_err(Failure::Sqlite)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Integer(value),
            ValueRef::Real(value) => Value::Real(value),
            ValueRef::Text(text) => {
                *bytes += text.len();
                // A guest can create text from any bytes: CAST(x'FF' AS TEXT).
                let text = std::str::from_utf8(text).map_err(|_| {
                    Failure::Statement(StatementError::InvalidValue(format!(
                        "the text of column {column} is not UTF-8"
                    )))
                })?;
                Value::Text(text.to_owned())
            }
            ValueRef::Blob(blob) => {
                *bytes += blob.len();
                Value::Blob(blob.to_owned())
            }
        };
        *bytes += size_of::<Value>();
        if *bytes > RESULT_BYTES_MAX {
            return Err(limit("bytes of a result", RESULT_BYTES_MAX));
        }
        values.push(value);
    }
    Ok(values)
}
