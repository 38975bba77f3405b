//! Replicas: created and filled by the host, updated by the owner's events, and always at the state of the position.

use std::cell::Cell;
use std::collections::BTreeSet;

use bulkhead_store::{
    ApplyError, ColumnType, Cursor, Ended, Filled, Logged, OpenReaders as _, Owner, ReplicaColumn,
    ReplicaSpec, Replicas as _, StoreError, Value,
};
use bulkhead_types::Sequence;

use super::event;
use crate::failing_sync::{FailingSync, crashed, read};
use crate::writer::tests::{World, add, durable, soon, trace_id, world, world_at};

pub(super) const UPSERT: &str = "book.changed";
pub(super) const DELETE: &str = "book.deleted";

/// A replica `book`, with its key and these columns.
pub(super) fn spec(columns: &[(&str, ColumnType)]) -> ReplicaSpec {
    let key = ("id", ColumnType::Text);
    ReplicaSpec {
        name: "book".into(),
        owner: "book".into(),
        upsert: UPSERT.into(),
        delete: Some(DELETE.into()),
        key: "id".into(),
        columns: std::iter::once(&key).chain(columns).map(|(name, kind)| column(name, *kind)).collect(),
    }
}

pub(super) fn column(name: &str, kind: ColumnType) -> ReplicaColumn {
    ReplicaColumn { name: name.into(), kind, default: None }
}

pub(super) fn of_names() -> ReplicaSpec {
    spec(&[("name", ColumnType::Text)])
}

fn of_all_types() -> ReplicaSpec {
    spec(&[("name", ColumnType::Text), ("stock", ColumnType::Integer), ("weight", ColumnType::Real)])
}

fn logged(kind: &str, subject: &str, data: &str) -> Logged {
    let (id, time, trace_id) = ("e".into(), "now".into(), trace_id(1));
    Logged {
        sequence: Sequence::new(1),
        id,
        kind: kind.into(),
        subject: subject.into(),
        time,
        trace_id,
        data: data.into(),
    }
}

/// There is no owner to read from.
pub(super) fn no_owner(_: &ReplicaSpec) -> Result<Option<Owner<'static>>, StoreError> {
    Ok(None)
}

/// An owner's world with these events: type, subject and data.
pub(super) fn owner_of(events: &[(&str, &str, &str)]) -> World {
    let world = world();
    world.commit(|unit| {
        for (kind, subject, data) in events {
            unit.append(&event(kind, &(*subject).into(), data)).unwrap();
        }
    });
    world
}

/// A world that has consumed the event log of `book` up to `position`.
pub(super) fn consumer_at(position: i64, owner: &World) -> World {
    let world = world();
    world.move_to(position, owner);
    world
}

impl World {
    pub(super) fn make(&self, replicas: &[ReplicaSpec], owner: &World) -> Result<Vec<Filled>, StoreError> {
        self.make_by(replicas, owner, None)
    }

    /// Like [`Self::make`], from the owner's SELECT.
    pub(super) fn make_by(
        &self,
        replicas: &[ReplicaSpec],
        owner: &World,
        select: Option<&str>,
    ) -> Result<Vec<Filled>, StoreError> {
        let find = |_: &ReplicaSpec| Owner::of(&*owner.database, select).map(Some);
        self.database.make_replicas(replicas, &BTreeSet::new(), &find)
    }

    /// Creates replicas without an owner to read from.
    pub(super) fn make_empty(&self, replicas: &[ReplicaSpec]) -> Result<Vec<Filled>, StoreError> {
        self.database.make_replicas(replicas, &BTreeSet::new(), &no_owner)
    }

    /// Moves the position in the event log of `book`.
    pub(super) fn move_to(&self, position: i64, owner: &World) {
        let log = owner.database.log().to_owned();
        let from = self.cursor("book").unwrap_or_else(|| Cursor { log, ..Cursor::default() });
        assert!(
            self.commit(|unit| unit
                .move_cursor(&"book".into(), &from, (Sequence::new(position), "e"))
                .unwrap())
        );
    }

    /// The rows of the replica, each as one text, as a guest reads them.
    pub(super) fn books(&self) -> Vec<String> {
        let mut reader = self.database.reader().unwrap();
        let found = reader.query(soon(), "SELECT * FROM book ORDER BY id", &[]).unwrap();
        let text = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => format!("{value:?}"),
            Value::Text(value) => value.clone(),
            Value::Blob(_) => "blob".to_owned(),
        };
        found.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
    }

    pub(super) fn has_table(&self, name: &str) -> bool {
        self.number(&format!("SELECT count(*) FROM sqlite_schema WHERE name = '{name}'")) == 1
    }
}

#[test]
fn replica_of_a_log_without_consumed_events_is_created_empty() {
    let world = world();
    world.make_empty(&[of_names()]).unwrap();
    assert!(world.books().is_empty());
}

/// As with a batch: after a crash it must not be back, because the host got the report that it is not there.
#[test]
fn replica_whose_sync_failed_does_not_exist_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let syncs = FailingSync::of(&path);
    let world = world_at(folder, 1 << 30);
    // The WAL has frames already, so the only sync is that of the commit.
    durable(add(&world, None, "a").commit());
    let there = "SELECT name FROM sqlite_schema WHERE name = 'book'";
    syncs.fail(1);
    world.make_empty(&[of_names()]).unwrap_err();
    assert_eq!(read(&syncs.copy_at_failure(), there), ["book"], "it would have been back");
    assert!(read(&crashed(&path), there).is_empty());
    world.make_empty(&[of_names()]).unwrap();
    assert_eq!(read(&crashed(&path), there), ["book"]);
}

#[test]
fn new_replica_on_an_old_subscription_is_filled_up_to_the_position_and_no_further() {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one"}"#),
        (UPSERT, "b", r#"{"id":"b","name":"two"}"#),
        ("book.moved", "a", "{}"),
        (UPSERT, "a", r#"{"id":"a","name":"uno","more":[1]}"#),
        (UPSERT, "c", r#"{"id":"c","name":"three"}"#),
        (DELETE, "b", "{}"),
        (UPSERT, "d", r#"{"id":"d","name":"four"}"#),
    ]);
    for (position, expected) in [
        (1, &["a one"][..]),
        (4, &["a uno", "b two"][..]),
        (6, &["a uno", "c three"][..]),
        (7, &["a uno", "c three", "d four"][..]),
    ] {
        let world = consumer_at(position, &owner);
        world.make(&[of_names()], &owner).unwrap();
        assert_eq!(world.books(), expected, "{position}");
    }
}

/// More events than are read at a time.
#[test]
fn replica_is_filled_from_a_long_log_to_its_end() {
    let events: Vec<_> =
        (0..2500).map(|i| (i % 700, format!(r#"{{"id":"p{}","name":"v{i}"}}"#, i % 700))).collect();
    let owner = world();
    owner.commit(|unit| {
        for (subject, data) in &events {
            unit.append(&event(UPSERT, &format!("p{subject}").into(), data)).unwrap();
        }
    });
    let world = consumer_at(2499, &owner);
    world.make(&[of_names()], &owner).unwrap();
    let books = world.books();
    assert_eq!(books.len(), 700);
    // The last event, 2499, is about p399 and lies after the position.
    assert!(books.contains(&"p399 v1799".to_owned()) && books.contains(&"p398 v2498".to_owned()));
}

#[test]
fn fill_skips_erased_events_and_events_that_a_later_event_corrects() {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one"}"#),
        (UPSERT, "b", r#"{"id":"b"}"#),
        (UPSERT, "c", r#"{"id":"c"}"#),
        (UPSERT, "c", r#"{"id":"c","name":"three"}"#),
        (DELETE, "b", "{}"),
    ]);
    owner.commit(|unit| unit.erase(&"a".into()).unwrap());
    let world = consumer_at(5, &owner);
    world.make(&[of_names()], &owner).unwrap();
    assert_eq!(world.books(), ["c three"]);
}

#[test]
fn existing_replica_is_not_recreated() {
    let owner = owner_of(&[(UPSERT, "a", r#"{"id":"a","name":"one"}"#)]);
    let world = consumer_at(1, &owner);
    world.make(&[of_names()], &owner).unwrap();
    world.by_hand("UPDATE book SET name = 'kept'");
    world.make_empty(&[of_names()]).unwrap();
    let world = world.reopened();
    world.make_empty(&[of_names()]).unwrap();
    assert_eq!(world.books(), ["a kept"]);
}

/// How a declaration is changed.
type Change = fn(&mut ReplicaSpec);

#[test]
fn replica_declared_in_another_form_is_recreated_and_refilled() {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one","stock":1,"weight":0.5}"#),
        (DELETE, "a", "{}"),
        ("book.made", "b", r#"{"id":"b","name":"two","stock":2,"weight":2}"#),
    ]);
    let changed: [(Change, &[&str]); 4] = [
        (|spec| spec.columns.push(column("stock", ColumnType::Integer)), &[]),
        (|spec| spec.upsert = "book.made".into(), &["b two"]),
        (|spec| spec.delete = None, &["a one"]),
        (|spec| spec.columns = spec.columns.iter().rev().cloned().collect(), &[]),
    ];
    for (number, (change, expected)) in changed.into_iter().enumerate() {
        let world = consumer_at(3, &owner);
        world.make(&[of_names()], &owner).unwrap();
        world.by_hand("INSERT INTO book VALUES ('stray', 'x')");
        let mut other = of_names();
        change(&mut other);
        world.make(&[other], &owner).unwrap();
        assert_eq!(world.books(), expected, "change {number}");
        assert_eq!(world.number("SELECT count(*) FROM _bulkhead_replica"), 1, "change {number}");
    }
}

#[test]
fn replica_that_is_no_longer_declared_is_dropped() {
    let world = world();
    let other = ReplicaSpec { name: "cover".into(), ..of_names() };
    world.make_empty(&[of_names(), other.clone()]).unwrap();
    world.make_empty(std::slice::from_ref(&other)).unwrap();
    assert_eq!((world.has_table("book"), world.has_table("cover")), (false, true));
    assert_eq!(world.number("SELECT count(*) FROM _bulkhead_replica"), 1);
    world.make_empty(&[]).unwrap();
    assert!(!world.has_table("cover"));
    // The service may use the name again, and the service's own tables stay.
    assert!(world.has_table("note"));
    world.by_hand("CREATE TABLE book (id TEXT) STRICT");
}

#[test]
fn replica_is_refused_by_name_if_the_service_has_an_object_of_that_name() {
    for (made, kind) in [
        ("CREATE TABLE book (id TEXT) STRICT", "table"),
        ("CREATE TABLE Book (id TEXT) STRICT", "table"),
        ("CREATE VIEW book AS SELECT id FROM note", "view"),
        ("CREATE INDEX book ON note (body)", "index"),
    ] {
        let world = world();
        world.by_hand(made);
        let error = world.make_empty(&[of_names()]).unwrap_err();
        let text = error.to_string();
        assert!(matches!(&error, StoreError::Replica { name, .. } if name == "book"), "{made}: {text}");
        assert!(text.contains("book") && text.contains(kind), "{made}: {text}");
        assert_eq!(world.number("SELECT count(*) FROM _bulkhead_replica"), 0, "{made}");
        world.by_hand(&format!("DROP {kind} book"));
        world.make_empty(&[of_names()]).unwrap();
    }
}

#[test]
fn replica_whose_owner_is_unreadable_is_not_created_and_is_filled_the_next_time() {
    let owner = owner_of(&[(UPSERT, "a", r#"{"id":"a","name":"one"}"#)]);
    let world = consumer_at(1, &owner);
    let asked = Cell::new(0);
    let unreadable = |replica: &ReplicaSpec| {
        asked.set(asked.get() + 1);
        Err(StoreError::NoDatabase { service: replica.owner.clone() })
    };
    assert!(matches!(
        world.database.make_replicas(&[of_names()], &BTreeSet::new(), &unreadable),
        Err(StoreError::NoDatabase { .. })
    ));
    assert_eq!(asked.get(), 1);
    assert!(!world.has_table("book"));
    world.make(&[of_names()], &owner).unwrap();
    assert_eq!(world.books(), ["a one"]);
}

/// A world with an empty replica.
fn world_with_replica(replica: &ReplicaSpec) -> World {
    let world = world();
    world.make_empty(std::slice::from_ref(replica)).unwrap();
    world.reopened()
}

#[test]
fn events_of_the_owner_write_and_delete_rows() {
    let replica = of_all_types();
    let world = world_with_replica(&replica);
    for (kind, subject, data, expected) in [
        (UPSERT, "a", r#"{"id":"a","name":"one","stock":3,"weight":0.5}"#, &["a one 3 0.5"][..]),
        (UPSERT, "a", r#"{"id":"a","name":"uno","stock":true,"weight":2}"#, &["a uno 1 2.0"][..]),
        (
            UPSERT,
            "b",
            r#"{"id":"b","name":null,"stock":null,"weight":null}"#,
            &["a uno 1 2.0", "b - - -"][..],
        ),
        // An erased event changes nothing.
        (UPSERT, "a", "", &["a uno 1 2.0", "b - - -"][..]),
        (UPSERT, "c", "", &["a uno 1 2.0", "b - - -"][..]),
        (DELETE, "nobody", "{}", &["a uno 1 2.0", "b - - -"][..]),
        // But a deletion is a deletion, whatever its data are.
        (DELETE, "a", "", &["b - - -"][..]),
        (DELETE, "b", r#"{"why":1}"#, &[][..]),
    ] {
        world.commit(|unit| unit.apply(&replica, &logged(kind, subject, data)).unwrap());
        assert_eq!(world.books(), expected, "{kind} {subject} {data}");
    }
}

#[test]
fn replica_consumes_only_its_two_event_types() {
    let replica = of_names();
    assert!(replica.takes(UPSERT) && replica.takes(DELETE) && !replica.takes("book.moved"));
    assert!(!ReplicaSpec { delete: None, ..replica }.takes(DELETE));
}

#[test]
fn malformed_event_is_reported_as_such_and_changes_nothing() {
    let replica = of_all_types();
    let world = world_with_replica(&replica);
    let whole = r#"{"id":"a","name":"one","stock":3,"weight":0.5}"#;
    world.commit(|unit| unit.apply(&replica, &logged(UPSERT, "a", whole)).unwrap());
    for (data, part) in [
        (r#"{"id":"a","stock":3,"weight":0.5}"#, "name is missing"),
        (r#"{"name":"x","stock":3,"weight":0.5}"#, "id is missing"),
        ("[]", "id is missing"),
        (r#""text""#, "id is missing"),
        ("null", "id is missing"),
        (r#"{"id":"a","name":7,"stock":3,"weight":0.5}"#, "name is not of the type text"),
        (r#"{"id":"a","name":["x"],"stock":3,"weight":0.5}"#, "name is not of the type text"),
        (r#"{"id":"a","name":true,"stock":3,"weight":0.5}"#, "name is not of the type text"),
        (r#"{"id":"a","name":"x","stock":"3","weight":0.5}"#, "stock is not of the type integer"),
        (r#"{"id":"a","name":"x","stock":{},"weight":0.5}"#, "stock is not of the type integer"),
        (r#"{"id":"a","name":"x","stock":3.5,"weight":0.5}"#, "stock is no integer"),
        (r#"{"id":"a","name":"x","stock":9223372036854775808,"weight":0.5}"#, "stock is no integer"),
        (r#"{"id":"a","name":"x","stock":3,"weight":"0.5"}"#, "weight is not of the type real"),
        (r#"{"id":"a","name":"x","stock":3,"weight":false}"#, "weight is not of the type real"),
        (r#"{"id":"b","name":"x","stock":3,"weight":0.5}"#, "id is not the event's subject"),
        (r#"{"id":"A","name":"x","stock":3,"weight":0.5}"#, "id is not the event's subject"),
        (r#"{"id":null,"name":"x","stock":3,"weight":0.5}"#, "id is not of the type text"),
        (r#"{"id":1,"name":"x","stock":3,"weight":0.5}"#, "id is not of the type text"),
        (r#"{"id":"a","name":"x""#, "EOF"),
        ("nonsense", "expected"),
    ] {
        world.commit(|unit| {
            let result = unit.apply(&replica, &logged(UPSERT, "a", data));
            let Err(ApplyError::Malformed(why)) = result else { panic!("{data}: {result:?}") };
            assert!(why.contains(part) && why.contains(UPSERT), "{data}: {why}");
        });
        assert_eq!(world.books(), ["a one 3 0.5"], "{data}");
    }
}

#[test]
fn malformed_event_does_not_fail_the_unit_of_work() {
    let replica = of_names();
    let world = world_with_replica(&replica);
    world.commit(|unit| {
        unit.apply(&replica, &logged(UPSERT, "a", r#"{"id":"a","name":"one"}"#)).unwrap();
        unit.apply(&replica, &logged(UPSERT, "b", "{}")).unwrap_err();
        unit.apply(&replica, &logged(UPSERT, "c", r#"{"id":"c","name":"three"}"#)).unwrap();
    });
    assert_eq!(world.books(), ["a one", "c three"]);
}

#[test]
fn replica_is_written_in_the_unit_of_work_of_the_position() {
    let replica = of_names();
    let world = world_with_replica(&replica);
    let one = logged(UPSERT, "a", r#"{"id":"a","name":"one"}"#);
    world.roll_back(|unit| {
        unit.apply(&replica, &one).unwrap();
        // The handler that follows reads what its event has changed.
        let found = unit.query("SELECT name FROM book", &[]).unwrap();
        assert_eq!(found.rows, [[Value::Text("one".into())]]);
    });
    assert!(world.books().is_empty());
    for sql in super::sure_ways_to_abort() {
        let (lease, ()) = world.keep(None, |unit| unit.apply(&replica, &one).unwrap());
        durable(super::abort(lease, sql).commit());
        assert!(world.books().is_empty(), "{sql}");
    }
    let mut unit = world.begin(None);
    unit.apply(&replica, &one).unwrap();
    unit.execute("INSERT INTO reply VALUES (1, 'nowhere')", &[]).unwrap();
    let (mut lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::ForeignKeys));
    durable(lease.commit());
    assert!(world.books().is_empty());
}

#[test]
fn repair_sets_a_row_to_that_of_the_owner_or_removes_it() {
    let replica = of_names();
    let world = world_with_replica(&replica);
    world.by_hand("INSERT INTO book VALUES ('a', 'wrong'), ('b', 'stray'), ('c', 'right')");
    let row = |id: &str, name: &str| [Value::Text(id.into()), Value::Text(name.into())];
    world.commit(|unit| {
        unit.repair(&replica, "a", Some(&row("a", "one"))).unwrap();
        unit.repair(&replica, "b", None).unwrap();
        unit.repair(&replica, "d", Some(&row("d", "four"))).unwrap();
        unit.repair(&replica, "nobody", None).unwrap();
    });
    assert_eq!(world.books(), ["a one", "c right", "d four"]);
    world.roll_back(|unit| unit.repair(&replica, "c", None).unwrap());
    assert_eq!(world.books(), ["a one", "c right", "d four"]);
}
