//! Preferences of a user: a value by a key.

use std::sync::Barrier;
use std::thread;

use bulkhead_tests::shop::{escape, id, read_all, read_page, texts_of, untraced, users_alone};
use bulkhead_tests::{Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";
/// A user has so many at most.
const PREFERENCES_MAX: usize = 200;

fn site() -> Site {
    Site::new(&users_alone())
}

#[test]
fn preference_is_created_by_the_first_put_and_changed_by_later_ones() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let mut client = ada.client;
    let preferences = format!("/users/{}/preferences", ada.id);
    let path = format!("{preferences}/theme.dark-mode_2");
    client.get(&path).problem(404, "not-found");

    let answer = client.put(&path, &json!({"value": "on"}));
    let made = answer.expect(201);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    let expected = json!({
        "id": id(&made), "user_id": ada.id, "preference_key": "theme.dark-mode_2", "preference_value": "on",
    });
    assert_eq!(made, expected);
    assert_eq!(client.get(&path).expect(200), made);

    // Any text is a value, the empty one too, and it is kept as it is.
    let long = "\u{1F511}".repeat(2000);
    for value in ["off", "off", "", " two\nlines\t", "'; DROP TABLE user; --", &long] {
        let answer = client.put(&path, &json!({"value": value}));
        let mut expected = made.clone();
        expected["preference_value"] = json!(value);
        assert_eq!(answer.expect(200), expected);
        assert_eq!(answer.header("location"), None);
        assert_eq!(client.get(&path).expect(200), expected);
        assert_eq!(read_all(&mut client, &format!("{preferences}?"), 50), [expected]);
    }
    let connection = database::open(&site.database("user"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM user_preference"), 1);
    let events = database::texts(&connection, "SELECT type FROM _bulkhead_outbox");
    assert_eq!(events, ["user.changed"], "preferences publish nothing");
}

#[test]
fn preferences_are_listed_by_key_page_by_page() {
    let host = site().start();
    let ada = host.customer("Ada");
    let mut client = ada.client;
    let preferences = format!("/users/{}/preferences", ada.id);
    assert_eq!(client.get(&preferences).expect(200), json!({"items": [], "next_cursor": null}));
    // Upper and lower case are two keys.
    let keys = ["theme", "Theme", "a", "a.b", "a-b", "a_b", "ab", "10", "9", "..."];
    for key in keys {
        client.put(&format!("{preferences}/{key}"), &json!({"value": key})).expect(201);
    }
    let mut sorted = keys;
    sorted.sort_unstable();
    for limit in [1, 3, 5, 10, 200] {
        let listed = read_all(&mut client, &format!("{preferences}?"), limit);
        assert_eq!(texts_of(&listed, "preference_key"), sorted, "limit={limit}");
        assert_eq!(texts_of(&listed, "preference_value"), sorted, "limit={limit}");
    }

    // What comes and goes behind and before the cursor moves nothing else.
    let (first, next) = read_page(&mut client, &format!("{preferences}?limit=2"));
    let next = next.unwrap();
    for key in texts_of(&first, "preference_key") {
        client.delete(&format!("{preferences}/{key}")).expect(204);
    }
    client.put(&format!("{preferences}/0"), &json!({"value": "before"})).expect(201);
    client.put(&format!("{preferences}/zzz"), &json!({"value": "behind"})).expect(201);
    let rest = read_all(&mut client, &format!("{preferences}?cursor={next}&"), 200);
    assert_eq!(texts_of(&rest, "preference_key"), [&sorted[2..], &["zzz"]].concat());

    let mut other = host.customer("Bo");
    for path in [
        format!("/users/{}/preferences?cursor={next}", other.id),
        format!("/users/{}/addresses?cursor={next}", other.id),
    ] {
        other.client.get(&path).invalid(&["cursor"]);
    }
    client.get(&format!("{preferences}?limit=0&cursor=x&key=a")).invalid(&["limit", "cursor", "key"]);
    client.get(&format!("{preferences}/theme?colour=blue")).invalid(&["colour"]);
}

#[test]
fn deleted_preference_is_gone_and_can_be_created_again() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let mut client = ada.client;
    let path = format!("/users/{}/preferences/theme", ada.id);
    client.delete(&path).problem(404, "not-found");
    let first = client.put(&path, &json!({"value": "dark"})).expect(201);
    assert!(client.delete(&path).expect(204).is_null());
    client.get(&path).problem(404, "not-found");
    client.delete(&path).problem(404, "not-found");
    let connection = database::open(&site.database("user"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM user_preference"), 0);
    let second = client.put(&path, &json!({"value": "light"})).expect(201);
    assert_ne!(id(&first), id(&second));
    assert_eq!(client.get(&path).expect(200), second);
}

#[test]
fn impossible_key_is_404() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let mut client = ada.client;
    let preferences = format!("/users/{}/preferences", ada.id);
    let before = database::row_counts(&site.database("user"));
    let long = "k".repeat(101);
    for key in ["a b", "a/b", "a%b", "\u{e4}", "a\n", "a\u{0}", "a:b", "a+b", "'", long.as_str()] {
        let path = format!("{preferences}/{}", escape(key));
        client.get(&path).problem(404, "not-found");
        client.put(&path, &json!({"value": "x"})).problem(404, "not-found");
        client.delete(&path).problem(404, "not-found");
    }
    // Dots alone, which mean another place to many, also where they are written otherwise; and no key at all.
    for raw in [".", "..", "%2e", "%2E%2e", "", "theme/", "%ff"] {
        let path = format!("{preferences}/{raw}");
        client.put(&path, &json!({"value": "x"})).problem(404, "not-found");
    }
    assert_eq!(database::row_counts(&site.database("user")), before);
    client.put(&format!("{preferences}/{}", "k".repeat(100)), &json!({"value": "x"})).expect(201);
    client.put(&format!("{preferences}/%74heme"), &json!({"value": "x"})).expect(201);
    client.get(&format!("{preferences}/theme")).expect(200);
}

#[test]
fn all_errors_of_a_preference_are_reported_at_once() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let mut client = ada.client;
    let [new, old] = ["new", "old"].map(|key| format!("/users/{}/preferences/{key}", ada.id));
    let kept = client.put(&old, &json!({"value": "kept"})).expect(201);
    let before = database::row_counts(&site.database("user"));
    for path in [&new, &old] {
        for value in
            [json!(null), json!(7), json!(true), json!(["x"]), json!({"x": 1}), json!("v".repeat(2001))]
        {
            client.put(path, &json!({"value": value})).invalid(&["value"]);
        }
        for control in ["\u{0}", "a\u{7}b", "\u{85}"] {
            client.put(path, &json!({"value": control})).invalid(&["value"]);
        }
        client.put(path, &json!({})).invalid(&["value"]);
        client.put(path, &json!({"value": 7, "id": UNKNOWN, "key": "x"})).invalid(&["value", "id", "key"]);
        let headers = [("content-type", "application/json")];
        let answer = client.send(Method::PUT, path, &headers, Bytes::from_static(b"{\"value\": "));
        assert_eq!(answer.status, 400, "{answer}");
        answer.any_problem();
    }
    assert_eq!(database::row_counts(&site.database("user")), before);
    assert_eq!(client.get(&old).expect(200), kept);
}

#[test]
fn number_of_preferences_of_a_user_is_limited() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let mut client = ada.client;
    let path = |key: usize| format!("/users/{}/preferences/{key}", ada.id);
    let room = 5;
    for key in 0..PREFERENCES_MAX - room {
        client.put(&path(key), &json!({"value": "x"})).expect(201);
    }
    // The last places go to whoever comes first, and to no more, also where many come at once.
    let start = Barrier::new(2 * room);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..2 * room)
            .map(|number| {
                let mut client = host.client().with_token(client.token().unwrap());
                let (start, path) = (&start, path(1000 + number));
                scope.spawn(move || {
                    start.wait();
                    client.put(&path, &json!({"value": "x"})).status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), room, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), room, "{statuses:?}");

    let before = database::row_counts(&site.database("user"));
    assert_eq!(before["user_preference"], i64::try_from(PREFERENCES_MAX).unwrap());
    let problem = client.put(&path(5000), &json!({"value": "x"})).problem(409, "too-many-preferences");
    assert_eq!(problem["constraint"], "user_preference.user_id");
    assert_eq!(database::row_counts(&site.database("user")), before);
    // Those that are there can be changed, another user has room, and so has this one after a deletion.
    client.put(&path(0), &json!({"value": "y"})).expect(200);
    let mut bo = host.customer("Bo");
    bo.client.put(&format!("/users/{}/preferences/0", bo.id), &json!({"value": "x"})).expect(201);
    client.delete(&path(0)).expect(204);
    client.put(&path(5000), &json!({"value": "x"})).expect(201);
    client.put(&path(5001), &json!({"value": "x"})).problem(409, "too-many-preferences");
}

#[test]
fn one_of_many_concurrent_first_puts_creates_the_preference_and_the_others_change_it() {
    let site = site();
    let host = site.start();
    let ada = host.customer("Ada");
    let (clients, rounds) = (8, 10);
    for round in 0..rounds {
        let path = format!("/users/{}/preferences/key-{round}", ada.id);
        let start = Barrier::new(clients);
        let answers: Vec<(u16, Value)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..clients)
                .map(|number| {
                    let mut client = host.client().with_token(ada.client.token().unwrap());
                    let (start, path) = (&start, &path);
                    scope.spawn(move || {
                        start.wait();
                        let answer = client.put(path, &json!({"value": number.to_string()}));
                        (answer.status, answer.value())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), clients - 1, "{answers:?}");
        let ids: Vec<String> = answers.iter().map(|(_, body)| id(body)).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    let connection = database::open(&site.database("user"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM user_preference"), rounds);
}

#[test]
fn preferences_are_visible_to_their_user_and_admins_and_hidden_from_others() {
    let site = site();
    let host = site.start();
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| host.customer(name));
    let mut admin = host.admin();
    let [adas, bos] = [&ada.id, &bo.id].map(|user| format!("/users/{user}/preferences"));
    // One key is each user's own.
    let kept = ada.client.put(&format!("{adas}/theme"), &json!({"value": "dark"})).expect(201);
    bo.client.put(&format!("{bos}/theme"), &json!({"value": "light"})).expect(201);
    bo.client.delete(&format!("{bos}/theme")).expect(204);
    assert_eq!(ada.client.get(&format!("{adas}/theme")).expect(200), kept);

    let before = database::row_counts(&site.database("user"));
    let unknown = format!("/users/{UNKNOWN}/preferences");
    let value = json!({"value": "red"});
    for (method, below, body) in [
        (Method::GET, "", Value::Null),
        (Method::GET, "/theme", Value::Null),
        (Method::PUT, "/theme", value.clone()),
        (Method::PUT, "/theme", json!({"wrong": 1})),
        (Method::PUT, "/other", value.clone()),
        (Method::DELETE, "/theme", Value::Null),
    ] {
        let mut ask = |path: &str| {
            let problem = bo.client.json(method.clone(), path, &body).problem(404, "not-found");
            untraced(problem)
        };
        let nobodys = ask(&format!("{unknown}{below}"));
        assert_eq!(ask(&format!("{adas}{below}")), nobodys, "{method} {below}");
        assert_eq!(ask(&format!("/users/7/preferences{below}")), nobodys, "{method} {below}");
        let path = format!("{adas}{below}");
        host.client().json(method.clone(), &path, &body).problem(401, "unauthenticated");
    }
    for (method, below) in
        [(Method::GET, ""), (Method::GET, "/theme"), (Method::PUT, "/theme"), (Method::DELETE, "/theme")]
    {
        let body = if method == Method::PUT { value.clone() } else { Value::Null };
        admin.json(method, &format!("{unknown}{below}"), &body).problem(404, "not-found");
    }
    assert_eq!(database::row_counts(&site.database("user")), before);
    assert_eq!(ada.client.get(&format!("{adas}/theme")).expect(200), kept);

    admin.put(&format!("{adas}/theme"), &json!({"value": "blue"})).expect(200);
    assert_eq!(ada.client.get(&format!("{adas}/theme")).expect(200)["preference_value"], "blue");
    assert_eq!(read_all(&mut admin, &format!("{adas}?"), 50).len(), 1);
    admin.delete(&format!("{adas}/theme")).expect(204);
    ada.client.get(&format!("{adas}/theme")).problem(404, "not-found");
}
