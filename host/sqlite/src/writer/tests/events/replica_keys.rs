//! Foreign keys of a guest's table to a replica. What the host does to a row would act on the guest's tables, and run the guest's triggers
//! with the host's rights. So there can be no such keys.

use bulkhead_store::StoreError;

use super::durable;
use super::replica_rights::{logged, replica, world_with_row};
use crate::writer::tests::world;

const FORGE: &str = "
CREATE TABLE child (id INTEGER PRIMARY KEY, book TEXT REFERENCES book (id) ON DELETE CASCADE) STRICT;
CREATE TRIGGER forge AFTER DELETE ON child BEGIN
    INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data) VALUES ('f', 'user.forged', 's', 'now', 't', '{}');
END;
INSERT INTO child VALUES (1, 'a');
";

/// The trigger would run under the host's statement, and so with the host's rights: the guest would publish what it may not.
#[test]
fn host_write_to_a_replica_runs_no_guest_trigger() {
    let world = world_with_row();
    if let Err(refused) = world.migrate(FORGE) {
        return assert!(refused.to_string().contains("book"), "{refused}");
    }
    let world = world.reopened();
    let mut unit = world.begin(None);
    let applied = unit.apply(&replica(), &logged("book.deleted", "{}"));
    let (mut lease, _) = unit.finish(applied.is_ok());
    durable(lease.commit());
    assert!(world.events().is_empty(), "the guest has forged an event, by {applied:?}");
}

#[test]
fn migration_cannot_create_a_foreign_key_to_a_replica() {
    let world = world_with_row();
    for sql in [
        "CREATE TABLE child (id INTEGER PRIMARY KEY, book TEXT REFERENCES book (id)) STRICT",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, book TEXT REFERENCES Book) STRICT",
        "CREATE TABLE child (p TEXT, FOREIGN KEY (p) REFERENCES book (id) ON DELETE CASCADE) STRICT",
        "CREATE TABLE child (p TEXT REFERENCES \"book\" (id) DEFERRABLE INITIALLY DEFERRED) STRICT",
        "CREATE TABLE child (id TEXT); ALTER TABLE child ADD COLUMN book TEXT REFERENCES book (id)",
    ] {
        let refused = world.migrate(sql).map_err(|error| error.to_string().to_lowercase());
        assert!(matches!(&refused, Err(why) if why.contains("book")), "{sql}: {refused:?}");
    }
}

/// SQLite accepts a foreign key to a table that does not exist: the key may be older than the replica.
#[test]
fn replica_is_refused_by_name_if_a_service_table_references_it() {
    let world = world();
    world.by_hand("CREATE TABLE child (id INTEGER PRIMARY KEY, book TEXT REFERENCES book (id)) STRICT");
    let made = world.make_empty(&[replica()]);
    assert!(
        matches!(&made, Err(StoreError::Replica { name, why, .. }) if name == "book" && why.contains("child")),
        "{made:?}"
    );
}
