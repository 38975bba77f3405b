//! The rows that say which version of its component a service runs: see `bulkhead_store::Versions`.

use bulkhead_store::{Activation, How, StoreError, Versions};
use rusqlite::{Connection, Row};

use crate::Database;
use crate::connection::with_reserve;
use crate::error::store_error;

/// Writes an activation's row, in the open transaction.
pub(crate) fn write(connection: &Connection, activation: &Activation) -> rusqlite::Result<()> {
    let Activation { sha256, source, how, author, note, at } = activation;
    let columns = (sha256, source, how.name(), author, note, at);
    connection
        .execute(
            "INSERT INTO _bulkhead_version (sha256, source, how, author, note, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            columns,
        )
        .map(drop)
}

impl Versions for Database {
    fn active(&self) -> Result<Option<Activation>, StoreError> {
        Ok(self.activations(1)?.pop())
    }

    fn activations(&self, count: u32) -> Result<Vec<Activation>, StoreError> {
        let opened = self.open_reader()?;
        let read = || {
            opened
                .connection
                .prepare(
                    "SELECT sha256, source, how, author, note, at FROM _bulkhead_version ORDER BY number DESC LIMIT ?1",
                )?
                .query_map([count], activation)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| store_error("read the versions in", self.path(), &source))
    }

    fn take_over_activations(&self, activations: &[Activation]) -> Result<(), StoreError> {
        let opened = self.open_writer()?;
        let written = || {
            let transaction = opened.connection.unchecked_transaction()?;
            with_reserve(&transaction, self.storage(), |connection| {
                activations.iter().try_for_each(|activation| write(connection, activation))
            })?;
            transaction.commit()
        };
        written().map_err(|source| store_error("write the versions into", self.path(), &source))
    }
}

fn activation(row: &Row<'_>) -> rusqlite::Result<Activation> {
    let how: String = row.get(2)?;
    Ok(Activation {
        sha256: row.get(0)?,
        source: row.get(1)?,
        how: How::of(&how),
        author: row.get(3)?,
        note: row.get(4)?,
        at: row.get(5)?,
    })
}
