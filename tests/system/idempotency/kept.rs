//! What is kept of a request with a key, for how long it is, and what never is.

use bulkhead_tests::Customer;
use bulkhead_tests::host::ADMIN_PASSWORD;

use super::*;

/// How often each text stands in a service's files, as they are now.
fn found(site: &Site, service: &str, texts: &[&str]) -> Vec<usize> {
    let file = site.database(service);
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    let mut bytes = std::fs::read(&file).unwrap();
    // It goes with the last connection.
    bytes.extend(std::fs::read(log).unwrap_or_default());
    texts
        .iter()
        .map(|text| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count())
        .collect()
}

#[test]
fn answer_is_kept_across_a_restart() {
    let shop = Shop::new();
    let Customer { mut client, .. } = shop.host.customer("Ada");
    let body = shop.order();
    let first = keyed(&mut client, "/orders", "k", &body);
    first.expect(201);
    let token = client.token().unwrap().to_owned();
    let Shop { site, host, .. } = shop;
    host.stop();
    for _ in 0..2 {
        let host = site.start();
        let mut client = host.client().with_token(&token);
        let again = keyed(&mut client, "/orders", "k", &body);
        assert!(is_replayed(&again));
        assert_eq!(visible(&again), visible(&first));
        keyed(&mut client, "/orders", "k", &json!({})).problem(422, REUSED);
        host.kill();
    }
}

#[test]
fn json_bodies_with_equal_values_are_the_same_request() {
    let mut shop = Shop::new();
    let mut post = |kind: &str, body: &str| {
        let headers = [("content-type", kind), ("idempotency-key", "k")];
        shop.admin.send(Method::POST, "/categories", &headers, Bytes::from(body.to_owned()))
    };
    let first = post("application/json", r#"{"name":"Caf\u00e9","slug":"cafe"}"#);
    first.expect(201);
    for (kind, body) in [
        ("application/json", r#"{"slug":"cafe","name":"Café"}"#),
        ("Application/JSON; charset=utf-8", "\r\n{ \"slug\" : \"c\\u0061fe\",\t\"name\" : \"Caf\u{e9}\" }\n"),
    ] {
        let again = post(kind, body);
        assert!(is_replayed(&again), "{body}: {again}");
        assert_eq!(visible(&again), visible(&first), "{body}");
    }
    for (kind, body) in [
        ("application/json", r#"{"name":"Cafe\u0301","slug":"cafe"}"#),
        ("application/json", r#"{"name":"Café","slug":"cafe","name":"Café"}"#),
        ("application/json", r#"[{"name":"Café","slug":"cafe"}]"#),
        ("application/json", r#"{"name":"Café","slug":"cafe"} {}"#),
        ("application/merge-patch+json", r#"{"name":"Café","slug":"cafe"}"#),
        ("text/plain", r#"{"name":"Café","slug":"cafe"}"#),
    ] {
        post(kind, body).problem(422, REUSED);
    }
    assert_eq!(shop.count("product", "SELECT count(*) FROM category WHERE slug = 'cafe'"), 1);
}

#[test]
fn neither_the_key_nor_the_request_data_is_stored_in_the_files() {
    let shop = Shop::new();
    let key = "a-key-that-would-be-found-6b1f";
    let password = "a-password-that-would-be-found-91d2";
    let mut body = user_body("once@tests.example", "Visible");
    body["password"] = json!(password);
    keyed(&mut shop.host.client(), "/users", key, &body).expect(201);
    // A part of what was sent that no answer and no row has.
    let mut ada = shop.host.customer("Ada");
    let mut order = shop.order();
    order["payment"]["token"] = json!("tok_ok");
    keyed(&mut ada.client, "/orders", key, &order).expect(201);
    for service in ["user", "order"] {
        assert_eq!(shop.count(service, "SELECT count(*) FROM _bulkhead_idempotency"), 1, "{service}");
    }
    let as_sent = body.to_string();
    let secrets = [key, password, &as_sent, &order.to_string()];
    for service in ["user", "order"] {
        assert_eq!(found(&shop.site, service, &secrets), [0; 4], "{service}, while it runs");
    }
    assert!(found(&shop.site, "user", &["Visible"])[0] > 0, "these are not the files");
    let Shop { site, host, .. } = shop;
    host.stop();
    for service in ["user", "order"] {
        assert_eq!(found(&site, service, &secrets), [0; 4], "{service}, when it has ended");
    }
}

#[test]
fn a_session_is_never_kept() {
    let shop = Shop::new();
    let login = json!({"email": shop::ADMIN_EMAIL, "password": ADMIN_PASSWORD});
    let mut client = shop.host.client();
    let [first, second] = [(); 2].map(|()| {
        let answer = keyed(&mut client, "/sessions", "login", &login);
        assert!(!is_replayed(&answer));
        answer.expect(201)["token"].as_str().unwrap().to_owned()
    });
    assert_ne!(first, second);
    // Nor is the key taken: with another body it logs in somebody else.
    let user = shop::register(&mut client, "Ada");
    let other = json!({"email": user["email"], "password": shop::PASSWORD});
    let third = keyed(&mut client, "/sessions", "login", &other).expect(201);
    let tokens = [first.as_str(), second.as_str(), third["token"].as_str().unwrap()];
    let parts: Vec<&str> = tokens.iter().flat_map(|token| token.split('.').skip(1)).collect();
    assert_eq!(found(&shop.site, "user", &parts), vec![0; parts.len()]);
    assert_eq!(shop.count("user", "SELECT count(*) FROM _bulkhead_idempotency"), 0);
    let Shop { site, host, .. } = shop;
    host.stop();
    assert_eq!(found(&site, "user", &parts), vec![0; parts.len()]);
}

/// Deleting a user removes their personal data, and a kept answer has some.
#[test]
fn answers_kept_for_a_deleted_user_are_deleted_with_the_user() {
    let shop = Shop::new();
    let mut client = shop.host.client();
    let personal = ["zaphod.b@tests.example", "Zaphodnine", "Heartofgoldstreet"];
    let user = keyed(&mut client, "/users", "register", &user_body(personal[0], personal[1])).expect(201);
    let path = format!("/users/{}", id(&user));
    let token = shop::log_in(&mut client, personal[0], shop::PASSWORD);
    let mut zaphod = shop.host.client().with_token(&token);
    let address = json!({"address_line1": personal[2], "city": "Ulm", "postal_code": "1", "country": "DE"});
    keyed(&mut zaphod, &format!("{path}/addresses"), "address", &address).expect(201);
    zaphod.delete(&path).expect(204);
    let kept: Vec<i64> = personal
        .iter()
        .map(|text| {
            let statement = format!(
                "SELECT count(*) FROM _bulkhead_idempotency WHERE instr(CAST(body AS TEXT), '{text}') > 0"
            );
            shop.count("user", &statement)
        })
        .collect();
    assert_eq!(kept, [0; 3], "kept answers still tell of a deleted user");
    let Shop { site, host, .. } = shop;
    host.stop();
    assert_eq!(found(&site, "user", &personal), [0; 3]);
}

/// What an administrator asks on somebody's behalf is answered with that person's data, and kept for the administrator's key.
#[test]
fn answers_to_an_administrator_about_a_deleted_user_are_deleted_with_the_user() {
    let mut shop = Shop::new();
    let zaphod = shop.host.customer("Zaphodseven");
    let personal = ["Zaphodseven", "Heartofgoldstreet", "Improbabilitylane", "TRK-42-would-be-found"];
    let address = json!({"address_line1": personal[1], "city": "Ulm", "postal_code": "1", "country": "DE"});
    // An id may be spelt in upper case.
    let path = format!("/users/{}/addresses", zaphod.id.to_uppercase());
    let added = keyed(&mut shop.admin, &path, "address", &address);
    added.expect(201);
    // The order service knows for whom it is to order.
    settled(&mut shop.admin, &added);
    let mut body = shop.order();
    body["user_id"] = json!(zaphod.id);
    body["shipping"]["recipient_name"] = json!(personal[0]);
    body["shipping"]["address_line1"] = json!(personal[2]);
    let mut place = |key: &str, token: &str, status: &str| {
        body["payment"]["token"] = json!(token);
        let order = id(&keyed(&mut shop.admin, "/orders", key, &body).expect(201));
        until_status(&mut shop.admin, &order, status);
        order
    };
    let [shipped, cancelled] = ["one", "two"].map(|key| place(key, "tok_ok", "paid"));
    let declined = place("three", "tok_declined", "reserved");
    let carriage = json!({"carrier": "Post", "tracking_number": personal[3]});
    let again = json!({"method": "card", "token": "tok_declined"});
    for (order, what, body) in [
        (&shipped, "ship", &carriage),
        (&shipped, "deliver", &Value::Null),
        (&cancelled, "cancel", &Value::Null),
        (&declined, "payment", &again),
    ] {
        let path = format!("/orders/{}/{what}", order.to_uppercase());
        keyed(&mut shop.admin, &path, what, body).expect(200);
    }
    let kept = |shop: &Shop| {
        ["user", "order"].map(|service| shop.count(service, "SELECT count(*) FROM _bulkhead_idempotency"))
    };
    assert_eq!(kept(&shop), [1, 7]);
    assert!(
        found(&shop.site, "order", &personal[2..]).iter().all(|count| *count > 0),
        "these are not the files"
    );
    let deleted = shop.admin.delete(&format!("/users/{}", zaphod.id));
    deleted.expect(204);
    settled(&mut shop.admin, &deleted);
    assert_eq!(kept(&shop), [0, 0]);
    // Nor does anything else say of them what they were called, where they lived, or what leads there.
    let Shop { site, host, .. } = shop;
    host.stop();
    for service in ["user", "product", "order", "report"] {
        assert_eq!(found(&site, service, &personal), [0; 4], "{service}");
    }
}

/// What is erased of the event log when a user changes is no matter of the answers to their requests.
#[test]
fn change_of_a_user_does_not_delete_their_kept_answers() {
    let shop = Shop::new();
    let Customer { id, mut client, .. } = shop.host.customer("Ada");
    let address = json!({"address_line1": "1 Quay", "city": "Ulm", "postal_code": "1", "country": "DE"});
    let path = format!("/users/{id}");
    let mut add = || keyed(&mut client, &format!("{path}/addresses"), "k", &address);
    let first = add();
    first.expect(201);
    shop.host.admin().patch(&path, &json!({"first_name": "Augusta"})).expect(200);
    let again = add();
    assert!(is_replayed(&again), "{again}");
    assert_eq!(visible(&again), visible(&first));
    assert_eq!(shop.count("user", "SELECT count(*) FROM user_address"), 1);
}

#[test]
fn a_key_is_free_after_a_guest_that_traps_loops_or_fills_its_quota() {
    let limits = [("storage", "8MiB"), ("lease_hold", "2s"), ("request_timeout", "10s")];
    let manifest = limits.iter().fold(Manifest::guests(), |manifest, (name, limit)| {
        manifest.set(&format!("service.hostile.limits.{name}"), *limit)
    });
    let site = Site::new(&manifest);
    let host = site.start();
    let mut client = host.client();
    for (what, status, code) in [
        ("trap", 500, "internal"),
        ("panic", 500, "internal"),
        ("loop", 504, "deadline-exceeded"),
        ("fill", 507, "storage-full"),
    ] {
        for _ in 0..2 {
            let failed = keyed(&mut client, &format!("/hostile/{what}?id={what}"), what, &Value::Null);
            failed.problem(status, code);
            assert!(!is_replayed(&failed), "{failed}");
        }
        let note = json!({"id": what, "body": "x"});
        for again in [false, true] {
            let answer = keyed(&mut client, "/notes", what, &note);
            answer.expect(201);
            assert_eq!(is_replayed(&answer), again, "{answer}");
        }
    }
    host.stop();
}
