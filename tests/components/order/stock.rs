//! What the product service makes of an order: `product.stock-reserved` and `product.stock-rejected`.

use bulkhead_testing::{Value, json};

use super::*;

#[test]
fn an_order_with_reserved_stock_is_reserved_and_its_first_attempt_is_recorded() {
    let order = start();
    let id = placed(&order);
    published_before(&order);
    let due = timers(&order).remove(0);
    reserve(&order, &id);
    let now = order.now();
    assert_eq!(stands(&order, &id), ["reserved", "pending", "pending"]);
    assert_eq!(history(&order, &id), ["placed: pending", "stock-reserved: reserved"]);
    assert_eq!(
        order.rows("SELECT * FROM order_payment_attempt"),
        json!([{
            "order_id": id, "attempt": 1, "payment_method": "card", "tries": 0, "outcome": null,
            "recorded_at": now, "decided_at": null,
        }])
    );
    // The gateway is asked once that is committed.
    assert_eq!(order.rows("SELECT * FROM gateway_charge"), json!([]));
    assert_eq!(timers(&order), [["order.payment-attempt".to_owned(), id.clone(), now], due]);
    assert_eq!(order.timers()[0].data, json!({"order_id": id, "attempt": 1}));
    // It is the service's own matter until it is paid.
    order.expect_published(json!([]));
}

#[test]
fn an_order_without_enough_stock_is_rejected_and_its_payment_voided() {
    let order = start();
    let id = placed(&order);
    published_before(&order);
    reject(&order, &id);
    let now = order.now();
    assert_eq!(stands(&order, &id), ["rejected", "voided", "cancelled"]);
    assert_eq!(history(&order, &id), ["placed: pending", "stock-rejected: rejected"]);
    assert_eq!(read(&order, &id)["updated_at"], now);
    order.expect_published(json!([{
        "type": "order.rejected",
        "subject": id,
        "data": {"id": id, "user_id": ADA, "shortages": shortages()},
    }]));
    assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": null}]));
    assert_eq!(order.rows("SELECT * FROM gateway_charge"), json!([]));
}

#[test]
fn a_duplicate_stock_event_takes_effect_once() {
    for (kind, last) in [("product.stock-reserved", "reserved"), ("product.stock-rejected", "rejected")] {
        let order = start();
        let id = placed(&order);
        published_before(&order);
        let mut data = reserved_data(&id);
        data["shortages"] = shortages();
        let _ = order.event(kind).subject(&id).data(&data).deliver_twice().consumed();
        // And once more by another event.
        let _ = order.event(kind).subject(&id).data(&data).deliver().consumed();
        assert_eq!(stands(&order, &id)[0], last);
        assert_eq!(history(&order, &id).len(), 2);
        assert_eq!(published(&order).len(), usize::from(last == "rejected"));
        // The one for the whole payment and the one for an attempt; an order that is rejected waits for neither.
        assert_eq!(timers(&order).len(), if last == "reserved" { 2 } else { 0 });
    }
}

#[test]
fn the_first_of_two_stock_events_counts() {
    let order = start();
    let [one, two] = [(); 2].map(|()| placed(&order));
    reserve(&order, &one);
    reject(&order, &one);
    reject(&order, &two);
    reserve(&order, &two);
    assert_eq!([&one, &two].map(|id| stands(&order, id)[0].clone()), ["reserved", "rejected"]);
}

#[test]
fn a_stock_event_about_an_unknown_order_is_rejected() {
    let order = start();
    let before = kept(&order);
    for kind in ["product.stock-reserved", "product.stock-rejected"] {
        let mut data = reserved_data(UNKNOWN);
        data["shortages"] = shortages();
        let event = order.event(kind).subject(UNKNOWN).data(data);
        let _ = event.deliver().rejected(&format!("there is no order {UNKNOWN}: it is not this service's"));
    }
    assert_eq!(kept(&order), before);
    assert_eq!(order.dead_letters().len(), 2);
}

#[test]
fn a_malformed_stock_event_is_rejected_and_the_next_is_consumed() {
    let order = start();
    let id = placed(&order);
    published_before(&order);
    let before = kept(&order);
    let mut subjects = 0;
    for kind in ["product.stock-reserved", "product.stock-rejected"] {
        for data in ["{", "null", "[]", "{}", "{\"order_id\": 7, \"items\": [], \"shortages\": []}"] {
            subjects += 1;
            let event = order.event(kind).subject(format!("subject-{subjects}")).raw(data);
            let _ = event.deliver().rejected("the data are not what this type has");
        }
        for missing in ["items", "shortages"] {
            let mut data = reserved_data(&id);
            data["shortages"] = shortages();
            data.as_object_mut().expect("members").remove(missing);
            if kind.ends_with("reserved") == (missing == "items") {
                subjects += 1;
                let event = order.event(kind).subject(format!("subject-{subjects}")).data(data);
                let _ = event.deliver().rejected(missing);
            }
        }
    }
    assert_eq!(kept(&order), before);
    order.expect_published(Value::Array(vec![]));
    reserve(&order, &id);
    assert_eq!(stands(&order, &id)[0], "reserved");
}
