//! The reports: a read model of the events of orders and of the catalogue.

mod best_sellers;
mod events;
mod faults;
mod interleavings;
mod refused;
mod revenue;
mod statuses;

use bulkhead_testing::{Delivered, Request, Service, Value, json};

/// Whose the orders are, and in no report.
const CUSTOMER: &str = "0198f3a1-7c3e-7d52-8a00-000000000001";

#[test]
fn every_endpoint_and_subscription_has_a_test() {
    bulkhead_testing::coverage("report").tests("report::").with_problems_but(&[]).check();
}

fn order(number: u32) -> String {
    format!("0198f3a1-7c3e-7d52-8a01-{number:012}")
}

fn product(number: u32) -> String {
    format!("0198f3a1-7c3e-7d52-8a02-{number:012}")
}

fn category(number: u32) -> String {
    format!("0198f3a1-7c3e-7d52-8a03-{number:012}")
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// A line of an order: so many of a product, at so many cents each.
type Line = (u32, i64, i64);

fn total(lines: &[Line]) -> i64 {
    lines.iter().map(|(_, quantity, cents)| quantity * cents).sum()
}

/// An event, as another service says it.
#[derive(Debug, Clone)]
struct Said {
    kind: &'static str,
    subject: String,
    data: Value,
}

impl Said {
    fn event(&self, reports: &Service) -> bulkhead_testing::Event {
        reports.event(self.kind).subject(&self.subject).data(&self.data)
    }

    #[track_caller]
    fn deliver(&self, reports: &Service) -> Delivered {
        self.event(reports).deliver()
    }
}

/// Placed at noon of a day (`2026-01-02`).
fn placed(number: u32, day: &str, lines: &[Line]) -> Said {
    let item = |&(id, quantity, cents): &Line| json!({"product_id": product(id), "quantity": quantity, "unit_price": money(cents)});
    let data = json!({
        "id": order(number),
        "order_number": format!("2026-{number:06}"),
        "user_id": CUSTOMER,
        "items": lines.iter().map(item).collect::<Value>(),
        "total_amount": money(total(lines)),
        "placed_at": format!("{day}T12:00:00.000Z"),
    });
    Said { kind: "order.placed", subject: order(number), data }
}

fn reserved(number: u32) -> Said {
    let data = json!({"order_id": order(number), "items": []});
    Said { kind: "product.stock-reserved", subject: order(number), data }
}

fn paid(number: u32, cents: i64) -> Said {
    let data = json!({
        "id": order(number),
        "user_id": CUSTOMER,
        "payment_id": order(number).replace("-8a01-", "-8a04-"),
        "amount": money(cents),
        "paid_at": "2026-06-07T08:09:10.000Z",
    });
    Said { kind: "order.paid", subject: order(number), data }
}

fn cancelled(number: u32) -> Said {
    let data = json!({"id": order(number), "user_id": CUSTOMER, "reason": "customer"});
    Said { kind: "order.cancelled", subject: order(number), data }
}

fn rejected(number: u32) -> Said {
    let data = json!({"id": order(number), "user_id": CUSTOMER, "shortages": []});
    Said { kind: "order.rejected", subject: order(number), data }
}

fn shipped(number: u32) -> Said {
    let data = json!({"id": order(number), "user_id": CUSTOMER, "carrier": "DHL"});
    Said { kind: "order.shipped", subject: order(number), data }
}

fn delivered(number: u32) -> Said {
    Said {
        kind: "order.delivered",
        subject: order(number),
        data: json!({"id": order(number), "user_id": CUSTOMER}),
    }
}

fn product_changed(number: u32, name: &str, of: u32) -> Said {
    let data = json!({
        "id": product(number), "name": name, "price": "1.00", "sku": format!("sku-{number}"), "category_id": category(of),
    });
    Said { kind: "product.changed", subject: product(number), data }
}

fn category_changed(number: u32, name: &str, parent: Option<u32>) -> Said {
    let data = json!({
        "id": category(number), "name": name, "slug": format!("slug-{number}"), "parent_category_id": parent.map(category),
    });
    Said { kind: "category.changed", subject: category(number), data }
}

/// An order that is sold: placed and paid.
fn sold(number: u32, day: &str, lines: &[Line]) -> [Said; 2] {
    [placed(number, day, lines), paid(number, total(lines))]
}

/// Has these be taken, in this order.
#[track_caller]
fn take<'s>(reports: &Service, said: impl IntoIterator<Item = &'s Said>) {
    for said in said {
        let _ = said.deliver(reports).consumed();
    }
}

fn ask(reports: &Service, path: &str) -> Request {
    reports.get(format!("/reports/{path}")).principal("the manager").role("admin")
}

/// A report.
#[track_caller]
fn report(reports: &Service, path: &str) -> Value {
    ask(reports, path).send().status(200).json()
}

/// How many orders stand how; those that none stands at are left out.
#[track_caller]
fn statuses(reports: &Service) -> Value {
    let report = report(reports, "orders-by-status");
    let items = report["items"].as_array().into_iter().flatten().filter(|item| item["count"] != json!(0));
    items
        .map(|item| (item["status"].as_str().unwrap_or_default().to_owned(), item["count"].clone()))
        .collect()
}

/// The fields that a problem names, all of them.
#[track_caller]
fn wrong_fields(reports: &Service, path: &str) -> Vec<String> {
    let problem = ask(reports, path).send().problem(422, "invalid").json();
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.map(|error| error["field"].as_str().unwrap_or_default().to_owned()).collect()
}

/// All that the service holds.
#[track_caller]
fn everything(reports: &Service) -> Value {
    json!({
        "known_order": reports.rows("SELECT * FROM known_order ORDER BY order_id_ref"),
        "order_line": reports.rows("SELECT * FROM order_line ORDER BY order_id_ref, product_id_ref"),
        "sale": reports.rows("SELECT * FROM sale ORDER BY product_id_ref, day"),
        "product": reports.rows("SELECT * FROM product ORDER BY id"),
        "category": reports.rows("SELECT * FROM category ORDER BY id"),
    })
}
