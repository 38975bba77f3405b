//! `GET /reports/orders-by-status`, and what all reports have in common.

use bulkhead_testing::{Service, Value, json};

use super::{
    ask, cancelled, delivered, paid, placed, rejected, report, reserved, shipped, take, wrong_fields,
};

const REPORTS: [&str; 3] = ["revenue", "best-sellers", "orders-by-status"];

/// All statuses in the order of an order's life, with these counts.
fn counts(counts: [u32; 7]) -> Value {
    let names = ["pending", "reserved", "paid", "shipped", "delivered", "rejected", "cancelled"];
    let items = names.iter().zip(counts).map(|(status, count)| json!({"status": status, "count": count}));
    json!({"items": items.collect::<Value>()})
}

#[test]
fn statuses_are_counted_in_life_cycle_order() {
    let reports = Service::start("report");
    assert_eq!(report(&reports, "orders-by-status"), counts([0; 7]));
    let line = [(1, 1, 100)];
    // Each number is how many orders come so far.
    let lives = [
        vec![],
        vec![reserved as fn(u32) -> _],
        vec![reserved, |number| paid(number, 100)],
        vec![reserved, |number| paid(number, 100), shipped],
        vec![reserved, |number| paid(number, 100), shipped, delivered],
        vec![rejected],
        vec![reserved, cancelled],
    ];
    let mut number = 0;
    for (life, facts) in lives.iter().enumerate() {
        for _ in 0..=life {
            number += 1;
            take(&reports, [&placed(number, "2026-01-02", &line)]);
            facts.iter().for_each(|fact| take(&reports, [&fact(number)]));
        }
    }
    assert_eq!(report(&reports, "orders-by-status"), counts([1, 2, 3, 4, 5, 6, 7]));
}

#[test]
fn a_report_is_for_admins_only() {
    let reports = Service::start("report");
    for path in REPORTS.map(|report| format!("/reports/{report}")) {
        let answer = reports.get(&path).send().problem(401, "unauthenticated");
        let _ = answer.header("www-authenticate", "Bearer");
        let _ = reports.get(&path).principal("ada").role("customer").send().problem(403, "forbidden");
        let _ = reports.get(&path).principal("ada").role("Admin").send().problem(403, "forbidden");
        let _ = reports.get(&path).principal("service:order").send().problem(403, "forbidden");
        // Whatever else is wrong.
        let _ = reports.get(format!("{path}?x=1")).send().problem(401, "unauthenticated");
    }
}

#[test]
fn a_report_is_read_only() {
    let reports = Service::start("report");
    for path in REPORTS.map(|report| format!("/reports/{report}")) {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let answer = reports.request(method, &path).principal("ada").role("admin").send();
            let _ = answer.problem(405, "method-not-allowed").header("allow", "GET, HEAD, OPTIONS");
        }
        let _ = reports.request("OPTIONS", &path).send().status(204).header("allow", "GET, HEAD, OPTIONS");
    }
    for path in ["", "nothing", "revenue/", "revenue/2026"] {
        let _ = ask(&reports, path).send().problem(404, "not-found");
    }
}

#[test]
fn an_unchanged_report_is_not_sent_again() {
    let reports = Service::start("report");
    take(&reports, &super::sold(1, "2026-01-02", &[(1, 1, 100)]));
    for path in REPORTS {
        let tag = ask(&reports, path).send().status(200).header_value("etag").unwrap_or_default();
        let again = || ask(&reports, path).header("if-none-match", &tag).send();
        let _ = again().status(304).empty().header("etag", &tag);
    }
    let tag = ask(&reports, "revenue").send().header_value("etag").unwrap_or_default();
    take(&reports, &super::sold(2, "2026-01-02", &[(1, 1, 100)]));
    let _ = ask(&reports, "revenue").header("if-none-match", &tag).send().status(200);
}

#[test]
fn orders_by_status_accepts_no_query() {
    let reports = Service::start("report");
    assert_eq!(wrong_fields(&reports, "orders-by-status?status=paid&limit=1"), ["status", "limit"]);
}
