//! `POST /orders`: what it makes, what it costs, for whom and when.

use bulkhead_testing::{Service, Value, json};

use super::*;

#[test]
fn a_placed_order_is_answered_in_full_with_its_location() {
    let order = start();
    let answer = ordering(&order, &basket()).send().status(201);
    let id = answer.text_of("id");
    let answer =
        answer.header("location", &format!("/orders/{id}")).header("content-type", "application/json");
    insta::assert_json_snapshot!(answer.snapshot());
    let read = customer(order.get(format!("/orders/{id}")), ADA).send().status(200);
    assert_eq!(read.bytes(), answer.bytes(), "what was made is what is read");
    assert_eq!(read.header_value("etag"), answer.header_value("etag"));
}

#[test]
fn each_row_of_an_order_is_stored_once() {
    let order = start();
    let _ = ordering(&order, &basket()).send().status(201);
    insta::assert_json_snapshot!(kept(&order));
}

#[test]
fn the_order_placed_event_has_the_lines_in_order_and_no_address_or_payment() {
    let order = start();
    let placed = ordering(&order, &basket()).send().status(201).json();
    order.expect_published(json!([{
        "type": "order.placed",
        "subject": placed["id"],
        "data": {
            "id": placed["id"],
            "order_number": "2026-000001",
            "user_id": ADA,
            "items": [
                {"product_id": POTATOES, "quantity": 3, "unit_price": "0.25"},
                {"product_id": LEEKS, "quantity": 2, "unit_price": "19.99"},
            ],
            "total_amount": "40.73",
            "placed_at": placed["created_at"],
        },
    }]));
}

#[test]
fn an_order_must_be_paid_within_15_minutes() {
    let order = start();
    let id = placed(&order);
    let due = later(&order.now(), TIME_TO_PAY);
    assert_eq!(timers(&order), [["order.payment-due".to_owned(), id.clone(), due.clone()]]);
    assert_eq!(order.timers()[0].data, json!({"order_id": id}));
    assert_eq!(order.rows("SELECT payment_due_at FROM \"order\""), json!([{"payment_due_at": due}]));
}

#[test]
fn the_manifest_sets_the_payment_timeout() {
    let order = with_replicas(
        Service::with("order").config("order", "payment_timeout", "2h 1ms").start().service("order"),
    );
    let id = placed(&order);
    let due = later(&order.now(), Duration::from_secs(7200) + MILLISECOND);
    assert_eq!(timers(&order), [["order.payment-due".to_owned(), id, due]]);
}

#[test]
fn the_token_is_stored_and_never_disclosed() {
    let order = start();
    let body = body_with(&[(LEEKS, 1)], json!({"payment": payment("tok_hush")}));
    let answer = ordering(&order, &body).send().status(201);
    assert!(!answer.text().contains("tok_hush"), "{}", answer.text());
    let event_data = order.published().remove(0).data.to_string();
    assert!(
        !event_data.contains("tok_hush") && !event_data.contains("Quay") && !event_data.contains("Lovelace"),
        "{event_data}"
    );
    assert_eq!(order.rows("SELECT token FROM order_payment"), json!([{"token": "tok_hush"}]));
}

/// What these cost: the subtotals, and the total twice, as what is to be paid as well.
#[track_caller]
fn costs(order: &Service, items: &[(&str, i64)]) -> (Vec<String>, String) {
    let placed = ordering(order, &body(items)).send().status(201).json();
    let text = |value: &Value| value.as_str().expect("an amount").to_owned();
    assert_eq!(placed["payment"]["amount"], placed["total_amount"]);
    let event_data = order.published().remove(0).data;
    assert_eq!(event_data["total_amount"], placed["total_amount"]);
    let items = placed["items"].as_array().expect("items");
    (items.iter().map(|item| text(&item["subtotal"])).collect(), text(&placed["total_amount"]))
}

#[test]
fn the_total_is_the_exact_sum_of_prices_times_quantities() {
    let order = start();
    for (price, quantity, subtotal, total) in [
        ("0.00", 10_000, "0.00", "0.25"),
        ("0.01", 1, "0.01", "0.26"),
        ("0.10", 3, "0.30", "0.55"),
        ("0.29", 100, "29.00", "29.25"),
        ("1.15", 3, "3.45", "3.70"),
        ("19.99", 3, "59.97", "60.22"),
        ("1.10", 10_000, "11000.00", "11000.25"),
        ("4503599.63", 2, "9007199.26", "9007199.51"),
        ("9999999.74", 1, "9999999.74", "9999999.99"),
    ] {
        product_changed(&order, LEEKS, "Leeks", price);
        let found = costs(&order, &[(LEEKS, quantity), (POTATOES, 1)]);
        assert_eq!(found, (vec![subtotal.to_owned(), "0.25".to_owned()], total.to_owned()), "{price}");
    }
}

#[test]
fn an_order_costs_9999999_99_at_most() {
    let order = start();
    product_changed(&order, LEEKS, "Leeks", "9999999.75");
    let before = kept(&order);
    for items in [&[(LEEKS, 1), (POTATOES, 1)][..], &[(LEEKS, 2)], &[(LEEKS, 10_000)]] {
        let answer = ordering(&order, &body(items)).send().problem(422, "invalid");
        let _ = answer.includes(json!({"errors": [
            {"field": "items", "message": "must cost 9999999.99 at most, all together"},
        ]}));
    }
    assert_eq!((kept(&order), published(&order)), (before, vec![]));
    product_changed(&order, LEEKS, "Leeks", "9999999.74");
    assert_eq!(costs(&order, &[(LEEKS, 1), (POTATOES, 1)]).1, "9999999.99");
}

#[test]
fn the_quantity_of_each_product_is_1_to_10000() {
    let order = start();
    for (quantity, total) in [(1, "0.25"), (10_000, "2500.00")] {
        assert_eq!(costs(&order, &[(POTATOES, quantity)]).1, total);
    }
    for quantity in [0, 10_001, -1] {
        let answer = ordering(&order, &body(&[(POTATOES, quantity)])).send().problem(422, "invalid");
        let _ = answer.includes(json!({"errors": [
            {"field": "items[0].quantity", "message": "must be a whole number from 1 to 10000"},
        ]}));
    }
}

#[test]
fn an_order_has_1_to_200_items() {
    let order = start();
    let ids: Vec<String> =
        (0..201).map(|number| format!("0198f3a1-7c3e-7d52-8a07-000000010{number:03}")).collect();
    ids.iter().for_each(|id| product_changed(&order, id, "Peas", "0.01"));
    let items: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    assert_eq!(costs(&order, &items[..200]).1, "2.00");
    for items in [&items[..], &[]] {
        let _ = ordering(&order, &body(items)).send().problem(422, "invalid").names_field("items");
    }
}

#[test]
fn the_price_is_fixed_when_the_order_is_placed() {
    let order = start();
    let id = placed(&order);
    product_changed(&order, LEEKS, "Leeks", "1.00");
    let _ = admin(order.get(format!("/orders/{id}"))).send().status(200).includes(json!({
        "total_amount": "40.73",
        "items": [{"unit_price": "0.25", "subtotal": "0.75"}, {"unit_price": "19.99", "subtotal": "39.98"}],
    }));
    assert_eq!(costs_after(&order), "2.75");
}

#[track_caller]
fn costs_after(order: &Service) -> String {
    ordering(order, &basket()).send().status(201).text_of("total_amount")
}

#[test]
fn an_unexpected_total_is_reported_and_nothing_is_ordered() {
    let order = start();
    let with = |expected: &str| body_with(&[(POTATOES, 3), (LEEKS, 2)], json!({"expected_total": expected}));
    let before = kept(&order);
    for expected in ["40.72", "40.74", "0.00", "9999999.99"] {
        let answer = ordering(&order, &with(expected)).send().problem(409, "price-changed");
        let _ = answer.includes(json!({"constraint": "order.total_amount", "total_amount": "40.73"}));
    }
    assert_eq!((kept(&order), published(&order)), (before, vec![]));
    let _ = ordering(&order, &with("40.73")).send().status(201).includes(json!({"total_amount": "40.73"}));
}

#[test]
fn a_customer_can_order_before_the_service_knows_them() {
    let order = start();
    let answer = customer(order.post("/orders"), UNKNOWN).json(basket()).send().status(201);
    let _ = answer.includes(json!({"user_id_ref": UNKNOWN}));
}

#[test]
fn order_numbers_count_the_orders_of_a_year() {
    let order = start();
    let at = |time: &str| {
        let body = body_with(&[(LEEKS, 1)], json!({"user_id": ADA, "ordered_at": time}));
        admin(order.post("/orders")).json(body).send().status(201).text_of("order_number")
    };
    assert_eq!(at("2017-01-01T11:53:26Z"), "2017-000001");
    assert_eq!(at("2017-12-31T23:59:59.999Z"), "2017-000002");
    assert_eq!(at("2018-01-01T00:00:00Z"), "2018-000001");
    assert_eq!(ordering(&order, &basket()).send().text_of("order_number"), "2026-000001");
    assert_eq!(at("2017-06-01T00:00:00Z"), "2017-000003");
    assert_eq!(ordering(&order, &basket()).send().text_of("order_number"), "2026-000002");
    // What is refused takes none.
    let _ = ordering(&order, &body(&[(UNKNOWN, 1)])).send().problem(409, "unknown-product");
    assert_eq!(ordering(&order, &basket()).send().text_of("order_number"), "2026-000003");
}

#[test]
fn an_admin_orders_for_a_customer_at_a_past_time_with_the_full_payment_timeout() {
    let order = start();
    let time = "2017-01-01T11:53:26.789Z";
    let body = body_with(&[(LEEKS, 1)], json!({"user_id": BO, "ordered_at": time}));
    let placed = admin(order.post("/orders")).json(body).send().status(201);
    let id = placed.text_of("id");
    let _ = placed.includes(json!({"user_id_ref": BO, "created_at": time, "updated_at": order.now()}));
    let event_data = order.published().remove(0).data;
    assert_eq!((&event_data["user_id"], &event_data["placed_at"]), (&json!(BO), &json!(time)));
    let due = later(&order.now(), TIME_TO_PAY);
    assert_eq!(timers(&order), [["order.payment-due".to_owned(), id.clone(), due]]);
    let _ = customer(order.get(format!("/orders/{id}/history")), BO).send().status(200).body(json!({
        "items": [{"status": "pending", "at": time, "cause": "placed"}],
        "next_cursor": null,
    }));
}

#[test]
fn an_admins_time_may_have_any_offset_and_is_answered_in_utc() {
    let order = start();
    for (time, utc) in [
        ("2017-01-01T11:53:26+00:00", "2017-01-01T11:53:26.000Z"),
        ("2017-01-01T11:53:26-00:00", "2017-01-01T11:53:26.000Z"),
        ("2017-01-01t06:23:26.7891234-05:30", "2017-01-01T11:53:26.789Z"),
        // A year's number is that of the year in UTC.
        ("2017-01-01T00:30:00+01:00", "2016-12-31T23:30:00.000Z"),
        ("2016-12-31T23:59:60z", "2016-12-31T23:59:59.999Z"),
    ] {
        let body = body_with(&[(LEEKS, 1)], json!({"user_id": ADA, "ordered_at": time}));
        let placed = admin(order.post("/orders")).json(body).send().status(201);
        assert!(placed.text_of("order_number").starts_with(&utc[..4]), "{time}");
        let id = placed.includes(json!({"created_at": utc})).text_of("id");
        let read = customer(order.get(format!("/orders/{id}")), ADA).send().status(200);
        let _ = read.includes(json!({"created_at": utc}));
        let history = customer(order.get(format!("/orders/{id}/history")), ADA).send().status(200).json();
        assert_eq!(history["items"][0]["at"], utc);
        assert_eq!(order.published().remove(0).data["placed_at"], utc);
    }
    for time in
        ["2017-01-01T11:53:26", "2017-01-01 11:53:26Z", "2017-01-01T11:53:26+24:00", "2017-01-01T11:53:60Z"]
    {
        let body = body_with(&[(LEEKS, 1)], json!({"user_id": ADA, "ordered_at": time}));
        let answer = admin(order.post("/orders")).json(body).send();
        let _ = answer.problem(422, "invalid").names_field("ordered_at");
    }
}

#[test]
fn an_admin_must_name_the_user_and_cannot_order_in_the_future() {
    let order = start();
    let send = |changes: Value| admin(order.post("/orders")).json(body_with(&[(LEEKS, 1)], changes)).send();
    let _ = send(json!({})).problem(422, "invalid").names_field("user_id");
    let now = later(&order.now(), MILLISECOND);
    let _ = send(json!({"user_id": ADA, "ordered_at": now})).status(201).includes(json!({"created_at": now}));
    let next = later(&order.now(), MILLISECOND * 2);
    let _ =
        send(json!({"user_id": ADA, "ordered_at": next})).problem(422, "invalid").names_field("ordered_at");
}

#[test]
fn a_customer_cannot_set_user_id_or_ordered_at() {
    let order = start();
    let before = kept(&order);
    for changes in
        [json!({"user_id": BO}), json!({"user_id": ADA}), json!({"ordered_at": "2017-01-01T11:53:26Z"})]
    {
        let answer = ordering(&order, &body_with(&[(LEEKS, 1)], changes)).send();
        let _ = answer.problem(403, "forbidden");
    }
    assert_eq!((kept(&order), published(&order)), (before, vec![]));
}
