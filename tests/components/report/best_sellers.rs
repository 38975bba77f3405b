//! `GET /reports/best-sellers`.

use bulkhead_testing::{Service, Value, json};

use super::{cancelled, product, product_changed, report, sold, take, wrong_fields};

fn seller(number: u32, name: Option<&str>, units: i64, revenue: &str) -> Value {
    json!({"product_id": product(number), "name": name, "units": units, "revenue": revenue})
}

#[test]
fn without_sales_there_are_no_best_sellers() {
    let reports = Service::start("report");
    take(&reports, &[product_changed(1, "Carrots", 1)]);
    assert_eq!(report(&reports, "best-sellers"), json!({"items": []}));
}

#[test]
fn products_are_sorted_by_units_then_revenue_then_id() {
    let reports = Service::start("report");
    take(&reports, &sold(1, "2026-01-02", &[(5, 2, 100), (4, 2, 150), (3, 3, 1), (2, 2, 100), (1, 1, 9999)]));
    assert_eq!(
        report(&reports, "best-sellers"),
        json!({"items": [
            seller(3, None, 3, "0.03"),
            seller(4, None, 2, "3.00"),
            seller(2, None, 2, "2.00"),
            seller(5, None, 2, "2.00"),
            seller(1, None, 1, "99.99"),
        ]})
    );
}

#[test]
fn the_sales_of_a_product_are_the_sum_over_all_days_and_prices() {
    let reports = Service::start("report");
    take(&reports, &sold(1, "2026-01-02", &[(1, 10_000, 1), (2, 1, 1)]));
    take(&reports, &sold(2, "2026-01-02", &[(1, 2, 33)]));
    take(&reports, &sold(3, "2026-03-04", &[(1, 1, 50)]));
    let all = [seller(1, None, 10_003, "101.16"), seller(2, None, 1, "0.01")];
    assert_eq!(report(&reports, "best-sellers"), json!({"items": all}));
    take(&reports, &[cancelled(1)]);
    assert_eq!(report(&reports, "best-sellers"), json!({"items": [seller(1, None, 3, "1.16")]}));
    take(&reports, &[cancelled(2), cancelled(3)]);
    assert_eq!(report(&reports, "best-sellers"), json!({"items": []}));
}

#[test]
fn a_product_is_shown_with_its_newest_name() {
    let reports = Service::start("report");
    take(&reports, &sold(1, "2026-01-02", &[(1, 1, 0)]));
    assert_eq!(report(&reports, "best-sellers"), json!({"items": [seller(1, None, 1, "0.00")]}));
    for name in ["Carrots", "Kärotten \"1\""] {
        take(&reports, &[product_changed(1, name, 1)]);
        assert_eq!(report(&reports, "best-sellers"), json!({"items": [seller(1, Some(name), 1, "0.00")]}));
    }
}

#[test]
fn the_list_has_50_products_by_default_and_at_most_200() {
    let reports = Service::start("report");
    let lines: Vec<_> = (1..=201).map(|number| (number, i64::from(number), 1)).collect();
    take(&reports, &sold(1, "2026-01-02", &lines));
    for (query, count) in [("", 50), ("?limit=1", 1), ("?limit=51", 51), ("?limit=200", 200)] {
        let report = report(&reports, &format!("best-sellers{query}"));
        let expected: Vec<Value> = (0..count)
            .map(|place| {
                seller(201 - place, None, i64::from(201 - place), &super::money(i64::from(201 - place)))
            })
            .collect();
        assert_eq!(report, json!({"items": expected}), "{query}");
    }
    for limit in ["0", "201", "-1", "", "x", "1.5"] {
        assert_eq!(wrong_fields(&reports, &format!("best-sellers?limit={limit}")), ["limit"], "{limit}");
    }
    assert_eq!(wrong_fields(&reports, "best-sellers?limit=201&cursor=x"), ["limit", "cursor"]);
}
