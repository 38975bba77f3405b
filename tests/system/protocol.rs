//! What the host itself adds to HTTP: health, traces, positions, and the headers that it keeps from guests and clients.

use std::collections::BTreeSet;

use bulkhead_tests::{Client, Site, shop};
use bytes::Bytes;
use http::Method;
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Asks with a `traceparent`, and gives the `traceresponse`.
fn trace_of(client: &mut Client, traceparent: &str) -> String {
    let answer = client.send(Method::GET, "/products", &[("traceparent", traceparent)], Bytes::new());
    answer.expect(200);
    answer.header("traceresponse").unwrap_or_else(|| panic!("{answer}: no traceresponse")).to_owned()
}

#[test]
fn a_host_that_listens_is_live_and_ready() {
    let host = Site::shop().start();
    let mut client = host.admin();
    for path in ["/.well-known/bulkhead/live", "/.well-known/bulkhead/ready", "/healthz", "/readyz"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
}

#[test]
fn request_and_its_answer_problem_and_event_have_the_same_trace() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let response = trace_of(&mut client, &parent);
    let parts: Vec<&str> = response.split('-').collect();
    assert!(parts.len() == 4 && parts[0] == "00" && parts[1] == TRACE && parts[2].len() == 16, "{response}");
    let headers = [("traceparent", parent.as_str()), ("content-type", "application/json")];
    let problem = client.send(Method::GET, "/products/7", &headers, Bytes::new()).problem(404, "not-found");
    assert_eq!(problem["trace_id"], TRACE);
    let problem = client.send(Method::GET, "/nowhere", &headers, Bytes::new()).problem(404, "not-found");
    assert_eq!(problem["trace_id"], TRACE);
    let body = json!({"name": "x", "slug": "x"}).to_string();
    client.send(Method::POST, "/categories", &headers, body.into()).expect(201);
    let connection = bulkhead_tests::database::open(&site.database("product"));
    let traces = bulkhead_tests::database::texts(&connection, "SELECT trace_id FROM _bulkhead_outbox");
    assert_eq!(traces, [TRACE]);
}

#[test]
fn request_without_a_valid_trace_gets_a_new_one() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let mut seen = BTreeSet::new();
    for traceparent in [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    ] {
        let trace = trace_of(&mut client, traceparent).split('-').nth(1).unwrap_or_default().to_owned();
        assert!(
            trace.len() == 32 && trace != TRACE && trace.bytes().any(|digit| digit != b'0'),
            "{traceparent}: {trace}"
        );
        assert!(seen.insert(trace), "{traceparent}: the trace was used before");
    }
}

#[test]
fn write_answers_have_growing_positions_and_read_answers_have_none() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let mut seen = BTreeSet::new();
    for number in 0..5 {
        let answer = client.post("/categories", &json!({"name": "x", "slug": format!("x{number}")}));
        answer.expect(201);
        let position =
            answer.header("bulkhead-position").unwrap_or_else(|| panic!("{answer}: no position")).to_owned();
        assert!(position.starts_with("product:"), "{position}");
        assert!(seen.insert(position), "a position stands for one state of the log");
    }
    assert_eq!(client.get("/products").header("bulkhead-position"), None);
}

#[test]
fn head_gives_the_headers_of_get_without_its_body() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let get = client.get("/products");
    let head = client.send(Method::HEAD, "/products", &[], Bytes::new());
    assert_eq!((head.status, head.body.len()), (get.status, 0), "{head}");
    assert_eq!(head.header("content-type"), get.header("content-type"));
}

#[test]
fn requests_on_one_connection_are_answered_in_their_order() {
    let host = Site::shop().start();
    let mut stream = bulkhead_tests::raw::open(host.address());
    let requests: String = ["/products", "/nowhere", "/categories", "/products/7"]
        .map(|path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .concat();
    std::io::Write::write_all(&mut stream, requests.as_bytes()).unwrap();
    // Each answer is complete before the next begins, so the whole can be read as one stream of them.
    let mut statuses = Vec::new();
    let mut reader = std::io::BufReader::new(&stream);
    while statuses.len() < 4 {
        statuses.push(read_one(&mut reader));
    }
    assert_eq!(statuses, [200, 404, 200, 404]);
}

/// Reads one answer off a stream that goes on, and gives its status.
fn read_one(reader: &mut impl std::io::BufRead) -> u16 {
    let mut status = 0;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    std::io::Read::read_exact(reader, &mut vec![0; length]).unwrap();
    status
}

#[test]
fn full_queue_answers_503_with_retry_after_and_the_service_continues() {
    let manifest = bulkhead_tests::Manifest::guests()
        .set("service.hostile.limits.queue", 1)
        .set("service.hostile.limits.write_workers", 1);
    let site = Site::new(&manifest);
    let host = site.start();
    // A handler that never ends holds the only worker until its time is up; of those behind it, one has room.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|number| {
                let mut client = host.client();
                scope.spawn(move || {
                    let path = format!("/hostile/loop?id=culprit-{number}");
                    let answer = client.send(Method::POST, &path, &[], Bytes::new());
                    if answer.status == 503 {
                        answer.problem(503, "unavailable");
                        let seconds = answer.header("retry-after").unwrap_or_default();
                        assert!(
                            seconds.parse::<u32>().is_ok_and(|seconds| seconds >= 1),
                            "{answer}: {seconds:?}"
                        );
                    }
                    answer.status
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.contains(&504), "{statuses:?}");
    let mut client = host.client();
    client.post("/notes", &json!({"id": "after", "body": "x"})).expect(201);
    assert_eq!(shop::id(&client.get("/notes/after").expect(200)), "after");
}
