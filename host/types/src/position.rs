//! Where a service's log stands, as a client is told.

use std::fmt;

/// A place in the log of one service: what it published up to and with `sequence`.
///
/// To clients it is an opaque token, `SERVICE:LOG.SEQUENCE`: the log's own random id keeps a token of a database that was
/// replaced from being taken for one of its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The service whose log it is.
    pub service: String,
    /// The log's id: 32 hexadecimal digits, made with the database.
    pub log: String,
    /// The sequence of the last event; 0 before the first.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}", self.service, self.log, self.sequence)
    }
}
