//! `user.deleted`: what is not shipped is cancelled and refunded, and no order says any more whose it was or where it went.

use bulkhead_testing::{Service, json};

use super::*;

/// More than are forgotten in one unit of work.
const MANY: usize = 205;

#[test]
fn orders_that_are_not_shipped_are_cancelled_and_refunded() {
    for (status, expected) in [
        ("pending", ["cancelled", "voided", "cancelled"]),
        ("reserved", ["cancelled", "voided", "cancelled"]),
        ("paid", ["cancelled", "refunded", "cancelled"]),
    ] {
        let order = start();
        let id = standing(&order, status);
        published_before(&order);
        user_deleted(&order, ADA);
        assert_eq!(stands(&order, &id), expected, "{status}");
        order.expect_published(json!([{
            "type": "order.cancelled",
            "subject": id,
            "data": {"id": id, "user_id": ADA, "reason": "user-deleted"},
        }]));
        assert_eq!(history(&order, &id).last().expect("an entry"), "user-deleted: cancelled");
        let open = order.rows("SELECT * FROM gateway_charge WHERE state IN ('open', 'captured')");
        assert_eq!(open, json!([]), "{status}");
        assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
    }
}

#[test]
fn orders_that_are_shipped_or_have_ended_stay_unchanged() {
    for status in ["shipped", "delivered", "rejected", "cancelled"] {
        let order = start();
        let id = standing(&order, status);
        let (before, entries) = (stands(&order, &id), history(&order, &id));
        published_before(&order);
        user_deleted(&order, ADA);
        assert_eq!((stands(&order, &id), history(&order, &id)), (before, entries), "{status}");
        order.expect_published(json!([]));
    }
}

#[test]
fn no_order_keeps_its_customer_or_address() {
    for status in STATUSES {
        let order = start();
        let id = standing(&order, status);
        let bos = customer(order.post("/orders"), BO).json(basket()).send().status(201);
        user_deleted(&order, ADA);
        let now = order.now();
        let shipped = matches!(status, "shipped" | "delivered");
        let carrier = if shipped { json!("Royal Mail") } else { json!(null) };
        let _ = admin(order.get(format!("/orders/{id}"))).send().status(200).includes(json!({
            "user_id_ref": null, "updated_at": now, "total_amount": "40.73",
            "shipping": {
                "recipient_name": null, "address_line1": null, "address_line2": null, "city": null, "state": null,
                "postal_code": null, "country": null, "carrier": carrier, "tracking_number": null,
            },
        }));
        // Another's is as it was.
        assert_eq!(read(&order, &bos.text_of("id")), bos.json());
        let _ = customer(order.get(format!("/orders/{id}")), ADA).send().problem(404, "not-found");
        let _ = customer(order.get("/orders"), ADA).send().status(200).includes(json!({"items": []}));
    }
}

#[test]
fn a_deleted_user_is_recorded_once() {
    let order = start();
    let event = order.event("user.deleted").subject(ADA).data(json!({"id": ADA}));
    let _ = event.deliver_twice().consumed();
    let deleted_at = order.rows("SELECT * FROM deleted_user");
    assert_eq!(deleted_at[0]["user_id_ref"], ADA);
    user_deleted(&order, ADA);
    assert_eq!(order.rows("SELECT * FROM deleted_user"), deleted_at);
}

#[test]
fn a_duplicate_deletion_takes_effect_once() {
    let order = start();
    let id = paid(&order);
    published_before(&order);
    user_deleted(&order, ADA);
    let before = kept(&order);
    user_deleted(&order, ADA);
    assert_eq!(kept(&order), before);
    assert_eq!(published(&order), ["order.cancelled"]);
    assert_eq!(history(&order, &id).len(), 4);
}

#[test]
fn a_user_without_orders_is_deleted_as_well() {
    let order = start();
    user_deleted(&order, UNKNOWN);
    assert_eq!(order.rows("SELECT user_id_ref FROM deleted_user"), json!([{"user_id_ref": UNKNOWN}]));
    assert!(timers(&order).is_empty());
}

#[test]
fn a_stock_event_that_arrives_after_the_deletion_changes_nothing() {
    let order = start();
    let id = placed(&order);
    user_deleted(&order, ADA);
    published_before(&order);
    let before = kept(&order);
    reserve(&order, &id);
    assert_eq!(kept(&order), before);
    order.expect_published(json!([]));
}

/// How many orders still say whose they are, and how many are cancelled.
#[track_caller]
fn left(order: &Service) -> [usize; 2] {
    let count = |condition: &str| {
        let rows = order.rows(&format!("SELECT id FROM \"order\" WHERE {condition}"));
        rows.as_array().expect("rows").len()
    };
    [count("user_id_ref IS NOT NULL"), count("status = 'cancelled'")]
}

#[test]
fn many_orders_are_forgotten_100_at_a_time() {
    let order = start();
    let ids: Vec<String> = (0..MANY).map(|_| placed(&order)).collect();
    published_before(&order);
    user_deleted(&order, ADA);
    assert_eq!(left(&order), [MANY - 100, 100]);
    let timer = order.timers().into_iter().find(|timer| timer.kind == "order.forget-user").expect("a timer");
    assert_eq!((timer.subject.as_str(), timer.data, timer.due), (ADA, json!({"user_id": ADA}), order.now()));
    run_due_timers(&order);
    assert_eq!(left(&order), [0, MANY]);
    // The oldest first, each told once.
    let subjects: Vec<String> = order.published().into_iter().map(|event| event.subject).collect();
    assert_eq!(subjects, ids);
    assert!(timers(&order).iter().all(|[kind, ..]| kind != "order.forget-user"));
}

#[test]
fn exactly_100_orders_need_a_second_pass_and_99_do_not() {
    for (count, waiting) in [(99, 0), (100, 1)] {
        let order = start();
        (0..count).for_each(|_| drop(placed(&order)));
        user_deleted(&order, ADA);
        assert_eq!(left(&order), [0, count]);
        let timers = timers(&order);
        assert_eq!(timers.iter().filter(|[kind, ..]| kind == "order.forget-user").count(), waiting);
        run_due_timers(&order);
        assert_eq!(left(&order), [0, count]);
    }
}

#[test]
fn a_user_cannot_order_while_their_orders_are_forgotten() {
    let order = start();
    (0..101).for_each(|_| drop(placed(&order)));
    user_deleted(&order, ADA);
    let _ = ordering(&order, &basket()).send().problem(409, "unknown-user");
}

#[test]
fn a_stored_answer_for_a_key_of_the_user_is_deleted() {
    let order = start();
    let send = || ordering(&order, &basket()).idempotency_key("k").send();
    let first = send().status(201).replayed(false);
    let _ = send().status(201).replayed(true).body(first.json());
    user_deleted(&order, ADA);
    let _ = send().problem(409, "unknown-user").replayed(false);
}

#[test]
fn a_stored_answer_to_an_admin_on_behalf_of_the_user_is_deleted() {
    let order = start();
    let body = body_with(&[(LEEKS, 1)], json!({"user_id": ADA}));
    let send = || admin(order.post("/orders")).json(&body).idempotency_key("k").send();
    let _ = send().status(201).replayed(false);
    let _ = send().status(201).replayed(true);
    user_deleted(&order, ADA);
    let _ = send().problem(409, "unknown-user").replayed(false);
}

#[test]
fn a_deletion_that_is_malformed_is_rejected() {
    let order = start();
    let id = placed(&order);
    let before = kept(&order);
    for (number, data) in ["{", "{}", "{\"id\": 7}", "{\"id\": \"me\"}"].into_iter().enumerate() {
        let event = order.event("user.deleted").subject(format!("subject-{number}")).raw(data);
        let _ = event.deliver().rejected("");
    }
    assert_eq!(kept(&order), before);
    assert_eq!(stands(&order, &id)[0], "pending");
}
