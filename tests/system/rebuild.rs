//! `bulkhead replay`: a service that owns nothing is rebuilt from the logs while it serves, and is then as it was, or as it should be.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::shop::{self, category, get_after, id, order_body, position, read_all};
use bulkhead_tests::{Client, Host, Manifest, Random, Site, database};
use serde_json::{Value, json};

use crate::admin::{admin_address, bulkhead, bulkhead_at, bulkhead_json};
use crate::ordering::{Written, place, place_at, registered, ship, stocked, until_status};

const KILLS: u64 = 10;
const BOUND: Duration = Duration::from_secs(60);

const REPORTS: [&str; 3] =
    ["/reports/revenue", "/reports/best-sellers?limit=100", "/reports/orders-by-status"];

/// A shop with orders in every state in which they can stay.
struct Shop {
    site: Site,
    host: Host,
    admin: Client,
    products: Vec<Written>,
}

impl Shop {
    fn new() -> Shop {
        let mut manifest =
            shop::unhurried(Manifest::shop()).set("service.order.config.payment_timeout", "1h");
        for service in ["order", "product", "report"] {
            manifest = manifest
                .set(&format!("service.{service}.limits.request_timeout"), "30s")
                .set(&format!("service.{service}.limits.lease_hold"), "10s");
        }
        let site = Site::new(&manifest);
        let host = site.start();
        let mut admin = host.admin();
        let food = category(&mut admin, "food", None);
        let fruit = category(&mut admin, "fruit", Some(&food));
        let products: Vec<Written> = [("apple", "1.50", &fruit), ("soap", "2.25", &food)]
            .map(|(sku, price, category)| stocked(&mut admin, category, sku, price, 10_000))
            .into();
        let ada = registered(&host, "Ada");
        let mut at = |day: u32, count: u32, token: &str, status: &str| {
            let items = [(&products[0], count), (&products[1], 1)];
            let order = place_at(&mut admin, &ada, &format!("2026-01-{day:02}T10:00:00Z"), &items, token);
            until_status(&mut admin, &order, status);
            order
        };
        at(1, 1, "tok_declined", "reserved");
        at(1, 10_000, "tok_ok", "rejected");
        let orders = [1, 2, 3, 4].map(|day| at(day, day, "tok_ok", "paid"));
        admin.post(&format!("/orders/{}/cancel", orders[0]), &json!({})).expect(200);
        for order in &orders[1..3] {
            ship(&mut admin, order);
        }
        admin.post(&format!("/orders/{}/deliver", orders[2]), &json!({})).expect(200);
        let mut shop = Shop { site, host, admin, products };
        shop.until_quiet();
        shop
    }

    /// Waits until every service has taken all that there is, and nothing more comes of it.
    #[track_caller]
    fn until_quiet(&mut self) {
        let begun = Instant::now();
        let mut before = Value::Null;
        loop {
            let status = bulkhead_json(&self.site, &self.host, &["status"]);
            let is_behind = status["subscriptions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|subscription| subscription["lag"] != 0);
            // What was taken may have been answered with further events: then the logs have grown.
            if !is_behind && status == before {
                return;
            }
            assert!(begun.elapsed() < BOUND, "there was no quiet: {status:#}");
            before = status;
        }
    }

    fn reports(&mut self) -> Vec<Value> {
        REPORTS.map(|path| self.admin.get(path).expect(200)).into()
    }

    /// Checks the reports against what the order service says.
    #[track_caller]
    fn reports_are_right(&mut self) {
        let orders = read_all(&mut self.admin, "/orders?", 200);
        let (mut cents, mut statuses) = (0, BTreeMap::new());
        let mut sold: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for order in &orders {
            *statuses.entry(order["status"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            if order["payment"]["payment_status"] == "captured" {
                cents += in_cents(&order["total_amount"]);
                for item in order["items"].as_array().unwrap() {
                    let product = item["product_id"].as_str().or(item["product_id_ref"].as_str());
                    let sold = sold.entry(product.unwrap().to_owned()).or_default();
                    sold.0 += item["quantity"].as_i64().unwrap();
                    sold.1 += in_cents(&item["subtotal"]);
                }
            }
        }
        let [revenue, best, standing]: [Value; 3] = self.reports().try_into().unwrap();
        assert_eq!(in_cents(&revenue["total"]), cents, "of {} orders: {revenue}", orders.len());
        let items = |report: &Value| report["items"].as_array().unwrap().clone();
        let reported: BTreeMap<String, (i64, i64)> = items(&best)
            .iter()
            .map(|item| {
                let product = item["product_id"].as_str().unwrap().to_owned();
                (product, (item["units"].as_i64().unwrap(), in_cents(&item["revenue"])))
            })
            .collect();
        assert_eq!(reported, sold);
        let reported: BTreeMap<String, i64> = items(&standing)
            .iter()
            .map(|item| (item["status"].as_str().unwrap().to_owned(), item["count"].as_i64().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(reported, statuses);
    }

    /// Rebuilds the reports, and gives how many events took effect.
    #[track_caller]
    fn rebuild(&self) -> u64 {
        let rebuilt = bulkhead_json(&self.site, &self.host, &["replay", "report"]);
        assert_eq!((&rebuilt["service"], &rebuilt["parked"]), (&json!("report"), &json!(0)), "{rebuilt}");
        rebuilt["events"].as_u64().unwrap()
    }

    /// Starts another host in the place of one that has ended.
    fn started_again(site: Site, products: Vec<Written>) -> Shop {
        let host = site.start();
        let admin = host.admin();
        Shop { site, host, admin, products }
    }

    /// The files of the report service's databases: without logs and pointers.
    fn databases(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.site.data()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            names.filter(|name| name.starts_with("report") && name.ends_with(".db")).collect();
        names.sort();
        names
    }
}

fn in_cents(amount: &Value) -> i64 {
    amount.as_str().unwrap_or_else(|| panic!("{amount} is not an amount")).replace('.', "").parse().unwrap()
}

/// Asks for the reports until it is told to stop; gives how often. Anything but 200 fails it.
fn read_until(stop: &Arc<AtomicBool>, mut client: Client) -> thread::JoinHandle<usize> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            let answer = client.get(REPORTS[count % 3]);
            assert_eq!(answer.status, 200, "read {count}: {answer}");
            count += 1;
        }
        count
    })
}

#[test]
fn rebuilt_service_answers_as_before_during_and_after_rebuilds_and_a_restart() {
    let mut shop = Shop::new();
    shop.reports_are_right();
    let before = shop.reports();
    let stop = Arc::new(AtomicBool::new(false));
    let readers = [(); 2].map(|()| read_until(&stop, shop.host.admin()));
    let events: Vec<u64> = (0..5)
        .map(|_| {
            let events = shop.rebuild();
            assert_eq!(shop.reports(), before);
            events
        })
        .collect();
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().expect("a reader saw 200 alone") > 0);
    }
    assert!(events[0] > 0 && events.iter().all(|count| *count == events[0]), "{events:?}");
    assert_eq!(shop.databases().len(), 1, "{:?}", shop.databases());

    let Shop { site, host, products, .. } = shop;
    host.stop();
    let mut shop = Shop::started_again(site, products);
    assert_eq!(shop.reports(), before);
    shop.rebuild();
    let Shop { site, host, products, .. } = shop;
    host.kill();
    let mut shop = Shop::started_again(site, products);
    assert_eq!(shop.reports(), before);
    // It goes on where the rebuild ended.
    let order = place(&mut shop.host.customer("Bo").client, &[(&shop.products[0], 1)], "tok_ok");
    until_status(&mut shop.admin, &order, "paid");
    shop.until_quiet();
    shop.reports_are_right();
    assert_ne!(shop.reports(), before);
}

#[test]
fn orders_placed_during_a_rebuild_are_counted_once() {
    let mut shop = Shop::new();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = read_until(&stop, shop.host.admin());
    let buyers: Vec<_> = ["Bo", "Cy"]
        .map(|name| {
            let (mut client, stop) = (shop.host.customer(name).client, Arc::clone(&stop));
            let products: Vec<String> = shop.products.iter().map(|product| product.id.clone()).collect();
            thread::spawn(move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let token = if count % 3 == 0 { "tok_declined" } else { "tok_ok" };
                    let items = [(products[0].as_str(), 1), (products[1].as_str(), 2)];
                    let order = id(&client.post("/orders", &order_body(&items, token)).expect(201));
                    if count % 5 == 0 {
                        client.post(&format!("/orders/{order}/cancel"), &json!({})).expect(200);
                    }
                    count += 1;
                }
                count
            })
        })
        .into();
    for _ in 0..6 {
        shop.rebuild();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().expect("the reader saw 200 alone") > 0);
    for buyer in buyers {
        assert!(buyer.join().unwrap() > 0, "nothing was ordered");
    }
    shop.until_quiet();
    shop.reports_are_right();
    let before = shop.reports();
    shop.rebuild();
    assert_eq!(shop.reports(), before);
}

#[test]
fn after_each_of_10_kills_during_a_rebuild_the_service_answers_correctly() {
    let mut shop = Shop::new();
    let mut random = Random::new();
    let before = shop.reports();
    let mut cut_short = 0;
    let command = |shop: &Shop| {
        let (data, address) = (shop.site.data(), shop.host.admin_address().unwrap().to_string());
        move || {
            let data = data.to_str().unwrap();
            bulkhead_tests::host::run(&["replay", "report", "--data", data, "--admin", &address])
        }
    };
    // The moments are within the time that a rebuild takes here and now.
    let begun = Instant::now();
    command(&shop)().says(0, &[]);
    let longest = u64::try_from(begun.elapsed().as_micros()).unwrap();
    for kill in 0..KILLS {
        let rebuild = thread::spawn(command(&shop));
        let moment = Duration::from_micros(random.below(longest));
        let begun = Instant::now();
        while begun.elapsed() < moment {
            std::hint::spin_loop();
        }
        let Shop { site, host, products, .. } = shop;
        host.kill();
        cut_short += usize::from(rebuild.join().unwrap().status.code() != Some(0));
        shop = Shop::started_again(site, products);
        assert_eq!(shop.reports(), before, "kill {kill}, after {moment:?}");
        if kill % 3 == 0 {
            shop.rebuild();
            assert_eq!(shop.reports(), before, "kill {kill}, and a rebuild");
        }
    }
    assert!(cut_short > 0, "no rebuild was killed: nothing was shown");
    assert_eq!(shop.databases().len(), 1, "what killed rebuilds left behind: {:?}", shop.databases());
}

#[test]
fn a_service_that_owns_data_is_refused_by_name() {
    let shop = Shop::new();
    for service in ["order", "product", "user"] {
        let before = database::row_counts(&shop.site.database(service));
        bulkhead(&shop.site, &shop.host, &["replay", service])
            .says(1, &["the host refused", service, "rebuildable"]);
        assert_eq!(database::row_counts(&shop.site.database(service)), before);
    }
    bulkhead(&shop.site, &shop.host, &["replay", "nobody"]).says(1, &["the host refused", "nobody"]);
    bulkhead(&shop.site, &shop.host, &["replay"]).says(2, &["SERVICE"]);
}

#[test]
fn rebuild_repairs_manually_corrupted_data() {
    let mut shop = Shop::new();
    let before = shop.reports();
    let Shop { site, host, products, .. } = shop;
    host.stop();
    let connection = database::open_to_break(&site.database("report"));
    for change in [
        "UPDATE sale SET revenue = revenue + 100000, units = 77",
        "DELETE FROM known_order WHERE status = 'paid'",
        "UPDATE product SET name = 'Broken'",
    ] {
        assert!(connection.execute(change, ()).unwrap() > 0, "{change}");
    }
    drop(connection);
    shop = Shop::started_again(site, products);
    for (broken, right) in shop.reports().iter().zip(&before) {
        assert_ne!(broken, right);
    }
    shop.rebuild();
    assert_eq!(shop.reports(), before);
}

#[test]
fn operators_and_clients_of_a_rebuilt_service_read_the_new_database() {
    let mut shop = Shop::new();
    shop.rebuild();
    let status = bulkhead_json(&shop.site, &shop.host, &["status"]);
    for subscription in status["subscriptions"].as_array().unwrap() {
        assert_eq!(
            (&subscription["lag"], &subscription["stopped"]),
            (&json!(0), &Value::Null),
            "{subscription}"
        );
    }
    let letters = bulkhead_json(&shop.site, &shop.host, &["dead-letters", "list", "report"]);
    assert_eq!(letters, json!({"items": []}));
    let path = format!("/products/{}", shop.products[0].id);
    let renamed = shop.admin.patch(&path, &json!({"name": "Renamed"}));
    let best = get_after(&mut shop.admin, REPORTS[1], &position(&renamed)).expect(200);
    let names: Vec<_> = best["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert!(names.contains(&&json!("Renamed")), "{best}");
    let events = bulkhead_json(&shop.site, &shop.host, &["events", "report"]);
    assert_eq!(events, json!({"items": []}));
}

#[test]
fn files_of_a_rebuild_are_accessible_only_to_their_owner() {
    let shop = Shop::new();
    shop.rebuild();
    let mut seen = 0;
    for entry in std::fs::read_dir(shop.site.data()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("report.") {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{name} has the mode {mode:o}");
            seen += 1;
        }
    }
    assert!(seen > 1, "there is no database with a pointer to it");
}

#[test]
fn a_check_after_a_rebuild_finds_nothing() {
    let shop = Shop::new();
    shop.rebuild();
    let checked = bulkhead(&shop.site, &shop.host, &["check", "--json"]);
    assert_eq!(crate::admin::printed(&checked)["findings"], json!([]));
}

#[test]
fn wait_for_an_event_that_a_rebuild_could_not_consume_is_refused() {
    let mut shop = Shop::new();
    let path = format!("/products/{}", shop.products[0].id);
    let renamed = position(&shop.admin.patch(&path, &json!({"name": "Renamed"})));
    get_after(&mut shop.admin, REPORTS[1], &renamed).expect(200);
    let sequence = renamed.rsplit_once('.').unwrap().1.to_owned();
    let Shop { site, host, products, .. } = shop;
    host.stop();
    let connection = database::open_to_break(&site.database("product"));
    let broken = "UPDATE _bulkhead_outbox SET data = '{}' WHERE sequence = ?1";
    assert_eq!(connection.execute(broken, [&sequence]).unwrap(), 1);
    drop(connection);
    let mut shop = Shop::started_again(site, products);
    get_after(&mut shop.admin, REPORTS[1], &renamed).expect(200);
    let rebuilt = bulkhead_json(&shop.site, &shop.host, &["replay", "report"]);
    assert_eq!(rebuilt["parked"], 1, "{rebuilt}");
    let letters = bulkhead_json(&shop.site, &shop.host, &["dead-letters", "list", "report"]);
    let letter = &letters["items"][0];
    assert_eq!(letter["sequence"].to_string(), sequence, "{letters}");
    let answer = get_after(&mut shop.admin, REPORTS[1], &renamed);
    let problem = answer.problem(503, "event-parked");
    assert!(problem["detail"].as_str().unwrap().contains(letter["id"].as_str().unwrap()), "{problem}");
}

#[test]
fn concurrent_rebuilds_run_one_at_a_time_and_the_others_are_refused() {
    let mut shop = Shop::new();
    let before = shop.reports();
    let (site, admin) = (&shop.site, &admin_address(&shop.host));
    let done = thread::scope(|scope| {
        let rebuild = || bulkhead_at(site, admin, &["replay", "report"]);
        let rebuilds = [(); 4].map(|()| scope.spawn(rebuild));
        let mut done = 0;
        for rebuild in rebuilds {
            let finished = rebuild.join().unwrap();
            match finished.status.code() {
                Some(0) => done += 1,
                _ => finished.says(1, &["another rebuild runs"]),
            }
        }
        done
    });
    assert!(done > 0);
    assert_eq!(shop.reports(), before);
    assert_eq!(shop.databases().len(), 1, "{:?}", shop.databases());
}

/// A list of them has a thousand.
#[test]
fn rebuild_counts_all_events_that_it_could_not_consume() {
    let mut shop = Shop::new();
    let path = format!("/products/{}", shop.products[0].id);
    let renamed = position(&shop.admin.patch(&path, &json!({"name": "Renamed"})));
    let sequence = renamed.rsplit_once('.').unwrap().1.to_owned();
    let Shop { site, host, products, .. } = shop;
    host.stop();
    let connection = database::open_to_break(&site.database("product"));
    let broken = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1001)
        INSERT INTO _bulkhead_outbox (id, type, subject, time, trace_id, data)
        SELECT 'broken-' || n, type, 'broken-' || n, time, trace_id, '{}'
        FROM number, (SELECT type, time, trace_id FROM _bulkhead_outbox WHERE sequence = ?1)";
    assert_eq!(connection.execute(broken, [&sequence]).unwrap(), 1001);
    drop(connection);
    let shop = Shop::started_again(site, products);
    let rebuilt = bulkhead_json(&shop.site, &shop.host, &["replay", "report"]);
    assert_eq!(rebuilt["parked"], 1001, "{rebuilt}");
    shop.host.stop();
}
