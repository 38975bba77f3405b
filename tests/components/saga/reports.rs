//! What the reports say of orders, whatever comes to them first.

use super::*;

/// An order that is delivered, one that is paid, one that was refunded, one that is rejected and one that is reserved.
#[track_caller]
fn orders(shop: &Shop) {
    let place = |potatoes, leeks, token: &str| {
        let id = shop.ordering(&shop.ada, potatoes, leeks, token).send().status(201).text_of("id");
        for (producer, consumer) in [("order", "product"), ("product", "order")] {
            while shop.app.step_subscription(producer, consumer).is_some() {}
        }
        shop.run_due_timers();
        id
    };
    let delivered = place(3, 1, "tok_ok");
    shop.does(&delivered, "ship");
    shop.does(&delivered, "deliver");
    place(2, 0, "tok_ok");
    let refunded = place(1, 1, "tok_ok");
    shop.does(&refunded, "cancel");
    place(100, 0, "tok_ok");
    place(1, 0, "tok_declined");
}

/// All that the reports say.
#[track_caller]
fn all(shop: &Shop) -> Value {
    ["revenue", "best-sellers", "orders-by-status"].map(|what| shop.reports(what)).into_iter().collect()
}

#[test]
fn the_reports_show_sales_by_day_department_and_product() {
    let shop = Shop::open();
    orders(&shop);
    shop.settles();
    let (day, _) =
        shop.app.now().split_once('T').map(|(day, time)| (day.to_owned(), time.to_owned())).expect("a time");
    assert_eq!(
        shop.reports("revenue"),
        json!({"items": [{"day": day, "department": "Food", "revenue": "21.24"}], "total": "21.24"})
    );
    assert_eq!(
        shop.reports("best-sellers"),
        json!({"items": [
            {"product_id": shop.potatoes, "name": "Potatoes", "units": 5, "revenue": "1.25"},
            {"product_id": shop.leeks, "name": "Leeks", "units": 1, "revenue": "19.99"},
        ]})
    );
    let counts = [
        ("pending", 0),
        ("reserved", 1),
        ("paid", 1),
        ("shipped", 0),
        ("delivered", 1),
        ("rejected", 1),
        ("cancelled", 1),
    ];
    let expected: Vec<Value> =
        counts.iter().map(|(status, count)| json!({"status": status, "count": count})).collect();
    assert_eq!(shop.reports("orders-by-status"), json!({"items": expected}));
    shop.agrees();
}

#[test]
fn the_reports_are_the_same_whichever_event_log_is_read_first() {
    let mut found = Vec::new();
    for first in ["order", "product", "both"] {
        let shop = Shop::open();
        orders(&shop);
        match first {
            "both" => {}
            producer => while shop.app.step_subscription(producer, "report").is_some() {},
        }
        // In turn, the rest.
        loop {
            let steps =
                ["product", "order"].map(|producer| shop.app.step_subscription(producer, "report").is_some());
            if steps == [false, false] {
                break;
            }
        }
        shop.settles();
        shop.agrees();
        found.push(all(&shop));
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

#[test]
fn an_order_counts_on_the_day_it_was_placed_and_is_subtracted_from_it() {
    let shop = Shop::open();
    let body = |time: &str| {
        json!({
            "items": [{"product_id": shop.leeks, "quantity": 1}],
            "shipping": {
                "recipient_name": "Ada", "address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE",
            },
            "payment": {"method": "card", "token": "tok_ok"},
            "user_id": shop.ada,
            "ordered_at": time,
        })
    };
    let place = |time: &str| {
        let id = admin(shop.order.post("/orders")).json(body(time)).send().status(201).text_of("id");
        shop.settles();
        id
    };
    let old = place("2017-01-01T23:59:59.999Z");
    place("2017-01-02T00:00:00Z");
    let days = |expected: &[&str]| {
        let revenue = shop.reports("revenue");
        let days: Vec<&str> =
            revenue["items"].as_array().expect("items").iter().map(|row| text(&row["day"])).collect();
        assert_eq!(days, expected);
    };
    days(&["2017-01-01", "2017-01-02"]);
    shop.agrees();
    shop.does(&old, "cancel");
    shop.settles();
    days(&["2017-01-02"]);
    assert_eq!(shop.reports("revenue?from=2017-01-01&to=2017-01-01"), json!({"items": [], "total": "0.00"}));
    shop.agrees();
}
