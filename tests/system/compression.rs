//! gzip: what is compressed, what is not, and that a compressed representation has a tag of its own.

use std::io::Read as _;

use bulkhead_tests::shop::{category, id, product_body};
use bulkhead_tests::{Answer, Client, Host, Site};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::Method;
use serde_json::json;

const GZIP: (&str, &str) = ("accept-encoding", "br, gzip;q=0.9");

fn get(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    client.send(Method::GET, path, headers, Bytes::new())
}

#[track_caller]
fn expanded(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{answer}");
    let mut plain = Vec::new();
    GzDecoder::new(answer.body.as_ref()).read_to_end(&mut plain).expect("gzip");
    plain
}

/// A shop with so many products, each of them with a description of two kilobytes, and the id of the last.
fn with_products(host: &Host, count: usize) -> String {
    let mut admin = host.admin();
    let category = category(&mut admin, "toys", None);
    let mut last = String::new();
    for number in 0..count {
        let mut product = product_body(&category, &number.to_string());
        product["description"] = "A toy like no other. ".repeat(100).into();
        last = id(&admin.post("/products", &product).expect(201));
    }
    last
}

#[test]
fn body_worth_compressing_is_compressed_for_clients_that_accept_it() {
    let host = Site::shop().start();
    with_products(&host, 60);
    let mut client = host.client();
    // The second has more than is compressed on the spot.
    for path in ["/products?limit=2", "/products?limit=50"] {
        let plain = get(&mut client, path, &[]);
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
        let packed = get(&mut client, path, &[GZIP]);
        assert_eq!(expanded(&packed), plain.body, "{path}");
        assert!(packed.body.len() * 4 < plain.body.len(), "{path}: {} bytes", packed.body.len());
        for answer in [&plain, &packed] {
            assert_eq!(answer.header("vary"), Some("accept-encoding"), "{path}");
        }
        let length = packed.header("content-length").unwrap();
        assert_eq!(length, packed.body.len().to_string());
        let head = client.send(Method::HEAD, path, &[GZIP], Bytes::new());
        assert_eq!(head.header("content-length"), Some(length), "{path}");
        assert_eq!((head.header("content-encoding"), head.body.len()), (Some("gzip"), 0));
        let refused = get(&mut client, path, &[("accept-encoding", "gzip;q=0")]);
        assert_eq!(refused.body, plain.body);
    }
}

#[test]
fn compressed_representation_has_its_own_tag_that_works_like_the_plain_one() {
    let host = Site::shop().start();
    let path = format!("/products/{}", with_products(&host, 1));
    let mut admin = host.admin();
    let plain = get(&mut admin, &path, &[]).header("etag").unwrap().to_owned();
    let packed = get(&mut admin, &path, &[GZIP]).header("etag").unwrap().to_owned();
    assert_ne!(plain, packed);
    for (known, accepts, status) in
        [(&plain, false, 304), (&packed, true, 304), (&plain, true, 304), (&packed, false, 200)]
    {
        let mut headers = vec![("if-none-match", known.as_str())];
        headers.extend(accepts.then_some(GZIP));
        let answer = get(&mut admin, &path, &headers);
        // Whoever has the compressed one and would get the plain one gets it.
        let tag = if status == 304 { known } else { &plain };
        assert_eq!((answer.status, answer.header("etag")), (status, Some(tag.as_str())), "{known}");
    }
    for known in [packed, plain] {
        let change = json!({"name": "Another"}).to_string();
        let headers = [("if-match", known.as_str()), ("content-type", "application/json")];
        let answer = admin.send(Method::PATCH, &path, &headers, change.into());
        // The first changes it, and the second knew what was there before.
        assert_eq!(answer.status, if known.contains("gzip") { 200 } else { 412 }, "{answer}");
    }
}

#[test]
fn small_body_is_sent_uncompressed() {
    let host = Site::shop().start();
    let mut client = host.client();
    let answer = get(&mut client, "/products", &[GZIP]);
    answer.expect(200);
    assert_eq!(answer.header("content-encoding"), None, "{answer}");
}

#[test]
fn compressed_request_body_is_refused_with_the_accepted_encodings() {
    let host = Site::shop().start();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let answer = host.client().send(Method::POST, "/users", &headers, Bytes::from_static(b"{}"));
    answer.problem(415, "unsupported-media-type");
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
}
