//! What an operator reads of a handler that failed: what happened, where, and the guest's own words, in one line of the log; and that
//! its client reads none of it.

use bulkhead_tests::{Admin, Manifest, Site};
use http::Method;
use serde_json::{Value, json};

use crate::hostile::{path, site};

/// What comes of a misdeed of the guest `hostile`, or of another that fails: its status, and the words of its line.
const MISDEEDS: [(&str, u16, &[&str]); 17] = [
    ("trap", 500, &["the handler trapped and gave no reason: ", "wasm `unreachable` instruction executed"]),
    ("panic", 500, &["the handler panicked: on purpose (tests/guests/hostile/src/hostile.rs:"]),
    (
        "panic-loudly",
        500,
        &[
            "the handler panicked: first line\\n2026-01-01T00:00:00Z ERROR a forged line \\u{1b}[2J \\u{202e}xxx",
            "x… (",
        ],
    ),
    ("loop", 504, &["held the writer lease for longer than limits.lease_hold, 2000 ms; it ran for "]),
    ("grow-memory", 500, &["the handler ran out of memory", "limits.memory gives an instance, 8 MiB"]),
    ("deep-stack", 500, &["stack", "call itself without end"]),
    ("bad-response", 500, &["the handler's response can't be sent: the status is 42"]),
    ("many-headers", 500, &["the handler's response can't be sent: ", "headers"]),
    ("bad-header", 500, &["the handler's response can't be sent: the header x-note has a value"]),
    ("bad-header-name", 500, &["the handler's response can't be sent: \"x note\\n\" is not a header's name"]),
    ("fill", 507, &["the database has no room left", "INSERT INTO note (id, body) VALUES (?1, ?2)"]),
    ("endless-write", 504, &["limits.lease_hold", "2000 ms", "INSERT INTO note", "interrupted"]),
    ("endless-read", 504, &["limits.lease_hold", "2000 ms", "WITH RECURSIVE number", "interrupted"]),
    (
        "forbidden?sql=SELECT%20nowhere%0AFROM%20note%20WHERE%20id%20=%201",
        500,
        &["no such column: nowhere", "SELECT nowhere FROM note WHERE id = 1"],
    ),
    ("bad-utf8", 500, &["is not UTF-8", "SELECT CAST(x'FF' AS TEXT)"]),
    ("publish-undeclared", 500, &["does not let this service publish hostile.undeclared"]),
    ("publish-malformed", 500, &["publishing failed", "publish hostile.noted"]),
];

/// Lines of the log, each a JSON object, that have this member.
fn lines(log: &str, member: &str, value: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line[member] == value).collect()
}

#[test]
fn every_failure_is_reported_in_one_line_with_cause_place_and_guest_message() {
    let site = site();
    let host = site.start_with(&["--log-format", "json"]);
    let mut client = host.client();
    let mut traces = Vec::new();
    for (place, (what, status, words)) in MISDEEDS.iter().enumerate() {
        let target = path(what, &format!("secret-{place}"));
        let answer = client.send(Method::POST, &target, &[], bytes::Bytes::new());
        let problem = answer.any_problem();
        assert_eq!(answer.status, *status, "{what}: {answer}");
        // What is for the operator is not for the client.
        let reported = problem.to_string();
        for word in words.iter().filter(|word| word.len() > 20).chain(&["hostile.rs"]) {
            assert!(!reported.contains(word), "{what}: {reported}");
        }
        traces.push(problem["trace_id"].as_str().unwrap().to_owned());
    }
    let log = host.stop().stderr;
    for ((what, _, words), trace) in MISDEEDS.iter().zip(traces) {
        let all = lines(&log, "trace_id", &trace);
        let failed: Vec<&Value> = all.iter().filter(|line| line["message"] == "a request failed").collect();
        let [line] = failed[..] else { panic!("{what} has {} lines:\n{log}", failed.len()) };
        assert_eq!(
            (&line["level"], &line["service"], &line["method"], &line["path"]),
            (&json!("ERROR"), &json!("hostile"), &json!("POST"), &json!("/hostile/{what}")),
            "{line}"
        );
        assert_eq!(line["version"].as_str().map(str::len), Some(12), "{line}");
        assert!(line["milliseconds"].is_u64(), "{line}");
        let text = |member: &str| line[member].as_str().unwrap_or_default();
        let reported = format!("{} {}", text("failure"), text("failed_call"));
        for word in *words {
            assert!(reported.contains(word), "{what}: {word:?} is not in {reported}");
        }
        assert!(
            reported.len() < 3000 && !reported.contains(char::is_control) && !reported.contains('\u{202e}'),
            "{reported:?}"
        );
        // What a client sends stands in no line, and neither do the values of statements.
        assert!(!line.to_string().contains("secret"), "{line}");
    }
}

#[test]
fn log_line_of_a_guest_says_where_it_is_from() {
    let site = Site::new(&Manifest::events());
    let host = site.start_with(&["--log-format", "json"]);
    let event = json!({"type": "source.happened", "subject": "a", "data": {"subject": "a", "n": 1}});
    host.client().post("/source/events", &event).expect(201);
    Admin::of(&site, &host).until_consumed("source", "sink");
    let log = host.stop().stderr;
    let lines = lines(&log, "message", "an event arrived");
    let line = lines.iter().find(|line| line["service"] == "sink").unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&line["kind"], &line["target"]), (&json!("source.happened"), &json!("service")), "{line}");
    assert_eq!(line["version"].as_str().map(str::len), Some(12), "{line}");
}

#[test]
fn dead_letter_has_the_guest_message_and_the_failed_statement() {
    let manifest = Manifest::events()
        .set("service.sink.limits.memory", "8MiB")
        .set("service.sink.limits.lease_hold", "2s")
        .set("service.sink.limits.request_timeout", "10s");
    let site = Site::new(&manifest);
    let host = site.start_with(&["--log-format", "json"]);
    let (mut client, mut admin) = (host.client(), Admin::of(&site, &host));
    let acts: [(&str, &[&str]); 5] = [
        ("panic", &["the handler panicked: told to panic\\nat 7 (tests/guests/sink/src/behaviour.rs:"]),
        ("trap", &["the handler trapped and gave no reason: "]),
        ("grow", &["the handler ran out of memory", "limits.memory gives an instance, 8 MiB"]),
        ("loop", &["of the event source.happened", "limits.lease_hold, 2000 ms; it ran for "]),
        ("bad-sql", &["no such table: nowhere", "DELETE FROM nowhere WHERE id = ?1"]),
    ];
    for (act, words) in acts {
        let event = json!({
            "type": "source.happened",
            "subject": act,
            "data": {"subject": act, "n": 7, "act": act, "at": "sink"},
        });
        client.post("/source/events", &event).expect(201);
        admin.until_consumed("source", "sink");
        let letters = admin.dead_letters("sink");
        let letter = letters.iter().find(|letter| letter["subject"] == act).unwrap();
        let reason = letter["reason"].as_str().unwrap();
        for word in words {
            assert!(reason.contains(word), "{act}: {word:?} is not in {reason}");
        }
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
    let log = host.stop().stderr;
    for line in lines(&log, "message", "an event was not consumed") {
        assert_eq!(line["version"].as_str().map(str::len), Some(12), "{line}");
    }
}

#[test]
fn component_that_panics_in_describe_reports_the_reason() {
    let site = Site::new(&Manifest::guests().set("service.hostile.config.describe", "a route twice"));
    site.fail_to_start()
        .says(1, &["it panicked: the route GET /notes is there already (tests/guests/hostile/src/lib.rs:"]);
}
