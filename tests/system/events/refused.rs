//! Events that nobody may publish, subscriptions that lead nowhere, and data that are not what a type has: a clear error or a dead letter.

use bulkhead_tests::{Manifest, Site};
use serde_json::json;

use super::{Stage, happened, manifest, numbers_of, up_to};

#[test]
fn event_without_a_grant_is_a_clear_error_for_its_publisher_and_not_in_the_log() {
    let mut stage = Stage::new();
    // An unknown type, and that of another service.
    for kind in ["source.secret", "sink.noted", "nonsense"] {
        let event = json!({"type": kind, "subject": "a", "data": {}});
        let problem = stage.client.post("/source/events", &event).problem(500, "internal");
        assert_eq!(problem["error"], "not-allowed", "{problem}");
        assert!(
            problem["why"].as_str().unwrap().contains(&format!("publish {kind}: add it to `publishes`")),
            "{problem}"
        );
    }
    for (subject, data) in
        [("", json!({})), (&*"s".repeat(256), json!({})), ("a", json!("x".repeat(256 * 1024)))]
    {
        let event = json!({"type": "source.happened", "subject": subject, "data": data});
        let problem = stage.client.post("/source/events", &event).problem(500, "internal");
        assert_eq!(problem["error"], "invalid", "{problem}");
    }
    let log = stage.admin.get("/api/events?service=source");
    assert_eq!(log["items"], json!([]));
    stage.publish_one(happened("a", 0));
    assert_eq!(numbers_of(&stage.all_consumed("sink"), "a"), [0]);
    stage.stop();
}

#[test]
fn event_with_data_of_the_wrong_type_is_a_dead_letter_and_blocks_no_other() {
    let mut stage = Stage::new();
    let malformed =
        [json!({}), json!([]), json!(null), json!("text"), json!({"subject": "a", "n": "no number"})];
    let mut ids = Vec::new();
    for (n, data) in (0..).zip(&malformed) {
        let event = json!({"type": "source.happened", "subject": "a", "data": data});
        ids.extend(stage.publish(&[event, happened("a", n)]).into_iter().take(1));
    }
    let count = malformed.len() as u64;
    for consumer in ["sink", "witness"] {
        assert_eq!(numbers_of(&stage.all_consumed(consumer), "a"), up_to(count), "at {consumer}");
        let letters = stage.admin.dead_letters(consumer);
        assert_eq!(letters.len() as u64, count, "{letters:?}");
        for letter in letters {
            assert_eq!(letter["state"], "dead", "{letter}");
            assert!(ids.iter().any(|id| letter["id"] == id.as_str()), "{letter}");
            assert!(letter["reason"].as_str().unwrap().contains("not what this type has"), "{letter}");
        }
    }
    stage.stop();
}

#[test]
fn event_whose_handler_publishes_without_a_grant_is_a_dead_letter() {
    // Its manifest does not let the witness publish anything.
    let mut stage = Stage::new();
    let mut event = happened("a", 0);
    event["data"]["act"] = json!("publish");
    event["data"]["at"] = json!("witness");
    let id = stage.publish_one(event);
    let letter = stage.admin.until_state("witness", &id, "dead", 1);
    assert!(letter["reason"].as_str().unwrap().contains("witness.noted"), "{letter}");
    assert_eq!(numbers_of(&stage.all_consumed("sink"), "a"), [0]);
    assert_eq!(stage.admin.metric("bulkhead_events_published_total", "service=\"witness\""), 0.0);
    stage.stop();
}

/// The host must not start with this manifest, and say why by name.
#[track_caller]
fn refuses(manifest: &Manifest, texts: &[&str]) {
    Site::new(manifest).fail_to_start().says(1, texts);
}

#[test]
fn subscription_without_a_handler_is_refused_by_name() {
    let manifest = manifest().set("service.sink.subscribes", vec!["source.happened", "source.passing"]);
    refuses(&manifest, &["sink", "source.passing", "no handler"]);
}

#[test]
fn handler_without_a_subscription_is_refused_by_name() {
    refuses(
        &manifest().without("service.sink.subscribes"),
        &["sink", "subscribes to source.happened", "`subscribes`"],
    );
    // A timer is granted in the same way.
    refuses(&manifest().without("service.source.subscribes"), &["source", "source.rung", "`subscribes`"]);
}

#[test]
fn subscription_to_an_unpublished_event_is_refused_by_name() {
    let manifest = manifest().set("service.sink.subscribes", vec!["source.happened", "source.nothing"]);
    refuses(&manifest, &["service.sink.subscribes", "no service publishes source.nothing"]);
}

#[test]
fn subscription_to_an_own_event_is_refused_by_name() {
    let manifest = manifest().set("service.sink.subscribes", vec!["source.happened", "sink.noted"]);
    refuses(&manifest, &["service.sink.subscribes", "sink.noted is its own event"]);
}

#[test]
fn event_already_published_by_another_service_is_refused_by_name() {
    let manifest = manifest().set("service.sink.publishes", vec!["sink.noted", "source.passing"]);
    refuses(&manifest, &["source.passing is published by"]);
}

#[test]
fn event_type_that_begins_with_the_name_of_another_service_is_refused_by_name() {
    let manifest = manifest().set("service.witness.publishes", vec!["sink.other"]);
    refuses(&manifest, &["service.witness.publishes", "sink.other"]);
}

#[test]
fn a_consumer_without_a_database_is_refused_by_name() {
    refuses(
        &manifest().without("service.sink.database"),
        &["service.sink", "keeps its position in its database"],
    );
}
