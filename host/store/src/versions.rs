//! Which version of its component a service runs. Only the last row of a table in its database says so.
//!
//! The row is written in the transaction that brings the schema to what its version needs (`migrations.rs`). So whenever a process ends,
//! the database names one version and has that version's schema.

use rusqlite::{Connection, Row};

use crate::connection::with_reserve;
use crate::{Database, StoreError};

/// How a version became the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The host found another component at the manifest's source when it started.
    Start,
    /// It was deployed.
    Deploy,
    /// Somebody went back to it, or forward again.
    Rollback,
    /// The version after it failed its probation.
    Return,
}

impl How {
    /// The name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Return => "return",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "deploy" => Self::Deploy,
            "rollback" => Self::Rollback,
            "return" => Self::Return,
            // The table has a CHECK, so this is `start`.
            _ => Self::Start,
        }
    }
}

/// A version becomes the active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The SHA-256 of the component at the manifest's source at that time; empty if there was none.
    pub source: String,
    /// How it became active.
    pub how: How,
    /// Who did it.
    pub author: String,
    /// Their note.
    pub note: String,
    /// When: RFC 3339, UTC.
    pub at: String,
}

impl Activation {
    /// Writes the row, in the open transaction.
    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { sha256, source, how, author, note, at } = self;
        let columns = (sha256, source, how.name(), author, note, at);
        connection
            .execute(
                "INSERT INTO _bulkhead_version (sha256, source, how, author, note, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                columns,
            )
            .map(drop)
    }
}

impl Database {
    /// The active version; none before the first.
    ///
    /// # Errors
    ///
    /// When SQLite can't read it.
    pub fn active(&self) -> Result<Option<Activation>, StoreError> {
        Ok(self.activations(1)?.pop())
    }

    /// The activations, the latest first, at most `count`.
    ///
    /// # Errors
    ///
    /// When SQLite can't read them.
    pub fn activations(&self, count: u32) -> Result<Vec<Activation>, StoreError> {
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
        read().map_err(|source| self.failed("read the versions in", source))
    }

    /// Writes these rows, in this order, into a database that has none: for a database that replaces another.
    ///
    /// # Errors
    ///
    /// When SQLite can't write them.
    pub fn take_over_activations(&self, activations: &[Activation]) -> Result<(), StoreError> {
        let opened = self.open_writer()?;
        let write = || {
            let transaction = opened.connection.unchecked_transaction()?;
            with_reserve(&transaction, self.storage(), |connection| {
                activations.iter().try_for_each(|activation| activation.write(connection))
            })?;
            transaction.commit()
        };
        write().map_err(|source| self.failed("write the versions into", source))
    }

    fn failed(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { action, path: self.path().to_owned(), source }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_version_came_about_is_read_as_it_was_written() {
        for how in [How::Start, How::Deploy, How::Rollback, How::Return] {
            assert_eq!(How::of(how.name()), how);
        }
    }
}
