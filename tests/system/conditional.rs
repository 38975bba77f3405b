//! Conditional requests: entity tags, `If-None-Match`, `If-Match`.

use bulkhead_tests::shop::{category, eventually, id, order_body, product, product_body, register, settled};
use bulkhead_tests::{Answer, Client, Site};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

#[track_caller]
fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer}")).to_owned()
}

#[track_caller]
fn tag_of(client: &mut Client, path: &str) -> String {
    let answer = client.get(path);
    answer.expect(200);
    tag(&answer)
}

fn under(client: &mut Client, method: Method, path: &str, condition: (&str, &str), body: &Value) -> Answer {
    let headers = [condition, ("content-type", "application/json")];
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    client.send(method, path, &headers, body)
}

fn address() -> Value {
    json!({"address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE"})
}

/// What is made, and how it is changed or deleted: a method, a path and a body.
struct Made {
    created: Answer,
    changes: Vec<(Method, String, Value)>,
}

impl Made {
    /// What was made just now: it has the tag that what is there has.
    #[track_caller]
    fn new(admin: &mut Client, created: Answer, changes: &[(Method, Value)]) -> Made {
        created.expect(201);
        let path = created.header("location").expect("a location").to_owned();
        assert_eq!(tag(&created), tag_of(admin, &path), "{path}");
        let changes =
            changes.iter().map(|(method, body)| (method.clone(), path.clone(), body.clone())).collect();
        Made { created, changes }
    }

    fn path(&self) -> &str {
        self.created.header("location").expect("a location")
    }
}

/// One thing of every kind that changes by requests alone (an order goes on by itself), the last those that the others hang on.
fn all_kinds(admin: &mut Client, customer: &mut Client, user: &str) -> Vec<Made> {
    let delete = || (Method::DELETE, Value::Null);
    let answer = admin.post("/categories", &json!({"name": "Toys", "slug": "toys"}));
    let category = Made::new(admin, answer, &[(Method::PATCH, json!({"name": "Games"}))]);
    let answer = admin.post("/products", &product_body(&id(&category.created.value()), "1"));
    let product = Made::new(admin, answer, &[(Method::PATCH, json!({"price": "20.00"}))]);
    let below = product.path().to_owned();
    let answer = customer.post(&format!("/users/{user}/addresses"), &address());
    let address = Made::new(admin, answer, &[(Method::PUT, address_with("2 Quay")), delete()]);
    let (dark, light) = (json!({"value": "dark"}), json!({"value": "light"}));
    let answer = customer.json(Method::PUT, &format!("/users/{user}/preferences/theme"), &dark);
    let preference = Made::new(admin, answer, &[(Method::PUT, light), delete()]);
    let answer =
        admin.post(&format!("{below}/images"), &json!({"image_url": "https://images.example/1.png"}));
    let image = Made::new(admin, answer, &[delete()]);
    let answer = customer.post(&format!("{below}/reviews"), &json!({"rating": 5}));
    let review = Made::new(admin, answer, &[delete()]);
    vec![address, preference, image, review, product, category]
}

fn address_with(line: &str) -> Value {
    let mut address = address();
    address["address_line1"] = line.into();
    address
}

#[test]
fn unchanged_representation_is_304_and_head_has_the_headers_of_get() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let mut customer = host.customer("Ada");
    let mut paths: Vec<String> = all_kinds(&mut admin, &mut customer.client, &customer.id)
        .iter()
        .map(|made| made.path().to_owned())
        .collect();
    paths.push(format!("/users/{}", customer.id));
    paths.push("/products?sort=name".to_owned());
    for path in paths {
        let read = admin.get(&path);
        let known = tag(&read);
        let again = under(&mut admin, Method::GET, &path, ("if-none-match", &known), &Value::Null);
        assert_eq!((again.status, again.body.len(), tag(&again)), (304, 0, known), "{path}");
        let other = under(&mut admin, Method::GET, &path, ("if-none-match", "\"other\""), &Value::Null);
        assert_eq!((other.status, other.body), (200, read.body.clone()), "{path}");
        let head = admin.send(Method::HEAD, &path, &[], Bytes::new());
        assert_eq!((head.status, head.body.len(), tag(&head)), (200, 0, tag(&read)), "{path}");
        assert_eq!(head.header("content-length"), Some(read.body.len().to_string().as_str()), "{path}");
    }
}

#[test]
fn tag_of_an_order_changes_with_its_state() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let mut customer = host.customer("Ada").client;
    let category = category(&mut admin, "toys", None);
    let answer = admin.post("/products", &product_body(&category, "1"));
    settled(&mut admin, &answer);
    let order = customer.post("/orders", &order_body(&[(&id(&answer.value()), 1)], "tok_ok"));
    let (path, placed) = (order.header("location").unwrap(), tag(&order));
    eventually(&mut customer, path, |order| order["status"] == "paid");
    let answer = under(&mut customer, Method::GET, path, ("if-none-match", &placed), &Value::Null);
    let paid = tag(&answer);
    assert_eq!(answer.expect(200)["status"], "paid");
    let answer = under(&mut customer, Method::GET, path, ("if-none-match", &paid), &Value::Null);
    assert_eq!(answer.status, 304, "{answer}");
}

#[test]
fn a_resource_that_changed_meanwhile_is_neither_changed_nor_deleted() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let mut customer = host.customer("Ada");
    for Made { changes, .. } in all_kinds(&mut admin, &mut customer.client, &customer.id) {
        for (method, path, body) in changes {
            let before = admin.get(&path);
            before.expect(200);
            for stale in ["\"stale\"", "W/\"stale\"", "stale", &format!("W/{}", tag(&before))] {
                let refused = under(&mut admin, method.clone(), &path, ("if-match", stale), &body);
                refused.problem(412, "precondition-failed");
                assert_eq!(admin.get(&path).body, before.body, "{method} {path}");
            }
            let known = format!("\"stale\", {}", tag(&before));
            let changed = under(&mut admin, method.clone(), &path, ("if-match", &known), &body);
            assert!(matches!(changed.status, 200 | 204), "{method} {path}: {changed}");
            if matches!(method, Method::PUT | Method::PATCH) {
                assert_eq!(tag(&changed), tag_of(&mut admin, &path), "{method} {path}");
                assert_eq!(changed.header("content-location"), Some(path.as_str()));
                assert_ne!(tag(&changed), tag(&before), "{method} {path}");
            }
            let late = under(&mut admin, method.clone(), &path, ("if-match", &known), &body);
            let expected = if method == Method::DELETE { 404 } else { 412 };
            assert_eq!(late.status, expected, "{method} {path}: {late}");
        }
    }
}

/// Users have no path of their own among the others: they are whom the rest belongs to.
#[test]
fn user_is_changed_and_deleted_only_with_the_latest_tag() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let path = format!("/users/{}", id(&register(&mut admin, "Ada")));
    let first = tag_of(&mut admin, &path);
    let change = json!({"first_name": "Grace"});
    under(&mut admin, Method::PATCH, &path, ("if-match", &first), &change).expect(200);
    under(&mut admin, Method::DELETE, &path, ("if-match", &first), &Value::Null)
        .problem(412, "precondition-failed");
    let second = tag_of(&mut admin, &path);
    under(&mut admin, Method::DELETE, &path, ("if-match", &second), &Value::Null).expect_status(204);
    // A path that nothing can be got at has no version that anybody could know.
    let password = json!({"current_password": "a-wrong-password", "new_password": "another-password"});
    let path = format!("/users/{}/password", id(&register(&mut admin, "Ada")));
    under(&mut admin, Method::PUT, &path, ("if-match", "*"), &password).problem(412, "precondition-failed");
}

#[test]
fn a_request_refused_for_another_reason_is_refused_as_without_the_condition() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let mut customer = host.customer("Ada").client;
    let category = category(&mut admin, "toys", None);
    let path = format!("/products/{}", id(&product(&mut admin, &category, "1")));
    let stale = ("if-match", "\"stale\"");
    let change = json!({"price": "1.00"});
    under(&mut customer, Method::PATCH, &path, stale, &change).problem(403, "forbidden");
    under(&mut host.client(), Method::PATCH, &path, stale, &change).problem(401, "unauthenticated");
    under(&mut admin, Method::PATCH, &path, stale, &json!({"price": 1})).invalid(&["price"]);
    let nowhere = "/products/0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";
    under(&mut admin, Method::PATCH, nowhere, stale, &change).problem(404, "not-found");
    under(&mut admin, Method::DELETE, nowhere, ("if-match", "*"), &Value::Null).problem(404, "not-found");
    under(&mut admin, Method::PATCH, &path, stale, &change).problem(412, "precondition-failed");
}

#[test]
fn conditional_put_that_creates_does_not_overwrite_and_one_that_changes_does_not_create() {
    let host = Site::shop().start();
    let mut customer = host.customer("Ada");
    let client = &mut customer.client;
    let path = format!("/users/{}/preferences/theme", customer.id);
    let (dark, light) = (json!({"value": "dark"}), json!({"value": "light"}));
    for known in ["*", "\"stale\""] {
        under(client, Method::PUT, &path, ("if-match", known), &dark).problem(412, "precondition-failed");
        client.get(&path).problem(404, "not-found");
    }
    under(client, Method::PUT, &path, ("if-none-match", "*"), &dark).expect(201);
    under(client, Method::PUT, &path, ("if-none-match", "*"), &light).problem(412, "precondition-failed");
    assert_eq!(client.get(&path).expect(200)["preference_value"], "dark");
    under(client, Method::PUT, &path, ("if-match", "*"), &light).expect(200);
}

/// Each writer counts on from what it has read. Were the version compared outside the unit of work of the change, two could count on from
/// the same number, and one count would be lost.
#[test]
fn no_update_is_lost_between_writers_that_send_their_tag() {
    const WRITERS: usize = 6;
    const COUNTS: usize = 15;
    let host = Site::shop().start();
    let mut admin = host.admin();
    let token = admin.token().unwrap().to_owned();
    let category = category(&mut admin, "toys", None);
    let path = format!("/products/{}", id(&product(&mut admin, &category, "1")));
    admin.patch(&path, &json!({"description": "0"})).expect(200);
    let refused: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let mut client = host.client().with_token(&token);
                let path = path.as_str();
                scope.spawn(move || {
                    let (mut counted, mut refused) = (0, 0);
                    while counted < COUNTS {
                        let read = client.get(path);
                        let number: usize =
                            read.expect(200)["description"].as_str().unwrap().parse().unwrap();
                        let change = json!({"description": (number + 1).to_string()});
                        let answer =
                            under(&mut client, Method::PATCH, path, ("if-match", &tag(&read)), &change);
                        match answer.status {
                            200 => counted += 1,
                            412 => refused += 1,
                            _ => panic!("{answer}"),
                        }
                    }
                    refused
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let counted = (WRITERS * COUNTS).to_string();
    assert_eq!(admin.get(&path).expect(200)["description"], counted.as_str(), "{refused} were refused");
    assert!(refused > 0, "no two writers met: the test shows nothing");
}

/// Were it compared, a POST would tell by 409 or 412 whether an email is taken, and its handler would hold the lease while it hashes or calls.
#[test]
fn condition_on_a_post_is_ignored() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let mut customer = host.customer("Ada");
    let category = category(&mut admin, "toys", None);
    let answer = admin.post("/products", &product_body(&category, "1"));
    settled(&mut admin, &answer);
    let product = id(&answer.value());
    let stock = format!("/products/{product}/stock");
    under(&mut admin, Method::POST, &stock, ("if-match", "\"stale\""), &json!({"delta": 1})).expect(200);
    let kept = customer.client.post(&format!("/users/{}/addresses", customer.id), &address()).expect(201);
    let mut order = order_body(&[(&product, 1)], "tok_ok");
    order["shipping"] = json!({"recipient_name": "Ada", "address_id": kept["id"]});
    under(&mut customer.client, Method::POST, "/orders", ("if-none-match", "\"x\""), &order).expect(201);
}

#[test]
fn no_store_answer_has_no_tag() {
    let host = Site::shop().start();
    let mut client = host.client();
    let user = register(&mut client, "Ada");
    let login = json!({"email": user["email"], "password": bulkhead_tests::shop::PASSWORD});
    let session = client.post("/sessions", &login);
    session.expect(201);
    assert_eq!(session.header("etag"), None, "{session}");
}
