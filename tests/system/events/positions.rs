//! A position that the log does not know: that subscription alone stops, with the reason, until the right file is put back.

use bulkhead_tests::{Manifest, Site, database};
use serde_json::{Value, json};
use toml::Table;

use super::{Stage, happened, ids_of, manifest, numbers_of, up_to};

/// The guests, where the sink takes events of the witness as well.
fn with_another_subscription() -> Manifest {
    let replica: Table =
        "owner = 'witness'\nupsert = 'witness.noted'\nkey = 'id'\ncolumns = { id = 'text', n = 'integer' }"
            .parse()
            .unwrap();
    manifest()
        .set("service.witness.publishes", vec!["witness.noted"])
        .set("service.sink.replica.noted", replica)
}

/// Events up to a position of the sink that is not that of the witness: the last is for the sink's replica alone.
fn played() -> (Site, Vec<String>) {
    let mut stage = Stage::of(&with_another_subscription());
    let published = stage.publish(&(0..5).map(|n| happened("a", n)).collect::<Vec<_>>());
    let item = json!({"id": "i", "n": 1, "note": null});
    stage.publish_one(json!({"type": "source.item-changed", "subject": "i", "data": item}));
    stage.all_consumed("sink");
    stage.all_consumed("witness");
    (stage.stop(), published)
}

/// Runs statements on a service's file while no host does.
#[track_caller]
fn alter(site: &Site, service: &str, statement: &str) {
    let connection = database::open_to_break(&site.database(service));
    assert_eq!(connection.execute(statement, ()).unwrap(), 1, "{statement}");
}

/// The sink's subscription to the source stands still for the reason that is given, and nothing else does; `mend` puts right what was
/// broken.
#[track_caller]
fn stops_alone(site: Site, published: &[String], reason: &[&str], mend: impl FnOnce(&Site)) {
    let mut stage = Stage::on(site);
    let why = stage.admin.until_stopped("source", "sink");
    for text in reason {
        assert!(why.contains(text), "{text:?} is not in: {why}");
    }
    let mut all = published.to_vec();
    let mut noted = happened("b", 7);
    noted["data"]["act"] = json!("publish");
    noted["data"]["at"] = json!("witness");
    all.extend(stage.publish(&[happened("a", 5), noted]));
    // Other subscriptions go on, from the same producer and to the same consumer, and the service itself serves.
    assert_eq!(ids_of(&stage.all_consumed("witness")), all);
    assert_eq!(stage.admin.subscription("source", "witness")["stopped"], Value::Null);
    assert_eq!(ids_of(&stage.consumed("sink")), published);
    stage.admin.until_consumed("witness", "sink");
    let copies = database::open(&stage.site.database("sink"));
    assert_eq!(database::texts(&copies, "SELECT id || n FROM noted"), ["b7"]);
    stage.client.post("/sink/notes/n", &json!(null)).expect(201);
    assert_eq!(stage.client.get("/sink/notes").expect(200)["items"], json!(["n"]));

    let findings = stage.admin.findings("subscription");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((&findings[0]["service"], &findings[0]["key"]), (&json!("sink"), &json!("source")));
    assert_eq!(findings[0]["detail"], why.as_str());
    stage.admin.command("check", &[]).says(1, &["finding"]);
    let subscription = "producer=\"source\",consumer=\"sink\"";
    assert_eq!(stage.admin.metric("bulkhead_subscription_stopped", subscription), 1.0);
    let shown = stage.admin.command_json("status", &[]);
    assert!(shown.to_string().contains("stopped"), "{shown}");
    let log = stage.host.stop().stderr;
    assert!(log.contains("a subscription has stopped"), "{log}");

    // With the right file back it takes what it has not, once and in order.
    mend(&stage.site);
    let mut stage = Stage::on(stage.site);
    assert_eq!(ids_of(&stage.all_consumed("sink")), all);
    assert_eq!(numbers_of(&stage.consumed("sink"), "a"), up_to(6));
    assert_eq!(stage.admin.subscription("source", "sink")["stopped"], Value::Null);
    assert_eq!(stage.admin.findings("subscription"), Vec::<Value>::new());
    stage.stop();
}

#[test]
fn different_event_at_the_position_stops_only_that_subscription() {
    let (site, published) = played();
    let right = database::texts(
        &database::open(&site.database("source")),
        "SELECT id FROM _bulkhead_outbox WHERE sequence = 6",
    );
    alter(&site, "source", "UPDATE _bulkhead_outbox SET id = 'another' WHERE sequence = 6");
    stops_alone(site, &published, &["source", &right[0], "another", "number 6"], |site| {
        alter(site, "source", &format!("UPDATE _bulkhead_outbox SET id = '{}' WHERE sequence = 6", right[0]));
    });
}

#[test]
fn position_ahead_of_the_log_stops_only_that_subscription() {
    let (site, published) = played();
    alter(&site, "sink", "UPDATE _bulkhead_cursor SET sequence = 1000 WHERE producer = 'source'");
    stops_alone(site, &published, &["source", "number 1000", "no event"], |site| {
        alter(site, "sink", "UPDATE _bulkhead_cursor SET sequence = 6 WHERE producer = 'source'");
    });
}

#[test]
fn position_in_another_log_stops_only_that_subscription() {
    let (site, published) = played();
    let right = database::texts(
        &database::open(&site.database("sink")),
        "SELECT log FROM _bulkhead_cursor WHERE producer = 'source'",
    );
    alter(&site, "sink", "UPDATE _bulkhead_cursor SET log = 'another' WHERE producer = 'source'");
    stops_alone(site, &published, &["source", "another", &right[0], "was replaced"], |site| {
        alter(
            site,
            "sink",
            &format!("UPDATE _bulkhead_cursor SET log = '{}' WHERE producer = 'source'", right[0]),
        );
    });
}

#[test]
fn log_restored_from_a_backup_stops_its_subscriptions_and_skips_nothing() {
    let mut stage = Stage::new();
    stage.publish(&(0..3).map(|n| happened("a", n)).collect::<Vec<_>>());
    stage.all_consumed("sink");
    let site = stage.stop();
    let (file, copy) = (site.database("source"), site.path("copy.db"));
    std::fs::copy(&file, &copy).unwrap();
    let mut stage = Stage::on(site);
    stage.publish(&(3..6).map(|n| happened("a", n)).collect::<Vec<_>>());
    stage.all_consumed("sink");
    stage.all_consumed("witness");
    let site = stage.stop();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
    }
    std::fs::copy(&copy, &file).unwrap();
    let mut stage = Stage::on(site);
    for consumer in ["sink", "witness"] {
        let why = stage.admin.until_stopped("source", consumer);
        assert!(why.contains("number 6") && why.contains("no event"), "{why}");
    }
    // What is published now takes the numbers of what was lost: it must not be taken for that.
    stage.publish(&(6..12).map(|n| happened("a", n)).collect::<Vec<_>>());
    let site = stage.stop();
    let mut stage = Stage::on(site);
    let why = stage.admin.until_stopped("source", "sink");
    assert!(why.contains("number 6"), "{why}");
    assert_eq!(numbers_of(&stage.consumed("sink"), "a"), up_to(6));
    stage.stop();
}
