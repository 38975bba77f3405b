//! `POST /users`.

use bulkhead_testing::{Service, Value, json};

use super::{
    ADMIN_EMAIL, As as _, PASSWORD, everything, new_user, registered, start, untraced, wrong_fields,
};

#[test]
fn a_user_is_registered_and_returned_without_a_hash() {
    let users = start();
    let request = json!({
        "email": "Ada.Lovelace+shop@Tests.Example", "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace",
    });
    let answer = users.post("/users").json(&request).send().status(201);
    let (id, now) = (answer.text_of("id"), users.now());
    let user = json!({
        "id": id, "email": "Ada.Lovelace+shop@Tests.Example", "first_name": "Ada", "last_name": "Lovelace",
        "created_at": now, "updated_at": now,
    });
    let tag = answer.header_value("etag").unwrap_or_default();
    let answer = answer.body(&user).header("location", &format!("/users/{id}"));
    let _ = answer.header("content-type", "application/json");
    let _ = users.get(format!("/users/{id}")).user(&id).send().status(200).body(&user).header("etag", &tag);
    users.expect_published(
        json!([{"type": "user.changed", "subject": id, "data": {"id": id, "first_name": "Ada"}}]),
    );
    let row = users.rows("SELECT id, email, first_name, last_name, created_at, updated_at FROM user");
    assert_eq!(row, json!([user]));
}

#[test]
fn email_belongs_to_one_user_in_any_letter_case() {
    let users = start();
    registered(&users, "Ada");
    let before = everything(&users);
    let _ = users.published();
    for email in ["ada@tests.example", "ADA@Tests.Example"] {
        let mut other = new_user("Another");
        other["email"] = email.into();
        let answer = users.post("/users").json(other).send().problem(409, "email-taken");
        let _ = answer.includes(json!({"constraint": "user.email"})).no_header("location");
    }
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn nobody_registers_with_the_administrators_address() {
    for users in [start(), Service::start("user")] {
        for email in [ADMIN_EMAIL, "Admin@SHOP.example"] {
            let mut user = new_user("Ada");
            user["email"] = email.into();
            let answer = users.post("/users").json(user).send().problem(409, "email-taken");
            let _ = answer.includes(json!({"constraint": "user.email"}));
        }
        assert_eq!(users.rows("SELECT id FROM user"), json!([]));
        users.expect_published(json!([]));
    }
}

/// The fields that are wrong in a user that is as `Ada` but for one.
#[track_caller]
fn wrong_with(users: &Service, field: &str, value: Value) -> Vec<String> {
    let mut user = new_user("Ada");
    user[field] = value;
    wrong_fields(users.post("/users").json(user).send())
}

#[test]
fn an_invalid_field_is_named() {
    let users = start();
    let (long_email, long_label) = (format!("{}@b.example", "a".repeat(245)), "b".repeat(64));
    let texts = [
        (
            "email",
            &["", "ada", "@tests.example", "ada@", "a@b@c", "a b@c", "ada@-b", "ada@b..c", "ädä@b.c"][..],
        ),
        ("email", &[&long_email, &format!("a@{long_label}.c"), &format!("{}@b.c", "a".repeat(65))]),
        ("email", &[".k@example.com", "k.@example.com", "k..l@example.com", ".@example.com"]),
        ("password", &["", "012345678", &"🔑".repeat(9), &"p".repeat(129)]),
        ("first_name", &["", " ", " Ada", "Ada ", "A\nda", "A\u{7}da", "A\u{2028}da", &"ä".repeat(101)]),
        ("last_name", &["", " ", " Ada", "Ada ", "A\nda", "A\u{7}da", "A\u{2028}da", &"ä".repeat(101)]),
    ];
    for (field, texts) in texts {
        for text in texts {
            assert_eq!(wrong_with(&users, field, json!(text)), [field], "{text:?}");
        }
        for value in [json!(null), json!(7), json!(["Ada"])] {
            assert_eq!(wrong_with(&users, field, value), [field]);
        }
    }
    assert_eq!(users.rows("SELECT id FROM user"), json!([]));
    users.expect_published(json!([]));
}

#[test]
fn a_field_at_its_limits_is_accepted() {
    let users = start();
    let texts = [
        ("email", "a@b".to_owned()),
        ("email", format!("{0}@{1}.{1}.{2}", "a".repeat(64), "b".repeat(63), "b".repeat(61))),
        ("email", "!#$%&'*+/=?^_`{|}~-.a@b".to_owned()),
        ("email", format!("a@{}.c", "b".repeat(63))),
        ("password", "0123456789".to_owned()),
        ("password", "🔑".repeat(128)),
        ("first_name", "A".to_owned()),
        ("first_name", "ä".repeat(100)),
        ("last_name", "O'Hara-Ōe  北京".to_owned()),
        ("last_name", "ä".repeat(100)),
    ];
    for (number, (field, text)) in texts.into_iter().enumerate() {
        let mut user = new_user(&format!("Ada{number}"));
        user[field] = text.as_str().into();
        let answer = users.post("/users").json(user).send().status(201);
        if field != "password" {
            let _ = answer.includes(json!({field: text}));
        }
    }
}

#[test]
fn all_errors_are_reported_at_once_and_no_password_is_echoed() {
    let users = start();
    let everything_missing = users.post("/users").json(json!({})).send();
    assert_eq!(wrong_fields(everything_missing), ["email", "password", "first_name", "last_name"]);
    let user = json!({"email": "ada", "password": "tr0ub4dor", "first_name": " ", "admin": true});
    let answer = users.post("/users").json(user).send();
    assert!(!answer.text().contains("tr0ub4dor"), "{}", answer.text());
    insta::assert_json_snapshot!(untraced(&answer));
    assert_eq!(wrong_fields(answer), ["email", "password", "first_name", "last_name", "admin"]);
    assert_eq!(wrong_fields(users.post("/users?admin=true").json(new_user("Ada")).send()), ["admin"]);
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let users = start();
    for body in ["", "{", "{\"email\": \"a@b\", \"email\": \"a@c\"", "\u{0}"] {
        let _ = users.post("/users").body(body, "application/json").send().problem(400, "malformed-json");
    }
    let body = new_user("Ada").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"] {
        let answer = users.post("/users").body(body.as_str(), kind).send();
        let _ = answer.problem(415, "unsupported-media-type").header("accept", "application/json");
    }
    let _ = users.post("/users").body(body, "application/json; charset=utf-8").send().status(201);
}

#[test]
fn a_registration_sent_twice_with_one_key_registers_once() {
    let users = start();
    let send = |user: &Value| users.post("/users").idempotency_key("k").json(user).send();
    let first = send(&new_user("Ada")).status(201).replayed(false);
    let again = send(&new_user("Ada")).status(201).replayed(true).body(first.json());
    let _ = again.header("location", &format!("/users/{}", first.text_of("id")));
    let _ = send(&new_user("Bo")).problem(422, "idempotency-key-reused");
    assert_eq!(users.rows("SELECT first_name FROM user"), json!([{"first_name": "Ada"}]));
    assert_eq!(users.published().len(), 1);
}

#[test]
fn the_key_of_a_refused_registration_is_free() {
    let users = start();
    registered(&users, "Ada");
    let send = |user: Value| users.post("/users").idempotency_key("k").json(user).send();
    let _ = send(new_user("Ada")).problem(409, "email-taken");
    let _ = send(new_user("Bo")).status(201).replayed(false);
}

#[test]
fn any_caller_can_register_a_user() {
    let users = start();
    let ada = registered(&users, "Ada");
    let _ = users.post("/users").json(new_user("Bo")).user(&ada).send().status(201);
    let _ = users.post("/users").json(new_user("Cy")).admin().send().status(201);
    assert_eq!(users.rows("SELECT count(*) AS users FROM user"), json!([{"users": 3}]));
}
