//! SIGKILL while customers register and log in: who was told so is registered and logged in, and nobody is there by half.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use bulkhead_tests::shop::{PASSWORD, user_body};
use bulkhead_tests::{Client, Random, Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{current, log_in, rows, site};

const KILLS: u64 = 6;
const CLIENTS: u64 = 8;
/// The host is killed after so many acknowledgements at most.
const ACKNOWLEDGED_MAX: u64 = 100;

/// What a client was told.
enum Acknowledged {
    /// The user with this email is registered.
    Registered(String),
    /// This is a token.
    LoggedIn(String),
}

#[test]
fn acknowledged_registrations_and_logins_survive_each_kill_and_none_is_partial() {
    let site = site();
    let mut random = Random::new();
    let (mut registered, mut tokens) = (BTreeSet::new(), Vec::new());
    for kill in 0..KILLS {
        let host = site.start();
        let (sender, acknowledged) = channel();
        let threads: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (client, sender) = (host.client(), sender.clone());
                thread::spawn(move || register_until_it_ends(client, &sender, &format!("{kill}-{number}")))
            })
            .collect();
        drop(sender);
        let before = usize::try_from(1 + random.below(ACKNOWLEDGED_MAX)).unwrap();
        let mut all: Vec<Acknowledged> = acknowledged.iter().take(before).collect();
        host.kill();
        all.extend(acknowledged);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for acknowledged in all {
            match acknowledged {
                Acknowledged::Registered(email) => drop(registered.insert(email)),
                Acknowledged::LoggedIn(token) => tokens.push(token),
            }
        }

        let host = site.start();
        let mut client = host.client();
        for email in &registered {
            log_in(&mut client, email, PASSWORD).expect(201);
        }
        for token in &tokens {
            current(&host, token).expect(200);
        }
        host.stop();
        check_units_of_work(&site, &registered, kill);
    }
}

/// Registers user after user and logs each in, and tells what it was told.
fn register_until_it_ends(mut client: Client, acknowledged: &Sender<Acknowledged>, name: &str) {
    let mut post = |path: &str, body: &Value| {
        let headers = [("content-type", "application/json")];
        let answer = client.try_send(Method::POST, path, &headers, Bytes::from(body.to_string())).ok()?;
        Some(answer.expect(201))
    };
    for number in 0.. {
        let email = format!("{name}-{number}@tests.example");
        let Some(_) = post("/users", &user_body(&email, "Ada")) else { return };
        acknowledged.send(Acknowledged::Registered(email.clone())).unwrap();
        let Some(session) = post("/sessions", &json!({"email": email, "password": PASSWORD})) else { return };
        acknowledged.send(Acknowledged::LoggedIn(session["token"].as_str().unwrap().to_owned())).unwrap();
    }
}

/// Who was told so is there; every user has a hash and exactly one event, and every event its user; one key signs.
fn check_units_of_work(site: &Site, registered: &BTreeSet<String>, kill: u64) {
    database::check(&database::open(&site.database("user")));
    let there: BTreeSet<String> = rows(site, "SELECT email FROM user").into_iter().collect();
    let lost: Vec<_> = registered.difference(&there).collect();
    assert!(lost.is_empty(), "kill {kill}: registered and not there: {lost:?}");
    let whole = "SELECT id FROM user WHERE password_hash LIKE '$argon2id$v=19$m=8,t=1,p=1$%' ORDER BY id";
    let events = "SELECT subject FROM _bulkhead_outbox \
                  WHERE type = 'user.changed' AND data ->> 'id' = subject AND data ->> 'first_name' = 'Ada' ORDER BY subject";
    let (users, events) = (rows(site, whole), rows(site, events));
    assert_eq!(users.len(), there.len(), "kill {kill}: a user without a hash");
    assert!(users == events, "kill {kill}: {} users and {} events", users.len(), events.len());
    assert_eq!(rows(site, "SELECT id FROM _bulkhead_outbox").len(), events.len());
    assert_eq!(rows(site, "SELECT id FROM signing_key").len(), 1, "kill {kill}");
}
