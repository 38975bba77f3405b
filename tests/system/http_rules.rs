//! What HTTP itself asks of a server, on both ports, by bytes on a socket: `Host`, framing, targets, `Expect`, and a document for whatever
//! is refused.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use bulkhead_tests::shop::{category, id, product};
use bulkhead_tests::{Answer, Host, Site, raw};
use bytes::Bytes;
use http::Method;
use serde_json::json;

/// The addresses of both ports, each with a path that answers 200 there to everybody.
fn ports(host: &Host) -> [(SocketAddr, &'static str); 2] {
    [(host.address(), "/products"), (host.admin_address().expect("an admin port"), "/healthz")]
}

#[track_caller]
fn ask(address: SocketAddr, head: &str) -> Answer {
    raw::exchange(address, format!("{head}\r\n\r\n").as_bytes())
        .unwrap_or_else(|| panic!("no answer to {head:?}"))
}

#[test]
fn a_request_has_one_valid_host() {
    let host = Site::shop().start();
    for (address, path) in ports(&host) {
        let get = |version: &str, headers: &str| ask(address, &format!("GET {path} HTTP/{version}{headers}"));
        for headers in [
            "",
            "\r\nhost: x\r\nhost: x",
            "\r\nhost: x\r\nhost: y",
            "\r\nhost: a b",
            "\r\nhost: user@x",
            "\r\nhost: x/y",
            "\r\nhost: x:y",
            "\r\nhost: [::1",
            "\r\nhost: \u{e9}",
        ] {
            let problem = get("1.1", headers).problem(400, "malformed-request");
            assert!(problem["detail"].as_str().unwrap().contains("Host"), "{headers:?}: {problem}");
        }
        for headers in ["\r\nhost: x", "\r\nhost:", "\r\nHOST: [::1]:80", "\r\nhost: shop.example:8080"] {
            get("1.1", headers).expect_status(200);
        }
        // Before 1.1 there was none; but it is no more valid.
        get("1.0", "").expect_status(200);
        get("1.0", "\r\nhost: x\r\nhost: y").problem(400, "malformed-request");
        get("1.0", "\r\nhost: a b").problem(400, "malformed-request");
    }
}

/// Both ports tell a trace by which their log lines are found. What names two traces is in neither.
#[test]
fn every_answer_has_its_trace_which_a_single_traceparent_sets() {
    let host = Site::shop().start();
    for (address, path) in ports(&host) {
        ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x")).header("traceresponse").expect("a trace");
        ask(address, "GET /nowhere HTTP/1.1\r\nhost: x").header("traceresponse").expect("a trace");
    }
    let parents = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"]
        .map(|trace| (trace, format!("traceparent: 00-{trace}-00f067aa0ba902b7-01")));
    let trace_response = |headers: &str| {
        let answer = ask(host.address(), &format!("GET /products HTTP/1.1\r\nhost: x\r\n{headers}"));
        answer.header("traceresponse").expect("a trace").to_owned()
    };
    assert!(trace_response(&parents[0].1).contains(parents[0].0));
    let both = trace_response(&format!("{}\r\n{}", parents[0].1, parents[1].1));
    assert!(!both.contains(parents[0].0) && !both.contains(parents[1].0), "{both}");
}

#[test]
fn target_in_absolute_form_determines_the_host_of_the_request() {
    let site = Site::shop();
    let host = site.start();
    for (address, path) in ports(&host) {
        ask(address, &format!("GET http://y:80{path} HTTP/1.1\r\nhost: x")).expect_status(200);
        for target in [format!("http://u@y{path}"), format!("ftp://y{path}"), "*".into(), "y:80".into()] {
            ask(address, &format!("GET {target} HTTP/1.1\r\nhost: x")).problem(400, "malformed-request");
        }
        ask(address, &format!("GET http://y{path} HTTP/1.1")).problem(400, "malformed-request");
        ask(address, "CONNECT y:80 HTTP/1.1\r\nhost: y:80").problem(501, "not-implemented");
        ask(address, "OPTIONS * HTTP/1.1\r\nhost: x").expect_status(204);
    }
    // A page of another name for this machine does not reach operators by putting that name into the target alone.
    let token = std::fs::read_to_string(site.data().join("admin.token")).unwrap();
    let admin = host.admin_address().unwrap();
    let status = |target: &str| {
        let head =
            format!("GET {target} HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {}", token.trim());
        ask(admin, &head)
    };
    status("/api/status").expect_status(200);
    status(&format!("http://{admin}/api/status")).expect_status(200);
    status("http://evil.example/api/status").problem(403, "forbidden");
}

#[test]
fn body_is_chunked_exactly_once_or_has_a_length() {
    let host = Site::shop().start();
    for (address, path) in ports(&host) {
        let post = |version: &str, headers: &str| {
            let head = format!("POST {path} HTTP/{version}\r\nhost: x\r\n{headers}\r\n\r\n0\r\n\r\n");
            raw::exchange(address, head.as_bytes()).unwrap_or_else(|| panic!("no answer to {headers:?}"))
        };
        for codings in [
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
            "transfer-encoding: identity, chunked",
            "transfer-encoding: X, Chunked",
        ] {
            post("1.1", codings).problem(501, "not-implemented");
        }
        for codings in [
            "transfer-encoding: gzip",
            "transfer-encoding: chunked, gzip",
            "transfer-encoding: chunked\r\ntransfer-encoding: gzip",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding:",
            "content-length: 5, 6",
            "content-length: 5\r\ncontent-length: 6",
            "content-length: -1",
        ] {
            post("1.1", codings).problem(400, "malformed-request");
        }
        post("1.0", "transfer-encoding: chunked").problem(400, "malformed-request");
        let answer = post("1.1", "transfer-encoding: Chunked");
        assert!(!matches!(answer.status, 400 | 501), "{answer}");
    }
}

#[test]
fn malformed_request_gets_a_problem_document_and_closes_the_connection() {
    let host = Site::shop().start();
    for (address, path) in ports(&host) {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\n");
        let many: String = (0..101).map(|number| format!("x-{number}: {number}\r\n")).collect();
        let long = "x".repeat(70_000);
        for (bytes, status, code) in [
            (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), 414, "uri-too-long"),
            (format!("GET {path}?{long} HTTP/1.1\r\nhost: x\r\n\r\n"), 414, "uri-too-long"),
            (format!("{head}{many}\r\n"), 431, "headers-too-large"),
            ("hello\r\n\r\n".into(), 400, "malformed-request"),
            ("GET\r\n\r\n".into(), 400, "malformed-request"),
            (format!("GET {path} HTTP/9.9\r\n\r\n"), 400, "malformed-request"),
            (format!("{head}no colon here\r\n\r\n"), 400, "malformed-request"),
            (format!("G@T {path} HTTP/1.1\r\nhost: x\r\n\r\n"), 400, "malformed-request"),
        ] {
            let mut stream = raw::open(address);
            // After a request that is answered as ever, on the same connection.
            stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
            raw::read_answer(&mut stream).expect("an answer").expect_status(200);
            // The host may have heard enough before all of it is sent.
            let _ = stream.write_all(bytes.as_bytes());
            let shown = &bytes[..bytes.len().min(60)];
            let answer = raw::read_answer(&mut stream).unwrap_or_else(|| panic!("no answer to {shown:?}"));
            let problem = answer.problem(status, code);
            // It was not looked how long the path is.
            let detail = problem["detail"].as_str().unwrap();
            assert!(status != 414 || detail.starts_with("the target, path and query together"), "{detail}");
            assert_eq!(answer.header("connection"), Some("close"), "{shown}: {answer}");
            assert!(answer.header("date").is_some(), "{shown}: {answer}");
            let is_traced = answer
                .header("traceresponse")
                .is_some_and(|trace| trace.contains(problem["trace_id"].as_str().unwrap()));
            assert!(is_traced, "{answer}");
            assert!(raw::read_answer(&mut stream).is_none(), "{shown}: the connection goes on");
        }
    }
    host.stop();
}

#[test]
fn answers_before_an_unreadable_request_are_sent_unchanged() {
    let host = Site::shop().start();
    // All of it in one write: the answers may leave in one as well.
    let get = "GET /products HTTP/1.1\r\nhost: x\r\n\r\n";
    let bytes = format!("{get}HEAD /products HTTP/1.1\r\nhost: x\r\n\r\n{get}hello\r\n\r\n");
    for _ in 0..50 {
        let mut stream = raw::open(host.address());
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{text}");
        assert_eq!(text.matches("{\"items\":[],\"next_cursor\":null}").count(), 2, "{text}");
        let (_, last) = text.rsplit_once("HTTP/1.1 400 Bad Request\r\n").unwrap_or_else(|| panic!("{text}"));
        let (_, body) = last.split_once("\r\n\r\n").unwrap();
        // Where it was not sent together with an answer, it has its document.
        assert!(body.is_empty() || body.contains("\"malformed-request\""), "{text}");
    }
}

#[test]
fn path_has_one_normal_form_everywhere() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let made = id(&product(&mut admin, &food, "by-sku"));
    let plain = admin.get(&format!("/products/{made}"));
    for path in [
        format!("/%70roducts/{made}"),
        format!("/%70%72%6F%64%75%63%74%73/{made}"),
        format!("/products/{}", made.replace('-', "%2D")),
        "/products/by-sku/%62y-sku".to_owned(),
        "/products/%62y%2dsku/by-sku".to_owned(),
    ] {
        let answer = admin.get(&path);
        assert_eq!(answer.expect(200), plain.value(), "{path}");
        if path.contains(&made[..8]) {
            assert_eq!(answer.header("etag"), plain.header("etag"), "{path}");
        }
    }
    for path in ["/%68ealthz", "/%2Ewell-known/bulkhead/liv%65", "/op%65napi.json"] {
        admin.get(path).expect_status(200);
    }
    admin.get("/products%2Fby-sku/by-sku").problem(404, "not-found");
    admin.get(&format!("/products/by-sku%2F{made}")).problem(404, "not-found");
    // One key, one effect, however the path and the query are spelt.
    let key = [("content-type", "application/json"), ("idempotency-key", "spelt")];
    let body = Bytes::from(json!({"name": "Spelt"}).to_string());
    let first = admin.send(Method::POST, "/categories", &key, body.clone());
    let again = admin.send(Method::POST, "/c%61tegories", &key, body);
    assert_eq!(id(&again.expect(201)), id(&first.expect(201)));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for (address, _) in ports(&host) {
        let get = |path: &str| ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x"));
        for path in ["/%", "/%zz", "/products/%4", "/products/%+1"] {
            get(path).problem(400, "malformed-request");
        }
        // Where they lead is not guessed: a client that puts an id of dots into a path means another resource.
        for path in ["/products/../products", "/products/.", "/.", "/x/%2e%2E/products", "/..", "/../healthz"]
        {
            get(path).problem(404, "not-found");
        }
    }
}

/// Sends a head that asks for leave to send a body, and gives the first answer to it.
fn expecting(
    address: SocketAddr,
    target: &str,
    headers: &str,
    length: usize,
) -> (std::net::TcpStream, Answer) {
    let mut stream = raw::open(address);
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = raw::read_answer(&mut stream).unwrap_or_else(|| panic!("no answer to {target}"));
    (stream, answer)
}

#[test]
fn client_gets_100_continue_only_if_the_request_head_is_valid() {
    let site = Site::shop();
    let host = site.start();
    let admin = host.admin();
    let good = format!("authorization: Bearer {}\r\n", admin.token().unwrap());
    let bad = "authorization: Bearer x.y.z\r\n";
    let operators = std::fs::read_to_string(site.data().join("admin.token")).unwrap();
    let operator = format!("authorization: Bearer {}\r\n", operators.trim());
    let (public, private) = (host.address(), host.admin_address().unwrap());
    let key = format!("{good}idempotency-key: a b\r\n");
    let after = format!("{good}bulkhead-after: nonsense\r\n");
    let coding = format!("{good}transfer-encoding: gzip, chunked\r\n");
    for (address, target, headers, length, status, code) in [
        (public, "/categories", good.as_str(), 10 << 20, 413, "payload-too-large"),
        (public, "/categories", bad, 10, 401, "invalid-token"),
        (public, "/categories", bad, 10 << 20, 401, "invalid-token"),
        (public, "/nowhere", &good, 10, 404, "not-found"),
        (public, "/healthz", &good, 10, 405, "method-not-allowed"),
        (public, "/%zz", &good, 10, 400, "malformed-request"),
        (public, "/categories", &key, 10, 400, "invalid-idempotency-key"),
        (public, "/categories", &after, 10, 400, "invalid-position"),
        (public, "/categories", &coding, 10, 501, "not-implemented"),
        (public, "/categories", "host: y\r\n", 10, 400, "malformed-request"),
        (private, "/api/deploys/product", bad, 10, 401, "invalid-token"),
        (private, "/api/deploys/product", &operator, 1 << 30, 413, "payload-too-large"),
        (private, "/api/deploys/product", "host: y\r\n", 10, 400, "malformed-request"),
    ] {
        let (mut stream, answer) = expecting(address, target, headers, length);
        answer.problem(status, code);
        assert_eq!(answer.header("connection"), Some("close"), "{target} {headers}: {answer}");
        assert!(raw::read_answer(&mut stream).is_none(), "{target} {headers}: the connection goes on");
    }

    let body = json!({"name": "Continued"}).to_string();
    let (mut stream, answer) = expecting(public, "/categories", &good, body.len());
    answer.expect_status(100);
    stream.write_all(body.as_bytes()).unwrap();
    let made = raw::read_answer(&mut stream).expect("an answer").expect(201);
    assert_eq!(made["name"], "Continued");
    // The connection goes on.
    stream.write_all(b"GET /products HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    raw::read_answer(&mut stream).expect("an answer").expect_status(200);
}

#[test]
fn client_that_sends_a_large_body_without_waiting_receives_the_refusal() {
    let site = Site::shop();
    let host = site.start();
    let body = vec![b'x'; 8 << 20];
    for (address, _) in ports(&host) {
        for (target, headers, status) in [
            ("/nowhere", "host: x\r\n", [404, 403]),
            ("/healthz", "host: x\r\n", [405, 405]),
            ("/categories", "", [400, 400]),
            ("/categories", "host: x\r\nauthorization: Bearer x.y.z\r\n", [401, 403]),
        ] {
            let mut request =
                format!("POST {target} HTTP/1.1\r\ncontent-length: {}\r\n{headers}\r\n", body.len())
                    .into_bytes();
            request.extend_from_slice(&body);
            let mut stream = raw::open(address);
            stream
                .write_all(&request)
                .unwrap_or_else(|error| panic!("{target}: all of it was not taken: {error}"));
            let answer = raw::read_answer(&mut stream).unwrap_or_else(|| panic!("no answer to {target}"));
            answer.any_problem();
            assert!(status.contains(&answer.status), "{target}: {answer}");
        }
    }
}
