//! The catalogue, its stock and its reviews: a file for each of its areas. Here is what they share: who asks, short ways to make things,
//! and all that the service keeps at a glance.

mod access;
mod categories;
mod category_tree;
mod conditions;
mod faults;
mod fields;
mod images;
mod listing;
mod products;
mod reservations;
mod reviews;
mod searching;
mod slugs;
mod stock;
mod users;

use bulkhead_testing::{Answer, Delivered, Request, Service, Value, json};

/// The administrator.
const ADMIN: &str = "00000000-0000-7000-8000-000000000001";
/// A customer.
const ADA: &str = "0198f3a1-7c3e-7d52-8a07-00000000ada0";
/// Another one.
const BOB: &str = "0198f3a1-7c3e-7d52-8a07-00000000b0b0";
/// An id that nothing has.
const NOBODY: &str = "0198f3a1-7c3e-7d52-8a07-ffffffffffff";

#[test]
fn every_endpoint_and_subscription_has_a_test() {
    bulkhead_testing::coverage("product").tests("product::").with_problems_but(&[]).check();
}

/// Who sends a request.
trait Asks {
    /// The administrator, who is no customer.
    fn admin(self) -> Self;

    /// This customer.
    fn customer(self, id: &str) -> Self;
}

impl Asks for Request {
    fn admin(self) -> Self {
        self.principal(ADMIN).role("admin")
    }

    fn customer(self, id: &str) -> Self {
        self.principal(id).role("customer")
    }
}

/// The id of an order, by a number.
fn order(number: u32) -> String {
    format!("0198f3a1-7c3e-7d52-8a07-0000000{number:05}")
}

/// Makes a category whose name is its slug, and gives its id.
#[track_caller]
fn category(service: &Service, slug: &str, parent: Option<&str>) -> String {
    let mut body = json!({"name": slug, "slug": slug});
    if let Some(parent) = parent {
        body["parent_category_id"] = parent.into();
    }
    service.post("/categories").admin().json(body).send().status(201).text_of("id")
}

/// What makes a product.
fn product_body(category: &str, sku: &str) -> Value {
    json!({
        "category_id": category,
        "name": format!("Product {sku}"),
        "description": "Made for a test.",
        "price": "19.99",
        "sku": sku,
        "stock_quantity": 10,
    })
}

/// Makes what this says.
#[track_caller]
fn make(service: &Service, body: &Value) -> Answer {
    service.post("/products").admin().json(body).send().status(201)
}

/// Makes a product of which there is so much, and gives its id.
#[track_caller]
fn product(service: &Service, category: &str, sku: &str, stock: i64) -> String {
    let mut body = product_body(category, sku);
    body["stock_quantity"] = stock.into();
    make(service, &body).text_of("id")
}

/// A service with a category, and one product of which there are ten: the path of that.
#[track_caller]
fn with_product() -> (Service, String) {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let id = product(&service, &food, "1", 10);
    service.expect_published_kinds(&["category.changed", "product.changed"]);
    (service, format!("/products/{id}"))
}

/// The id at the end of a path.
fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

trait PublishedKinds {
    /// It published events of these types since it was looked at last: for tests that look at them no closer.
    #[track_caller]
    fn expect_published_kinds(&self, kinds: &[&str]);
}

impl PublishedKinds for Service {
    fn expect_published_kinds(&self, kinds: &[&str]) {
        let published_kinds: Vec<String> = self.published().into_iter().map(|event| event.kind).collect();
        assert_eq!(published_kinds, kinds);
    }
}

/// The data of `order.placed`, for these products and quantities.
fn placed(order: &str, lines: &[(&str, u32)]) -> Value {
    let items: Vec<Value> = lines
        .iter()
        .map(
            |(product, quantity)| json!({"product_id": product, "quantity": quantity, "unit_price": "19.99"}),
        )
        .collect();
    json!({
        "id": order,
        "order_number": "2026-000001",
        "user_id": ADA,
        "items": items,
        "total_amount": "19.99",
        "placed_at": "2026-01-01T00:00:00.000Z",
    })
}

/// Delivers `order.placed`.
#[track_caller]
fn place(service: &Service, order: &str, lines: &[(&str, u32)]) -> Delivered {
    service.event("order.placed").subject(order).data(placed(order, lines)).deliver()
}

/// The data of `order.cancelled`.
fn cancelled(order: &str) -> Value {
    json!({"id": order, "user_id": ADA, "reason": "customer"})
}

/// Delivers `order.cancelled`.
#[track_caller]
fn cancel(service: &Service, order: &str) -> Delivered {
    service.event("order.cancelled").subject(order).data(cancelled(order)).deliver()
}

/// The data of `order.shipped`.
fn shipped(order: &str) -> Value {
    json!({"id": order, "user_id": ADA, "carrier": "Royal Mail"})
}

/// Delivers `order.shipped`.
#[track_caller]
fn ship(service: &Service, order: &str) -> Delivered {
    service.event("order.shipped").subject(order).data(shipped(order)).deliver()
}

/// Delivers `user.changed`.
#[track_caller]
fn name_user(service: &Service, user: &str, first_name: &str) {
    let data = json!({"id": user, "first_name": first_name});
    service.event("user.changed").subject(user).data(data).deliver().consumed();
}

/// Delivers `user.deleted`.
#[track_caller]
fn delete_user(service: &Service, user: &str) -> Delivered {
    service.event("user.deleted").subject(user).data(json!({"id": user})).deliver()
}

/// Where the stock of a product is: available, reserved, sold and added.
#[track_caller]
fn stock(service: &Service, product: &str) -> [i64; 4] {
    let stock = service.get(format!("/products/{product}/stock")).admin().send().status(200).json();
    ["available", "reserved", "sold", "added"].map(|name| stock[name].as_i64().unwrap_or(i64::MIN))
}

/// What is known of the orders whose stock was asked for: each with its state.
#[track_caller]
fn reservations(service: &Service) -> Value {
    service.rows("SELECT order_id_ref, state FROM reservation ORDER BY order_id_ref")
}

/// Every row of every table of the service's own, and of the replica.
#[track_caller]
fn everything(service: &Service) -> Value {
    let tables = [
        "category",
        "product",
        "product_image",
        "product_review",
        "reservation",
        "product_reservation",
        "deleted_user",
        "user",
    ];
    let rows = |table: &str| service.rows(&format!("SELECT * FROM {table}"));
    tables.into_iter().map(|table| (table.to_owned(), rows(table))).collect()
}

/// All items of a list, read in pages of so many; each page but the last is full.
#[track_caller]
fn read_all(service: &Service, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = service.get(path).query("limit", limit);
        if let Some(cursor) = &cursor {
            request = request.query("cursor", cursor);
        }
        let page = request.send().status(200).json();
        let found = page["items"].as_array().cloned().unwrap_or_default();
        let count = found.len();
        items.extend(found);
        match &page["next_cursor"] {
            Value::String(next) => {
                assert_eq!(count, limit, "{path}: a page with more behind it is full");
                assert_ne!(cursor.as_ref(), Some(next), "{path}: a page leads on");
                cursor = Some(next.clone());
            }
            Value::Null => return items,
            other => panic!("{path}: the next cursor is {other}"),
        }
    }
}

/// This member of each, as text.
#[track_caller]
fn texts(items: &[Value], member: &str) -> Vec<String> {
    let text =
        |item: &Value| item[member].as_str().unwrap_or_else(|| panic!("{item} has no {member}")).to_owned();
    items.iter().map(text).collect()
}
