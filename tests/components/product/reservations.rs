//! The stock of orders: set aside whole or not at all, then given back or sold, once, whatever comes and however often.

use bulkhead_testing::{Service, Value, json};

use super::{
    Asks as _, NOBODY, cancel, cancelled, category, everything, order, place, placed, product, reservations,
    ship, shipped, stock,
};

/// A service with products of which there is so much.
#[track_caller]
fn with_stock<const N: usize>(stock: [i64; N]) -> (Service, [String; N]) {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let mut number = 0;
    let ids = stock.map(|stock| {
        number += 1;
        product(&service, &food, &number.to_string(), stock)
    });
    let _ = service.published();
    (service, ids)
}

fn lines(lines: &[(&str, u32)]) -> Value {
    lines.iter().map(|(product, quantity)| json!({"product_id": product, "quantity": quantity})).collect()
}

/// What is published of an order's stock.
fn stock_event(kind: &str, order: &str, items: &[(&str, u32)]) -> Value {
    json!([{"type": kind, "subject": order, "data": {"order_id": order, "items": lines(items)}}])
}

fn rejected(order: &str, shortages: &Value) -> Value {
    json!([{
        "type": "product.stock-rejected",
        "subject": order,
        "data": {"order_id": order, "shortages": shortages},
    }])
}

#[test]
fn every_item_of_an_order_is_reserved() {
    let (service, [one, other, third]) = with_stock([10, 10, 5]);
    let order = order(1);
    // In the order of the order's lines.
    let items = [(other.as_str(), 10), (one.as_str(), 3)];
    place(&service, &order, &items).consumed();
    let now = service.now();
    service.expect_published(stock_event("product.stock-reserved", &order, &items));
    assert_eq!(stock(&service, &one), [7, 3, 0, 10]);
    assert_eq!(stock(&service, &other), [0, 10, 0, 10]);
    assert_eq!(stock(&service, &third), [5, 0, 0, 5]);
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "reserved"}]));
    assert_eq!(
        service.rows("SELECT * FROM product_reservation ORDER BY quantity"),
        json!([
            {"order_id_ref": order, "product_id": one, "quantity": 3},
            {"order_id_ref": order, "product_id": other, "quantity": 10},
        ])
    );
    service.get(format!("/products/{one}")).send().status(200).includes(json!({
        "stock_quantity": 7,
        "updated_at": now,
    }));
}

#[test]
fn an_order_that_exceeds_the_stock_reserves_nothing_and_every_shortage_is_reported() {
    let (service, [enough, short, none]) = with_stock([10, 10, 0]);
    let order = order(1);
    let before = everything(&service)["product"].clone();
    let items = [(short.as_str(), 11), (enough.as_str(), 10), (NOBODY, 1), (none.as_str(), 2)];
    place(&service, &order, &items).consumed();
    let shortages = json!([
        {"product_id": short, "requested": 11, "available": 10},
        {"product_id": NOBODY, "requested": 1, "available": 0},
        {"product_id": none, "requested": 2, "available": 0},
    ]);
    service.expect_published(rejected(&order, &shortages));
    assert_eq!(everything(&service)["product"], before);
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "rejected"}]));
    assert_eq!(service.rows("SELECT * FROM product_reservation"), json!([]));
}

#[test]
fn an_order_for_the_whole_stock_is_reserved_and_one_more_unit_is_not() {
    let (service, [id]) = with_stock([10]);
    place(&service, &order(1), &[(&id, 11)]).consumed();
    let shortages = json!([{"product_id": id, "requested": 11, "available": 10}]);
    service.expect_published(rejected(&order(1), &shortages));
    place(&service, &order(2), &[(&id, 10)]).consumed();
    service.expect_published(stock_event("product.stock-reserved", &order(2), &[(&id, 10)]));
    place(&service, &order(3), &[(&id, 1)]).consumed();
    let shortages = json!([{"product_id": id, "requested": 1, "available": 0}]);
    service.expect_published(rejected(&order(3), &shortages));
    assert_eq!(stock(&service, &id), [0, 10, 0, 10]);
    assert_eq!(
        reservations(&service),
        json!([
            {"order_id_ref": order(1), "state": "rejected"},
            {"order_id_ref": order(2), "state": "reserved"},
            {"order_id_ref": order(3), "state": "rejected"},
        ])
    );
}

#[test]
fn a_cancelled_order_releases_its_stock() {
    let (service, [one, other]) = with_stock([10, 10]);
    let (kept, gone) = (order(1), order(2));
    place(&service, &kept, &[(&one, 1)]).consumed();
    place(&service, &gone, &[(&other, 4), (&one, 2)]).consumed();
    let _ = service.published();
    cancel(&service, &gone).consumed();
    let now = service.now();
    // By product: those of the test are made in their order.
    service.expect_published(stock_event("product.stock-released", &gone, &[(&one, 2), (&other, 4)]));
    assert_eq!(stock(&service, &one), [9, 1, 0, 10]);
    assert_eq!(stock(&service, &other), [10, 0, 0, 10]);
    assert_eq!(
        reservations(&service),
        json!([{"order_id_ref": kept, "state": "reserved"}, {"order_id_ref": gone, "state": "released"}])
    );
    service.get(format!("/products/{other}")).send().status(200).includes(json!({
        "stock_quantity": 10,
        "updated_at": now,
    }));
    // Somebody else can have it.
    place(&service, &order(3), &[(&other, 10)]).consumed();
    service.expect_published(stock_event("product.stock-reserved", &order(3), &[(&other, 10)]));
}

#[test]
fn a_shipped_order_sells_its_stock() {
    let (service, [one, other]) = with_stock([10, 10]);
    let (kept, gone) = (order(1), order(2));
    place(&service, &kept, &[(&one, 1)]).consumed();
    place(&service, &gone, &[(&one, 2), (&other, 10)]).consumed();
    let updated = service.now();
    let _ = service.published();
    ship(&service, &gone).consumed();
    service.expect_published(json!([]));
    assert_eq!(stock(&service, &one), [7, 1, 2, 10]);
    assert_eq!(stock(&service, &other), [0, 0, 10, 10]);
    assert_eq!(
        reservations(&service),
        json!([{"order_id_ref": kept, "state": "reserved"}, {"order_id_ref": gone, "state": "sold"}])
    );
    // What can be had is what it was.
    service.get(format!("/products/{other}")).send().status(200).includes(json!({"updated_at": updated}));
}

#[test]
fn a_duplicate_event_moves_stock_once() {
    for end in ["order.cancelled", "order.shipped"] {
        let (service, [id]) = with_stock([10]);
        let order = order(1);
        let data = placed(&order, &[(&id, 4)]);
        service.event("order.placed").subject(&order).data(&data).deliver_twice().consumed();
        service.expect_published(stock_event("product.stock-reserved", &order, &[(&id, 4)]));
        // Published again, as another event.
        service.event("order.placed").subject(&order).data(&data).deliver().consumed();
        service.expect_published(json!([]));
        assert_eq!(stock(&service, &id), [6, 4, 0, 10]);

        let data = if end == "order.cancelled" { cancelled(&order) } else { shipped(&order) };
        service.event(end).subject(&order).data(&data).deliver_twice().consumed();
        service.event(end).subject(&order).data(&data).deliver().consumed();
        if end == "order.cancelled" {
            service.expect_published(stock_event("product.stock-released", &order, &[(&id, 4)]));
            assert_eq!(stock(&service, &id), [10, 0, 0, 10]);
        } else {
            service.expect_published(json!([]));
            assert_eq!(stock(&service, &id), [6, 0, 4, 10]);
        }
        assert!(service.dead_letters().is_empty() && service.parked().is_empty());
    }
}

#[test]
fn a_rejected_order_is_rejected_once_and_stays_rejected() {
    let (service, [id]) = with_stock([1]);
    let order = order(1);
    place(&service, &order, &[(&id, 2)]).consumed();
    let shortages = json!([{"product_id": id, "requested": 2, "available": 1}]);
    service.expect_published(rejected(&order, &shortages));
    service.post(format!("/products/{id}/stock")).admin().json(json!({"delta": 10})).send().status(200);
    place(&service, &order, &[(&id, 2)]).consumed();
    cancel(&service, &order).consumed();
    service.expect_published(json!([]));
    ship(&service, &order).rejected("there was too little stock for this order");
    assert_eq!(stock(&service, &id), [11, 0, 0, 11]);
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "rejected"}]));
}

#[test]
fn an_order_cancelled_before_it_arrives_reserves_nothing() {
    let (service, [id]) = with_stock([10]);
    let order = order(1);
    cancel(&service, &order).consumed();
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "cancelled"}]));
    place(&service, &order, &[(&id, 4)]).consumed();
    // Nor where there is too little.
    place(&service, &order, &[(&id, 11)]).consumed();
    cancel(&service, &order).consumed();
    service.expect_published(json!([]));
    ship(&service, &order).rejected("this order was cancelled before");
    assert_eq!(stock(&service, &id), [10, 0, 0, 10]);
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "cancelled"}]));
}

#[test]
fn released_stock_is_neither_sold_nor_reserved_again() {
    let (service, [id]) = with_stock([10]);
    let order = order(1);
    place(&service, &order, &[(&id, 4)]).consumed();
    cancel(&service, &order).consumed();
    let _ = service.published();
    place(&service, &order, &[(&id, 4)]).consumed();
    ship(&service, &order).rejected("this order was cancelled before");
    service.expect_published(json!([]));
    assert_eq!(stock(&service, &id), [10, 0, 0, 10]);
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "released"}]));
}

#[test]
fn sold_stock_is_not_released() {
    let (service, [id]) = with_stock([10]);
    let order = order(1);
    place(&service, &order, &[(&id, 4)]).consumed();
    ship(&service, &order).consumed();
    let _ = service.published();
    cancel(&service, &order).rejected("this order was shipped before");
    service.expect_published(json!([]));
    assert_eq!(stock(&service, &id), [6, 0, 4, 10]);
    assert_eq!(reservations(&service), json!([{"order_id_ref": order, "state": "sold"}]));
}

#[test]
fn an_order_that_was_never_reserved_is_not_shipped() {
    let (service, [id]) = with_stock([10]);
    let delivered = ship(&service, &order(1));
    delivered.rejected(&format!("order {}: nothing was ever reserved for this order", order(1)));
    assert_eq!(stock(&service, &id), [10, 0, 0, 10]);
    assert_eq!(reservations(&service), json!([]));
    service.expect_published(json!([]));
    // What was refused is not remembered against the order.
    place(&service, &order(1), &[(&id, 4)]).consumed();
    service.expect_published(stock_event("product.stock-reserved", &order(1), &[(&id, 4)]));
}

#[test]
fn an_event_whose_data_was_erased_is_skipped() {
    let (service, [id]) = with_stock([10]);
    place(&service, &order(1), &[(&id, 4)]).consumed();
    let _ = service.published();
    let before = everything(&service);
    for kind in ["order.placed", "order.cancelled", "order.shipped"] {
        service.event(kind).subject(order(1)).raw("").deliver().skipped();
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn an_impossible_order_is_dead_lettered() {
    let (service, [one, other]) = with_stock([20_000, 20_000]);
    let before = everything(&service);
    for (items, why) in [
        (&[][..], "the order has no items"),
        (&[(one.as_str(), 0)], "the order has 0 of product"),
        (&[(one.as_str(), 1), (other.as_str(), 10_001)], "the order has 10001 of product"),
        (&[(one.as_str(), 1), (other.as_str(), 1), (one.as_str(), 1)], "twice"),
    ] {
        place(&service, &order(1), items).rejected(why);
        assert_eq!(everything(&service), before);
    }
    service.expect_published(json!([]));
    // The most that there can be of a line. Another order: what comes of one behind a dead letter of its own is not of this test.
    place(&service, &order(2), &[(&one, 10_000), (&other, 1)]).consumed();
    service.expect_published(stock_event(
        "product.stock-reserved",
        &order(2),
        &[(&one, 10_000), (&other, 1)],
    ));
    assert_eq!(stock(&service, &one), [10_000, 10_000, 0, 20_000]);
}

#[test]
fn an_unreadable_event_is_dead_lettered() {
    let (service, [id]) = with_stock([10]);
    place(&service, &order(1), &[(&id, 4)]).consumed();
    let _ = service.published();
    let before = everything(&service);
    for kind in ["order.placed", "order.cancelled", "order.shipped"] {
        for data in ["null", "[]", "{}", r#"{"id":"x"}"#, "{", r#"{"id":7}"#] {
            service.event(kind).subject(order(1)).raw(data).deliver().rejected("");
        }
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
    assert_eq!(service.dead_letters().len(), 18);
}

#[test]
fn every_event_of_an_order_conserves_stock() {
    let (service, [one, other]) = with_stock([10, 3]);
    for number in 1..=6 {
        place(&service, &order(number), &[(&one, number), (&other, 1)]).consumed();
    }
    // 1 + 2 + 3 of the first, and all three of the other: the rest was rejected.
    assert_eq!(stock(&service, &one), [4, 6, 0, 10]);
    assert_eq!(stock(&service, &other), [0, 3, 0, 3]);
    ship(&service, &order(1)).consumed();
    cancel(&service, &order(2)).consumed();
    ship(&service, &order(3)).consumed();
    assert_eq!(stock(&service, &one), [6, 0, 4, 10]);
    assert_eq!(stock(&service, &other), [1, 0, 2, 3]);
    let states = ["sold", "released", "sold", "rejected", "rejected", "rejected"];
    let expected: Value = (1..)
        .zip(states)
        .map(|(number, state)| json!({"order_id_ref": order(number), "state": state}))
        .collect();
    assert_eq!(reservations(&service), expected);
    let published = service.published();
    let events: Value = published
        .into_iter()
        .map(|event| json!({"type": event.kind, "subject": event.subject, "data": event.data}))
        .collect();
    insta::assert_json_snapshot!("events_of_six_orders", events);
}
