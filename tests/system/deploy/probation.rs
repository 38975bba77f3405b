//! A new version that fails goes back by itself, and one that seldom fails stays.

use bulkhead_tests::admin::until;
use bulkhead_tests::{Client, Site, database, versions};
use serde_json::{Value, json};

use super::notes::{Operator, check_notes, manifest, serving, write};
use crate::admin::{admin_address, bulkhead_at, printed};

const FAILURES: usize = 3;

/// Asks until the version that fails has failed often enough, and checks how.
#[track_caller]
fn fail(client: &mut Client, mut ask: impl FnMut(&mut Client) -> bulkhead_tests::Answer) {
    for _ in 0..FAILURES {
        let answer = ask(client);
        // The last of them may find the version before.
        assert!(answer.status == 500 || answer.status < 300, "{answer}");
    }
}

fn read(client: &mut Client) -> bulkhead_tests::Answer {
    client.get("/changing/version")
}

fn post(client: &mut Client) -> bulkhead_tests::Answer {
    client.post("/changing/notes", &json!({"text": "any"}))
}

#[test]
fn version_whose_handlers_fail_is_rolled_back_automatically_and_reported() {
    for (words, why) in
        [("traps", "unreachable"), ("fails", "answered 500"), ("fails-writes", "answered 500")]
    {
        let site = Site::new(&manifest());
        let host = site.start();
        let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
        let kept = write(&mut client);
        let deployed = operator.deploy(&versions::changing(&site, 2, words));
        assert_eq!(deployed["probation_seconds"], 10);
        fail(&mut client, if words == "fails-writes" { post } else { read });
        let last = operator.until_last_is("changing", "return");
        assert_eq!(last["version"], deployed["before"], "{words}");
        assert_eq!(last["author"], "the host");
        let failed = deployed["version"].as_str().unwrap();
        let note = last["note"].as_str().unwrap();
        for text in [failed, "failed its probation", "3 of its first 3 handlers failed", why] {
            assert!(note.contains(text), "{text:?} is not in: {note}");
        }
        let listed = operator.versions("changing");
        assert_eq!((&listed[1]["version"], listed.len()), (&deployed["version"], 3));
        assert_eq!(serving(&mut client), (1, false), "{words}");
        let log = host.stop().stderr;
        for text in ["a version fails its probation", "the one before it serves again", failed] {
            assert!(log.contains(text), "{text:?} is not in:\n{log}");
        }
        // It stays so after the next start, and what it wrote and failed is not there.
        let host = site.start();
        assert_eq!(serving(&mut host.client()), (1, false), "{words}");
        let mut operator = Operator::of(&site, &host);
        assert_eq!(operator.versions("changing"), listed);
        operator.until_consumed();
        check_notes(&site, &[kept.clone()].into());
        let count =
            database::number(&database::open(&site.database("changing")), "SELECT count(*) FROM note");
        assert_eq!(count, 1, "{words}");
        host.stop();
    }
}

#[test]
fn version_that_rarely_fails_stays() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    operator.deploy(&versions::changing(&site, 2, "fails-writes"));
    for _ in 0..20 * FAILURES {
        assert_eq!(serving(&mut client).0, 2);
    }
    for _ in 0..FAILURES + 1 {
        post(&mut client).problem(500, "internal");
    }
    assert_eq!(serving(&mut client).0, 2);
    assert_eq!(operator.versions("changing").len(), 2);
    // It is decided with the failure, before its answer leaves.
    let log = host.stop().stderr;
    assert!(!log.contains("fails its probation"), "{log}");
}

#[test]
fn two_failures_may_be_a_coincidence() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    operator.deploy(&versions::changing(&site, 2, "fails"));
    for _ in 0..FAILURES - 1 {
        read(&mut client).problem(500, "internal");
    }
    assert_eq!(operator.versions("changing")[0]["how"], "deploy");
    assert!(!host.stderr().contains("fails its probation"));
    read(&mut client).problem(500, "internal");
    operator.until_last_is("changing", "return");
    assert_eq!(serving(&mut client).0, 1);
    host.stop();
}

#[test]
fn version_that_fails_at_events_is_rolled_back_and_each_event_takes_effect_once() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    let mut notes = vec![write(&mut client)];
    operator.until_consumed();
    let file = versions::watching(&site, 2, "traps");
    let deployed = operator.try_deploy("watching", &file, "").unwrap().expect(200);
    assert_eq!(deployed["probation_seconds"], 10);
    notes.extend((0..FAILURES).map(|_| write(&mut client)));
    let last = operator.until_last_is("watching", "return");
    assert!(last["note"].as_str().unwrap().contains("unreachable"), "{last}");
    assert_eq!(client.get("/watching/version").expect(200)["number"], 1);
    operator.until_consumed();
    check_notes(&site, &notes.into_iter().collect());
    let consumed = client.get("/watching/events").expect(200);
    assert!(consumed["items"].as_array().unwrap().iter().all(|event| event["taken_by"] == 1), "{consumed}");
    assert_eq!(operator.versions("changing").len(), 1);
    host.stop();
}

/// Who waits learns of the way back by the exit code, and why on standard error.
#[test]
fn waiting_deploy_fails_with_the_version_and_succeeds_when_probation_is_passed() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client, admin) = (Operator::of(&site, &host), host.client(), admin_address(&host));
    let deploy = |number: u32, words: &str, json: &[&str]| {
        let file = versions::changing(&site, number, words);
        let mut arguments = vec!["deploy", "changing", file.to_str().unwrap(), "--wait"];
        arguments.extend(json);
        bulkhead_at(&site, &admin, &arguments)
    };
    let first = operator.versions("changing")[0]["version"].as_str().unwrap().to_owned();
    assert_eq!(operator.get("/api/probations/changing")["state"], "none");
    let failed = std::thread::scope(|scope| {
        let deployed = scope.spawn(|| deploy(2, "traps", &[]));
        operator.until_last_is("changing", "deploy");
        fail(&mut client, read);
        deployed.join().unwrap()
    });
    assert_eq!(failed.status.code(), Some(1), "{}{}", failed.stdout, failed.stderr);
    for text in
        ["it failed its probation", &format!("{first} serves again"), "3 of its first 3 handlers failed"]
    {
        assert!(failed.stderr.contains(text), "{text:?} is not in: {}", failed.stderr);
    }
    assert_eq!(operator.get("/api/probations/changing")["state"], "failed");

    let passed = deploy(3, "plain", &["--json"]);
    assert_eq!(passed.status.code(), Some(0), "{}{}", passed.stdout, passed.stderr);
    let report = printed(&passed);
    assert_eq!((&report["probation"]["state"], &report["outcome"]), (&json!("passed"), &json!("deployed")));
    assert_eq!(report["probation"]["serves"], report["version"]);
    assert_eq!(serving(&mut client).0, 3);
    // One that is not on probation is not waited for.
    let migrated = deploy(4, "column", &[]);
    assert_eq!((migrated.status.code(), migrated.stderr.as_str()), (Some(0), ""), "{}", migrated.stdout);
    host.stop();
}

/// Nothing is deployed then, or the same again, and the probation runs since the first time.
#[test]
fn waiting_deploy_also_waits_for_a_version_already_on_probation() {
    for more in [&[][..], &["--force"]] {
        let site = Site::new(&manifest());
        let host = site.start();
        let (mut operator, mut client, admin) =
            (Operator::of(&site, &host), host.client(), admin_address(&host));
        let file = versions::changing(&site, 2, "traps");
        operator.deploy(&file);
        let before = operator.get("/api/deploys")["number"].as_u64().unwrap();
        let failed = std::thread::scope(|scope| {
            let again = scope.spawn(|| {
                let arguments = ["deploy", "changing", file.to_str().unwrap(), "--wait"];
                bulkhead_at(&site, &admin, &[&arguments[..], more].concat())
            });
            // Whether it asks how the probation stands before the version fails or after, it learns of it.
            until("the version was deployed again", || {
                let progress = operator.get("/api/deploys");
                let is_another = progress["number"].as_u64().unwrap() > before;
                let has_begun = !progress["steps"].as_array().unwrap().is_empty();
                (is_another && has_begun && progress["running"].is_null()).then_some(())
            });
            fail(&mut client, read);
            again.join().unwrap()
        });
        assert_eq!(failed.status.code(), Some(1), "{more:?}: {}{}", failed.stdout, failed.stderr);
        assert!(failed.stderr.contains("it failed its probation"), "{more:?}: {}", failed.stderr);
        host.stop();
    }
}

/// The way back would undo the reload. That is not to have passed.
#[test]
fn reload_of_the_service_section_ends_the_probation_and_notifies_waiters() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, admin) = (Operator::of(&site, &host), admin_address(&host));
    let file = versions::changing(&site, 2, "fails");
    let output = std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let arguments = ["deploy", "changing", file.to_str().unwrap(), "--wait"];
            bulkhead_at(&site, &admin, &arguments)
        });
        operator.until_last_is("changing", "deploy");
        until("it is on probation", || {
            Some(()).filter(|()| operator.get("/api/probations/changing")["state"] == "running")
        });
        site.write_manifest(&manifest().set("service.changing.limits.body", "1KiB").text());
        until("the reload", || Some(()).filter(|()| operator.post("/api/reload").status == 200));
        waits.join().unwrap()
    });
    assert_eq!(output.status.code(), Some(0), "{}{}", output.stdout, output.stderr);
    assert!(
        output.stdout.contains("its settings were changed before its probation was over"),
        "{}",
        output.stdout
    );
    assert!(!output.stdout.contains("passed"), "{}", output.stdout);
    assert_eq!(operator.get("/api/probations/changing")["state"], "ended");
    host.stop();
}

#[test]
fn version_that_rarely_fails_at_events_stays() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    let file = versions::watching(&site, 2, "picky");
    operator.try_deploy("watching", &file, "").unwrap().expect(200);
    let written = 20 * FAILURES;
    for _ in 0..written {
        write(&mut client);
    }
    operator.until_consumed();
    operator.deploy(&versions::changing(&site, 7, "plain"));
    let id = write(&mut client);
    // It is tried again and again.
    until("the event fails often enough", || {
        let letters = operator.get("/api/dead-letters?service=watching");
        let letters = letters["items"].as_array().unwrap();
        letters.iter().any(|it| it["attempts"].as_u64().unwrap() > FAILURES as u64).then_some(())
    });
    assert_eq!(client.get("/watching/version").expect(200)["number"], 2);
    assert_eq!(operator.versions("watching").len(), 2);
    let consumed = client.get("/watching/events").expect(200);
    let consumed = consumed["items"].as_array().unwrap();
    assert_eq!(consumed.len(), written);
    assert!(consumed.iter().all(|event| event["taken_by"] == 2 && event["note_id"] != id.as_str()));
    // It is decided with the failure, before the event is parked.
    let log = host.stop().stderr;
    assert!(!log.contains("fails its probation"), "{log}");
}

#[test]
fn version_with_migrations_or_restored_by_a_rollback_is_not_on_probation() {
    let site = Site::new(&manifest());
    let host = site.start();
    let (mut operator, mut client) = (Operator::of(&site, &host), host.client());
    // None of them goes back, whatever it does.
    let mut stays = |operator: &mut Operator, deployed: &Value| {
        assert_eq!(deployed["probation_seconds"], 0);
        for _ in 0..2 * FAILURES {
            read(&mut client).problem(500, "internal");
        }
        assert_eq!(operator.versions("changing")[0]["version"], deployed["version"]);
        assert!(!host.stderr().contains("fails its probation"));
    };
    let deployed = operator.deploy(&versions::changing(&site, 2, "column fails"));
    stays(&mut operator, &deployed);
    operator.roll_back("");
    let deployed = operator.roll_back("");
    stays(&mut operator, &deployed);
    host.stop();
}
