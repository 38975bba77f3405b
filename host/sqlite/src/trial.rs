//! Checks a guest's statements before the guest runs: each is prepared, and none is run.

use bulkhead_store::StatementError;

use crate::authorizer::Mode;
use crate::connection::Guarded;
use crate::error::classify;

/// SQLite's messages about a name that the schema does not have. Any other error may only mean that the text is a part of a statement.
const UNKNOWN_NAMES: [&str; 4] =
    ["no such column", "no such table", "has no column named", "no such function"];

/// The guest's statements that do not fit the schema, or that a guest may not run, each with the reason. The schema is the one that this
/// connection sees, also in a transaction that is still open.
pub(crate) fn unsuited<'s>(opened: &Guarded, statements: &'s [String]) -> Vec<(&'s str, String)> {
    let why = |sql: &str| {
        let _entered = opened.guard.enter(Mode::Handler, None);
        let error = opened.connection.prepare(sql).err()?;
        match classify(&error, opened.guard.take_denied()) {
            StatementError::NotAllowed(reason) => Some(reason),
            StatementError::Invalid(message)
                if UNKNOWN_NAMES.iter().any(|unknown| message.contains(unknown)) =>
            {
                Some(message)
            }
            _ => None,
        }
    };
    statements.iter().filter_map(|sql| Some((sql.as_str(), why(sql)?))).collect()
}

#[cfg(test)]
mod tests {
    use bulkhead_store::{Migration, Migrations as _, Settings};

    use crate::Database;

    #[test]
    fn statements_that_name_missing_objects_are_found_and_fragments_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let database =
            Database::open(Settings { path: folder.path().join("a.db"), storage: 1 << 30 }).unwrap();
        let sql = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT) STRICT";
        let step = Migration { version: 1, name: "create_note".into(), sql: sql.into(), reverse: None };
        database.migrate(&[step], "now").unwrap();
        for (sql, expected) in [
            ("SELECT id, body FROM note WHERE id = ?1", None),
            ("INSERT INTO note (body) VALUES (?1) RETURNING id", None),
            ("SELECT colour FROM note", Some("no such column: colour")),
            ("INSERT INTO note (colour) VALUES (1)", Some("table note has no column named colour")),
            ("UPDATE note SET colour = 1", Some("no such column: colour")),
            ("DELETE FROM notes", Some("no such table: notes")),
            ("SELECT colours(id) FROM note", Some("no such function: colours")),
            ("SELECT data FROM _bulkhead_outbox", Some("table _bulkhead_outbox is the host's")),
            ("SELECT id FROM note WHERE ", None),
            ("INSERT INTO note (body) VALUES (", None),
            ("with regards to the note", None),
        ] {
            let statements = [sql.to_owned()];
            let found = database.unsuited(&statements).unwrap();
            assert_eq!(found.first().map(|(_, why)| why.as_str()), expected, "{sql}");
        }
    }
}
