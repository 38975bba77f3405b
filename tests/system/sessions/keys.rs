//! The keys that sign: one at a time, followed by another when it is old, and served until its last token is over.

use std::sync::Barrier;
use std::thread;

use bulkhead_tests::shop::{PASSWORD, register};
use bulkhead_tests::token::part;
use bulkhead_tests::{Host, Site, database};
use serde_json::Value;

use super::{KEYS, current, log_in, rows, site};

/// Logs all of these in at the same moment; their tokens.
fn log_in_at_once(host: &Host, emails: &[String]) -> Vec<String> {
    let start = Barrier::new(emails.len());
    thread::scope(|scope| {
        let threads: Vec<_> = emails
            .iter()
            .map(|email| {
                let (mut client, start) = (host.client(), &start);
                scope.spawn(move || {
                    start.wait();
                    log_in(&mut client, email, PASSWORD).expect(201)["token"].as_str().unwrap().to_owned()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn register_many(host: &Host, count: usize) -> Vec<String> {
    let mut client = host.client();
    (0..count).map(|_| register(&mut client, "Ada")["email"].as_str().unwrap().to_owned()).collect()
}

/// The id of the key that signed a token.
fn key_of(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

/// The ids of the served keys.
fn served(host: &Host) -> Vec<String> {
    let keys = host.client().get(KEYS).expect(200)["keys"].as_array().unwrap().clone();
    for key in &keys {
        let mut members: Vec<&String> = key.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"], "and no private half");
    }
    keys.iter().map(|key: &Value| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The ids of the stored keys, the oldest first, those that sign apart from those that do not.
fn stored(site: &Site) -> [Vec<String>; 2] {
    ["retired_at IS NULL AND length(private_key) = 32", "retired_at IS NOT NULL AND private_key IS NULL"]
        .map(|condition| rows(site, &format!("SELECT id FROM signing_key WHERE {condition} ORDER BY id")))
}

/// Sets a time of the keys that have one to so many seconds ago, or into the future where it is negative, while no host runs.
#[track_caller]
fn set_age(site: &Site, column: &str, seconds: i32) {
    let ago = format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{:+} seconds')", -seconds);
    let statement = format!("UPDATE signing_key SET {column} = {ago} WHERE {column} IS NOT NULL");
    let changed = database::open_to_break(&site.database("user")).execute(&statement, ()).unwrap();
    assert!(changed > 0, "no key has {column}");
}

const SIGNS_SECONDS: i32 = 720 * 3600;

#[test]
fn many_concurrent_first_logins_create_one_key() {
    let site = site();
    let host = site.start();
    let emails = register_many(&host, 40);
    assert!(served(&host).is_empty());
    let tokens = log_in_at_once(&host, &emails);
    let keys = served(&host);
    assert_eq!(keys.len(), 1);
    assert_eq!(stored(&site), [keys.clone(), Vec::new()]);
    for token in &tokens {
        assert_eq!(key_of(token), keys[0]);
        current(&host, token).expect(200);
    }
    // It is the same after a crash, and what it signed counts.
    host.kill();
    let host = site.start();
    let next = log_in_at_once(&host, &emails[..1]).remove(0);
    assert_eq!(key_of(&next), keys[0]);
    for token in tokens.iter().chain([&next]) {
        current(&host, token).expect(200);
    }
}

#[test]
fn old_key_is_replaced_by_one_key_and_served_until_its_tokens_expire() {
    let site = site();
    let host = site.start();
    let emails = register_many(&host, 10);
    let old = log_in_at_once(&host, &emails[..1]).remove(0);
    let first = key_of(&old);
    host.stop();

    // Nearly old enough.
    set_age(&site, "created_at", SIGNS_SECONDS - 120);
    let host = site.start();
    assert_eq!(key_of(&log_in_at_once(&host, &emails[..1])[0]), first);
    host.stop();

    set_age(&site, "created_at", SIGNS_SECONDS);
    let host = site.start();
    current(&host, &old).expect(200);
    log_in(&mut host.client(), &emails[0], "wrong password").problem(401, "invalid-credentials");
    assert_eq!(stored(&site), [vec![first.clone()], Vec::new()], "another is made by a login alone");
    let new = log_in_at_once(&host, &emails);
    let second = key_of(&new[0]);
    assert_ne!(second, first);
    assert!(new.iter().all(|token| key_of(token) == second), "several logins at once make one");
    assert_eq!(served(&host), [&*first, &*second]);
    assert_eq!(
        stored(&site),
        [vec![second.clone()], vec![first.clone()]],
        "the private half is gone at once"
    );
    for token in new.iter().chain([&old]) {
        current(&host, token).expect(200);
    }
    host.stop();

    // As long as a token of it may count.
    set_age(&site, "retired_at", 3600);
    let host = site.start();
    assert_eq!(served(&host), [&*first, &*second]);
    current(&host, &old).expect(200);
    host.stop();

    set_age(&site, "retired_at", 3700);
    let host = site.start();
    assert_eq!(served(&host), [&*second]);
    current(&host, &old).problem(401, "invalid-token");
    for token in &new {
        current(&host, token).expect(200);
    }
    assert_eq!(stored(&site)[1], [&*first]);
    host.stop();

    // The next change of keys takes it away.
    set_age(&site, "created_at", SIGNS_SECONDS);
    let host = site.start();
    let third = key_of(&log_in_at_once(&host, &emails[..1])[0]);
    assert_eq!(stored(&site), [vec![third.clone()], vec![second.clone()]]);
    assert_eq!(served(&host), [&*second, &*third]);
    current(&host, &new[0]).expect(200);
}

#[test]
fn key_created_with_the_clock_a_week_ahead_signs_no_longer_than_others() {
    const WEEK_SECONDS: i32 = 7 * 24 * 3600;
    let site = site();
    let host = site.start();
    let emails = register_many(&host, 2);
    let old = log_in_at_once(&host, &emails[..1]).remove(0);
    let first = key_of(&old);
    host.stop();

    set_age(&site, "created_at", -WEEK_SECONDS);
    let host = site.start();
    let second = key_of(&log_in_at_once(&host, &emails)[0]);
    assert_ne!(second, first);
    // What it signed is still good.
    assert_eq!(served(&host), [&*first, &*second]);
    current(&host, &old).expect(200);
    host.stop();

    // It was retired while the clock was ahead: at the next change of keys it counts as retired now.
    set_age(&site, "retired_at", -WEEK_SECONDS);
    set_age(&site, "created_at", SIGNS_SECONDS);
    let host = site.start();
    let third = key_of(&log_in_at_once(&host, &emails[..1])[0]);
    assert_eq!(served(&host), [&*first, &*second, &*third]);
    host.stop();
    let retired = rows(
        &site,
        "SELECT CAST(retired_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS TEXT) FROM signing_key WHERE retired_at IS NOT NULL",
    );
    assert_eq!(retired, ["1", "1"]);
}
