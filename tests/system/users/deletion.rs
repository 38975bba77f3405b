//! Deleting a user: what is theirs goes with them, the log forgets them, and their tokens are over.

use std::path::{Path, PathBuf};

use bulkhead_tests::shop::{PASSWORD, log_in, unhurried, user_body};
use bulkhead_tests::{Answer, Client, Customer, Host, Manifest, Site, database};
use http::Method;
use serde_json::{Value, json};

use super::{log_in_status, rows, site, users_and_events};

/// A customer with addresses, preferences, failed logins and events.
fn customer_with_everything(host: &Host, name: &str) -> (Customer, String) {
    let mut customer = host.customer(name);
    let path = format!("/users/{}", customer.id);
    let client = &mut customer.client;
    let address = json!({"address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE"});
    for key in ["a", "b"] {
        client.post(&format!("{path}/addresses"), &address).expect(201);
        client.put(&format!("{path}/preferences/{key}"), &json!({"value": "x"})).expect(201);
        client.patch(&path, &json!({"first_name": format!("{name} {key}")})).expect(200);
    }
    let email = client.get(&path).expect(200)["email"].as_str().unwrap().to_owned();
    assert_eq!(log_in_status(host, &email, "wrong"), 401);
    (customer, email)
}

/// What of the database is of a user: rows of each table.
#[track_caller]
fn left(site: &Site, user: &str, email: &str) -> [usize; 4] {
    [
        format!("SELECT id FROM user WHERE id = '{user}' OR email = '{email}'"),
        format!("SELECT id FROM user_address WHERE user_id = '{user}'"),
        format!("SELECT id FROM user_preference WHERE user_id = '{user}'"),
        format!("SELECT email FROM login_failure WHERE email = '{email}'"),
    ]
    .map(|statement| rows(site, &statement).len())
}

/// The events as they are stored: sequence, id, type, subject, time and the text of their data.
#[track_caller]
fn log(site: &Site) -> Vec<[Value; 6]> {
    let events =
        "SELECT json_array(sequence, id, type, subject, time, data) FROM _bulkhead_outbox ORDER BY sequence";
    rows(site, events).iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

#[test]
fn deleted_user_is_gone_with_all_their_data_and_their_events_are_erased() {
    let site = site();
    let host = site.start();
    let mut admin = host.admin();
    let (_other, other_email) = customer_with_everything(&host, "Cy");
    for by_themselves in [true, false] {
        let (mut ada, email) = customer_with_everything(&host, "Ada");
        let path = format!("/users/{}", ada.id);
        assert_eq!(left(&site, &ada.id, &email), [1, 2, 2, 1]);
        let counts = database::row_counts(&site.database("user"));
        let before = log(&site);
        let is_hers = |event: &&[Value; 6]| event[3] == ada.id.as_str();
        assert_eq!(before.iter().filter(is_hers).count(), 3);

        let answer = if by_themselves { ada.client.delete(&path) } else { admin.delete(&path) };
        assert!(answer.expect(204).is_null());
        assert!(
            answer.header("bulkhead-position").is_some_and(|token| token.starts_with("user:")),
            "{answer}"
        );
        assert_eq!(left(&site, &ada.id, &email), [0, 0, 0, 0]);
        let mut after = log(&site);
        let last = after.pop().unwrap();
        assert_eq!([&last[2], &last[3]], [&json!("user.deleted"), &json!(ada.id)]);
        let data: Value = serde_json::from_str(last[5].as_str().unwrap()).unwrap();
        assert_eq!(data, json!({"id": ada.id}));
        assert_eq!(after.len(), before.len());
        for (before, after) in before.iter().zip(&after) {
            let mut expected = before.clone();
            if is_hers(&before) {
                expected[5] = json!("");
            }
            assert_eq!(*after, expected, "an event keeps its place, and what is another's its data");
        }
        // The other one's rows are all there.
        let mut expected = counts;
        for (table, fewer) in [
            ("user", 1),
            ("user_address", 2),
            ("user_preference", 2),
            ("login_failure", 1),
            ("_bulkhead_outbox", -1),
        ] {
            *expected.get_mut(table).unwrap() -= fewer;
        }
        assert_eq!(database::row_counts(&site.database("user")), expected);
        database::check(&database::open(&site.database("user")));

        for below in ["", "/addresses", "/preferences", "/preferences/a"] {
            admin.get(&format!("{path}{below}")).problem(404, "not-found");
        }
        let before = users_and_events(&site);
        admin.delete(&path).problem(404, "not-found");
        assert_eq!(users_and_events(&site), before, "nobody is deleted twice");
        assert_eq!(log_in_status(&host, &email, PASSWORD), 401);
    }
    assert_eq!(log_in_status(&host, &other_email, PASSWORD), 201);
}

/// Checks that a token is refused on every route, public ones and another service's too.
#[track_caller]
fn is_over(host: &Host, customer: &Customer) {
    let mut client = host.client().with_token(customer.client.token().unwrap());
    let path = format!("/users/{}", customer.id);
    let mut ask = |method: Method, path: &str| -> Answer {
        let body =
            json!({"email": "x@tests.example", "password": PASSWORD, "first_name": "X", "last_name": "X"});
        client.json(method, path, &body)
    };
    for path in ["/users", "/sessions/current", "/.well-known/jwks.json", "/products", &path] {
        ask(Method::GET, path).problem(401, "invalid-token");
    }
    for path in ["/users", "/sessions", "/products"] {
        ask(Method::POST, path).problem(401, "invalid-token");
    }
    ask(Method::DELETE, &path).problem(401, "invalid-token");
}

#[test]
fn the_token_of_a_deleted_user_is_refused_at_once_and_after_a_crash() {
    let site = Site::new(&unhurried(Manifest::shop()));
    let mut host = site.start();
    let [mut ada, bo, mut cy] = ["Ada", "Bo", "Cy"].map(|name| host.customer(name));
    let adas_second = log_in_again(&host, &mut ada);
    let user = |customer: &Customer| format!("/users/{}", customer.id);
    for token in [ada.client.token().unwrap(), adas_second.token().unwrap()] {
        let mut client = host.client().with_token(token);
        client.get("/products").expect(200);
        client.get("/sessions/current").expect(200);
    }
    ada.client.delete(&user(&ada)).expect(204);
    host.admin().delete(&user(&bo)).expect(204);
    let second = Customer { id: ada.id.clone(), client: adas_second };
    for _ in 0..3 {
        for gone in [&ada, &second, &bo] {
            is_over(&host, gone);
        }
        let mut client = host.client().with_token(cy.client.token().unwrap());
        client.get("/products").expect(200);
        assert_eq!(client.get("/sessions/current").expect(200)["user_id"], cy.id.as_str());
        host.kill();
        host = site.start();
    }
    // A deletion that was refused ends nothing.
    cy.client = host.client().with_token(cy.client.token().unwrap());
    cy.client.delete(&user(&bo)).problem(404, "not-found");
    cy.client.get(&user(&cy)).expect(200);
}

/// A second session of a customer.
#[track_caller]
fn log_in_again(host: &Host, customer: &mut Customer) -> Client {
    let user = customer.client.get(&format!("/users/{}", customer.id)).expect(200);
    let mut client = host.client();
    let token = log_in(&mut client, user["email"].as_str().unwrap(), PASSWORD);
    client.with_token(&token)
}

#[test]
fn email_of_a_deleted_user_is_free_and_its_next_owner_is_a_different_user() {
    let site = site();
    let mut host = site.start();
    let mut client = host.client();
    let register =
        |client: &mut Client, email: &str| client.post("/users", &user_body(email, "Ada")).expect(201);
    let first = register(&mut client, "ada@tests.example");
    let old = log_in(&mut client, "ada@tests.example", PASSWORD);
    let path = format!("/users/{}", first["id"].as_str().unwrap());
    host.client().with_token(&old).delete(&path).expect(204);
    let second = register(&mut client, "Ada@Tests.example");
    assert_ne!(first["id"], second["id"]);
    for _ in 0..2 {
        let new = log_in(&mut host.client(), "ada@tests.example", PASSWORD);
        let current = host.client().with_token(&new).get("/sessions/current").expect(200);
        assert_eq!(current["user_id"], second["id"]);
        host.client().with_token(&new).get(&path).problem(404, "not-found");
        host.client().with_token(&old).get(&path).problem(401, "invalid-token");
        host.kill();
        host = site.start();
    }
}

#[test]
fn after_a_clean_shutdown_no_file_contains_data_of_a_deleted_user() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    let [email, name, former, line, value] = [
        "zenobia-9317@tests.example",
        "Zenobia",
        "Septimia-Bathzabbai",
        "77 Palmyra Colonnade",
        "sun-yellow-of-Emesa",
    ];
    let made = client.post("/users", &user_body(email, name)).expect(201);
    let path = format!("/users/{}", made["id"].as_str().unwrap());
    let mut own = host.client().with_token(&log_in(&mut client, email, PASSWORD));
    let address = json!({"address_line1": line, "city": "Homs", "postal_code": "1", "country": "SY"});
    own.post(&format!("{path}/addresses"), &address).expect(201);
    own.put(&format!("{path}/preferences/theme"), &json!({"value": value})).expect(201);
    own.patch(&path, &json!({"last_name": former})).expect(200);
    own.patch(&path, &json!({"last_name": "Z"})).expect(200);
    assert_eq!(log_in_status(&host, email, "wrong password"), 401);
    let hash = rows(&site, "SELECT password_hash FROM user").remove(0);

    let holds = |file: &Path, text: &str| {
        std::fs::read(file).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    let found = |text: &str| -> Vec<PathBuf> {
        let files = std::fs::read_dir(site.data()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| file.is_file() && holds(file, text)).collect()
    };
    let texts = [email, name, former, line, value, hash.as_str()];
    for text in texts {
        assert!(!found(text).is_empty(), "{text:?} is not where it is looked for");
    }
    own.delete(&path).expect(204);
    host.stop();
    for text in texts {
        assert!(found(text).is_empty(), "{text:?} is still in {:?}", found(text));
    }
}
