//! Which versions there were, which one serves, and how one goes from one to another.

use std::path::PathBuf;

use bulkhead_tests::{Client, Manifest, Site, database, paths, versions};
use serde_json::{Value, json};
use wasm_encoder::Component;

use super::notes::{Operator, Stored, Traffic, label, manifest, serving, write};
use crate::admin::bulkhead_json;

/// Versions whose files are kept, the active one included.
const KEPT: usize = 16;

/// How each version came about, the last first.
#[track_caller]
fn hows(operator: &mut Operator) -> Vec<String> {
    let how = |version: &Value| version["how"].as_str().unwrap().to_owned();
    operator.versions("changing").iter().map(how).collect()
}

#[test]
fn each_change_is_listed_with_author_and_note_and_rollback_goes_back_and_forth() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    let traffic = Traffic::start(&host);
    let query = "author=Ada%20L.&note=a%20%26%20b%3D%C3%BC%0A";
    let deployed = operator.ask(&versions::changing(&site, 2, "plain"), query).expect(200);
    let started = deployed["before"].clone();
    assert_eq!((&deployed["service"], &deployed["outcome"]), (&json!("changing"), &json!("deployed")));
    assert_eq!((&deployed["probation_seconds"], &deployed["pause_milliseconds"]), (&json!(10), &Value::Null));
    assert!(deployed["sha256"].as_str().unwrap().starts_with(deployed["version"].as_str().unwrap()));
    let steps: Vec<&str> =
        deployed["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["validate", "compile", "try", "keep", "switch"]);
    assert_eq!(serving(&mut client).0, 2);

    operator.deploy(&versions::changing(&site, 3, "column"));
    assert_eq!(serving(&mut client), (3, true));
    let back = operator.roll_back("author=Bob");
    assert_eq!((&back["version"], back["probation_seconds"].as_u64()), (&deployed["version"], Some(0)));
    assert_eq!(serving(&mut client), (2, false), "the version before");
    operator.roll_back("");
    assert_eq!(serving(&mut client), (3, true), "and forth again");
    operator.roll_back("");
    assert_eq!(serving(&mut client), (2, false), "and back");
    operator.roll_back(&format!("to={}", started.as_str().unwrap()));
    assert_eq!(serving(&mut client), (1, false), "the one that is named");
    operator.roll_back("");
    assert_eq!(serving(&mut client), (2, false));

    let listed = operator.versions("changing");
    let actual: Vec<[&str; 3]> = listed
        .iter()
        .map(|version| ["how", "author", "note"].map(|member| version[member].as_str().unwrap()))
        .collect();
    assert_eq!(
        actual,
        [
            ["rollback", "", ""],
            ["rollback", "", ""],
            ["rollback", "", ""],
            ["rollback", "", ""],
            ["rollback", "Bob", ""],
            ["deploy", "", ""],
            ["deploy", "Ada L.", "a & b=ü"],
            ["start", "", ""],
        ]
    );
    let times: Vec<&str> = listed.iter().map(|version| version["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:?}");
    for version in &listed {
        assert!(version["kept"] == true && version["at"].as_str().unwrap().ends_with('Z'), "{version}");
        assert_eq!(version["version"].as_str().unwrap().len(), 12, "{version}");
    }
    let seen = traffic.end();
    let labels: Vec<String> =
        listed[5..].iter().map(|it| format!("changing@{}", it["version"].as_str().unwrap())).collect();
    assert!(labels.iter().all(|label| seen.labels.contains(label)), "{labels:?} {:?}", seen.labels);
    assert_eq!(operator.serving("changing"), listed[0]["version"]);
    host.stop();
}

#[test]
fn active_version_is_deployed_again_only_by_force() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let file = versions::changing(&site, 2, "plain");
    operator.deploy(&file);
    let before = Stored::of(&site);
    let again = operator.ask(&file, "author=nobody").expect(200);
    assert_eq!((&again["outcome"], &again["before"]), (&json!("unchanged"), &again["version"]), "{again}");
    assert_eq!(Stored::of(&site), before);
    let forced = operator.ask(&file, "force=true").expect(200);
    assert_eq!((&forced["outcome"], &forced["version"]), (&json!("deployed"), &again["version"]), "{forced}");
    assert_eq!(hows(&mut operator), ["deploy", "deploy", "start"]);
    assert_eq!(serving(&mut host.client()).0, 2);
    // The version before is the one that was another.
    operator.roll_back("");
    assert_eq!(serving(&mut host.client()).0, 1);
    host.stop();
}

#[test]
fn dry_run_reports_its_migrations_and_changes_nothing() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    for _ in 0..3 {
        write(&mut client);
    }
    let before = Stored::of(&site);
    let served = label(&client.get("/changing/version"));
    let file = versions::changing(&site, 2, "column");
    let tried = operator.ask(&file, "dry_run=true").expect(200);
    assert_eq!((&tried["outcome"], &tried["pause_milliseconds"]), (&json!("tried"), &Value::Null), "{tried}");
    let migrations = tried["migrations"].as_array().unwrap();
    assert_eq!(migrations.len(), 1, "{tried}");
    assert_eq!(
        (&migrations[0]["version"], &migrations[0]["name"], &migrations[0]["undone"]),
        (&json!(2), &json!("add_mood"), &json!(false))
    );
    assert!(migrations[0]["milliseconds"].as_f64().unwrap() > 0.0, "{tried}");
    assert_eq!(tried["tables"], json!([{"table": "note", "before": 3, "after": 3}]));
    assert_eq!(Stored::of(&site), before);
    assert_eq!(label(&client.get("/changing/version")), served);
    assert_eq!(
        operator.ask(&versions::changing(&site, 2, "plain"), "dry_run=true").expect(200)["outcome"],
        "tried"
    );

    // The way back can be tried too.
    operator.deploy(&file);
    let before = Stored::of(&site);
    let tried = operator.try_roll_back("dry_run=true").unwrap().expect(200);
    assert_eq!(
        (&tried["outcome"], &tried["migrations"][0]["undone"]),
        (&json!("tried"), &json!(true)),
        "{tried}"
    );
    assert_eq!(Stored::of(&site), before);
    assert_eq!(serving(&mut client), (2, true));
    host.stop();
}

#[test]
fn deployed_version_stays_after_a_restart_until_the_source_is_rebuilt() {
    let site = Site::new(&manifest());
    let source = site.path("source.wasm");
    let put = |number, words| std::fs::copy(versions::changing(&site, number, words), &source).unwrap();
    put(1, "plain");
    site.write_manifest(&manifest().set("service.changing.source", source.to_str().unwrap()).text());
    let host = site.start();
    Operator::of(&site, &host).deploy(&versions::changing(&site, 2, "column"));
    host.stop();
    for _ in 0..2 {
        let host = site.start();
        assert_eq!(serving(&mut host.client()), (2, true), "the source is as it was");
        assert_eq!(hows(&mut Operator::of(&site, &host)), ["deploy", "start"]);
        host.stop();
    }
    // Nor does it matter that it is gone.
    std::fs::remove_file(&source).unwrap();
    let host = site.start();
    assert_eq!(serving(&mut host.client()), (2, true));
    host.stop();

    put(3, "column");
    let host = site.start();
    assert_eq!(serving(&mut host.client()), (3, true), "it was built since");
    let mut operator = Operator::of(&site, &host);
    assert_eq!(hows(&mut operator), ["start", "deploy", "start"]);
    operator.roll_back("");
    assert_eq!(serving(&mut host.client()), (2, true));
    host.stop();
    let host = site.start();
    assert_eq!(serving(&mut host.client()), (2, true), "the source is as it was when one went back");
    host.stop();

    // One that does not fit the schema does not start, and what was there is there still.
    put(4, "plain");
    let before = Stored::of(&site);
    site.fail_to_start().says(1, &["changing", "V0002", "V0001"]);
    assert_eq!(Stored::of(&site).activations, before.activations);
    put(3, "column");
    let host = site.start();
    assert_eq!(serving(&mut host.client()), (2, true));
    host.stop();
}

#[test]
fn version_whose_file_was_altered_neither_starts_nor_is_rolled_back_to() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let deployed = operator.deploy(&versions::changing(&site, 2, "plain"));
    operator.deploy(&versions::changing(&site, 3, "plain"));
    let kept = |version: &Value| {
        site.data().join(format!("versions/changing/{}.wasm", version["sha256"].as_str().unwrap()))
    };
    std::fs::copy(versions::changing(&site, 4, "plain"), kept(&deployed)).unwrap();
    let problem = operator.try_roll_back("").unwrap().problem(404, "not-found");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("altered") && detail.contains("deploy it from its file"), "{detail}");
    assert_eq!(serving(&mut host.client()).0, 3);
    let active = kept(&operator.versions("changing")[0]);
    host.stop();
    std::fs::copy(versions::changing(&site, 4, "plain"), &active).unwrap();
    site.fail_to_start().says(1, &["changing", "altered", "put the file back"]);
    std::fs::copy(versions::changing(&site, 3, "plain"), &active).unwrap();
    let host = site.start();
    assert_eq!(serving(&mut host.client()).0, 3);
    host.stop();
}

#[test]
fn files_of_the_last_versions_are_kept_and_older_ones_are_listed_as_deleted() {
    let site = Site::new(&manifest());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    for number in 2..=u32::try_from(KEPT).unwrap() + 1 {
        operator.deploy(&versions::changing(&site, number, "plain"));
    }
    let listed = operator.versions("changing");
    assert_eq!(listed.len(), KEPT + 1);
    let kept: Vec<bool> = listed.iter().map(|version| version["kept"] == true).collect();
    assert_eq!(kept, [[true; KEPT].as_slice(), &[false]].concat());
    assert_eq!(Stored::of(&site).files.len(), KEPT);
    let to = |version: &Value| format!("to={}", version["version"].as_str().unwrap());
    let problem = operator.try_roll_back(&to(&listed[KEPT])).unwrap().problem(404, "not-found");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("is not kept any more") && detail.contains("deploy it from its file"),
        "{detail}"
    );
    operator.roll_back(&to(&listed[KEPT - 1]));
    assert_eq!(serving(&mut host.client()).0, 2);
    // Its file is another matter.
    operator.deploy(&paths::component("changing"));
    assert_eq!(serving(&mut host.client()).0, 1);
    host.stop();
}

/// A component that does nothing and has no database, of which there is one for each name.
fn idle(site: &Site, name: &str) -> PathBuf {
    let mut bytes = Component::new().finish();
    // A custom section with this name.
    let length = u8::try_from(name.len()).unwrap();
    bytes.extend([0, length + 1, length]);
    bytes.extend(name.as_bytes());
    let path = site.path(&format!("{name}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_service_without_a_database_keeps_its_version() {
    let site = Site::new(&manifest());
    let source = idle(&site, "one");
    let with_idle = |manifest: Manifest| manifest.set("service.idle.source", source.to_str().unwrap());
    site.write_manifest(&with_idle(manifest()).text());
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let first = operator.versions("idle").remove(0);
    let deployed = operator.try_deploy("idle", &idle(&site, "two"), "note=two").unwrap().expect(200);
    assert_eq!((&deployed["outcome"], &deployed["before"]), (&json!("deployed"), &first["version"]));
    assert_eq!(Stored::of(&site).activations.len(), 1, "those of others are others");
    host.stop();
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    assert_eq!(operator.serving("idle"), deployed["version"]);
    let listed = operator.versions("idle");
    assert_eq!((&listed[0]["version"], &listed[0]["note"]), (&deployed["version"], &json!("two")));
    assert_eq!(operator.post("/api/rollbacks/idle").expect(200)["version"], first["version"]);
    host.stop();
    // Killed at the switch, one of the two is there.
    for (point, expected) in [("written", &first["version"]), ("committed", &deployed["version"])] {
        let host = site.start_to_crash_at_deploy(point);
        let mut operator = Operator::of(&site, &host);
        assert_eq!(operator.versions("idle")[0]["version"], first["version"]);
        operator.try_deploy("idle", &idle(&site, "two"), "").unwrap_err();
        host.wait();
        let host = site.start();
        let mut operator = Operator::of(&site, &host);
        assert_eq!(&operator.versions("idle")[0]["version"], expected, "{point}");
        assert_eq!(&operator.serving("idle"), expected, "{point}");
        host.stop();
    }
}

/// The paths of the whole document, and those of the service's own.
#[track_caller]
fn documented(client: &mut Client) -> [bool; 2] {
    ["/openapi.json", "/openapi/changing.json"].map(|path| {
        let document = client.get(path).expect(200);
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.contains_key("/changing/notes"), "{document}");
        paths.contains_key("/changing/new")
    })
}

#[test]
fn the_documents_and_their_page_follow_the_version_that_serves() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    client.get("/docs").expect_status(200);
    let tag = |client: &mut Client| client.get("/openapi.json").header("etag").unwrap().to_owned();
    let first = tag(&mut client);
    assert_eq!(documented(&mut client), [false, false]);
    client.get("/changing/new").problem(404, "not-found");
    let file = versions::changing(&site, 2, "routes");
    operator.ask(&file, "dry_run=true").expect(200);
    assert_eq!((documented(&mut client), tag(&mut client)), ([false, false], first.clone()));

    operator.deploy(&file);
    assert_eq!(documented(&mut client), [true, true]);
    assert_eq!(client.get("/changing/new").expect(200)["number"], 2);
    let second = tag(&mut client);
    assert_ne!(second, first);
    // Who has the document of before is given the new one.
    let asked = [("if-none-match", first.as_str())];
    client.send(http::Method::GET, "/openapi.json", &asked, bytes::Bytes::new()).expect_status(200);
    client.get("/docs").expect_status(200);
    host.stop();

    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    assert_eq!((documented(&mut client), tag(&mut client)), ([true, true], second));
    operator.roll_back("");
    assert_eq!((documented(&mut client), tag(&mut client)), ([false, false], first));
    client.get("/changing/new").problem(404, "not-found");
    host.stop();
}

#[test]
fn rebuilt_service_keeps_its_version() {
    let site = Site::new(&manifest().set("service.watching.rebuildable", true));
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    for _ in 0..5 {
        write(&mut client);
    }
    let file = versions::watching(&site, 2, "plain");
    operator.try_deploy("watching", &file, "note=second").unwrap().expect(200);
    write(&mut client);
    operator.until_consumed();
    let before = operator.versions("watching");
    assert_eq!(before.len(), 2);
    let rebuilt = bulkhead_json(&site, &host, &["replay", "watching"]);
    assert_eq!(rebuilt["events"], 6, "{rebuilt}");
    assert_eq!(operator.versions("watching"), before);
    let check = |client: &mut Client| {
        assert_eq!(client.get("/watching/version").expect(200)["number"], 2);
        assert_eq!(client.get("/watching/count").expect(200), json!({"events": 6, "arrivals": 6}));
    };
    check(&mut client);
    let consumed = client.get("/watching/events").expect(200);
    assert!(consumed["items"].as_array().unwrap().iter().all(|event| event["taken_by"] == 2), "{consumed}");
    host.stop();
    let host = site.start();
    check(&mut host.client());
    let mut operator = Operator::of(&site, &host);
    assert_eq!(operator.versions("watching"), before);
    assert_eq!(operator.post("/api/rollbacks/watching").expect(200)["outcome"], "deployed");
    assert_eq!(host.client().get("/watching/version").expect(200)["number"], 1);
    host.stop();
    let changing = database::open(&site.database("changing"));
    assert_eq!(database::number(&changing, "SELECT count(*) FROM note"), 6);
}
