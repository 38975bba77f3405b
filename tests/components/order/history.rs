//! `GET /orders/{id}/history`: what an order became, when and why.

use bulkhead_testing::{Value, json};

use super::*;

#[test]
fn a_history_lists_each_status_with_time_and_cause() {
    let order = start();
    let mut expected = Vec::new();
    let mut note = |status: &str, cause: &str| {
        expected.push(json!({"status": status, "at": order.now(), "cause": cause}));
    };
    let id = placed_with(&order, "tok_declined");
    note("pending", "placed");
    reserve(&order, &id);
    note("reserved", "stock-reserved");
    run_due_timers(&order);
    note("reserved", "payment-declined");
    let _ = done(&order, &id, "payment");
    note("paid", "payment-captured");
    let _ = done(&order, &id, "ship");
    note("shipped", "shipped");
    let _ = done(&order, &id, "deliver");
    note("delivered", "delivered");
    let expected = json!({"items": expected, "next_cursor": null});
    for request in [
        customer(order.get(format!("/orders/{id}/history")), ADA),
        admin(order.get(format!("/orders/{id}/history"))),
    ] {
        let _ = request.send().status(200).body(&expected);
    }
}

#[test]
fn each_final_status_has_its_cause() {
    let order = start();
    let [rejected, cancelled, late] =
        ["rejected", "cancelled", "reserved"].map(|status| standing(&order, status));
    order.advance(TIME_TO_PAY);
    let gone = paid(&order);
    user_deleted(&order, ADA);
    for (id, last) in [
        (&rejected, "stock-rejected: rejected"),
        (&cancelled, "cancelled: cancelled"),
        (&late, "payment-overdue: cancelled"),
        (&gone, "user-deleted: cancelled"),
    ] {
        assert_eq!(history(&order, id).last().expect("an entry"), last);
    }
    assert_eq!(history(&order, &rejected), ["placed: pending", "stock-rejected: rejected"]);
}

#[test]
fn a_history_is_read_page_by_page() {
    let order = start();
    let [id, other] = [(); 2].map(|()| standing(&order, "delivered"));
    let whole = history(&order, &id);
    assert_eq!(whole.len(), 5);
    for limit in 1..=6 {
        let (mut found, mut cursor) = (Vec::new(), None::<Value>);
        loop {
            let mut request = admin(order.get(format!("/orders/{id}/history"))).query("limit", limit);
            if let Some(cursor) = &cursor {
                request = request.query("cursor", cursor.as_str().expect("a cursor"));
            }
            let page = request.send().status(200).json();
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= limit);
            found.extend(items.iter().map(|entry| {
                format!(
                    "{}: {}",
                    entry["cause"].as_str().unwrap_or(""),
                    entry["status"].as_str().unwrap_or("")
                )
            }));
            if page["next_cursor"].is_null() {
                break;
            }
            assert_eq!(items.len(), limit);
            cursor = Some(page["next_cursor"].clone());
        }
        assert_eq!(found, whole, "{limit}");
    }
    let page = admin(order.get(format!("/orders/{id}/history?limit=1"))).send().json();
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let answer = admin(order.get(format!("/orders/{other}/history"))).query("cursor", cursor).send();
    let _ = answer.problem(422, "invalid").names_field("cursor");
}

#[test]
fn a_history_accepts_a_limit_from_1_to_200() {
    let order = start();
    let id = placed(&order);
    for limit in ["0", "201", "x"] {
        let answer = admin(order.get(format!("/orders/{id}/history?limit={limit}"))).send();
        let _ = answer.problem(422, "invalid").names_field("limit");
    }
    let _ = admin(order.get(format!("/orders/{id}/history?limit=200"))).send().status(200);
}
