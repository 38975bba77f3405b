//! Requests that cannot be: each gets its problem document, nothing is written, and nothing is a 500.

use std::io::Write as _;
use std::thread;

use bulkhead_tests::shop::{category, id, product, product_body};
use bulkhead_tests::{Manifest, Site, database, raw};
use bytes::Bytes;
use http::Method;
use serde_json::json;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[test]
fn body_that_is_not_json_is_400_and_writes_nothing() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let made = format!("/products/{}", id(&product(&mut client, &category, "1")));
    let before = database::row_counts(&site.database("product"));
    let deep_list = "[".repeat(10_000);
    let deep_object = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let cut = product_body(&category, "2").to_string();
    let bodies: [&[u8]; 14] = [
        b"",
        b"   ",
        b"{",
        b"{\"name\": }",
        b"not json",
        b"{'name': 'x'}",
        b"{\"name\": \"x\",}",
        b"{\"name\": \"\xff\xfe\"}",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"{\"price\": NaN}",
        deep_list.as_bytes(),
        deep_object.as_bytes(),
        &cut.as_bytes()[..cut.len() - 1],
    ];
    for body in bodies {
        let body = Bytes::copy_from_slice(body);
        for (method, path) in
            [(Method::POST, "/products"), (Method::PATCH, &made), (Method::POST, "/categories")]
        {
            client.send(method, path, &JSON, body.clone()).problem(400, "malformed-json");
        }
    }
    assert_eq!(database::row_counts(&site.database("product")), before);
}

#[test]
fn body_of_the_wrong_shape_is_422_and_writes_nothing() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let before = database::row_counts(&site.database("product"));
    for body in [json!([]), json!("text"), json!(7), json!(null), json!(true), json!([{"name": "x"}])] {
        for path in ["/products", "/categories"] {
            let answer = client.post(path, &body);
            answer.any_problem();
            assert_eq!(answer.status, 422, "{answer}");
        }
    }
    assert_eq!(database::row_counts(&site.database("product")), before);
}

#[test]
fn unknown_query_parameters_are_reported_with_body_errors_unless_the_path_is_404() {
    let host = Site::shop().start();
    let mut client = host.admin();
    client.post("/categories?colour=blue", &json!({"size": 1})).invalid(&["colour", "name", "size"]);
    client.get("/products/7?colour=blue").problem(404, "not-found");
    client.patch("/products/7?colour=blue", &json!({})).problem(404, "not-found");
    let name = "x".repeat(5_000);
    client.get(&format!("/categories?{name}=1")).invalid(&[&name[..100]]);
    client.post("/categories", &json!({"name": "a", &name: 1})).invalid(&[&name[..100]]);
}

#[test]
fn duplicate_key_is_refused() {
    let host = Site::shop().start();
    let body = Bytes::from_static(br#"{"name": "a", "name": "b", "slug": "a"}"#);
    let answer = host.admin().send(Method::POST, "/categories", &JSON, body);
    answer.any_problem();
    assert!(matches!(answer.status, 400 | 422), "{answer}");
}

#[test]
fn body_of_the_wrong_media_type_is_415() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let body = Bytes::from(json!({"name": "x", "slug": "x"}).to_string());
    let none: &[(&str, &str)] = &[];
    for headers in [
        none,
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonx")],
        &[("content-type", "")],
    ] {
        client
            .send(Method::POST, "/categories", headers, body.clone())
            .problem(415, "unsupported-media-type");
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    client.send(Method::POST, "/categories", &charset, body).expect(201);
}

#[test]
fn body_over_the_limit_is_413_and_the_client_receives_the_answer() {
    let site = Site::shop();
    let host = site.start();
    let before = database::row_counts(&site.database("product"));
    let size = 10 * 1024 * 1024;
    let mut body = format!("{{\"name\": \"{}\"}}", "x".repeat(size - 12)).into_bytes();
    assert_eq!(body.len(), size);

    // Announced.
    let mut announced = format!(
        "POST /products HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    )
    .into_bytes();
    announced.append(&mut body.clone());
    raw::exchange(host.address(), &announced).expect("an answer").problem(413, "payload-too-large");

    // In chunks, so that the host can't know before.
    let mut chunked =
        b"POST /products HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(64 * 1024) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    raw::exchange(host.address(), &chunked).expect("an answer").problem(413, "payload-too-large");

    // A body at the limit is only wrong in what it says.
    body = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024 - 12)).into_bytes();
    let answer = host.admin().send(Method::POST, "/products", &JSON, body.into());
    assert_eq!(answer.status, 422, "{}", answer.status);
    assert_eq!(database::row_counts(&site.database("product")), before);
}

#[test]
fn body_limit_comes_from_the_manifest() {
    let site = Site::new(&Manifest::shop().set("service.product.limits.body", "1KiB"));
    let host = site.start();
    let mut client = host.admin();
    let body = json!({"name": "x", "slug": "x".repeat(2_000)}).to_string();
    client.send(Method::POST, "/categories", &JSON, body.into()).problem(413, "payload-too-large");
    client.post("/categories", &json!({"name": "x", "slug": "x"})).expect(201);
}

#[test]
fn garbage_on_the_socket_is_400_or_a_closed_connection_and_harms_no_other_client() {
    let site = Site::shop();
    let host = site.start();
    let mut bystander = host.admin();
    bystander.get("/products").expect(200);
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let table: [&[u8]; 12] = [
        b"\r\n\r\n\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /products\r\n\r\n",
        b"GET /products HTTP/9.9\r\n\r\n",
        b"GET /prod ucts HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /products HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST /products HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /products HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"POST /products HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &binary,
    ];
    for bytes in table {
        let mut stream = raw::open(host.address());
        // The host may have closed it already.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        if let Some(answer) = raw::read_answer(&mut stream) {
            answer.problem(400, "malformed-request");
        }
    }
    bystander.get("/products").expect(200);
    host.stop();
}

#[test]
fn oversize_headers_and_paths_are_refused() {
    let host = Site::shop().start();
    let head = "GET /products HTTP/1.1\r\nhost: x\r\n";
    let one = format!("{head}x-large: {}\r\n\r\n", "x".repeat(400_000));
    let many: String = (0..5_000).map(|number| format!("x-header-{number}: {number}\r\n")).collect();
    for request in [one, format!("{head}{many}\r\n")] {
        let answer = raw::exchange(host.address(), request.as_bytes()).expect("an answer");
        answer.problem(431, "headers-too-large");
    }
    let large = format!("{head}x-large: {}\r\n\r\n", "x".repeat(100_000));
    raw::exchange(host.address(), large.as_bytes()).expect("an answer").problem(431, "headers-too-large");
    let path = format!("GET /products/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(20_000));
    let answer = raw::exchange(host.address(), path.as_bytes()).expect("an answer");
    answer.problem(414, "uri-too-long");
    host.admin().get("/products").expect(200);
}

#[test]
fn client_that_disconnects_halfway_leaves_nothing_behind() {
    let site = Site::shop();
    let host = site.start();
    let before = database::row_counts(&site.database("product"));
    let body = json!({"name": "half", "slug": "half"}).to_string();
    let request = format!(
        "POST /categories HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for end in (0..request.len()).step_by(7) {
        let mut stream = raw::open(host.address());
        stream.write_all(&request.as_bytes()[..end]).unwrap();
        raw::hang_up(&stream);
    }
    host.admin().get("/categories/by-slug/half").problem(404, "not-found");
    assert_eq!(database::row_counts(&site.database("product")), before);
    host.stop();
}

#[test]
fn too_slow_client_is_disconnected_and_does_not_delay_others() {
    let site = Site::shop();
    let host = site.start();
    let address = host.address();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut slow_body = raw::open(address);
            let head =
                "POST /categories HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
            slow_body.write_all(head.as_bytes()).unwrap();
            let answer = raw::read_answer(&mut slow_body).expect("an answer");
            answer.problem(408, "request-timeout");
        });
        scope.spawn(move || {
            let mut slow_head = raw::open(address);
            slow_head.write_all(b"GET /products HTTP/1.1\r\nhost:").unwrap();
            if let Some(answer) = raw::read_answer(&mut slow_head) {
                assert_eq!(answer.status, 408, "{answer}");
            }
        });
        let mut client = host.admin();
        for number in 0..20 {
            category(&mut client, &format!("c{number}"), None);
        }
    });
    host.stop();
}

#[test]
fn path_that_no_service_serves_is_404() {
    let host = Site::shop().start();
    let mut client = host.admin();
    for path in [
        "/",
        "/nothing",
        "/productss",
        "/product",
        "/.well-known/bulkhead/nothing",
        "/..%2f",
        "/%25",
        "//products",
    ] {
        client.get(path).problem(404, "not-found");
        client.post(path, &json!({})).problem(404, "not-found");
    }
    for path in ["/products/", "/categories//"] {
        client.get(path).problem(404, "not-found");
    }
}

#[test]
fn no_header_value_of_a_client_is_an_internal_error() {
    let host = Site::shop().start();
    let weird = b"GET /products HTTP/1.1\r\nhost: x\r\nx-bytes: \xff\xfe\x80\r\ntraceparent: \xff\r\nauthorization: \xff\r\n\r\n";
    let answer = raw::exchange(host.address(), weird).expect("an answer");
    assert!(answer.status < 500, "{answer}");
}
