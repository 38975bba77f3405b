//! Tables whose numbers are used up: that is not a full disk, and is not reported as one.

use std::sync::Arc;

use bulkhead_store::{
    Abort, Ended, Migration, Migrations as _, Settings, StatementError, Writer, WriterOptions,
};

use super::{begin, soon};
use crate::Database;

/// The writer of a database in which the table `ticket` has used its last number.
fn writer(folder: &tempfile::TempDir, storage: u64) -> Arc<dyn Writer<&'static str>> {
    let database = Database::open(Settings { path: folder.path().join("a.db"), storage }).unwrap();
    let sql = "CREATE TABLE ticket (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT) STRICT;
        CREATE TABLE ticket_note (id INTEGER PRIMARY KEY, name TEXT) STRICT;
        INSERT INTO ticket VALUES (9223372036854775807, 'the last')";
    let step = Migration { version: 1, name: "create_ticket".into(), sql: sql.into(), reverse: None };
    database.migrate(&[step], "now").unwrap();
    crate::Writer::open(Arc::clone(&database), WriterOptions::default(), Arc::new(|_| {})).unwrap()
}

#[test]
fn insert_after_the_last_rowid_reports_it() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder, 1 << 30);
    for insert in
        ["INSERT INTO Ticket (name) VALUES ('one more')", "INSERT INTO \"ticket\"(name) VALUES ('x')"]
    {
        let mut unit = begin(writer.acquire(soon()).unwrap());
        let error = unit.execute(insert, &[]).unwrap_err();
        let StatementError::Aborted(message) = &error else { panic!("{error:?}") };
        assert!(message.contains("table ticket has given its last number, 9223372036854775807"), "{message}");
        // The handler must not continue, as with a full database.
        assert!(matches!(unit.query("SELECT 1", &[]), Err(StatementError::Aborted(_))));
        let (_, ended) = unit.finish(true);
        let (Ended::Failed(abort) | Ended::Aborted { abort, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(abort, Abort::Other(message.clone()));
    }
}

#[test]
fn insert_into_a_full_database_does_not_blame_a_table_with_a_similar_name() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder, 1 << 20);
    let mut unit = begin(writer.acquire(soon()).unwrap());
    let insert = "INSERT INTO ticket_note (name) VALUES (printf('%02000000d', 1))";
    assert_eq!(unit.execute(insert, &[]), Err(StatementError::StorageFull));
}
