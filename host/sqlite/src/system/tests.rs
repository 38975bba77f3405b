//! Opens databases of earlier and later hosts.

use std::path::{Path, PathBuf};

use bulkhead_store::{
    Activation, Commit, Ended, EventLog as _, How, Migration, Migrations as _, OpenReaders as _, Settings,
    StoreError, Upgrade, Versions as _, Writer as _, WriterOptions,
};
use bulkhead_types::Sequence;
use rusqlite::Connection;

use super::{NAMES, STEPS};
use crate::Database;
use crate::event_log::EmbeddedLog;
use crate::writer::tests::trace_id;

fn open(path: &Path) -> Result<std::sync::Arc<Database>, StoreError> {
    Database::open(Settings { path: path.to_owned(), storage: 1 << 30 })
}

fn in_folder(test: impl FnOnce(PathBuf)) {
    let folder = tempfile::tempdir().unwrap();
    test(folder.path().join("a.db"));
}

const NOTE: &str = "CREATE TABLE note (id TEXT PRIMARY KEY) STRICT; INSERT INTO note VALUES ('a');";

/// A database as the first version of the schema left it: with an event log, a migration, and a table of the service's.
fn make_first_version(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    connection.execute_batch(STEPS[0]).unwrap();
    connection.execute_batch(NOTE).unwrap();
    connection
        .execute_batch(
            "INSERT INTO _bulkhead_meta (id, log, batch) VALUES (1, '00112233445566778899aabbccddeeff', 41);
             INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data) VALUES
                 ('e1', 'note.written', 'a', 'now', '00000000000000000000000000000001', '{\"n\":1}'), ('e2', 'note.written', 'b', 'now', '00000000000000000000000000000002', '');
             INSERT INTO _bulkhead_outbox (sequence, id, type, subject, time, trace_id, data) VALUES
                 (3, 'e3', 'note.removed', 'b', 'then', '00000000000000000000000000000003', '{}');",
        )
        .unwrap();
    let sha256 = {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(NOTE).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    connection
        .execute("INSERT INTO _bulkhead_migration VALUES (1, 'create_note', ?1, 'then')", [sha256])
        .unwrap();
    assert_eq!(user_version(&connection), 0);
}

fn user_version(connection: &Connection) -> i64 {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The whole schema, as one text.
fn schema(connection: &Connection) -> String {
    text(
        connection,
        "SELECT group_concat(line, char(10)) FROM (
             SELECT object.name || ' ' || coalesce(field.name || ' ' || field.type || ' ' || field.\"notnull\" || ' ' || field.pk, '') AS line
             FROM sqlite_schema AS object LEFT JOIN pragma_table_info(object.name) AS field
             WHERE object.name <> 'note' AND object.name NOT LIKE 'sqlite_%' ORDER BY object.name, field.cid)",
    )
}

#[test]
fn first_version_database_is_upgraded_with_its_event_log() {
    in_folder(|path| {
        make_first_version(&path);
        let database = open(&path).unwrap();
        assert_eq!(database.log(), "00112233445566778899aabbccddeeff");
        assert_eq!(database.secret().len(), 32);

        let log = EmbeddedLog::open(&database).unwrap();
        let events: Vec<_> = log
            .read(Sequence::new(1), 10)
            .unwrap()
            .into_iter()
            .map(|event| {
                (
                    event.sequence.get(),
                    event.id,
                    event.kind,
                    event.subject.to_string(),
                    event.time,
                    event.trace_id,
                    event.data,
                )
            })
            .collect();
        let expected = [
            (1, "e1", "note.written", "a", "now", 1, r#"{"n":1}"#),
            (2, "e2", "note.written", "b", "now", 2, ""),
            (3, "e3", "note.removed", "b", "then", 3, "{}"),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(n, id, kind, s, time, trace, data)| {
                (
                    n,
                    id.to_owned(),
                    kind.to_owned(),
                    s.to_owned(),
                    time.to_owned(),
                    trace_id(trace),
                    data.to_owned(),
                )
            })
            .collect();
        assert_eq!(events, expected);
        assert_eq!(log.damages().unwrap(), [], "they have no digests, and that is no damage");
        let connection = Connection::open(&path).unwrap();
        assert_eq!(text(&connection, "SELECT batch || '' FROM _bulkhead_meta"), "41");
        assert_eq!(user_version(&connection), STEPS.len() as i64);
    });
}

#[test]
fn first_version_events_can_be_erased_like_others() {
    in_folder(|path| {
        make_first_version(&path);
        let database = open(&path).unwrap();
        let options = WriterOptions::default();
        let writer =
            crate::Writer::<()>::open(std::sync::Arc::clone(&database), options, std::sync::Arc::new(|_| {}));
        let writer = writer.unwrap();
        let lease = writer.acquire(std::time::Instant::now() + std::time::Duration::from_secs(60));
        let mut unit = lease.unwrap().begin().map_err(|(_, error)| error).unwrap();
        assert_eq!(unit.erase(&"a".into()), Ok(1));
        let (mut lease, ended) = unit.finish(true);
        assert!(matches!(ended, Ended::Kept { .. }), "{ended:?}");
        assert!(matches!(lease.commit(), Commit::Durable(_)));
        let log = EmbeddedLog::open(&database).unwrap();
        assert!(log.read(Sequence::new(1), 1).unwrap()[0].data.is_empty());
        assert_eq!(log.damages().unwrap(), []);
    });
}

#[test]
fn service_continues_with_first_version_data() {
    in_folder(|path| {
        make_first_version(&path);
        let database = open(&path).unwrap();
        let migration = |version: u32, name: &str, sql: &str| Migration {
            version,
            name: name.into(),
            sql: sql.into(),
            reverse: None,
        };
        let steps = [
            migration(1, "create_note", NOTE),
            migration(2, "create_reply", "CREATE TABLE reply (id TEXT) STRICT"),
        ];
        assert_eq!(database.migrate(&steps, "now").unwrap().applied_versions(), [2]);
        let connection = Connection::open(&path).unwrap();
        assert_eq!(text(&connection, "SELECT id FROM note"), "a");
        // The next event gets the next number.
        connection
            .execute_batch("INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data) VALUES ('e', 'k', 's', 'n', '00000000000000000000000000000001', '{}')")
            .unwrap();
        assert_eq!(EmbeddedLog::open(&database).unwrap().head(), Ok(Sequence::new(4)));
    });
}

/// The host's tables and rows find room when the guests have none.
#[test]
fn full_database_is_upgraded_and_accepts_host_rows() {
    in_folder(|path| {
        make_first_version(&path);
        let number = |name: &str| -> i64 {
            Connection::open(&path).unwrap().pragma_query_value(None, name, |row| row.get(0)).unwrap()
        };
        let storage = (number("page_count") * number("page_size")).unsigned_abs();
        let database = Database::open(Settings { path: path.clone(), storage }).unwrap();
        let migration = |version: u32, name: &str, sql: &str| Migration {
            version,
            name: name.into(),
            sql: sql.into(),
            reverse: None,
        };
        // More rows than fit on a page.
        let long = "x".repeat(1000);
        let mut steps = vec![migration(1, "create_note", NOTE)];
        steps.extend((2..12).map(|version| migration(version, &long, "SELECT 1")));
        let activation = Activation {
            sha256: "a".into(),
            source: String::new(),
            how: How::Deploy,
            author: "a".into(),
            note: long,
            at: "now".into(),
        };
        for _ in 0..10 {
            let upgrade = Upgrade { migrations: &steps, activation: Some(&activation), ..Upgrade::default() };
            database.upgrade(&upgrade, "now").unwrap();
        }
        database.take_over_activations(&vec![activation; 10]).unwrap();
        assert_eq!(database.activations(100).unwrap().len(), 20);
        steps.push(migration(
            12,
            "create_big",
            "CREATE TABLE big (a TEXT) STRICT; INSERT INTO big VALUES (printf('%0100000d', 1))",
        ));
        let Err(full) = database.migrate(&steps, "now") else { panic!("the guests have no room") };
        assert!(full.to_string().contains("full"), "{full}");
    });
}

#[test]
fn upgraded_database_has_the_tables_of_a_new_one() {
    in_folder(|path| {
        let new = path.with_extension("new");
        make_first_version(&path);
        open(&path).unwrap();
        open(&new).unwrap();
        let [old, new] = [path, new].map(|path| schema(&Connection::open(path).unwrap()));
        assert_eq!(old, new);
        for name in NAMES {
            assert!(new.lines().any(|line| line.split(' ').next() == Some(name)), "{name} is not in\n{new}");
        }
    });
}

/// What the third version left: timers, and parked events without a mark for the first.
#[test]
fn upgrade_counts_timers_and_marks_the_first_parked_events() {
    in_folder(|path| {
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&STEPS[..3].concat()).unwrap();
        connection
            .execute_batch(
                "INSERT INTO _bulkhead_meta (id, log, batch, secret) VALUES (1, '00112233445566778899aabbccddeeff', 41, x'07');
                 PRAGMA user_version = 3;
                 INSERT INTO _bulkhead_timer (id, type, subject, time, trace_id, data, due_ms, parked) VALUES
                     ('t1', 'k', 's', 'n', '00000000000000000000000000000001', '{}', 1, 0), ('t2', 'k', 's', 'n', '00000000000000000000000000000001', '{}', 2, 1), ('t3', 'k', 's', 'n', '00000000000000000000000000000001', '{}', 3, 0);
                 INSERT INTO _bulkhead_parked
                     (producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, reason) VALUES
                     ('a', 1, 'i', 'k', 'x', '00000000000000000000000000000001', 'dead', 12, 1, 1, ''), ('a', 2, 'i', 'k', 'x', '00000000000000000000000000000001', 'parked', 3, 9, 1, ''),
                     ('a', 3, 'i', 'k', 'x', '00000000000000000000000000000001', 'parked', 0, 1, 1, ''), ('a', 4, 'i', 'k', 'y', '00000000000000000000000000000001', 'parked', 1, 2, 1, ''),
                     ('b', 2, 'i', 'k', 'x', '00000000000000000000000000000001', 'parked', 1, 3, 1, '');",
            )
            .unwrap();
        drop(connection);
        let database = open(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        assert_eq!(text(&connection, "SELECT timers || '' FROM _bulkhead_meta"), "3");
        let first = "SELECT group_concat(name, ' ') FROM (
                         SELECT producer || sequence AS name FROM _bulkhead_parked WHERE first = 1 ORDER BY 1)";
        assert_eq!(text(&connection, first), "a2 a4 b2");
        let next = database.inbox().unwrap().next_parked(std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(next.0.map(|row| (row.producer, row.sequence)), Some(("a".into(), Sequence::new(4))));
    });
}

/// Earlier hosts hashed requests differently: see `writer/tests/events/idempotency.rs` for what that means.
#[test]
fn upgrade_leaves_existing_answers_without_a_known_request() {
    in_folder(|path| {
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&STEPS[..8].concat()).unwrap();
        connection
            .execute_batch(
                "INSERT INTO _bulkhead_meta (id, log, batch, secret) VALUES (1, '00112233445566778899aabbccddeeff', 41, x'07');
                 INSERT INTO _bulkhead_idempotency (key, request, created_ms, status, headers, body, position)
                     VALUES (x'01', x'02', 3, 201, '[]', x'04', 5);
                 PRAGMA user_version = 8;",
            )
            .unwrap();
        drop(connection);
        open(&path).unwrap();
        let kept = "SELECT hex(key) || ' ' || hex(request) || ' ' || hex(body) FROM _bulkhead_idempotency";
        assert_eq!(text(&Connection::open(&path).unwrap(), kept), "01  04");
    });
}

#[test]
fn database_is_examined_without_a_change_and_one_of_an_earlier_host_not_at_all() {
    in_folder(|path| {
        make_first_version(&path);
        let before = std::fs::read(&path).unwrap();
        assert!(Database::look(&path).unwrap().is_none());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let log = open(&path).unwrap().log().to_owned();
        let before = std::fs::read(&path).unwrap();
        let looked = Database::look(&path).unwrap().unwrap();
        assert_eq!(looked.log(), log);
        assert_eq!(EmbeddedLog::open(&looked).unwrap().head().unwrap(), Sequence::new(3));
        Database::examine(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(files.map(|file| file.unwrap().file_name()).collect::<Vec<_>>(), ["a.db"]);
    });
}

#[test]
fn each_database_has_its_own_log_id_and_secret() {
    in_folder(|path| {
        let [one, other] = ["one", "other"].map(|name| open(&path.with_extension(name)).unwrap());
        assert_ne!(one.log(), other.log());
        assert_ne!(one.secret(), other.secret());
        assert_eq!((one.log().len(), one.secret().len()), (32, 32));
    });
}

#[test]
fn second_opening_writes_nothing() {
    in_folder(|path| {
        for older in [false, true] {
            let path = path.with_extension(if older { "older" } else { "new" });
            if older {
                make_first_version(&path);
            }
            let first = open(&path).unwrap();
            let (log, secret) = (first.log().to_owned(), first.secret().to_vec());
            drop(first);
            let bytes = std::fs::read(&path).unwrap();
            // Sees every commit by another connection, also one that is only in the WAL.
            let observer = Connection::open(&path).unwrap();
            let version =
                || -> i64 { observer.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap() };
            let before = version();
            let second = open(&path).unwrap();
            assert_eq!((second.log(), second.secret()), (log.as_str(), secret.as_slice()));
            drop(second);
            assert_eq!(version(), before);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    });
}

#[test]
fn database_of_a_later_host_is_refused_and_left_unchanged() {
    in_folder(|path| {
        drop(open(&path).unwrap());
        let later = |version: usize| {
            Connection::open(&path).unwrap().pragma_update(None, "user_version", version as i64).unwrap();
            std::fs::read(&path).unwrap()
        };
        for version in [STEPS.len() + 1, 99] {
            let bytes = later(version);
            let Err(error) = open(&path) else { panic!("opened") };
            let text = error.to_string();
            for part in [
                &*path.to_string_lossy(),
                &format!("version {version}"),
                &format!("up to {}", STEPS.len()),
                "a later host",
            ] {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{version}");
        }
        later(STEPS.len());
        open(&path).unwrap();
    });
}

#[test]
fn database_without_a_next_event_number_is_refused_with_a_remedy() {
    in_folder(|path| {
        drop(open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        let event = "INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data) VALUES ('e', 't', 's', 'now', '', '{}')";
        connection.execute_batch(event).unwrap();
        let altered = "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = '_bulkhead_outbox'";
        connection.execute_batch(altered).unwrap();
        assert!(connection.execute_batch(event).is_err());
        let Err(error) = open(&path) else { panic!("opened") };
        let error = error.to_string();
        let Err(examined) = Database::examine(&path) else { panic!("examined") };
        assert!(examined.to_string().contains("9223372036854775807"), "{examined}");
        // The remedy that the message names works.
        let (_, remedy) = error.split_once("by hand: ").unwrap_or_else(|| panic!("{error}"));
        connection.execute_batch(remedy).unwrap();
        open(&path).unwrap();
        connection.execute_batch(event).unwrap();
        assert_eq!(text(&connection, "SELECT max(sequence) || '' FROM _bulkhead_outbox"), "2");
    });
}

#[test]
fn file_that_is_not_a_database_is_refused_and_left_unchanged() {
    in_folder(|path| {
        let bytes = "no database, but long enough to be looked at as one. ".repeat(100);
        std::fs::write(&path, &bytes).unwrap();
        let Err(error) = open(&path) else { panic!("opened") };
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bytes);
    });
}
