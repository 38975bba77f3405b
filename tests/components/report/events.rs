//! What becomes of each event, alone and twice.

use bulkhead_testing::{Service, Value, json};

use super::{
    CUSTOMER, Said, cancelled, category, category_changed, delivered, everything, order, paid, placed,
    product, product_changed, rejected, reserved, shipped, sold, statuses, take,
};

const LINES: [super::Line; 2] = [(1, 3, 25), (2, 1, 100)];

/// Every event of an order, with the status that it leads to, and whether the order comes to something then.
fn facts() -> [(Said, &'static str, Value); 7] {
    [
        (placed(1, "2026-01-02", &LINES), "pending", json!(175)),
        (reserved(1), "reserved", Value::Null),
        (paid(1, 175), "paid", json!(175)),
        (shipped(1), "shipped", Value::Null),
        (delivered(1), "delivered", Value::Null),
        (rejected(1), "rejected", Value::Null),
        (cancelled(1), "cancelled", Value::Null),
    ]
}

#[test]
fn each_event_of_an_unknown_order_records_it() {
    for (fact, status, amount) in facts() {
        let reports = Service::start("report");
        take(&reports, [&fact]);
        let day = if status == "pending" { json!("2026-01-02") } else { Value::Null };
        assert_eq!(
            reports.rows("SELECT * FROM known_order"),
            json!([{"order_id_ref": order(1), "status": status, "day": day, "amount": amount}]),
            "{fact:?}"
        );
        assert_eq!(statuses(&reports), json!({ status: 1 }));
        assert_eq!(reports.rows("SELECT * FROM sale"), json!([]));
    }
}

#[test]
fn a_placed_order_keeps_its_lines() {
    let reports = Service::start("report");
    take(&reports, [&placed(1, "2026-01-02", &LINES)]);
    assert_eq!(
        everything(&reports),
        json!({
            "known_order": [{"order_id_ref": order(1), "status": "pending", "day": "2026-01-02", "amount": 175}],
            "order_line": [
                {"order_id_ref": order(1), "product_id_ref": product(1), "quantity": 3, "unit_price": 25},
                {"order_id_ref": order(1), "product_id_ref": product(2), "quantity": 1, "unit_price": 100},
            ],
            "sale": [], "product": [], "category": [],
        })
    );
}

#[test]
fn a_paid_order_counts_by_product_and_day() {
    let reports = Service::start("report");
    take(&reports, &sold(1, "2026-01-02", &LINES));
    take(&reports, &sold(2, "2026-01-02", &[(1, 2, 30)]));
    take(&reports, &sold(3, "2026-01-03", &[(1, 1, 7)]));
    let sale = |number, day, units, revenue| json!({"product_id_ref": product(number), "day": day, "units": units, "revenue": revenue});
    let first_day =
        [sale(1, "2026-01-02", 5, 135), sale(1, "2026-01-03", 1, 7), sale(2, "2026-01-02", 1, 100)];
    assert_eq!(everything(&reports)["sale"], json!(first_day));
    take(&reports, [&cancelled(1)]);
    let left = [sale(1, "2026-01-02", 2, 60), sale(1, "2026-01-03", 1, 7)];
    assert_eq!(everything(&reports)["sale"], json!(left));
}

#[test]
fn the_catalogue_is_kept_in_its_newest_state() {
    let reports = Service::start("report");
    take(&reports, &[product_changed(1, "Carrots", 3), category_changed(3, "Roots", Some(2))]);
    take(&reports, &[product_changed(1, "Yellow carrots", 4), category_changed(3, "Root vegetables", None)]);
    take(&reports, &[product_changed(2, "Leeks", 3), category_changed(4, "Colours", Some(3))]);
    let rows = everything(&reports);
    assert_eq!(
        rows["product"],
        json!([
            {"id": product(1), "name": "Yellow carrots", "category_id": category(4)},
            {"id": product(2), "name": "Leeks", "category_id": category(3)},
        ])
    );
    assert_eq!(
        rows["category"],
        json!([
            {"id": category(3), "name": "Root vegetables", "parent_category_id": null},
            {"id": category(4), "name": "Colours", "parent_category_id": category(3)},
        ])
    );
}

#[test]
fn a_duplicate_event_takes_effect_once() {
    let mut all: Vec<Said> = facts().into_iter().map(|(fact, ..)| fact).collect();
    all.extend([product_changed(1, "Carrots", 3), category_changed(3, "Roots", Some(2))]);
    for said in &all {
        // Before it, what has it do the most: what was sold is cancelled, what is placed is paid already.
        let before = match said.kind {
            "order.placed" => vec![paid(1, 175)],
            "product.changed" | "category.changed" => vec![],
            _ => sold(1, "2026-01-02", &LINES).into(),
        };
        let (once, twice, again) =
            (Service::start("report"), Service::start("report"), Service::start("report"));
        for reports in [&once, &twice, &again] {
            take(reports, &before);
        }
        take(&once, [said]);
        let _ = said.event(&twice).deliver_twice().consumed();
        // The same said once more is another event.
        take(&again, [said, said]);
        let expected = everything(&once);
        assert_eq!(everything(&twice), expected, "{said:?}");
        assert_eq!(everything(&again), expected, "{said:?}");
    }
}

#[test]
fn a_second_order_placed_event_changes_nothing() {
    let reports = Service::start("report");
    take(&reports, &sold(1, "2026-01-02", &LINES));
    let before = everything(&reports);
    take(&reports, [&placed(1, "2027-07-07", &[(9, 9, 9)])]);
    assert_eq!(everything(&reports), before);
}

#[test]
fn no_row_names_the_customer_of_an_order() {
    let reports = Service::start("report");
    facts().iter().for_each(|(fact, ..)| take(&reports, [fact]));
    let rows = everything(&reports).to_string();
    assert!(rows.contains(&order(1)) && !rows.contains(CUSTOMER), "{rows}");
}

#[test]
fn the_user_and_unknown_fields_of_an_event_are_ignored() {
    let reports = Service::start("report");
    for (mut fact, ..) in facts() {
        // Of an account that was deleted; and what a later version of the event may say besides.
        if fact.kind != "product.stock-reserved" {
            fact.data["user_id"] = "00000000-0000-0000-0000-000000000000".into();
        }
        fact.data["of a later version"] = json!({"a": 1});
        take(&reports, [&fact]);
    }
    assert_eq!(statuses(&reports), json!({"cancelled": 1}));
}
