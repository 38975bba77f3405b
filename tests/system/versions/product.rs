//! The product service over its versions: what an earlier one stored, a later one has, and undoing a migration brings back the schema that
//! was there before.

use std::path::Path;

use bulkhead_tests::shop::{category, eventually, id, product, product_body, read_all, texts_of};
use bulkhead_tests::{Client, Host, Manifest, Site, database, paths, versions};
use serde_json::{Value, json};

use super::{schema, undo};
use crate::ordering::{Written, place, stocked, until_status};

/// What the first version stored.
struct Stored {
    /// A product with images, a review and a reservation.
    product: String,
    /// One with an image and a review, of which nothing is reserved.
    other: String,
    /// All that was to be seen of both.
    seen: Vec<Value>,
}

/// A shop in which the first version of the product service has stored what hangs on products. No host runs in it.
fn shop() -> (Site, Stored) {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let first = stocked(&mut admin, &category, "1", "19.99", 10);
    let other = id(&product(&mut admin, &category, "2"));
    for (product, image) in [(&first.id, "a"), (&first.id, "b"), (&other, "c")] {
        let body = json!({"image_url": format!("https://images.example/{image}.png")});
        admin.post(&format!("/products/{product}/images"), &body).expect(201);
    }
    let mut customer = host.customer("Ada").client;
    for (product, rating) in [(&first.id, 4), (&other, 2)] {
        let body = json!({"rating": rating, "comment": "As it was."});
        customer.post(&format!("/products/{product}/reviews"), &body).expect(201);
    }
    let order = place(&mut customer, &[(&first, 3)], "tok_ok");
    until_status(&mut customer, &order, "paid");
    let Written { id: product, .. } = first;
    let mut stored = Stored { product, other, seen: Vec::new() };
    stored.seen = look(&mut admin, &stored);
    // Nothing is empty that is compared.
    assert_eq!(stored.seen[0]["images"].as_array().map(Vec::len), Some(2), "{}", stored.seen[0]);
    assert_eq!(stored.seen[2]["reserved"], 3, "{}", stored.seen[2]);
    host.stop();
    (site, stored)
}

/// What is to be seen of both products: themselves with their images and ratings, their reviews, and their stock.
fn look(admin: &mut Client, stored: &Stored) -> Vec<Value> {
    let mut seen = Vec::new();
    for product in [&stored.product, &stored.other] {
        for below in ["", "/images", "/stock"] {
            seen.push(admin.get(&format!("/products/{product}{below}")).expect(200));
        }
        // The first names beside reviews come with events.
        for mut review in read_all(admin, &format!("/products/{product}/reviews?"), 50) {
            review.as_object_mut().unwrap().remove("first_name");
            seen.push(review);
        }
    }
    seen
}

/// Starts the shop with this version of the product service.
fn start_with(site: &Site, component: &Path) -> Host {
    site.write_manifest(&Manifest::shop().set("service.product.source", component.to_str().unwrap()).text());
    site.start()
}

/// Checks that all is there, and still hangs together: the origin of each product is this one.
fn check(host: &Host, stored: &Stored, origin: &Value) {
    let Stored { product, other, seen } = stored;
    let mut admin = host.admin();
    assert_eq!(&look(&mut admin, stored), seen);
    for product in [product, other] {
        let path = format!("/products/{product}/origin");
        assert_eq!(admin.get(&path).expect(200), json!({"product_id": product, "origin": origin}));
        host.client().put(&path, &json!({"origin": "DE"})).problem(401, "unauthenticated");
        assert_eq!(admin.put(&path, &json!({"origin": "DE"})).expect(200)["origin"], "DE");
        assert_eq!(admin.get(&path).expect(200)["origin"], "DE");
    }
    // The index of words knows the old names and learns new ones.
    let found = |admin: &mut Client, word: &str| {
        texts_of(&read_all(admin, &format!("/products?sort=name&q={word}&"), 50), "id")
    };
    assert_eq!(found(&mut admin, "Product"), [product.as_str(), other.as_str()]);
    admin.patch(&format!("/products/{other}"), &json!({"name": "Marmalade"})).expect(200);
    assert_eq!(found(&mut admin, "marmalade"), [other.as_str()]);
    assert_eq!(found(&mut admin, "Product"), [product.as_str()]);
    // Ratings are counted, what is reserved stays, and what hangs on a product goes with it.
    let mut customer = host.customer("Grace").client;
    customer.post(&format!("/products/{product}/reviews"), &json!({"rating": 1})).expect(201);
    let rating = admin.get(&format!("/products/{product}")).expect(200)["rating"].clone();
    assert_eq!(rating, json!({"count": 2, "average": "2.50"}));
    admin.delete(&format!("/products/{product}")).problem(409, "product-reserved");
    admin.delete(&format!("/products/{other}")).expect(204);
    admin.get(&format!("/products/{other}/origin")).problem(404, "not-found");
}

/// The rows that hang on products, of all there are.
fn children(site: &Site) -> Vec<i64> {
    let connection = database::open(&site.database("product"));
    database::check(&connection);
    ["product_image", "product_review", "product_reservation"]
        .map(|table| database::number(&connection, &format!("SELECT count(*) FROM {table}")))
        .to_vec()
}

#[test]
fn column_is_added_to_rows_of_the_previous_version() {
    let (site, stored) = shop();
    let host = start_with(&site, &versions::product_column());
    check(&host, &stored, &json!(null));
    host.stop();
    assert_eq!(children(&site), [2, 2, 1]);
}

#[test]
fn table_with_children_is_rebuilt_and_the_children_stay() {
    let (site, stored) = shop();
    assert_eq!(children(&site), [3, 2, 1]);
    let host = start_with(&site, &versions::product_rebuilt());
    check(&host, &stored, &json!("ZZ"));
    host.stop();
    assert_eq!(children(&site), [2, 2, 1]);
}

#[test]
fn each_step_can_be_undone_and_the_previous_version_works() {
    let (site, mut stored) = shop();
    let first = schema(&site, "product");
    start_with(&site, &versions::product_column()).stop();
    let second = schema(&site, "product");
    let host = start_with(&site, &versions::product_rebuilt());
    let mut admin = host.admin();
    let path = format!("/products/{}/origin", stored.product);
    admin.put(&path, &json!({"origin": "FR"})).expect(200);
    host.stop();
    assert_ne!(schema(&site, "product"), second);

    undo(&site, "product", 5, "tests/versions/product-rebuilt/migrations/reverse/V0005__require_origin.sql");
    assert_eq!(schema(&site, "product"), second);
    let host = start_with(&site, &versions::product_column());
    let mut admin = host.admin();
    assert_eq!(look(&mut admin, &stored), stored.seen);
    assert_eq!(admin.get(&path).expect(200)["origin"], "FR");
    let other = format!("/products/{}/origin", stored.other);
    assert_eq!(admin.get(&other).expect(200)["origin"], Value::Null);
    host.stop();

    undo(&site, "product", 4, "tests/versions/product-column/migrations/reverse/V0004__add_origin.sql");
    assert_eq!(schema(&site, "product"), first);
    let host = start_with(&site, &paths::component("product"));
    let mut admin = host.admin();
    admin.get(&path).problem(404, "not-found");
    assert_eq!(look(&mut admin, &stored), stored.seen);
    // And up again, with what was written meanwhile.
    let body = json!({"image_url": "https://images.example/d.png"});
    admin.post(&format!("/products/{}/images", stored.other), &body).expect(201);
    stored.seen = look(&mut admin, &stored);
    host.stop();
    let host = start_with(&site, &versions::product_rebuilt());
    check(&host, &stored, &json!("ZZ"));
    host.stop();
}

#[test]
fn product_stored_before_full_script_search_is_indexed_after_its_next_write() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let food = category(&mut admin, "food", None);
    let described = |sku: &str, name: &str, description: &str| {
        let mut body = product_body(&food, sku);
        body["name"] = name.into();
        body["description"] = description.into();
        body
    };
    let named = |sku: &str, name: &str| described(sku, name, "Old stock");
    // More than get their words at once, and texts of which two take longer than a handler may.
    for number in 0..105 {
        admin.post("/products", &named(&format!("north-{number}"), "ΒΟΡΡΆΣ")).expect(201);
    }
    for number in 0..20 {
        let long = "日本緑茶".repeat(2_500);
        admin.post("/products", &described(&format!("long-{number}"), "Long", &long)).expect(201);
    }
    admin.post("/products", &named("tea", "日本緑茶")).expect(201);
    admin.post("/products", &named("soup", "Tomato-Soup")).expect(201);
    admin.post("/products", &described("dessert", "Dessert", "Crème brûlée")).expect(201);
    host.stop();
    let now = schema(&site, "product");
    undo(&site, "product", 3, "components/product/migrations/reverse/V0003__search_every_script.sql");
    assert_ne!(schema(&site, "product"), now);

    let host = site.start();
    let mut admin = host.admin();
    let search = |typed: &str| format!("/products?q={typed}&limit=200");
    let length = |page: &Value| page["items"].as_array().map(Vec::len).unwrap_or_default();
    let (accents, capitals, tea) =
        ("%CE%92%CE%9F%CE%A1%CE%A1%CE%86%CE%A3", "%CE%92%CE%9F%CE%A1%CE%A1%CE%91%CE%A3", "%E8%8C%B6");
    let counts = |admin: &mut Client| {
        [accents, capitals, tea, "SOUP", "old+stock", "cr%C3%A8me", "creme"]
            .map(|typed| length(&admin.get(&search(typed)).expect(200)))
    };
    // What is all ASCII is found as ever, and the rest by its words as they were written.
    assert_eq!(counts(&mut admin), [105, 0, 0, 1, 107, 1, 0]);
    // A write sets the timer that writes all of them.
    admin.post("/products", &named("new", "New")).expect(201);
    eventually(&mut admin, &search("creme"), |page| length(page) == 1);
    assert_eq!(counts(&mut admin), [105, 105, 21, 1, 108, 1, 1]);
    host.stop();
    let connection = database::open(&site.database("product"));
    assert_eq!(database::number(&connection, "SELECT count(*) FROM product_search_due"), 0);
    drop(connection);
    assert_eq!(schema(&site, "product"), now);
}
