//! `PATCH /users/{id}`.

use bulkhead_testing::{Value, json};

use super::{
    ADMIN_EMAIL, As as _, NOBODY, PASSWORD, email_of, everything, login, registered, start, wrong_fields,
};

#[test]
fn a_patch_changes_only_the_named_field() {
    for (field, value) in
        [("email", "countess@tests.example"), ("first_name", "Augusta"), ("last_name", "King")]
    {
        let users = start();
        let ada = registered(&users, "Ada");
        let path = format!("/users/{ada}");
        let mut expected = users.get(&path).user(&ada).send().status(200).json();
        let answer = users.patch(&path).json(json!({field: value})).user(&ada).send().status(200);
        expected[field] = value.into();
        expected["updated_at"] = users.now().into();
        assert_ne!(expected["updated_at"], expected["created_at"]);
        let tag = answer.body(&expected).header_value("etag").unwrap_or_default();
        let _ = users.get(&path).user(&ada).send().status(200).body(&expected).header("etag", &tag);
        // The state before is nobody's business any more: its data are taken out.
        users.expect_published(json!([
            {"type": "user.changed", "subject": ada, "data": null},
            {"type": "user.changed", "subject": ada, "data": {"id": ada, "first_name": expected["first_name"]}},
        ]));
    }
}

#[test]
fn only_the_newest_state_is_kept_in_the_event_log() {
    let users = start();
    let [ada, bo] = ["Ada", "Bo"].map(|name| registered(&users, name));
    for name in ["Augusta", "Byron"] {
        let patch = users.patch(format!("/users/{ada}")).json(json!({"first_name": name}));
        let _ = patch.admin().send().status(200);
    }
    users.expect_published(json!([
        {"type": "user.changed", "subject": ada, "data": null},
        {"type": "user.changed", "subject": bo, "data": {"id": bo, "first_name": "Bo"}},
        {"type": "user.changed", "subject": ada, "data": null},
        {"type": "user.changed", "subject": ada, "data": {"id": ada, "first_name": "Byron"}},
    ]));
}

#[test]
fn an_empty_patch_changes_nothing_and_publishes_nothing() {
    let users = start();
    let ada = registered(&users, "Ada");
    let path = format!("/users/{ada}");
    let (before, user) = (everything(&users), users.get(&path).user(&ada).send().json());
    let _ = users.published();
    let _ = users.patch(&path).json(json!({})).user(&ada).send().status(200).body(user);
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn an_email_in_use_or_of_the_administrator_is_refused() {
    let users = start();
    let [ada, _] = ["Ada", "Bo"].map(|name| registered(&users, name));
    let (before, _) = (everything(&users), users.published());
    for email in ["bo@tests.example", "BO@Tests.example", ADMIN_EMAIL, "ADMIN@shop.example"] {
        let patch = users.patch(format!("/users/{ada}")).json(json!({"email": email, "first_name": "A"}));
        let answer = patch.user(&ada).send().problem(409, "email-taken");
        let _ = answer.includes(json!({"constraint": "user.email"}));
    }
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn a_user_can_change_the_case_of_their_own_email() {
    let users = start();
    let ada = registered(&users, "Ada");
    let patch = users.patch(format!("/users/{ada}")).json(json!({"email": "ADA@tests.example"}));
    let _ = patch.user(&ada).send().status(200).includes(json!({"email": "ADA@tests.example"}));
}

#[test]
fn the_new_email_logs_in_and_the_old_one_is_free() {
    let users = start();
    let ada = registered(&users, "Ada");
    let patch = users.patch(format!("/users/{ada}")).json(json!({"email": "countess@tests.example"}));
    let _ = patch.user(&ada).send().status(200);
    let _ = login(&users, "countess@tests.example", PASSWORD)
        .send()
        .status(201)
        .includes(json!({"user_id": ada}));
    let _ = login(&users, &email_of("Ada"), PASSWORD).send().problem(401, "invalid-credentials");
    registered(&users, "Ada");
}

#[test]
fn failed_logins_of_an_abandoned_email_are_forgotten() {
    let users = start();
    let [ada, bo] = ["Ada", "Bo"].map(|name| registered(&users, name));
    for (name, peer) in [("Ada", "192.0.2.1"), ("Ada", "192.0.2.2"), ("Bo", "192.0.2.1")] {
        let _ = login(&users, &email_of(name), "wrong").peer(peer).send().status(401);
    }
    let failures = || users.rows("SELECT email, peer FROM login_failure ORDER BY email, peer");
    let _ = users.patch(format!("/users/{bo}")).json(json!({"last_name": "B"})).user(&bo).send().status(200);
    assert_eq!(failures().as_array().map(Vec::len), Some(3));
    let patch = users.patch(format!("/users/{ada}")).json(json!({"email": "countess@tests.example"}));
    let _ = patch.user(&ada).send().status(200);
    assert_eq!(failures(), json!([{"email": email_of("Bo"), "peer": "192.0.2.1"}]));
}

#[test]
fn an_invalid_field_is_named() {
    let users = start();
    let ada = registered(&users, "Ada");
    let path = format!("/users/{ada}");
    let (before, _) = (everything(&users), users.published());
    let long = "ä".repeat(101);
    for (field, value) in [
        ("email", json!("ada")),
        ("email", json!(null)),
        ("email", json!(format!("{}@b.example", "a".repeat(245)))),
        ("first_name", json!("")),
        ("first_name", json!(" A")),
        ("first_name", json!(long)),
        ("first_name", json!(null)),
        ("last_name", json!("a\nb")),
        ("last_name", json!(long)),
        ("last_name", json!(7)),
        ("password", json!(PASSWORD)),
        ("id", json!(NOBODY)),
        ("created_at", json!("2026-01-01T00:00:00Z")),
    ] {
        let answer = users.patch(&path).json(json!({field: value})).user(&ada).send();
        assert_eq!(wrong_fields(answer), [field], "{value}");
    }
    let all: Value = json!({"email": 1, "first_name": "", "last_name": null, "role": "admin"});
    let answer = users.patch(&path).json(all).admin().send();
    assert_eq!(wrong_fields(answer), ["email", "first_name", "last_name", "role"]);
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn names_at_their_limits_are_accepted() {
    let users = start();
    let ada = registered(&users, "Ada");
    let patch = json!({"first_name": "ä".repeat(100), "last_name": "L"});
    let _ = users.patch(format!("/users/{ada}")).json(&patch).user(&ada).send().status(200).includes(&patch);
}

/// What is erased of the event log are states that are over. That an address was added is not over: sent again, it is the same one.
#[test]
fn a_change_deletes_no_answer_that_is_stored_for_a_key() {
    let users = start();
    let ada = registered(&users, "Ada");
    let send = || {
        let request = users.post(format!("/users/{ada}/addresses")).json(super::new_address());
        request.user(&ada).idempotency_key("k").send().status(201)
    };
    let first = send().replayed(false);
    let patch = users.patch(format!("/users/{ada}")).json(json!({"first_name": "Augusta"}));
    let _ = patch.user(&ada).send().status(200);
    let _ = send().replayed(true).body(first.json());
    assert_eq!(users.rows("SELECT id FROM user_address").as_array().map(Vec::len), Some(1));
}
