//! Passwords: which are taken, and who changes one.

use std::sync::Barrier;
use std::thread;

use bulkhead_tests::shop::{PASSWORD, id, log_in, untraced, user_body, users_alone};
use bulkhead_tests::{Answer, Client, Site};
use serde_json::json;

use super::{UNKNOWN, log_in_status, rows, site, users_and_events};

fn change_password(client: &mut Client, user: &str, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    client.put(&format!("/users/{user}/password"), &body)
}

#[test]
fn password_length_is_10_to_128_characters_regardless_of_bytes() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    for (number, letter) in ["p", "\u{e4}", "\u{8a9e}", "\u{1F511}"].into_iter().enumerate() {
        let mut ada = host.customer("Ada");
        let mut current = PASSWORD.to_owned();
        for (length, is_good) in [(9, false), (10, true), (128, true), (129, false)] {
            let password = letter.repeat(length);
            let email = format!("{number}-{length}@tests.example");
            let mut body = user_body(&email, "New");
            body["password"] = json!(password);
            let registered = client.post("/users", &body);
            let changed = change_password(&mut ada.client, &ada.id, &current, &password);
            if is_good {
                registered.expect(201);
                changed.expect(204);
                log_in(&mut client, &email, &password);
                current = password;
            } else {
                registered.invalid(&["password"]);
                changed.invalid(&["new_password"]);
            }
        }
    }
    let registered = rows(&site, "SELECT email FROM user WHERE email LIKE '%-%@%'");
    assert_eq!(registered.len(), 8);
    // All of it counts: nothing is cut off and nothing trimmed.
    assert_eq!(log_in_status(&host, "0-128@tests.example", &"p".repeat(127)), 401);
    assert_eq!(log_in_status(&host, "0-128@tests.example", &format!("{} ", "p".repeat(128))), 401);
}

#[test]
fn password_is_changed_only_with_the_current_password() {
    let site = site();
    let host = site.start();
    let mut ada = host.customer("Ada");
    let path = format!("/users/{}", ada.id);
    let mut user = ada.client.get(&path).expect(200);
    let email = user["email"].as_str().unwrap().to_owned();
    let mut admin = host.admin();
    let hash = || rows(&site, "SELECT password_hash FROM user").remove(0);
    let steps = [(PASSWORD, "first new password"), ("first new password", "second new password")];
    for (client, (current, new)) in [&mut ada.client, &mut admin].into_iter().zip(steps) {
        let before = hash();
        let answer = change_password(client, &ada.id, current, new);
        assert!(answer.expect(204).is_null());
        assert!(
            answer.header("bulkhead-position").is_some_and(|token| token.starts_with("user:")),
            "{answer}"
        );
        assert_ne!(hash(), before);
        assert_eq!(log_in_status(&host, &email, current), 401);
        assert_eq!(log_in_status(&host, &email, new), 201);
    }
    let changed = ada.client.get(&path).expect(200);
    assert!(changed["updated_at"].as_str() > user["updated_at"].as_str(), "{changed}");
    user["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, user);
    let [_, events] = users_and_events(&site);
    assert_eq!(events.len(), 1, "a password is no state that others keep: {events:?}");
    // To the same one it may be changed, and then has another salt.
    let before = hash();
    change_password(&mut ada.client, &ada.id, "second new password", "second new password").expect(204);
    assert_ne!(hash(), before);
    assert_eq!(log_in_status(&host, &email, "second new password"), 201);
}

#[test]
fn refused_password_change_changes_nothing() {
    let site = site();
    let host = site.start();
    let [mut ada, mut eve] = ["Ada", "Eve"].map(|name| host.customer(name));
    let mut admin = host.admin();
    let before = users_and_events(&site);
    let new = "another password";
    let long = "p".repeat(1000);
    for client in [&mut ada.client, &mut admin] {
        for wrong in ["", "tests-only-passwor", "Tests-only-password", "tests-only-password ", new, &long] {
            change_password(client, &ada.id, wrong, new).problem(403, "wrong-password");
            // What cannot be is said first, and nobody learns whether the current one is right.
            change_password(client, &ada.id, wrong, "short").invalid(&["new_password"]);
        }
        change_password(client, &ada.id, PASSWORD, "short").invalid(&["new_password"]);
        change_password(client, &ada.id, &"p".repeat(1001), new).invalid(&["current_password"]);
        let path = format!("/users/{}/password", ada.id);
        client.put(&path, &json!({})).invalid(&["current_password", "new_password"]);
        let wrong = json!({"current_password": 7, "new_password": null, "force": true});
        client.put(&path, &wrong).invalid(&["current_password", "new_password", "force"]);
    }
    change_password(&mut host.client(), &ada.id, PASSWORD, new).problem(401, "unauthenticated");
    let strangers = change_password(&mut eve.client, &ada.id, PASSWORD, new).problem(404, "not-found");
    let nobodys = change_password(&mut admin, UNKNOWN, PASSWORD, new).problem(404, "not-found");
    assert_eq!(untraced(strangers), untraced(nobodys));
    assert_eq!(users_and_events(&site), before);
}

#[test]
fn exactly_one_of_two_concurrent_password_changes_succeeds() {
    // Long enough to hash that both are at it at the same time.
    let manifest = users_alone().set("service.user.config.argon2_memory_kib", 4096);
    let site = Site::new(&manifest);
    let host = site.start();
    let mut client = host.client();
    for round in 0..15 {
        let email = format!("{round}@tests.example");
        let user = id(&client.post("/users", &user_body(&email, "Ada")).expect(201));
        let token = log_in(&mut client, &email, PASSWORD);
        let start = Barrier::new(2);
        let mut answers: Vec<(Answer, String)> = thread::scope(|scope| {
            let threads: Vec<_> = ["one new password", "other new password"]
                .map(|new| {
                    let mut client: Client = host.client().with_token(&token);
                    let (start, user) = (&start, &user);
                    scope.spawn(move || {
                        // The connection is there before both begin.
                        client.get(&format!("/users/{user}")).expect(200);
                        start.wait();
                        (change_password(&mut client, user, PASSWORD, new), new.to_owned())
                    })
                })
                .into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        answers.sort_by_key(|(answer, _)| answer.status);
        let [(first, winner), (second, loser)] = &answers[..] else { unreachable!("two were asked") };
        first.expect(204);
        if second.status == 409 {
            assert_eq!(second.problem(409, "password-changed")["constraint"], "user.password_hash");
        } else {
            second.problem(403, "wrong-password");
        }
        assert_eq!(log_in_status(&host, &email, winner), 201);
        assert_eq!(log_in_status(&host, &email, loser), 401);
        assert_eq!(log_in_status(&host, &email, PASSWORD), 401);
    }
}
