//! Digests: an event that was altered in the file, or removed from it, is named, and no other.

use bulkhead_store::{Damage, EventLog as _};
use bulkhead_types::Sequence;

use super::event;
use crate::event_log::EmbeddedLog;
use crate::writer::tests::{World, durable, world, write};

/// A world with five events; the second, of the subject `b`, was erased.
fn world_of_events() -> World {
    let world = world();
    world.commit(|unit| {
        for (id, subject) in [("e1", "a"), ("e2", "b"), ("e3", "c"), ("e4", "d"), ("e5", "e")] {
            let data = format!(r#"{{"name":"{subject}"}}"#);
            unit.append(&bulkhead_store::NewEvent { id, ..event("note.written", &subject.into(), &data) })
                .unwrap();
        }
    });
    assert_eq!(world.commit(|unit| unit.erase(&"b".into()).unwrap()), 1);
    world
}

fn damages(world: &World) -> Vec<Damage> {
    EmbeddedLog::open(&world.database).unwrap().damages().unwrap()
}

fn altered(sequence: i64, id: &str) -> Damage {
    Damage { sequence: Sequence::new(sequence), id: id.into(), what: "is not as it was published".to_owned() }
}

fn missing(sequence: i64) -> Damage {
    Damage { sequence: Sequence::new(sequence), id: String::new(), what: "is missing".to_owned() }
}

fn missing_up_to(sequence: i64, last: i64) -> Damage {
    let what = format!("is missing, and so are all up to event {last}");
    Damage { sequence: Sequence::new(sequence), id: String::new(), what }
}

fn unreadable(sequence: i64) -> Damage {
    Damage { sequence: Sequence::new(sequence), id: String::new(), what: "is not readable".to_owned() }
}

#[test]
fn untouched_log_has_no_damage() {
    assert_eq!(damages(&world()), [], "an empty one");
    let world = world_of_events();
    assert_eq!(damages(&world), []);
    // Numbers of a unit of work that was rolled back are used again.
    world.roll_back(|unit| write(unit, "never"));
    let (lease, ()) = world.keep(None, |unit| write(unit, "aborted"));
    durable(super::abort(lease, "INSERT INTO refused VALUES (1)").commit());
    world.commit(|unit| write(unit, "kept"));
    world.commit(|unit| unit.erase(&"e".into()).unwrap());
    assert_eq!(damages(&world), []);
    assert_eq!(damages(&world.reopened()), []);
}

#[test]
fn only_the_altered_event_is_reported() {
    for (set, id) in [
        (r#"data = '{"name":"x"}' WHERE sequence = 3"#, "e3"),
        ("data = data || ' ' WHERE sequence = 3", "e3"),
        ("subject = 'x' WHERE sequence = 3", "e3"),
        ("type = 'note.removed' WHERE sequence = 3", "e3"),
        ("time = 'then' WHERE sequence = 3", "e3"),
        ("trace_id = 'x' WHERE sequence = 3", "e3"),
        ("id = 'x' WHERE sequence = 3", "x"),
        // Text that moves from one part to the next must change the digest.
        ("type = 'note.writtenc', subject = '' WHERE sequence = 3", "e3"),
        ("digest = x'00' WHERE sequence = 3", "e3"),
        ("digest = zeroblob(32) WHERE sequence = 3", "e3"),
    ] {
        let world = world_of_events();
        world.by_hand(&format!("UPDATE _bulkhead_outbox SET {set}"));
        assert_eq!(damages(&world), [altered(3, id)], "{set}");
    }
}

#[test]
fn altered_erased_event_is_reported() {
    for set in ["subject = 'x'", "type = 'x'", "time = 'x'", "trace_id = 'x'", r#"data = '{"name":"x"}'"#] {
        let world = world_of_events();
        world.by_hand(&format!("UPDATE _bulkhead_outbox SET {set} WHERE sequence = 2"));
        assert_eq!(damages(&world), [altered(2, "e2")], "{set}");
    }
}

#[test]
fn removed_event_is_reported() {
    for (which, expected) in [
        ("sequence = 1", vec![missing(1)]),
        ("sequence = 3", vec![missing(3)]),
        ("sequence IN (2, 3)", vec![missing_up_to(2, 3)]),
        ("sequence IN (1, 4)", vec![missing(1), missing(4)]),
    ] {
        let world = world_of_events();
        world.by_hand(&format!("DELETE FROM _bulkhead_outbox WHERE {which}"));
        assert_eq!(damages(&world), expected, "{which}");
    }
}

#[test]
fn unreadable_event_is_reported_and_the_rest_is_checked() {
    for column in ["data", "subject", "id"] {
        let world = world_of_events();
        world.by_hand(&format!(
            "UPDATE _bulkhead_outbox SET {column} = CAST(x'FF' AS TEXT) WHERE sequence = 3;
             UPDATE _bulkhead_outbox SET subject = 'x' WHERE sequence = 5;"
        ));
        assert_eq!(damages(&world), [unreadable(3), altered(5, "e5")], "{column}");
    }
}

#[test]
fn all_damage_is_reported_in_the_order_of_the_log() {
    let world = world_of_events();
    world.by_hand(
        "UPDATE _bulkhead_outbox SET data = '1' WHERE sequence = 1; DELETE FROM _bulkhead_outbox WHERE sequence = 3;
         UPDATE _bulkhead_outbox SET subject = 'x' WHERE sequence = 4;",
    );
    assert_eq!(damages(&world), [altered(1, "e1"), missing(3), altered(4, "e4")]);
}

#[test]
fn event_without_a_digest_passes_and_later_events_are_checked() {
    let world = world();
    world.by_hand(
        "INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data) VALUES ('e1', 'k', 's', 'now', '00000000000000000000000000000001', '{}');",
    );
    world.commit(|unit| write(unit, "a"));
    assert_eq!(damages(&world), []);
    world.by_hand("UPDATE _bulkhead_outbox SET subject = 'x'");
    assert_eq!(damages(&world), [altered(2, "e")]);
    // Nothing else shows that no subscription can read an event without a digest.
    world.by_hand("UPDATE _bulkhead_outbox SET trace_id = 'x' WHERE id = 'e1'");
    assert_eq!(damages(&world), [Damage { id: "e1".into(), ..unreadable(1) }, altered(2, "e")]);
}

#[test]
fn gap_before_an_unreadable_event_is_also_reported() {
    let world = world_of_events();
    world.by_hand(
        "DELETE FROM _bulkhead_outbox WHERE sequence = 3;
         UPDATE _bulkhead_outbox SET data = CAST(x'FF' AS TEXT) WHERE sequence = 4;",
    );
    assert_eq!(damages(&world), [missing(3), unreadable(4)]);
}

/// Numbers are never used twice: SQLite keeps the highest that it has given.
#[test]
fn removed_last_events_are_reported() {
    let world = world_of_events();
    world.by_hand("DELETE FROM _bulkhead_outbox WHERE sequence >= 4");
    assert_eq!(damages(&world), [missing_up_to(4, 5)]);
}
