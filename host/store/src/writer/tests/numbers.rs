//! Tables whose numbers have come to an end: that is not a full disk, and is not called one.

use std::sync::Arc;

use super::{begin, soon};
use crate::{Database, Migration, Settings, StatementError, Writer, WriterOptions};

#[test]
fn insert_behind_the_last_number_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(Settings { path: folder.path().join("a.db"), storage: 1 << 30 }).unwrap();
    let sql = "CREATE TABLE ticket (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT) STRICT;
        INSERT INTO ticket VALUES (9223372036854775807, 'the last')";
    let step = Migration { version: 1, name: "create_ticket".into(), sql: sql.into(), reverse: None };
    database.migrate(&[step], "now").unwrap();
    let writer: Arc<Writer<&'static str>> =
        Writer::open(Arc::clone(&database), WriterOptions::default(), Arc::new(|_| {})).unwrap();
    let mut unit = begin(writer.acquire(soon()).unwrap());
    let error = unit.execute("INSERT INTO Ticket (name) VALUES ('one more')", &[]).unwrap_err();
    let StatementError::Invalid(message) = &error else { panic!("{error:?}") };
    assert!(message.contains("table ticket has given its last number, 9223372036854775807"), "{message}");
}
