//! Reads the last committed state, one snapshot at a time.

use std::time::{Duration, Instant};

use crate::{Known, RequestKey, ResultSet, StatementError, Value};

/// A worker's reader.
///
/// A snapshot begins at the first query and ends with [`Reader::end`]. All queries between the two see the same state.
pub trait Reader: Send {
    /// Runs one reading statement in the snapshot. Begins a snapshot if none is open.
    ///
    /// # Errors
    ///
    /// [`StatementError::Busy`] when new snapshots were held back until `deadline`, otherwise as the statement fails.
    fn query(
        &mut self,
        deadline: Instant,
        sql: &str,
        parameters: &[Value],
    ) -> Result<ResultSet, StatementError>;

    /// Ends the snapshot, if there is one.
    fn end(&mut self);

    /// What is known about a key. Reads in its own snapshot, which begins and ends here.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn known(&mut self, key: &RequestKey, now: Duration) -> Result<Known, StatementError>;
}
