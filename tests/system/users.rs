//! Users: registering, reading, listing and changing one.

mod deletion;
mod password;

use std::sync::Barrier;
use std::thread;

use bulkhead_tests::shop::{
    self, PASSWORD, escape, id, log_in, read_all, read_page, texts_of, untraced, user_body,
};
use bulkhead_tests::{Host, Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

fn site() -> Site {
    Site::new(&shop::users_alone())
}

/// Rows of the database, as text; empty where there are none.
#[track_caller]
fn rows(site: &Site, statement: &str) -> Vec<String> {
    database::texts(&database::open(&site.database("user")), statement)
}

/// All that the users and the log are made of.
#[track_caller]
fn users_and_events(site: &Site) -> [Vec<String>; 2] {
    let users = "SELECT json_array(id, email, password_hash, first_name, last_name, created_at, updated_at) \
                 FROM user ORDER BY id";
    let events =
        "SELECT json_array(sequence, id, type, subject, data) FROM _bulkhead_outbox ORDER BY sequence";
    [rows(site, users), rows(site, events)]
}

/// The events about a subject: their types and data; null where that was taken out.
#[track_caller]
fn events_of(site: &Site, subject: &str) -> Vec<(String, Value)> {
    let events = "SELECT json_array(subject, type, iif(data = '', NULL, json(data))) \
                  FROM _bulkhead_outbox ORDER BY sequence";
    let events = rows(site, events).into_iter().map(|event| serde_json::from_str(&event).unwrap());
    let events = events.filter(|event: &[Value; 3]| event[0] == subject);
    events.map(|[_, kind, data]| (kind.as_str().unwrap().to_owned(), data)).collect()
}

/// Tries to log in; the status.
fn log_in_status(host: &Host, email: &str, password: &str) -> u16 {
    host.client().post("/sessions", &json!({"email": email, "password": password})).status
}

#[test]
fn a_user_is_registered_and_read_back_without_a_hash() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    let answer = client.post("/users", &user_body("Ada.Lovelace+shop@Tests.Example", "Ada"));
    let made = answer.expect(201);
    let location = format!("/users/{}", id(&made));
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert!(answer.header("bulkhead-position").is_some_and(|token| token.starts_with("user:")), "{answer}");
    let expected = json!({
        "id": id(&made), "email": "Ada.Lovelace+shop@Tests.Example", "first_name": "Ada", "last_name": "Tester",
        "created_at": made["created_at"], "updated_at": made["created_at"],
    });
    assert_eq!(made, expected);
    assert_eq!(id(&made).parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    let time = made["created_at"].as_str().unwrap();
    let age = format!("SELECT unixepoch() - unixepoch('{time}')");
    let age = database::number(&database::open(&site.database("user")), &age);
    assert!(time.ends_with('Z') && (0..60).contains(&age), "{time} was {age} s ago");

    let token = log_in(&mut client, "Ada.Lovelace+shop@Tests.Example", PASSWORD);
    assert_eq!(host.client().with_token(&token).get(&location).expect(200), made);
    let hash = rows(&site, "SELECT password_hash FROM user").remove(0);
    assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
    let event = json!({"id": id(&made), "first_name": "Ada"});
    assert_eq!(events_of(&site, &id(&made)), [("user.changed".to_owned(), event)]);
    assert_eq!(users_and_events(&site)[1].len(), 1);
}

#[test]
fn two_hashes_of_one_password_differ() {
    let site = site();
    let host = site.start();
    for name in ["Ada", "Bo"] {
        shop::register(&mut host.client(), name);
    }
    assert_eq!(rows(&site, "SELECT DISTINCT password_hash FROM user").len(), 2);
}

#[test]
fn email_belongs_to_one_user_in_any_letter_case() {
    let site = site();
    let host = site.start();
    let mut client = host.client();
    let ada = id(&client.post("/users", &user_body("Ada@Tests.example", "Ada")).expect(201));
    let mut bo = host.customer("Bo");
    let before = users_and_events(&site);
    for email in ["Ada@Tests.example", "ada@tests.example", "ADA@TESTS.EXAMPLE"] {
        let problem = client.post("/users", &user_body(email, "Another")).problem(409, "email-taken");
        assert_eq!(problem["constraint"], "user.email");
        let path = format!("/users/{}", bo.id);
        for client in [&mut bo.client, &mut host.admin()] {
            let problem = client.patch(&path, &json!({"email": email, "first_name": "B"}));
            assert_eq!(problem.problem(409, "email-taken")["constraint"], "user.email");
        }
    }
    assert_eq!(users_and_events(&site), before);
    // One's own in another case is no other's.
    let token = log_in(&mut client, "ada@tests.example", PASSWORD);
    let mut client = host.client().with_token(&token);
    let changed = client.patch(&format!("/users/{ada}"), &json!({"email": "aDa@tests.example"})).expect(200);
    assert_eq!(changed["email"], "aDa@tests.example");
}

#[test]
fn one_of_many_concurrent_registrations_of_one_email_succeeds() {
    let site = site();
    let host = site.start();
    let start = Barrier::new(8);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let register = |number: usize| {
            let (mut client, start) = (host.client(), &start);
            let email = ["ada@tests.example", "ADA@tests.example"][number % 2];
            scope.spawn(move || {
                start.wait();
                client.post("/users", &user_body(email, "Ada")).status
            })
        };
        let threads: Vec<_> = (0..8).map(register).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    let [users, events] = users_and_events(&site);
    assert_eq!((users.len(), events.len()), (1, 1));
}

#[test]
fn all_errors_of_a_user_are_reported_at_once() {
    let site = site();
    let host = site.start();
    let mut ada = host.customer("Ada");
    let path = format!("/users/{}", ada.id);
    let before = users_and_events(&site);
    let mut client = host.client();
    client.post("/users", &json!({})).invalid(&["email", "password", "first_name", "last_name"]);
    let wrong = json!({"email": "ada", "password": "short", "first_name": "", "last_name": 7, "role": "admin", "id": UNKNOWN});
    let fields = ["email", "password", "first_name", "last_name", "role", "id"];
    client.post("/users", &wrong).invalid(&fields);
    // With PATCH a password is no field of a user's either.
    ada.client.patch(&path, &wrong).invalid(&fields);
    ada.client.patch(&path, &json!({"created_at": "2026-01-01T00:00:00Z"})).invalid(&["created_at"]);

    let long_name = "n".repeat(101);
    let long_email = format!("{}@tests.example", "e".repeat(254));
    let bad_names = ["", " ", " a", "a ", "a\nb", "a\tb", "a\u{2028}b", "a\u{0}b", long_name.as_str()];
    let bad_emails = [
        "",
        "@",
        "ada",
        "ada@",
        "@tests.example",
        "a@b@c",
        "a b@c",
        " a@b",
        "a@b\n",
        "a@b.",
        "a@-b",
        "a@b..c",
        "\u{e4}@b",
        long_email.as_str(),
    ];
    let table = [("email", &bad_emails[..]), ("first_name", &bad_names), ("last_name", &bad_names)];
    for (field, texts) in table {
        let texts = texts.iter().map(|text| json!(text));
        for value in texts.chain([json!(null), json!(7), json!(["ada@tests.example"]), json!({"a": 1})]) {
            let mut body = user_body("new@tests.example", "New");
            body[field] = value;
            client.post("/users", &body).invalid(&[field]);
            ada.client.patch(&path, &json!({field: body[field]})).invalid(&[field]);
        }
    }
    for password in [json!(null), json!(1_234_567_890), json!(["long enough"])] {
        let mut body = user_body("new@tests.example", "New");
        body["password"] = password;
        client.post("/users", &body).invalid(&["password"]);
    }
    let headers = [("content-type", "application/json")];
    let answer = client.send(Method::POST, "/users", &headers, Bytes::from_static(b"{\"email\": "));
    assert_eq!(answer.status, 400, "{answer}");
    answer.any_problem();
    assert_eq!(users_and_events(&site), before);
}

#[test]
fn email_of_the_administrator_is_reserved_in_any_letter_case() {
    let site = site();
    let host = site.start();
    let mut ada = host.customer("Ada");
    let path = format!("/users/{}", ada.id);
    let before = users_and_events(&site);
    for email in [shop::ADMIN_EMAIL, "Admin@Shop.example", "ADMIN@SHOP.EXAMPLE"] {
        let body = user_body(email, "Eve");
        for answer in [
            host.client().post("/users", &body),
            host.admin().post("/users", &body),
            ada.client.patch(&path, &json!({"email": email, "first_name": "Eve"})),
            host.admin().patch(&path, &json!({"email": email})),
        ] {
            assert_eq!(answer.problem(409, "email-taken")["constraint"], "user.email");
        }
    }
    assert_eq!(users_and_events(&site), before);
}

#[test]
fn users_are_listed_only_for_admins_oldest_first_page_by_page() {
    let host = site().start();
    let mut admin = host.admin();
    assert_eq!(admin.get("/users").expect(200), json!({"items": [], "next_cursor": null}));
    let mut client = host.client();
    let made: Vec<Value> =
        (0..51).map(|number| shop::register(&mut client, &format!("Ada {number}"))).collect();
    for limit in [1, 2, 7, 51, 200] {
        assert_eq!(read_all(&mut admin, "/users?", limit), made, "limit={limit}");
    }
    let (first, next) = read_page(&mut admin, "/users");
    assert_eq!(first, made[..50]);
    let next = next.unwrap();
    let mut ada = host.customer("Ada");
    client.get("/users").problem(401, "unauthenticated");
    client.get("/users?colour=blue").problem(401, "unauthenticated");
    ada.client.get("/users").problem(403, "forbidden");
    ada.client.get(&format!("/users?cursor={next}")).problem(403, "forbidden");
    admin.get("/users?limit=0&cursor=x&email=a").invalid(&["limit", "cursor", "email"]);
    admin.get("/users?limit=201").invalid(&["limit"]);
    // A cursor is of its own list.
    for list in ["addresses", "preferences"] {
        admin.get(&format!("/users/{}/{list}?cursor={next}", ada.id)).invalid(&["cursor"]);
    }
    for key in ["a", "b"] {
        ada.client.put(&format!("/users/{}/preferences/{key}", ada.id), &json!({"value": "x"})).expect(201);
    }
    let (_, other) = read_page(&mut admin, &format!("/users/{}/preferences?limit=1", ada.id));
    admin.get(&format!("/users?cursor={}", other.unwrap())).invalid(&["cursor"]);
}

#[test]
fn pages_neither_repeat_nor_miss_a_user_while_others_come_and_go() {
    let host = site().start();
    let mut admin = host.admin();
    let early: Vec<String> = (0..20).map(|_| id(&shop::register(&mut admin, "Early"))).collect();
    let mut seen = Vec::new();
    let mut path = "/users?limit=3".to_owned();
    for round in 0.. {
        let (page, next) = read_page(&mut admin, &path);
        seen.extend(texts_of(&page, "id"));
        let Some(next) = next else { break };
        path = format!("/users?limit=3&cursor={next}");
        // While the early ones are read, some of those that were read go, the one behind which the next page begins among them.
        if seen.len() < early.len() {
            admin.delete(&format!("/users/{}", seen[seen.len() - 1])).expect(204);
            shop::register(&mut admin, &format!("Late {round}"));
            // A change moves nobody.
            let changed = format!("/users/{}", early[seen.len()]);
            admin.patch(&changed, &json!({"first_name": "Changed"})).expect(200);
        }
    }
    assert_eq!(seen[..early.len()], early);
    let late = seen.len() - early.len();
    assert!(late >= 6, "{late} who registered meanwhile are behind them");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), early.len() + late, "one was listed twice");
}

#[test]
fn user_looks_like_a_missing_user_to_others() {
    let site = site();
    let host = site.start();
    let [ada, mut eve] = ["Ada", "Eve"].map(|name| host.customer(name));
    let mut admin = host.admin();
    let before = users_and_events(&site);
    let passwords = json!({"current_password": PASSWORD, "new_password": "another password"});
    for (method, below, body) in [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"first_name": "Eve"})),
        (Method::PATCH, "", json!({})),
        (Method::PATCH, "", json!({"first_name": 7})),
        (Method::DELETE, "", Value::Null),
        (Method::PUT, "/password", passwords.clone()),
        (Method::PUT, "/password", json!({"current_password": 7})),
    ] {
        let mut ask = |user: &str| {
            let path = format!("/users/{user}{below}");
            host.client().json(method.clone(), &path, &body).problem(401, "unauthenticated");
            let answer = eve.client.json(method.clone(), &path, &body);
            let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
            (untraced(answer.problem(404, "not-found")), names)
        };
        let nobodys = ask(UNKNOWN);
        assert_eq!(ask(&ada.id), nobodys, "{method} {below}");
        for malformed in ["7", "not-a-uuid", &ada.id.replace('-', ""), &escape(&format!("{{{}}}", ada.id))] {
            assert_eq!(ask(malformed), nobodys, "{method} {below} {malformed}");
            let path = format!("/users/{malformed}{below}");
            admin.json(method.clone(), &path, &body).problem(404, "not-found");
        }
    }
    for user in [UNKNOWN, shop::ADMIN_ID] {
        let path = format!("/users/{user}");
        admin.get(&path).problem(404, "not-found");
        admin.patch(&path, &json!({"first_name": "Nobody"})).problem(404, "not-found");
        admin.patch(&path, &json!({})).problem(404, "not-found");
        admin.delete(&path).problem(404, "not-found");
        admin.put(&format!("{path}/password"), &passwords).problem(404, "not-found");
    }
    assert_eq!(users_and_events(&site), before);
}

#[test]
fn an_empty_patch_changes_nothing_and_publishes_nothing() {
    let site = site();
    let host = site.start();
    let mut ada = host.customer("Ada");
    let path = format!("/users/{}", ada.id);
    let user = ada.client.get(&path).expect(200);
    let before = users_and_events(&site);
    for client in [&mut ada.client, &mut host.admin()] {
        assert_eq!(client.patch(&path, &json!({})).expect(200), user);
    }
    assert_eq!(users_and_events(&site), before);
}

#[test]
fn patch_changes_only_its_fields_and_publishes_only_id_and_first_name() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let [mut own, mut admin] = [ada.client, host.admin()];
    let path = format!("/users/{}", ada.id);
    let mut expected = own.get(&path).expect(200);
    let old_email = expected["email"].as_str().unwrap().to_owned();
    let mut events = events_of(&site, &ada.id);
    let other = shop::register(&mut admin, "Bo");
    assert_eq!(log_in_status(&host, &old_email, "wrong password"), 401);
    for (number, (field, value)) in [
        ("first_name", "Augusta"),
        ("last_name", "O'Hara-\u{14c}e"),
        ("email", "Augusta@Tests.example"),
        ("first_name", "\u{5317}\u{4eac}"),
        // The longest that can be.
        ("last_name", &"\u{e4}".repeat(100)),
    ]
    .into_iter()
    .enumerate()
    {
        let client = if number % 2 == 0 { &mut own } else { &mut admin };
        let changed = client.patch(&path, &json!({field: value})).expect(200);
        assert!(changed["updated_at"].as_str() >= expected["updated_at"].as_str(), "{changed}");
        expected[field] = json!(value);
        expected["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, expected);
        assert_eq!(own.get(&path).expect(200), expected);
        // The latest state is enough: it alone has data.
        events.last_mut().unwrap().1 = Value::Null;
        let event = json!({"id": ada.id, "first_name": expected["first_name"]});
        events.push(("user.changed".to_owned(), event));
        assert_eq!(events_of(&site, &ada.id), events);
    }
    let others = json!({"id": id(&other), "first_name": "Bo"});
    assert_eq!(events_of(&site, &id(&other)), [("user.changed".to_owned(), others)]);
    let failures = rows(&site, "SELECT email FROM login_failure");
    assert!(
        failures.is_empty(),
        "the old email is no longer theirs, and nothing is kept of it: {failures:?}"
    );
    assert_eq!(log_in_status(&host, &old_email, PASSWORD), 401);
    assert_eq!(log_in_status(&host, "augusta@tests.example", PASSWORD), 201);
    // The old one is anybody's now.
    host.client().post("/users", &user_body(&old_email, "Bo")).expect(201);
}
