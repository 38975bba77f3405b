//! `Idempotency-Key`: of all requests with one key one has an effect, and all get its answer, whatever happens in between.

mod kept;
mod kill;
mod not_kept;

use std::sync::{Arc, Barrier};
use std::thread;

use bulkhead_tests::shop::{
    self, category, id, order_body, position, product_body, settled, unhurried, user_body,
};
use bulkhead_tests::{Answer, Client, Customer, Host, Manifest, Site, database, raw};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::ordering::until_status;

const JSON: (&str, &str) = ("content-type", "application/json");
/// The problem of a key that was used with another request.
const REUSED: &str = "idempotency-key-reused";

/// POST with a key.
#[track_caller]
fn keyed(client: &mut Client, path: &str, key: &str, body: &Value) -> Answer {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    client.send(Method::POST, path, &[JSON, ("idempotency-key", key)], body)
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// What a client sees of an answer, without what is of the one exchange: its trace, its time, and that it is told again.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, Bytes) {
    let own = ["traceresponse", "date", "idempotency-replayed"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status, headers, answer.body.clone())
}

/// A shop with a product, and more time than any busy machine needs.
struct Shop {
    site: Site,
    host: Host,
    admin: Client,
    category: String,
    product: String,
}

impl Shop {
    fn new() -> Shop {
        let mut manifest = unhurried(Manifest::shop()).set("service.order.config.payment_timeout", "1h");
        for service in ["order", "product"] {
            manifest = manifest
                .set(&format!("service.{service}.limits.request_timeout"), "30s")
                .set(&format!("service.{service}.limits.lease_hold"), "10s");
        }
        let site = Site::new(&manifest);
        let host = site.start();
        let mut admin = host.admin();
        let category = category(&mut admin, "all", None);
        let mut body = product_body(&category, "sku");
        body["stock_quantity"] = json!(10_000);
        let created = admin.post("/products", &body);
        settled(&mut admin, &created);
        let product = id(&created.expect(201));
        Shop { site, host, admin, category, product }
    }

    fn count(&self, service: &str, statement: &str) -> i64 {
        database::number(&database::open(&self.site.database(service)), statement)
    }

    fn order(&self) -> Value {
        order_body(&[(&self.product, 1)], "tok_ok")
    }

    /// An order that stands so.
    fn order_until(&mut self, customer: &mut Customer, token: &str, status: &str) -> String {
        let order =
            id(&customer.client.post("/orders", &order_body(&[(&self.product, 1)], token)).expect(201));
        until_status(&mut self.admin, &order, status);
        order
    }
}

/// A POST that has an effect when it comes for the first time.
struct Row {
    /// `admin`, `customer` or nobody.
    caller: &'static str,
    path: String,
    body: Value,
    /// What else could be asked with good reason.
    other: Value,
    /// The service with a number that the effect raises by one.
    effect: (&'static str, String),
}

/// Every POST of the shop but that for a session.
fn every_post(shop: &mut Shop, customer: &mut Customer) -> Vec<Row> {
    let declined = shop.order_until(customer, "tok_declined", "reserved");
    let payment = format!("/orders/{declined}");
    bulkhead_tests::shop::eventually(&mut shop.admin, &payment, |order| {
        order["payment"]["payment_status"] == "declined"
    });
    let [cancelled, shipped, delivered] = [(); 3].map(|()| shop.order_until(customer, "tok_ok", "paid"));
    let parcel = |number: &str| json!({"carrier": "Post", "tracking_number": number});
    shop.admin.post(&format!("/orders/{delivered}/ship"), &parcel("1")).expect(200);
    let (product, user) = (format!("/products/{}", shop.product), format!("/users/{}", customer.id));
    let caused = |order: &str, cause: &str| {
        format!("SELECT count(*) FROM order_event WHERE order_id = '{order}' AND cause = '{cause}'")
    };
    let address =
        |line: &str| json!({"address_line1": line, "city": "Ulm", "postal_code": "1", "country": "DE"});
    let row = |caller, path: String, body, other, effect: (&'static str, String)| Row {
        caller,
        path,
        body,
        other,
        effect,
    };
    let count = |table: &str| format!("SELECT count(*) FROM {table}");
    vec![
        row(
            "nobody",
            "/users".into(),
            user_body("once@tests.example", "Once"),
            user_body("twice@tests.example", "Once"),
            ("user", count("user")),
        ),
        row(
            "customer",
            format!("{user}/addresses"),
            address("1 Quay"),
            address("2 Quay"),
            ("user", count("user_address")),
        ),
        row(
            "admin",
            "/categories".into(),
            json!({"name": "Once"}),
            json!({"name": "Twice"}),
            ("product", count("category")),
        ),
        row(
            "admin",
            "/products".into(),
            product_body(&shop.category, "once"),
            product_body(&shop.category, "twice"),
            ("product", count("product")),
        ),
        row(
            "admin",
            format!("{product}/stock"),
            json!({"delta": 1}),
            json!({"delta": 2}),
            ("product", format!("SELECT stock_quantity FROM product WHERE id = '{}'", shop.product)),
        ),
        row(
            "admin",
            format!("{product}/images"),
            json!({"image_url": "https://a.example/1.png"}),
            json!({"image_url": "https://a.example/2.png"}),
            ("product", count("product_image")),
        ),
        row(
            "customer",
            format!("{product}/reviews"),
            json!({"rating": 5}),
            json!({"rating": 4}),
            ("product", count("product_review")),
        ),
        row(
            "customer",
            format!("/orders/{declined}/payment"),
            json!({"method": "card", "token": "tok_declined"}),
            json!({"method": "card", "token": "tok_ok"}),
            ("order", format!("{} WHERE order_id = '{declined}'", count("order_payment_attempt"))),
        ),
        row(
            "customer",
            format!("/orders/{cancelled}/cancel"),
            Value::Null,
            json!({}),
            ("order", caused(&cancelled, "cancelled")),
        ),
        row(
            "admin",
            format!("/orders/{shipped}/ship"),
            parcel("1"),
            parcel("2"),
            ("order", caused(&shipped, "shipped")),
        ),
        row(
            "admin",
            format!("/orders/{delivered}/deliver"),
            Value::Null,
            json!({}),
            ("order", caused(&delivered, "delivered")),
        ),
        row(
            "customer",
            "/orders".into(),
            shop.order(),
            order_body(&[(&shop.product, 2)], "tok_ok"),
            ("order", count("\"order\"")),
        ),
    ]
}

#[test]
fn every_post_has_one_effect_per_key_and_repeats_its_first_answer() {
    let mut shop = Shop::new();
    let mut customer = shop.host.customer("Ada");
    let rows = every_post(&mut shop, &mut customer);
    let mut nobody = shop.host.client();
    for (number, row) in rows.iter().enumerate() {
        let key = format!("key-{number}");
        let (service, statement) = (row.effect.0, row.effect.1.as_str());
        // Stock that a cancelled order gives back is on its way until it is there.
        let before = shop.count(service, statement);
        let client = match row.caller {
            "admin" => &mut shop.admin,
            "customer" => &mut customer.client,
            _ => &mut nobody,
        };
        let first = keyed(client, &row.path, &key, &row.body);
        assert!((200..300).contains(&first.status), "{first}");
        assert_eq!(first.header("idempotency-replayed"), None, "{first}");
        assert!(position(&first).starts_with(&format!("{service}:")), "{first}");
        assert_eq!(first.status == 201, first.header("location").is_some(), "{first}");
        for _ in 0..3 {
            let again = keyed(client, &row.path, &key, &row.body);
            assert!(is_replayed(&again), "{again}");
            assert_eq!(visible(&again), visible(&first), "{}", row.path);
        }
        keyed(client, &row.path, &key, &row.other).problem(422, REUSED);
        keyed(client, &format!("{}?more=1", row.path), &key, &row.body).problem(422, REUSED);
        // What was refused has spoilt nothing.
        assert_eq!(visible(&keyed(client, &row.path, &key, &row.body)), visible(&first), "{}", row.path);
        assert_eq!(shop.count(service, statement), before + 1, "{}: {statement}", row.path);
    }
}

#[test]
fn key_used_on_one_path_is_refused_on_another_path_only_within_the_service() {
    let mut shop = Shop::new();
    let mut customer = shop.host.customer("Ada");
    let [first, second] = [(); 2].map(|()| shop.order_until(&mut customer, "tok_ok", "paid"));
    let ada = &mut customer.client;
    keyed(ada, &format!("/orders/{first}/cancel"), "k", &Value::Null).expect(200);
    keyed(ada, &format!("/orders/{second}/cancel"), "k", &Value::Null).problem(422, REUSED);
    keyed(ada, "/orders", "k", &shop.order()).problem(422, REUSED);
    assert_eq!(ada.get(&format!("/orders/{second}")).expect(200)["status"], "paid");
    // Every service keeps its own.
    let review = keyed(ada, &format!("/products/{}/reviews", shop.product), "k", &json!({"rating": 1}));
    review.expect(201);
    assert!(!is_replayed(&review));
}

#[test]
fn keys_of_different_callers_are_independent() {
    let shop = Shop::new();
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| shop.host.customer(name));
    let body = shop.order();
    let [first, second] =
        [&mut ada, &mut bo].map(|customer| keyed(&mut customer.client, "/orders", "shared", &body));
    assert!(!is_replayed(&second), "{second}");
    assert_ne!(id(&first.expect(201)), id(&second.expect(201)));
    for (customer, answer) in [(&mut ada, &first), (&mut bo, &second)] {
        let again = keyed(&mut customer.client, "/orders", "shared", &body);
        assert!(is_replayed(&again));
        assert_eq!(visible(&again), visible(answer));
    }
    keyed(&mut shop.host.client(), "/orders", "shared", &body).any_problem();
    assert_eq!(shop.count("order", "SELECT count(*) FROM \"order\""), 2);
}

#[test]
fn refused_request_is_not_kept_and_leaves_the_key_free() {
    let mut shop = Shop::new();
    let admin = &mut shop.admin;
    // 409, whose cause goes.
    let body = json!({"name": "Taken", "slug": "taken"});
    let taken = id(&admin.post("/categories", &body).expect(201));
    for _ in 0..2 {
        let refused = keyed(admin, "/categories", "conflict", &body);
        assert!(refused.status == 409 && !is_replayed(&refused), "{refused}");
    }
    admin.delete(&format!("/categories/{taken}")).expect(204);
    let made = keyed(admin, "/categories", "conflict", &body);
    assert_ne!(id(&made.expect(201)), taken);
    assert!(!is_replayed(&made));
    assert!(is_replayed(&keyed(admin, "/categories", "conflict", &body)));
    // 422, mended in the body: the key was never used.
    keyed(admin, "/categories", "invalid", &json!({"nome": "Fresh"})).any_problem();
    keyed(admin, "/categories", "invalid", &json!({"name": "Fresh"})).expect(201);
    // 400, 403, 404 and 401 as well.
    let mut ada = shop.host.customer("Ada");
    let headers = [JSON, ("idempotency-key", "mixed")];
    admin.send(Method::POST, "/categories", &headers, Bytes::from("{")).any_problem();
    keyed(&mut ada.client, "/categories", "mixed", &json!({"name": "Mixed"})).problem(403, "forbidden");
    keyed(admin, "/orders/none/deliver", "mixed", &Value::Null).problem(404, "not-found");
    let mut nobody = shop.host.client();
    keyed(&mut nobody, "/categories", "mixed", &json!({"name": "Mixed"})).problem(401, "unauthenticated");
    let mut stranger = shop.host.client().with_token("not.a.token");
    keyed(&mut stranger, "/categories", "mixed", &json!({"name": "Mixed"})).problem(401, "invalid-token");
    keyed(admin, "/categories", "mixed", &json!({"name": "Mixed"})).expect(201);
    let order = shop.order();
    keyed(&mut ada.client, "/orders", "mixed", &order).expect(201);
    assert_eq!(shop.count("product", "SELECT count(*) FROM _bulkhead_idempotency"), 3);
}

#[test]
fn key_is_ignored_on_other_methods() {
    let mut shop = Shop::new();
    let product = format!("/products/{}", shop.product);
    let customer = shop.host.customer("Ada");
    let admin = &mut shop.admin;
    for key in ["k", "", &"x".repeat(300)] {
        for price in ["1.00", "2.00", "1.00"] {
            let body = Bytes::from(json!({"price": price}).to_string());
            let answer = admin.send(Method::PATCH, &product, &[JSON, ("idempotency-key", key)], body);
            assert_eq!(answer.expect(200)["price"], price);
            assert!(!is_replayed(&answer));
            let got = admin.send(Method::GET, &product, &[("idempotency-key", key)], Bytes::new());
            assert_eq!(got.expect(200)["price"], price);
        }
        let preference = format!("/users/{}/preferences/theme", customer.id);
        for (value, status) in [("a", 201), ("b", 200), ("a", 200)] {
            let body = Bytes::from(json!({"value": value}).to_string());
            let answer = admin.send(Method::PUT, &preference, &[JSON, ("idempotency-key", key)], body);
            assert_eq!(answer.expect(status)["preference_value"], value, "{answer}");
        }
        let delete = |admin: &mut Client| {
            admin.send(Method::DELETE, &preference, &[("idempotency-key", key)], Bytes::new())
        };
        delete(admin).expect_status(204);
        delete(admin).problem(404, "not-found");
    }
    for service in ["product", "user"] {
        assert_eq!(shop.count(service, "SELECT count(*) FROM _bulkhead_idempotency"), 0, "{service}");
    }
}

#[test]
fn a_key_is_one_header_of_1_to_255_visible_characters() {
    let mut shop = Shop::new();
    let code = "invalid-idempotency-key";
    let body = json!({"name": "Never"});
    let admin = &mut shop.admin;
    for key in ["", "   ", &"x".repeat(256)] {
        keyed(admin, "/categories", key, &body).problem(400, code);
    }
    let two = [JSON, ("idempotency-key", "a"), ("idempotency-key", "a")];
    admin.send(Method::POST, "/categories", &two, Bytes::from(body.to_string())).problem(400, code);
    let request = [
        b"POST /users HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nidempotency-key: k\xff\r\n\r\n{}"
            .as_slice(),
        b"POST /users HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nidempotency-key: k\xc3\xa9\r\n\r\n{}",
    ];
    for bytes in request {
        raw::exchange(shop.host.address(), bytes).expect("an answer").problem(400, code);
    }
    keyed(admin, "/categories", &"x".repeat(255), &body).expect(201);
    assert!(is_replayed(&keyed(admin, "/categories", &"x".repeat(255), &body)));
    assert_eq!(shop.count("product", "SELECT count(*) FROM category WHERE name = 'Never'"), 1);
}

#[test]
fn one_of_200_concurrent_posts_with_one_key_creates_an_order_and_all_get_its_answer() {
    const POSTS: usize = 200;
    let shop = Shop::new();
    let customer = shop.host.customer("Ada");
    let token = customer.client.token().unwrap().to_owned();
    let barrier = Arc::new(Barrier::new(POSTS));
    let posts: Vec<_> = (0..POSTS)
        .map(|_| {
            let mut client = shop.host.client().with_token(&token);
            let (barrier, body) = (Arc::clone(&barrier), shop.order());
            thread::spawn(move || {
                // The connection is there before.
                client.get("/orders?limit=1").expect_status(200);
                barrier.wait();
                keyed(&mut client, "/orders", "one", &body)
            })
        })
        .collect();
    let answers: Vec<Answer> = posts.into_iter().map(|post| post.join().unwrap()).collect();
    answers[0].expect(201);
    for answer in &answers {
        assert_eq!(visible(answer), visible(&answers[0]));
    }
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert_eq!(shop.count("order", "SELECT count(*) FROM \"order\""), 1);
    let placed = "SELECT count(*) FROM _bulkhead_outbox WHERE type = 'order.placed'";
    assert_eq!(shop.count("order", placed), 1);
}
