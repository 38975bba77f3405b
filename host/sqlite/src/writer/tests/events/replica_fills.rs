//! Filling replicas whose declaration has changed: from what the owner holds, or from its events. No row is lost, and none goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bulkhead_store::{
    ColumnType, EventLog as _, OpenReaders as _, Owner, ReplicaSpec, Replicas as _, RowSource, StoreError,
    Value,
};
use bulkhead_types::Sequence;

use super::event;
use super::replicas::{DELETE, UPSERT, consumer_at, of_names, owner_of, spec};
use crate::event_log::EmbeddedLog;
use crate::writer::tests::{World, world, world_with};

/// What the owner holds.
const TRUTH: &str = "CREATE TABLE truth (id TEXT PRIMARY KEY, name TEXT, stock INTEGER) STRICT";
pub(super) const SELECT: &str = "SELECT stock, id, name FROM truth";

/// A declaration with a column that old events lack.
pub(super) fn with_stock() -> ReplicaSpec {
    spec(&[("name", ColumnType::Text), ("stock", ColumnType::Integer)])
}

pub(super) fn with_default(default: i64) -> ReplicaSpec {
    let mut spec = with_stock();
    spec.columns[2].default = Some(default.into());
    spec
}

/// An owner that holds rows, and has published events in the old form (the first two) and in the new form.
pub(super) fn changed_owner() -> World {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one"}"#),
        (UPSERT, "b", r#"{"id":"b","name":"two"}"#),
        (UPSERT, "b", r#"{"id":"b","name":"zwei","stock":2}"#),
        ("book.moved", "c", "{}"),
    ]);
    owner.by_hand(&format!(
        "{TRUTH}; INSERT INTO truth VALUES ('a', 'one', 1), ('b', 'zwei', 2), ('untold', 'x', 3)"
    ));
    owner
}

#[track_caller]
pub(super) fn why(made: Result<Vec<bulkhead_store::Filled>, StoreError>) -> String {
    match made {
        Err(StoreError::Replica { name, why, .. }) if name == "book" => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn column_missing_in_old_events_is_refused_and_nothing_changes() {
    let owner = changed_owner();
    let world = consumer_at(4, &owner);
    world.make(&[of_names()], &owner).unwrap();
    for wrong in [
        None,
        Some("SELECT id, name FROM truth"),
        Some("SELECT nonsense"),
        Some("SELECT 1, 'a' AS id, 2 AS name, 3 AS stock"),
    ] {
        let refused = why(world.make_by(&[with_stock()], &owner, wrong));
        for part in [
            "1 row would be lost",
            "\"a\"",
            "event 1 of book",
            "stock is missing",
            "give the column a default, as in stock = { type = \"integer\", default = 0 }",
            "[service.book.entity.book]",
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert_eq!(world.books(), ["a one", "b zwei"]);
    }
    // The old replica is the one that is declared.
    assert_eq!(world.make(&[of_names()], &owner).unwrap(), []);
}

/// A default only replaces a missing field, and a key has no default.
#[test]
fn advice_names_the_reason_why_a_row_cannot_be_built() {
    let mut keyed = of_names();
    keyed.key = "name".into();
    for (replica, data, expected) in [
        (of_names(), r#"{"id":"a","name":7}"#, "declare the column name with the type that its events have"),
        (keyed, r#"{"id":"a"}"#, "as the key in the place of name"),
        (of_names(), r#"{"id":"b","name":"one"}"#, "as the key in the place of id"),
    ] {
        let owner = owner_of(&[(UPSERT, "a", data)]);
        let refused = why(consumer_at(1, &owner).make(&[replica], &owner));
        assert!(refused.contains(expected) && !refused.contains("default"), "{data}: {refused}");
        assert!(refused.contains("[service.book.entity.book]"), "{refused}");
    }
}

/// By the order of the event log, whatever the subjects are.
#[test]
fn first_of_the_rows_that_would_be_lost_is_that_of_the_first_event() {
    let owner = owner_of(&[(UPSERT, "z", r#"{"id":"z"}"#), (UPSERT, "a", r#"{"id":"a"}"#)]);
    let refused = why(consumer_at(2, &owner).make(&[of_names()], &owner));
    assert!(refused.contains("2 rows would be lost, the first that of \"z\""), "{refused}");
}

/// Events that the subscription worker has not consumed yet must not lose rows there either.
#[test]
fn events_ahead_that_would_be_lost_are_counted() {
    let owner = changed_owner();
    owner.commit(|unit| unit.append(&event(UPSERT, &"c".into(), r#"{"id":"c","name":"three"}"#)).unwrap());
    for position in [0, 1, 4] {
        let world = if position == 0 { world() } else { consumer_at(position, &owner) };
        let refused = why(world.make(&[with_stock()], &owner));
        assert!(refused.contains("2 rows would be lost, the first that of \"a\""), "{position}: {refused}");
        assert!(!world.has_table("book"));
    }
}

#[test]
fn default_replaces_a_field_missing_in_an_event() {
    let owner = changed_owner();
    let world = consumer_at(4, &owner);
    world.make(&[of_names()], &owner).unwrap();
    world.make(&[with_default(7)], &owner).unwrap();
    assert_eq!(world.books(), ["a one 7", "b zwei 2"]);
    // The default also applies to later events, and only if they do not have the field.
    let world = world.reopened();
    let (c, d) = ("c".into(), "d".into());
    let old = event(UPSERT, &c, r#"{"id":"c","name":"three"}"#);
    let null = event(UPSERT, &d, r#"{"id":"d","name":"four","stock":null}"#);
    for event in [old, null] {
        owner.commit(|unit| unit.append(&event).unwrap());
    }
    world.consume_up_to(6, &owner, &with_default(7));
    assert_eq!(world.books(), ["a one 7", "b zwei 2", "c three 7", "d four -"]);
    // Another default means another form.
    world.make(&[with_default(8)], &owner).unwrap();
    assert_eq!(world.books(), ["a one 8", "b zwei 2", "c three 8", "d four -"]);
}

#[test]
fn rows_come_from_the_owner_if_it_declares_an_entity() {
    let owner = changed_owner();
    for position in 0..=4 {
        let world = if position == 0 { world() } else { consumer_at(position, &owner) };
        let filled = world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
        assert_eq!((filled[0].rows, filled[0].source), (world.books().len(), RowSource::Select));
        // If the events ahead say all that the rows have, the rows are at the position; otherwise they are at the owner's.
        assert_eq!(world.books(), ["a one 1", "b zwei 2", "untold x 3"], "{position}");
        let log = owner.database.log();
        let filled = [4, 4, 2, 3, 4][position as usize];
        assert_eq!(world.inbox().filled(log).unwrap()["book"], Sequence::new(filled), "{position}");
        world.consume_up_to(4, &owner, &with_stock());
        assert_eq!(world.books(), ["a one 1", "b zwei 2", "untold x 3"], "{position}");
        // The replica is as it is declared.
        assert_eq!(world.make_by(&[with_stock()], &owner, Some("nonsense")).unwrap(), []);
    }
}

/// If the events say everything, a fill from the owner gives the same as a fill from the event log, at every position.
#[test]
fn rows_of_the_owner_are_put_back_to_the_position() {
    let events = [
        (UPSERT, "a", r#"{"id":"a","name":"one","stock":1}"#),
        (UPSERT, "b", r#"{"id":"b","name":"two","stock":2}"#),
        (UPSERT, "a", r#"{"id":"a","name":"uno","stock":1}"#),
        (DELETE, "b", "{}"),
        (UPSERT, "c", r#"{"id":"c","name":"three","stock":3}"#),
        (UPSERT, "b", r#"{"id":"b","name":"zwei","stock":4}"#),
        (UPSERT, "a", r#"{"id":"a","name":"eins","stock":5}"#),
    ];
    let owner = owner_of(&events);
    owner.by_hand(&format!(
        "{TRUTH}; INSERT INTO truth VALUES ('a', 'eins', 5), ('b', 'zwei', 4), ('c', 'three', 3)"
    ));
    for position in 1..=7 {
        let (by_log, by_select) = (consumer_at(position, &owner), consumer_at(position, &owner));
        by_log.make(&[with_stock()], &owner).unwrap();
        by_select.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
        assert_eq!(by_select.books(), by_log.books(), "{position}");
    }
    let world = world();
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    assert!(world.books().is_empty());
}

/// If a row's events up to the position were erased, its state at the position is not available any more. Then the row is what the next
/// event says.
#[test]
fn row_whose_past_was_erased_exists_and_is_not_older_than_its_next_event() {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one","stock":1}"#),
        (UPSERT, "b", r#"{"id":"b","name":"two","stock":2}"#),
        (DELETE, "b", "{}"),
    ]);
    owner.commit(|unit| {
        unit.erase(&"a".into()).unwrap();
        unit.erase(&"b".into()).unwrap();
        for (id, name) in [("a", "uno"), ("a", "eins"), ("b", "again"), ("c", "new")] {
            let data = format!(r#"{{"id":"{id}","name":"{name}","stock":9}}"#);
            unit.append(&event(UPSERT, &id.into(), &data)).unwrap();
        }
    });
    owner.by_hand(&format!(
        "{TRUTH}; INSERT INTO truth VALUES ('a', 'eins', 9), ('b', 'again', 9), ('c', 'new', 9)"
    ));
    let world = consumer_at(3, &owner);
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    assert_eq!(world.books(), ["a uno 9"]);
    world.consume_up_to(7, &owner, &with_stock());
    assert_eq!(world.books(), ["a eins 9", "b again 9", "c new 9"]);
}

/// The next event is the next one that still says something.
#[test]
fn row_whose_past_was_erased_is_what_its_next_event_with_data_says() {
    let a = |name: &str| format!(r#"{{"id":"a","name":"{name}","stock":9}}"#);
    let owner = owner_of(&[(UPSERT, "a", &a("one")), (UPSERT, "a", &a("two"))]);
    owner.commit(|unit| {
        unit.erase(&"a".into()).unwrap();
        unit.append(&event(UPSERT, &"a".into(), &a("uno"))).unwrap();
        unit.append(&event(UPSERT, &"a".into(), &a("eins"))).unwrap();
    });
    owner.by_hand(&format!("{TRUTH}; INSERT INTO truth VALUES ('a', 'eins', 9)"));
    let world = consumer_at(1, &owner);
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    assert_eq!(world.books(), ["a uno 9"]);
    world.consume_up_to(4, &owner, &with_stock());
    assert_eq!(world.books(), ["a eins 9"]);
}

/// No event ahead would bring back the row that an earlier one deletes.
#[test]
fn row_whose_last_event_was_erased_stays_as_the_owner_has_it() {
    let a = r#"{"id":"a","name":"one","stock":1}"#;
    let owner = owner_of(&[(UPSERT, "a", a), (DELETE, "a", "{}"), (UPSERT, "a", a)]);
    owner.commit(|unit| unit.erase(&"a".into()).unwrap());
    owner.by_hand(&format!("{TRUTH}; INSERT INTO truth VALUES ('a', 'one', 1)"));
    for position in 0..=3 {
        let world = if position == 0 { world() } else { consumer_at(position, &owner) };
        world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
        assert_eq!(world.books(), ["a one 1"], "{position}");
        assert_eq!(
            world.inbox().filled(owner.database.log()).unwrap()["book"],
            Sequence::new(3),
            "{position}"
        );
        world.consume_up_to(3, &owner, &with_stock());
        assert_eq!(world.books(), ["a one 1"], "{position}");
    }
}

/// A row that was deleted needs none of its past events.
#[test]
fn erased_subject_with_a_deletion_does_not_prevent_rows_from_being_put_back() {
    let owner = owner_of(&[
        (UPSERT, "a", r#"{"id":"a","name":"one","stock":1}"#),
        (UPSERT, "b", r#"{"id":"b","name":"two","stock":2}"#),
        (DELETE, "b", "{}"),
        (UPSERT, "a", r#"{"id":"a","name":"uno","stock":1}"#),
    ]);
    owner.commit(|unit| unit.erase(&"b".into()).unwrap());
    owner.by_hand(&format!("{TRUTH}; INSERT INTO truth VALUES ('a', 'uno', 1)"));
    let world = consumer_at(1, &owner);
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    assert_eq!(world.books(), ["a one 1"]);
    world.consume_up_to(4, &owner, &with_stock());
    assert_eq!(world.books(), ["a uno 1"]);
}

#[test]
fn unusable_select_is_reported_with_its_replica_and_the_reason() {
    let owner = owner_of(&[]);
    owner.by_hand(TRUTH);
    let world = world();
    let unfit =
        |rows: &str| format!("SELECT column1 AS id, column2 AS name, column3 AS stock FROM (VALUES {rows})");
    let unfit_rows = |first: &str| format!("2 of its rows don't fit the columns, the first because {first}");
    for (select, expected) in [
        (SELECT.to_owned(), None),
        ("SELECT id, name FROM truth".to_owned(), Some("it gives no column stock".to_owned())),
        (unfit("('a', NULL, NULL)"), None),
        (unfit("('a', 'one', 1), (NULL, 'two', 2), ('c', 'three', 0.5)"), Some(unfit_rows("id is null"))),
        (unfit("('a', x'00', 1), ('b', 'two', 2), ('c', 3, 3)"), Some(unfit_rows("name is bytes"))),
        ("nonsense".to_owned(), Some("near \"nonsense\": syntax error".to_owned())),
    ] {
        let find = |_: &ReplicaSpec| Owner::of(&*owner.database, Some(&*select)).map(Some);
        let replicas = [with_stock()];
        let staged = world.database.stage_replicas(&replicas, &BTreeSet::new(), &find);
        let refill = staged.unwrap().unwrap();
        assert_eq!(refill.names(), ["book"]);
        let expected = expected.as_deref().map(|why| ("book", why));
        assert_eq!(refill.unusable(), expected.as_slice(), "{select}");
    }
}

/// The subscription stops and reports it. But what the owner holds is there.
#[test]
fn rows_of_a_replaced_owner_database_are_read_although_the_position_is_in_the_old_log() {
    let (before, owner) = (changed_owner(), changed_owner());
    let world = consumer_at(3, &before);
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    assert_eq!(world.books(), ["a one 1", "b zwei 2", "untold x 3"]);
    // Events give the rows only up to a position.
    let world = consumer_at(3, &before);
    let refused = why(world.make(&[with_default(1)], &owner));
    assert!(refused.contains("its database was replaced"), "{refused}");
}

/// A service continues while rows are read: its position may be ahead of the snapshot when they take their place.
#[test]
fn events_since_the_snapshot_are_applied_when_the_rows_are_swapped_in() {
    let owner = changed_owner();
    let world = consumer_at(2, &owner);
    world.make(&[of_names()], &owner).unwrap();
    let find = |_: &ReplicaSpec| Owner::of(&*owner.database, Some(SELECT)).map(Some);
    let replicas = [with_stock()];
    let staged = world.database.stage_replicas(&replicas, &BTreeSet::new(), &find);
    let mut refill = staged.unwrap().unwrap();
    refill.check().unwrap();
    assert_eq!(world.books(), ["a one", "b two"], "nothing has changed yet");
    owner.commit(|unit| {
        unit.append(&event(UPSERT, &"a".into(), r#"{"id":"a","name":"uno","stock":8}"#)).unwrap()
    });
    owner.commit(|unit| unit.append(&event(DELETE, &"b".into(), "{}")).unwrap());
    world.consume_up_to(5, &owner, &of_names());
    refill.write(None).unwrap();
    refill.commit().unwrap();
    assert_eq!(world.books(), ["a uno 8", "b zwei 2", "untold x 3"]);
    world.consume_up_to(6, &owner, &with_stock());
    assert_eq!(world.books(), ["a uno 8", "untold x 3"]);

    // A refill that is given up has changed nothing, and what would be lost meanwhile is not lost.
    let before = world.books();
    let other = spec(&[("stock", ColumnType::Integer)]);
    let mut refill = world.database.stage_replicas(&[other], &BTreeSet::new(), &find).unwrap().unwrap();
    owner.commit(|unit| unit.append(&event(UPSERT, &"d".into(), r#"{"id":"d","name":"old form"}"#)).unwrap());
    world.move_to(7, &owner);
    let refused = refill.write(None).unwrap_err().to_string();
    assert!(refused.contains("1 row would be lost, the first that of \"d\""), "{refused}");
    drop(refill);
    assert_eq!(world.books(), before);
}

/// Rows that are made from events need all of them. A SELECT needs none.
#[test]
fn rows_are_not_built_from_an_event_log_whose_first_events_are_gone() {
    let owner = changed_owner();
    let connection = rusqlite::Connection::open(&owner.path).unwrap();
    connection.execute("DELETE FROM _bulkhead_outbox WHERE sequence < 3", []).unwrap();
    let world = consumer_at(3, &owner);
    let refused = why(world.make(&[with_default(1)], &owner));
    assert!(refused.contains("begins at event 3, and the rows need the events from 1 on"), "{refused}");
    // Nor does anybody know which rows there were at an earlier position: they stay as the owner has them.
    for position in [2, 3] {
        let world = consumer_at(position, &owner);
        world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
        assert_eq!(world.books(), ["a one 1", "b zwei 2", "untold x 3"], "{position}");
    }
}

/// While a refill is written, requests wait. So it is given up at its deadline, however many events there are to read.
#[test]
fn late_fill_is_aborted_and_changes_nothing() {
    let owner = changed_owner();
    for (replica, select) in [(with_stock(), Some(SELECT)), (with_default(7), None)] {
        let world = consumer_at(2, &owner);
        world.make(&[of_names()], &owner).unwrap();
        let find = |_: &ReplicaSpec| Owner::of(&*owner.database, select).map(Some);
        let replicas = [replica];
        let stage = || {
            let staged = world.database.stage_replicas(&replicas, &BTreeSet::new(), &find);
            staged.unwrap().unwrap()
        };
        let mut refill = stage();
        let late = refill.write(Some(Instant::now())).unwrap_err().to_string();
        assert!(late.contains("longer than it may"), "{late}");
        drop(refill);
        assert_eq!(world.books(), ["a one", "b two"]);
        let mut refill = stage();
        refill.write(Some(super::soon())).unwrap();
        refill.commit().unwrap();
        assert!(world.database.has_replicas(&replicas).unwrap());
        let another = ReplicaSpec { name: "other".into(), ..with_stock() };
        for declared in [vec![], vec![of_names()], vec![replicas[0].clone(), another]] {
            assert!(!world.database.has_replicas(&declared).unwrap());
        }
    }
}

#[test]
fn replica_of_an_owner_whose_database_was_replaced_is_refilled() {
    let (owner, other) = (changed_owner(), changed_owner());
    other.by_hand("DELETE FROM truth WHERE id <> 'a'");
    let world = world();
    world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
    world.make_by(&[with_stock()], &other, Some(SELECT)).unwrap();
    assert_eq!(world.books(), ["a one 1"]);
    assert_eq!(world.inbox().filled(owner.database.log()).unwrap(), BTreeMap::new());
}

/// If the position is in the old event log, the subscription stops. The replica is not filled from the other event log.
#[test]
fn replica_waits_if_the_position_is_in_the_old_event_log() {
    let (owner, other) = (changed_owner(), changed_owner());
    other.by_hand("DELETE FROM truth WHERE id <> 'a'");
    let at = |position_in: &World| {
        let world = world();
        world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
        world.move_to(4, position_in);
        world.make_by(&[with_stock()], &other, Some(SELECT)).unwrap();
        world.books()
    };
    assert_eq!(at(&owner), ["a one 1", "b zwei 2", "untold x 3"]);
    assert_eq!(at(&other), ["a one 1"]);
}

#[test]
fn replica_without_storage_space_fails_with_a_remedy_and_the_old_one_stays() {
    let owner = owner_of(&[]);
    owner.by_hand(&format!(
        "{TRUTH}; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO truth SELECT 'id' || i, 'a name that takes some room', i FROM n"
    ));
    let world = world_with(400_000);
    world.make(&[of_names()], &owner).unwrap();
    let refused = why(world.make_by(&[with_stock()], &owner, Some(SELECT)));
    assert!(refused.contains("limits.storage"), "{refused}");
    assert!(world.books().is_empty());
    world.database.set_storage(1 << 30);
    assert_eq!(world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap()[0].rows, 20_000);
}

impl World {
    /// Consumes the events up to a sequence, as a subscription worker does.
    fn consume_up_to(&self, to: i64, owner: &World, replica: &ReplicaSpec) {
        let from = self.cursor("book").map_or(0, |cursor| cursor.sequence.get());
        let filled = self.inbox().filled(owner.database.log()).unwrap();
        let filled = filled.get("book").copied().unwrap_or(Sequence::new(0));
        for event in EmbeddedLog::open(&owner.database).unwrap().read(Sequence::new(from + 1), 1000).unwrap()
        {
            if event.sequence > Sequence::new(to) {
                break;
            }
            if replica.takes(&event.kind) && event.sequence > filled {
                self.commit(|unit| unit.apply(replica, &event).unwrap());
            }
            self.move_to(event.sequence.get(), owner);
        }
    }
}

/// A random generator that depends only on its seed (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % count
    }
}

/// Owners that publish in the old form and then in the new form, delete and erase; and services that are filled at some point on the way.
/// No event fails, no existing row goes back to an earlier version, and in the end each service has what its owner has.
#[test]
#[expect(clippy::print_stdout, reason = "the seed belongs to the test's output")]
fn replica_filled_at_any_point_ends_equal_to_its_owner_and_no_row_goes_back() {
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..60 {
        let owner = world();
        owner.by_hand(TRUTH);
        let head = 2 + random.below(14) as i64;
        let changes_at = random.below(head as u64 + 1) as i64;
        for version in 1..=head {
            tell(&owner, version, version > changes_at, &mut random);
        }
        let position = random.below(head as u64 + 1) as i64;
        let world = if position == 0 { world() } else { consumer_at(position, &owner) };
        world.make_by(&[with_stock()], &owner, Some(SELECT)).unwrap();
        let count = head + random.below(4) as i64;
        for version in head + 1..=count {
            tell(&owner, version, true, &mut random);
        }
        let mut versions = BTreeMap::new();
        for place in position..=count {
            world.consume_up_to(place, &owner, &with_stock());
            for row in world.books() {
                let (id, version) = row.split_once(" n ").unwrap();
                let version: i64 = version.parse().unwrap();
                let before = versions.insert(id.to_owned(), version).unwrap_or(version);
                assert!(before <= version, "{row} at {place}, and before {before}: round {round}");
            }
        }
        let mut reader = owner.database.reader().unwrap();
        let truth =
            reader.query(super::soon(), "SELECT id || ' n ' || stock FROM truth ORDER BY id", &[]).unwrap();
        let truth: Vec<_> = truth.rows.into_iter().flatten().collect();
        let books: Vec<_> = world.books().into_iter().map(Value::Text).collect();
        assert_eq!(books, truth, "round {round}");
    }
}

/// Changes one of the owner's rows, and publishes the change, with the stock or without.
fn tell(owner: &World, version: i64, with_stock: bool, random: &mut Random) {
    let id = format!("s{}", random.below(4));
    let (delete, erase) = (random.below(5) == 0, random.below(3) == 0);
    let data = match (delete, with_stock) {
        (true, _) => "{}".to_owned(),
        (_, true) => format!(r#"{{"id":"{id}","name":"n","stock":{version}}}"#),
        (_, false) => format!(r#"{{"id":"{id}","name":"n"}}"#),
    };
    owner.commit(|unit| {
        let values = [Value::Text(id.clone()), Value::Integer(version)];
        let sql = if delete {
            "DELETE FROM truth WHERE id = ?1 AND ?2"
        } else {
            "REPLACE INTO truth VALUES (?1, 'n', ?2)"
        };
        unit.execute(sql, &values).unwrap();
        if erase {
            unit.erase(&id.as_str().into()).unwrap();
        }
        unit.append(&event(if delete { DELETE } else { UPSERT }, &id.as_str().into(), &data)).unwrap();
    });
}
