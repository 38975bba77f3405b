//! What fails leaves nothing half done: each database call in turn, the commit, and room that runs out. Whatever failed works the next
//! time.

use bulkhead_testing::{Fault, Service, Value, json};

use super::*;

/// What writes, by its name: from which status it starts, and to which it leads.
const WRITES: [(&str, &str, &str); 6] = [
    ("place", "", "pending"),
    ("cancel", "paid", "cancelled"),
    ("cancel", "reserved", "cancelled"),
    ("payment", "reserved", "paid"),
    ("ship", "paid", "shipped"),
    ("deliver", "shipped", "delivered"),
];

/// The service with an order that stands so, and a request that writes.
#[track_caller]
fn before(what: &str, status: &str) -> (Service, String) {
    let order = start();
    let id = if what == "place" { String::new() } else { standing(&order, status) };
    published_before(&order);
    (order, id)
}

fn write(order: &Service, id: &str, what: &str) -> Request {
    if what == "place" { ordering(order, &basket()) } else { doing(order, id, what) }
}

/// A write that meets this is told so, keeps nothing and tells nobody; the next one works.
#[track_caller]
fn fails((what, from, to): (&str, &str, &str), fault: Fault, (status, code): (u16, &str)) {
    let (order, id) = before(what, from);
    let kept_before = kept(&order);
    let _ = write(&order, &id, what).failing(fault).send().problem(status, code);
    assert_eq!(kept(&order), kept_before, "{what} {fault:?}");
    order.expect_published(json!([]));
    let answer = write(&order, &id, what).send();
    let _ = answer.includes(json!({"status": to}));
    assert!(published(&order).len() == 1, "{what} {fault:?}");
}

#[test]
fn a_write_with_any_failed_statement_leaves_nothing() {
    for case in WRITES {
        let (order, id) = before(case.0, case.1);
        let calls = write(&order, &id, case.0).send().database_calls();
        assert!(calls >= 5, "{}: {calls}", case.0);
        for call in 1..=calls {
            fails(case, Fault::Statement(call), (500, "internal"));
            fails(case, Fault::StatementBusy(call), (503, "unavailable"));
        }
    }
}

#[test]
fn a_write_whose_commit_fails_is_503_and_leaves_nothing() {
    for case in WRITES {
        fails(case, Fault::Commit, (503, "unavailable"));
    }
}

#[test]
fn a_write_to_a_full_database_is_507_and_leaves_nothing() {
    for case in WRITES {
        fails(case, Fault::StorageFull(1), (507, "storage-full"));
        // The last call publishes, or sets a timer.
        let (order, id) = before(case.0, case.1);
        let calls = write(&order, &id, case.0).send().database_calls();
        fails(case, Fault::StorageFull(calls), (507, "storage-full"));
    }
}

#[test]
fn a_write_whose_commit_fails_once_takes_effect_once() {
    for (what, from, to) in WRITES {
        let (order, id) = before(what, from);
        let answer = write(&order, &id, what).failing(Fault::CommitOnce).send();
        let _ = answer.includes(json!({"status": to}));
        assert_eq!(published(&order).len(), 1, "{what}");
    }
}

#[test]
fn a_read_with_any_failed_statement_is_5xx_and_the_next_read_works() {
    let order = start();
    let id = placed(&order);
    for path in [
        "/orders".to_owned(),
        format!("/orders/{id}"),
        "/orders/by-number/2026-000001".to_owned(),
        format!("/orders/{id}/history"),
    ] {
        let expected = admin(order.get(&path)).send().status(200);
        for call in 1..=expected.database_calls() {
            let answer = admin(order.get(&path)).failing(Fault::Statement(call)).send();
            let _ = answer.problem(500, "internal");
            let _ = admin(order.get(&path)).send().status(200).body(expected.json());
        }
    }
}

/// An event of another service.
#[derive(Clone, Copy)]
struct Case {
    kind: &'static str,
    /// How an order stands before it and after it, and what it tells.
    from: &'static str,
    to: &'static str,
    publishes: &'static [&'static str],
}

const EVENTS: [Case; 4] = [
    Case { kind: "product.stock-reserved", from: "pending", to: "reserved", publishes: &[] },
    Case { kind: "product.stock-rejected", from: "pending", to: "rejected", publishes: &["order.rejected"] },
    Case { kind: "user.deleted", from: "paid", to: "cancelled", publishes: &["order.cancelled"] },
    Case { kind: "product.changed", from: "pending", to: "pending", publishes: &[] },
];

impl Case {
    /// The event, with what fails.
    fn event(self, order: &Service, id: &str) -> bulkhead_testing::Event {
        let (subject, data) = match self.kind {
            "product.stock-reserved" => (id, reserved_data(id)),
            "product.stock-rejected" => (id, json!({"order_id": id, "shortages": shortages()})),
            "user.deleted" => (ADA, json!({"id": ADA})),
            _ => {
                let data = json!({"name": "Onions", "price": "1.00", "sku": "1", "category_id": UNKNOWN});
                (LEEKS, with_id(data, LEEKS))
            }
        };
        order.event(self.kind).subject(subject).data(data)
    }

    /// It took effect, once.
    #[track_caller]
    fn is_done(self, order: &Service, id: &str) {
        let found = read(order, id);
        assert_eq!(found["status"], self.to, "{}", self.kind);
        if self.kind == "product.changed" {
            assert_eq!(found["items"][1]["product_name"], "Onions");
        }
        assert_eq!(published(order), self.publishes, "{}", self.kind);
        assert!(order.parked().is_empty() && order.dead_letters().is_empty());
    }
}

fn with_id(mut data: Value, id: &str) -> Value {
    data["id"] = json!(id);
    data
}

#[test]
fn an_event_with_any_failed_statement_leaves_nothing_and_is_consumed_later() {
    for case in EVENTS {
        let (order, id) = before(case.kind, case.from);
        let _ = case.event(&order, &id).deliver().consumed();
        let calls = order.database_calls();
        case.is_done(&order, &id);
        assert!(calls >= 1, "{}", case.kind);
        for call in 1..=calls {
            let (order, id) = before(case.kind, case.from);
            let kept_before = kept(&order);
            let _ = case.event(&order, &id).failing(Fault::Statement(call)).deliver().parked("");
            assert_eq!(kept(&order), kept_before, "{} {call}", case.kind);
            order.expect_published(json!([]));
            // Before the time to pay is over, and long enough for one more attempt.
            order.advance(Duration::from_secs(1));
            if case.kind == "product.stock-reserved" {
                // It is paid in that time as well.
                assert_eq!(stands(&order, &id)[0], "paid");
                assert_eq!(published(&order), ["order.paid"]);
            } else {
                case.is_done(&order, &id);
            }
        }
    }
}

#[test]
fn an_event_whose_commit_fails_once_takes_effect_once() {
    for case in EVENTS {
        let (order, id) = before(case.kind, case.from);
        let _ = case.event(&order, &id).failing(Fault::CommitOnce).deliver().consumed();
        case.is_done(&order, &id);
    }
}

/// Has each database call of a timer that is due fail in turn: nothing of it is left, and then it is taken.
#[track_caller]
fn timer_fails(wait: Duration, make: impl Fn(&Service) -> String, done: impl Fn(&Service, &str)) {
    let ready = || {
        let order = start();
        let id = make(&order);
        published_before(&order);
        (order, id)
    };
    let (order, id) = ready();
    order.advance(wait);
    let calls = order.database_calls();
    assert!(calls >= 3, "{calls}");
    done(&order, &id);
    for call in 1..=calls {
        let (order, id) = ready();
        let rows = kept(&order)["tables"].clone();
        order.advance_failing(wait, Fault::Statement(call));
        assert_eq!(kept(&order)["tables"], rows, "{call}");
        order.expect_published(json!([]));
        order.advance(Duration::from_secs(1));
        assert!(order.parked().is_empty() && order.dead_letters().is_empty());
        done(&order, &id);
    }
}

#[test]
fn a_payment_attempt_with_any_failed_statement_captures_nothing_and_the_next_captures_once() {
    timer_fails(
        Duration::ZERO,
        |order| reserved_with(order, "tok_ok"),
        |order, id| {
            assert_eq!(stands(order, id), ["paid", "captured", "pending"]);
            assert_eq!(published(order), ["order.paid"]);
            assert_eq!(
                order.rows("SELECT attempt, state FROM gateway_charge"),
                json!([{"attempt": 1, "state": "captured"}])
            );
            assert_eq!(order.rows("SELECT tries FROM order_payment_attempt"), json!([{"tries": 1}]));
        },
    );
}

#[test]
fn a_decline_with_any_failed_statement_leaves_nothing() {
    timer_fails(
        Duration::ZERO,
        |order| reserved_with(order, "tok_declined"),
        |order, id| {
            assert_eq!(stands(order, id), ["reserved", "declined", "pending"]);
            assert_eq!(published(order), Vec::<String>::new());
            assert_eq!(history(order, id).len(), 3);
        },
    );
}

#[test]
fn a_payment_timeout_with_any_failed_statement_leaves_nothing() {
    timer_fails(TIME_TO_PAY, declined, |order, id| {
        assert_eq!(stands(order, id), ["cancelled", "voided", "cancelled"]);
        assert_eq!(published(order), ["order.cancelled"]);
        assert_eq!(history(order, id).last().map(String::as_str), Some("payment-overdue: cancelled"));
    });
}
