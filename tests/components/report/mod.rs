//! The reports.

use bulkhead_testing::{Service, json};

#[test]
fn every_endpoint_and_subscription_has_a_test() {
    bulkhead_testing::coverage("report").tests("report::").check();
}

#[test]
fn statuses_are_counted_from_events() {
    let report = Service::start("report");
    report.get("/reports/orders-by-status").send().problem(401, "unauthenticated");
    report.get("/reports/orders-by-status").principal("ada").send().problem(403, "forbidden");
    let answer = report.get("/reports/orders-by-status").principal("ada").role("admin").send().status(200);
    assert_eq!(answer.json()["items"].as_array().map(Vec::len), Some(7), "{}", answer.text());
    report.event("order.cancelled").subject("x").data(json!({"id": 7})).deliver().rejected("");
}
