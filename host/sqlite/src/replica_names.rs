//! Which tables of a database are replicas.

use rusqlite::Connection;

/// The names of the replicas in a database, in lower case.
pub(crate) fn replica_names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT lower(name) FROM _bulkhead_replica")?
        .query_map([], |row| row.get(0))?
        .collect()
}
