//! What fails leaves nothing half done, and is tried again.

use std::time::Duration;

use bulkhead_testing::{Fault, Service, json};

use super::{
    Said, ask, cancelled, category_changed, delivered, everything, paid, placed, product_changed, rejected,
    reserved, shipped, sold, statuses, take,
};

const LINES: [super::Line; 2] = [(1, 3, 25), (2, 1, 100)];

/// An event of each kind, with what is known before it.
fn cases() -> Vec<(Vec<Said>, Said)> {
    vec![
        (vec![], placed(1, "2026-01-02", &LINES)),
        (vec![paid(1, 175)], placed(1, "2026-01-02", &LINES)),
        (vec![placed(1, "2026-01-02", &LINES)], paid(1, 175)),
        (sold(1, "2026-01-02", &LINES).into(), cancelled(1)),
        (vec![placed(1, "2026-01-02", &LINES)], rejected(1)),
        (sold(1, "2026-01-02", &LINES).into(), shipped(1)),
        (vec![placed(1, "2026-01-02", &LINES), shipped(1)], delivered(1)),
        (vec![], reserved(1)),
        (vec![product_changed(1, "Carrots", 3)], product_changed(1, "Yellow carrots", 4)),
        (vec![category_changed(3, "Roots", None)], category_changed(3, "Root vegetables", Some(2))),
    ]
}

fn prepared(before: &[Said]) -> Service {
    let reports = Service::start("report");
    // So that what is taken of a day is not all of it.
    take(&reports, &sold(9, "2026-01-02", &LINES));
    take(&reports, before);
    reports
}

/// With a fault that aborts the unit of work, and with one after which a handler could go on.
#[test]
fn an_event_whose_database_fails_at_any_call_has_no_effect_and_is_retried() {
    for (before, said) in cases() {
        let reports = prepared(&before);
        let unchanged = everything(&reports);
        let calls = said.deliver(&reports).consumed().database_calls();
        let changed = everything(&reports);
        assert!(calls > 0 && changed != unchanged, "{said:?}");
        let faults = (1..=calls).flat_map(|call| [Fault::Statement(call), Fault::StatementBusy(call)]);
        for fault in faults {
            let reports = prepared(&before);
            let _ = said.event(&reports).failing(fault).deliver().parked("");
            assert_eq!(everything(&reports), unchanged, "{said:?}: {fault:?} of {calls}");
            reports.advance(Duration::from_secs(1));
            assert!(reports.parked().is_empty() && reports.dead_letters().is_empty(), "{said:?}");
            assert_eq!(everything(&reports), changed, "{said:?}: {fault:?} of {calls}");
        }
    }
}

#[test]
fn an_event_that_finds_a_full_database_is_retried_too() {
    let reports = prepared(&[placed(1, "2026-01-02", &LINES)]);
    let before = everything(&reports);
    let _ = paid(1, 175).event(&reports).failing(Fault::StorageFull(2)).deliver().parked("");
    assert_eq!(everything(&reports), before);
    reports.advance(Duration::from_secs(1));
    assert_eq!(statuses(&reports), json!({"paid": 2}));
}

#[test]
fn events_behind_a_parked_event_of_their_order_wait_and_other_orders_do_not() {
    let reports = prepared(&[placed(1, "2026-01-02", &LINES), placed(2, "2026-01-02", &LINES)]);
    let _ = paid(1, 175).event(&reports).failing(Fault::Statement(1)).deliver().parked("disk I/O error");
    let _ = shipped(1).deliver(&reports).parked("");
    // The other log knows nothing of it.
    let _ = reserved(1).deliver(&reports).consumed();
    take(&reports, [&paid(2, 175)]);
    assert_eq!(statuses(&reports), json!({"reserved": 1, "paid": 2}));
    reports.advance(Duration::from_secs(1));
    assert_eq!(statuses(&reports), json!({"paid": 2, "shipped": 1}));
    assert!(reports.parked().is_empty());
    assert_eq!(super::report(&reports, "revenue")["total"], json!("5.25"));
}

#[test]
fn a_commit_that_fails_once_takes_effect_once() {
    for (before, said) in cases() {
        let reports = prepared(&before);
        take(&reports, [&said]);
        let expected = everything(&reports);
        let reports = prepared(&before);
        let _ = said.event(&reports).failing(Fault::CommitOnce).deliver().consumed();
        reports.advance(Duration::from_secs(1));
        assert_eq!(everything(&reports), expected, "{said:?}");
    }
}

#[test]
fn a_report_whose_database_fails_is_500() {
    let reports = prepared(&[]);
    for path in ["revenue", "best-sellers", "orders-by-status"] {
        let answer = ask(&reports, path).send().status(200);
        for call in 1..=answer.database_calls() {
            let failed = ask(&reports, path).failing(Fault::Statement(call)).send();
            let _ = failed.problem(500, "internal");
        }
        let _ = ask(&reports, path).send().status(200).body(answer.json());
    }
}
