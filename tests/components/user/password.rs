//! Passwords: what is stored of one, and `PUT /users/{id}/password`.

use bulkhead_testing::{Answer, Service, Value, json};

use super::{
    As as _, NOBODY, PASSWORD, email_of, everything, login, new_user, registered, start, wrong_fields,
};

const OTHER: &str = "battery staple";
/// A password whose accent is typed as a character of its own, and typed in one.
const DECOMPOSED: &str = "cre\u{300}me brulee";
const COMPOSED: &str = "cr\u{e8}me brulee";
/// What an earlier version stored of [`DECOMPOSED`], which it hashed as it was typed, at the cost of these tests. Made by another
/// implementation of RFC 9106.
const HASH_OF_DECOMPOSED: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$tg7QODEFnV6Au/81ySn/S2kjvcrV454YIq94MyqjXh0";

/// Has the database a user whose password an earlier version hashed as it was typed: their id.
#[track_caller]
fn registered_before(users: &Service) -> String {
    let id = registered(users, "Ada");
    users.write(&format!("UPDATE user SET password_hash = '{HASH_OF_DECOMPOSED}' WHERE id = '{id}'"));
    id
}

fn hashes(users: &Service) -> Vec<String> {
    let rows = users.rows("SELECT password_hash FROM user ORDER BY id");
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["password_hash"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn change(users: &Service, id: &str, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    users.put(format!("/users/{id}/password")).json(body).user(id).send()
}

/// The one test that takes its time: a hash of the cost that customers' passwords have.
#[test]
fn a_password_is_stored_as_an_argon2id_hash_that_costs_19_mib() {
    let users = Service::start("user");
    let _ = users.post("/users").json(new_user("Ada")).send().status(201);
    let [hash] = &hashes(&users)[..] else { panic!("one user has one hash") };
    let salt_and_hash = hash.strip_prefix("$argon2id$v=19$m=19456,t=2,p=1$").map(|rest| rest.split('$'));
    // In base64: a salt of 16 bytes, and a hash of 32.
    let lengths: Vec<usize> = salt_and_hash.into_iter().flatten().map(str::len).collect();
    assert_eq!(lengths, [22, 43], "{hash}");
}

#[test]
fn two_hashes_of_one_password_differ() {
    let users = start();
    ["Ada", "Bo"].iter().for_each(|name| drop(registered(&users, name)));
    let hashes = hashes(&users);
    let salts: Vec<_> = hashes.iter().map(|hash| hash.split('$').nth(4)).collect();
    assert!(hashes[0] != hashes[1] && salts[0] != salts[1], "{hashes:?}");
}

#[test]
fn the_new_password_logs_in_and_the_old_one_does_not() {
    let users = start();
    let ada = registered(&users, "Ada");
    let (mut user, _) = (users.get(format!("/users/{ada}")).user(&ada).send().json(), users.published());
    let before = hashes(&users);
    let _ = change(&users, &ada, PASSWORD, OTHER).status(204).empty();
    user["updated_at"] = users.now().into();
    assert_ne!(user["updated_at"], user["created_at"]);
    assert_ne!(hashes(&users), before);
    let _ = users.get(format!("/users/{ada}")).user(&ada).send().body(user);
    let _ = login(&users, &email_of("Ada"), PASSWORD).send().problem(401, "invalid-credentials");
    let _ = login(&users, &email_of("Ada"), OTHER).send().status(201);
    users.expect_published(json!([]));
}

#[test]
fn the_password_of_another_user_stays() {
    let users = start();
    let [ada, _] = ["Ada", "Bo"].map(|name| registered(&users, name));
    let before = hashes(&users);
    let _ = change(&users, &ada, PASSWORD, OTHER).status(204);
    let after = hashes(&users);
    assert!(before[0] != after[0] && before[1] == after[1]);
}

#[test]
fn a_wrong_current_password_changes_nothing() {
    let users = start();
    let ada = registered(&users, "Ada");
    let (before, _) = (everything(&users), users.published());
    let long = "p".repeat(1000);
    for wrong in ["", "Correct horse", "correct horse ", OTHER, &long] {
        let _ = change(&users, &ada, wrong, OTHER).problem(403, "wrong-password");
    }
    // An admin has to know it as well.
    let body = json!({"current_password": "wrong", "new_password": OTHER});
    let request = users.put(format!("/users/{ada}/password")).json(body).admin();
    let _ = request.send().problem(403, "wrong-password");
    assert_eq!(everything(&users), before);
    users.expect_published(json!([]));
}

#[test]
fn an_admin_who_knows_the_password_can_change_it() {
    let users = start();
    let ada = registered(&users, "Ada");
    let body = json!({"current_password": PASSWORD, "new_password": OTHER});
    let _ = users.put(format!("/users/{ada}/password")).json(&body).admin().send().status(204);
    let _ = login(&users, &email_of("Ada"), OTHER).send().status(201);
    let _ =
        users.put(format!("/users/{NOBODY}/password")).json(body).admin().send().problem(404, "not-found");
}

#[test]
fn a_password_that_is_too_short_or_too_long_is_refused() {
    let users = start();
    let ada = registered(&users, "Ada");
    let before = everything(&users);
    for wrong in ["", "012345678", &"🔑".repeat(9), &"p".repeat(129)] {
        let answer = change(&users, &ada, PASSWORD, wrong);
        assert!(wrong.is_empty() || !answer.text().contains(wrong), "{}", answer.text());
        assert_eq!(wrong_fields(answer), ["new_password"], "{wrong}");
    }
    assert_eq!(wrong_fields(change(&users, &ada, &"p".repeat(1001), OTHER)), ["current_password"]);
    let send = |body: Value| users.put(format!("/users/{ada}/password")).json(body).user(&ada).send();
    let wrong = json!({"current_password": null, "new_password": 7, "password": OTHER});
    assert_eq!(wrong_fields(send(wrong)), ["current_password", "new_password", "password"]);
    assert_eq!(wrong_fields(send(json!({}))), ["current_password", "new_password"]);
    assert_eq!(everything(&users), before);
}

#[test]
fn a_password_at_its_limits_is_accepted_and_compared_to_the_last_byte() {
    let users = start();
    let ada = registered(&users, "Ada");
    let mut current = PASSWORD.to_owned();
    for new in ["0123456789", "          ", "ä\u{0}\n\t🔑 pass", &"🔑".repeat(127), &"🔑".repeat(128)]
    {
        let _ = change(&users, &ada, &current, new).status(204);
        new.clone_into(&mut current);
    }
    let _ = login(&users, &email_of("Ada"), &"🔑".repeat(127)).send().problem(401, "invalid-credentials");
    let _ = login(&users, &email_of("Ada"), &"🔑".repeat(128)).send().status(201);
}

#[test]
fn the_same_password_again_gets_another_hash_each_time() {
    let users = start();
    let ada = registered(&users, "Ada");
    let mut seen = hashes(&users);
    for _ in 0..2 {
        let _ = change(&users, &ada, PASSWORD, PASSWORD).status(204);
        seen.extend(hashes(&users));
    }
    assert!(seen[0] != seen[1] && seen[0] != seen[2] && seen[1] != seen[2], "{seen:?}");
    let _ = login(&users, &email_of("Ada"), PASSWORD).send().status(201);
}

#[test]
fn a_hash_of_a_password_as_typed_logs_in_and_is_recomputed_once() {
    let users = start();
    registered_before(&users);
    // In the one form the earlier version did not know it.
    for wrong in [COMPOSED, "cre\u{301}me brulee"] {
        let _ = login(&users, &email_of("Ada"), wrong).send().problem(401, "invalid-credentials");
    }
    assert_eq!(hashes(&users), [HASH_OF_DECOMPOSED]);
    let _ = login(&users, &email_of("Ada"), DECOMPOSED).send().status(201);
    let renewed = hashes(&users);
    assert_ne!(renewed, [HASH_OF_DECOMPOSED]);
    for typed in [DECOMPOSED, COMPOSED] {
        let _ = login(&users, &email_of("Ada"), typed).send().status(201);
        assert_eq!(hashes(&users), renewed, "{typed}");
    }
}

#[test]
fn a_password_hashed_as_typed_can_be_changed() {
    let users = start();
    let ada = registered_before(&users);
    let _ = change(&users, &ada, COMPOSED, OTHER).problem(403, "wrong-password");
    let _ = change(&users, &ada, DECOMPOSED, OTHER).status(204);
    let _ = login(&users, &email_of("Ada"), DECOMPOSED).send().problem(401, "invalid-credentials");
    let _ = login(&users, &email_of("Ada"), OTHER).send().status(201);
}
