//! Short ways to the things of the shop that many tests need.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::manifest::Manifest;

/// The administrator, as the shop's manifest has it.
pub const ADMIN_EMAIL: &str = "admin@shop.example";
/// The administrator's id.
pub const ADMIN_ID: &str = "00000000-0000-7000-8000-000000000001";
/// The password of every customer that tests make.
pub const PASSWORD: &str = "tests-only-password";

/// The shop's manifest with the user service alone, which starts faster.
pub fn users_alone() -> Manifest {
    unhurried(Manifest::shop().only(&["user"]))
}

/// Gives the user service more time than any busy machine needs, for tests that are not about deadlines.
pub fn unhurried(manifest: Manifest) -> Manifest {
    let limits = "service.user.limits";
    manifest.set(&format!("{limits}.request_timeout"), "30s").set(&format!("{limits}.lease_hold"), "10s")
}

/// Logs in, and gives the token.
#[track_caller]
pub fn log_in(client: &mut Client, email: &str, password: &str) -> String {
    let session = client.post("/sessions", &json!({"email": email, "password": password})).expect(201);
    session["token"].as_str().unwrap_or_else(|| panic!("no token: {session}")).to_owned()
}

/// Registers a customer with an email of their own, and gives them as the shop answered.
#[track_caller]
pub fn register(client: &mut Client, first_name: &str) -> Value {
    let email = format!("{}@tests.example", uuid::Uuid::from_u64_pair(random(), random()).simple());
    client.post("/users", &user_body(&email, first_name)).expect(201)
}

/// What registers a customer.
pub fn user_body(email: &str, first_name: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "first_name": first_name, "last_name": "Tester"})
}

fn random() -> u64 {
    getrandom::u64().expect("random numbers")
}

/// Creates a category, and gives its id.
#[track_caller]
pub fn category(client: &mut Client, slug: &str, parent: Option<&str>) -> String {
    let mut body = json!({"name": slug, "slug": slug});
    if let Some(parent) = parent {
        body["parent_category_id"] = parent.into();
    }
    id(&client.post("/categories", &body).expect(201))
}

/// What creates a product.
pub fn product_body(category: &str, sku: &str) -> Value {
    json!({
        "category_id": category,
        "name": format!("Product {sku}"),
        "description": "Made for a test.",
        "price": "19.99",
        "sku": sku,
        "stock_quantity": 10,
    })
}

/// Creates a product, and gives it as the shop answered it.
#[track_caller]
pub fn product(client: &mut Client, category: &str, sku: &str) -> Value {
    client.post("/products", &product_body(category, sku)).expect(201)
}

/// What the shop does by itself within this time fails no test: a bound for a wait, not a measure.
const EVENTUALLY_BOUND: Duration = Duration::from_secs(60);

/// Asks for a path until what is there is as wanted, and gives it: for what events bring about over several services. Where it is enough
/// that one service has heard of another's write, [`settled`] waits for just that.
#[track_caller]
pub fn eventually(client: &mut Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let found = client.get(path).expect(200);
        if wanted(&found) {
            return found;
        }
        assert!(begun.elapsed() < EVENTUALLY_BOUND, "{path} did not become what was waited for: {found}");
    }
}

/// The position that a write's answer has.
#[track_caller]
pub fn position(answer: &Answer) -> String {
    answer.header("bulkhead-position").unwrap_or_else(|| panic!("no position: {answer}")).to_owned()
}

/// GET, answered when the service has applied what was written at this position.
#[track_caller]
pub fn get_after(client: &mut Client, path: &str, position: &str) -> Answer {
    client.send(Method::GET, path, &[("bulkhead-after", position)], Bytes::new())
}

/// Waits until the order service has heard of the write that was answered so.
#[track_caller]
pub fn settled(admin: &mut Client, answer: &Answer) {
    get_after(admin, "/orders?limit=1", &position(answer)).expect_status(200);
}

/// What places an order of these products, each with its quantity.
pub fn order_body(items: &[(&str, u32)], token: &str) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(product, quantity)| json!({"product_id": product, "quantity": quantity}))
        .collect();
    json!({
        "items": items,
        "shipping": {
            "recipient_name": "Ada Lovelace", "address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE",
        },
        "payment": {"method": "card", "token": token},
    })
}

/// A problem document without the id of its trace: what is left is the same for all who are told the same.
#[track_caller]
pub fn untraced(mut problem: Value) -> Value {
    let trace = problem.as_object_mut().and_then(|members| members.remove("trace_id"));
    assert!(trace.is_some(), "no trace id: {problem}");
    problem
}

/// The id of a resource.
#[track_caller]
pub fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id: {resource}")).to_owned()
}

/// Checks that the resource has an id, and that it is a UUID of version 7.
#[track_caller]
pub fn has_version_7(resource: &Value) {
    let version = id(resource).parse::<uuid::Uuid>().map(|id| id.get_version_num());
    assert_eq!(version, Ok(7), "{resource}");
}

/// One text of each item.
pub fn texts_of(items: &[Value], field: &str) -> Vec<String> {
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// Reads a whole list page by page; `query` is what stands before the limit and the cursor, such as `/products?sort=name&`.
#[track_caller]
pub fn read_all(client: &mut Client, query: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut path = format!("{query}limit={limit}");
    loop {
        let (page, next) = read_page(client, &path);
        assert!(page.len() <= limit, "{path} gave {} items", page.len());
        items.extend(page);
        let Some(cursor) = next else { return items };
        path = format!("{query}limit={limit}&cursor={cursor}");
    }
}

/// Reads one page: its items, and the cursor of the next.
#[track_caller]
pub fn read_page(client: &mut Client, path: &str) -> (Vec<Value>, Option<String>) {
    let page = client.get(path).expect(200);
    let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}")).clone();
    (items, page["next_cursor"].as_str().map(escape))
}

/// Percent-encodes all that could mean something in a query.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
