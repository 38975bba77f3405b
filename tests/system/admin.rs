//! The port and the verbs of operators: who is let in, what they are told, and what they are told when they ask the wrong way.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use bulkhead_tests::shop::{category, has_version_7, id, order_body, product, product_body, settled};
use bulkhead_tests::{Answer, Client, Finished, Host, Site, database, host, raw};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::ordering::until_status;

/// Runs a verb of the command line on a running host.
#[track_caller]
pub(crate) fn bulkhead(site: &Site, host: &Host, arguments: &[&str]) -> Finished {
    bulkhead_at(site, &admin_address(host), arguments)
}

/// The same with the address of its admin port, for a thread that has no host to look at.
#[track_caller]
pub(crate) fn bulkhead_at(site: &Site, admin: &str, arguments: &[&str]) -> Finished {
    let data = site.data();
    let (verb, rest) = arguments.split_first().expect("a verb");
    let mut all = vec![*verb, "--data", data.to_str().expect("text"), "--admin", admin];
    all.extend(rest);
    host::run(&all)
}

/// The same where it does what it is told, and prints JSON.
#[track_caller]
pub(crate) fn bulkhead_json(site: &Site, host: &Host, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    let finished = bulkhead(site, host, &all);
    assert_eq!(finished.status.code(), Some(0), "{arguments:?}: {}{}", finished.stdout, finished.stderr);
    printed(&finished)
}

/// The JSON that a verb printed.
#[track_caller]
pub(crate) fn printed(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", finished.stdout, finished.stderr))
}

/// The value of a metric with exactly these labels, as they are printed; none where it is not there.
#[track_caller]
pub(crate) fn metric(site: &Site, host: &Host, name: &str) -> Option<f64> {
    let text = metrics(site, host);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().unwrap_or_else(|error| panic!("{name} {line}: {error}")))
}

/// Where the admin port is.
pub(crate) fn admin_address(host: &Host) -> String {
    host.admin_address().expect("the host has an admin port").to_string()
}

fn token(site: &Site) -> String {
    std::fs::read_to_string(site.data().join("admin.token")).expect("the token's file")
}

/// A client on the admin port, with the token that an operator has.
pub(crate) fn operator(site: &Site, host: &Host) -> Client {
    Client::new(host.admin_address().expect("the host has an admin port")).with_token(&token(site))
}

#[track_caller]
fn metrics(site: &Site, host: &Host) -> String {
    let answer = operator(site, host).get("/metrics");
    answer.expect_status(200);
    String::from_utf8(answer.body.to_vec()).expect("metrics are text")
}

/// A request on the admin port whose `Host` header is as given.
fn with_host(host: &Host, token: &str, name: &str, more: &str) -> Answer {
    let request = format!("GET /api/status HTTP/1.1\r\n{name}{more}authorization: Bearer {token}\r\n\r\n");
    raw::exchange(host.admin_address().unwrap(), request.as_bytes()).expect("an answer")
}

#[test]
fn admin_port_requires_the_token_that_only_the_data_folder_owner_can_read() {
    let site = Site::shop();
    let host = site.start();
    let file = site.data().join("admin.token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::read_to_string(site.data().join("admin.address")).unwrap().trim(),
        admin_address(&host)
    );
    let good = token(&site);
    assert!(good.len() >= 32, "{good:?} can be guessed");

    let mut nobody = Client::new(host.admin_address().unwrap());
    let customers = host.admin().token().unwrap().to_owned();
    let pages: [(Method, &str); 6] = [
        (Method::GET, "/metrics"),
        (Method::GET, "/api/status"),
        (Method::GET, "/api/dead-letters"),
        (Method::POST, "/api/check"),
        (Method::POST, "/api/replay/report"),
        (Method::GET, "/nowhere"),
    ];
    for (method, path) in &pages {
        nobody.send(method.clone(), path, &[], Bytes::new()).problem(401, "invalid-token");
    }
    for wrong in [
        "Bearer",
        "Bearer ",
        &format!("Bearer {good}x"),
        &format!("Bearer {}", &good[1..]),
        &format!("Basic {good}"),
        &format!("Bearer {customers}"),
        &good,
    ] {
        let answer = nobody.send(Method::GET, "/api/status", &[("authorization", wrong)], Bytes::new());
        answer.problem(401, "invalid-token");
    }
    nobody.with_token(&good).get("/api/status").expect(200);

    host.stop();
    let host = site.start();
    assert_ne!(token(&site), good, "each host has a token of its own");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut old = Client::new(host.admin_address().unwrap()).with_token(&good);
    old.get("/api/status").problem(401, "invalid-token");
    operator(&site, &host).get("/api/status").expect(200);
}

#[test]
fn foreign_origins_and_foreign_host_names_are_refused() {
    let site = Site::shop();
    let host = site.start();
    let (token, own) = (token(&site), admin_address(&host));
    let port = host.admin_address().unwrap().port();
    for foreign in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", ""] {
        with_host(&host, &token, &format!("host: {foreign}\r\n"), "").problem(403, "forbidden");
        with_host(&host, &token, &format!("host: {foreign}:{port}\r\n"), "").problem(403, "forbidden");
    }
    for origin in ["http://evil.example", "https://127.0.0.1.evil.example", "null", "http://127.0.0.1:1"] {
        let more = format!("origin: {origin}\r\n");
        with_host(&host, &token, &format!("host: {own}\r\n"), &more).problem(403, "forbidden");
    }
    let own_origin = format!("origin: http://{own}\r\n");
    for (name, more) in [(own.clone(), own_origin), (format!("localhost:{port}"), String::new())] {
        with_host(&host, &token, &format!("host: {name}\r\n"), &more).expect(200);
    }
    // The right place without the token is still refused.
    with_host(&host, "wrong", &format!("host: {own}\r\n"), "").problem(401, "invalid-token");
}

#[test]
fn missing_resources_and_invalid_queries_are_reported() {
    let site = Site::shop();
    let host = site.start();
    let mut operator = operator(&site, &host);
    for path in ["/", "/api", "/api/nowhere", "/api/status/more", "/products", "/api/dead-letters/order"] {
        operator.get(path).problem(404, "not-found");
    }
    for path in ["/api/events?service=nobody", "/api/dead-letters?service=nobody"] {
        let problem = operator.get(path).problem(404, "not-found");
        assert!(problem["detail"].as_str().unwrap().contains("nobody"), "{problem}");
    }
    let problem = operator.get("/api/events").problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("order, product"), "{problem}");
    for query in ["limit=0", "limit=1001", "limit=x", "before=x", "limit=-1"] {
        operator.get(&format!("/api/events?service=order&{query}")).problem(422, "invalid");
    }
    // Read as none, these would choose all, or another version than was meant.
    for path in
        ["/api/events?service=order&type=", "/api/dead-letters?service=", "/api/events?service=order&before"]
    {
        operator.get(path).problem(422, "invalid");
    }
    for path in [
        "/api/rollbacks/order?to=",
        "/api/deploys/order?dry_run=yes",
        "/api/check?repair=1",
        "/api/dead-letters/retry?producer=",
    ] {
        operator.post(path, &json!({})).problem(422, "invalid");
    }
    bulkhead(&site, &host, &["rollback", "order", "--to", ""]).says(1, &["the host refused", "to is empty"]);
    operator.patch("/api/status", &json!({})).problem(405, "method-not-allowed");
    operator.post("/api/replay/nobody", &json!({})).problem(404, "not-found");
    operator.post("/api/replay/order", &json!({})).problem(409, "not-rebuildable");
    operator.get("/api/dead-letters/nobody/x").problem(404, "not-found");
    operator.delete("/api/dead-letters/order/x").problem(404, "not-found");
    // Nothing of it is on the port of everybody.
    for path in ["/metrics", "/api/status"] {
        host.client().get(path).problem(404, "not-found");
    }
}

#[test]
fn health_is_reported_on_both_ports_without_a_token() {
    let site = Site::shop();
    let host = site.start();
    for address in [host.address(), host.admin_address().unwrap()] {
        let mut client = Client::new(address);
        for (path, body) in [
            ("/.well-known/bulkhead/live", "live\n"),
            ("/.well-known/bulkhead/ready", "ready\n"),
            ("/healthz", "live\n"),
            ("/readyz", "ready\n"),
        ] {
            let answer = client.get(path);
            answer.expect_status(200);
            assert_eq!(answer.body, body, "{answer}");
            client.post(path, &json!({})).problem(405, "method-not-allowed");
        }
    }
}

#[test]
fn every_line_of_the_metrics_is_a_comment_or_a_name_with_labels_and_a_number() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let created = admin.post("/products", &product_body(&food, "apple"));
    created.expect(201);
    settled(&mut admin, &created);
    let text = metrics(&site, &host);
    let mut names = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let kind = comment.split(' ').next().unwrap();
            assert!(matches!(kind, "HELP" | "TYPE" | "EOF" | "UNIT"), "{line}");
            continue;
        }
        let (metric, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        let (name, labels) = metric.split_once('{').unwrap_or((metric, "}"));
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        // Those of HTTP have the names of a convention.
        let begins = ["bulkhead_", "http_server_"].iter().any(|prefix| name.starts_with(prefix));
        assert!(is_name(name) && begins, "{line}");
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("no end of labels: {line}"));
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
            assert!(is_name(label) && value.len() > 2, "{line}");
            assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
        }
        names.insert(name.to_owned());
    }
    assert_eq!(text.lines().last(), Some("# EOF"));
    for name in [
        "bulkhead_events_published_total",
        "bulkhead_events_delivered_total",
        "bulkhead_events_retried_total",
        "bulkhead_events_parked",
        "bulkhead_dead_letters",
        "bulkhead_subscription_lag_events",
        "bulkhead_subscription_lag_seconds",
        "bulkhead_subscription_stopped",
        "bulkhead_replica_staleness_seconds",
    ] {
        assert!(names.contains(name), "no {name} in {names:?}");
    }
    let published = "bulkhead_events_published_total{service=\"product\"}";
    assert_eq!(metric(&site, &host, published), Some(2.0));
    let delivered = "bulkhead_events_delivered_total{producer=\"product\",consumer=\"order\"}";
    assert_eq!(metric(&site, &host, delivered), Some(1.0), "the category is passed over");
}

#[test]
fn command_line_reports_errors_and_exits_with_status_1() {
    let site = Site::shop();
    let data = site.data();
    let data = data.to_str().unwrap();
    let verbs: [&[&str]; 5] =
        [&["status"], &["check"], &["events", "order"], &["replay", "report"], &["dead-letters"]];
    let with = |verb: &[&str], more: &[&str]| {
        let mut all = verb.to_vec();
        all.extend(["--data", data]);
        all.extend(more);
        if verb[0] == "dead-letters" {
            all.push("list");
        }
        host::run(&all)
    };
    for verb in verbs {
        with(verb, &[]).says(1, &["is a host running on this data folder", "bulkhead up"]);
    }
    let host = site.start();
    // Found by what the host wrote down.
    with(&["status"], &[]).says(0, &[]);
    // Nobody listens there, and there listens somebody else.
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for verb in verbs {
        with(verb, &["--admin", &nobody]).says(1, &[&nobody, "--admin"]);
    }
    with(&["status"], &["--admin", &host.address().to_string()])
        .says(1, &["the host refused: ", "no service has a route"]);
    let other = Site::shop();
    let stranger = other.start();
    with(&["status"], &["--admin", &admin_address(&stranger)])
        .says(1, &["the host refused: ", "admin.token"]);
    stranger.stop();

    bulkhead(&site, &host, &["events", "nobody"]).says(1, &["nobody", "order, product"]);
    bulkhead(&site, &host, &["replay", "nobody"]).says(1, &["nobody"]);
    bulkhead(&site, &host, &["dead-letters", "list", "nobody"]).says(1, &["nobody"]);
    bulkhead(&site, &host, &["dead-letters", "show", "order", "x"]).says(1, &["order", "x"]);
    bulkhead(&site, &host, &["events", "order", "--limit", "0"]).says(1, &["limit"]);
    bulkhead(&site, &host, &["events"]).says(2, &["SERVICE"]);
    host.kill();
    // The token and the address outlive a host that was killed.
    with(&["status"], &[]).says(1, &["does it run"]);
}

#[test]
fn status_lists_every_service_and_the_progress_of_each_subscription() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let created = admin.post("/products", &product_body(&food, "apple"));
    created.expect(201);
    settled(&mut admin, &created);
    let status = bulkhead_json(&site, &host, &["status"]);
    assert_eq!(status["application"], "shop");
    let services = status["services"].as_array().unwrap();
    let named: Vec<_> = services.iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["order", "product", "report", "user"]);
    assert_eq!(services[1]["log_head"], 2);
    let rebuildable: Vec<_> = services.iter().map(|service| service["rebuildable"] == true).collect();
    assert_eq!(rebuildable, [false, false, true, false]);
    let subscriptions = status["subscriptions"].as_array().unwrap();
    let subscription = subscriptions
        .iter()
        .find(|subscription| subscription["producer"] == "product" && subscription["consumer"] == "order");
    let subscription = subscription.unwrap_or_else(|| panic!("no such subscription: {status}"));
    assert_eq!(
        [
            &subscription["applied"],
            &subscription["lag"],
            &subscription["parked"],
            &subscription["dead"],
            &subscription["stopped"]
        ],
        [&json!(2), &json!(0), &json!(0), &json!(0), &Value::Null]
    );
    assert_eq!(subscription["replicas"], json!(["product"]));
    let table = bulkhead(&site, &host, &["status"]);
    assert!(table.stdout.contains("BEHIND"), "{}", table.stdout);
}

#[test]
fn events_are_listed_newest_first_by_type_and_subject_page_by_page() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let products: Vec<String> =
        ["apple", "pear", "plum"].iter().map(|sku| id(&product(&mut admin, &food, sku))).collect();
    for product in &products {
        let patched = admin.patch(&format!("/products/{product}"), &json!({"price": "2.00"}));
        settled(&mut admin, &patched);
    }
    let mut ada = host.customer("Ada");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let body = order_body(&[(&products[0], 1)], "tok_ok").to_string();
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    let order = id(&ada.client.send(Method::POST, "/orders", &headers, body.into()).expect(201));
    until_status(&mut admin, &order, "paid");

    let list = |more: &[&str]| {
        let arguments: Vec<&str> = ["events", "product"].iter().chain(more).copied().collect();
        bulkhead_json(&site, &host, &arguments)["items"].as_array().unwrap().clone()
    };
    let places = |events: &[Value]| -> Vec<i64> {
        events.iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
    };
    assert_eq!(places(&list(&[])), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(places(&list(&["--limit", "2"])), [8, 7]);
    assert_eq!(places(&list(&["--limit", "2", "--before", "7"])), [6, 5]);
    assert_eq!(places(&list(&["--before", "1"])), Vec::<i64>::new());
    assert_eq!(places(&list(&["--type", "product.changed", "--limit", "4"])), [7, 6, 5, 4]);
    assert_eq!(places(&list(&["--subject", &products[1]])), [6, 3]);
    let both = ["--subject", &products[1], "--type", "category.changed"];
    assert_eq!(places(&list(&both)), Vec::<i64>::new());
    let reserved = &list(&["--type", "product.stock-reserved"])[0];
    assert_eq!(
        [&reserved["specversion"], &reserved["source"], &reserved["subject"], &reserved["traceid"]],
        [&json!("1.0"), &json!("product"), &json!(order), &json!(trace)],
        "the trace of the request that began it"
    );
    let names = reserved.as_object().unwrap().keys().map(String::as_str);
    let envelope = ["id", "specversion", "source", "type", "subject", "time", "datacontenttype", "data"];
    let own = ["traceid", "sequence"];
    assert_eq!(names.collect::<BTreeSet<_>>(), envelope.into_iter().chain(own).collect());
    has_version_7(reserved);
    assert_eq!(
        [&reserved["type"], &reserved["datacontenttype"], &reserved["data"]["order_id"]],
        [&json!("product.stock-reserved"), &json!("application/json"), &json!(order)]
    );
    let time = reserved["time"].as_str().unwrap();
    assert!(time.len() == "2017-01-01T11:53:26.000Z".len() && time.ends_with('Z'), "{time}");
    let table = bulkhead(&site, &host, &["events", "order", "--type", "order.paid"]);
    assert!(table.stdout.contains(&order) && table.stdout.contains(trace), "{}", table.stdout);
}

#[test]
fn a_dead_letter_is_shown_retried_and_dropped_by_the_id_of_its_event() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let created = ["apple", "pear"].map(|sku| {
        let created = admin.post("/products", &product_body(&food, sku));
        settled(&mut admin, &created);
        id(&created.expect(201))
    });
    host.stop();
    let log = database::open(&site.database("product"));
    let events =
        database::texts(&log, "SELECT id FROM _bulkhead_outbox WHERE sequence > 1 ORDER BY sequence");
    let orders = database::open_to_break(&site.database("order"));
    for (event, (product, sequence)) in events.iter().zip(created.iter().zip(2..)) {
        let row = "INSERT INTO _bulkhead_parked (producer, sequence, id, type, subject, trace_id, state, attempts, next_ms, \
                   since_ms, reason) VALUES ('product', ?1, ?2, 'product.changed', ?3, '00000000000000000000000000000001', 'dead', 9, 0, 1, 'by hand')";
        orders.execute(row, (sequence, event, product)).unwrap();
    }
    drop((log, orders));
    let host = site.start();
    let list = || {
        let listed = bulkhead_json(&site, &host, &["dead-letters", "list"]);
        listed["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(list(), [json!(events[0]), json!(events[1])]);
    let shown = bulkhead_json(&site, &host, &["dead-letters", "show", "order", &events[0]]);
    assert_eq!(
        [&shown["state"], &shown["reason"], &shown["attempts"], &shown["event"]["data"]["sku"]],
        [&json!("dead"), &json!("by hand"), &json!(9), &json!("apple")]
    );
    bulkhead(&site, &host, &["dead-letters", "retry", "order", &events[0]]).says(0, &[]);
    let begun = std::time::Instant::now();
    while list() != [json!(events[1])] {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "it was never taken");
    }
    bulkhead(&site, &host, &["dead-letters", "drop", "order", &events[1]]).says(0, &[]);
    assert!(list().is_empty());
}
