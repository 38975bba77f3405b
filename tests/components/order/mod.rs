//! The order service: what it answers, what it takes, what it publishes, when its timers are due, and what is left when it fails.
//!
//! It runs alone: what the product and the user service tell it, the tests deliver.

mod access;
mod addresses;
mod cancelling;
mod deletion;
mod faults;
mod history;
mod idempotency;
mod invalid;
mod listing;
mod paying;
mod placing;
mod reading;
mod replicas;
mod shipping;
mod states;
mod stock;
mod timers;
mod unknown;

use std::time::Duration;

use bulkhead_testing::{Answer, Request, Service, Value, json};

/// Customers.
const ADA: &str = "0198f3a1-7c3e-7d52-8a07-0000000000a1";
const BO: &str = "0198f3a1-7c3e-7d52-8a07-0000000000b0";
/// Runs the shop.
const ROOT: &str = "00000000-0000-7000-8000-000000000001";
/// Stands for a customer whose account is gone.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// Products: potatoes at 0.25, and leeks at 19.99.
const POTATOES: &str = "0198f3a1-7c3e-7d52-8a07-000000000011";
const LEEKS: &str = "0198f3a1-7c3e-7d52-8a07-000000000012";
/// Nothing has it.
const UNKNOWN: &str = "0198f3a1-7c3e-7d52-8a07-0000000000ff";
/// How long a customer has to pay, as the manifest says.
const TIME_TO_PAY: Duration = Duration::from_secs(15 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);
/// All that the service keeps, table by table.
const TABLES: [&str; 10] = [
    "\"order\"",
    "order_number",
    "order_item",
    "order_payment",
    "order_payment_attempt",
    "gateway_charge",
    "order_shipping",
    "order_event",
    "deleted_user",
    "product",
];
/// Each way in which an order can stand.
const STATUSES: [&str; 7] = ["pending", "reserved", "paid", "shipped", "delivered", "rejected", "cancelled"];

#[test]
fn every_endpoint_and_subscription_has_a_test() {
    bulkhead_testing::coverage("order").tests("order::").with_problems_but(&[]).check();
}

/// The service, which knows the customers and the products.
#[track_caller]
fn start() -> Service {
    with_replicas(Service::start("order"))
}

/// Tells the service of the customers and the products.
#[track_caller]
fn with_replicas(order: Service) -> Service {
    for (id, name) in [(ADA, "Ada"), (BO, "Bo")] {
        user_changed(&order, id, name);
    }
    product_changed(&order, POTATOES, "Potatoes", "0.25");
    product_changed(&order, LEEKS, "Leeks", "19.99");
    order
}

#[track_caller]
fn user_changed(order: &Service, id: &str, name: &str) {
    let data = json!({"id": id, "first_name": name});
    let _ = order.event("user.changed").subject(id).data(data).deliver().consumed();
}

#[track_caller]
fn user_deleted(order: &Service, id: &str) {
    let _ = order.event("user.deleted").subject(id).data(json!({"id": id})).deliver().consumed();
}

#[track_caller]
fn product_changed(order: &Service, id: &str, name: &str, price: &str) {
    let data = json!({"id": id, "name": name, "price": price, "sku": "27861", "category_id": UNKNOWN});
    let _ = order.event("product.changed").subject(id).data(data).deliver().consumed();
}

/// What a client sends to order these, each so many times.
fn body(items: &[(&str, i64)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(id, quantity)| json!({"product_id": id, "quantity": quantity})).collect();
    json!({
        "items": items,
        "shipping": {
            "recipient_name": "Ada Lovelace",
            "address_line1": "1 Quay",
            "city": "Ulm",
            "postal_code": "89073",
            "country": "DE",
        },
        "payment": {"method": "card", "token": "tok_ok"},
    })
}

/// The same with these members in the place of its own.
fn body_with(items: &[(&str, i64)], changes: Value) -> Value {
    let mut body = body(items);
    let members = body.as_object_mut().expect("an object");
    members.extend(changes.as_object().expect("changes").clone());
    body
}

/// Three potatoes and two leeks: 40.73.
fn basket() -> Value {
    body(&[(POTATOES, 3), (LEEKS, 2)])
}

/// How an order is paid.
fn payment(token: &str) -> Value {
    json!({"method": "card", "token": token})
}

/// As a customer asks.
fn customer(request: Request, id: &str) -> Request {
    request.principal(id).role("customer")
}

/// As who runs the shop asks.
fn admin(request: Request) -> Request {
    request.principal(ROOT).role("admin")
}

/// Ada orders this.
fn ordering(order: &Service, body: &Value) -> Request {
    customer(order.post("/orders"), ADA).json(body)
}

/// An admin does this to an order: cancels it, pays it, ships it or delivers it.
fn doing(order: &Service, id: &str, what: &str) -> Request {
    let request = admin(order.post(format!("/orders/{id}/{what}")));
    match what {
        "payment" => request.json(payment("tok_ok")),
        "ship" => request.json(json!({"carrier": "Royal Mail", "tracking_number": "RM1"})),
        _ => request,
    }
}

/// The same, done.
#[track_caller]
fn done(order: &Service, id: &str, what: &str) -> Answer {
    doing(order, id, what).send().status(200)
}

/// An order of Ada's: three potatoes and two leeks.
#[track_caller]
fn placed(order: &Service) -> String {
    placed_with(order, "tok_ok")
}

/// The same, paid with another token.
#[track_caller]
fn placed_with(order: &Service, token: &str) -> String {
    let body = body_with(&[(POTATOES, 3), (LEEKS, 2)], json!({"payment": payment(token)}));
    ordering(order, &body).send().status(201).text_of("id")
}

fn reserved_data(id: &str) -> Value {
    let items = json!([{"product_id": POTATOES, "quantity": 3}, {"product_id": LEEKS, "quantity": 2}]);
    json!({"order_id": id, "items": items})
}

fn shortages() -> Value {
    json!([{"product_id": LEEKS, "requested": 2, "available": 1}])
}

/// The stock of an order is set aside.
#[track_caller]
fn reserve(order: &Service, id: &str) {
    let event = order.event("product.stock-reserved").subject(id).data(reserved_data(id));
    let _ = event.deliver().consumed();
}

/// There is too little for an order.
#[track_caller]
fn reject(order: &Service, id: &str) {
    let data = json!({"order_id": id, "shortages": shortages()});
    let _ = order.event("product.stock-rejected").subject(id).data(data).deliver().consumed();
}

/// Ada's order whose stock is set aside, and of which the gateway was not asked yet.
#[track_caller]
fn reserved_with(order: &Service, token: &str) -> String {
    let id = placed_with(order, token);
    reserve(order, &id);
    id
}

/// Has what is due now be done.
#[track_caller]
fn run_due_timers(order: &Service) {
    order.advance(Duration::ZERO);
}

/// Ada's order that the gateway declined.
#[track_caller]
fn declined(order: &Service) -> String {
    let id = reserved_with(order, "tok_declined");
    run_due_timers(order);
    id
}

/// Ada's order that is paid.
#[track_caller]
fn paid(order: &Service) -> String {
    let id = reserved_with(order, "tok_ok");
    run_due_timers(order);
    id
}

/// Ada's order that stands so.
#[track_caller]
fn standing(order: &Service, status: &str) -> String {
    let id = match status {
        "pending" => placed(order),
        "reserved" => declined(order),
        "rejected" => {
            let id = placed(order);
            reject(order, &id);
            id
        }
        _ => paid(order),
    };
    let then: &[&str] = match status {
        "cancelled" => &["cancel"],
        "shipped" => &["ship"],
        "delivered" => &["ship", "deliver"],
        _ => &[],
    };
    then.iter().for_each(|what| drop(done(order, &id, what)));
    assert_eq!(read(order, &id)["status"], status);
    id
}

/// The order, as an admin reads it.
#[track_caller]
fn read(order: &Service, id: &str) -> Value {
    admin(order.get(format!("/orders/{id}"))).send().status(200).json()
}

/// How the order, its payment and its shipping stand.
#[track_caller]
fn stands(order: &Service, id: &str) -> [String; 3] {
    let order = read(order, id);
    [&order["status"], &order["payment"]["payment_status"], &order["shipping"]["shipping_status"]]
        .map(|status| status.as_str().expect("a status").to_owned())
}

/// What happened to an order: each with what the order was then.
#[track_caller]
fn history(order: &Service, id: &str) -> Vec<String> {
    let page = admin(order.get(format!("/orders/{id}/history"))).send().status(200).json();
    let entries = page["items"].as_array().expect("items").iter();
    let text = |entry: &Value, name: &str| entry[name].as_str().expect("a text").to_owned();
    entries.map(|entry| format!("{}: {}", text(entry, "cause"), text(entry, "status"))).collect()
}

/// All rows of the service, by table, and the timers that wait: to be compared before and after what is to change nothing.
#[track_caller]
fn kept(order: &Service) -> Value {
    let rows = |table: &str| order.rows(&format!("SELECT * FROM {table} ORDER BY 1, 2"));
    let tables: Value =
        TABLES.iter().map(|table| (table.trim_matches('"').to_owned(), rows(table))).collect();
    let timers: Vec<Value> =
        timers(order).into_iter().map(|[kind, subject, due]| json!([kind, subject, due])).collect();
    json!({"tables": tables, "timers": timers})
}

/// The timers that wait: type, subject, and when they are due.
#[track_caller]
fn timers(order: &Service) -> Vec<[String; 3]> {
    order.timers().into_iter().map(|timer| [timer.kind, timer.subject, timer.due]).collect()
}

/// The types of what was published since it was last asked.
#[track_caller]
fn published(order: &Service) -> Vec<String> {
    order.published().into_iter().map(|event| event.kind).collect()
}

/// Forgets what was published until now: what comes after is what a test is about.
#[track_caller]
fn published_before(order: &Service) {
    drop(order.published());
}

/// How long after midnight a time is.
fn of_day(time: &str) -> Duration {
    let (_, of_day) = time.split_once('T').expect("a time");
    let part = |range: std::ops::Range<usize>| of_day[range].parse::<u64>().expect("digits");
    Duration::from_millis(((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1000 + part(9..12))
}

/// So much later on the same day. Tests begin at midnight.
fn later(time: &str, by: Duration) -> String {
    let (day, _) = time.split_once('T').expect("a time");
    let time = of_day(time) + by;
    let seconds = time.as_secs();
    assert!(seconds < 24 * 3600, "the day is over");
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{:03}Z", time.subsec_millis())
}

/// How long it is until a time of this day.
#[track_caller]
fn until(order: &Service, time: &str) -> Duration {
    of_day(time).checked_sub(of_day(&order.now())).expect("the clock is not past it")
}
