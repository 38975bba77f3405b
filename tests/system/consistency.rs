//! `bulkhead check`: on a busy shop it finds nothing, whatever happens meanwhile; and what was broken by hand it names exactly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bulkhead_tests::shop::{self, id, order_body, settled};
use bulkhead_tests::{Answer, Client, Host, Manifest, Site, database};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::admin::{admin_address, bulkhead, bulkhead_at, metric, printed};
use crate::ordering::{Written, place, ship, stocked, until, until_status};

/// The shop with more time than any busy machine needs.
fn unhurried() -> Manifest {
    let mut manifest = shop::unhurried(Manifest::shop());
    for service in ["order", "product"] {
        manifest = manifest
            .set(&format!("service.{service}.limits.request_timeout"), "30s")
            .set(&format!("service.{service}.limits.lease_hold"), "10s");
    }
    manifest
}

/// What a check found: its exit status, and each finding.
struct Checked {
    status: i32,
    report: Value,
    said: String,
}

/// Where something is: kind, service, place and key.
type Place = [String; 4];

impl Checked {
    #[track_caller]
    fn of(site: &Site, host: &Host, more: &[&str]) -> Checked {
        Checked::at(site, &admin_address(host), more)
    }

    #[track_caller]
    fn at(site: &Site, admin: &str, more: &[&str]) -> Checked {
        let arguments: Vec<&str> = ["check", "--json"].iter().chain(more).copied().collect();
        let finished = bulkhead_at(site, admin, &arguments);
        let status = finished.status.code().expect("it ended by itself");
        Checked { status, report: printed(&finished), said: finished.stderr }
    }

    fn findings(&self) -> &Vec<Value> {
        self.report["findings"].as_array().expect("findings")
    }

    /// The places of all findings; of those that were repaired, or were not, if so is asked.
    fn places(&self, repaired: Option<bool>) -> BTreeSet<Place> {
        let findings = self.findings().iter();
        let asked =
            findings.filter(|finding| repaired.is_none_or(|repaired| finding["repaired"] == repaired));
        asked
            .map(|finding| {
                ["kind", "service", "place", "key"].map(|part| finding[part].as_str().unwrap().to_owned())
            })
            .collect()
    }

    #[track_caller]
    fn is_clean(&self) {
        assert_eq!((self.status, self.findings().len()), (0, 0), "{:#}", self.report);
    }
}

fn places<const N: usize>(places: [[&str; 4]; N]) -> BTreeSet<Place> {
    places.map(|place| place.map(str::to_owned)).into()
}

/// Does something again and again until it is told to stop, and gives how often.
fn busy(stop: &Arc<AtomicBool>, mut work: impl FnMut(usize) + Send + 'static) -> JoinHandle<usize> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            work(number);
            number += 1;
        }
        number
    })
}

/// A shop in which prices change, orders are placed, and users and products come and go, all the time.
struct BusyShop {
    site: Site,
    host: Host,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<usize>>,
}

impl BusyShop {
    fn open() -> BusyShop {
        let site = Site::new(&unhurried());
        let host = site.start();
        let mut admin = host.admin();
        let category = shop::category(&mut admin, "all", None);
        let products: Vec<Written> = (0..4)
            .map(|number| stocked(&mut admin, &category, &format!("sku-{number}"), "1.00", 10_000))
            .collect();
        let mut ada = host.customer("Ada").client;
        place(&mut ada, &products.iter().map(|product| (product, 1)).collect::<Vec<_>>(), "tok_ok");
        let products: Vec<String> = products.into_iter().map(|product| product.id).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = Vec::new();
        for _ in 0..2 {
            let (mut admin, products) = (host.admin(), products.clone());
            workers.push(busy(&stop, move |number| {
                let price = format!("{}.{:02}", number % 900 + 1, number % 100);
                let product = &products[number % products.len()];
                admin.patch(&format!("/products/{product}"), &json!({"price": price})).expect(200);
            }));
        }
        workers.push(busy(&stop, {
            let products = products.clone();
            move |number| {
                let items = [(products[number % products.len()].as_str(), 1)];
                let token = if number % 3 == 0 { "tok_declined" } else { "tok_ok" };
                ada.post("/orders", &order_body(&items, token)).expect(201);
            }
        }));
        // Who and what comes, is ordered and goes at once.
        let (mut admin, mut client) = (host.admin(), host.client());
        workers.push(busy(&stop, move |number| {
            let sku = format!("passing-{number}");
            let created = admin.post("/products", &shop::product_body(&category, &sku));
            let product = id(&created.expect(201));
            let user = shop::register(&mut client, "Passing");
            let mut body = order_body(&[(&product, 100), (&products[0], 1)], "tok_ok");
            body["user_id"] = user["id"].clone();
            let renamed = admin.patch(&format!("/users/{}", id(&user)), &json!({"last_name": "Gone"}));
            let after = [shop::position(&created), shop::position(&renamed)].join(",");
            let headers = [("content-type", "application/json"), ("bulkhead-after", after.as_str())];
            let placed = admin.send(Method::POST, "/orders", &headers, Bytes::from(body.to_string()));
            placed.expect(201);
            admin.delete(&format!("/products/{product}")).expect(204);
            admin.delete(&format!("/users/{}", id(&user))).expect(204);
        }));
        BusyShop { site, host, stop, workers }
    }

    /// Lets everybody come to an end, and checks that there was something to see.
    #[track_caller]
    fn close(self) -> (Site, Host) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            assert!(worker.join().expect("a worker came to its end") > 0, "the shop was not busy");
        }
        (self.site, self.host)
    }
}

#[test]
fn a_busy_shop_has_no_findings() {
    let shop = BusyShop::open();
    for _ in 0..20 {
        Checked::of(&shop.site, &shop.host, &[]).is_clean();
    }
    let (site, host) = shop.close();
    let last = Checked::of(&site, &host, &[]);
    last.is_clean();
    for what in ["replica_rows", "references", "events"] {
        assert!(last.report[what].as_u64().unwrap() > 4, "nothing was looked at: {}", last.report);
    }
}

#[test]
fn repair_in_a_busy_shop_changes_nothing_that_is_correct() {
    let shop = BusyShop::open();
    for _ in 0..10 {
        Checked::of(&shop.site, &shop.host, &["--repair"]).is_clean();
    }
    let (site, host) = shop.close();
    Checked::of(&site, &host, &[]).is_clean();
}

/// With each change of a user the data of the changes before go. A subscription worker that comes too late for one sees nothing of it.
#[test]
fn data_erased_while_waiting_for_a_subscription_worker_is_not_a_finding() {
    let site = Site::new(&unhurried());
    let host = site.start();
    let mut admin = host.admin();
    let (old, new) = (shop::register(&mut host.client(), "Old"), shop::register(&mut host.client(), "New"));
    settled(&mut host.admin(), &admin_rename(&mut admin, &old, 0));
    // The subscription worker of the orders is stuck with what it has read, and so the check waits for it to come to what follows.
    let orders = database::open_to_break(&site.database("order"));
    orders.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    admin_rename(&mut admin, &old, 1);
    let deleted = shop::register(&mut host.client(), "Deleted");
    thread::scope(|scope| {
        let port = admin_address(&host);
        let site = &site;
        let checked = scope.spawn(move || Checked::at(site, &port, &["--repair"]));
        let mut number = 1;
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(700) {
            number += 1;
            for user in [&old, &new, &deleted] {
                admin_rename(&mut admin, user, number);
            }
        }
        admin.delete(&format!("/users/{}", id(&deleted))).expect(204);
        orders.execute_batch("COMMIT").expect("nothing was written");
        checked.join().expect("the check came to its end").is_clean();
    });
    Checked::of(&site, &host, &[]).is_clean();
}

fn admin_rename(admin: &mut Client, user: &Value, number: usize) -> Answer {
    admin.patch(&format!("/users/{}", id(user)), &json!({"first_name": format!("Name {number}")}))
}

#[test]
fn concurrent_checks_do_not_affect_each_other() {
    let shop = BusyShop::open();
    let (site, admin) = (&shop.site, &admin_address(&shop.host));
    thread::scope(|scope| {
        for repair in [false, true, false] {
            scope.spawn(move || {
                let more: &[&str] = if repair { &["--repair"] } else { &[] };
                for _ in 0..10 {
                    Checked::at(site, admin, more).is_clean();
                }
            });
        }
    });
    let (site, host) = shop.close();
    Checked::of(&site, &host, &[]).is_clean();
}

/// A quiet shop in which somebody and something was deleted that orders still name.
struct QuietShop {
    site: Site,
    host: Host,
    products: Vec<String>,
    orders: Vec<String>,
    ada: String,
}

impl QuietShop {
    fn new() -> QuietShop {
        let site = Site::new(&unhurried());
        let host = site.start();
        let mut admin = host.admin();
        let admin = &mut admin;
        let category = shop::category(admin, "all", None);
        let products: Vec<Written> =
            ["apple", "pear", "plum", "gone"].map(|sku| stocked(admin, &category, sku, "1.50", 100)).into();
        let mut ada = host.customer("Ada");
        let orders: Vec<String> = [0, 1, 3]
            .map(|product: usize| place(&mut ada.client, &[(&products[product], 2)], "tok_ok"))
            .into();
        let mut bo = host.customer("Bo");
        let bos = place(&mut bo.client, &[(&products[0], 1)], "tok_ok");
        for order in orders.iter().chain([&bos]) {
            until_status(admin, order, "paid");
        }
        let review = format!("/products/{}/reviews", products[0].id);
        bo.client.post(&review, &json!({"rating": 5})).expect(201);
        // The product of the last order goes once it is sold, and Bo goes while his order and his review stay.
        ship(admin, &orders[2]);
        let gone = &products[3].id;
        until(admin, &format!("/products/{gone}/stock"), |stock| stock["reserved"] == 0);
        let deleted =
            [admin.delete(&format!("/products/{gone}")), admin.delete(&format!("/users/{}", bo.id))];
        for answer in deleted {
            answer.expect_status(204);
            settled(admin, &answer);
        }
        until_status(admin, &bos, "cancelled");
        let products = products.into_iter().map(|product| product.id).collect();
        QuietShop { site, host, products, orders, ada: ada.id }
    }

    /// Breaks files while no host runs, and starts another one.
    fn broken(self, service: &str, changes: &[String]) -> QuietShop {
        let QuietShop { site, host, products, orders, ada } = self;
        host.stop();
        let connection = database::open_to_break(&site.database(service));
        for change in changes {
            assert_eq!(connection.execute(change, ()).expect(change), 1, "{change}");
        }
        drop(connection);
        let host = site.start();
        QuietShop { site, host, products, orders, ada }
    }

    fn check(&self, more: &[&str]) -> Checked {
        Checked::of(&self.site, &self.host, more)
    }

    fn findings_metric(&self, kind: &str) -> Option<f64> {
        metric(&self.site, &self.host, &format!("bulkhead_check_findings{{kind=\"{kind}\"}}"))
    }
}

#[test]
fn references_to_a_deleted_user_or_product_are_not_findings() {
    let shop = QuietShop::new();
    assert_eq!(shop.findings_metric("reference"), None, "there was no check yet");
    shop.check(&[]).is_clean();
    for kind in ["replica", "reference", "event", "subscription", "failed"] {
        assert_eq!(shop.findings_metric(kind), Some(0.0), "{kind}");
    }
    let connection = database::open(&shop.site.database("order"));
    let gone = format!("SELECT count(*) FROM order_item WHERE product_id_ref = '{}'", shop.products[3]);
    assert_eq!(database::number(&connection, &gone), 1, "there is no such reference");
    let said = bulkhead(&shop.site, &shop.host, &["check"]);
    assert!(said.stdout.starts_with("everything is as it should be\n"), "{}", said.stdout);
}

#[test]
fn broken_copies_references_and_events_are_reported_and_only_copies_are_repaired() {
    let shop = QuietShop::new();
    let connection = database::open(&shop.site.database("product"));
    let events = database::texts(
        &connection,
        "SELECT id FROM _bulkhead_outbox WHERE type = 'product.changed' ORDER BY sequence LIMIT 3",
    );
    drop(connection);
    let [apple, pear] = [0, 1].map(|product: usize| shop.products[product].clone());
    let ada = shop.ada.clone();
    let shop = shop.broken(
        "product",
        &[
            format!(
                "UPDATE _bulkhead_outbox SET data = replace(data, '1.50', '0.50') WHERE id = '{}'",
                events[0]
            ),
            format!("DELETE FROM _bulkhead_outbox WHERE id = '{}'", events[1]),
            format!("UPDATE user SET first_name = 'Eve' WHERE id = '{ada}'"),
        ],
    );
    let [first, second] = [0, 1].map(|order: usize| shop.orders[order].clone());
    let shop = shop.broken(
        "order",
        &[
            format!("UPDATE product SET price = '0.01' WHERE id = '{apple}'"),
            format!("DELETE FROM product WHERE id = '{pear}'"),
            "INSERT INTO product (id, name, price) VALUES ('ghost', 'Ghost', '1.00')".to_owned(),
            format!("UPDATE order_item SET product_id_ref = 'no-product' WHERE order_id = '{first}'"),
            format!("UPDATE \"order\" SET user_id_ref = 'no-user' WHERE id = '{second}'"),
        ],
    );

    let copies = places([
        ["replica", "order", "replica product", &apple],
        ["replica", "order", "replica product", &pear],
        ["replica", "order", "replica product", "ghost"],
        ["replica", "product", "replica user", &shop.ada],
    ]);
    let others = places([
        ["reference", "order", "order_item.product_id_ref", "no-product"],
        ["reference", "order", "order.user_id_ref", "no-user"],
        ["event", "product", "event log", &events[0]],
        // It is told by its place what is no longer there.
        ["event", "product", "event log", ""],
    ]);
    let all: BTreeSet<Place> = copies.union(&others).cloned().collect();
    let before = ["order", "product", "user"].map(|name| database::row_counts(&shop.site.database(name)));
    for _ in 0..2 {
        let checked = shop.check(&[]);
        assert_eq!((checked.status, checked.findings().len()), (1, 8), "{:#}", checked.report);
        assert_eq!(checked.places(None), all);
        assert_eq!(checked.places(Some(true)), BTreeSet::new());
        assert!(checked.said.contains("8 findings"), "{}", checked.said);
        let details: Vec<&str> =
            checked.findings().iter().map(|finding| finding["detail"].as_str().unwrap()).collect();
        for expected in
            ["price is \"0.01\", and the owner has \"1.50\"", "first_name is \"Eve\"", "event 3 is missing"]
        {
            assert!(details.iter().any(|detail| detail.contains(expected)), "{expected}: {details:?}");
        }
    }
    for (kind, count) in [("replica", 4.0), ("reference", 2.0), ("event", 2.0), ("subscription", 0.0)] {
        assert_eq!(shop.findings_metric(kind), Some(count), "{kind}");
    }
    let after = ["order", "product", "user"].map(|name| database::row_counts(&shop.site.database(name)));
    assert_eq!(after, before, "a check without --repair changes nothing");

    let repaired = shop.check(&["--repair"]);
    assert_eq!(repaired.status, 1);
    assert_eq!(repaired.places(Some(true)), copies);
    assert_eq!(repaired.places(Some(false)), others);
    assert_eq!(shop.findings_metric("replica"), Some(0.0));
    let left = shop.check(&["--repair"]);
    assert_eq!((left.status, left.places(None)), (1, others));

    let connection = database::open(&shop.site.database("order"));
    let rows = database::texts(&connection, "SELECT id || ' ' || price FROM product");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row.ends_with(" 1.50")), "{rows:?}");
    let ada = format!("SELECT first_name FROM user WHERE id = '{}'", shop.ada);
    let connection = database::open(&shop.site.database("product"));
    assert_eq!(database::texts(&connection, &ada), ["Ada"]);
    drop(connection);
    // What was repaired follows its owner again.
    let mut admin = shop.host.admin();
    let patched = admin.patch(&format!("/products/{pear}"), &json!({"price": "7.00"}));
    patched.expect(200);
    settled(&mut admin, &patched);
    assert_eq!(shop.check(&[]).findings().len(), 4);
    order_costs(&mut shop.host.customer("Cy").client, &pear, "7.00");
}

#[track_caller]
fn order_costs(client: &mut Client, product: &str, total: &str) {
    let order = client.post("/orders", &order_body(&[(product, 1)], "tok_ok")).expect(201);
    assert_eq!(order["total_amount"], total);
}

#[test]
fn stopped_subscription_is_reported() {
    let cursor = "UPDATE _bulkhead_cursor SET event_id = 'of-nothing' WHERE producer = 'product'";
    let shop = QuietShop::new().broken("order", &[cursor.to_owned()]);
    let checked = shop.check(&["--repair"]);
    assert_eq!(checked.status, 1);
    let place = places([["subscription", "order", "subscription to product", "product"]]);
    assert_eq!(checked.places(Some(false)), place, "{:#}", checked.report);
    assert_eq!(shop.findings_metric("subscription"), Some(1.0));
}

#[test]
fn event_missing_at_the_end_of_a_log_is_reported() {
    // Nobody has taken it: no subscription worker stands at it, and no later event shows that there is a gap.
    let site = Site::new(&unhurried().only(&["user"]));
    let host = site.start();
    for name in ["Ada", "Bo"] {
        host.customer(name);
    }
    Checked::of(&site, &host, &[]).is_clean();
    host.stop();
    let connection = database::open_to_break(&site.database("user"));
    let last = "DELETE FROM _bulkhead_outbox WHERE sequence = (SELECT max(sequence) FROM _bulkhead_outbox)";
    assert_eq!(connection.execute(last, ()).unwrap(), 1);
    drop(connection);
    let host = site.start();
    let checked = Checked::of(&site, &host, &[]);
    assert_eq!(checked.places(None), places([["event", "user", "event log", ""]]), "{:#}", checked.report);
}
