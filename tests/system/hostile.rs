//! Guests that misbehave: what they wrote is gone, their client gets a problem document, and everyone else's writes stand, each
//! exactly once, also those that shared a batch with them.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use bulkhead_tests::{Answer, Client, Manifest, Site, database, shop};
use http::Method;
use serde_json::json;

/// Honest clients that write at the same moment.
const HONEST: usize = 30;
/// Each misdeed is done so often, each time among other honest writes.
const ROUNDS: usize = 3;

/// What comes of a misdeed.
#[derive(Clone, Copy)]
enum Outcome {
    /// A problem document with this status and code, and nothing written.
    Problem(u16, &'static str),
    /// A problem document of some kind, and nothing written.
    Refused,
    /// The problem document that the guest makes of an error of the host's, with the name that the error has in the contract.
    ErrorCode(&'static str),
    /// It does no harm: the note stands.
    Harmless,
}

/// Small enough that the quota is met soon (and the memory, before the lease is held for too long), and room for all honest notes.
pub(crate) fn site() -> Site {
    Site::new(
        &Manifest::guests()
            .set("service.hostile.limits.storage", "8MiB")
            .set("service.hostile.limits.memory", "8MiB")
            // On a busy machine an honest write may stand still for a while: it must not be taken for a culprit.
            .set("service.hostile.limits.lease_hold", "2s")
            .set("service.hostile.limits.request_timeout", "10s"),
    )
}

/// Does something among honest writes, a few times, and checks what came of all of it.
fn among_honest_writes(what: &str, outcome: Outcome) {
    let site = site();
    let host = site.start();
    let mut expected = BTreeMap::new();
    for round in 0..ROUNDS {
        let culprit = format!("culprit-{round}");
        let start = Barrier::new(HONEST + 1);
        let answer = thread::scope(|scope| {
            let honest: Vec<_> = (0..HONEST)
                .map(|number| {
                    let (start, mut client) = (&start, host.client());
                    let id = format!("honest-{round}-{number}");
                    scope.spawn(move || {
                        start.wait();
                        (id.clone(), note(&mut client, &id))
                    })
                })
                .collect();
            let mut client = host.client();
            start.wait();
            let answer = client.send(Method::POST, &path(what, &culprit), &[], bytes::Bytes::new());
            for honest in honest {
                let (id, answer) = honest.join().unwrap();
                answer.expect(201);
                expected.insert(id, 1);
            }
            answer
        });
        let stands = match outcome {
            Outcome::Problem(status, code) => {
                answer.problem(status, code);
                0
            }
            Outcome::Refused => {
                answer.any_problem();
                0
            }
            Outcome::ErrorCode(error) => {
                assert_eq!(answer.any_problem()["error"], error, "{answer}");
                0
            }
            Outcome::Harmless => {
                assert!(answer.status < 400, "{answer}");
                1
            }
        };
        expected.insert(culprit, stands);
    }
    let mut client = host.client();
    for (id, stands) in &expected {
        let status = if *stands == 1 { 200 } else { 404 };
        client.get(&format!("/notes/{id}")).expect(status);
    }
    host.stop();
    let connection = database::open(&site.database("hostile"));
    database::check(&connection);
    for (id, stands) in expected {
        let events = format!("SELECT count(*) FROM _bulkhead_outbox WHERE subject = '{id}'");
        assert_eq!(database::number(&connection, &events), stands, "events of {id}");
    }
}

pub(crate) fn path(what: &str, id: &str) -> String {
    let separator = if what.contains('?') { '&' } else { '?' };
    format!("/hostile/{what}{separator}id={id}")
}

fn note(client: &mut Client, id: &str) -> Answer {
    client.post("/notes", &json!({"id": id, "body": "an honest note"}))
}

/// One test for each misdeed.
macro_rules! misdeeds {
    ($($test:ident: $what:literal => $outcome:expr;)*) => {
        $(#[test]
        fn $test() {
            among_honest_writes($what, $outcome);
        })*
    };
}

misdeeds! {
    trap_after_a_write_rolls_back_only_its_own_write: "trap" => Outcome::Problem(500, "internal");
    panic_after_a_write_rolls_back_only_its_own_write: "panic" => Outcome::Problem(500, "internal");
    panic_with_a_long_message_rolls_back_only_its_own_write: "panic-loudly" => Outcome::Problem(500, "internal");
    an_endless_loop_is_ended: "loop" => Outcome::Problem(504, "deadline-exceeded");
    an_endless_write_statement_is_ended_and_its_neighbours_run_again: "endless-write" => Outcome::Problem(504, "deadline-exceeded");
    an_endless_read_statement_is_ended: "endless-read" => Outcome::Problem(504, "deadline-exceeded");
    a_sort_that_outgrows_its_memory_is_ended: "sort-memory" => Outcome::Problem(504, "deadline-exceeded");
    a_guest_that_ignores_the_abort_of_its_unit_of_work_writes_nothing_more: "ignore-error" => Outcome::Refused;
    rollback_raised_in_sql_rolls_back_only_its_own_write: "raise-rollback" => Outcome::Refused;
    full_quota_rolls_back_only_the_write_that_hits_it: "fill" => Outcome::Problem(507, "storage-full");
    deferred_foreign_key_conflict_fails_only_the_culprit: "deferred-key" => Outcome::Problem(409, "conflict");
    memory_beyond_the_limit_is_not_available: "grow-memory" => Outcome::Problem(500, "internal");
    a_stack_that_is_too_deep_traps: "deep-stack" => Outcome::Problem(500, "internal");
    invalid_answer_is_an_internal_error: "bad-response" => Outcome::Problem(500, "internal");
    an_answer_with_too_many_headers_is_an_internal_error: "many-headers" => Outcome::Problem(500, "internal");
    text_that_is_not_utf8_is_refused: "bad-utf8" => Outcome::ErrorCode("invalid-value");
    an_event_that_the_manifest_does_not_grant_is_refused: "publish-undeclared" => Outcome::ErrorCode("not-allowed");
    event_that_is_not_json_is_refused: "publish-malformed" => Outcome::ErrorCode("invalid");
    a_service_that_the_manifest_does_not_grant_is_not_called: "lease-then-call" => Outcome::Refused;
    position_set_by_a_guest_is_not_passed_on: "own-position" => Outcome::Harmless;
    a_flood_of_log_lines_does_no_harm: "log-flood" => Outcome::Harmless;
}

/// What no handler may run, in either interface.
const FORBIDDEN: [&str; 34] = [
    "ATTACH DATABASE 'other.db' AS other",
    "DETACH DATABASE main",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "BEGIN",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT mine",
    "RELEASE mine",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "REINDEX",
    "ANALYZE",
    "CREATE TABLE mine (x)",
    "CREATE TEMP TABLE mine (x)",
    "CREATE TRIGGER mine AFTER INSERT ON note BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE mine USING fts5(x)",
    "ALTER TABLE note RENAME TO mine",
    "DROP TABLE note",
    "SELECT data FROM _bulkhead_outbox",
    "DELETE FROM _bulkhead_outbox",
    "DELETE FROM _BULKHEAD_OUTBOX",
    "UPDATE \"_bulkhead_meta\" SET batch = 0",
    "INSERT INTO main._bulkhead_migration VALUES (99, 'x', 'x', 'x')",
    "UPDATE sqlite_schema SET sql = ''",
    "SELECT random()",
    "SELECT hex(randomblob(8))",
    "SELECT datetime('now')",
    "SELECT date()",
    "SELECT unixepoch()",
    "SELECT CURRENT_TIMESTAMP",
    "SELECT load_extension('x')",
    "SELECT 1; SELECT 2",
];

#[test]
fn sql_that_a_handler_may_not_run_is_refused() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    note(&mut client, "before").expect(201);
    let before = database::row_counts(&site.database("hostile"));
    let mut refuse = |statement: &str, within: &str| {
        let what = format!("forbidden?sql={}&within={within}", shop::escape(statement));
        let answer = client.send(Method::POST, &path(&what, "culprit"), &[], bytes::Bytes::new());
        assert!(answer.status >= 400, "{statement} was allowed in {within}: {answer}");
        let error = answer.any_problem()["error"].as_str().unwrap_or_default().to_owned();
        client.get("/notes/culprit").expect(404);
        error
    };
    for statement in FORBIDDEN {
        for within in ["transaction", "snapshot"] {
            let error = refuse(statement, within);
            assert!(
                ["not-allowed", "invalid-statement", "read-only"].contains(&error.as_str()),
                "{statement} in {within} is {error}"
            );
        }
    }
    for write in ["INSERT INTO note VALUES ('x', 'x')", "UPDATE note SET body = ''", "DELETE FROM note"] {
        assert_eq!(refuse(write, "snapshot"), "read-only", "{write}");
    }
    assert_eq!(database::row_counts(&site.database("hostile")), before);
    // The connections still do what they did before.
    note(&mut client, "after").expect(201);
    client.get("/notes/after").expect(200);
    host.stop();
    for stray in ["other.db", "copy.db"] {
        assert!(!site.data().join(stray).exists() && !site.path(stray).exists(), "{stray} was made");
    }
}

#[test]
fn header_that_would_break_the_answer_is_not_sent() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    for what in ["bad-header", "bad-header-name"] {
        let answer = client.send(Method::POST, &path(what, what), &[], bytes::Bytes::new());
        assert_eq!(answer.header("x-injected"), None, "{answer}");
        assert_eq!(answer.header("x-note"), None, "{answer}");
        let stands = if answer.status < 400 { 200 } else { 404 };
        client.get(&format!("/notes/{what}")).expect(stands);
    }
    let answer = client.send(Method::POST, &path("own-position", "own"), &[], bytes::Bytes::new());
    answer.expect(201);
    let position = answer.header("bulkhead-position").unwrap_or_default();
    assert!(position.starts_with("hostile:"), "{position}");
    assert_eq!(answer.headers.get_all("bulkhead-position").iter().count(), 1);
}

#[test]
fn a_call_while_the_lease_is_held_is_refused() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    let answer =
        client.send(Method::POST, &path("lease-then-call?service=user", "culprit"), &[], bytes::Bytes::new());
    assert_eq!(answer.any_problem()["error"], "lease-held", "{answer}");
    client.get("/notes/culprit").problem(404, "not-found");
}

#[test]
fn a_service_outlives_many_traps_in_a_row() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    for number in 0..50 {
        let answer =
            client.send(Method::POST, &path("trap", &format!("t{number}")), &[], bytes::Bytes::new());
        answer.problem(500, "internal");
    }
    note(&mut client, "after").expect(201);
    client.get("/notes/after").expect(200);
    let connection = database::open(&site.database("hostile"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM _bulkhead_outbox"), 1);
    host.stop();
}

#[test]
fn trap_details_are_hidden_from_the_client_and_logged_under_the_trace_id() {
    let site = site();
    let host = site.start();
    let answer = host.client().send(Method::POST, &path("trap", "culprit"), &[], bytes::Bytes::new());
    let problem = answer.problem(500, "internal");
    for secret in ["wasm", "unreachable", "backtrace", "hostile.db"] {
        assert!(!problem["detail"].as_str().unwrap().contains(secret), "{problem}");
    }
    let trace = problem["trace_id"].as_str().unwrap().to_owned();
    let log = host.stop().stderr;
    assert!(log.contains(&trace), "the log has no {trace}:\n{log}");
}

#[test]
fn full_service_does_not_affect_its_neighbour() {
    let manifest = Manifest::shop()
        .and(Manifest::guests().only(&["hostile"]))
        .set("service.hostile.limits.storage", "1MiB");
    let site = Site::new(&manifest);
    let host = site.start();
    thread::scope(|scope| {
        for number in 0..4 {
            let mut client = host.client();
            scope.spawn(move || {
                let path = path("loop", &format!("culprit-{number}"));
                client.send(Method::POST, &path, &[], bytes::Bytes::new()).problem(504, "deadline-exceeded");
            });
        }
        let mut client = host.admin();
        let category = shop::category(&mut client, "all", None);
        for number in 0..50 {
            shop::product(&mut client, &category, &number.to_string());
        }
    });
    host.client()
        .send(Method::POST, &path("fill", "culprit"), &[], bytes::Bytes::new())
        .problem(507, "storage-full");
    host.client().get("/products").expect(200);
    host.stop();
}
