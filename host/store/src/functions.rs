//! Functions that no statement may use, put out of order.
//!
//! The authorizer refuses them by name where a statement names them. The DEFAULT of a column it is never asked about: so the
//! functions themselves fail.

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Error};

use crate::authorizer::FORBIDDEN_FUNCTIONS;

/// Puts the forbidden functions of `connection` out of order, for the host too.
pub(crate) fn forbid(connection: &Connection) -> rusqlite::Result<()> {
    /// Any number of arguments, for those of SQLite's functions that take some; a form of its own has to be replaced by the same.
    const ARGUMENTS: [i32; 4] = [-1, 0, 1, 2];
    for name in FORBIDDEN_FUNCTIONS {
        for arguments in ARGUMENTS {
            connection.create_scalar_function(
                name,
                arguments,
                FunctionFlags::SQLITE_UTF8,
                move |_| -> rusqlite::Result<i64> {
                    Err(Error::UserFunctionError(
                        format!("function {name} is not to be had: time and randomness come from the host")
                            .into(),
                    ))
                },
            )?;
        }
    }
    Ok(())
}
