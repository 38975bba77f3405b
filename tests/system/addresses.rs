//! Addresses of a user, of which one is the default as long as there are any.

use std::sync::Barrier;
use std::thread;

use bulkhead_tests::shop::{id, read_all, read_page, texts_of, untraced, users_alone};
use bulkhead_tests::{Client, Host, Random, Site, database};
use http::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";
/// A user has so many at most.
const ADDRESSES_MAX: usize = 50;

/// An address; without a wish whether it is the default where that is none.
fn body(line: &str, is_default: Option<bool>) -> Value {
    let mut body = json!({"address_line1": line, "city": "Ulm", "postal_code": "89073", "country": "DE"});
    if let Some(is_default) = is_default {
        body["is_default"] = is_default.into();
    }
    body
}

/// A new customer of a shop, and what the database has of them.
struct Book {
    site: Site,
    host: Host,
    client: Client,
    user: String,
    path: String,
}

impl Book {
    fn new() -> Book {
        let site = Site::new(&users_alone());
        let host = site.start();
        let customer = host.customer("Ada");
        let path = format!("/users/{}/addresses", customer.id);
        Book { site, host, client: customer.client, user: customer.id, path }
    }

    #[track_caller]
    fn add(&mut self, is_default: Option<bool>) -> String {
        id(&self.client.post(&self.path, &body("1 Quay", is_default)).expect(201))
    }

    /// A second client of the same customer.
    fn another_client(&self) -> Client {
        self.host.client().with_token(self.client.token().unwrap())
    }

    /// The ids, the oldest first, and the default, by the database. Checks that there is exactly one default where there are any.
    #[track_caller]
    fn stored(&self) -> (Vec<String>, Option<String>) {
        let connection = database::open(&self.site.database("user"));
        let select = |condition: &str| {
            let user = &self.user;
            let rows = format!("SELECT id FROM user_address WHERE user_id = '{user}'{condition} ORDER BY id");
            database::texts(&connection, &rows)
        };
        let (all, mut defaults) = (select(""), select(" AND is_default = 1"));
        assert_eq!(defaults.len(), all.len().min(1), "{defaults:?} of {all:?}");
        (all, defaults.pop())
    }

    /// Checks by the database and by the API that this is the one default.
    #[track_caller]
    fn default_is(&mut self, expected: &str) {
        assert_eq!(self.stored().1.as_deref(), Some(expected));
        for address in read_all(&mut self.client, &format!("{}?", self.path), 200) {
            assert_eq!(address["is_default"], id(&address) == expected, "{address}");
        }
    }
}

#[test]
fn address_is_read_back_as_added_and_as_replaced() {
    let mut book = Book::new();
    let client = &mut book.client;
    let full = json!({
        "address_line1": "12/3, Stra\u{df}e \u{e4}", "address_line2": "c/o O'Hara-\u{14c}e", "city": "\u{5317}\u{4eac}",
        "state": "BW", "postal_code": "SW1A 1AA", "country": "GB", "is_default": true,
    });
    let answer = client.post(&book.path, &full);
    let made = answer.expect(201);
    let path = format!("{}/{}", book.path, id(&made));
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!(id(&made).parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    let mut expected = full;
    expected["id"] = made["id"].clone();
    expected["user_id"] = json!(book.user);
    assert_eq!(made, expected);
    assert_eq!(client.get(&path).expect(200), made);

    // What is left out of a PUT is gone, and so is what is null.
    for body in [
        body("2 Quay", None),
        json!({
            "address_line1": "2 Quay", "address_line2": null, "city": "Ulm", "state": null, "postal_code": "89073",
            "country": "DE", "is_default": null,
        }),
    ] {
        let replaced = client.put(&path, &body).expect(200);
        let expected = json!({
            "id": made["id"], "user_id": book.user, "address_line1": "2 Quay", "address_line2": null, "city": "Ulm",
            "state": null, "postal_code": "89073", "country": "DE", "is_default": true,
        });
        assert_eq!(replaced, expected);
        assert_eq!(client.get(&path).expect(200), expected);
    }
    let connection = database::open(&book.site.database("user"));
    let events = database::texts(&connection, "SELECT type FROM _bulkhead_outbox");
    assert_eq!(events, ["user.changed"], "addresses publish nothing");
}

#[test]
fn first_address_is_the_default_even_if_not_requested() {
    let mut book = Book::new();
    for wish in [None, Some(true), Some(false)] {
        let first = book.add(wish);
        book.default_is(&first);
        book.client.delete(&format!("{}/{first}", book.path)).expect(204);
        assert_eq!(book.stored(), (Vec::new(), None));
    }
}

#[test]
fn further_address_becomes_the_default_only_on_request() {
    let mut book = Book::new();
    let first = book.add(None);
    for wish in [None, Some(false)] {
        book.add(wish);
        book.default_is(&first);
    }
    let third = book.add(Some(true));
    book.default_is(&third);
    book.add(None);
    book.default_is(&third);
}

#[test]
fn if_the_default_is_deleted_the_oldest_other_address_becomes_the_default() {
    let mut book = Book::new();
    let ids: Vec<String> = [None, None, Some(true), None].map(|wish| book.add(wish)).into();
    let path = |book: &Book, number: usize| format!("{}/{}", book.path, ids[number]);
    book.default_is(&ids[2]);
    // Given up by a PUT, and deleted.
    let given_up = book.client.put(&path(&book, 2), &body("1 Quay", Some(false))).expect(200);
    assert_eq!(given_up["is_default"], false);
    book.default_is(&ids[0]);
    book.client.put(&path(&book, 0), &body("1 Quay", Some(false))).expect(200);
    book.default_is(&ids[1]);
    book.client.delete(&path(&book, 1)).expect(204);
    book.default_is(&ids[0]);
    book.client.delete(&path(&book, 0)).expect(204);
    book.default_is(&ids[2]);
    // Where another one goes, it stays.
    book.client.delete(&path(&book, 3)).expect(204);
    book.default_is(&ids[2]);
    // The only one cannot give it up.
    let only = book.client.put(&path(&book, 2), &body("1 Quay", Some(false))).expect(200);
    assert_eq!(only["is_default"], true);
    book.default_is(&ids[2]);
    book.client.delete(&path(&book, 2)).expect(204);
    assert_eq!(book.stored(), (Vec::new(), None));
}

#[test]
fn put_without_is_default_does_not_change_the_default() {
    let mut book = Book::new();
    let [first, second, third] = [None, Some(true), None].map(|wish| book.add(wish));
    for id in [&first, &second, &third] {
        let replaced = book.client.put(&format!("{}/{id}", book.path), &body("2 Quay", None)).expect(200);
        assert_eq!(
            (&replaced["address_line1"], &replaced["is_default"]),
            (&json!("2 Quay"), &json!(*id == second))
        );
        book.default_is(&second);
    }
    for id in [&first, &third, &third] {
        book.client.put(&format!("{}/{id}", book.path), &body("2 Quay", Some(true))).expect(200);
        book.default_is(id);
    }
    book.client.put(&format!("{}/{first}", book.path), &body("2 Quay", Some(false))).expect(200);
    book.default_is(&third);
}

/// What the addresses are expected to be: the oldest first, and which of them is the default.
#[derive(Default)]
struct Model {
    ids: Vec<String>,
    default: Option<String>,
}

impl Model {
    /// An address was added or replaced with this wish.
    fn put(&mut self, id: &str, wish: Option<bool>) {
        let oldest_other = self.ids.iter().find(|other| *other != id).cloned();
        let is_default = self.default.as_deref() == Some(id);
        self.default = match wish {
            _ if oldest_other.is_none() => Some(id.to_owned()),
            Some(true) => Some(id.to_owned()),
            Some(false) if is_default => oldest_other,
            _ => self.default.take(),
        };
    }

    fn delete(&mut self, position: usize) -> String {
        let id = self.ids.remove(position);
        if self.default.as_ref() == Some(&id) {
            self.default = self.ids.first().cloned();
        }
        id
    }
}

#[test]
fn after_every_step_of_300_exactly_one_address_is_the_default() {
    let mut book = Book::new();
    let mut random = Random::new();
    let mut model = Model::default();
    for _ in 0..300 {
        let wish = [None, Some(true), Some(false)][usize::try_from(random.below(3)).unwrap()];
        let position = usize::try_from(random.below(model.ids.len().max(1) as u64)).unwrap();
        // Few addresses, so that there is often one or none.
        match random.below(3) {
            0 if model.ids.len() < 5 => {
                let added = book.client.post(&book.path, &body("1 Quay", wish)).expect(201);
                model.put(&id(&added), wish);
                model.ids.push(id(&added));
                assert_eq!(added["is_default"], model.default == Some(id(&added)));
            }
            1 if !model.ids.is_empty() => {
                let id = model.ids[position].clone();
                let path = format!("{}/{id}", book.path);
                let replaced = book.client.put(&path, &body("2 Quay", wish)).expect(200);
                model.put(&id, wish);
                assert_eq!(replaced["is_default"], model.default == Some(id));
            }
            2 if !model.ids.is_empty() => {
                let path = format!("{}/{}", book.path, model.delete(position));
                book.client.delete(&path).expect(204);
            }
            _ => continue,
        }
        assert_eq!(book.stored(), (model.ids.clone(), model.default.clone()));
    }
}

#[test]
fn concurrent_changes_leave_exactly_one_default() {
    let mut book = Book::new();
    let ids: Vec<String> = (0..8).map(|_| book.add(None)).collect();
    let start = Barrier::new(ids.len());
    thread::scope(|scope| {
        for (number, id) in ids.iter().enumerate() {
            let (mut client, start, path) = (book.another_client(), &start, &book.path);
            scope.spawn(move || {
                start.wait();
                for round in 0..10 {
                    let wish = [Some(true), None, Some(false)][(number + round) % 3];
                    client.put(&format!("{path}/{id}"), &body("2 Quay", wish)).expect(200);
                    let added = client.post(path, &body("3 Quay", Some(true))).expect(201);
                    let added = format!("{path}/{}", added["id"].as_str().unwrap());
                    client.delete(&added).expect(204);
                }
            });
        }
    });
    assert_eq!(book.stored().0, ids);
}

#[test]
fn a_country_is_a_code_of_two_letters_in_upper_case() {
    let mut book = Book::new();
    let with = |country: Value| {
        let mut body = body("1 Quay", None);
        body["country"] = country;
        body
    };
    for country in ["AD", "DE", "GB", "SS", "US", "ZW"] {
        let made = book.client.post(&book.path, &with(json!(country))).expect(201);
        assert_eq!(made["country"], country);
    }
    let path = format!("{}/{}", book.path, book.stored().0[0]);
    let before = database::row_counts(&book.site.database("user"));
    for country in ["", "D", "de", "De", "DEU", "276", "ZZ", "UK", "XK", "EU", "DE ", " DE", "\u{14c}\u{14c}"]
    {
        book.client.post(&book.path, &with(json!(country))).invalid(&["country"]);
        book.client.put(&path, &with(json!(country))).invalid(&["country"]);
    }
    for country in [json!(null), json!(49), json!(["DE"])] {
        book.client.post(&book.path, &with(country)).invalid(&["country"]);
    }
    assert_eq!(database::row_counts(&book.site.database("user")), before);
    assert_eq!(book.client.get(&path).expect(200)["country"], "AD");
}

#[test]
fn all_errors_of_an_address_are_reported_at_once() {
    let mut book = Book::new();
    let address = book.add(None);
    let path = format!("{}/{address}", book.path);
    let kept = book.client.get(&path).expect(200);
    let before = database::row_counts(&book.site.database("user"));
    let required = ["address_line1", "city", "postal_code", "country"];
    let all = [
        "address_line1",
        "address_line2",
        "city",
        "state",
        "postal_code",
        "country",
        "is_default",
        "colour",
        "id",
    ];
    let wrong = [
        json!({
            "address_line1": "", "address_line2": "", "city": "a\nb", "state": " x", "postal_code": 89073,
            "country": "de", "is_default": "yes", "colour": "blue", "id": UNKNOWN,
        }),
        json!({
            "address_line1": "l".repeat(201), "address_line2": "l".repeat(201), "city": "c".repeat(101),
            "state": "s".repeat(101), "postal_code": "1".repeat(21), "country": null, "is_default": 1, "colour": 1,
            "id": null,
        }),
    ];
    let longest = json!({
        "address_line1": "\u{e4}".repeat(200), "address_line2": "\u{e4}".repeat(200), "city": "\u{e4}".repeat(100),
        "state": "\u{e4}".repeat(100), "postal_code": "1".repeat(20), "country": "DE",
    });
    for (method, path) in [(Method::POST, &book.path), (Method::PUT, &path)] {
        book.client.json(method.clone(), path, &json!({})).invalid(&required);
        for wrong in &wrong {
            book.client.json(method.clone(), path, wrong).invalid(&all);
        }
        for field in all.iter().filter(|field| !["colour", "id"].contains(field)) {
            let mut body = longest.clone();
            body[field] = wrong[0][field].clone();
            book.client.json(method.clone(), path, &body).invalid(&[field]);
        }
    }
    assert_eq!(database::row_counts(&book.site.database("user")), before);
    assert_eq!(book.client.get(&path).expect(200), kept);
    book.client.put(&path, &longest).expect(200);
    book.client.post(&book.path, &longest).expect(201);
}

#[test]
fn addresses_are_listed_oldest_first_page_by_page() {
    let mut book = Book::new();
    assert_eq!(book.client.get(&book.path).expect(200), json!({"items": [], "next_cursor": null}));
    let ids: Vec<String> = (0..7).map(|_| book.add(Some(true))).collect();
    for limit in [1, 2, 3, 7, 200] {
        let listed = read_all(&mut book.client, &format!("{}?", book.path), limit);
        assert_eq!(texts_of(&listed, "id"), ids, "limit={limit}");
        assert_eq!(book.client.get(&format!("{}/{}", book.path, ids[0])).expect(200), listed[0]);
    }
    // A cursor leads on though what it stands behind has gone, and to what was added meanwhile.
    let (_, next) = read_page(&mut book.client, &format!("{}?limit=2", book.path));
    let next = next.unwrap();
    book.client.delete(&format!("{}/{}", book.path, ids[1])).expect(204);
    let added = book.add(None);
    let (mut rest, mut behind) = (Vec::new(), Some(next.clone()));
    while let Some(cursor) = behind {
        let page;
        (page, behind) = read_page(&mut book.client, &format!("{}?limit=3&cursor={cursor}", book.path));
        rest.extend(page);
    }
    assert_eq!(texts_of(&rest, "id"), [&ids[2..], &[added]].concat());

    let mut other = book.host.customer("Bo");
    other.client.get(&format!("/users/{}/addresses?cursor={next}", other.id)).invalid(&["cursor"]);
    book.host.admin().get(&format!("/users?cursor={next}")).invalid(&["cursor"]);
    let wrong = format!("{}?limit=201&cursor=x&country=DE", book.path);
    book.client.get(&wrong).invalid(&["limit", "cursor", "country"]);
}

#[test]
fn number_of_addresses_of_a_user_is_limited() {
    let mut book = Book::new();
    let room = 4;
    for _ in 0..ADDRESSES_MAX - room {
        book.add(None);
    }
    // The last places go to whoever comes first, and to no more, also where many come at once.
    let start = Barrier::new(2 * room);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..2 * room)
            .map(|_| {
                let (mut client, start, path) = (book.another_client(), &start, &book.path);
                scope.spawn(move || {
                    start.wait();
                    client.post(path, &body("1 Quay", None)).status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), room, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), room, "{statuses:?}");

    let (ids, default) = book.stored();
    assert_eq!(ids.len(), ADDRESSES_MAX);
    let problem =
        book.client.post(&book.path, &body("1 Quay", Some(true))).problem(409, "too-many-addresses");
    assert_eq!(problem["constraint"], "user_address.user_id");
    assert_eq!(book.stored(), (ids.clone(), default));
    // Those that are there can be replaced, another user has room, and so has this one after a deletion.
    let path = format!("{}/{}", book.path, ids[7]);
    book.client.put(&path, &body("2 Quay", Some(true))).expect(200);
    let mut bo = book.host.customer("Bo");
    bo.client.post(&format!("/users/{}/addresses", bo.id), &body("1 Quay", None)).expect(201);
    book.client.delete(&path).expect(204);
    let added = book.add(Some(true));
    book.default_is(&added);
}

#[test]
fn addresses_are_visible_to_their_user_and_admins_and_hidden_from_others() {
    let mut book = Book::new();
    let address = book.add(None);
    let mut bo = book.host.customer("Bo");
    let bos = format!("/users/{}/addresses", bo.id);
    let bos_address = id(&bo.client.post(&bos, &body("1 Quay", None)).expect(201));
    let before = database::row_counts(&book.site.database("user"));

    let unknown = format!("/users/{UNKNOWN}/addresses");
    let one = format!("/{address}");
    for (method, below, body) in [
        (Method::GET, "", Value::Null),
        (Method::POST, "", body("1 Quay", Some(true))),
        (Method::POST, "", json!({"wrong": 1})),
        (Method::GET, one.as_str(), Value::Null),
        (Method::PUT, one.as_str(), body("2 Quay", None)),
        (Method::DELETE, one.as_str(), Value::Null),
    ] {
        let mut ask = |path: &str| {
            let problem = bo.client.json(method.clone(), path, &body).problem(404, "not-found");
            untraced(problem)
        };
        let nobodys = ask(&format!("{unknown}{below}"));
        assert_eq!(ask(&format!("{}{below}", book.path)), nobodys, "{method} {below}");
        assert_eq!(ask(&format!("/users/7/addresses{below}")), nobodys, "{method} {below}");
        let path = format!("{}{below}", book.path);
        book.host.client().json(method.clone(), &path, &body).problem(401, "unauthenticated");
        if body.get("wrong").is_none() {
            let path = format!("{unknown}{below}");
            book.host.admin().json(method.clone(), &path, &body).problem(404, "not-found");
        }
    }
    // An address is found below its user alone, by whoever asks.
    let mut admin = book.host.admin();
    for address in [bos_address.as_str(), UNKNOWN, "7", "not-a-uuid", &"1".repeat(32), "%00"] {
        let path = format!("{}/{address}", book.path);
        for client in [&mut book.client, &mut admin] {
            client.get(&path).problem(404, "not-found");
            client.put(&path, &body("2 Quay", Some(true))).problem(404, "not-found");
            client.delete(&path).problem(404, "not-found");
        }
    }
    assert_eq!(database::row_counts(&book.site.database("user")), before);
    book.default_is(&address);
    assert_eq!(bo.client.get(&format!("{bos}/{bos_address}")).expect(200)["address_line1"], "1 Quay");

    let added = id(&admin.post(&book.path, &body("3 Quay", Some(true))).expect(201));
    book.default_is(&added);
    assert_eq!(admin.get(&format!("{}/{added}", book.path)).expect(200)["user_id"], book.user.as_str());
    admin.put(&format!("{}/{added}", book.path), &body("4 Quay", Some(false))).expect(200);
    book.default_is(&address);
    admin.delete(&format!("{}/{added}", book.path)).expect(204);
    assert_eq!(read_all(&mut admin, &format!("{}?", book.path), 50).len(), 1);
}
