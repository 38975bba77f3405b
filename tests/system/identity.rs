//! Tokens, checked at the edge for any application: here the key set is that of a guest which serves what it was given.

use std::time::Instant;

use bulkhead_tests::token::{Signer, encode, key_set, now, part};
use bulkhead_tests::{Client, Host, Manifest, Site, shop};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

fn site() -> Site {
    let manifest = Manifest::guests()
        .set("application.auth.keys", "relay:/relay/keys")
        .set("application.auth.issuer", "tests")
        .set("application.auth.audience", "guests")
        .set("application.auth.revoked_by", "hostile.noted");
    Site::new(&manifest)
}

/// Has the guest serve these keys.
#[track_caller]
fn serve(host: &Host, keys: &Value) {
    let answer = host.client().send(Method::PUT, "/relay/keys", &[], Bytes::from(keys.to_string()));
    answer.expect(204);
}

fn claims(subject: &str) -> Value {
    json!({"iss": "tests", "aud": "guests", "sub": subject, "roles": ["reader"], "exp": now() + 600})
}

/// The claims with one changed, or removed where it is null.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims("someone");
    let members = claims.as_object_mut().unwrap();
    match value {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.to_owned(), value)),
    }
    claims
}

fn ask(client: &mut Client, authorization: &str) -> bulkhead_tests::Answer {
    client.send(Method::GET, "/relay/whoami", &[("authorization", authorization)], Bytes::new())
}

#[test]
fn valid_token_gives_the_principal_and_is_not_passed_to_the_component() {
    let (site, signer) = (site(), Signer::new("first"));
    let host = site.start();
    serve(&host, &key_set(&[&signer]));
    let mut client = host.client();
    assert_eq!(client.get("/relay/whoami").expect(200)["principal"], Value::Null);
    let expires_at = now() + 600;
    let principal = json!({"subject": "someone", "roles": ["reader"], "expires_at": expires_at});
    let good = but("exp", json!(expires_at));
    for token in [
        signer.token(&good),
        signer.token(&{
            let mut claims = good.clone();
            claims["aud"] = json!(["others", "guests"]);
            claims["nbf"] = json!(now());
            claims["more"] = json!({"than": "needed"});
            claims
        }),
    ] {
        // Once to be checked, and once to be known.
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let whoami = ask(&mut client, &format!("{scheme} {token}")).expect(200);
            assert_eq!(whoami["principal"], principal);
            let headers = whoami["headers"].as_array().unwrap();
            assert!(!headers.contains(&json!("authorization")), "{whoami}");
        }
    }
    let without_roles = ask(&mut client, &format!("Bearer {}", signer.token(&but("roles", Value::Null))));
    assert_eq!(without_roles.expect(200)["principal"]["roles"], json!([]));
}

#[test]
fn invalid_token_is_refused_on_every_route_for_every_defect() {
    let (site, signer, foreign) = (site(), Signer::new("first"), Signer::new("first"));
    let host = site.start();
    serve(&host, &key_set(&[&signer]));
    let good = signer.token(&claims("someone"));
    let mut client = host.client();
    ask(&mut client, &format!("Bearer {good}")).expect(200);

    let [header, payload, signature] = [0, 1, 2].map(|part| good.split('.').nth(part).unwrap());
    let none = encode(json!({"alg": "none", "typ": "JWT", "kid": "first"}).to_string());
    let other_claims = encode(claims("somebody-else").to_string());
    let with_header = |header: Value| signer.token_with(&header, &claims("someone"));
    let tokens = [
        ("no token", String::new()),
        ("no JWT", "nonsense".to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.{signature}")),
        ("alg none, no signature", format!("{none}.{payload}.")),
        ("alg none, a signature", format!("{none}.{payload}.{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("other claims", format!("{header}.{other_claims}.{signature}")),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..40])),
        ("a foreign key of the same id", foreign.token(&claims("someone"))),
        ("HS256", with_header(json!({"alg": "HS256", "typ": "JWT", "kid": "first"}))),
        ("ES256", with_header(json!({"alg": "ES256", "typ": "JWT", "kid": "first"}))),
        ("no alg", with_header(json!({"typ": "JWT", "kid": "first"}))),
        ("no key", with_header(json!({"alg": "EdDSA", "typ": "JWT"}))),
        ("crit", with_header(json!({"alg": "EdDSA", "kid": "first", "crit": ["b64"], "b64": false}))),
        ("expired", signer.token(&but("exp", json!(now() - 60)))),
        ("no end", signer.token(&but("exp", Value::Null))),
        ("an end that is text", signer.token(&but("exp", json!("tomorrow")))),
        ("an end in a year", signer.token(&but("exp", json!(now() + 365 * 86_400)))),
        ("an end beyond all bounds", signer.token(&but("exp", json!(u64::MAX)))),
        ("not yet", signer.token(&but("nbf", json!(now() + 600)))),
        ("another issuer", signer.token(&but("iss", json!("others")))),
        ("no issuer", signer.token(&but("iss", Value::Null))),
        ("another audience", signer.token(&but("aud", json!("others")))),
        ("an audience of none", signer.token(&but("aud", json!([])))),
        ("no audience", signer.token(&but("aud", Value::Null))),
        ("no subject", signer.token(&but("sub", Value::Null))),
        ("an empty subject", signer.token(&but("sub", json!("")))),
        ("the host's subject", signer.token(&but("sub", json!("service:relay")))),
        ("roles that are text", signer.token(&but("roles", json!("admin")))),
        ("too long", signer.token(&but("more", json!("x".repeat(10_000))))),
    ];
    let routes = [
        (Method::GET, "/relay/whoami"),
        (Method::GET, "/notes"),
        (Method::POST, "/notes"),
        (Method::GET, "/notes/there-is-none"),
        (Method::DELETE, "/notes"),
        (Method::GET, "/users"),
    ];
    for (what, token) in &tokens {
        for (method, path) in &routes {
            let authorization = format!("Bearer {token}");
            let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
            let body = Bytes::from_static(br#"{"id": "never", "body": "x"}"#);
            let answer = client.send(method.clone(), path, &headers, body);
            let problem = answer.problem(401, "invalid-token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{what}");
            let text = problem.to_string();
            assert!(token.is_empty() || !text.contains(token.as_str()), "{what}: {text}");
        }
    }
    for authorization in ["Basic c29tZW9uZTpzZWNyZXQ=", "Bearer", "", good.as_str()] {
        ask(&mut client, authorization).problem(401, "invalid-token");
    }
    let twice = [("authorization", format!("Bearer {good}")), ("authorization", format!("Bearer {good}"))];
    let twice: Vec<(&str, &str)> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.send(Method::GET, "/notes", &twice, Bytes::new()).problem(401, "invalid-token");
    assert!(shop::read_all(&mut host.client(), "/notes?", 50).is_empty());
    // A bad token is no matter of the host's own pages.
    client.send(Method::GET, "/healthz", &[("authorization", "Bearer x")], Bytes::new()).expect_status(200);
}

#[test]
fn cached_token_is_refused_when_it_expires() {
    let (site, signer) = (site(), Signer::new("first"));
    let host = site.start();
    serve(&host, &key_set(&[&signer]));
    let mut client = host.client();
    // Within the leeway of ten seconds for clocks that are apart, of which eight are over.
    let authorization = format!("Bearer {}", signer.token(&but("exp", json!(now() - 8))));
    ask(&mut client, &authorization).expect(200);
    let started = Instant::now();
    loop {
        let answer = ask(&mut client, &authorization);
        if answer.status == 401 {
            answer.problem(401, "invalid-token");
            return;
        }
        answer.expect(200);
        assert!(started.elapsed().as_secs() < 30, "it never expires");
    }
}

#[test]
fn new_key_is_valid_at_once_and_a_removed_key_is_not() {
    let (site, first, second) = (site(), Signer::new("first"), Signer::new("second"));
    let host = site.start();
    serve(&host, &key_set(&[&first]));
    let mut client = host.client();
    let [old, new] = [&first, &second].map(|signer| format!("Bearer {}", signer.token(&claims("someone"))));
    ask(&mut client, &old).expect(200);
    ask(&mut client, &new).problem(401, "invalid-token");
    serve(&host, &key_set(&[&first, &second]));
    ask(&mut client, &new).expect(200);
    ask(&mut client, &old).expect(200);
    // The next token of an unknown key has the set fetched; what was known by the old set is checked again.
    serve(&host, &key_set(&[&second]));
    let unknown = format!("Bearer {}", Signer::new("third").token(&claims("someone")));
    ask(&mut client, &unknown).problem(401, "invalid-token");
    ask(&mut client, &old).problem(401, "invalid-token");
    ask(&mut client, &new).expect(200);
}

#[test]
fn keys_are_kept_while_their_service_is_down_and_fetched_at_most_once_a_second() {
    let (site, signer) = (site(), Signer::new("first"));
    let host = site.start();
    let good = format!("Bearer {}", signer.token(&claims("someone")));
    let unknown = format!("Bearer {}", Signer::new("second").token(&claims("someone")));
    // Before there ever was a key set, nobody can tell.
    ask(&mut host.client(), &good).problem(503, "unavailable");
    serve(&host, &key_set(&[&signer]));
    let known = "/notes/none";
    let mut client = host.client();
    client.send(Method::GET, known, &[("authorization", &good)], Bytes::new()).problem(404, "not-found");

    let trap = host.client().send(Method::PUT, "/relay/keys", &[], Bytes::from_static(b"trap"));
    trap.expect(204);
    let started = Instant::now();
    let failures = |host: &Host| host.stderr().matches("the key set can't be had").count();
    let before = failures(&host);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (mut client, unknown) = (host.client(), &unknown);
            scope.spawn(move || {
                for _ in 0..2 {
                    let answer = client.send(Method::GET, known, &[("authorization", unknown)], Bytes::new());
                    answer.problem(503, "unavailable");
                    assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
                }
            });
        }
        for _ in 0..100 {
            client
                .send(Method::GET, known, &[("authorization", &good)], Bytes::new())
                .problem(404, "not-found");
        }
    });
    let (asked, seconds) = (failures(&host) - before, started.elapsed().as_secs());
    assert!(asked >= 1 && asked as u64 <= seconds + 1, "asked {asked} times in {seconds} s");
    let document = key_set(&[&signer]);
    serve(&host, &document);
    client
        .send(Method::GET, known, &[("authorization", &unknown)], Bytes::new())
        .problem(401, "invalid-token");
}

/// Whoever names an unknown key and goes away must not take the fetch along that others wait for.
#[test]
fn disconnected_client_does_not_cancel_a_fetch_that_others_wait_for() {
    let (site, first, second) = (site(), Signer::new("first"), Signer::new("second"));
    let host = site.start();
    serve(&host, &key_set(&[&first]));
    let mut client = host.client();
    ask(&mut client, &format!("Bearer {}", first.token(&claims("someone")))).expect(200);
    serve(&host, &key_set(&[&first, &second]));
    let unknown = Signer::new("third").token(&claims("someone"));
    let request = format!(
        "GET /relay/whoami HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {unknown}\r\n\r\n",
        host.address()
    );
    let (done, address) = (std::sync::atomic::AtomicBool::new(false), host.address());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
            }
        });
        let authorization = format!("Bearer {}", second.token(&claims("someone")));
        let answer = ask(&mut client, &authorization);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        answer.expect(200);
    });
}

/// The answer that tells of the end leaves after the host knows of it: there is no moment in which the token still counts.
#[test]
fn tokens_of_a_deleted_subject_are_refused_once_its_deletion_is_answered() {
    let (site, signer) = (site(), Signer::new("first"));
    let mut host = site.start();
    serve(&host, &key_set(&[&signer]));
    let subjects: Vec<String> = (0..40).map(|number| format!("subject-{number}")).collect();
    std::thread::scope(|scope| {
        for chunk in subjects.chunks(5) {
            let (mut client, signer) = (host.client(), &signer);
            scope.spawn(move || {
                for subject in chunk {
                    let authorization = format!("Bearer {}", signer.token(&claims(subject)));
                    ask(&mut client, &authorization).expect(200);
                    client.post("/notes", &json!({"id": subject, "body": "x"})).expect(201);
                    ask(&mut client, &authorization).problem(401, "invalid-token");
                }
            });
        }
    });
    ask(&mut host.client(), &format!("Bearer {}", signer.token(&claims("another")))).expect(200);
    // One that was rolled back is no end.
    let mut client = host.client();
    client.post("/hostile/trap?id=another", &json!({})).problem(500, "internal");
    ask(&mut client, &format!("Bearer {}", signer.token(&claims("another")))).expect(200);
    for _ in 0..2 {
        host.kill();
        host = site.start();
        let mut client = host.client();
        for subject in &subjects {
            let authorization = format!("Bearer {}", signer.token(&claims(subject)));
            ask(&mut client, &authorization).problem(401, "invalid-token");
        }
    }
}

#[test]
fn call_has_at_most_the_principal_of_the_request() {
    let (site, signer) = (site(), Signer::new("first"));
    let host = site.start();
    serve(&host, &key_set(&[&signer]));
    let relay = |roles: Option<&[&str]>| {
        let token = roles.map(|roles| {
            let mut claims = claims("01890000-0000-7000-8000-000000000007");
            claims["roles"] = json!(roles);
            format!("Bearer {}", signer.token(&claims))
        });
        let headers: Vec<_> = token.as_deref().map(|token| ("authorization", token)).into_iter().collect();
        let report = host.client().send(Method::GET, "/relay/user?path=/users", &headers, Bytes::new());
        report.expect(200)["status"].clone()
    };
    assert_eq!(relay(None), 401);
    assert_eq!(relay(Some(&["reader"])), 403);
    assert_eq!(relay(Some(&["reader", "admin"])), 200);
}

#[test]
fn manifest_with_unserved_keys_or_unpublished_revocations_is_refused() {
    let manifest = Manifest::guests()
        .set("application.auth.keys", "nobody:/keys")
        .set("application.auth.issuer", "tests")
        .set("application.auth.audience", "guests")
        .set("application.auth.revoked_by", "nobody.left");
    let site = Site::new(&manifest);
    site.fail_to_start().says(1, &["nobody", "hostile, relay, user", "nobody.left", "publishes"]);
    for keys in ["relay", "relay:keys", "/keys", "relay:/keys?all"] {
        site.write_manifest(&manifest.clone().set("application.auth.keys", keys).text());
        site.fail_to_start().says(1, &["application.auth.keys", keys, "jwks.json"]);
    }
    site.write_manifest(&manifest.without("application.auth.issuer").text());
    site.fail_to_start().says(1, &["application.auth", "issuer"]);
}

#[test]
fn without_auth_in_the_manifest_no_request_has_a_principal() {
    let host = Site::guests().start();
    let mut client = host.client();
    let whoami = ask(&mut client, "Bearer whatever").expect(200);
    assert_eq!(whoami["principal"], Value::Null);
    assert!(!whoami["headers"].as_array().unwrap().contains(&json!("authorization")), "{whoami}");
    // What is no token of this host's is no business of it.
    assert_eq!(part(&Signer::new("x").token(&claims("x")), 0)["alg"], "EdDSA");
}
