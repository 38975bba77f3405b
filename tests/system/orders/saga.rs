//! From being placed to an end: every way that an order can go, and what becomes of the stock and the money.

use serde_json::{Value, json};

use super::{Market, UNHURRIED};
use bulkhead_tests::shop::{eventually, id, order_body, read_all, read_page, texts_of};
use bulkhead_tests::{Admin, database};

#[test]
fn an_order_is_reserved_paid_shipped_and_delivered() {
    let mut market = Market::new(2, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place_until(&mut ada, "tok_ok", "paid");
    assert_eq!(market.stands(&order), ["paid", "captured", "pending"]);
    let payment = market.order(&order)["payment"].clone();
    assert!(payment["transaction_id"].is_string() && payment["paid_at"].is_string(), "{payment}");
    market.until_stock([9, 1, 0]);
    let shipped = market.ship(&order);
    assert_eq!(
        [&shipped["shipping"]["carrier"], &shipped["shipping"]["tracking_number"]],
        [&json!("Post"), &json!("P-1")]
    );
    assert_eq!(market.stands(&order), ["shipped", "captured", "shipped"]);
    market.until_stock([9, 0, 1]);
    market.post(&order, "deliver", &Value::Null).expect(200);
    assert_eq!(market.stands(&order), ["delivered", "captured", "delivered"]);
    assert_eq!(
        market.history(&order),
        [
            "placed: pending",
            "stock-reserved: reserved",
            "payment-captured: paid",
            "shipped: shipped",
            "delivered: delivered"
        ]
    );
    assert_eq!(market.facts(&order), ["order.placed", "order.paid", "order.shipped", "order.delivered"]);
}

#[test]
fn updated_at_of_an_order_is_the_time_of_its_last_history_entry() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place_until(&mut ada, "tok_ok", "paid");
    let mut moments = vec![market.order(&order)["created_at"].clone()];
    for step in ["", "ship", "deliver"] {
        match step {
            "ship" => drop(market.ship(&order)),
            "deliver" => drop(market.post(&order, "deliver", &Value::Null).expect(200)),
            _ => {}
        }
        let history = read_all(&mut market.admin, &format!("/orders/{order}/history?"), 50);
        let updated_at = market.order(&order)["updated_at"].clone();
        assert_eq!(updated_at, history.last().unwrap()["at"], "{step}");
        moments.push(updated_at);
    }
    assert!(moments.is_sorted_by(|a, b| a.as_str() <= b.as_str()) && moments[0] != moments[3], "{moments:?}");
}

#[test]
fn pages_of_a_history_neither_repeat_nor_miss_entries_while_it_grows() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place_until(&mut ada, "tok_ok", "paid");
    let list = format!("/orders/{order}/history?limit=1");
    let (mut causes, mut path) = (Vec::new(), list.clone());
    loop {
        let (page, next) = read_page(&mut ada.client, &path);
        causes.extend(texts_of(&page, "cause"));
        match causes.len() {
            1 => drop(market.ship(&order)),
            3 => drop(market.post(&order, "deliver", &Value::Null).expect(200)),
            _ => {}
        }
        let Some(cursor) = next else { break };
        path = format!("{list}&cursor={cursor}");
    }
    assert_eq!(causes, ["placed", "stock-reserved", "payment-captured", "shipped", "delivered"]);
}

#[test]
fn order_that_is_not_reserved_in_time_is_cancelled_and_later_holds_no_stock() {
    let mut market = Market::new(1, "1s");
    let mut ada = market.host.customer("Ada");
    let scarce = market.products[0].clone();
    let first = id(&ada.client.post("/orders", &order_body(&[(&scarce, 11)], "tok_ok")).expect(201));
    eventually(&mut market.admin, &format!("/orders/{first}"), |order| order["status"] != "pending");
    Admin::of(&market.site, &market.host).until_consumed("order", "product");
    // The log has another event where the product service stands: its subscription does not go on.
    let consumed = database::texts(
        &database::open(&market.site.database("product")),
        "SELECT event_id FROM _bulkhead_cursor WHERE producer = 'order'",
    );
    let set =
        |event: &str| format!("UPDATE _bulkhead_cursor SET event_id = '{event}' WHERE producer = 'order'");
    let mut market = market.with_db("product", &set("of-nothing"));
    let order = id(&market.again(&ada).post("/orders", &market.body("tok_ok")).expect(201));
    market.until(&order, "cancelled");
    let ended = ["cancelled", "voided", "cancelled"];
    let history = ["placed: pending", "payment-overdue: cancelled"];
    assert_eq!(market.stands(&order), ended);
    assert_eq!(market.history(&order), history);
    // What comes of it then comes too late.
    let mut market = market.with_db("product", &set(&consumed[0]));
    let mut admin = Admin::of(&market.site, &market.host);
    admin.until_consumed("order", "product");
    admin.until_consumed("product", "order");
    market.until_stock([10, 0, 0]);
    assert_eq!(market.stands(&order), ended);
    assert_eq!(market.history(&order), history);
    assert_eq!(market.facts(&order), ["order.placed", "order.cancelled"]);
}

#[test]
fn order_beyond_the_stock_is_rejected_entirely() {
    let mut market = Market::new(2, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let [plenty, scarce] = [market.products[0].clone(), market.products[1].clone()];
    let order =
        id(&ada.client.post("/orders", &order_body(&[(&plenty, 1), (&scarce, 11)], "tok_ok")).expect(201));
    market.until(&order, "rejected");
    assert_eq!(market.stands(&order), ["rejected", "voided", "cancelled"]);
    assert_eq!(market.history(&order), ["placed: pending", "stock-rejected: rejected"]);
    assert_eq!(market.facts(&order), ["order.placed", "order.rejected"]);
    let shortages = format!(
        "SELECT json_extract(data, '$.shortages') FROM _bulkhead_outbox WHERE subject = '{order}' AND type = 'order.rejected'"
    );
    let shortages: Value = serde_json::from_str(&market.rows(&shortages)[0]).unwrap();
    assert_eq!(shortages, json!([{"product_id": scarce, "requested": 11, "available": 10}]));
    market.until_stock([10, 0, 0]);
}

#[test]
fn paid_order_is_refunded_when_cancelled_and_its_stock_is_released() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place_until(&mut ada, "tok_ok", "paid");
    let cancelled = ada.client.post(&format!("/orders/{order}/cancel"), &Value::Null).expect(200);
    assert_eq!(cancelled["payment"]["payment_status"], "refunded", "at once: {cancelled}");
    assert_eq!(market.stands(&order), ["cancelled", "refunded", "cancelled"]);
    market.until_stock([10, 0, 0]);
    assert_eq!(
        market.rows(&format!("SELECT state FROM gateway_charge WHERE order_id = '{order}'")),
        ["refunded"]
    );
    assert_eq!(market.facts(&order), ["order.placed", "order.paid", "order.cancelled"]);
    assert_eq!(market.history(&order).last().unwrap(), "cancelled: cancelled");
}

#[test]
fn order_cancelled_at_once_holds_no_stock_however_its_events_interleave() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    // Each is cancelled at another point of its way: before its stock is reserved, before it is paid, or after.
    let orders: Vec<String> = (0..20)
        .map(|_| {
            let order = market.place(&mut ada, "tok_ok");
            market.post(&order, "cancel", &Value::Null).expect(200);
            order
        })
        .collect();
    let last = market.place_until(&mut ada, "tok_ok", "paid");
    market.until_stock([9, 1, 0]);
    for order in orders {
        let [status, payment, shipping] = market.stands(&order);
        assert_eq!((status.as_str(), shipping.as_str()), ("cancelled", "cancelled"));
        assert!(matches!(payment.as_str(), "voided" | "refunded"), "{payment}");
    }
    market.post(&last, "cancel", &Value::Null).expect(200);
    market.until_stock([10, 0, 0]);
}

#[test]
fn declined_order_that_is_not_paid_in_time_is_cancelled_and_its_stock_is_released() {
    let mut market = Market::new(1, "500ms");
    let mut ada = market.host.customer("Ada");
    for token in ["tok_declined", "tok_unheard_of"] {
        let order = market.place_until(&mut ada, token, "cancelled");
        assert_eq!(market.stands(&order), ["cancelled", "voided", "cancelled"]);
        assert_eq!(market.history(&order).last().unwrap(), "payment-overdue: cancelled");
        assert_eq!(market.facts(&order), ["order.placed", "order.cancelled"]);
        let reason =
            "SELECT json_extract(data, '$.reason') FROM _bulkhead_outbox WHERE type = 'order.cancelled'";
        assert!(market.rows(reason).iter().all(|reason| reason == "payment"));
        market
            .post(&order, "payment", &json!({"method": "card", "token": "tok_ok"}))
            .problem(409, "order-state");
    }
    market.until_stock([10, 0, 0]);
}

#[test]
fn payment_timeout_also_expires_while_the_host_is_down() {
    let mut market = Market::new(1, "2s");
    let mut ada = market.host.customer("Ada");
    let order = market.place(&mut ada, "tok_declined");
    market.host.kill();
    market.host = market.site.start();
    market.admin = market.host.admin();
    market.until(&order, "cancelled");
    assert_eq!(market.stands(&order), ["cancelled", "voided", "cancelled"]);
    market.until_stock([10, 0, 0]);
}

#[test]
fn order_paid_in_time_stays_paid_after_the_timeout() {
    let mut market = Market::new(1, "3s");
    let mut ada = market.host.customer("Ada");
    let paid = market.place_until(&mut ada, "tok_ok", "paid");
    // Its time is over later than that of the first.
    let declined = market.place(&mut ada, "tok_declined");
    market.until(&declined, "cancelled");
    assert_eq!(market.stands(&paid), ["paid", "captured", "pending"]);
}

#[test]
fn transition_not_allowed_for_an_order_is_refused_with_its_status() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let reserved = market.place(&mut ada, "tok_declined");
    market.until_payment(&reserved, "declined");
    let [paid, shipped, delivered, cancelled] =
        [(); 4].map(|()| market.place_until(&mut ada, "tok_ok", "paid"));
    for order in [&shipped, &delivered] {
        market.ship(order);
    }
    market.post(&delivered, "deliver", &Value::Null).expect(200);
    market.post(&cancelled, "cancel", &Value::Null).expect(200);
    let scarce = market.products[0].clone();
    let rejected = id(&ada.client.post("/orders", &order_body(&[(&scarce, 100)], "tok_ok")).expect(201));
    market.until(&rejected, "rejected");
    let payment = json!({"method": "card", "token": "tok_ok"});
    let carriage = json!({"carrier": "Post", "tracking_number": "P-2"});
    for (order, status, refused) in [
        (&reserved, "reserved", &["ship", "deliver"][..]),
        (&paid, "paid", &["payment", "deliver"]),
        (&shipped, "shipped", &["payment", "ship", "cancel"]),
        (&delivered, "delivered", &["payment", "ship", "deliver", "cancel"]),
        (&rejected, "rejected", &["payment", "ship", "deliver", "cancel"]),
        (&cancelled, "cancelled", &["payment", "ship", "deliver", "cancel"]),
    ] {
        let (before, facts) = (market.order(order), market.facts(order));
        for what in refused {
            let body = match *what {
                "payment" => &payment,
                "ship" => &carriage,
                _ => &Value::Null,
            };
            let problem = market.post(order, what, body).problem(409, "order-state");
            assert_eq!(
                (&problem["order_status"], &problem["constraint"]),
                (&json!(status), &json!("order.status"))
            );
        }
        assert_eq!((market.order(order), market.facts(order)), (before, facts), "{status}");
    }
}
