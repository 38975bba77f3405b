//! The access log, and the figures of HTTP: every request is in both, by its trace and by its route, with nothing that is secret.

use std::collections::BTreeMap;
use std::io::Write as _;

use bulkhead_tests::admin::until;
use bulkhead_tests::shop::{category, id, product};
use bulkhead_tests::{Answer, Client, Host, Manifest, Site, raw};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

/// The span of a client.
const PARENT: &str = "00f067aa0ba902b7";
const JSON: (&str, &str) = ("content-type", "application/json");

/// The lines of the access log of a host that logs JSON, by their traces.
fn lines(log: &str) -> BTreeMap<String, Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["target"] == "access");
    lines.map(|line| (line["trace_id"].as_str().expect("a trace").to_owned(), line)).collect()
}

/// The trace that an answer tells.
#[track_caller]
fn trace(answer: &Answer) -> String {
    let response = answer.header("traceresponse").unwrap_or_else(|| panic!("no traceresponse: {answer}"));
    response.split('-').nth(1).unwrap().to_owned()
}

#[test]
fn every_answer_can_be_found_in_the_log_by_its_trace() {
    let site = Site::shop();
    let host = site.start_with(&["--log-format", "json"]);
    let mut admin = host.admin();
    let mut nobody = host.client();
    let food = category(&mut admin, "food", None);
    let made = id(&product(&mut admin, &food, "one"));
    let path = format!("/products/{made}");
    let version = admin.get(&path).header("bulkhead-version").unwrap().to_owned();
    let product = Some("product");
    let mut expected = Vec::new();
    let mut sent = |answer: Answer, method: &str, path: &str, service: Option<&str>, route: Option<&str>| {
        expected.push((
            trace(&answer),
            method.to_owned(),
            path.to_owned(),
            service.map(str::to_owned),
            route.map(str::to_owned),
            answer,
        ));
    };
    let route = Some("/products/{id}");
    sent(nobody.get(&format!("{path}?q=quietly-searched")), "GET", &path, product, route);
    sent(nobody.get(&format!("/%70roducts/{made}")), "GET", &path, product, route);
    sent(nobody.send(Method::HEAD, &path, &[], Bytes::new()), "HEAD", &path, product, route);
    sent(nobody.get("/products/7"), "GET", "/products/7", product, route);
    sent(
        nobody.get("/products/no/such/route"),
        "GET",
        "/products/no/such/route",
        product,
        Some("/products/..."),
    );
    sent(nobody.get("/nowhere"), "GET", "/nowhere", None, None);
    sent(nobody.get("/healthz"), "GET", "/healthz", None, None);
    sent(
        nobody.post("/categories", &json!({"name": "x"})),
        "POST",
        "/categories",
        product,
        Some("/categories"),
    );
    sent(
        admin.post("/categories", &json!({"name": "x"})),
        "POST",
        "/categories",
        product,
        Some("/categories"),
    );
    sent(
        nobody.send(Method::GET, &path, &[("authorization", "Bearer secret.token.here")], Bytes::new()),
        "GET",
        &path,
        product,
        route,
    );
    let login = json!({"email": "nobody@quiet.example", "password": "quiet-password"});
    sent(nobody.post("/sessions", &login), "POST", "/sessions", Some("user"), Some("/sessions"));
    let parent = format!("00-{}-{PARENT}-01", "4b".repeat(16));
    let traced = nobody.send(Method::GET, &path, &[("traceparent", &parent)], Bytes::new());
    let continued = trace(&traced);
    assert_eq!(continued, "4b".repeat(16));
    sent(traced, "GET", &path, product, route);
    let malformed = raw::exchange(host.address(), b"GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    sent(malformed, "GET", "/%zz", None, None);
    let garbage = raw::exchange(host.address(), b"garbage\r\n\r\n").unwrap();
    let garbage_trace = trace(&garbage);
    let log = host.stop().stderr;
    let lines = lines(&log);
    for (trace, method, path, service, route, answer) in expected {
        let line = lines.get(&trace).unwrap_or_else(|| panic!("{method} {path} is not in the log:\n{log}"));
        assert_eq!((&line["method"], &line["path"]), (&json!(method), &json!(path)), "{line}");
        assert_eq!(line["status"], answer.status, "{line}");
        // The span that a client hears of is the one that is recorded.
        let span = answer.header("traceresponse").and_then(|header| header.split('-').nth(2));
        assert_eq!(line["span_id"].as_str(), span, "{line}");
        assert_eq!(line["parent_id"].as_str(), (trace == continued).then_some(PARENT), "{line}");
        assert_eq!(line["service"].as_str().map(str::to_owned), service, "{line}");
        assert_eq!(line["route"].as_str().map(str::to_owned), route, "{line}");
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert!(line["milliseconds"].as_f64().is_some_and(|time| time > 0.0), "{line}");
        let is_by_service = answer.header("bulkhead-version").is_some();
        assert_eq!(line["queued_milliseconds"].is_number(), is_by_service, "{line}");
        assert_eq!(
            line["version"].as_str(),
            is_by_service.then(|| answer.header("bulkhead-version").unwrap()),
            "{line}"
        );
        let bytes = if method == "HEAD" { Value::Null } else { json!(answer.body.len()) };
        assert_eq!(line["bytes"], bytes, "{line}");
    }
    assert!(version.starts_with("product@"), "{version}");
    let line = &lines[&garbage_trace];
    assert_eq!(
        (&line["status"], &line["method"], &line["path"]),
        (&json!(400), &Value::Null, &json!("")),
        "{line}"
    );
    for secret in ["quietly-searched", "secret.token.here", "quiet-password", "quiet.example", "Bearer"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// A refused request is in the log with what its client made up, and no viewer of the log obeys that.
#[test]
fn client_input_is_bounded_and_escaped_in_the_log() {
    for format in ["json", "text"] {
        let site = Site::new(&Manifest::events().only(&["source"]));
        let host = site.start_with(&["--access-log", format]);
        let method = "M".repeat(10_000);
        // Not well-formed, so it has no other spelling.
        for target in ["/%zz\u{9b}2J\u{202e}b", "/nowhere"] {
            let head = format!("{method} {target} HTTP/1.1\r\nhost: x\r\n\r\n");
            raw::exchange(host.address(), head.as_bytes()).expect("an answer").any_problem();
        }
        let log = host.stop().stderr;
        assert!(!log.contains(['\u{9b}', '\u{202e}']), "{format}: {log:?}");
        assert!(log.contains("u{9b}2J"), "{format}: it is told all the same: {log}");
        assert!(log.contains("MMMM") && !log.contains(&"M".repeat(33)), "{format}: {log}");
    }
}

/// How many lines of the access log are JSON, and how many are text.
fn forms(log: &str) -> [usize; 2] {
    [lines(log).len(), log.lines().filter(|line| line.contains(" access: ")).count()]
}

#[test]
fn access_log_format_is_set_by_argument_variable_or_manifest() {
    let manifest = |value: Option<&str>| {
        let manifest = Manifest::events().only(&["source"]);
        value.map_or(manifest.clone(), |value| manifest.set("application.access_log", value))
    };
    let none: &[(&str, &str)] = &[];
    for (value, arguments, environment, forms_expected) in [
        (None, &[][..], none, [0, 3]),
        (None, &["--log-format", "json"][..], none, [3, 0]),
        (Some("json"), &[], none, [3, 0]),
        (Some("text"), &["--log-format", "json"], none, [0, 3]),
        (Some("off"), &[], none, [0, 0]),
        (Some("off"), &[], &[("BULKHEAD_ACCESS_LOG", "json")], [3, 0]),
        (Some("json"), &["--access-log", "text"], &[("BULKHEAD_ACCESS_LOG", "off")], [0, 3]),
        // It is a part of the log.
        (None, &["--log", "warn"], none, [0, 0]),
        (None, &["--log", "warn,access=info"], none, [0, 3]),
    ] {
        let site = Site::new(&manifest(value));
        let (file, data) = (site.manifest(), site.data());
        let mut all = vec!["up", "--manifest", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
        all.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        all.extend(arguments);
        let host = site.start_as(&all, environment);
        let mut client = host.client();
        for path in ["/source/ready", "/nowhere", "/healthz"] {
            client.get(path);
        }
        let log = host.stop().stderr;
        assert_eq!(forms(&log), forms_expected, "{value:?} {arguments:?} {environment:?}:\n{log}");
    }
    Site::new(&manifest(Some("loud"))).fail_to_start().says(1, &["bulkhead.toml:", "access_log", "\"loud\""]);
    bulkhead_tests::host::run(&["up", "--access-log", "loud"]).says(2, &["--access-log", "loud"]);
}

/// It is answered, counted and found by its trace, as any other request.
#[test]
fn request_with_a_host_panic_is_in_the_log_and_in_the_metrics() {
    let site = Site::new(&Manifest::events().only(&["source"]).set("application.access_log", "json"));
    let host = site.start_to_panic("network@request");
    let mut client = host.client();
    let failed = client.get("/source/ready");
    let problem = failed.problem(500, "internal");
    let trace = trace(&failed);
    assert_eq!(problem["trace_id"], trace.as_str());
    client.get("/source/ready").expect(200);
    let text = metrics(&site, &host);
    let labels = [("service", "source"), ("http_response_status_code", "500")];
    assert_eq!(value(&text, "http_server_requests_total", &labels), Some(1.0), "{text}");
    let log = host.stop().stderr;
    let line = &lines(&log)[&trace];
    assert_eq!((&line["status"], &line["path"]), (&json!(500), &json!("/source/ready")), "{line}");
    let line = log.lines().find(|line| line.contains("the host panicked at a request")).expect("a line");
    assert!(line.contains(&trace), "{line}");
}

#[test]
fn client_that_disconnects_is_logged_without_a_status() {
    let manifest = Manifest::guests()
        .set("service.hostile.limits.request_timeout", "10s")
        .set("service.hostile.limits.lease_hold", "10s");
    let site = Site::new(&manifest);
    let host = site.start_with(&["--access-log", "json"]);
    let mut stream = raw::open(host.address());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let head = format!(
        "POST /hostile/loop?id=x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // One whose client has gone before the host has read its head is no request.
    until("it is being answered", || {
        let active = value(&metrics(&site, &host), "http_server_active_requests", &[("service", "hostile")]);
        active.filter(|active| *active > 0.0)
    });
    raw::hang_up(&stream);
    let line = until("its line", || lines(&host.stderr()).remove(trace));
    assert_eq!((&line["path"], &line["status"]), (&json!("/hostile/loop"), &Value::Null), "{line}");
}

/// The value of a metric with these labels.
fn value(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    metrics.lines().find_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let (found, of) = key.split_once('{')?;
        let is_so = labels.iter().all(|(label, value)| of.contains(&format!("{label}=\"{value}\"")));
        (found == name && is_so).then(|| value.parse().ok()).flatten()
    })
}

fn metrics(site: &Site, host: &Host) -> String {
    let token = std::fs::read_to_string(site.data().join("admin.token")).unwrap();
    let mut operator = Client::new(host.admin_address().unwrap()).with_token(token.trim());
    let answer = operator.get("/metrics");
    answer.expect_status(200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[test]
fn requests_are_counted_by_service_route_method_and_status_with_bounded_labels() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(id(&product(&mut admin, &food, &number.to_string())));
    }
    for id in &made {
        admin.get(&format!("/products/{id}")).expect_status(200);
    }
    let lines_of = |text: &str| text.lines().filter(|line| line.starts_with("http_server")).count();
    admin.get("/products/0").problem(404, "not-found");
    admin.get("/products/0/nothing").problem(404, "not-found");
    admin.get("/nowhere/0").problem(404, "not-found");
    admin.send(Method::from_bytes(b"BREW").unwrap(), "/products/0", &[], Bytes::new()).any_problem();
    let before = lines_of(&metrics(&site, &host));
    for number in 1..20 {
        admin.get(&format!("/products/{number}")).problem(404, "not-found");
        admin.get(&format!("/products/{number}/nothing")).problem(404, "not-found");
        admin.get(&format!("/nowhere/{number}")).problem(404, "not-found");
        let method = Method::from_bytes(format!("BREW{number}").as_bytes()).unwrap();
        admin.send(method, "/products/0", &[JSON], Bytes::new()).any_problem();
    }
    let text = metrics(&site, &host);
    // What a client makes up makes no further figures.
    assert_eq!(lines_of(&text), before, "{text}");

    let of = |service: &str, method: &str, route: &str, status: u16| {
        let status = status.to_string();
        let labels = [
            ("service", service),
            ("http_request_method", method),
            ("http_route", route),
            ("http_response_status_code", status.as_str()),
        ];
        value(&text, "http_server_requests_total", &labels)
    };
    assert_eq!(of("product", "GET", "/products/{id}", 200), Some(5.0), "{text}");
    assert_eq!(of("product", "GET", "/products/{id}", 404), Some(20.0), "{text}");
    assert_eq!(of("product", "POST", "/products", 201), Some(5.0), "{text}");
    assert_eq!(of("product", "GET", "/products/...", 404), Some(20.0), "{text}");
    assert_eq!(of("product", "_OTHER", "/products/...", 405), Some(20.0), "{text}");
    assert_eq!(of("", "GET", "", 404), Some(20.0), "{text}");
    let place = [("service", "product"), ("http_request_method", "GET"), ("http_route", "/products/{id}")];
    let duration = |name: &str| value(&text, &format!("http_server_request_duration_seconds_{name}"), &place);
    assert_eq!(duration("count"), Some(25.0), "{text}");
    assert!(duration("sum").is_some_and(|sum| sum > 0.0), "{text}");
    assert_eq!(value(&text, "http_server_active_requests", &[("service", "product")]), Some(0.0), "{text}");
    let queue = [("service", "product"), ("queue", "read")];
    assert_eq!(value(&text, "bulkhead_queue_requests", &queue), Some(0.0), "{text}");
    let waits = |service: &str, queue: &str| {
        let labels = [("service", service), ("queue", queue)];
        value(&text, "bulkhead_queue_wait_seconds_count", &labels)
    };
    assert_eq!(waits("product", "read"), Some(45.0), "{text}");
    assert_eq!(waits("product", "write"), Some(26.0), "{text}");
    // The login of the administrator.
    assert_eq!(waits("user", "compute"), Some(1.0), "{text}");
    assert_eq!(text.matches("# TYPE bulkhead_queue_wait_seconds histogram").count(), 1, "{text}");
    let of_product = |name: &str| value(&text, name, &[("service", "product")]).unwrap();
    let (batches, units) = (
        of_product("bulkhead_batches_committed_total"),
        of_product("bulkhead_units_of_work_committed_total"),
    );
    assert!(batches >= 1.0 && units >= batches, "{text}");
    assert!(of_product("bulkhead_instances_created_total") >= 1.0, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("\nbulkhead_connections_open "), "{text}");
}

#[test]
fn waiting_requests_are_in_the_metrics_of_their_queue() {
    let manifest = Manifest::guests()
        .set("service.hostile.limits.write_workers", 1)
        .set("service.hostile.limits.request_timeout", "5s");
    let site = Site::new(&manifest);
    let host = site.start();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let mut client = host.client();
            scope.spawn(move || {
                client.send(Method::POST, &format!("/hostile/loop?id=q{number}"), &[], Bytes::new())
            });
        }
        let queue = [("service", "hostile"), ("queue", "write")];
        // The one worker has one of them.
        until("three requests wait", || {
            let text = metrics(&site, &host);
            let waiting = value(&text, "bulkhead_queue_requests", &queue);
            let active = value(&text, "http_server_active_requests", &[("service", "hostile")]);
            (waiting == Some(3.0) && active == Some(4.0)).then_some(())
        });
    });
}

/// The causes by which instances go, and the limits that requests meet, are counted where they happen.
#[test]
fn dropped_instances_and_limits_that_are_met_are_in_the_metrics() {
    let figures = |lease_hold: &str, sent: &[(&str, u16)]| {
        let manifest = Manifest::guests()
            .set("service.hostile.limits.memory", "8MiB")
            .set("service.hostile.limits.request_timeout", "1s")
            .set("service.hostile.limits.lease_hold", lease_hold);
        let site = Site::new(&manifest);
        let host = site.start();
        let mut client = host.client();
        for (path, status) in sent {
            let answer = client.send(Method::POST, path, &[], Bytes::new());
            assert_eq!(answer.status, *status, "{path}");
        }
        metrics(&site, &host)
    };
    let of = |text: &str, name: &str, label: &str, is: &str| {
        value(text, &format!("bulkhead_{name}_total"), &[("service", "hostile"), (label, is)]).unwrap()
    };
    let text = figures(
        "1s",
        &[
            ("/hostile/trap?id=t", 500),
            ("/hostile/grow-memory?id=m", 500),
            ("/hostile/loop?id=l", 504),
            ("/hostile/nothing?id=n", 404),
        ],
    );
    assert_eq!(of(&text, "instances_dropped", "cause", "failed"), 3.0, "{text}");
    // It wrote a note, and then answered that there is no such page.
    assert_eq!(of(&text, "instances_dropped", "cause", "undone"), 1.0, "{text}");
    assert_eq!(of(&text, "instances_dropped", "cause", "worn"), 0.0, "{text}");
    for (limit, times) in [("memory", 1.0), ("request_timeout", 1.0), ("lease_hold", 0.0), ("queue", 0.0)] {
        assert_eq!(of(&text, "limits_reached", "limit", limit), times, "{limit}: {text}");
    }
    let text = figures("50ms", &[("/hostile/loop?id=l", 504)]);
    assert_eq!(of(&text, "limits_reached", "limit", "lease_hold"), 1.0, "{text}");
    assert_eq!(of(&text, "limits_reached", "limit", "request_timeout"), 0.0, "{text}");
}
