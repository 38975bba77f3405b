//! Products: creating, reading, changing and deleting one.

use bulkhead_tests::shop::{category, id, product, product_body};
use bulkhead_tests::{Site, database};
use http::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

#[test]
fn product_is_read_back_by_id_and_by_sku_as_created() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let body = product_body(&category, "SKU-1/ä b");
    let answer = client.post("/products", &body);
    let made = answer.expect(201);
    assert_eq!(answer.header("location"), Some(format!("/products/{}", id(&made)).as_str()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    for path in [format!("/products/{}", id(&made)), "/products/by-sku/SKU-1%2F%C3%A4%20b".to_owned()] {
        let read = client.get(&path).expect(200);
        for (field, value) in body.as_object().unwrap() {
            assert_eq!(&read[field], value, "{field}");
        }
        assert_eq!(read["images"], json!([]), "{read}");
        for time in ["created_at", "updated_at"] {
            let time = read[time].as_str().unwrap();
            assert!(time.contains('T') && time.ends_with('Z'), "RFC 3339 UTC: {time}");
        }
    }
}

#[test]
fn ids_are_version_7_and_grow() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let ids: Vec<String> =
        (0..20).map(|sku| id(&product(&mut client, &category, &sku.to_string()))).collect();
    for id in &ids {
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{id}");
    }
    // Two may be made in one millisecond; a later millisecond sorts later.
    assert!(ids.windows(2).all(|pair| pair[0][..13] <= pair[1][..13]), "{ids:?}");
}

#[test]
fn each_write_returns_its_position_and_publishes_one_event() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let made = client.post("/products", &product_body(&category, "1"));
    let path = format!("/products/{}", id(&made.expect(201)));
    let changed = client.patch(&path, &json!({"price": "1.50"}));
    changed.expect(200);
    let deleted = client.delete(&path);
    deleted.expect(204);
    for answer in [&made, &changed, &deleted] {
        assert!(
            answer.header("bulkhead-position").is_some_and(|token| token.starts_with("product:")),
            "{answer}"
        );
    }
    let connection = database::open(&site.database("product"));
    let types = database::texts(&connection, "SELECT type FROM _bulkhead_outbox ORDER BY sequence");
    assert_eq!(types, ["category.changed", "product.changed", "product.changed", "product.deleted"]);
    let prices =
        "SELECT data ->> 'price' FROM _bulkhead_outbox WHERE type = 'product.changed' ORDER BY sequence";
    assert_eq!(database::texts(&connection, prices), ["19.99", "1.50"]);
    let traces = "SELECT count(*) FROM _bulkhead_outbox WHERE length(trace_id) = 32 AND json_valid(data)";
    assert_eq!(database::number(&connection, traces), 4);
}

#[test]
fn a_sku_belongs_to_one_product() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let first = product(&mut client, &category, "1");
    let second = product(&mut client, &category, "2");
    client.post("/products", &product_body(&category, "1")).problem(409, "sku-taken");
    client.patch(&format!("/products/{}", id(&second)), &json!({"sku": "1"})).problem(409, "sku-taken");
    client.patch(&format!("/products/{}", id(&first)), &json!({"sku": "1"})).expect(200);
}

#[test]
fn a_patch_changes_only_the_named_fields_of_a_product() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let food = category(&mut client, "food", None);
    let other = category(&mut client, "other", None);
    let made = product(&mut client, &food, "1");
    let path = format!("/products/{}", id(&made));
    let mut expected = made.clone();
    for (field, value) in [
        ("name", json!("Another name")),
        ("description", json!("Another description")),
        ("price", json!("0.00")),
        ("sku", json!("one")),
        ("category_id", json!(other)),
    ] {
        let changed = client.patch(&path, &json!({field: value})).expect(200);
        expected[field] = value;
        assert!(changed["updated_at"].as_str() >= expected["updated_at"].as_str());
        expected["updated_at"] = changed["updated_at"].clone();
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!(client.get(&path).expect(200)["sku"], expected["sku"]);
    }
}

#[test]
fn stock_is_changed_through_its_own_resource_and_never_by_patch() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    client.patch(&path, &json!({"stock_quantity": 5})).invalid(&["stock_quantity"]);
    client.patch(&path, &json!({"stock_quantity": 5, "price": "x"})).invalid(&["stock_quantity", "price"]);
    assert_eq!(client.get(&path).expect(200)["stock_quantity"], 10);
}

#[test]
fn an_unknown_category_is_a_conflict() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    for answer in [
        client.post("/products", &product_body(UNKNOWN, "2")),
        client.patch(&path, &json!({"category_id": UNKNOWN})),
    ] {
        assert_eq!(answer.status, 409, "{answer}");
        answer.any_problem();
    }
    assert_eq!(client.get(&path).expect(200)["category_id"], category.as_str());
}

#[test]
fn a_deleted_product_is_gone_and_its_sku_is_free() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    client.post(&format!("{path}/images"), &json!({"image_url": "https://example.com/1.png"})).expect(201);
    let answer = client.delete(&path);
    assert!(answer.expect(204).is_null());
    for gone in
        [path.clone(), "/products/by-sku/1".to_owned(), format!("{path}/images"), format!("{path}/stock")]
    {
        client.get(&gone).problem(404, "not-found");
    }
    client.delete(&path).problem(404, "not-found");
    product(&mut client, &category, "1");
    let found = client.get("/products?q=product").expect(200);
    assert_eq!(
        found["items"].as_array().unwrap().len(),
        1,
        "the full-text index forgot the deleted one: {found}"
    );
}

#[test]
fn a_price_is_an_exact_decimal_text_within_its_bounds() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    for (number, price) in
        ["0.00", "0.01", "0.10", "9999999.99", "19.90", "1234567.89"].into_iter().enumerate()
    {
        let mut body = product_body(&category, &format!("good-{number}"));
        body["price"] = json!(price);
        let made = client.post("/products", &body).expect(201);
        assert_eq!(client.get(&format!("/products/{}", id(&made))).expect(200)["price"], price);
    }
    let bad = [
        json!(19.99),
        json!(5),
        json!("-0.01"),
        json!("10000000.00"),
        json!("1.999"),
        json!("1e3"),
        json!("NaN"),
        json!(""),
        json!(" 1.00"),
        json!("1,00"),
        json!("0x10"),
        json!(null),
        json!(["1.00"]),
        json!({"amount": "1.00"}),
    ];
    let before = database::row_counts(&site.database("product"));
    for price in bad {
        let mut body = product_body(&category, "bad");
        body["price"] = price;
        client.post("/products", &body).invalid(&["price"]);
    }
    assert_eq!(database::row_counts(&site.database("product")), before);
}

#[test]
fn a_name_and_a_sku_are_one_line_without_white_space_around_it() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    for text in ["two\nlines", "a\tb", " a", "a ", "a\u{2028}b"] {
        let mut body = product_body(&category, text);
        body["name"] = json!(text);
        client.post("/products", &body).invalid(&["name", "sku"]);
        client.patch(&path, &json!({"name": text, "sku": text})).invalid(&["name", "sku"]);
    }
    for sku in [".", ".."] {
        client.post("/products", &product_body(&category, sku)).invalid(&["sku"]);
    }
    client.get("/products/by-sku/%0a").problem(404, "not-found");
}

#[test]
fn all_errors_of_a_product_are_reported_at_once() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    client.post("/products", &json!({})).invalid(&["category_id", "name", "price", "sku"]);
    let wrong = json!({
        "category_id": "not-an-id", "name": "", "description": 7, "price": "cheap", "sku": "", "stock_quantity": -1,
        "colour": "blue",
    });
    let fields = ["category_id", "name", "description", "price", "sku", "stock_quantity", "colour"];
    client.post("/products", &wrong).invalid(&fields);
    for quantity in [json!(1.5), json!("10"), json!(-1), json!(u64::MAX), json!(true)] {
        let mut body = product_body(&category, "1");
        body["stock_quantity"] = quantity;
        client.post("/products", &body).invalid(&["stock_quantity"]);
    }
    let mut body = product_body(&category, "1");
    body["name"] = json!("x".repeat(10_000));
    client.post("/products", &body).invalid(&["name"]);
    client.get("/products/by-sku/1").problem(404, "not-found");
}

#[test]
fn unknown_and_malformed_products_are_404() {
    let host = Site::shop().start();
    let mut client = host.admin();
    for id in [UNKNOWN, "7", "not-a-uuid", "by-sku", "..%2f..", "01890000-0000-7000-8000-00000000000g"] {
        client.get(&format!("/products/{id}")).problem(404, "not-found");
        client.patch(&format!("/products/{id}"), &json!({"name": "x"})).problem(404, "not-found");
        client.delete(&format!("/products/{id}")).problem(404, "not-found");
        for part in ["stock", "images", "reviews"] {
            client.get(&format!("/products/{id}/{part}")).problem(404, "not-found");
        }
    }
    client.get("/products/by-sku/nothing").problem(404, "not-found");
}

#[test]
fn unsupported_method_is_405_with_the_supported_methods() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let made = id(&product(&mut client, &category, "1"));
    let table: [(Method, String, &[&str]); 5] = [
        (Method::DELETE, "/products".to_owned(), &["GET", "POST"]),
        (Method::PUT, format!("/products/{made}"), &["GET", "PATCH", "DELETE"]),
        (Method::POST, "/products/by-sku/1".to_owned(), &["GET"]),
        (Method::PATCH, "/categories".to_owned(), &["GET", "POST"]),
        (Method::PUT, format!("/products/{made}/stock"), &["GET", "POST"]),
    ];
    for (method, path, allowed) in table {
        let answer = client.json(method, &path, &Value::Null);
        answer.problem(405, "method-not-allowed");
        let allow = answer.header("allow").unwrap_or_default();
        let named: Vec<&str> = allow.split(", ").collect();
        for method in allowed {
            assert!(named.contains(method), "{answer}: allow is {allow}");
        }
    }
}
