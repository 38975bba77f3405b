//! What is refused, with the reason, while the version that is there serves on as if nobody had asked.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use bulkhead_tests::admin::until;
use bulkhead_tests::{Answer, Client, Host, Manifest, Site, database, paths, raw, versions};
use serde_json::{Value, json};

use super::notes::{Operator, Stored, Traffic, check_notes, manifest, serving};
use crate::admin::{bulkhead, operator};

/// A host with a client that goes on, and what must be as it was.
struct Going {
    site: Site,
    host: Host,
    operator: Operator,
    traffic: Traffic,
    before: Stored,
    listed: Vec<Value>,
}

impl Going {
    fn new(manifest: &Manifest) -> Going {
        Going::after(manifest, |_, _| {})
    }

    /// The same when this was done.
    fn after(manifest: &Manifest, first: impl FnOnce(&Site, &mut Operator)) -> Going {
        let site = Site::new(manifest);
        let host = site.start();
        let mut operator = Operator::of(&site, &host);
        first(&site, &mut operator);
        let (before, listed) = (Stored::of(&site), operator.versions("changing"));
        let traffic = Traffic::start(&host);
        traffic.goes_on();
        Going { site, host, operator, traffic, before, listed }
    }

    /// Checks that it was refused so, and that nothing has come of it.
    #[track_caller]
    fn refused(&mut self, answer: &Answer, status: u16, code: &str, texts: &[&str]) {
        let problem = answer.problem(status, code);
        let detail = problem["detail"].as_str().unwrap();
        for text in texts {
            assert!(detail.contains(text), "{text:?} is not in: {detail}");
        }
        self.had_no_effect();
    }

    #[track_caller]
    fn had_no_effect(&mut self) {
        self.traffic.goes_on();
        assert_eq!(Stored::of(&self.site), self.before);
        assert_eq!(self.operator.versions("changing"), self.listed);
        assert_eq!(self.operator.get("/api/deploys")["running"], Value::Null);
    }

    /// Checks that the client had all its answers from the version that was there, and that this version is there after the next start too.
    #[track_caller]
    fn end(mut self) {
        let seen = self.traffic.end();
        let active = format!("changing@{}", self.listed[0]["version"].as_str().unwrap());
        assert_eq!(seen.labels.iter().collect::<Vec<_>>(), [&active]);
        let mut client = self.host.client();
        let served = serving(&mut client);
        let count = client.get("/changing/count").expect(200)["count"].as_u64().unwrap();
        assert_eq!(count, seen.notes.len() as u64);
        self.operator.until_consumed();
        self.host.stop();
        let host = self.site.start();
        assert_eq!(serving(&mut host.client()), served);
        assert_eq!(Operator::of(&self.site, &host).versions("changing"), self.listed);
        assert_eq!(Stored::of(&self.site).activations, self.before.activations);
        check_notes(&self.site, &seen.notes);
        host.stop();
    }
}

#[test]
fn file_that_is_not_a_version_of_the_service_is_refused() {
    let mut going = Going::new(&manifest());
    let site = &going.site;
    let table: [(_, &[&str]); 5] = [
        (versions::not_a_component(site), &["not WebAssembly"]),
        (versions::core_module(site), &["core WebAssembly module", "bulkhead build"]),
        (versions::wrong_world(site), &["test:other/thing"]),
        (
            versions::changing(site, 2, "ungranted"),
            &["publishes changing.forgotten", "add \"changing.forgotten\""],
        ),
        // Of another service: it calls others and publishes what is not its own, and has other routes and no handler that is needed here.
        (
            paths::component("order"),
            &["imports bulkhead:service/services", "`calls`", "publishes order.placed", "`publishes`"],
        ),
    ];
    for (file, texts) in table {
        let answer = going.operator.ask(&file, "");
        going.refused(&answer, 422, "deploy-refused", texts);
        // Whoever tries it is told the same.
        let answer = going.operator.ask(&file, "dry_run=true&allow_pause=true&force=true");
        going.refused(&answer, 422, "deploy-refused", texts);
    }
    going.end();
}

#[test]
fn a_component_that_does_not_start_is_refused() {
    let mut going = Going::new(&manifest());
    for (words, texts) in [
        ("trap-at-start", ["describe", "unreachable"]),
        ("loops-at-start", ["describe", "did not answer within 5 s"]),
        (
            "hungry-at-start",
            ["describe", "it ran out of memory: it wanted more than limits.memory gives an instance, 64 MiB"],
        ),
        // Its own words, with their place in its source.
        (
            "misspelt",
            ["describe", "it panicked: no version is \"misspelt\" (tests/guests/changing/src/version.rs:"],
        ),
    ] {
        let file = versions::changing(&going.site, 2, words);
        let answer = going.operator.ask(&file, "");
        going.refused(&answer, 422, "deploy-refused", &texts);
    }
    going.end();
}

#[test]
fn migrations_that_do_not_fit_are_refused() {
    let mut going = Going::new(&manifest());
    let table: [(&str, &[&str]); 2] = [
        ("half", &["V0002__add_mood", "NOT NULL constraint failed: note.text"]),
        ("edited", &["V0001__create_note", "an applied migration never changes", "V0002"]),
    ];
    for (words, texts) in table {
        let file = versions::changing(&going.site, 2, words);
        let answer = going.operator.ask(&file, "allow_pause=true");
        going.refused(&answer, 422, "deploy-refused", texts);
    }
    going.end();
}

#[test]
fn deploy_uses_the_current_manifest_file() {
    let mut going = Going::new(&manifest());
    let file = versions::changing(&going.site, 2, "ungranted");
    let answer = going.operator.ask(&file, "");
    going.refused(&answer, 422, "deploy-refused", &["changing.forgotten"]);
    // What it says is not to be read, or can't be.
    let granted = manifest().set("service.changing.publishes", vec!["changing.noted", "changing.forgotten"]);
    let table: [(String, &[&str]); 3] = [
        ("service = 5 = 7".to_owned(), &["bulkhead.toml:1", "not TOML"]),
        (manifest().only(&["watching"]).text(), &["bulkhead.toml"]),
        (
            granted.clone().set("service.changing.database", "sqlite:data/other.db").text(),
            &["database has changed", "restart the host"],
        ),
    ];
    for (text, texts) in table {
        going.site.write_manifest(&text);
        let answer = going.operator.ask(&file, "");
        going.refused(&answer, 422, "deploy-refused", texts);
    }
    going.site.write_manifest(&granted.text());
    assert_eq!(going.operator.ask(&file, "dry_run=true").expect(200)["outcome"], "tried");
    going.had_no_effect();
    going.operator.deploy(&file);
    going.traffic.goes_on();
    let seen = going.traffic.end();
    assert_eq!(seen.labels.len(), 2, "{:?}", seen.labels);
    assert_eq!(serving(&mut going.host.client()), (2, false));
    going.host.stop();
    // Without the grant it does not start either.
    going.site.write_manifest(&manifest().text());
    going.site.fail_to_start().says(1, &["publishes changing.forgotten"]);
}

#[test]
fn version_with_fewer_migrations_is_refused_and_the_rollback_is_suggested() {
    let mut going = Going::after(&manifest(), |site, operator| {
        operator.deploy(&versions::changing(site, 2, "column"));
    });
    let file = versions::changing(&going.site, 1, "plain");
    let answer = going.operator.ask(&file, "");
    let texts = ["the database has V0002", "end at V0001", "bulkhead rollback changing --to"];
    going.refused(&answer, 422, "deploy-refused", &texts);
    going.end();
}

#[test]
fn rollback_without_reverse_sql_is_refused() {
    let mut going = Going::after(&manifest(), |site, operator| {
        operator.deploy(&versions::changing(site, 2, "irreversible"));
    });
    let answer = going.operator.try_roll_back("").unwrap();
    going.refused(&answer, 422, "deploy-refused", &["V0002__add_mood", "can't be undone", "no reverse SQL"]);
    going.end();
}

#[test]
fn unknown_services_and_versions_are_not_found() {
    let mut going = Going::new(&manifest());
    let file = versions::changing(&going.site, 2, "plain");
    let answer = going.operator.try_deploy("nobody", &file, "").unwrap();
    going.refused(&answer, 404, "not-found", &["no service \"nobody\""]);
    let answer = going.operator.post("/api/rollbacks/nobody");
    going.refused(&answer, 404, "not-found", &["no service \"nobody\""]);
    for (query, text) in [
        ("", "had no other version before"),
        ("to=0123456789ab", "had no version \"0123456789ab\""),
        ("to=01", "fewer than 4 digits"),
    ] {
        let answer = going.operator.try_roll_back(query).unwrap();
        going.refused(&answer, 404, "not-found", &[text, "bulkhead versions changing"]);
    }
    going.end();
}

/// The most memory that a process has had, in KiB.
fn memory_peak(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends 500 MiB as long as they are taken, and reads what comes of it.
fn stream_huge(site: &Site, host: &Host, framing: &str) -> Answer {
    let address = host.admin_address().unwrap();
    let token = operator(site, host).token().unwrap().to_owned();
    let mut stream = raw::open(address);
    let head = format!(
        "POST /api/deploys/changing HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mebibyte = vec![0_u8; 1 << 20];
    let (before, after) =
        if framing.contains("chunked") { (&b"100000\r\n"[..], &b"\r\n"[..]) } else { (&b""[..], &b""[..]) };
    for _ in 0..versions::HUGE_BYTES >> 20 {
        let sent = [before, &mebibyte, after].iter().try_for_each(|part| stream.write_all(part));
        if sent.is_err() {
            // The host has heard enough.
            break;
        }
    }
    raw::read_answer(&mut stream).expect("the host says why")
}

#[test]
fn file_of_500_mib_is_refused_before_it_is_buffered() {
    let mut going = Going::new(&manifest());
    let file = versions::huge(&going.site);
    let refused = bulkhead(&going.site, &going.host, &["deploy", "changing", file.to_str().unwrap()]);
    refused.says(1, &["huge.wasm", "500 MiB", "64 MiB"]);
    going.had_no_effect();
    let before = memory_peak(&going.host);
    for framing in
        [format!("content-length: {}", versions::HUGE_BYTES), "transfer-encoding: chunked".to_owned()]
    {
        let answer = stream_huge(&going.site, &going.host, &framing);
        going.refused(&answer, 413, "payload-too-large", &["the component", "64 MiB", "the right file"]);
    }
    let more = memory_peak(&going.host) - before;
    assert!(more < 256 << 10, "{more} KiB");
    going.end();
}

/// Asks for a deploy on a thread of its own, and waits until it does this step.
fn deploy_aside(
    going: &mut Going,
    file: &Path,
    query: &str,
    step: &str,
) -> thread::JoinHandle<Result<Answer, String>> {
    let mut aside = Operator::of(&going.site, &going.host);
    let (file, query) = (file.to_owned(), query.to_owned());
    let before = going.operator.get("/api/deploys")["number"].clone();
    let deploy = thread::spawn(move || aside.try_deploy("changing", &file, &query));
    until(&format!("a deploy does its step {step}"), || {
        let progress = going.operator.get("/api/deploys");
        (progress["number"] != before && progress["running"] == step).then_some(())
    });
    deploy
}

#[test]
fn a_second_deploy_is_refused_while_one_runs() {
    let mut going = Going::new(&manifest());
    let endless = versions::changing(&going.site, 2, "endless");
    let first = deploy_aside(&mut going, &endless, "allow_pause=true", "rehearse");
    let file = versions::changing(&going.site, 3, "plain");
    for query in ["", "dry_run=true", "force=true&allow_pause=true"] {
        going.operator.ask(&file, query).problem(409, "busy");
    }
    let watching = versions::watching(&going.site, 2, "plain");
    going.operator.try_deploy("watching", &watching, "").unwrap().problem(409, "busy");
    for path in ["/api/rollbacks/changing", "/api/reload"] {
        let problem = going.operator.post(path).problem(409, "busy");
        assert!(problem["detail"].as_str().unwrap().contains("wait for it to end"), "{problem}");
    }
    going.traffic.goes_on();
    assert_eq!(going.operator.versions("changing"), going.listed);
    assert!(!first.is_finished());

    // It would go on for an hour. What it leaves when the host is killed is gone when the host has started again.
    let copy = "rehearsal.db".to_owned();
    assert!(Stored::of(&going.site).files.contains(&copy));
    going.host.kill();
    first.join().unwrap().unwrap_err();
    let seen = going.traffic.end_with_host();
    assert!(Stored::of(&going.site).files.contains(&copy));
    // So is a component that it had not written to its end.
    std::fs::write(going.site.data().join("versions/changing/0123456789abcdef.new"), "half").unwrap();
    // And the journal of a copy that was not whole.
    std::fs::write(going.site.data().join("versions/changing/rehearsal.db-journal"), "half").unwrap();
    let host = going.site.start();
    assert_eq!(Stored::of(&going.site), going.before);
    let mut operator = Operator::of(&going.site, &host);
    assert_eq!(serving(&mut host.client()), (1, false));
    operator.until_consumed();
    check_notes(&going.site, &seen.notes);
    operator.deploy(&file);
    assert_eq!(serving(&mut host.client()), (3, false));
    host.stop();
}

#[test]
fn migrations_longer_than_requests_can_wait_are_refused_unless_a_pause_is_allowed() {
    let manifest = manifest().set("service.changing.limits.request_timeout", "1s");
    let site = Site::new(&manifest);
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let before = Stored::of(&site);
    let file = versions::changing(&site, 2, "slow");
    let problem = operator.ask(&file, "").problem(409, "pause-too-long");
    let detail = problem["detail"].as_str().unwrap();
    for text in ["the migrations took", "wait for 500 ms", "limits.request_timeout", "--allow-pause"] {
        assert!(detail.contains(text), "{text:?} is not in: {detail}");
    }
    assert_eq!(Stored::of(&site), before);
    assert_eq!(serving(&mut host.client()), (1, false));
    // Whoever tries it is told the same.
    operator.ask(&file, "dry_run=true").problem(409, "pause-too-long");

    let deployed = operator.ask(&file, "allow_pause=true").expect(200);
    assert_eq!(deployed["outcome"], "deployed", "{deployed}");
    let pause = deployed["pause_milliseconds"].as_f64().unwrap();
    let rehearsed = deployed["migrations"][0]["milliseconds"].as_f64().unwrap();
    assert!(rehearsed > 500.0 && pause > 500.0, "{deployed}");
    assert_eq!(serving(&mut host.client()), (2, true));
    host.stop();
}

#[test]
fn pause_with_more_requests_than_the_queue_can_hold_is_refused() {
    let mut going = Going::new(&manifest().set("service.changing.limits.queue", 10));
    let file = versions::changing(&going.site, 2, "slow");
    // Each connection may have one request waiting. Each is used again and again, since the host closes one that is idle.
    let mut others: Vec<Client> = (0..10).map(|_| going.host.client()).collect();
    others.iter_mut().for_each(|other| drop(other.get("/changing/count").expect(200)));
    let (done, until_done) = channel::<()>();
    let used = thread::spawn(move || {
        while let Err(TryRecvError::Empty) = until_done.try_recv() {
            others.iter_mut().for_each(|other| drop(other.get("/changing/count").expect(200)));
        }
    });
    let answer = going.operator.ask(&file, "");
    drop(done);
    used.join().unwrap();
    let texts = ["room for", "--allow-pause", "limits.queue"];
    going.refused(&answer, 409, "pause-too-long", &texts);
    going.end();
}

#[test]
fn deploy_is_refused_if_handlers_outlast_the_drain_unless_a_pause_is_allowed() {
    let site = Site::new(&manifest().set("service.changing.limits.request_timeout", "8s"));
    let host = site.start();
    let mut operator = Operator::of(&site, &host);
    let before = Stored::of(&site);
    let deploy = |operator: &mut Operator, file: &Path, query: &str| {
        // It is compiled then: what follows takes no time to speak of.
        operator.ask(file, "dry_run=true").expect(200);
        let mut client = host.client();
        let (begins, begun) = channel();
        let slow = thread::spawn(move || {
            client.get("/changing/slow?milliseconds=0").expect(200);
            begins.send(()).unwrap();
            client.get("/changing/slow?milliseconds=7000")
        });
        begun.recv().unwrap();
        let traffic = Traffic::start(&host);
        traffic.goes_on();
        let answer = operator.ask(file, query);
        traffic.goes_on();
        (answer, slow, traffic)
    };
    let file = versions::changing(&site, 2, "column");
    let (answer, slow, traffic) = deploy(&mut operator, &file, "");
    let problem = answer.problem(409, "drain-timeout");
    let detail = problem["detail"].as_str().unwrap();
    for text in ["did not end within", "try again", "--allow-pause"] {
        assert!(detail.contains(text), "{text:?} is not in: {detail}");
    }
    let reported = slow.join().unwrap().expect(200);
    assert_eq!((&reported["number"], &reported["expects_mood"]), (&json!(1), &json!(false)));
    let seen = traffic.end();
    assert_eq!(seen.labels.len(), 1, "{:?}", seen.labels);
    let after = Stored::of(&site);
    assert_eq!((&after.schema, &after.activations), (&before.schema, &before.activations));
    assert!(!after.files.contains("rehearsal.db"));

    let (answer, slow, traffic) = deploy(&mut operator, &file, "allow_pause=true");
    let deployed = answer.expect(200);
    assert_eq!(deployed["outcome"], "deployed", "{deployed}");
    let reported = slow.join().unwrap().expect(200);
    assert_eq!(
        (&reported["number"], &reported["expects_mood"]),
        (&json!(1), &json!(false)),
        "it ends as it began"
    );
    let more = traffic.end();
    assert_eq!(more.labels.len(), 2, "{:?}", more.labels);
    assert_eq!(serving(&mut host.client()), (2, true));
    let written = seen.notes.len() + more.notes.len();
    let count = database::number(&database::open(&site.database("changing")), "SELECT count(*) FROM note");
    assert_eq!(usize::try_from(count).unwrap(), written);
    host.stop();
}
