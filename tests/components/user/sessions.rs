//! `GET /sessions/current`.

use bulkhead_testing::json;

use super::{ADMIN, As as _, NOBODY, registered, start};

#[test]
fn a_session_states_its_user_and_expiry() {
    let users = start();
    let ada = registered(&users, "Ada");
    let get = || users.get("/sessions/current").user(&ada);
    let _ = get().expires_at(1_000_003_600).send().status(200).body(json!({
        "user_id": ada, "roles": ["customer"], "expires_at": "2001-09-09T02:46:40.000Z",
    }));
    let _ = get().role("admin").send().status(200).body(json!({
        "user_id": ada, "roles": ["customer", "admin"], "expires_at": null,
    }));
}

#[test]
fn the_administrator_has_a_session() {
    let users = start();
    let answer = users.get("/sessions/current").admin().send().status(200);
    let _ = answer.body(json!({"user_id": ADMIN, "roles": ["admin"], "expires_at": null}));
}

#[test]
fn a_subject_that_is_not_a_user_has_no_session() {
    let users = start();
    let ada = registered(&users, "Ada");
    let _ = users.delete(format!("/users/{ada}")).user(&ada).send().status(204);
    for subject in [ada.as_str(), NOBODY, "service:order", "", "ada"] {
        let answer = users.get("/sessions/current").user(subject).send();
        let _ = answer.problem(401, "unauthenticated").header("www-authenticate", "Bearer");
    }
    let _ = users.get("/sessions/current").send().problem(401, "unauthenticated");
}
