//! Reads whole tables of a service's database, for the consistency check and for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bulkhead_types::{Sequence, Subject};

use crate::{StatementError, Value};

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

/// One snapshot of a database, which begins when this is opened.
pub trait Inspector: Send {
    /// The sequence of the last event in the event log.
    ///
    /// # Errors
    ///
    /// The database's errors, as for all methods below.
    fn head(&self) -> Result<Sequence, StatementError>;

    /// The names of the columns that a SELECT returns. Runs with the rights of a handler.
    ///
    /// # Errors
    ///
    /// The database's errors, and an error for what a handler may not do.
    fn columns(&self, sql: &str) -> Result<Vec<String>, StatementError>;

    /// Runs a SELECT with the rights of a handler, passes each row to `row_found`, and returns the columns' names. Text that is not UTF-8
    /// is read with replacement characters.
    ///
    /// # Errors
    ///
    /// The database's errors, and an error for what a handler may not do.
    fn select(&self, sql: &str, row_found: &mut dyn FnMut(Vec<Value>))
    -> Result<Vec<String>, StatementError>;

    /// How many rows each of the service's own tables has. Leaves out virtual tables, and the tables that store a search index for another
    /// table.
    ///
    /// # Errors
    ///
    /// The database's errors; [`StatementError::Interrupted`] if the rows are not counted by `deadline`.
    fn row_counts(&self, deadline: Instant) -> Result<BTreeMap<String, u64>, StatementError>;

    /// The columns that refer to entities of other services.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn references(&self) -> Result<Vec<Reference>, StatementError>;

    /// Passes each distinct value of a referring column to `found`, with the number of rows that have it.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn referred(
        &self,
        reference: &Reference,
        found: &mut dyn FnMut(Value, i64),
    ) -> Result<(), StatementError>;

    /// The subjects of the events of these types after a sequence of the event log.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn subjects_behind(
        &self,
        sequence: Sequence,
        kinds: [&str; 2],
    ) -> Result<BTreeSet<Subject>, StatementError>;

    /// Whether an event of this type about this subject was published.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn was_published(&self, kind: &str, subject: &Subject) -> Result<bool, StatementError>;
}
