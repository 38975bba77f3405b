//! Positions: every write says where its log stands, and a request that names such a place is answered when its service is there.

use std::time::{Duration, Instant};

use bulkhead_tests::shop::{
    self, category, eventually, get_after, id, order_body, position, product_body, settled, user_body,
};
use bulkhead_tests::{Answer, Client, Host, Manifest, Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::admin::{bulkhead_json, operator};

/// The time within which a request to the order service is answered here, where it waits in vain.
const TIMEOUT: &str = "400ms";

/// A shop with some products that the order service knows.
struct Shop {
    site: Site,
    host: Host,
    admin: Client,
    products: Vec<String>,
}

impl Shop {
    fn new(manifest: &Manifest, products: usize) -> Shop {
        let site = Site::new(manifest);
        let host = site.start();
        let mut admin = host.admin();
        let category = category(&mut admin, "all", None);
        let products = (0..products)
            .map(|number| {
                let mut body = product_body(&category, &format!("sku-{number}"));
                body["stock_quantity"] = json!(10_000);
                let created = admin.post("/products", &body);
                settled(&mut admin, &created);
                id(&created.expect(201))
            })
            .collect();
        Shop { site, host, admin, products }
    }

    /// The shop with more time than any busy machine needs.
    fn unhurried(products: usize) -> Shop {
        let mut manifest = shop::unhurried(Manifest::shop());
        for service in ["order", "product"] {
            manifest = manifest.set(&format!("service.{service}.limits.request_timeout"), "30s");
        }
        Shop::new(&manifest, products)
    }

    /// The shop whose order service does not wait for long.
    fn impatient(products: usize) -> Shop {
        Shop::new(&Manifest::shop().set("service.order.limits.request_timeout", TIMEOUT), products)
    }

    /// Gives a product another price.
    fn reprice(&mut self, product: usize, price: &str) -> Answer {
        let path = format!("/products/{}", self.products[product]);
        let answer = self.admin.patch(&path, &json!({"price": price}));
        answer.expect(200);
        answer
    }

    /// Stops the host, changes the order service's file, and starts another host on it.
    fn with_order_db(self, change: &str) -> Shop {
        let Shop { site, host, products, .. } = self;
        host.stop();
        let connection = database::open_to_break(&site.database("order"));
        assert!(connection.execute(change, ()).expect(change) > 0, "{change} changed nothing");
        drop(connection);
        let host = site.start();
        let admin = host.admin();
        Shop { site, host, admin, products }
    }
}

/// The parts of a position: its service, its log and its sequence.
fn parts(position: &str) -> (&str, &str, u64) {
    let (service, rest) = position.split_once(':').unwrap();
    let (log, sequence) = rest.split_once('.').unwrap();
    (service, log, sequence.parse().unwrap())
}

#[test]
fn every_write_of_every_service_returns_its_log_position() {
    let mut shop = Shop::unhurried(1);
    let mut client = shop.host.client();
    let registered = client.post("/users", &user_body("ada@tests.example", "Ada"));
    let user = format!("/users/{}", id(&registered.expect(201)));
    let token = shop::log_in(&mut client, "ada@tests.example", shop::PASSWORD);
    let mut ada = shop.host.client().with_token(&token);
    let (admin, product) = (&mut shop.admin, format!("/products/{}", shop.products[0]));
    let categories = admin.post("/categories", &json!({"name": "Fresh"}));
    let category = format!("/categories/{}", id(&categories.expect(201)));
    let ordered = ada.post("/orders", &order_body(&[(&shop.products[0], 1)], "tok_ok"));
    let order = format!("/orders/{}", id(&ordered.expect(201)));
    eventually(admin, &order, |order| order["status"] == "paid");
    let password = json!({"current_password": shop::PASSWORD, "new_password": "another-tests-password"});
    let writes = [
        registered,
        categories,
        ordered,
        ada.patch(&user, &json!({"first_name": "Augusta"})),
        ada.put(&format!("{user}/preferences/theme"), &json!({"value": "dark"})),
        ada.delete(&format!("{user}/preferences/theme")),
        ada.put(&format!("{user}/password"), &password),
        admin.patch(&category, &json!({"name": "Other"})),
        admin.patch(&product, &json!({"price": "3.00"})),
        admin.post(&format!("{product}/stock"), &json!({"delta": 1})),
        admin.post(&format!("{product}/images"), &json!({"image_url": "https://a.example/1.png"})),
        admin.delete(&category),
        admin.post(&format!("{order}/ship"), &json!({"carrier": "Post", "tracking_number": "1"})),
        admin.post(&format!("{order}/deliver"), &Value::Null),
        admin.delete(&user),
    ];
    for answer in writes {
        assert!((200..300).contains(&answer.status), "{answer}");
        let position = position(&answer);
        let (service, log, sequence) = parts(&position);
        let owner = match answer.asked.split('/').nth(1).unwrap() {
            "users" => "user",
            "orders" => "order",
            _ => "product",
        };
        assert_eq!(service, owner, "{answer}");
        let connection = database::open(&shop.site.database(service));
        assert_eq!(database::texts(&connection, "SELECT log FROM _bulkhead_meta"), [log]);
        let head = database::number(&connection, "SELECT max(sequence) FROM _bulkhead_outbox");
        assert!(sequence > 0 && sequence <= head.unsigned_abs(), "{answer}: {position} of {head}");
    }
}

#[test]
fn order_placed_after_a_price_change_always_has_the_new_price() {
    let mut shop = Shop::unhurried(1);
    let mut ada = shop.host.customer("Ada");
    let path = format!("/products/{}", shop.products[0]);
    let body = order_body(&[(&shop.products[0], 1)], "tok_ok").to_string();
    for number in 1..=100 {
        let price = format!("{number}.{:02}", number % 100);
        let patched = shop.admin.patch(&path, &json!({"price": price}));
        patched.expect(200);
        let position = position(&patched);
        let headers = [("content-type", "application/json"), ("bulkhead-after", position.as_str())];
        let order = ada.client.send(Method::POST, "/orders", &headers, Bytes::from(body.clone())).expect(201);
        assert_eq!(order["items"][0]["unit_price"], price);
        assert_eq!(order["total_amount"], price);
    }
}

#[test]
fn admin_can_order_at_once_for_a_newly_registered_user() {
    let mut shop = Shop::unhurried(1);
    let mut client = shop.host.client();
    for number in 0..50 {
        let registered = client.post("/users", &user_body(&format!("u{number}@tests.example"), "Ada"));
        let mut body = order_body(&[(&shop.products[0], 1)], "tok_ok");
        body["user_id"] = registered.expect(201)["id"].clone();
        let position = position(&registered);
        let headers = [("content-type", "application/json"), ("bulkhead-after", position.as_str())];
        shop.admin.send(Method::POST, "/orders", &headers, Bytes::from(body.to_string())).expect(201);
    }
}

#[test]
fn changes_and_deletions_wait_for_a_position_and_do_nothing_if_it_is_invalid() {
    let mut shop = Shop::unhurried(1);
    let mut ada = shop.host.customer("Ada");
    let product = format!("/products/{}", shop.products[0]);
    let preference = format!("/users/{}/preferences/theme", ada.id);
    let body = order_body(&[(&shop.products[0], 1)], "tok_ok");
    let after = position(&ada.client.post("/orders", &body));
    let send = |client: &mut Client, (method, path): (Method, &str), after: &str, body: &Value| {
        let headers = [("content-type", "application/json"), ("bulkhead-after", after)];
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        client.send(method, path, &headers, body)
    };
    for (method, path, body, status) in [
        (Method::PUT, &preference, json!({"value": "dark"}), 201),
        (Method::PATCH, &product, json!({"price": "3.00"}), 200),
        (Method::DELETE, &preference, Value::Null, 204),
    ] {
        let before = shop.admin.get(path).value();
        send(&mut shop.admin, (method.clone(), path), "nonsense", &body).problem(400, "invalid-position");
        let now = shop.admin.get(path).value();
        assert_eq!(
            (&now["preference_value"], &now["price"]),
            (&before["preference_value"], &before["price"])
        );
        send(&mut shop.admin, (method, path), &after, &body).expect_status(status);
    }
    assert_eq!(shop.admin.get(&product).expect(200)["price"], "3.00");
    shop.admin.get(&preference).problem(404, "not-found");
    // The product service has taken the order whenever this is answered.
    for _ in 0..20 {
        let after = position(&ada.client.post("/orders", &body));
        send(&mut shop.admin, (Method::DELETE, &product), &after, &Value::Null)
            .problem(409, "product-reserved");
        let reserved = shop.admin.get(&format!("{product}/stock")).expect(200)["reserved"].clone();
        let patch = send(&mut shop.admin, (Method::PATCH, &product), &after, &json!({"price": "4.00"}));
        assert_eq!(patch.expect(200)["stock_quantity"], 10_000 - reserved.as_i64().unwrap());
    }
}

#[test]
fn several_positions_may_be_sent_in_one_header_or_in_several() {
    let mut shop = Shop::unhurried(2);
    let mut ada = shop.host.customer("Ada");
    for round in 1..=20 {
        let [first, second] = [0, 1].map(|product| position(&shop.reprice(product, &format!("{round}.50"))));
        let renamed =
            ada.client.patch(&format!("/users/{}", ada.id), &json!({"last_name": format!("L{round}")}));
        let renamed = position(&renamed);
        let (list, body) = (
            format!("{first},{second} , {renamed},"),
            order_body(&[(&shop.products[0], 1), (&shop.products[1], 1)], "tok_ok").to_string(),
        );
        let json_type = ("content-type", "application/json");
        for headers in [
            vec![json_type, ("bulkhead-after", list.as_str())],
            vec![
                json_type,
                ("bulkhead-after", &first),
                ("bulkhead-after", &second),
                ("bulkhead-after", &renamed),
            ],
        ] {
            let answer = ada.client.send(Method::POST, "/orders", &headers, Bytes::from(body.clone()));
            for item in answer.expect(201)["items"].as_array().unwrap() {
                assert_eq!(item["unit_price"], format!("{round}.50"));
            }
        }
    }
}

#[test]
fn position_is_satisfied_if_the_service_has_no_such_subscription() {
    // No subscription worker of the order service goes on, and none has to.
    let shop = Shop::impatient(1);
    let mut shop = shop.with_order_db("UPDATE _bulkhead_cursor SET event_id = 'of-nothing'");
    let repriced = position(&shop.reprice(0, "1.00"));
    let mut ada = shop.host.customer("Ada");
    let renamed = position(&ada.client.patch(&format!("/users/{}", ada.id), &json!({"last_name": "L"})));
    let begun = Instant::now();
    // A service's own log, and the log of one that it hears nothing of.
    for (path, position) in [
        (format!("/products/{}", shop.products[0]), &repriced),
        (format!("/users/{}", ada.id), &renamed),
        (format!("/users/{}", ada.id), &repriced),
        ("/reports/orders-by-status".to_owned(), &renamed),
    ] {
        get_after(&mut shop.admin, &path, position).expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for what needs no waiting");
}

#[test]
fn value_that_is_not_a_position_in_a_log_of_this_host_is_refused() {
    let mut shop = Shop::unhurried(1);
    let other = Shop::unhurried(1).reprice(0, "1.00");
    let repriced = position(&shop.reprice(0, "1.00"));
    let (service, log, sequence) = parts(&repriced);
    let bad = [
        "nonsense".to_owned(),
        ":".to_owned(),
        ".".to_owned(),
        format!("{service}:{log}"),
        format!("{service}:{log}."),
        format!("{service}:{log}.-1"),
        format!("{service}:{log}.+1"),
        format!("{service}:{log}.1.2"),
        format!("{service}:{log}.99999999999999999999999"),
        format!("{service}:{log}.18446744073709551615"),
        format!("{service}:{log}.9223372036854775807"),
        format!("{service}:{log}.{}", sequence + 1),
        format!("{service}:{}.{sequence}", &log[1..]),
        format!("{service}:{}.{sequence}", "0".repeat(32)),
        format!("{service}:.{sequence}"),
        format!("nobody:{log}.{sequence}"),
        format!("order:{log}.1"),
        format!("Product:{log}.{sequence}"),
        format!(":{log}.{sequence}"),
        format!("{repriced};{repriced}"),
        format!("{repriced} {repriced}"),
        // Of another shop.
        position(&other),
    ];
    let before = database::row_counts(&shop.site.database("order"));
    for text in bad {
        for text in [text.clone(), format!("{repriced}, {text}")] {
            for path in ["/orders", "/products", "/users"] {
                get_after(&mut shop.admin, path, &text).problem(400, "invalid-position");
            }
            let headers = [("content-type", "application/json"), ("bulkhead-after", text.as_str())];
            let body = Bytes::from(order_body(&[(&shop.products[0], 1)], "tok_ok").to_string());
            shop.admin.send(Method::POST, "/orders", &headers, body).problem(400, "invalid-position");
        }
    }
    assert_eq!(database::row_counts(&shop.site.database("order")), before);
    // 0 is before the first event.
    for good in ["", " ,, ", &format!("{service}:{log}.0"), &repriced] {
        get_after(&mut shop.admin, "/orders", good).expect(200);
    }
}

#[test]
fn more_than_16_positions_are_refused() {
    let mut shop = Shop::unhurried(1);
    let position = position(&shop.reprice(0, "1.00"));
    for (count, is_good) in [(16, true), (17, false), (60, false)] {
        let list = vec![position.as_str(); count].join(",");
        let headers = vec![("bulkhead-after", position.as_str()); count];
        for answer in [
            get_after(&mut shop.admin, "/orders", &list),
            shop.admin.send(Method::GET, "/orders", &headers, Bytes::new()),
        ] {
            match is_good {
                true => drop(answer.expect(200)),
                false => drop(answer.problem(400, "invalid-position")),
            }
        }
    }
}

#[test]
fn wait_for_a_stalled_subscription_worker_fails_in_time_and_delays_no_other_request() {
    // The log has another event where the position is.
    let cursor = "UPDATE _bulkhead_cursor SET event_id = 'of-nothing' WHERE producer = 'product'";
    let mut shop = Shop::impatient(1).with_order_db(cursor);
    let repriced = position(&shop.reprice(0, "1.00"));
    for _ in 0..3 {
        let begun = Instant::now();
        let problem = get_after(&mut shop.admin, "/orders", &repriced).problem(504, "position-timeout");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(10), "{waited:?}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("order") && detail.contains("product"), "{detail}");
    }
    // Without a position it answers, and so does the subscription to the users.
    shop.admin.get("/orders").expect(200);
    let registered = shop.host.client().post("/users", &user_body("ada@tests.example", "Ada"));
    get_after(&mut shop.admin, "/orders", &position(&registered)).expect(200);
    let status = bulkhead_json(&shop.site, &shop.host, &["status"]);
    for subscription in status["subscriptions"].as_array().unwrap() {
        let is_broken = subscription["producer"] == "product" && subscription["consumer"] == "order";
        assert_eq!(subscription["stopped"].is_string(), is_broken, "{subscription}");
    }
    let stopped = "bulkhead_subscription_stopped{producer=\"product\",consumer=\"order\"}";
    assert_eq!(crate::admin::metric(&shop.site, &shop.host, stopped), Some(1.0));
}

/// Checks that an answer says that this event of the product service was not taken.
#[track_caller]
fn is_parked(answer: &Answer, event: &str) {
    let problem = answer.problem(503, "event-parked");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(event) && detail.contains("order"), "{detail}");
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(seconds >= 1);
}

#[test]
fn wait_for_an_event_that_is_a_dead_letter_is_refused() {
    let mut shop = Shop::unhurried(2);
    let [first, second] = [0, 1].map(|product| position(&shop.reprice(product, "1.00")));
    let sequence = parts(&first).2.cast_signed();
    let Shop { site, host, products, .. } = shop;
    host.stop();
    // It says nothing of a name and a price any more, and the order service is to take it once more.
    let connection = database::open_to_break(&site.database("product"));
    let good = database::texts(
        &connection,
        &format!("SELECT data FROM _bulkhead_outbox WHERE sequence = {sequence}"),
    );
    let broken = "UPDATE _bulkhead_outbox SET data = '{\"id\": 7}' WHERE sequence = ?1";
    assert_eq!(connection.execute(broken, [sequence]).unwrap(), 1);
    let event =
        database::texts(&connection, &format!("SELECT id FROM _bulkhead_outbox WHERE sequence = {sequence}"));
    let shop = Shop { admin: Client::new(([127, 0, 0, 1], 1).into()), host: site.start(), site, products };
    let mut shop = shop.with_order_db("DELETE FROM _bulkhead_cursor WHERE producer = 'product'");

    is_parked(&get_after(&mut shop.admin, "/orders", &first), &event[0]);
    // What comes later goes on, also of its subject: a dead letter holds nobody up.
    get_after(&mut shop.admin, "/orders", &second).expect(200);
    let later = position(&shop.reprice(0, "2.00"));
    get_after(&mut shop.admin, "/orders", &later).expect(200);
    is_parked(&get_after(&mut shop.admin, "/orders", &first), &event[0]);
    let letters = bulkhead_json(&shop.site, &shop.host, &["dead-letters", "list", "order"]);
    assert_eq!(
        [&letters["items"][0]["id"], &letters["items"][0]["state"], &letters["items"][1]],
        [&json!(event[0]), &json!("dead"), &Value::Null]
    );
    // Mended in the log and tried again, it is in effect.
    let mend = "UPDATE _bulkhead_outbox SET data = ?2 WHERE sequence = ?1";
    assert_eq!(connection.execute(mend, (sequence, &good[0])).unwrap(), 1);
    drop(connection);
    let retry = format!("/api/dead-letters/order/{}/retry", event[0]);
    operator(&shop.site, &shop.host).post(&retry, &Value::Null).expect(200);
    let begun = Instant::now();
    while get_after(&mut shop.admin, "/orders", &first).status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it was never taken");
    }
}

#[test]
fn wait_for_an_event_behind_a_parked_one_of_its_subject_is_refused() {
    let mut shop = Shop::unhurried(2);
    let [first, second] = [0, 1].map(|product| position(&shop.reprice(product, "1.00")));
    let (sequence, product) = (parts(&first).2, shop.products[0].clone());
    let last = shop.reprice(1, "1.50");
    settled(&mut shop.admin, &last);
    let park = format!(
        "INSERT INTO _bulkhead_parked (producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, since_ms, \
         reason) VALUES ('product', {sequence}, 'parked-by-hand', 'product.changed', '{product}', '00000000000000000000000000000001', 'parked', 1, \
         4102444800000, 1, 'by hand')"
    );
    let mut shop = shop.with_order_db(&park);
    is_parked(&get_after(&mut shop.admin, "/orders", &first), "parked-by-hand");
    let behind = position(&shop.reprice(0, "2.00"));
    is_parked(&get_after(&mut shop.admin, "/orders", &behind), "parked-by-hand");
    // Another subject goes on.
    get_after(&mut shop.admin, "/orders", &second).expect(200);
    let other = position(&shop.reprice(1, "2.00"));
    get_after(&mut shop.admin, "/orders", &other).expect(200);
    let letters = bulkhead_json(&shop.site, &shop.host, &["dead-letters", "list", "order"]);
    let states: Vec<_> =
        letters["items"].as_array().unwrap().iter().map(|item| (&item["state"], &item["subject"])).collect();
    assert_eq!(states, [(&json!("parked"), &json!(product)); 2]);
}
