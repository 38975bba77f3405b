//! What each field of a body takes, up to its boundary, and what it does not: each alone, so that it is it that is refused.

use bulkhead_testing::{Request, Service, Value, json};

use super::{ADA, Asks as _, category, everything, make, product_body, with_product};

/// The fields that are named as wrong, in their order.
#[track_caller]
fn wrong_fields(request: Request) -> Vec<String> {
    let problem = request.send().problem(422, "invalid").json();
    assert_eq!(problem["detail"], "the request has values that are not allowed");
    super::texts(problem["errors"].as_array().expect("errors"), "field")
}

/// The same body with another value of one field; without it where there is none.
fn with(body: &Value, field: &str, value: Option<&Value>) -> Value {
    let mut body = body.clone();
    match (value, body.as_object_mut()) {
        (Some(value), Some(members)) => drop(members.insert(field.to_owned(), value.clone())),
        (None, Some(members)) => drop(members.remove(field)),
        (_, None) => panic!("{body} is no object"),
    }
    body
}

/// What is no line of up to so many characters.
fn no_lines(characters: usize) -> Vec<Value> {
    let mut values = vec![json!("a".repeat(characters + 1)), json!("ä".repeat(characters + 1))];
    values.extend(["", " ", " a", "a ", "a\nb", "a\tb", "a\u{2028}b"].map(Value::from));
    values.extend([json!(null), json!(7), json!(["a"])]);
    values
}

#[test]
fn each_invalid_field_of_a_product_is_refused() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let before = everything(&service);
    let body = product_body(&food, "2");
    let prices = ["-1.00", "10000000.00", "1.999", "1", "1.5", "01.00", "1,00", " 1.00", "1e2", "", "NaN"];
    let mut prices: Vec<Value> = prices.into_iter().map(Value::from).collect();
    prices.extend([json!(1), json!(19.99), json!(null)]);
    let mut skus = no_lines(100);
    skus.extend([json!("."), json!("..")]);
    let table = [
        ("category_id", vec![json!("x"), json!(""), json!(null), json!(7)]),
        ("name", no_lines(200)),
        ("description", vec![json!("a".repeat(10_001)), json!(null), json!(7), json!("a\u{0}b")]),
        ("price", prices),
        ("sku", skus),
    ];
    for (field, values) in &table {
        for value in values {
            let new = with(&body, field, Some(value));
            assert_eq!(wrong_fields(service.post("/products").admin().json(new)), [*field], "{value}");
            let patch = with(&json!({}), field, Some(value));
            assert_eq!(wrong_fields(service.patch(&path).admin().json(patch)), [*field], "PATCH {value}");
        }
    }
    for value in [json!(-1), json!(1_000_000_001), json!(1.5), json!("1"), json!(null)] {
        let new = with(&body, "stock_quantity", Some(&value));
        assert_eq!(wrong_fields(service.post("/products").admin().json(new)), ["stock_quantity"], "{value}");
    }
    for field in ["category_id", "name", "price", "sku"] {
        let new = with(&body, field, None);
        assert_eq!(wrong_fields(service.post("/products").admin().json(new)), [field], "it is missing");
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn a_product_is_accepted_up_to_the_limit_of_each_field() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let body = product_body(&food, "sku");
    for (place, (field, value)) in [
        ("name", json!("a")),
        ("name", json!("ä".repeat(200))),
        ("description", json!("")),
        ("description", json!("a\nb")),
        ("description", json!("ä".repeat(10_000))),
        ("price", json!("0.00")),
        ("price", json!("0.01")),
        ("price", json!("9999999.99")),
        ("stock_quantity", json!(0)),
        ("stock_quantity", json!(1_000_000_000)),
        ("sku", json!("x")),
        ("sku", json!("...")),
        ("sku", json!("ä".repeat(100))),
    ]
    .into_iter()
    .enumerate()
    {
        let body = with(&body, "sku", Some(&json!(format!("sku {place}"))));
        let made = make(&service, &with(&body, field, Some(&value)));
        assert_eq!(made.json()[field], value);
        let there = service.get(format!("/products/{}", made.text_of("id"))).send().status(200).json();
        assert_eq!(there[field], value);
    }
}

#[test]
fn omitted_fields_of_a_new_product_are_empty() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let body = json!({"category_id": food, "name": "Loaf", "price": "1.00", "sku": "1"});
    make(&service, &body).includes(json!({"description": "", "stock_quantity": 0}));
}

#[test]
fn all_errors_of_a_product_are_reported_at_once() {
    let service = Service::start("product");
    let body =
        json!({"category_id": "x", "name": " ", "price": 19.99, "stock_quantity": -1, "colour": "red"});
    assert_eq!(
        wrong_fields(service.post("/products").admin().json(body)),
        ["category_id", "name", "price", "sku", "stock_quantity", "colour"]
    );
}

#[test]
fn a_price_given_as_a_number_is_refused_with_the_reason() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    for (price, message) in [
        (json!(19.99), "must be a string such as \"19.99\": a JSON number may lose cents on its way"),
        (json!("5"), "must have two digits behind the point and no needless zero before it: \"5.00\""),
        (json!("10000000.00"), "must be from 0.00 to 9999999.99, with at most 7 digits before the point"),
    ] {
        let body = with(&product_body(&food, "1"), "price", Some(&price));
        let answer = service.post("/products").admin().json(body).send().problem(422, "invalid");
        answer.includes(json!({"errors": [{"field": "price", "message": message}]}));
    }
}

#[test]
fn each_invalid_field_of_a_category_is_refused() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let path = format!("/categories/{food}");
    let before = everything(&service);
    let slugs = ["", "-", "a-", "-a", "a--b", "A", "a b", "é", "a_b", &"a".repeat(201)];
    let mut slugs: Vec<Value> = slugs.into_iter().map(Value::from).collect();
    slugs.push(json!(7));
    let table = [
        ("name", no_lines(200)),
        ("slug", slugs),
        ("parent_category_id", vec![json!("x"), json!(7), json!("")]),
    ];
    let body = json!({"name": "Bread", "slug": "bread"});
    for (field, values) in &table {
        for value in values {
            let new = with(&body, field, Some(value));
            assert_eq!(wrong_fields(service.post("/categories").admin().json(new)), [*field], "{value}");
            let patch = with(&json!({}), field, Some(value));
            assert_eq!(wrong_fields(service.patch(&path).admin().json(patch)), [*field], "PATCH {value}");
        }
    }
    // A slug can't be taken away; at first it is made where it is not said.
    assert_eq!(wrong_fields(service.patch(&path).admin().json(json!({"slug": null}))), ["slug"]);
    assert_eq!(wrong_fields(service.post("/categories").admin().json(json!({"slug": "a"}))), ["name"]);
    assert_eq!(everything(&service), before);
}

#[test]
fn a_category_is_accepted_up_to_the_limit_of_each_field() {
    let service = Service::start("product");
    for (name, slug) in [("a".to_owned(), "a".to_owned()), ("ä".repeat(200), "9".repeat(200))] {
        let body = json!({"name": name, "slug": slug});
        let made = service.post("/categories").admin().json(&body).send().status(201).includes(&body);
        service.get(format!("/categories/by-slug/{slug}")).send().status(200).body(made.json());
    }
}

#[test]
fn each_invalid_field_of_an_image_is_refused() {
    let (service, path) = with_product();
    let images = format!("{path}/images");
    let long = format!("https://a.example/{}", "a".repeat(2000 - "https://a.example/".len()));
    let url = |url: &str| json!({"image_url": url});
    for refused in [
        url("http://images.example/1.png"),
        url("javascript:alert(1)"),
        url("//images.example/1.png"),
        url("https://"),
        url("https:///1.png"),
        url("https://user:pass@images.example/"),
        url("https://images.example:99999/"),
        url("https://images.example/a b"),
        url("https://images.example/\"onload="),
        url("https://é.example/"),
        url(&format!("{long}a")),
        url(""),
        json!({"image_url": null}),
        json!({}),
    ] {
        assert_eq!(wrong_fields(service.post(&images).admin().json(&refused)), ["image_url"], "{refused}");
    }
    for refused in [json!(-1), json!(1_000_001), json!(1.5), json!("1")] {
        let body = with(&url("https://a.example/"), "display_order", Some(&refused));
        assert_eq!(wrong_fields(service.post(&images).admin().json(body)), ["display_order"], "{refused}");
    }
    assert_eq!(service.rows("SELECT * FROM product_image"), json!([]));
    for valid in
        ["https://images.example:8443/a/b?c=d#e", "HTTPS://A.example", "https://[2001:db8::1]/x", &long]
    {
        let answer = service.post(&images).admin().json(url(valid)).send().status(201);
        answer.includes(url(valid));
    }
    for valid in [0, 1_000_000] {
        let body = json!({"image_url": "https://a.example/", "display_order": valid});
        service.post(&images).admin().json(&body).send().status(201).includes(&body);
    }
}

#[test]
fn each_invalid_field_of_a_review_is_refused() {
    let (service, path) = with_product();
    let reviews = format!("{path}/reviews");
    for refused in [json!(0), json!(6), json!(-1), json!(4.5), json!("5"), json!(null)] {
        let body = json!({"rating": refused, "comment": "Good."});
        assert_eq!(wrong_fields(service.post(&reviews).customer(ADA).json(body)), ["rating"], "{refused}");
    }
    for refused in [json!(""), json!("  "), json!("a".repeat(5001)), json!(7), json!("a\u{0}b")] {
        let body = json!({"rating": 5, "comment": refused});
        assert_eq!(wrong_fields(service.post(&reviews).customer(ADA).json(body)), ["comment"], "{refused}");
    }
    assert_eq!(wrong_fields(service.post(&reviews).customer(ADA).json(json!({"comment": "x"}))), ["rating"]);
    // Whose it is the token says.
    let other = json!({"rating": 5, "user_id_ref": super::BOB});
    assert_eq!(wrong_fields(service.post(&reviews).customer(ADA).json(other)), ["user_id_ref"]);
    assert_eq!(service.rows("SELECT * FROM product_review"), json!([]));
}

#[test]
fn an_invalid_stock_change_is_refused() {
    let (service, path) = with_product();
    let stock = format!("{path}/stock");
    for refused in [json!(0), json!(1_000_001), json!(-1_000_001), json!(1.5), json!("1"), json!(null)] {
        let request = service.post(&stock).admin().json(json!({"delta": refused}));
        assert_eq!(wrong_fields(request), ["delta"], "{refused}");
    }
    let answer = service.post(&stock).admin().json(json!({"delta": 0})).send().problem(422, "invalid");
    answer.includes(json!({"errors": [{"field": "delta", "message": "must not be 0"}]}));
    assert_eq!(wrong_fields(service.post(&stock).admin().json(json!({}))), ["delta"]);
    assert_eq!(super::stock(&service, super::id_of(&path)), [10, 0, 0, 10]);
}
