//! The reports: they say what the orders come to, whichever of the other services' events arrives first.

use bulkhead_tests::shop::category;
use bulkhead_tests::{Client, Site};
use serde_json::{Value, json};

use crate::ordering::{place_at, registered, ship, stocked, until, until_status};

const DAY_1: &str = "2026-01-02T00:00:00Z";
const DAY_1_END: &str = "2026-01-02T23:59:59.999Z";
const DAY_2: &str = "2026-01-03T12:00:00Z";

/// Waits until so many orders stand so, and no others.
#[track_caller]
fn until_orders(admin: &mut Client, expected: &[(&str, i64)]) {
    until(admin, "/reports/orders-by-status", |report| {
        let items = report["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let standing: Vec<(&str, i64)> = items
            .iter()
            .map(|item| (item["status"].as_str().unwrap(), item["count"].as_i64().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect();
        standing == expected
    });
}

/// Waits until a report has exactly these items, and gives it.
#[track_caller]
fn until_items(admin: &mut Client, path: &str, items: &Value) -> Value {
    until(admin, path, |report| report["items"] == *items)
}

fn revenue(day: &str, department: &str, revenue: &str) -> Value {
    json!({"day": day, "department": department, "revenue": revenue})
}

#[test]
fn reports_count_paid_and_unrefunded_orders_on_the_day_of_the_order() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let admin = &mut admin;
    let food = category(admin, "food", None);
    let [fruit, drinks] = [("fruit", Some(food.as_str())), ("drinks", None)]
        .map(|(slug, parent)| category(admin, slug, parent));
    let apple = stocked(admin, &fruit, "apple", "1.50", 50);
    let juice = stocked(admin, &drinks, "juice", "2.25", 50);
    let ada = registered(&host, "Ada");

    let paid = place_at(admin, &ada, DAY_1, &[(&apple, 2), (&juice, 1)], "tok_ok");
    let cancelled = place_at(admin, &ada, DAY_1_END, &[(&apple, 1)], "tok_ok");
    let unpaid = place_at(admin, &ada, DAY_2, &[(&juice, 3)], "tok_declined");
    let rejected = place_at(admin, &ada, DAY_2, &[(&apple, 100), (&juice, 1)], "tok_ok");
    let delivered = place_at(admin, &ada, DAY_2, &[(&juice, 1)], "tok_ok");
    for (order, status) in [
        (&paid, "paid"),
        (&cancelled, "paid"),
        (&unpaid, "reserved"),
        (&rejected, "rejected"),
        (&delivered, "paid"),
    ] {
        until_status(admin, order, status);
    }
    until_orders(admin, &[("reserved", 1), ("paid", 3), ("rejected", 1)]);
    let before = json!([
        revenue("2026-01-02", "drinks", "2.25"),
        revenue("2026-01-02", "food", "4.50"),
        revenue("2026-01-03", "drinks", "2.25"),
    ]);
    assert_eq!(until_items(admin, "/reports/revenue", &before)["total"], "9.00");

    admin.post(&format!("/orders/{cancelled}/cancel"), &json!({})).expect(200);
    ship(admin, &delivered);
    admin.post(&format!("/orders/{delivered}/deliver"), &json!({})).expect(200);
    until_orders(admin, &[("reserved", 1), ("paid", 1), ("delivered", 1), ("rejected", 1), ("cancelled", 1)]);
    let first = [revenue("2026-01-02", "drinks", "2.25"), revenue("2026-01-02", "food", "3.00")];
    let second = [revenue("2026-01-03", "drinks", "2.25")];
    let both = [&first[..], &second].concat();
    for (query, items, total) in [
        ("", json!(both), "7.50"),
        ("?to=2026-01-02", json!(first), "5.25"),
        ("?from=2026-01-03", json!(second), "2.25"),
        ("?from=2026-01-02&to=2026-01-03", json!(both), "7.50"),
        ("?from=2026-01-04", json!([]), "0.00"),
    ] {
        let report = admin.get(&format!("/reports/revenue{query}")).expect(200);
        assert_eq!((&report["items"], &report["total"]), (&items, &json!(total)), "{query}");
    }

    // Equal in units, so revenue decides.
    let best = json!([
        {"product_id": juice.id, "name": "Product juice", "units": 2, "revenue": "4.50"},
        {"product_id": apple.id, "name": "Product apple", "units": 2, "revenue": "3.00"},
    ]);
    assert_eq!(admin.get("/reports/best-sellers").expect(200)["items"], best);
    assert_eq!(admin.get("/reports/best-sellers?limit=1").expect(200)["items"], json!([best[0]]));
}

#[test]
fn sold_item_keeps_its_name_and_follows_its_category() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let admin = &mut admin;
    let food = category(admin, "food", None);
    let [fruit, garden] = [("fruit", Some(food.as_str())), ("garden", None)]
        .map(|(slug, parent)| category(admin, slug, parent));
    let apple = stocked(admin, &fruit, "apple", "1.50", 50);
    let ada = registered(&host, "Ada");
    let order = place_at(admin, &ada, DAY_1, &[(&apple, 2)], "tok_ok");
    until_status(admin, &order, "paid");
    until_items(admin, "/reports/revenue", &json!([revenue("2026-01-02", "food", "3.00")]));

    let path = format!("/products/{}", apple.id);
    // The price of what is sold is that of its order.
    admin.patch(&path, &json!({"name": "Old apple", "price": "9.99"})).expect(200);
    let best = json!([{"product_id": apple.id, "name": "Old apple", "units": 2, "revenue": "3.00"}]);
    until_items(admin, "/reports/best-sellers", &best);
    let parent = json!({"parent_category_id": garden});
    admin.patch(&format!("/categories/{fruit}"), &parent).expect(200);
    until_items(admin, "/reports/revenue", &json!([revenue("2026-01-02", "garden", "3.00")]));
    admin.patch(&format!("/categories/{garden}"), &json!({"name": "Garden"})).expect(200);
    until_items(admin, "/reports/revenue", &json!([revenue("2026-01-02", "Garden", "3.00")]));

    ship(admin, &order);
    until(admin, &format!("{path}/stock"), |stock| stock["sold"] == 2);
    admin.delete(&path).expect(204);
    for category in [fruit, garden] {
        admin.delete(&format!("/categories/{category}")).expect(204);
    }
    until_orders(admin, &[("shipped", 1)]);
    assert_eq!(admin.get("/reports/best-sellers").expect(200)["items"], best);
    let kept = json!([revenue("2026-01-02", "Garden", "3.00")]);
    assert_eq!(admin.get("/reports/revenue").expect(200)["items"], kept);
}

#[test]
fn invalid_report_request_is_refused_field_by_field() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    admin.get("/reports/revenue?from=yesterday&to=2026-02-30").invalid(&["from", "to"]);
    admin.get("/reports/revenue?from=2026-01-03&to=2026-01-02").invalid(&["to"]);
    admin.get("/reports/best-sellers?limit=0").invalid(&["limit"]);
    admin.get("/reports/orders-by-status?status=paid").invalid(&["status"]);
    let nothing = admin.get("/reports/revenue").expect(200);
    assert_eq!(nothing, json!({"items": [], "total": "0.00"}));
}
