//! `POST /sessions`: who logs in. How often one may fail is in `throttle.rs`; what the token says, in `token.rs`.

use bulkhead_testing::{Service, json};

use super::{
    ADMIN, ADMIN_EMAIL, ADMIN_PASSWORD, As as _, PASSWORD, email_of, everything, login, new_user, registered,
    start, untraced, wrong_fields,
};

#[test]
fn a_login_returns_a_token_that_must_not_be_cached() {
    let users = start();
    let ada = registered(&users, "Ada");
    let _ = users.published();
    let answer = login(&users, &email_of("Ada"), PASSWORD).send().status(201);
    let session = json!({
        "token": answer.text_of("token"), "token_type": "Bearer", "expires_at": answer.text_of("expires_at"), "user_id": ada,
    });
    let answer = answer.body(session).header("location", "/sessions/current");
    let _ = answer.header("cache-control", "no-store").no_header("etag");
    users.expect_published(json!([]));
}

#[test]
fn a_login_ignores_the_case_of_the_email_but_not_of_the_password() {
    let users = start();
    let ada = registered(&users, "Ada");
    for email in ["ada@tests.example", "ADA@tests.example", "Ada@TESTS.Example"] {
        let _ = login(&users, email, PASSWORD).send().status(201).includes(json!({"user_id": ada}));
    }
    for wrong in ["", "Correct horse", "correct horse ", " correct horse", "correct hors", &"p".repeat(1000)]
    {
        let _ = login(&users, &email_of("Ada"), wrong).send().problem(401, "invalid-credentials");
    }
}

#[test]
fn a_wrong_email_is_answered_like_a_wrong_password() {
    let users = start();
    registered(&users, "Ada");
    registered(&users, "Bo");
    let wrong = |email: &str, password: &str| {
        let answer = login(&users, email, password).send().problem(401, "invalid-credentials");
        let answer = answer.header("www-authenticate", "Bearer").no_header("set-cookie");
        (untraced(&answer), answer.database_calls())
    };
    let expected = wrong(&email_of("Ada"), "wrong");
    assert_eq!(wrong(&email_of("Ada"), &"p".repeat(1000)), expected);
    assert_eq!(wrong("nobody@tests.example", PASSWORD), expected);
    assert_eq!(wrong(&email_of("Bo"), ADMIN_PASSWORD), expected);
    assert_eq!(wrong(ADMIN_EMAIL, PASSWORD), expected);
    assert_eq!(wrong(ADMIN_EMAIL, ""), expected);
}

#[test]
fn a_password_logs_in_however_its_accents_and_spaces_are_typed() {
    let composed = "cr\u{e8}me br\u{fb}l\u{e9}e";
    let forms = [composed, "cre\u{300}me bru\u{302}le\u{301}e", "cr\u{e8}me\u{a0}bru\u{302}l\u{e9}e"];
    for set in forms {
        let users = start();
        let mut user = new_user("Ada");
        user["password"] = set.into();
        let ada = users.post("/users").json(user).send().status(201).text_of("id");
        for typed in forms {
            let _ = login(&users, &email_of("Ada"), typed).send().status(201);
        }
        for other in ["creme brulee", "cr\u{e8}me  br\u{fb}l\u{e9}e", "CR\u{c8}ME BR\u{db}L\u{c9}E"] {
            let _ = login(&users, &email_of("Ada"), other).send().problem(401, "invalid-credentials");
        }
        // A change of the password compares, and sets, the same way.
        let body =
            json!({"current_password": forms[1], "new_password": "gru\u{308}ne pa\u{df}wo\u{308}rter"});
        let _ = users.put(format!("/users/{ada}/password")).json(body).user(&ada).send().status(204);
        let _ = login(&users, &email_of("Ada"), "gr\u{fc}ne pa\u{df}w\u{f6}rter").send().status(201);
    }
}

#[test]
fn the_administrators_password_is_compared_in_the_same_form() {
    let users = super::with()
        .secret("user", "admin_password", "gru\u{308}ne pa\u{df}wo\u{308}rter")
        .start()
        .service("user");
    for typed in ["gru\u{308}ne pa\u{df}wo\u{308}rter", "gr\u{fc}ne pa\u{df}w\u{f6}rter"] {
        let _ = login(&users, ADMIN_EMAIL, typed).send().status(201);
    }
}

#[test]
fn an_email_that_can_no_longer_be_registered_is_wrong_and_not_invalid() {
    let users = start();
    let _ = login(&users, ".k@example.com", PASSWORD).send().problem(401, "invalid-credentials");
}

#[test]
fn an_unknown_email_costs_a_hash_as_well() {
    // As much memory as all else takes, and less than a hash does.
    let users = Service::with("user").memory("user", 8 << 20).start().service("user");
    let _ = users.get("/.well-known/jwks.json").send().status(200);
    let _ = login(&users, &email_of("Nobody"), PASSWORD).send().problem(500, "internal");
}

#[test]
fn a_successful_login_writes_nothing_once_a_key_exists() {
    let users = start();
    registered(&users, "Ada");
    let first = login(&users, &email_of("Ada"), PASSWORD).send().status(201);
    let before = everything(&users);
    let second = login(&users, &email_of("Ada"), PASSWORD).send().status(201);
    assert_eq!(everything(&users), before);
    assert!(second.database_calls() < first.database_calls());
}

#[test]
fn a_malformed_login_is_refused_with_the_reason() {
    let users = start();
    for (email, password) in [("ada", "p"), ("", "p"), ("a@b@c", "p")] {
        assert_eq!(wrong_fields(login(&users, email, password).send()), ["email"], "{email}");
    }
    let secret = "tr0ub4dor".repeat(112);
    let answer = login(&users, "a@b", &secret).send();
    assert!(!answer.text().contains("tr0ub4dor"), "{}", answer.text());
    assert_eq!(wrong_fields(answer), ["password"]);
    let body = json!({"email": null, "password": 7, "remember": true});
    assert_eq!(wrong_fields(users.post("/sessions").json(body).send()), ["email", "password", "remember"]);
    assert_eq!(wrong_fields(users.post("/sessions").json(json!({})).send()), ["email", "password"]);
    let _ = users.post("/sessions").send().problem(400, "malformed-json");
    let plain = users.post("/sessions").body("a@b", "text/plain").send();
    let _ = plain.problem(415, "unsupported-media-type");
    // None of it is a login that failed.
    assert_eq!(users.rows("SELECT * FROM login_failure"), json!([]));
}

#[test]
fn the_administrator_logs_in_by_the_manifest_and_is_not_a_user() {
    let users = start();
    for email in [ADMIN_EMAIL, "Admin@SHOP.example"] {
        let answer = login(&users, email, ADMIN_PASSWORD).send().status(201);
        let _ = answer.includes(json!({"user_id": ADMIN, "token_type": "Bearer"}));
    }
    for wrong in ["", "opens all door", "Opens all doors", "opens all doors "] {
        let _ = login(&users, ADMIN_EMAIL, wrong).send().problem(401, "invalid-credentials");
    }
    assert_eq!(users.rows("SELECT id FROM user"), json!([]));
    let _ = users.get(format!("/users/{ADMIN}")).admin().send().problem(404, "not-found");
}

#[test]
fn the_administrators_password_opens_no_other_account() {
    let users = start();
    registered(&users, "Ada");
    let _ = login(&users, &email_of("Ada"), ADMIN_PASSWORD).send().problem(401, "invalid-credentials");
}

#[test]
fn the_manifest_names_the_administrator() {
    let users = super::with().config("user", "admin_email", "root@shop.example").start().service("user");
    let _ = login(&users, ADMIN_EMAIL, ADMIN_PASSWORD).send().problem(401, "invalid-credentials");
    let answer = login(&users, "root@shop.example", ADMIN_PASSWORD).send().status(201);
    let _ = answer.includes(json!({"user_id": ADMIN}));
    // The address is nobody's now, and somebody's who registers with it.
    let mut user = new_user("Ada");
    user["email"] = ADMIN_EMAIL.into();
    let id = users.post("/users").json(user).send().status(201).text_of("id");
    let _ = login(&users, ADMIN_EMAIL, PASSWORD).send().status(201).includes(json!({"user_id": id}));
}

#[test]
fn without_the_secret_the_administrator_does_not_log_in() {
    let cheap = Service::with("user").config("user", "argon2_memory_kib", "8");
    let users = cheap.config("user", "argon2_iterations", "1").start().service("user");
    for password in ["", ADMIN_PASSWORD, "\0"] {
        let _ = login(&users, ADMIN_EMAIL, password).send().problem(401, "invalid-credentials");
    }
}

#[test]
fn the_answer_to_a_login_is_not_stored_for_its_key() {
    let users = start();
    registered(&users, "Ada");
    let send = || login(&users, &email_of("Ada"), PASSWORD).idempotency_key("k").send();
    let first = send().status(201).replayed(false).text_of("token");
    let second = send().status(201).replayed(false).text_of("token");
    assert_ne!(first, second);
    let wrong = || login(&users, &email_of("Ada"), "wrong").idempotency_key("j").send();
    for _ in 0..2 {
        let _ = wrong().problem(401, "invalid-credentials").replayed(false);
    }
    assert_eq!(users.rows("SELECT failures FROM login_failure"), json!([{"failures": 2}]));
}
