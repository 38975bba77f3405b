//! Replicas of another form: filled from what the owner holds or from its events, at a start and by a reload; refused where rows would be
//! lost; and whole after SIGKILL at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bulkhead_tests::{Admin, Client, Host, Manifest, Random, Site, database, host};
use http::Method;
use serde_json::{Value, json};
use toml::toml;

use super::{Stage, happened, manifest};

/// Where the process ends, in the order of a fill.
const POINTS: [&str; 3] = ["staged", "filled", "fill-committed"];

/// The form of before.
fn old() -> Manifest {
    manifest().set("service.sink.replica.item.columns", toml! { id = "text" n = "integer" })
}

/// The form of now, of an owner that does not say what it holds.
fn undeclared() -> Manifest {
    manifest()
}

/// The form of now, of an owner that says what it holds.
fn declared() -> Manifest {
    let entity = toml! { select = "SELECT note, id, n FROM item" deleted = "source.item-deleted" };
    manifest().set("service.source.entity.item", entity)
}

fn columns_with_default() -> toml::Table {
    toml! { id = "text" n = "integer" note = { type = "text", default = "none" } }
}

fn defaulted() -> Manifest {
    manifest().set("service.sink.replica.item.columns", columns_with_default())
}

fn item(id: &str, n: u64, in_old_form: bool) -> Value {
    json!({"id": id, "n": n, "note": format!("note {n}"), "in_old_form": in_old_form})
}

#[track_caller]
fn change(client: &mut Client, changes: &[Value]) {
    client.post("/source/items", &json!(changes)).expect(201);
}

/// What the replica has.
#[track_caller]
fn items(stage: &mut Stage) -> Vec<Value> {
    stage.admin.until_consumed("source", "sink");
    let items = stage.client.get("/sink/items").expect(200)["items"].clone();
    items.as_array().unwrap().clone()
}

fn row(id: &str, n: u64) -> Value {
    json!({"id": id, "n": n, "note": format!("note {n}")})
}

/// A site in which old events lack a column, and the replica has the form of before.
fn before() -> Site {
    let mut stage = Stage::of(&old());
    change(&mut stage.client, &[item("a", 1, true), item("b", 2, true), item("c", 3, true)]);
    change(&mut stage.client, &[json!({"id": "b"}), item("c", 4, false)]);
    assert_eq!(items(&mut stage), [json!({"id": "a", "n": 1}), json!({"id": "c", "n": 4})]);
    stage.stop()
}

#[track_caller]
fn doctor(site: &Site) -> Vec<Value> {
    let (manifest, data) = (site.manifest(), site.data());
    let all =
        ["doctor", "--json", "--manifest", manifest.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let finished = host::run(&[&all[..], &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]].concat());
    let checks: Vec<Value> = serde_json::from_str(&finished.stdout).unwrap();
    checks.into_iter().filter(|check| check["name"] == "replicas sink").collect()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn column_missing_in_old_events_is_filled_from_the_rows_of_the_owner() {
    let site = before();
    site.write_manifest(&declared().text());
    let checks = doctor(&site);
    assert_eq!((checks.len(), &checks[0]["state"]), (1, &json!("ok")), "{checks:?}");
    says(checks[0]["found"].as_str().unwrap(), &["item", "filled at the next start"]);
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), [row("a", 1), row("c", 4)]);
    change(&mut stage.client, &[item("a", 5, false), json!({"id": "c"}), item("d", 6, false)]);
    assert_eq!(items(&mut stage), [row("a", 5), row("d", 6)]);
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    assert_eq!(stage.admin.findings("replica"), Vec::<Value>::new());
    let site = stage.stop();
    assert_eq!(doctor(&site)[0]["state"], "ok");
}

/// The subscription worker is behind: what it is still to take lacks the column, and must be no dead letter.
#[test]
fn subscription_worker_that_lags_consumes_old_events_without_changing_the_replica() {
    let mut stage = Stage::of(&old().only(&["source"]));
    change(&mut stage.client, &[item("a", 1, true), item("b", 2, true)]);
    let event = happened("a", 0);
    super::publish(&mut stage.client, &[event]);
    change(&mut stage.client, &[item("a", 3, true), item("b", 4, false), json!({"id": "b"})]);
    let site = stage.stop();
    site.write_manifest(&declared().text());
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), [row("a", 3)]);
    assert_eq!(super::numbers_of(&stage.consumed("sink"), "a"), [0]);
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    change(&mut stage.client, &[item("b", 5, false)]);
    assert_eq!(items(&mut stage), [row("a", 3), row("b", 5)]);
    stage.stop();
}

#[test]
fn start_that_would_lose_rows_is_refused_and_the_old_declaration_still_starts() {
    let site = before();
    let reason = [
        "replica item",
        "1 row would be lost",
        "\"a\"",
        "event 1 of source",
        "note is missing",
        "default",
        "[service.source.entity.item]",
    ];
    site.write_manifest(&undeclared().text());
    let checks = doctor(&site);
    assert_eq!((checks.len(), &checks[0]["state"]), (1, &json!("wrong")), "{checks:?}");
    says(&format!("{} {}", checks[0]["found"], checks[0]["remedy"]).replace('\\', ""), &reason);
    site.fail_to_start().says(1, &reason);
    // A select that does not give the column is of no use.
    let short = toml! { select = "SELECT id, n FROM item" };
    site.write_manifest(&undeclared().set("service.source.entity.item", short).text());
    site.fail_to_start().says(1, &["1 row would be lost", "it gives no column note"]);
    site.write_manifest(&old().text());
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), [json!({"id": "a", "n": 1}), json!({"id": "c", "n": 4})]);
    stage.stop();
}

#[test]
fn default_replaces_fields_missing_in_events() {
    let site = before();
    site.write_manifest(&defaulted().text());
    let mut stage = Stage::on(site);
    change(&mut stage.client, &[item("d", 5, true), item("e", 6, false)]);
    let unknown = |id: &str, n: u64| json!({"id": id, "n": n, "note": "none"});
    assert_eq!(items(&mut stage), [unknown("a", 1), row("c", 4), unknown("d", 5), row("e", 6)]);
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    stage.stop();
}

#[test]
fn dead_letters_of_a_replica_are_removed_when_it_is_complete_again() {
    let held = declared().set("service.sink.replica.item.columns", columns_with_default());
    for (whole, note) in [(defaulted(), "none"), (held, "note 1")] {
        let mut stage = Stage::of(&undeclared());
        change(&mut stage.client, &[item("a", 1, true), item("b", 2, false)]);
        assert_eq!(items(&mut stage), [row("b", 2)]);
        assert_eq!(stage.admin.dead_letters("sink").len(), 1);
        let site = stage.stop();
        site.write_manifest(&whole.text());
        let mut stage = Stage::on(site);
        assert_eq!(items(&mut stage), [json!({"id": "a", "n": 1, "note": note}), row("b", 2)]);
        assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
        stage.stop();
    }
    // And when a check has repaired what they would have said.
    let mut stage = Stage::of(&declared());
    change(&mut stage.client, &[item("a", 1, true)]);
    assert!(items(&mut stage).is_empty());
    assert_eq!(stage.admin.dead_letters("sink").len(), 1);
    assert_eq!(stage.admin.findings("replica").len(), 1);
    assert_eq!(stage.admin.dead_letters("sink").len(), 1, "a check that repairs nothing drops nothing");
    stage.admin.command("check", &["--repair"]);
    assert_eq!(items(&mut stage), [row("a", 1)]);
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    stage.stop();
}

#[test]
fn reload_fills_replicas_and_a_refused_reload_leaves_them_unchanged() {
    let mut stage = Stage::on(before());
    stage.site.write_manifest(&undeclared().text());
    let refused = stage.admin.send(Method::POST, "/api/reload").problem(422, "reload-refused");
    says(refused["detail"].as_str().unwrap(), &["service.sink", "1 row would be lost", "note is missing"]);
    assert_eq!(items(&mut stage), [json!({"id": "a", "n": 1}), json!({"id": "c", "n": 4})]);
    // Of a deploy it is said what comes first.
    stage.site.write_manifest(&declared().text());
    let component = bulkhead_tests::paths::component("sink");
    stage.admin.command("deploy", &["sink", component.to_str().unwrap()]).says(1, &["bulkhead reload"]);

    assert_eq!(stage.admin.command_json("reload", &[])["services"], json!(["sink"]));
    assert_eq!(items(&mut stage), [row("a", 1), row("c", 4)]);
    change(&mut stage.client, &[item("a", 7, false), json!({"id": "c"})]);
    assert_eq!(items(&mut stage), [row("a", 7)]);
    // One that had none of the owner before is filled, and so is another replica of the same events.
    let replica = toml! {
        owner = "source"
        upsert = "source.item-changed"
        delete = "source.item-deleted"
        key = "id"
        columns = { id = "text", n = "integer", note = "text" }
    };
    let with_more = declared().set("service.witness.replica.item", replica.clone());
    let mut unused = replica;
    unused.insert("columns".to_owned(), toml! { id = "text" n = "integer" }.into());
    stage.site.write_manifest(&with_more.clone().set("service.sink.replica.unused", unused).text());
    assert_eq!(stage.admin.command_json("reload", &[])["services"], json!(["sink", "witness"]));
    stage.admin.until_consumed("source", "witness");
    assert_eq!(stage.client.get("/witness/items").expect(200)["items"], json!([row("a", 7)]));
    // What is no longer declared goes, unless the component names it.
    stage.site.write_manifest(&with_more.clone().without("service.sink.replica").text());
    let refused = stage.admin.send(Method::POST, "/api/reload").problem(422, "reload-refused");
    let expected = ["service.sink", "SELECT * FROM item ORDER BY id", "no such table: item"];
    says(refused["detail"].as_str().unwrap(), &expected);
    assert_eq!(items(&mut stage), [row("a", 7)]);
    stage.site.write_manifest(&with_more.text());
    assert_eq!(stage.admin.command_json("reload", &[])["services"], json!(["sink"]));
    assert_eq!(items(&mut stage), [row("a", 7)]);
    assert_eq!(stage.admin.command_json("reload", &[])["services"], json!([]));
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    // The service can't write what the reload has made, as it can't what a start has.
    stage.client.delete("/sink/items").any_problem();
    let site = stage.stop();
    let connection = database::open(&site.database("sink"));
    let named = "SELECT count(*) FROM sqlite_schema WHERE name = 'unused'";
    assert_eq!(database::number(&connection, named), 0);
    drop(connection);
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), [row("a", 7)]);
    stage.stop();
}

/// Does something on a connection of its own until it is told to stop; gives how often.
fn busy(
    host: &Host,
    stop: &Arc<AtomicBool>,
    mut work: impl FnMut(&mut Client, u64) + Send + 'static,
) -> thread::JoinHandle<u64> {
    let (mut client, stop) = (host.client(), Arc::clone(stop));
    thread::spawn(move || {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            work(&mut client, number);
            number += 1;
        }
        number
    })
}

/// Under load each reload changes the replica between two forms. All requests are answered, by a release that has the replica it knows; and
/// nothing of what the owner told meanwhile is lost.
#[test]
fn a_reload_that_fills_replicas_drops_no_request_and_no_event() {
    let stage = Stage::on(before());
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for worker in 0..2 {
        workers.push(busy(&stage.host, &stop, move |client, number| {
            let id = format!("w{worker}-{}", number % 50);
            let gone = json!({"id": id});
            change(client, &[if number % 7 == 6 { gone } else { item(&id, number, false) }]);
        }));
    }
    workers.push(busy(&stage.host, &stop, |client, _| drop(client.get("/sink/items").expect(200))));
    workers.push(busy(&stage.host, &stop, |client, number| {
        client.post(&format!("/sink/notes/n{number}"), &json!(null)).expect(201);
    }));
    let mut admin = stage.admin;
    for round in 0..10 {
        stage.site.write_manifest(&if round % 2 == 0 { declared() } else { old() }.text());
        assert_eq!(admin.command_json("reload", &[])["services"].as_array().unwrap().len(), 1, "{round}");
    }
    stage.site.write_manifest(&declared().text());
    admin.command_json("reload", &[]);
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        assert!(worker.join().expect("every request was answered as it should be") > 0);
    }
    admin.until_consumed("source", "sink");
    assert_eq!(admin.findings("replica"), Vec::<Value>::new());
    assert_eq!(admin.dead_letters("sink"), Vec::<Value>::new());
    stage.host.stop();
}

/// What a start after the end of the process finds: the replica as it is declared, with all that its owner has.
#[track_caller]
fn is_whole(site: Site) -> Site {
    let mut stage = Stage::on(site);
    stage.admin.until_consumed("source", "sink");
    assert_eq!(stage.admin.findings("replica"), Vec::<Value>::new());
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new());
    assert_eq!(items(&mut stage)[..1], [row("a", 1)]);
    change(&mut stage.client, &[item("z", 9, false)]);
    assert!(items(&mut stage).contains(&row("z", 9)));
    stage.stop()
}

#[test]
fn start_that_ends_during_a_fill_is_completed_by_the_next_start() {
    for point in POINTS {
        let site = before();
        site.write_manifest(&declared().text());
        assert!(site.start_to_crash_at_fill(point).is_none(), "{point} was not reached");
        is_whole(site);
    }
    // The form of before starts as well, where its successor was not complete.
    let site = before();
    site.write_manifest(&declared().text());
    assert!(site.start_to_crash_at_fill("filled").is_none());
    site.write_manifest(&old().text());
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage), [json!({"id": "a", "n": 1}), json!({"id": "c", "n": 4})]);
    stage.stop();
}

#[test]
fn reload_that_ends_during_a_fill_is_completed_by_the_next_start() {
    for point in POINTS {
        let site = before();
        let host = site.start_to_crash_at_fill(point).expect("nothing is filled at this start");
        site.write_manifest(&declared().text());
        let admin = bulkhead_tests::Admin::of(&site, &host);
        assert!(!admin.command("reload", &[]).status.success(), "{point}");
        assert!(host.wait().status.code().is_none(), "{point}: it ended by itself");
        is_whole(site);
    }
}

/// SIGKILL at whatever moment of a fill that takes some time, with many rows.
#[test]
fn kill_at_any_moment_of_a_fill_loses_no_row() {
    let mut random = Random::new();
    let mut stage = Stage::of(&old());
    for chunk in 0..4 {
        let changes: Vec<Value> =
            (0..500).map(|place| item(&format!("i{}", chunk * 500 + place), place, true)).collect();
        change(&mut stage.client, &changes);
    }
    change(&mut stage.client, &[item("a", 1, true)]);
    assert_eq!(items(&mut stage).len(), 2_001);
    let mut site = stage.stop();
    site.write_manifest(&declared().text());
    for round in 0..8 {
        let copy = site.copy();
        copy.kill_while_starting(Duration::from_millis(random.below(600)));
        site = is_whole_of(copy, 2_001, round);
        site.write_manifest(&if round % 2 == 0 { old() } else { declared() }.text());
    }
}

#[track_caller]
fn is_whole_of(site: Site, rows: usize, round: usize) -> Site {
    let mut stage = Stage::on(site);
    assert_eq!(items(&mut stage).len(), rows, "round {round}");
    assert_eq!(stage.admin.dead_letters("sink"), Vec::<Value>::new(), "round {round}");
    stage.stop()
}

/// Whoever stopped them panics before they run again: without them events stay where they are, and nobody would know.
#[test]
fn host_is_not_ready_if_a_reload_did_not_restart_the_subscription_workers() {
    let site = Site::new(&old());
    let host = site.start_to_panic("network@delivery_threads");
    let (mut client, mut admin) = (host.client(), Admin::of(&site, &host));
    assert_eq!(client.get("/readyz").status, 200);
    site.write_manifest(&defaulted().text());
    let failed = admin.send(Method::POST, "/api/reload").problem(500, "internal");
    let answer = client.get("/readyz");
    assert_eq!(answer.status, 503, "{answer}");
    assert_eq!(String::from_utf8_lossy(&answer.body), "sink-deliveries does not run\n");
    // What starts them again ends that.
    site.write_manifest(&old().text());
    admin.command_json("reload", &[]);
    assert_eq!(client.get("/readyz").status, 200);
    change(&mut client, &[item("a", 1, false)]);
    admin.until_consumed("source", "sink");
    let log = host.stop().stderr;
    let line = log.lines().find(|line| line.contains("an operator's request failed")).expect("a line");
    says(line, &[failed["trace_id"].as_str().unwrap(), "method=POST", "path=\"/api/reload\"", "status=500"]);
}
