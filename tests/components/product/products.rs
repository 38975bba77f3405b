//! Single products: making, reading, changing and deleting them, and what is told of it.

use bulkhead_testing::{Service, json};

use super::{
    ADA, Asks as _, NOBODY, PublishedKinds as _, category, everything, id_of, make, order, place, product,
    product_body, with_product,
};

#[test]
fn a_product_is_created_published_and_read_back_by_id_and_by_sku() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    service.expect_published_kinds(&["category.changed"]);
    let made = make(&service, &product_body(&food, "1")).header("content-type", "application/json");
    let (id, now) = (made.text_of("id"), service.now());
    assert_eq!(&id[14..15], "7", "it is a UUID of version 7: {id}");
    let detail = json!({
        "id": id,
        "category_id": food,
        "name": "Product 1",
        "description": "Made for a test.",
        "price": "19.99",
        "sku": "1",
        "stock_quantity": 10,
        "created_at": now,
        "updated_at": now,
        "images": [],
        "rating": {"count": 0, "average": null},
    });
    let path = format!("/products/{id}");
    let made = made.header("location", &path).body(&detail);
    let tag = made.header_value("etag").expect("a new product has a tag");
    for target in [path.as_str(), "/products/by-sku/1"] {
        service.get(target).send().status(200).header("etag", &tag).body(&detail);
    }
    service.expect_published(json!([{
        "type": "product.changed",
        "subject": id,
        "data": {"id": id, "name": "Product 1", "price": "19.99", "sku": "1", "category_id": food},
    }]));
    assert_eq!(
        service.rows("SELECT * FROM product"),
        json!([{
            "search_rowid": 1,
            "id": id,
            "category_id": food,
            "name": "Product 1",
            "description": "Made for a test.",
            "price": 1999,
            "sku": "1",
            "stock_quantity": 10,
            "stock_reserved": 0,
            "stock_sold": 0,
            "stock_added": 10,
            "rating_count": 0,
            "rating_sum": 0,
            "created_at": now,
            "updated_at": now,
        }])
    );
}

#[test]
fn a_product_is_found_by_any_sku_that_is_encoded_in_the_path() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    for (sku, encoded) in
        [("A/1 ä", "A%2F1%20%C3%A4"), ("a%2f1", "a%252f1"), ("...", "..."), ("a?b#c", "a%3Fb%23c")]
    {
        let id = product(&service, &food, sku, 1);
        let found = service.get(format!("/products/by-sku/{encoded}")).send().status(200);
        found.includes(json!({"id": id, "sku": sku}));
    }
    // Skus are compared letter by letter.
    service.get("/products/by-sku/a%2F1%20%C3%A4").send().problem(404, "not-found");
}

#[test]
fn a_product_shows_its_images_in_order_and_its_rating() {
    let (service, path) = with_product();
    for (name, place) in [("second", 7), ("third", 7), ("first", 0)] {
        let body = json!({"image_url": format!("https://a.example/{name}"), "display_order": place});
        service.post(format!("{path}/images")).admin().json(body).send().status(201);
    }
    for (user, rating) in [(ADA, 4), (super::BOB, 5)] {
        let request = service.post(format!("{path}/reviews")).customer(user).json(json!({"rating": rating}));
        request.send().status(201);
    }
    for target in [path.as_str(), "/products/by-sku/1"] {
        let answer = service.get(target).send().status(200).includes(json!({
            "images": [
                {"product_id": id_of(&path), "image_url": "https://a.example/first", "display_order": 0},
                {"image_url": "https://a.example/second", "display_order": 7},
                {"image_url": "https://a.example/third", "display_order": 7},
            ],
            "rating": {"count": 2, "average": "4.50"},
        }));
        insta::assert_json_snapshot!("a_product_with_images_and_ratings", answer.snapshot());
    }
}

#[test]
fn the_sku_of_another_product_is_refused() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = product(&service, &food, "2", 10);
    service.expect_published_kinds(&["product.changed"]);
    let before = everything(&service);
    let conflict = json!({"detail": "another product has this sku", "constraint": "product.sku"});
    let new = service.post("/products").admin().json(product_body(&food, "1")).send();
    new.problem(409, "sku-taken").includes(&conflict);
    let patch = json!({"name": "Other", "sku": "1"});
    let changed = service.patch(format!("/products/{other}")).admin().json(patch).send();
    changed.problem(409, "sku-taken").includes(&conflict);
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn an_old_decomposed_sku_is_found_and_conflicts_however_it_is_typed() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    // The second is composed in part.
    for (old, typed) in
        [("cafe\u{301}", &["cafe\u{301}", "caf\u{e9}"][..]), ("the\u{301}\u{e9}", &["the\u{301}\u{e9}"])]
    {
        let id = product(&service, &food, "plain", 1);
        service.write(&format!("UPDATE product SET sku = '{old}' WHERE id = '{id}'"));
        let other = product(&service, &food, &format!("other than {old}"), 1);
        for typed in typed {
            let path = format!("/products/by-sku/{}", encoded(typed));
            service.get(path).send().status(200).includes(json!({"id": id, "sku": old}));
            let new = service.post("/products").admin().json(product_body(&food, typed)).send();
            new.problem(409, "sku-taken").includes(json!({"constraint": "product.sku"}));
            let patch = json!({"sku": typed});
            let changed = service.patch(format!("/products/{other}")).admin().json(&patch).send();
            changed.problem(409, "sku-taken");
        }
        // Its own it may have, and it is composed then.
        let patch = json!({"sku": old});
        let changed = service.patch(format!("/products/{id}")).admin().json(patch).send().status(200);
        assert_eq!(changed.text_of("sku"), old.replace("e\u{301}", "\u{e9}"));
    }
}

#[test]
fn two_old_skus_that_look_the_same_are_each_found_as_typed() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let composed = product(&service, &food, "caf\u{e9}", 1);
    let decomposed = product(&service, &food, "plain", 1);
    service.write(&format!("UPDATE product SET sku = 'cafe\u{301}' WHERE id = '{decomposed}'"));
    for (sku, id) in [("caf\u{e9}", composed), ("cafe\u{301}", decomposed)] {
        let path = format!("/products/by-sku/{}", encoded(sku));
        service.get(path).send().status(200).includes(json!({"id": id, "sku": sku}));
    }
}

/// A text as a part of a path.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_sku_is_the_same_however_its_accents_are_typed() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    make(&service, &product_body(&food, "cafe\u{301}")).includes(json!({"sku": "caf\u{e9}"}));
    for (sku, path) in [("caf\u{e9}", "caf%C3%A9"), ("cafe\u{301}", "cafe%CC%81")] {
        let again = service.post("/products").admin().json(product_body(&food, sku)).send();
        again.problem(409, "sku-taken");
        service
            .get(format!("/products/by-sku/{path}"))
            .send()
            .status(200)
            .includes(json!({"sku": "caf\u{e9}"}));
    }
}

#[test]
fn a_missing_category_is_refused() {
    let (service, path) = with_product();
    let before = everything(&service);
    let unknown = json!({
        "detail": "there is no category with this category_id",
        "constraint": "product.category_id",
    });
    let new = service.post("/products").admin().json(product_body(NOBODY, "2")).send();
    new.problem(409, "unknown-category").includes(&unknown);
    let changed = service.patch(&path).admin().json(json!({"category_id": NOBODY})).send();
    changed.problem(409, "unknown-category").includes(&unknown);
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn a_patch_changes_only_the_named_fields_of_a_product() {
    let (service, path) = with_product();
    let drink = category(&service, "drink", None);
    service.expect_published_kinds(&["category.changed"]);
    let mut expected = service.get(&path).send().status(200).json();
    for (field, value) in [
        ("name", json!("Other")),
        ("description", json!("Another one.")),
        ("description", json!("")),
        ("price", json!("0.05")),
        ("price", json!("9999999.99")),
        ("sku", json!("2")),
        ("category_id", json!(drink)),
        // What it is already: somebody may wait to hear it.
        ("sku", json!("2")),
    ] {
        let answer = service.patch(&path).admin().json(json!({field: value})).send().status(200);
        expected[field] = value;
        expected["updated_at"] = service.now().into();
        let answer = answer.body(&expected).header("content-location", &path);
        let tag = answer.header_value("etag").expect("what was changed has a tag");
        service.get(&path).send().status(200).header("etag", &tag).body(&expected);
        service.expect_published(json!([{
            "type": "product.changed",
            "subject": expected["id"],
            "data": {
                "id": expected["id"],
                "name": expected["name"],
                "price": expected["price"],
                "sku": expected["sku"],
                "category_id": expected["category_id"],
            },
        }]));
    }
    let rows = service.rows("SELECT price, stock_quantity, stock_added FROM product");
    assert_eq!(rows, json!([{"price": 999_999_999, "stock_quantity": 10, "stock_added": 10}]));
    service.get("/products/by-sku/1").send().problem(404, "not-found");
    service.get("/products/by-sku/2").send().status(200);
}

#[test]
fn an_empty_patch_of_a_product_changes_and_publishes_nothing() {
    let (service, path) = with_product();
    let before = everything(&service);
    let there = service.get(&path).send().status(200);
    service.patch(&path).admin().json(json!({})).send().status(200).body(there.json());
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn stock_does_not_change_by_patch() {
    let (service, path) = with_product();
    let before = everything(&service);
    for value in [json!(10), json!(11), json!(null), json!("x")] {
        let patch = json!({"name": "Other", "stock_quantity": value});
        let answer = service.patch(&path).admin().json(patch).send().problem(422, "invalid");
        answer.includes(json!({"errors": [{
            "field": "stock_quantity",
            "message": "cannot be set: stock changes by POST /products/{id}/stock",
        }]}));
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn a_product_is_deleted_with_all_that_belongs_to_it() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = product(&service, &food, "2", 10);
    for path in [&path, &format!("/products/{other}")] {
        let image = json!({"image_url": "https://a.example/1"});
        service.post(format!("{path}/images")).admin().json(image).send().status(201);
        let review = service.post(format!("{path}/reviews")).customer(ADA).json(json!({"rating": 5}));
        review.send().status(201);
    }
    place(&service, &order(1), &[(id_of(&path), 1), (&other, 1)]).consumed();
    super::ship(&service, &order(1)).consumed();
    service.expect_published_kinds(&["product.changed", "product.stock-reserved"]);

    service.delete(&path).admin().send().status(204).empty();
    let id = id_of(&path);
    service.expect_published(json!([{"type": "product.deleted", "subject": id, "data": {"id": id}}]));
    for target in [path.as_str(), "/products/by-sku/1", &format!("{path}/images"), &format!("{path}/reviews")]
    {
        service.get(target).send().problem(404, "not-found");
    }
    service.delete(&path).admin().send().problem(404, "not-found");
    service.expect_published(json!([]));
    for table in ["product_image", "product_review", "product_reservation"] {
        let left = service.rows(&format!("SELECT product_id FROM {table}"));
        assert_eq!(left, json!([{"product_id": other}]), "{table}");
    }
    assert_eq!(service.rows("SELECT id FROM product"), json!([{"id": other}]));
    // Its sku is free.
    product(&service, &food, "1", 1);
}

#[test]
fn a_product_is_not_deleted_while_stock_of_it_is_reserved() {
    let (service, path) = with_product();
    for (number, end) in [(1, super::cancel as fn(&Service, &str) -> _), (2, super::ship)] {
        let food = service.get(&path).send().status(200).text_of("category_id");
        let id = product(&service, &food, &format!("sku {number}"), 1);
        place(&service, &order(number), &[(&id, 1)]).consumed();
        let _ = service.published();
        let before = everything(&service);
        let path = format!("/products/{id}");
        let answer = service.delete(&path).admin().send().problem(409, "product-reserved");
        answer.includes(json!({
            "detail": "stock of this product is reserved for orders",
            "constraint": "product-reserved",
        }));
        assert_eq!(everything(&service), before);
        service.expect_published(json!([]));
        end(&service, &order(number)).consumed();
        service.delete(&path).admin().send().status(204);
    }
}

#[test]
fn the_same_idempotency_key_gets_the_same_answer() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    service.expect_published_kinds(&["category.changed"]);
    let body = product_body(&food, "1");
    let send = |body: &bulkhead_testing::Value| {
        service.post("/products").admin().idempotency_key("one").json(body).send()
    };
    let first = send(&body).status(201).replayed(false);
    service.expect_published_kinds(&["product.changed"]);
    let again = send(&body).status(201).replayed(true).body(first.json());
    for header in ["location", "etag"] {
        assert_eq!(again.header_value(header), first.header_value(header), "{header}");
    }
    send(&product_body(&food, "2")).problem(422, "idempotency-key-reused");
    service.expect_published(json!([]));
    assert_eq!(service.rows("SELECT sku FROM product"), json!([{"sku": "1"}]));
    // What was refused is forgotten: the key is free.
    let refused = service.post("/products").admin().idempotency_key("two").json(&body).send();
    refused.problem(409, "sku-taken");
    let other =
        service.post("/products").admin().idempotency_key("two").json(product_body(&food, "2")).send();
    other.status(201).replayed(false);
}
