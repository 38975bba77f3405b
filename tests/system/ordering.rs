//! What tests of more than one service share: placing orders, and waiting for what follows of them.

use std::time::{Duration, Instant};

use bulkhead_tests::shop::{id, product_body};
use bulkhead_tests::{Client, Customer, Host};
use http::Method;
use serde_json::{Value, json};

/// What has not come about within this time fails the test: a bound for a wait, not a measure.
const BOUND: Duration = Duration::from_secs(60);

/// Asks until the answer is as it should be, and gives it. Whatever the status is, `is_so` sees the body.
#[track_caller]
pub(crate) fn until(client: &mut Client, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let answer = client.get(path);
        let value = answer.value();
        if is_so(&value) {
            return value;
        }
        assert!(begun.elapsed() < BOUND, "it never came about: {answer}");
    }
}

/// Waits until an order has this status, and gives it.
#[track_caller]
pub(crate) fn until_status(client: &mut Client, order: &str, status: &str) -> Value {
    until(client, &format!("/orders/{order}"), |order| order["status"] == status)
}

/// Something that was written, and where its service's log was then.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// Its id.
    pub(crate) id: String,
    /// For `Bulkhead-After`.
    pub(crate) position: String,
}

/// Creates a product with this price and so much of it.
#[track_caller]
pub(crate) fn stocked(admin: &mut Client, category: &str, sku: &str, price: &str, quantity: u32) -> Written {
    let mut body = product_body(category, sku);
    body["price"] = price.into();
    body["stock_quantity"] = quantity.into();
    let answer = admin.post("/products", &body);
    let created = answer.expect(201);
    let position = answer.header("bulkhead-position").expect("a write has a position");
    Written { id: id(&created), position: position.to_owned() }
}

/// Places an order of these products and quantities, to be paid with this token, and gives its id.
#[track_caller]
pub(crate) fn place(client: &mut Client, items: &[(&Written, u32)], token: &str) -> String {
    place_with(client, items, token, &json!({}), None)
}

/// The same by the administrator, for this customer and with this time.
#[track_caller]
pub(crate) fn place_at(
    admin: &mut Client,
    customer: &Written,
    ordered_at: &str,
    items: &[(&Written, u32)],
    token: &str,
) -> String {
    let more = json!({"user_id": customer.id, "ordered_at": ordered_at});
    place_with(admin, items, token, &more, Some(&customer.position))
}

/// Registers a customer, for others to order for.
#[track_caller]
pub(crate) fn registered(host: &Host, first_name: &str) -> Written {
    let Customer { id, mut client } = host.customer(first_name);
    // It publishes nothing, so its position is that of all that was published before.
    let answer = client.put(&format!("/users/{id}/preferences/theme"), &json!({"value": "dark"}));
    let position = answer.header("bulkhead-position").expect("a write has a position");
    Written { id, position: position.to_owned() }
}

/// The same with further members of the body, when the order service has what was written at this position.
#[track_caller]
fn place_with(
    client: &mut Client,
    items: &[(&Written, u32)],
    token: &str,
    more: &Value,
    after: Option<&str>,
) -> String {
    let lines: Vec<Value> = items
        .iter()
        .map(|(product, quantity)| json!({"product_id": product.id, "quantity": quantity}))
        .collect();
    let mut body = json!({
        "items": lines,
        "shipping": {
            "recipient_name": "Ada Tester",
            "address_line1": "1 Quay",
            "city": "Hamburg",
            "postal_code": "20095",
            "country": "DE",
        },
        "payment": {"method": "card", "token": token},
    });
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    // The order service has copies of products and users: it is to have these ones.
    let mut headers = vec![("content-type", "application/json")];
    let products = items.iter().map(|(product, _)| product.position.as_str());
    headers.extend(products.chain(after).map(|position| ("bulkhead-after", position)));
    id(&client.send(Method::POST, "/orders", &headers, body.to_string().into()).expect(201))
}

/// Ships an order.
#[track_caller]
pub(crate) fn ship(admin: &mut Client, order: &str) {
    let parcel = json!({"carrier": "Royal Mail", "tracking_number": "RM123456789GB"});
    admin.post(&format!("/orders/{order}/ship"), &parcel).expect(200);
}
