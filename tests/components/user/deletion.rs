//! `DELETE /users/{id}`.

use bulkhead_testing::{Service, Value, json};

use super::{As as _, PASSWORD, added, email_of, everything, login, prefer, registered, start};

/// A user with an address, a preference and failed logins.
fn with_everything(users: &Service, name: &str) -> String {
    let id = registered(users, name);
    added(users, &id);
    prefer(users, &id, "theme");
    for peer in ["192.0.2.1", "192.0.2.2"] {
        let _ = login(users, &email_of(name).to_uppercase(), "wrong").peer(peer).send().status(401);
    }
    id
}

#[test]
fn a_user_is_deleted_with_all_their_data() {
    let users = start();
    with_everything(&users, "Bo");
    let others = everything(&users);
    let ada = with_everything(&users, "Ada");
    assert_ne!(everything(&users), others);
    let _ = users.delete(format!("/users/{ada}")).user(&ada).send().status(204).empty();
    assert_eq!(everything(&users), others);
    let _ = users.get(format!("/users/{ada}")).user(&ada).send().problem(404, "not-found");
    let _ = users.get("/sessions/current").user(&ada).send().problem(401, "unauthenticated");
    let _ = login(&users, &email_of("Ada"), PASSWORD).send().problem(401, "invalid-credentials");
    let _ = users.delete(format!("/users/{ada}")).user(&ada).send().problem(404, "not-found");
}

#[test]
fn deleting_a_user_erases_their_events_and_publishes_the_deletion() {
    let users = start();
    let [ada, bo] = ["Ada", "Bo"].map(|name| registered(&users, name));
    let patch = users.patch(format!("/users/{ada}")).json(json!({"first_name": "Augusta"}));
    let _ = patch.user(&ada).send().status(200);
    let _ = users.delete(format!("/users/{ada}")).admin().send().status(204);
    users.expect_published(json!([
        {"type": "user.changed", "subject": ada, "data": null},
        {"type": "user.changed", "subject": bo, "data": {"id": bo, "first_name": "Bo"}},
        {"type": "user.changed", "subject": ada, "data": null},
        {"type": "user.deleted", "subject": ada, "data": {"id": ada}},
    ]));
}

#[test]
fn a_second_deletion_publishes_nothing() {
    let users = start();
    let ada = registered(&users, "Ada");
    let _ = users.delete(format!("/users/{ada}")).user(&ada).send().status(204);
    let _ = users.published();
    let _ = users.delete(format!("/users/{ada}")).admin().send().problem(404, "not-found");
    users.expect_published(json!([]));
}

#[test]
fn the_email_of_a_deleted_user_is_free_for_a_different_user() {
    let users = start();
    let first = registered(&users, "Ada");
    let _ = users.delete(format!("/users/{first}")).user(&first).send().status(204);
    let second = registered(&users, "Ada");
    assert_ne!(first, second);
    let _ = users.get(format!("/users/{second}")).user(&first).send().problem(404, "not-found");
}

#[test]
fn the_administrator_is_not_a_user_that_can_be_deleted() {
    let users = start();
    let answer = users.delete(format!("/users/{}", super::ADMIN)).admin().send();
    let _ = answer.problem(404, "not-found");
    users.expect_published(Value::Array(Vec::new()));
}
