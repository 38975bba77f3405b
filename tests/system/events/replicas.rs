//! Replicas: kept by events, filled when they are new or of another form, and never written by the service itself.

use bulkhead_tests::Manifest;
use serde_json::{Value, json};
use toml::Table;

use super::{Stage, happened, manifest, numbers_of, up_to};

fn changed(id: &str, n: i64, note: &str) -> Value {
    json!({"type": "source.item-changed", "subject": id, "data": {"id": id, "n": n, "note": note}})
}

fn deleted(id: &str) -> Value {
    json!({"type": "source.item-deleted", "subject": id, "data": {"id": id}})
}

#[track_caller]
fn items(stage: &mut Stage) -> Value {
    stage.admin.until_consumed("source", "sink");
    stage.client.get("/sink/items").expect(200)["items"].clone()
}

fn without_replica() -> Manifest {
    manifest().without("service.sink.replica")
}

fn with_columns(columns: &[(&str, &str)]) -> Manifest {
    let columns: Table = columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).into())).collect();
    manifest().set("service.sink.replica.item.columns", columns)
}

#[test]
fn replica_has_the_state_of_the_last_event_of_each_subject() {
    let mut stage = Stage::new();
    stage.publish(&[changed("a", 1, "one"), changed("b", 2, "two"), changed("c", 3, "three")]);
    stage.publish(&[changed("a", 4, "four"), deleted("b"), deleted("nobody")]);
    let mut null = changed("d", 5, "");
    null["data"]["note"] = Value::Null;
    // What the replica has no column for is left out.
    null["data"]["more"] = json!([1, 2]);
    stage.publish(&[null, deleted("c"), changed("c", 6, "again")]);
    assert_eq!(
        items(&mut stage),
        json!([
            {"id": "a", "n": 4, "note": "four"},
            {"id": "c", "n": 6, "note": "again"},
            {"id": "d", "n": 5, "note": null},
        ])
    );
    stage.stop();
}

#[test]
fn a_service_cannot_write_its_replica() {
    let mut stage = Stage::new();
    stage.publish_one(changed("a", 1, "one"));
    let before = items(&mut stage);
    stage.client.delete("/sink/items").any_problem();
    assert_eq!(items(&mut stage), before);
    stage.stop();
}

#[test]
fn event_data_unfit_for_a_replica_is_a_dead_letter_and_blocks_no_other() {
    let mut stage = Stage::new();
    let mut wrong = Vec::new();
    for (field, value) in
        [("n", json!("text")), ("n", json!(1.5)), ("note", json!(1)), ("id", json!("another"))]
    {
        let mut event = changed("a", 1, "one");
        event["data"][field] = value;
        wrong.push(event);
    }
    wrong.push(json!({"type": "source.item-changed", "subject": "a", "data": {"id": "a", "n": 1}}));
    wrong.push(json!({"type": "source.item-changed", "subject": "a", "data": []}));
    let ids = stage.publish(&wrong);
    stage.publish(&[changed("b", 2, "two"), happened("a", 0)]);
    assert_eq!(items(&mut stage), json!([{"id": "b", "n": 2, "note": "two"}]));
    assert_eq!(numbers_of(&stage.consumed("sink"), "a"), [0]);
    let letters = stage.admin.dead_letters("sink");
    assert_eq!(letters.len(), ids.len(), "{letters:?}");
    for letter in letters {
        assert_eq!(letter["state"], "dead", "{letter}");
        assert!(letter["reason"].as_str().unwrap().contains("source.item-changed"), "{letter}");
    }
    stage.stop();
}

#[test]
fn new_replica_is_filled_from_the_log_and_kept_up_to_date() {
    // Where the service had taken events of the owner before, and where it had not.
    for before in [without_replica(), manifest().only(&["source"])] {
        let mut stage = Stage::of(&before);
        for n in 0..50 {
            stage.publish(&[changed(&format!("i{}", n % 10), n, "x"), happened("a", n.unsigned_abs())]);
        }
        stage.publish(&[deleted("i3"), happened("a", 50)]);
        // Behind the last event that the service takes without the replica.
        stage.publish(&[changed("i4", 100, "late")]);
        if before.services().len() > 1 {
            assert_eq!(numbers_of(&stage.all_consumed("sink"), "a"), up_to(51));
        }
        let site = stage.stop();
        site.write_manifest(&manifest().text());
        let mut stage = Stage::on(site);
        let found = items(&mut stage);
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), 9, "{found:?}");
        assert!(found.contains(&json!({"id": "i9", "n": 49, "note": "x"})), "{found:?}");
        assert!(found.contains(&json!({"id": "i4", "n": 100, "note": "late"})), "{found:?}");
        stage.publish(&[changed("i3", 1, "back"), deleted("i9")]);
        let found = items(&mut stage);
        let found = found.as_array().unwrap();
        assert!(found.contains(&json!({"id": "i3", "n": 1, "note": "back"})), "{found:?}");
        assert!(!found.iter().any(|item| item["id"] == "i9"), "{found:?}");
        assert_eq!(numbers_of(&stage.all_consumed("sink"), "a"), up_to(51));
        stage.stop();
    }
}

#[test]
fn replica_is_refilled_when_its_columns_change() {
    let mut stage = Stage::of(&with_columns(&[("id", "text"), ("n", "integer")]));
    stage.publish(&[changed("a", 1, "one"), changed("b", 2, "two"), deleted("b"), happened("a", 0)]);
    assert_eq!(items(&mut stage), json!([{"id": "a", "n": 1}]));
    let site = stage.stop();

    site.write_manifest(&with_columns(&[("id", "text"), ("note", "text"), ("n", "real")]).text());
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), json!([{"id": "a", "note": "one", "n": 1.0}]));
    let site = stage.stop();

    // One that is no longer declared goes, and comes back as it should be.
    site.write_manifest(&without_replica().text());
    let mut stage = Stage::on(site);
    stage.client.get("/sink/items").any_problem();
    stage.publish(&[changed("c", 3, "three")]);
    let site = stage.stop();
    site.write_manifest(&manifest().text());
    let mut stage = Stage::on(site);
    assert_eq!(
        items(&mut stage),
        json!([{"id": "a", "n": 1, "note": "one"}, {"id": "c", "n": 3, "note": "three"}])
    );
    assert_eq!(numbers_of(&stage.consumed("sink"), "a"), [0]);
    stage.stop();
}

#[test]
fn erased_events_are_skipped() {
    let mut stage = Stage::of(&manifest().only(&["source"]));
    stage.publish(&[
        changed("gone", 1, "secret"),
        happened("gone", 0),
        changed("kept", 2, "two"),
        happened("kept", 0),
    ]);
    let erased = stage.client.send(http::Method::POST, "/source/erasures", &[], "gone".into());
    assert_eq!(erased.expect(200)["erased"], 2);
    stage.publish(&[deleted("gone"), happened("kept", 1)]);
    let site = stage.stop();
    site.write_manifest(&manifest().text());
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), json!([{"id": "kept", "n": 2, "note": "two"}]));
    let consumed = stage.consumed("sink");
    assert_eq!((numbers_of(&consumed, "gone"), numbers_of(&consumed, "kept")), (vec![], up_to(2)));
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    assert_eq!(stage.admin.findings("event"), Vec::<Value>::new());
    stage.stop();
}

#[test]
fn parked_event_that_was_erased_is_skipped_and_releases_its_subject() {
    let mut stage = Stage::new();
    let id = stage.publish_one(super::acting("gone", 0, "fail"));
    stage.admin.until_state("sink", &id, "parked", 1);
    stage.client.send(http::Method::POST, "/source/erasures", &[], "gone".into()).expect(200);
    stage.publish_one(happened("gone", 1));
    assert_eq!(numbers_of(&stage.consumed_when_quiet("sink"), "gone"), [1]);
    stage.stop();
}
