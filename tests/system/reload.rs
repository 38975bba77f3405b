//! `bulkhead reload` and SIGHUP: what has changed in the manifest holds for running services, all of it or nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;

use bulkhead_tests::admin::until;
use bulkhead_tests::{Admin, Client, Host, Manifest, Site, versions};
use http::Method;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::admin::bulkhead;

/// Bytes of a body that the changed manifests allow.
const FEW: usize = 200;

fn site() -> Site {
    Site::new(&Manifest::events())
}

/// The manifest, with less room for bodies and one more route.
fn changed() -> Manifest {
    Manifest::events()
        .set("service.source.limits.body", format!("{FEW}B"))
        .set("service.source.routes", vec!["/source/...", "/more"])
}

fn publish(client: &mut Client, act: &str, padding: usize) -> u16 {
    let event = json!({
        "type": "source.happened",
        "subject": "s",
        "data": {"subject": "s", "n": 1, "act": act, "at": "sink"},
    });
    let mut body = json!([event]).to_string();
    body.push_str(&" ".repeat(padding));
    let headers = [("content-type", "application/json")];
    client.send(Method::POST, "/source/events", &headers, body.into()).status
}

/// Whether the host has a route there; what the service makes of it is another matter.
fn has_route(client: &mut Client, path: &str) -> bool {
    client.get(path).header("bulkhead-version").is_some()
}

fn ask(site: &Site, host: &Host) -> Admin {
    Admin::of(site, host)
}

#[test]
fn changed_settings_apply_without_a_restart() {
    let site = site();
    let host = site.start();
    let (mut client, mut admin) = (host.client(), ask(&site, &host));
    assert_eq!(publish(&mut client, "", FEW), 201);
    assert!(!has_route(&mut client, "/more"));
    publish(&mut client, "reject", 0);
    admin.until_consumed("source", "sink");
    assert_eq!(admin.dead_letters("sink").len(), 1, "it is told by its config that it is meant");

    site.write_manifest(&changed().set("service.sink.config.name", "somebody else").text());
    let reloaded = admin.command_json("reload", &[]);
    assert_eq!(reloaded["services"], json!(["sink", "source"]));
    assert_eq!(publish(&mut client, "", FEW), 413, "limits, on the connection that was open");
    assert!(has_route(&mut client, "/more"), "routes");
    assert_eq!(publish(&mut client, "reject", 0), 201);
    admin.until_consumed("source", "sink");
    assert_eq!(admin.dead_letters("sink").len(), 1, "config: it is not meant any more");

    assert_eq!(admin.command_json("reload", &[])["services"], json!([]));
    assert_eq!(publish(&mut client, "", FEW), 413);
    host.stop();
}

#[test]
fn hangup_signal_reloads() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    site.write_manifest(&changed().text());
    assert!(!has_route(&mut client, "/more"), "nobody has said so yet");
    host.hang_up();
    until("the new route", || has_route(&mut client, "/more").then_some(()));
    // What is wrong is told in the log.
    site.write_manifest(&changed().without("service.source.publishes").text());
    host.hang_up();
    until("the reason", || host.stderr().contains("SIGHUP: the manifest was not reloaded").then_some(()));
    assert!(has_route(&mut client, "/more"));
    host.stop();
}

/// The host waits for the component, which comes through a pipe: so it is known that it has begun to start.
#[test]
fn hangup_signal_during_startup_reloads_afterwards() {
    let pipe = "slow.wasm";
    let manifest = |manifest: Manifest| manifest.set("service.witness.source", pipe).text();
    let site = Site::of_text(&manifest(Manifest::events()));
    let path = site.path(pipe);
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let host = site.start_while(|process| {
        let open =
            || OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path);
        let held = until("the host reads its component", || open().ok());
        site.write_manifest(&manifest(changed()));
        kill_process(process, Signal::HUP).unwrap();
        let component = std::fs::read(bulkhead_tests::paths::component("sink")).unwrap();
        std::fs::write(&path, component).unwrap();
        drop(held);
    });
    let mut client = host.client();
    until("the new route", || has_route(&mut client, "/more").then_some(()));
    host.stop();
}

/// Each with a change that is right beside it, which must not hold either.
/// No service and no route has changed with it.
#[test]
fn changed_interface_version_appears_in_the_documents() {
    let site = site();
    let host = site.start();
    let (mut client, admin) = (host.client(), ask(&site, &host));
    let mut info = |path: &str| client.get(path).expect(200)["info"].clone();
    let before = info("/openapi.json");
    assert_eq!(before["version"], "0.1.0");
    site.write_manifest(&Manifest::events().set("application.version", "2.0.0").text());
    assert_eq!(admin.command_json("reload", &[])["services"], json!([]));
    for path in ["/openapi.json", "/openapi-3.0.json"] {
        let now = info(path);
        assert_eq!(
            (&now["version"], &now["x-bulkhead-document"]),
            (&json!("2.0.0"), &before["x-bulkhead-document"])
        );
    }
}

#[test]
fn reload_with_one_mistake_changes_nothing() {
    let site = site();
    let host = site.start();
    let (mut client, mut admin) = (host.client(), ask(&site, &host));
    let replica = "service.sink.replica.item.owner";
    let wrong: [(String, &[&str]); 9] = [
        // The subscriptions of those who take its events go with the grant, and so does what the manifest says of them.
        (changed().without("service.source.publishes").text(), &["source.happened"]),
        (
            changed().without("service.sink.subscribes").text(),
            &["service.sink", "subscribes to source.happened", "add \"source.happened\" to subscribes"],
        ),
        (
            changed().set("service.sink.database", "sqlite:data/other.db").text(),
            &["service.sink: database", "restart the host"],
        ),
        (changed().set(replica, "sink").text(), &["service.sink.replica.item.owner", "no other service"]),
        (
            changed().set("service.sink.limits.write_workers", 7).text(),
            &["service.sink", "workers", "restart the host"],
        ),
        (
            changed().set("service.sink.limits.memory", "200MiB").text(),
            &["service.sink.limits.memory", "restart the host"],
        ),
        (
            changed().set("application.access_log", "json").text(),
            &["application.access_log has changed", "restart the host"],
        ),
        (changed().only(&["source", "sink"]).text(), &["service.witness is gone", "restart the host"]),
        (format!("{}\n[nonsense", changed().text()), &["bulkhead.toml", "not TOML"]),
    ];
    for (manifest, reasons) in wrong {
        site.write_manifest(&manifest);
        let answer = admin.send(Method::POST, "/api/reload");
        let problem = answer.problem(422, "reload-refused");
        let refused = admin.command("reload", &[]);
        for reason in reasons {
            assert!(problem["detail"].as_str().unwrap().contains(reason), "{reason:?} is not in {problem}");
        }
        refused.says(1, reasons);
        assert_eq!(publish(&mut client, "", FEW), 201, "{problem}");
        assert!(!has_route(&mut client, "/more"), "{problem}");
    }
    host.stop();
}

/// As a start and a deploy do: with the settings that are new the component is asked what it is before they hold.
#[test]
fn settings_with_which_a_component_does_not_start_are_refused_as_at_a_start() {
    for (manifest, service, (setting, value), path, expected) in [
        (Manifest::guests(), "hostile", ("describe", "a route twice"), "/notes", "ask its describe"),
        (Manifest::shop(), "order", ("payment_timeout", "soon"), "/orders", "payment_timeout"),
    ] {
        let site = Site::new(&manifest);
        let host = site.start();
        let (mut client, admin) = (host.client(), ask(&site, &host));
        let before = client.get(path).status;
        let wrong = manifest.clone().set(&format!("service.{service}.config.{setting}"), value);
        site.write_manifest(&wrong.text());
        let service = format!("service.{service}");
        admin.command("reload", &[]).says(1, &[&service, expected]);
        assert_eq!(client.get(path).status, before);
        // With the mistake mended all of it holds.
        site.write_manifest(&manifest.set(&format!("{service}.limits.body"), "1KiB").text());
        assert_eq!(admin.command_json("reload", &[])["services"].as_array().unwrap().len(), 1);
        assert_eq!(client.get(path).status, before);
        host.stop();
        site.write_manifest(&wrong.text());
        site.fail_to_start().says(1, &[&service, expected]);
    }
}

/// A reload runs no other component: it says so, and what does.
#[test]
fn changed_source_is_reported_as_waiting_for_a_deploy_and_a_missing_one_is_refused() {
    let site = site();
    let host = site.start();
    let admin = ask(&site, &host);
    site.write_manifest(&Manifest::events().set("service.sink.source", "nowhere.wasm").text());
    admin.command("reload", &[]).says(1, &["service.sink", "nowhere.wasm"]);
    let copy = site.path("copy.wasm");
    std::fs::copy(bulkhead_tests::paths::component("sink"), &copy).unwrap();
    site.write_manifest(&Manifest::events().set("service.sink.source", copy.to_str().unwrap()).text());
    let output = bulkhead(&site, &host, &["reload"]);
    assert!(output.stdout.contains("`bulkhead deploy sink`"), "{}", output.stdout);
    assert!(!output.stdout.contains("nothing has changed"), "{}", output.stdout);
    assert_eq!(admin.command_json("reload", &[])["sources"], json!([]), "it was told");
    host.stop();
}

/// The command line goes before the manifest, at a reload as at the start.
#[test]
fn command_line_settings_override_the_manifest_at_a_reload() {
    let site = site();
    let host = site.start_with(&["--access-log", "off"]);
    let (mut client, mut admin) = (host.client(), ask(&site, &host));
    let manifest = changed()
        .set("application.listen", "127.0.0.1:1")
        .set("application.admin", "127.0.0.1:2")
        .set("application.access_log", "json");
    site.write_manifest(&manifest.text());
    admin.send(Method::POST, "/api/reload").expect(200);
    assert!(has_route(&mut client, "/more"));
    host.stop();
}

/// A grant that a version needs and the one before has no use for can't come first: a deploy goes by the manifest as its file is.
#[test]
fn deploy_applies_the_manifest_section_of_its_service() {
    let site = Site::new(&Manifest::changing());
    let host = site.start();
    let (mut client, admin) = (host.client(), ask(&site, &host));
    let file = versions::changing(&site, 2, "ungranted");
    let deploy = |admin: &Admin| admin.command("deploy", &["changing", file.to_str().unwrap()]);
    deploy(&admin).says(1, &["publishes changing.forgotten", "add \"changing.forgotten\" to publishes"]);
    assert_eq!(client.get("/changing/version").expect(200)["number"], 1);

    let both: Value = json!(["changing.noted", "changing.forgotten"]);
    let both: Vec<String> = serde_json::from_value(both).unwrap();
    let granted = Manifest::changing().set("service.changing.publishes", both);
    site.write_manifest(&granted.set("service.watching.limits.body", "1B").text());
    assert_eq!(deploy(&admin).status.code(), Some(0));
    assert_eq!(client.get("/changing/version").expect(200)["number"], 2);
    // Of the other service nothing was taken in.
    let answer = client.post("/watching/none", &json!({"long": "body"}));
    assert_ne!(answer.status, 413, "{answer}");
    host.stop();
}

/// Who waits for what another service has published waits on when what leads there is reloaded, and a limit of storage holds at once.
#[test]
fn storage_limit_follows_the_reloaded_manifest() {
    let site = site();
    let host = site.start();
    let (mut client, admin) = (host.client(), ask(&site, &host));
    assert_eq!(publish(&mut client, "", 0), 201);
    site.write_manifest(&Manifest::events().set("service.source.limits.storage", "4KiB").text());
    admin.command_json("reload", &[]);
    // The next batch finds no room.
    let answer = until("the database is full", || {
        let answer = client.post(
            "/source/events",
            &json!([{"type": "source.happened", "subject": "s",
            "data": {"subject": "s", "n": 2, "act": "", "at": "x".repeat(5000)}}]),
        );
        (answer.status != 201).then_some(answer)
    });
    answer.problem(507, "storage-full");
    site.write_manifest(&Manifest::events().text());
    admin.command_json("reload", &[]);
    assert_eq!(publish(&mut client, "", 0), 201);
    host.stop();
}
