//! `GET /reports/revenue`.

use bulkhead_testing::{Service, Value, json};

use super::{
    ask, cancelled, category_changed, paid, placed, product_changed, report, shipped, sold, take,
    wrong_fields,
};

/// What a report of revenue says: its items as lists of day, department and revenue, and its total.
fn revenue(items: &[(&str, Option<&str>, &str)], total: &str) -> Value {
    let item = |(day, department, revenue): &(&str, Option<&str>, &str)| json!({"day": day, "department": department, "revenue": revenue});
    json!({"items": items.iter().map(item).collect::<Value>(), "total": total})
}

/// Food (1) with vegetables (2) with roots (3), and toys (4). Product 1 is of roots, 2 of vegetables, 3 of food and 4 of toys.
fn with_catalogue() -> Service {
    let reports = Service::start("report");
    take(
        &reports,
        &[
            category_changed(1, "Food", None),
            category_changed(2, "Vegetables", Some(1)),
            category_changed(3, "Roots", Some(2)),
            category_changed(4, "Toys", None),
            product_changed(1, "Carrots", 3),
            product_changed(2, "Leeks", 2),
            product_changed(3, "Bread", 1),
            product_changed(4, "Ball", 4),
        ],
    );
    reports
}

#[test]
fn without_sales_there_is_no_revenue() {
    assert_eq!(report(&Service::start("report"), "revenue"), revenue(&[], "0.00"));
    assert_eq!(report(&with_catalogue(), "revenue"), revenue(&[], "0.00"));
}

#[test]
fn a_department_is_a_root_category() {
    let reports = with_catalogue();
    take(&reports, &sold(1, "2026-01-02", &[(1, 3, 25), (2, 1, 199), (3, 2, 350), (4, 1, 1999)]));
    let expected =
        revenue(&[("2026-01-02", Some("Food"), "9.74"), ("2026-01-02", Some("Toys"), "19.99")], "29.73");
    assert_eq!(report(&reports, "revenue"), expected);
}

#[test]
fn sums_are_exact_to_the_cent() {
    let reports = with_catalogue();
    // 10 cents and 20 cents in floats are not 30; and large sums lose cents in them.
    take(&reports, &sold(1, "2026-01-02", &[(1, 1, 10)]));
    take(&reports, &sold(2, "2026-01-02", &[(1, 1, 20)]));
    assert_eq!(report(&reports, "revenue")["total"], json!("0.30"));
    take(&reports, &sold(3, "2026-01-02", &[(1, 10_000, 99_999)]));
    take(&reports, &sold(4, "2026-01-02", &[(1, 1, 999_999_999), (4, 3, 0)]));
    let expected = revenue(
        &[("2026-01-02", Some("Food"), "19999900.29"), ("2026-01-02", Some("Toys"), "0.00")],
        "19999900.29",
    );
    assert_eq!(report(&reports, "revenue"), expected);
}

#[test]
fn days_are_the_order_dates_and_the_last_day_is_included() {
    let reports = with_catalogue();
    for (number, day) in ["2025-12-31", "2026-01-01", "2026-01-02", "2026-02-01"].into_iter().enumerate() {
        let number = u32::try_from(number).unwrap_or_default();
        take(&reports, &sold(number, day, &[(4, 1, 1 << number)]));
    }
    for (query, days, total) in [
        (
            "",
            &[("2025-12-31", "0.01"), ("2026-01-01", "0.02"), ("2026-01-02", "0.04"), ("2026-02-01", "0.08")]
                [..],
            "0.15",
        ),
        (
            "?from=2026-01-01",
            &[("2026-01-01", "0.02"), ("2026-01-02", "0.04"), ("2026-02-01", "0.08")],
            "0.14",
        ),
        ("?to=2026-01-01", &[("2025-12-31", "0.01"), ("2026-01-01", "0.02")], "0.03"),
        ("?from=2026-01-01&to=2026-01-02", &[("2026-01-01", "0.02"), ("2026-01-02", "0.04")], "0.06"),
        ("?from=2026-01-02&to=2026-01-02", &[("2026-01-02", "0.04")], "0.04"),
        ("?from=2026-01-03&to=2026-01-31", &[], "0.00"),
        (
            "?from=0000-01-01&to=9999-12-31",
            &[("2025-12-31", "0.01"), ("2026-01-01", "0.02"), ("2026-01-02", "0.04"), ("2026-02-01", "0.08")],
            "0.15",
        ),
    ] {
        let items: Vec<_> = days.iter().map(|(day, sum)| (*day, Some("Toys"), *sum)).collect();
        assert_eq!(report(&reports, &format!("revenue{query}")), revenue(&items, total), "{query}");
    }
}

#[test]
fn a_day_ends_at_midnight_utc() {
    let reports = with_catalogue();
    for (number, placed_at) in
        [(1, "2026-01-02T23:59:59.999Z"), (2, "2026-01-03T00:00:00Z"), (3, "2026-01-03T00:00:00.001Z")]
    {
        let [mut placed, paid] = sold(number, "2026-01-02", &[(4, 1, 100)]);
        placed.data["placed_at"] = placed_at.into();
        take(&reports, [&placed, &paid]);
    }
    let expected =
        revenue(&[("2026-01-02", Some("Toys"), "1.00"), ("2026-01-03", Some("Toys"), "2.00")], "3.00");
    assert_eq!(report(&reports, "revenue"), expected);
}

#[test]
fn sales_without_a_known_department_are_counted_as_well() {
    let reports = with_catalogue();
    take(
        &reports,
        &[
            product_changed(5, "Of an unknown category", 9),
            category_changed(6, "Lost", Some(8)),
            product_changed(6, "Lost", 6),
        ],
    );
    // Product 7 is not known at all.
    take(&reports, &sold(1, "2026-01-02", &[(4, 1, 1), (5, 1, 10), (6, 1, 100), (7, 1, 1000)]));
    let expected = revenue(&[("2026-01-02", None, "11.10"), ("2026-01-02", Some("Toys"), "0.01")], "11.11");
    assert_eq!(report(&reports, "revenue"), expected);
    // Once they are known it is as if they had always been.
    take(&reports, &[category_changed(8, "Found", None), category_changed(9, "Found", None)]);
    take(&reports, &[product_changed(7, "Ball, too", 4)]);
    let expected = revenue(
        &[
            ("2026-01-02", Some("Found"), "1.00"),
            ("2026-01-02", Some("Found"), "0.10"),
            ("2026-01-02", Some("Toys"), "10.01"),
        ],
        "11.11",
    );
    assert_eq!(report(&reports, "revenue"), expected);
}

#[test]
fn departments_are_shown_in_their_current_state() {
    let reports = with_catalogue();
    take(&reports, &sold(1, "2026-01-02", &[(1, 1, 100), (4, 1, 1)]));
    // The roots move to the toys, which have another name now.
    take(&reports, &[category_changed(3, "Roots", Some(4)), category_changed(4, "Toys and roots", None)]);
    assert_eq!(
        report(&reports, "revenue"),
        revenue(&[("2026-01-02", Some("Toys and roots"), "1.01")], "1.01")
    );
    // A product moves back.
    take(&reports, &[product_changed(1, "Carrots", 2)]);
    let expected = revenue(
        &[("2026-01-02", Some("Food"), "1.00"), ("2026-01-02", Some("Toys and roots"), "0.01")],
        "1.01",
    );
    assert_eq!(report(&reports, "revenue"), expected);
}

#[test]
fn categories_in_a_temporary_cycle_have_no_department() {
    let reports = with_catalogue();
    take(&reports, &sold(1, "2026-01-02", &[(1, 1, 100), (4, 1, 1)]));
    // Vegetables go to the top and food below them; of the two events the second one is here first.
    take(&reports, &[category_changed(1, "Food", Some(2))]);
    let expected = revenue(&[("2026-01-02", None, "1.00"), ("2026-01-02", Some("Toys"), "0.01")], "1.01");
    assert_eq!(report(&reports, "revenue"), expected);
    take(&reports, &[category_changed(2, "Vegetables", None)]);
    let expected =
        revenue(&[("2026-01-02", Some("Toys"), "0.01"), ("2026-01-02", Some("Vegetables"), "1.00")], "1.01");
    assert_eq!(report(&reports, "revenue"), expected);
}

#[test]
fn only_paid_orders_that_are_not_refunded_are_revenue() {
    let reports = with_catalogue();
    let lines = [(4, 2, 150)];
    let total = |expected: &str| assert_eq!(report(&reports, "revenue")["total"], json!(expected));
    take(&reports, [&placed(1, "2026-01-02", &lines), &super::reserved(1)]);
    total("0.00");
    take(&reports, [&paid(1, 300)]);
    total("3.00");
    take(&reports, &sold(2, "2026-01-02", &lines));
    take(&reports, [&shipped(2)]);
    total("6.00");
    take(&reports, [&super::delivered(2)]);
    total("6.00");
    // What is refunded is taken back on the day on which the order was placed.
    take(&reports, [&cancelled(1)]);
    assert_eq!(report(&reports, "revenue"), revenue(&[("2026-01-02", Some("Toys"), "3.00")], "3.00"));
    take(&reports, [&cancelled(2)]);
    assert_eq!(report(&reports, "revenue"), revenue(&[], "0.00"));
    assert_eq!(reports.rows("SELECT * FROM sale"), json!([]));
    take(&reports, [&placed(3, "2026-01-02", &lines), &cancelled(3)]);
    total("0.00");
}

#[test]
fn an_invalid_query_parameter_is_named() {
    let reports = Service::start("report");
    for day in ["", "x", "2026-1-2", "2026-02-29", "2026-01-02T00:00:00Z", "20260102", "2026-13-01"] {
        assert_eq!(wrong_fields(&reports, &format!("revenue?from={day}")), ["from"], "{day}");
        assert_eq!(wrong_fields(&reports, &format!("revenue?to={day}")), ["to"], "{day}");
    }
    assert_eq!(wrong_fields(&reports, "revenue?from=2026-01-02&to=2026-01-01"), ["to"]);
    assert_eq!(
        wrong_fields(&reports, "revenue?to=x&from=y&day=2026-01-02&limit=1"),
        ["from", "to", "day", "limit"]
    );
    let _ = ask(&reports, "revenue?from=2024-02-29&to=2024-02-29").send().status(200);
}

/// 100 products, each a department of its own, on 100 days.
#[test]
fn a_report_has_at_most_9999_items() {
    let reports = Service::start("report");
    for number in 0..100 {
        take(&reports, &[category_changed(number, &format!("Department {number}"), None)]);
        take(&reports, &[product_changed(number, "Thing", number)]);
    }
    let lines: Vec<_> = (0..100).map(|number| (number, 1, 1)).collect();
    let day = |number: u32| format!("2026-{:02}-{:02}", number / 25 + 1, number % 25 + 1);
    for number in 0..100 {
        let count = if number == 99 { 99 } else { 100 };
        take(&reports, &sold(number, &day(number), &lines[..count]));
    }
    let all = report(&reports, "revenue");
    assert_eq!((all["items"].as_array().map(Vec::len), &all["total"]), (Some(9999), &json!("99.99")));
    take(&reports, &sold(100, &day(99), &lines[99..]));
    assert_eq!(wrong_fields(&reports, "revenue"), ["from"]);
    let fewer = report(&reports, &format!("revenue?from={}", day(1)));
    assert_eq!(fewer["total"], json!("99.00"));
}
