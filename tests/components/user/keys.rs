//! `GET /.well-known/jwks.json`, and the life of the keys.

use std::time::Duration;

use bulkhead_testing::{Builder, Service, Value, json};

use super::token::{key_set, verified};
use super::{ADMIN_EMAIL, ADMIN_PASSWORD, login, start, with};

/// A login: the token.
#[track_caller]
fn token(users: &Service) -> String {
    login(users, ADMIN_EMAIL, ADMIN_PASSWORD).send().status(201).text_of("token")
}

fn ids(keys: &Value) -> Vec<&str> {
    keys["keys"].as_array().into_iter().flatten().filter_map(|key| key["kid"].as_str()).collect()
}

/// A service whose keys sign for an hour, with its first login: the token.
fn with_hourly_keys() -> (Service, String) {
    let users = Builder::start(with().config("user", "signing_key_hours", "1")).service("user");
    let token = token(&users);
    (users, token)
}

const HOUR: Duration = Duration::from_secs(3600);

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn the_key_is_created_at_the_first_login_and_kept() {
    let users = start();
    assert_eq!(key_set(&users), json!({"keys": []}));
    let _ = login(&users, ADMIN_EMAIL, "wrong").send().status(401);
    assert_eq!(key_set(&users), json!({"keys": []}));
    token(&users);
    let keys = key_set(&users);
    let (id, x) = (&keys["keys"][0]["kid"], &keys["keys"][0]["x"]);
    assert!(id.as_str().is_some_and(|id| id.len() == 36) && x.as_str().is_some_and(|x| x.len() == 43));
    let key = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x});
    assert_eq!(keys, json!({"keys": [key]}));
    token(&users);
    assert_eq!(key_set(&users), keys);
}

#[test]
fn the_key_set_is_publicly_cacheable_for_a_minute() {
    let users = start();
    token(&users);
    let answer = users.get("/.well-known/jwks.json").send().status(200);
    let tag = answer.header("cache-control", "public, max-age=60").header_value("etag").unwrap_or_default();
    let again = users.get("/.well-known/jwks.json").header("if-none-match", &tag).send();
    let _ = again.status(304).empty().header("cache-control", "public, max-age=60");
    let answer = users.get("/.well-known/jwks.json?x=1").send();
    assert_eq!(super::wrong_fields(answer), ["x"]);
}

#[test]
fn the_private_key_is_in_no_response() {
    let users = start();
    token(&users);
    let rows = users.rows("SELECT lower(hex(private_key)) AS private FROM signing_key");
    assert_eq!(rows[0]["private"].as_str().map(str::len), Some(64));
    let members: Vec<String> =
        key_set(&users)["keys"][0].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    assert!(!members.iter().any(|name| name == "d"), "{members:?}");
}

#[test]
fn an_expired_signing_key_is_replaced_at_the_next_login() {
    let (users, first) = with_hourly_keys();
    // The next request comes a millisecond later: at 1 h less 1 ms since the key was made, and then at 1 h.
    users.advance(HOUR - milliseconds(2));
    token(&users);
    assert_eq!(users.rows("SELECT count(*) AS keys FROM signing_key"), json!([{"keys": 1}]));
    let second = token(&users);
    let now = users.now();
    // Of the old one nothing secret is left, and both are served, the oldest first.
    assert_eq!(
        users.rows("SELECT private_key IS NULL AS is_public, retired_at FROM signing_key ORDER BY id"),
        json!([{"is_public": 1, "retired_at": now}, {"is_public": 0, "retired_at": null}])
    );
    let keys = key_set(&users);
    let [old, new] = &ids(&keys)[..] else { panic!("there are not two keys: {keys}") };
    assert!(old < new);
    assert_eq!(verified(&first, &keys).expect("the signature is right").0["kid"], json!(old));
    assert_eq!(verified(&second, &keys).expect("the signature is right").0["kid"], json!(new));
    token(&users);
    assert_eq!(key_set(&users), keys);
}

#[test]
fn a_retired_key_is_served_for_61_minutes_and_deleted_when_the_next_one_is_created() {
    let (users, first) = with_hourly_keys();
    users.advance(HOUR);
    token(&users);
    let retired = key_set(&users);
    // The key set was asked for 1 ms after the old key was retired; it is served until 3660 s after that.
    users.advance(HOUR + Duration::from_secs(60) - milliseconds(3));
    assert_eq!(key_set(&users), retired);
    let keys = key_set(&users);
    assert_eq!(ids(&keys), ids(&retired)[1..]);
    assert!(verified(&first, &keys).is_none());
    // It is still a row; the next key takes it away, and retires the second one.
    assert_eq!(users.rows("SELECT count(*) AS keys FROM signing_key"), json!([{"keys": 2}]));
    token(&users);
    let kept = users.rows("SELECT id, retired_at IS NULL AS signs FROM signing_key ORDER BY id");
    let third = key_set(&users);
    let expected = [ids(&retired)[1], ids(&third)[1]];
    assert_eq!(kept, json!([{"id": expected[0], "signs": 0}, {"id": expected[1], "signs": 1}]));
}

#[test]
fn a_key_signs_for_30_days_by_default() {
    let users = start();
    token(&users);
    users.advance(720 * HOUR - milliseconds(2));
    token(&users);
    assert_eq!(ids(&key_set(&users)).len(), 1);
    token(&users);
    assert_eq!(ids(&key_set(&users)).len(), 2);
}
