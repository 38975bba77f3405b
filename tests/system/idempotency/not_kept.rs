//! Answers that nobody may keep: there is one effect for each key all the same.

use bulkhead_tests::{Admin, Manifest};

use super::*;

/// What was published, as the database has it.
fn published(site: &Site) -> i64 {
    database::number(&database::open(&site.database("source")), "SELECT count(*) FROM _bulkhead_outbox")
}

fn event(n: u64) -> Value {
    json!([{"type": "source.happened", "subject": "a", "data": {"subject": "a", "n": n}}])
}

#[test]
fn no_store_post_has_one_effect_per_key_even_after_a_restart() {
    let site = Site::new(&Manifest::events());
    let mut host = site.start();
    let path = "/source/secrets";
    let first = keyed(&mut host.client(), path, "k", &event(0));
    first.expect(201);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    for _ in 0..2 {
        let mut client = host.client();
        for _ in 0..2 {
            let again = keyed(&mut client, path, "k", &event(0));
            again.problem(409, "idempotency-answer-not-kept");
            assert!(!is_replayed(&again));
        }
        keyed(&mut client, path, "k", &event(1)).problem(422, REUSED);
        assert_eq!(published(&site), 1);
        host.kill();
        host = site.start();
    }
    // Nothing of the answer stands in the file.
    let kept = "SELECT count(*) FROM _bulkhead_idempotency WHERE headers = '' AND body = x''";
    assert_eq!(database::number(&database::open(&site.database("source")), kept), 1);
    keyed(&mut host.client(), path, "l", &event(0)).expect(201);
    assert_eq!(published(&site), 2);
    host.stop();
}

#[test]
fn key_stays_free_if_nothing_was_written_and_the_answer_is_no_store() {
    let site = Site::new(&Manifest::events());
    let host = site.start();
    let mut client = host.client();
    for _ in 0..2 {
        keyed(&mut client, "/source/secrets", "k", &json!([])).expect(201);
    }
    keyed(&mut client, "/source/secrets", "k", &event(0)).expect(201);
    assert_eq!(published(&site), 1);
    host.stop();
}

#[test]
fn repeatable_post_is_run_each_time_regardless_of_its_key() {
    let site = Site::new(&Manifest::events());
    let host = site.start();
    let mut client = host.client();
    for (count, path) in [(1, "/source/repeatable"), (2, "/source/repeatable"), (3, "/source/%72epeatable")] {
        let answer = keyed(&mut client, path, "k", &event(0));
        answer.expect(201);
        assert!(!is_replayed(&answer));
        assert_eq!(published(&site), count);
    }
    // Nor is the key taken for another path.
    keyed(&mut client, "/source/events", "k", &event(0)).expect(201);
    assert!(is_replayed(&keyed(&mut client, "/source/events", "k", &event(0))));
    let mut admin = Admin::of(&site, &host);
    admin.until_consumed("source", "sink");
    host.stop();
}
