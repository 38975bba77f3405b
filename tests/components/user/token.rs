//! What a token says, and that the key set verifies it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bulkhead_testing::{Service, Value, json};
use ed25519_dalek::{Signature, VerifyingKey};

use super::{ADMIN, ADMIN_EMAIL, ADMIN_PASSWORD, PASSWORD, email_of, login, registered, start, with};

fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// The header and the claims of a token whose signature is that of the key that its header names, in this key set.
#[track_caller]
pub(super) fn verified(token: &str, keys: &Value) -> Option<(Value, Value)> {
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let (header, claims) = signed.split_once('.').expect("a header and claims");
    let [header, claims] = [header, claims].map(|part| serde_json_of(&decoded(part)));
    let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?;
    let bytes = decoded(key["x"].as_str()?).try_into().expect("32 bytes");
    let key = VerifyingKey::from_bytes(&bytes).expect("a key");
    let signature = Signature::from_slice(&decoded(signature)).expect("a signature");
    key.verify_strict(signed.as_bytes(), &signature).ok().map(|()| (header, claims))
}

fn serde_json_of(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).expect("text").parse().expect("JSON")
}

/// The key set, as anybody gets it.
#[track_caller]
pub(super) fn key_set(users: &Service) -> Value {
    users.get("/.well-known/jwks.json").send().status(200).json()
}

#[test]
fn a_token_states_its_user_roles_and_expiry() {
    // 1,000,000,000.5 seconds after 1970.
    let users = with().at("2001-09-09T01:46:40.500Z").start().service("user");
    let ada = registered(&users, "Ada");
    for (email, password, subject, role) in [
        (email_of("Ada"), PASSWORD, ada.as_str(), "customer"),
        (ADMIN_EMAIL.to_owned(), ADMIN_PASSWORD, ADMIN, "admin"),
    ] {
        let answer = login(&users, &email, password).send().status(201);
        assert_eq!(answer.text_of("expires_at"), "2001-09-09T02:46:40.000Z");
        let keys = key_set(&users);
        let (header, mut claims) = verified(&answer.text_of("token"), &keys).expect("the signature is right");
        assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": keys["keys"][0]["kid"]}));
        let id = claims.as_object_mut().and_then(|claims| claims.remove("jti"));
        assert!(id.is_some_and(|id| id.as_str().is_some_and(|id| id.len() == 36)), "{claims}");
        assert_eq!(
            claims,
            json!({
                "iss": "shop", "aud": "shop", "sub": subject, "roles": [role], "iat": 1_000_000_000, "exp": 1_000_003_600,
            })
        );
    }
}

#[test]
fn no_two_tokens_are_the_same() {
    let users = start();
    registered(&users, "Ada");
    let tokens =
        [0; 2].map(|_| login(&users, &email_of("Ada"), PASSWORD).send().status(201).text_of("token"));
    let keys = key_set(&users);
    let ids = tokens.map(|token| verified(&token, &keys).expect("the signature is right").1["jti"].clone());
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_modified_token_is_invalid() {
    let users = start();
    registered(&users, "Ada");
    let token = login(&users, &email_of("Ada"), PASSWORD).send().status(201).text_of("token");
    let mut parts = token.splitn(3, '.');
    let [header, claims, signature] = [0; 3].map(|_| parts.next().unwrap_or_default());
    let admin = String::from_utf8(decoded(claims)).expect("text").replace("customer", "admin");
    let other = format!("{header}.{}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(admin));
    let keys = key_set(&users);
    assert!(verified(&token, &keys).is_some() && verified(&other, &keys).is_none());
}

#[test]
fn the_manifest_sets_the_issuer_and_audience_of_tokens() {
    let users = with().config("user", "token_issuer", "a").config("user", "token_audience", "b").start();
    let users = users.service("user");
    let token = login(&users, ADMIN_EMAIL, ADMIN_PASSWORD).send().status(201).text_of("token");
    let (_, claims) = verified(&token, &key_set(&users)).expect("the signature is right");
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("a"), &json!("b")));
}
