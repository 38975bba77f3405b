//! Sessions: logging in as a customer and as the administrator, and what the settings of it may be.

mod crash;
mod failures;
mod keys;

use bulkhead_tests::host::ADMIN_PASSWORD;
use bulkhead_tests::shop::{self, ADMIN_EMAIL, ADMIN_ID, PASSWORD, id, untraced, user_body, users_alone};
use bulkhead_tests::token::{now, part};
use bulkhead_tests::{Answer, Client, Host, Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const KEYS: &str = "/.well-known/jwks.json";

fn site() -> Site {
    Site::new(&users_alone())
}

/// Logs in, or tries to.
fn log_in(client: &mut Client, email: &str, password: &str) -> Answer {
    client.post("/sessions", &json!({"email": email, "password": password}))
}

/// Registers a customer with this email; their id.
#[track_caller]
fn register(host: &Host, email: &str) -> String {
    id(&host.client().post("/users", &user_body(email, "Ada")).expect(201))
}

/// Rows of the database, as text.
#[track_caller]
fn rows(site: &Site, statement: &str) -> Vec<String> {
    database::texts(&database::open(&site.database("user")), statement)
}

/// A time of an answer in seconds since 1970.
#[track_caller]
fn seconds(site: &Site, time: &Value) -> u64 {
    let time = time.as_str().unwrap_or_else(|| panic!("not a time: {time}"));
    let statement = format!("SELECT unixepoch('{time}')");
    database::number(&database::open(&site.database("user")), &statement).try_into().unwrap()
}

/// What a token opens.
#[track_caller]
fn current(host: &Host, token: &str) -> Answer {
    host.client().with_token(token).get("/sessions/current")
}

#[test]
fn login_gives_a_token_of_one_hour_that_is_not_stored() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    assert_eq!(client.get(KEYS).expect(200), json!({"keys": []}));
    let user = register(&host, "Ada@Tests.example");
    let before = now();
    let answer = log_in(&mut client, "Ada@Tests.example", PASSWORD);
    let session = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("location"), Some("/sessions/current"));
    let token = session["token"].as_str().unwrap();
    let expires_at = &session["expires_at"];
    let expected = json!({"token": token, "token_type": "Bearer", "expires_at": expires_at, "user_id": user});
    assert_eq!(session, expected);

    let claims = part(token, 1);
    let (issued, expires) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!((before..=now()).contains(&issued), "{claims}");
    assert_eq!(expires, issued + 3600);
    assert_eq!(seconds(&site, expires_at), expires);
    let expected = json!({
        "iss": "shop", "aud": "shop", "sub": user, "roles": ["customer"], "iat": issued, "exp": expires,
        "jti": claims["jti"],
    });
    assert_eq!(claims, expected);

    let answer = client.get(KEYS);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    let keys = answer.expect(200);
    let key = &keys["keys"][0];
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": key["kid"]});
    assert_eq!(part(token, 0), header);
    let expected = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key["kid"], "x": key["x"],
    });
    assert_eq!(keys, json!({"keys": [expected]}), "and no private half");

    let answer = current(&host, token);
    let expected = json!({"user_id": user, "roles": ["customer"], "expires_at": expires_at});
    assert_eq!(answer.expect(200), expected);
}

#[test]
fn email_case_is_ignored_at_login_and_each_session_has_its_own_token() {
    let site = site();
    let host = site.start();
    let user = register(&host, "Ada@Tests.example");
    let mut client = host.client();
    let before = database::row_counts(&site.database("user"));
    let tokens =
        ["Ada@Tests.example", "ada@tests.example", "ADA@TESTS.EXAMPLE", "ada@tests.example"].map(|email| {
            let session = log_in(&mut client, email, PASSWORD).expect(201);
            assert_eq!(session["user_id"], user.as_str());
            session["token"].as_str().unwrap().to_owned()
        });
    for (number, token) in tokens.iter().enumerate() {
        current(&host, token).expect(200);
        assert!(!tokens[..number].contains(token));
        assert_eq!(part(token, 0)["kid"], part(&tokens[0], 0)["kid"]);
    }
    // One key was made, and else a login writes nothing.
    let mut expected = before;
    *expected.get_mut("signing_key").unwrap() = 1;
    assert_eq!(database::row_counts(&site.database("user")), expected);
}

#[test]
fn wrong_email_and_wrong_password_get_the_same_answer() {
    let site = site();
    let host = site.start();
    register(&host, "ada@tests.example");
    let mut client = host.client();
    // What an answer is made of; the trace and the time are each answer's own.
    let mut refusal = |email: &str, password: &str| {
        let answer = log_in(&mut client, email, password);
        let problem = untraced(answer.problem(401, "invalid-credentials"));
        let own = ["date", "traceresponse", "bulkhead-position"];
        let headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .filter(|(name, _)| !own.contains(&name.as_str()))
            .collect();
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        (problem, headers, names)
    };
    let expected = refusal("nobody@tests.example", PASSWORD);
    let long = "p".repeat(1000);
    for (email, password) in [
        ("ada@tests.example", "wrong password"),
        ("ada@tests.example", ""),
        ("ada@tests.example", "tests-only-password "),
        ("ada@tests.example", long.as_str()),
        ("nobody@tests.example", ""),
        (ADMIN_EMAIL, PASSWORD),
        (ADMIN_EMAIL, ""),
        ("ada@tests.example", ADMIN_PASSWORD),
    ] {
        assert_eq!(refusal(email, password), expected, "{email} {password}");
    }
    // Nothing but that they failed was written: a key is made by a login that does not.
    assert!(rows(&site, "SELECT id FROM signing_key").is_empty());
    let failures = "SELECT json_array(email, peer, failures) FROM login_failure ORDER BY email";
    let expected = [("ada@tests.example", 5), (ADMIN_EMAIL, 2), ("nobody@tests.example", 2)]
        .map(|(email, failures)| json!([email, "127.0.0.1", failures]).to_string());
    assert_eq!(rows(&site, failures), expected);
}

#[test]
fn all_errors_of_a_login_are_reported_at_once_and_do_not_count_as_a_failure() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    let before = database::row_counts(&site.database("user"));
    client.post("/sessions", &json!({})).invalid(&["email", "password"]);
    let wrong = json!({"email": "ada", "password": "p".repeat(1001), "remember": true});
    client.post("/sessions", &wrong).invalid(&["email", "password", "remember"]);
    for value in [json!(null), json!(7), json!(["a@b"])] {
        client.post("/sessions", &json!({"email": value, "password": value})).invalid(&["email", "password"]);
    }
    let headers = [("content-type", "application/json")];
    let answer = client.send(Method::POST, "/sessions", &headers, Bytes::from_static(b"{\"email\": "));
    assert_eq!(answer.status, 400, "{answer}");
    answer.any_problem();
    assert_eq!(database::row_counts(&site.database("user")), before);
}

#[test]
fn administrator_logs_in_and_is_not_a_user_of_the_database() {
    let site = site();
    let host = site.start();
    for email in [ADMIN_EMAIL, "ADMIN@Shop.Example"] {
        let answer = log_in(&mut host.client(), email, ADMIN_PASSWORD);
        let session = answer.expect(201);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!((&session["user_id"], &session["token_type"]), (&json!(ADMIN_ID), &json!("Bearer")));
        let token = session["token"].as_str().unwrap();
        let claims = part(token, 1);
        assert_eq!((&claims["sub"], &claims["roles"]), (&json!(ADMIN_ID), &json!(["admin"])));
        assert_eq!(seconds(&site, &session["expires_at"]), claims["exp"].as_u64().unwrap());
        let expected = json!({"user_id": ADMIN_ID, "roles": ["admin"], "expires_at": session["expires_at"]});
        assert_eq!(current(&host, token).expect(200), expected);
        let mut admin = host.client().with_token(token);
        assert_eq!(admin.get("/users").expect(200)["items"], json!([]));
        admin.get(&format!("/users/{ADMIN_ID}")).problem(404, "not-found");
    }
    for wrong in
        ["", PASSWORD, "Tests-only-admin-password", "tests-only-admin-password ", "tests-only-admin-passwor"]
    {
        log_in(&mut host.client(), ADMIN_EMAIL, wrong).problem(401, "invalid-credentials");
    }
}

#[test]
fn login_as_administrator_requires_the_secret() {
    let mut table = toml::Table::new();
    table.insert("env".to_owned(), "A_VARIABLE_THAT_NOBODY_SETS".into());
    let site = Site::new(&users_alone().set("service.user.secrets.admin_password", table));
    let host = site.start();
    for password in ["", ADMIN_PASSWORD, PASSWORD, "A_VARIABLE_THAT_NOBODY_SETS"] {
        log_in(&mut host.client(), ADMIN_EMAIL, password).problem(401, "invalid-credentials");
    }
    // The address is nobody else's all the same.
    host.client().post("/users", &user_body(ADMIN_EMAIL, "Eve")).problem(409, "email-taken");
    host.stop();
    // Once the secret is set, there is one.
    site.write_manifest(&users_alone().text());
    let host = site.start();
    log_in(&mut host.client(), ADMIN_EMAIL, ADMIN_PASSWORD).expect(201);
}

#[test]
fn session_is_that_of_the_token_and_cannot_be_forged() {
    let host = site().start();
    let mut client = host.client();
    client.get("/sessions/current").problem(401, "unauthenticated");
    current(&host, "nonsense").problem(401, "invalid-token");
    let mut ada = host.customer("Ada");
    assert_eq!(ada.client.get("/sessions/current").expect(200)["user_id"], ada.id.as_str());
    ada.client.get("/sessions/current?colour=blue").invalid(&["colour"]);
    for method in [Method::DELETE, Method::PUT] {
        ada.client.json(method, "/sessions/current", &Value::Null).problem(405, "method-not-allowed");
    }
    // What one customer's token opens is theirs alone, whatever its claims are made to say.
    let token = ada.client.token().unwrap().to_owned();
    let [header, payload, signature] = [0, 1, 2].map(|number| token.split('.').nth(number).unwrap());
    let mut claims = part(&token, 1);
    claims["roles"] = json!(["admin"]);
    let forged = bulkhead_tests::token::encode(claims.to_string());
    current(&host, &format!("{header}.{forged}.{signature}")).problem(401, "invalid-token");
    current(&host, &format!("{header}.{payload}.{signature}")).expect(200);
}

#[test]
fn a_hash_is_recomputed_by_the_first_login_after_its_cost_has_changed() {
    let site = site();
    let host = site.start();
    let [ada, bo] = ["ada@tests.example", "bo@tests.example"];
    for email in [ada, bo] {
        register(&host, email);
    }
    log_in(&mut host.client(), ada, PASSWORD).expect(201);
    host.stop();
    let users = || rows(&site, "SELECT json_array(id, email, first_name, created_at, updated_at) FROM user");
    let hash = |email: &str| {
        rows(&site, &format!("SELECT password_hash FROM user WHERE email = '{email}'")).remove(0)
    };
    let (before, [adas, bos]) = (users(), [hash(ada), hash(bo)]);

    let costs = [
        ("service.user.config.argon2_iterations", 2, "$argon2id$v=19$m=8,t=2,p=1$"),
        ("service.user.config.argon2_memory_kib", 16, "$argon2id$v=19$m=16,t=1,p=1$"),
    ];
    let mut last = adas;
    for (setting, value, cost) in costs {
        site.write_manifest(&users_alone().set(setting, value).text());
        let host = site.start();
        let mut client = host.client();
        assert_eq!(hash(ada), last, "not by the start");
        log_in(&mut client, ada, "wrong password").problem(401, "invalid-credentials");
        log_in(&mut client, bo, ADMIN_PASSWORD).problem(401, "invalid-credentials");
        assert_eq!(hash(ada), last, "not by a login that fails");
        log_in(&mut client, ada, PASSWORD).expect(201);
        let renewed = hash(ada);
        assert!(renewed.starts_with(cost), "{renewed}");
        log_in(&mut client, ada, PASSWORD).expect(201);
        assert_eq!(hash(ada), renewed, "once");
        log_in(&mut client, ada, "wrong password").problem(401, "invalid-credentials");
        last = renewed;
        host.stop();
    }
    assert_eq!(hash(bo), bos, "who does not log in keeps theirs");
    assert_eq!(users(), before);
    assert_eq!(rows(&site, "SELECT id FROM _bulkhead_outbox").len(), 2, "it is nothing to tell others");
    let host = site.start();
    log_in(&mut host.client(), bo, PASSWORD).expect(201);
    assert!(hash(bo).starts_with("$argon2id$v=19$m=16,t=1,p=1$"));
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_at_the_start_by_its_name() {
    let site = site();
    let table: [(&str, toml::Value); 6] = [
        ("argon2_memory_kib", "much".into()),
        ("argon2_iterations", 0.into()),
        ("login_failures", 0.into()),
        ("login_window_seconds", "-1".into()),
        ("signing_key_hours", 0.into()),
        ("admin_email", "nobody".into()),
    ];
    let mut all = users_alone();
    for (key, value) in &table {
        let path = format!("service.user.config.{key}");
        site.write_manifest(&users_alone().set(&path, value.clone()).text());
        let finished = site.fail_to_start();
        finished.says(1, &[key, "user"]);
        assert!(!finished.stderr.contains(ADMIN_PASSWORD), "{}", finished.stderr);
        all = all.set(&path, value.clone());
    }
    // All of them at once.
    site.write_manifest(&all.text());
    site.fail_to_start().says(1, &table.each_ref().map(|(key, _)| *key));
    // A password without an address would be nobody's.
    site.write_manifest(&users_alone().without("service.user.config.admin_email").text());
    site.fail_to_start().says(1, &["admin_email", "admin_password"]);
    site.write_manifest(&users_alone().text());
    let host = site.start();
    shop::register(&mut host.client(), "Ada");
}
