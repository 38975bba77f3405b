//! The statements that create a replica and change its rows.

use bulkhead_store::{ApplyError, Logged, ReplicaColumn, ReplicaSpec};
use rusqlite::{Connection, params_from_iter};

use crate::error::classify;
use crate::value::Bound;

/// The statement that creates a table for its rows: `kind` is `TABLE` or `TEMP TABLE`.
pub(super) fn create(replica: &ReplicaSpec, kind: &str, table: &str) -> String {
    let columns: Vec<String> = replica
        .columns
        .iter()
        .map(|ReplicaColumn { name, kind, .. }| {
            let key = if *name == replica.key { " NOT NULL PRIMARY KEY" } else { "" };
            format!("{} {}{key}", quoted(name), kind.declared())
        })
        .collect();
    format!("CREATE {kind} {} ({}) STRICT, WITHOUT ROWID", quoted(table), columns.join(", "))
}

/// The statement that writes a row. It updates an existing row, so that no trigger or key of the guest's can see a deletion.
pub(crate) fn upsert_statement(replica: &ReplicaSpec, table: &str) -> String {
    let names: Vec<String> = replica.columns.iter().map(|column| quoted(&column.name)).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("?{place}")).collect();
    let others = names.iter().filter(|name| **name != quoted(&replica.key));
    let changes: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
    let then =
        if changes.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", changes.join(", ")) };
    format!(
        "/*bulkhead*/INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {then}",
        quoted(table),
        names.join(", "),
        places.join(", "),
        quoted(&replica.key)
    )
}

pub(crate) fn delete_statement(replica: &ReplicaSpec, table: &str) -> String {
    format!("/*bulkhead*/DELETE FROM {} WHERE {} = ?1", quoted(table), quoted(&replica.key))
}

/// Changes the row of the event's subject in `table` to what the event says.
pub(super) fn change(
    connection: &Connection,
    replica: &ReplicaSpec,
    table: &str,
    event: &Logged,
) -> Result<(), ApplyError> {
    // The event's data were erased: the event that deletes the row follows.
    if event.data.is_empty() && event.kind == replica.upsert {
        return Ok(());
    }
    let written = if event.kind == replica.upsert {
        let values = replica.values(event, true)?;
        let sql = upsert_statement(replica, table);
        connection
            .prepare_cached(&sql)
            .and_then(|mut insert| insert.execute(params_from_iter(values.iter().map(Bound))))
    } else {
        let sql = delete_statement(replica, table);
        connection.prepare_cached(&sql).and_then(|mut delete| delete.execute([event.subject.as_str()]))
    };
    written.map(drop).map_err(|error| ApplyError::Statement(classify(&error, None)))
}

/// A name as SQL needs it. Names come from the manifest, which accepts only letters, digits and `_`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
