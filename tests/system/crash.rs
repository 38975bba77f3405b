//! A crash before and after each commit of the saga: whatever was lost with the process, the final state is the same.
//!
//! The host counts its commits and ends itself at a chosen one. Each way that an order can go is gone through once for each commit and
//! moment, until one is reached that never comes: then every commit was crashed at.

use std::time::{Duration, Instant};

use bulkhead_tests::shop::{self, id, order_body, product_body, settled};
use bulkhead_tests::{Client, Manifest, Site, database, host};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

/// More commits than any of these ways has.
const COMMITS_MAX: usize = 60;
/// How long a state that must come may take: a bound for a wait, not a measure. A disk that others write to can stand still for half a
/// minute.
const COMES_WITHIN: Duration = Duration::from_secs(180);

/// A way that an order can go, with what is there at its end.
struct Way {
    token: &'static str,
    quantity: u32,
    payment_timeout: &'static str,
    /// The customer cancels once the order is paid.
    cancels: bool,
    status: &'static str,
    payment_status: &'static str,
    /// Available, reserved, sold.
    stock: [i64; 3],
    /// What the gateway took: the attempt, how often it was asked for in vain before, and what became of it.
    charges: &'static [&'static str],
    order_facts: &'static [&'static str],
    product_facts: &'static [&'static str],
}

/// What the crashes begin from: a shop with a product and a customer, at rest.
struct Prepared {
    site: Site,
    product: String,
    customer: String,
    token: String,
    admin_token: String,
}

fn prepare(way: &Way) -> Prepared {
    let mut manifest =
        shop::unhurried(Manifest::shop()).set("service.order.config.payment_timeout", way.payment_timeout);
    for service in ["order", "product", "report"] {
        manifest = manifest
            .set(&format!("service.{service}.limits.request_timeout"), "30s")
            .set(&format!("service.{service}.limits.lease_hold"), "10s");
    }
    let site = Site::new(&manifest);
    let host = site.start();
    let mut admin = host.admin();
    let category = shop::category(&mut admin, "all", None);
    let answer = admin.post("/products", &product_body(&category, "sku"));
    settled(&mut admin, &answer);
    let product = id(&answer.expect(201));
    let customer = host.customer("Ada");
    let token = customer.client.token().unwrap().to_owned();
    let admin_token = admin.token().unwrap().to_owned();
    host.stop();
    Prepared { site, product, customer: customer.id, token, admin_token }
}

/// Asks; an error where the host is gone.
fn ask(client: &mut Client, method: Method, path: &str, key: &str, body: &Value) -> Result<Value, String> {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    let (headers, body) = if method == Method::GET {
        (&[][..], Bytes::new())
    } else {
        (&headers[..], Bytes::from(body.to_string()))
    };
    loop {
        let answer = client.try_send(method.clone(), path, headers, body.clone())?;
        // The host says that nothing was done: its client is to ask again.
        if answer.status != 503 {
            assert!([200, 201, 409].contains(&answer.status), "{answer}");
            return Ok(answer.value());
        }
    }
}

fn until(client: &mut Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let found = ask(client, Method::GET, path, "", &Value::Null)?;
        if wanted(&found) {
            return Ok(());
        }
        assert!(begun.elapsed() < COMES_WITHIN, "{path} did not become what was waited for: {found}");
    }
}

/// Goes the way, as far as the host does. Everything in it can be done again.
fn go(way: &Way, shop: &Prepared, address: std::net::SocketAddr) -> Result<String, String> {
    let mut customer = Client::new(address).with_token(&shop.token);
    let mut admin = Client::new(address).with_token(&shop.admin_token);
    let body = order_body(&[(&shop.product, way.quantity)], way.token);
    let order = id(&ask(&mut customer, Method::POST, "/orders", "place", &body)?);
    let path = format!("/orders/{order}");
    if way.cancels {
        until(&mut customer, &path, |order| order["status"] == "paid" || order["status"] == "cancelled")?;
        ask(&mut customer, Method::POST, &format!("{path}/cancel"), "cancel", &Value::Null)?;
    }
    until(&mut customer, &path, |order| {
        order["status"] == way.status && order["payment"]["payment_status"] == way.payment_status
    })?;
    let [available, reserved, sold] = way.stock;
    until(&mut admin, &format!("/products/{}/stock", shop.product), |stock| {
        stock["available"] == available && stock["reserved"] == reserved && stock["sold"] == sold
    })?;
    until(&mut admin, "/reports/orders-by-status", |report| {
        let items = report["items"].as_array().unwrap();
        items.iter().any(|item| item["status"] == way.status && item["count"] == 1)
    })?;
    Ok(order)
}

/// The types of the events about an order in a service's log, in their order.
fn facts(site: &Site, service: &str, order: &str) -> Vec<String> {
    let sql = format!("SELECT type FROM _bulkhead_outbox WHERE subject = '{order}' ORDER BY sequence");
    database::texts(&database::open(&site.database(service)), &sql)
}

/// Crashes at this commit and moment and goes on afterwards. False where that commit never came.
fn crash_at(way: &Way, shop: &Prepared, at: &str) -> bool {
    let site = shop.site.copy();
    let crashed = match site.start_to_crash(at) {
        None => true,
        Some(host) => {
            let gone = go(way, shop, host.address());
            // A commit may come when all that was waited for is there, such as that of a subscription worker which passes over what is
            // nothing to it.
            host.terminate();
            let ended = host.wait();
            gone.is_err() || !ended.status.success()
        }
    };
    let host = site.start();
    let order =
        go(way, shop, host.address()).unwrap_or_else(|error| panic!("{at}: {error}\n{}", host.stderr()));
    let admin = host.admin_address().unwrap().to_string();
    let data = site.data();
    let check = host::run(&["check", "--data", data.to_str().unwrap(), "--admin", &admin, "--json"]);
    assert_eq!(check.status.code(), Some(0), "{at}: {}{}", check.stdout, check.stderr);
    host.stop();

    assert_eq!(facts(&site, "order", &order), way.order_facts, "{at}");
    assert_eq!(facts(&site, "product", &order), way.product_facts, "{at}");
    let orders = database::open(&site.database("order"));
    let whose = format!("SELECT count(*) FROM \"order\" WHERE user_id_ref = '{}'", shop.customer);
    assert_eq!(database::number(&orders, &whose), 1, "{at}: the order is there once");
    let charges =
        "SELECT attempt || ' ' || asked || ' ' || state FROM gateway_charge WHERE transaction_id NOT NULL";
    assert_eq!(database::texts(&orders, charges), way.charges, "{at}: each attempt is charged once at most");
    let open = "SELECT count(*) FROM gateway_charge WHERE state = 'open'";
    assert_eq!(database::number(&orders, open), 0, "{at}: the gateway has decided about each");
    for service in ["order", "product", "report"] {
        let connection = database::open(&site.database(service));
        database::check(&connection);
        assert_eq!(
            database::number(&connection, "SELECT count(*) FROM _bulkhead_parked"),
            0,
            "{at}: {service}"
        );
    }
    crashed
}

fn every_commit(way: &Way) {
    let shop = prepare(way);
    let mut crashes = 0;
    for number in 1..COMMITS_MAX {
        let mut came = false;
        for moment in ["before", "after"] {
            let crashed = crash_at(way, &shop, &format!("{number}:{moment}"));
            crashes += usize::from(crashed);
            came |= crashed;
        }
        if !came {
            assert!(crashes >= 8, "there were {crashes} crashes alone");
            return;
        }
    }
    panic!("the host went on committing for ever");
}

/// Also between the tries of a gateway that is not there at first.
#[test]
fn order_is_paid_once_if_the_host_crashes_at_any_commit() {
    every_commit(&Way {
        token: "tok_flaky",
        quantity: 2,
        payment_timeout: "1h",
        cancels: false,
        status: "paid",
        payment_status: "captured",
        stock: [8, 2, 0],
        charges: &["1 2 captured"],
        order_facts: &["order.placed", "order.paid"],
        product_facts: &["product.stock-reserved"],
    });
}

#[test]
fn order_is_cancelled_and_refunded_once_if_the_host_crashes_at_any_commit() {
    every_commit(&Way {
        token: "tok_ok",
        quantity: 2,
        payment_timeout: "1h",
        cancels: true,
        status: "cancelled",
        payment_status: "refunded",
        stock: [10, 0, 0],
        charges: &["1 0 refunded"],
        order_facts: &["order.placed", "order.paid", "order.cancelled"],
        product_facts: &["product.stock-reserved", "product.stock-released"],
    });
}

#[test]
fn order_beyond_the_stock_is_rejected_once_if_the_host_crashes_at_any_commit() {
    every_commit(&Way {
        token: "tok_ok",
        quantity: 11,
        payment_timeout: "1h",
        cancels: false,
        status: "rejected",
        payment_status: "voided",
        stock: [10, 0, 0],
        charges: &[],
        order_facts: &["order.placed", "order.rejected"],
        product_facts: &["product.stock-rejected"],
    });
}

#[test]
fn order_that_is_not_paid_in_time_ends_once_if_the_host_crashes_at_any_commit() {
    every_commit(&Way {
        token: "tok_declined",
        quantity: 2,
        payment_timeout: "300ms",
        cancels: false,
        status: "cancelled",
        payment_status: "voided",
        stock: [10, 0, 0],
        charges: &[],
        order_facts: &["order.placed", "order.cancelled"],
        product_facts: &["product.stock-reserved", "product.stock-released"],
    });
}
