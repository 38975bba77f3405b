//! How many logins may fail.

use std::time::Duration;

use bulkhead_testing::{Answer, Service, Value, json};

use super::{ADMIN_EMAIL, ADMIN_PASSWORD, PASSWORD, email_of, login, registered, start, with};

const HERE: &str = "127.0.0.1";

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[track_caller]
fn fail(users: &Service, name: &str, peer: &str, times: usize) {
    for _ in 0..times {
        let answer = login(users, &email_of(name), "wrong").peer(peer).send();
        let _ = answer.problem(401, "invalid-credentials");
    }
}

fn log_in(users: &Service, name: &str, peer: &str) -> Answer {
    login(users, &email_of(name), PASSWORD).peer(peer).send()
}

fn failures(users: &Service) -> Value {
    users.rows("SELECT email, peer, failures FROM login_failure ORDER BY email, peer")
}

#[test]
fn after_ten_failed_logins_none_is_tried_until_the_window_ends() {
    let users = start();
    registered(&users, "Ada");
    fail(&users, "Ada", HERE, 1);
    let since = users.now();
    fail(&users, "Ada", HERE, 9);
    let row = json!([{"email": email_of("Ada"), "peer": HERE, "failures": 10, "since": since}]);
    let rows = || users.rows("SELECT email, peer, failures, since FROM login_failure");
    assert_eq!(rows(), row);
    // 10 ms after the first: the right password is not looked at, and nothing is counted.
    let refused = |seconds: &str| {
        let _ = log_in(&users, "Ada", HERE).problem(429, "too-many-logins").header("retry-after", seconds);
    };
    refused("900");
    assert_eq!(rows(), row);
    // A request comes a millisecond after the one before it: this one 1001 ms after the first failure, and the next 1002.
    users.advance(milliseconds(990));
    refused("899");
    users.advance(milliseconds(898_997));
    refused("1");
    // 900 s after the first failure.
    let _ = log_in(&users, "Ada", HERE).status(201);
    assert_eq!(failures(&users), json!([]));
}

#[test]
fn a_login_succeeds_after_nine_failures() {
    let users = start();
    registered(&users, "Ada");
    fail(&users, "Ada", HERE, 9);
    let _ = log_in(&users, "Ada", HERE).status(201);
    // Which forgets them.
    assert_eq!(failures(&users), json!([]));
    fail(&users, "Ada", HERE, 9);
    let _ = log_in(&users, "Ada", HERE).status(201);
}

#[test]
fn failures_count_per_email_and_address_together() {
    let users = start();
    ["Ada", "Bo"].iter().for_each(|name| drop(registered(&users, name)));
    fail(&users, "Ada", "192.0.2.1", 9);
    let _ = login(&users, "ADA@Tests.example", "wrong").peer("192.0.2.1").send().status(401);
    let _ = log_in(&users, "Ada", "192.0.2.1").problem(429, "too-many-logins");
    let _ = log_in(&users, "Ada", "192.0.2.2").status(201);
    let _ = log_in(&users, "Bo", "192.0.2.1").status(201);
    // From where it was refused it still is.
    let _ = log_in(&users, "Ada", "192.0.2.1").problem(429, "too-many-logins");
    assert_eq!(failures(&users), json!([{"email": email_of("Ada"), "peer": "192.0.2.1", "failures": 10}]));
}

#[test]
fn an_ipv6_network_is_one_client() {
    let users = start();
    registered(&users, "Ada");
    fail(&users, "Ada", "2001:db8:1:2::3", 5);
    fail(&users, "Ada", "2001:db8:1:2:ffff::", 5);
    let _ = log_in(&users, "Ada", "2001:db8:1:2:3:4:5:6").problem(429, "too-many-logins");
    let _ = log_in(&users, "Ada", "2001:db8:1:3::3").status(201);
    fail(&users, "Ada", "::ffff:192.0.2.7", 10);
    let _ = log_in(&users, "Ada", "192.0.2.7").problem(429, "too-many-logins");
}

#[test]
fn failures_of_an_unknown_email_and_of_the_administrator_are_counted_as_well() {
    let users = start();
    for email in ["nobody@tests.example", ADMIN_EMAIL] {
        for _ in 0..10 {
            let _ = login(&users, email, "wrong").send().problem(401, "invalid-credentials");
        }
        let _ = login(&users, email, ADMIN_PASSWORD).send().problem(429, "too-many-logins");
    }
    let answer = login(&users, ADMIN_EMAIL, ADMIN_PASSWORD).peer("192.0.2.1").send();
    let _ = answer.status(201);
}

#[test]
fn a_failure_after_the_window_starts_a_new_window() {
    let users = start();
    registered(&users, "Ada");
    fail(&users, "Ada", HERE, 9);
    users.advance(milliseconds(899_990));
    // 899.999 s after the first it is the tenth; then the window is over.
    fail(&users, "Ada", HERE, 1);
    assert_eq!(failures(&users)[0]["failures"], json!(10));
    fail(&users, "Ada", HERE, 1);
    let now = users.now();
    let rows = users.rows("SELECT failures, since FROM login_failure");
    assert_eq!(rows, json!([{"failures": 1, "since": now}]));
}

#[test]
fn expired_windows_are_removed_by_later_failures() {
    let users = start();
    fail(&users, "Ada", HERE, 1);
    users.advance(milliseconds(899_998));
    fail(&users, "Bo", HERE, 1);
    assert_eq!(failures(&users).as_array().map(Vec::len), Some(2));
    fail(&users, "Cy", HERE, 1);
    let left: Vec<Value> = ["Bo", "Cy"].map(|name| json!({"email": email_of(name)})).to_vec();
    assert_eq!(users.rows("SELECT email FROM login_failure ORDER BY email"), json!(left));
}

#[test]
fn the_manifest_sets_the_failure_limit_and_the_window() {
    let users = with().config("user", "login_failures", "2").config("user", "login_window_seconds", "60");
    let users = users.start().service("user");
    registered(&users, "Ada");
    fail(&users, "Ada", HERE, 2);
    let _ = log_in(&users, "Ada", HERE).problem(429, "too-many-logins").header("retry-after", "60");
    users.advance(milliseconds(59_996));
    let _ = log_in(&users, "Ada", HERE).problem(429, "too-many-logins").header("retry-after", "1");
    let _ = log_in(&users, "Ada", HERE).status(201);
}

#[test]
fn a_failed_password_change_is_not_counted() {
    let users = start();
    let ada = registered(&users, "Ada");
    let body = json!({"current_password": "wrong", "new_password": "battery staple"});
    for _ in 0..11 {
        let request = users.put(format!("/users/{ada}/password")).json(&body);
        let _ = super::As::user(request, &ada).send().problem(403, "wrong-password");
    }
    assert_eq!(failures(&users), json!([]));
}
