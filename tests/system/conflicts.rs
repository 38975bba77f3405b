//! Conflicts: each 409 has a stable code, and says which constraint stands in the way.
//!
//! Those that need much to be there first are where that is: limits of addresses, preferences, images, children, depth and attempts to pay.

use bulkhead_tests::shop::{
    self, category, eventually, id, order_body, product_body, settled, unhurried, user_body,
};
use bulkhead_tests::{Answer, Client, Customer, Host, Manifest, Site};
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

#[track_caller]
fn refused(answer: &Answer, code: &str, constraint: &str) {
    assert_eq!(answer.problem(409, code)["constraint"], constraint, "{answer}");
}

#[test]
fn every_conflict_is_reported_with_its_code_and_constraint() {
    let limits = [("order", "request_timeout"), ("order", "lease_hold"), ("product", "request_timeout")];
    let manifest = limits.iter().fold(unhurried(Manifest::shop()), |manifest, (service, limit)| {
        manifest.set(&format!("service.{service}.limits.{limit}"), "30s")
    });
    let site = Site::new(&manifest.set("service.order.config.payment_timeout", "1h"));
    let host = site.start();
    let mut admin = host.admin();
    let mut ada = host.customer("Ada");
    let food = category(&mut admin, "food", None);
    let created = admin.post("/products", &product_body(&food, "taken"));
    settled(&mut admin, &created);
    let product = id(&created.expect(201));
    of_users(&host, &mut ada);
    of_categories(&mut admin, &food);
    of_orders(&mut admin, &mut ada, &product);
    of_products(&mut admin, &mut ada, &product, &food);
}

fn of_users(host: &Host, ada: &mut Customer) {
    let mut nobody = host.client();
    nobody.post("/users", &user_body("taken@tests.example", "Bo")).expect(201);
    let (code, constraint) = ("email-taken", "user.email");
    for email in ["TAKEN@tests.example", shop::ADMIN_EMAIL] {
        refused(&nobody.post("/users", &user_body(email, "Bo")), code, constraint);
        refused(&ada.client.patch(&format!("/users/{}", ada.id), &json!({"email": email})), code, constraint);
    }
}

fn of_categories(admin: &mut Client, food: &str) {
    let bread = category(admin, "bread", Some(food));
    let path = |category: &str| format!("/categories/{category}");
    let (code, constraint) = ("slug-taken", "category.slug");
    refused(&admin.post("/categories", &json!({"name": "x", "slug": "bread"})), code, constraint);
    refused(&admin.patch(&path(food), &json!({"slug": "bread"})), code, constraint);
    let parent = "category.parent_category_id";
    let below = json!({"name": "x", "slug": "x", "parent_category_id": UNKNOWN});
    refused(&admin.post("/categories", &below), "unknown-category", parent);
    let below = json!({"parent_category_id": UNKNOWN});
    refused(&admin.patch(&path(food), &below), "unknown-category", parent);
    for above in [food, &bread] {
        let below = json!({"parent_category_id": above});
        refused(&admin.patch(&path(food), &below), "category-cycle", parent);
    }
    // It has a category and a product; then the product alone.
    refused(&admin.delete(&path(food)), "category-not-empty", "category.id");
    admin.delete(&path(&bread)).expect(204);
    refused(&admin.delete(&path(food)), "category-not-empty", "category.id");
}

fn of_orders(admin: &mut Client, ada: &mut Customer, product: &str) {
    let body = order_body(&[(product, 1)], "tok_declined");
    let with = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    let unknown = order_body(&[(UNKNOWN, 1)], "tok_ok");
    refused(&ada.client.post("/orders", &unknown), "unknown-product", "order_item.product_id_ref");
    refused(&admin.post("/orders", &with("user_id", json!(UNKNOWN))), "unknown-user", "order.user_id_ref");
    let address = with("shipping", json!({"address_id": UNKNOWN}));
    refused(&ada.client.post("/orders", &address), "unknown-address", "user_address.id");
    let expected = with("expected_total", json!("20.00"));
    refused(&ada.client.post("/orders", &expected), "price-changed", "order.total_amount");

    let order = format!("/orders/{}", id(&ada.client.post("/orders", &body).expect(201)));
    eventually(&mut ada.client, &order, |order| order["payment"]["payment_status"] == "declined");
    let carriage = json!({"carrier": "Post", "tracking_number": "1"});
    for (what, body) in [("ship", carriage), ("deliver", Value::Null)] {
        refused(&admin.post(&format!("{order}/{what}"), &body), "order-state", "order.status");
    }
}

/// The order before is reserved.
fn of_products(admin: &mut Client, ada: &mut Customer, product: &str, food: &str) {
    let path = format!("/products/{product}");
    let other = format!("/products/{}", id(&shop::product(admin, food, "other")));
    refused(&admin.post("/products", &product_body(food, "taken")), "sku-taken", "product.sku");
    refused(&admin.patch(&other, &json!({"sku": "taken"})), "sku-taken", "product.sku");
    let (code, constraint) = ("unknown-category", "product.category_id");
    refused(&admin.post("/products", &product_body(UNKNOWN, "new")), code, constraint);
    refused(&admin.patch(&other, &json!({"category_id": UNKNOWN})), code, constraint);
    let stock = admin.post(&format!("{path}/stock"), &json!({"delta": -10}));
    refused(&stock, "insufficient-stock", "product.stock_quantity");
    refused(&admin.delete(&path), "product-reserved", "product-reserved");
    let review = |ada: &mut Customer| ada.client.post(&format!("{path}/reviews"), &json!({"rating": 5}));
    review(ada).expect(201);
    refused(&review(ada), "review-exists", "product_review.product_id, product_review.user_id_ref");
}

#[test]
fn conflict_without_a_code_of_the_service_still_names_its_constraint() {
    let host = Site::new(&Manifest::guests().only(&["hostile", "user"])).start();
    let mut client = host.client();
    let note = json!({"id": "taken", "body": "x"});
    client.post("/notes", &note).expect(201);
    refused(&client.post("/notes", &note), "conflict", "note.id");
}
