//! What nobody gets to read: passwords, their hashes, tokens and private keys stand in no answer, no log line, no event and no
//! problem document, whatever goes wrong.

use std::os::unix::fs::PermissionsExt as _;

use bulkhead_tests::shop::{self, id};
use bulkhead_tests::{Answer, Client, Site, database, host};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct-horse-battery-staple";
const NEW_PASSWORD: &str = "another-horse-battery-staple";
const WRONG_PASSWORD: &str = "wrong-horse-battery-staple";

/// The answers that were given, in text.
#[derive(Default)]
struct Received(Vec<String>);

impl Received {
    #[track_caller]
    fn keep(&mut self, answer: &Answer, status: u16) -> Value {
        let value = answer.expect(status);
        let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}"));
        let body = String::from_utf8_lossy(&answer.body);
        self.0.push(format!("{body}\n{}", headers.collect::<Vec<_>>().join("\n")));
        value
    }
}

fn json_text(client: &mut Client, method: Method, path: &str, body: &str) -> Answer {
    client.send(method, path, &[("content-type", "application/json")], Bytes::from(body.to_owned()))
}

#[test]
fn no_answer_log_line_event_or_problem_has_a_password_a_hash_a_token_or_a_key() {
    let site = Site::shop();
    // All that the host ever says.
    let host = site.start_with(&["--log", "trace"]);
    let mut client = host.client();
    let mut received = Received::default();

    let new =
        |email: &str| json!({"email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "L"});
    let user = received.keep(&client.post("/users", &new("ada@tests.example")), 201);
    received.keep(&client.post("/users", &new("ADA@tests.example")), 409);
    received.keep(&client.post("/users", &new("no address")), 422);
    received.keep(
        &client.post("/users", &json!({"password": PASSWORD, PASSWORD.len().to_string(): PASSWORD})),
        422,
    );
    received.keep(
        &json_text(&mut client, Method::POST, "/users", &format!("{{\"password\": \"{PASSWORD}\"")),
        400,
    );
    received.keep(&json_text(&mut client, Method::POST, "/users", &format!("\"{PASSWORD}\"")), 422);
    received.keep(
        &client.post("/users", &json!({"email": PASSWORD, "password": [PASSWORD], "first_name": 1})),
        422,
    );
    let plain = client.send(Method::POST, "/users", &[], Bytes::from(PASSWORD));
    received.keep(&plain, 415);

    let login = |email: &str, password: &str| json!({"email": email, "password": password});
    received.keep(&client.post("/sessions", &login("ada@tests.example", WRONG_PASSWORD)), 401);
    received.keep(&client.post("/sessions", &login("nobody@tests.example", WRONG_PASSWORD)), 401);
    received.keep(&client.post("/sessions", &login(shop::ADMIN_EMAIL, WRONG_PASSWORD)), 401);
    received.keep(&client.post("/sessions", &json!({"email": PASSWORD, "password": 7})), 422);
    // The one answer that has a token.
    let session = client.post("/sessions", &login("ada@tests.example", PASSWORD)).expect(201);
    let token = session["token"].as_str().unwrap().to_owned();
    let mut admin = host.admin();
    let admin_token = admin.token().unwrap().to_owned();

    let path = format!("/users/{}", id(&user));
    let mut ada = host.client().with_token(&token);
    received.keep(&ada.get("/sessions/current"), 200);
    received.keep(&ada.get(&path), 200);
    received.keep(&admin.get("/users"), 200);
    received.keep(&ada.patch(&path, &json!({"first_name": "Augusta", "password": PASSWORD})), 422);
    received.keep(&ada.patch(&path, &json!({"first_name": "Augusta"})), 200);
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    received.keep(&ada.put(&format!("{path}/password"), &change(WRONG_PASSWORD, NEW_PASSWORD)), 403);
    received.keep(&ada.put(&format!("{path}/password"), &change(PASSWORD, &PASSWORD[..8])), 422);
    received.keep(&ada.put(&format!("{path}/password"), &change(PASSWORD, NEW_PASSWORD)), 204);
    received.keep(&ada.get(&format!("/products?q={token}")), 422);
    received.keep(&ada.get(&format!("/nowhere/{}", "x".repeat(20))), 404);
    let mut tampered = host.client().with_token(&format!("{token}x"));
    received.keep(&tampered.get("/products"), 401);
    received.keep(&tampered.get(&path), 401);
    let basic = [("authorization", "Basic YWRhOmNvcnJlY3QtaG9yc2U=")];
    received.keep(&client.send(Method::GET, "/products", &basic, Bytes::new()), 401);
    received.keep(&client.get("/.well-known/jwks.json"), 200);
    received.keep(&ada.delete(&path), 204);
    received.keep(&ada.get(&path), 401);

    let connection = database::open(&site.database("user"));
    let mut secrets: Vec<String> =
        [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, host::ADMIN_PASSWORD].map(str::to_owned).into();
    secrets
        .extend([&token, &admin_token].iter().flat_map(|token| token.split('.').skip(1).map(str::to_owned)));
    secrets.push("$argon2".to_owned());
    let keys = "SELECT lower(hex(private_key)) FROM signing_key";
    let keys = database::texts(&connection, keys);
    assert_eq!(keys.len(), 1);
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&keys[0][2 * at..2 * at + 2], 16).unwrap()).collect();
    secrets.push(bulkhead_tests::token::encode(bytes));
    secrets.extend(keys);
    let events = ["user", "product"].map(|service| {
        let connection = database::open(&site.database(service));
        database::texts(&connection, "SELECT type || subject || data || trace_id FROM _bulkhead_outbox")
            .join("\n")
    });
    drop(connection);
    let log = host.stop().stderr;
    assert!(log.contains("the key set was read"), "this is not the log:\n{log}");
    let sources = [("an answer", received.0.join("\n")), ("the log", log), ("an event", events.join("\n"))];
    for secret in &secrets {
        for (what, text) in &sources {
            let place = text.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(place, None, "{secret} stands in {what}");
        }
    }
}

#[test]
fn files_of_the_data_folder_are_accessible_only_to_their_owner() {
    let site = Site::shop();
    // The host recreates it.
    std::fs::remove_dir_all(site.data().join("cache")).unwrap();
    let host = site.start();
    host.customer("Ada");
    for entry in std::fs::read_dir(site.data()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        if name.contains(".db") || name == "cache" {
            assert_eq!(mode & 0o077, 0, "{name} has the mode {mode:o}");
        }
    }
    host.stop();
}

/// A file is more than its rows: what was deleted is not to be found in the pages either.
#[test]
fn a_deleted_user_leaves_nothing_personal_in_the_file() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let personal = ["zaphod.b@tests.example", "Zaphodnine", "Beeblebroxnine", "Heartofgoldstreet"];
    // Neighbours before and after, and enough of them that pages are split and freed.
    let mut doomed = Vec::new();
    for number in 0..200 {
        let mut user = shop::user_body(&format!("user-{number}@tests.example"), "Ford");
        if number % 4 == 1 {
            user = shop::user_body(&format!("{number}{}", personal[0]), personal[1]);
            user["last_name"] = json!(personal[2]);
        }
        let path = format!("/users/{}", id(&admin.post("/users", &user).expect(201)));
        if number % 4 == 1 {
            let address =
                json!({"address_line1": personal[3], "city": "x", "postal_code": "1", "country": "GB"});
            admin.post(&format!("{path}/addresses"), &address).expect(201);
            let preference = json!({"value": personal[3].repeat(90)});
            admin.put(&format!("{path}/preferences/long"), &preference).expect(201);
            doomed.push(path);
        }
    }
    let found = |site: &Site| {
        let bytes = std::fs::read(site.database("user")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        personal.map(|word| text.matches(word).count())
    };
    host.stop();
    assert!(found(&site).iter().all(|count| *count >= 50), "{:?}", found(&site));
    let host = site.start();
    let mut admin = host.admin();
    for path in doomed {
        admin.delete(&path).expect(204);
    }
    // The last connection that is closed moves the log into the file and empties it.
    host.stop();
    assert_eq!(found(&site), [0; 4]);
    assert!(!site.data().join("user.db-wal").exists());
}
