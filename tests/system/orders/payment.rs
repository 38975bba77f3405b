//! Paying: declines, gateways that can't say, paying again, and what is kept of what it is paid with.

use serde_json::{Value, json};

use super::{Market, UNHURRIED, eventually, id};

fn payment(token: &str) -> Value {
    json!({"method": "voucher", "token": token})
}

#[test]
fn after_a_decline_an_order_is_reserved_and_can_be_paid_again() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place(&mut ada, "tok_declined");
    market.until_payment(&order, "declined");
    assert_eq!(market.stands(&order), ["reserved", "declined", "pending"]);
    let path = format!("/orders/{order}/payment");
    let declined = ada.client.post(&path, &payment("tok_declined")).expect(200);
    assert_eq!(declined["payment"]["payment_status"], "declined");
    assert_eq!(market.stands(&order), ["reserved", "declined", "pending"]);
    let paid = ada.client.post(&path, &payment("tok_ok")).expect(200);
    assert_eq!((&paid["status"], &paid["payment"]["payment_status"]), (&json!("paid"), &json!("captured")));
    assert_eq!(paid["payment"]["payment_method"], "voucher");
    ada.client.post(&path, &payment("tok_ok")).problem(409, "order-state");
    assert_eq!(
        market.history(&order),
        [
            "placed: pending",
            "stock-reserved: reserved",
            "payment-declined: reserved",
            "payment-declined: reserved",
            "payment-captured: paid"
        ]
    );
    assert_eq!(market.facts(&order), ["order.placed", "order.paid"]);
    let charges = format!("SELECT state FROM gateway_charge WHERE order_id = '{order}' ORDER BY attempt");
    assert_eq!(market.rows(&charges), ["declined", "declined", "captured"]);
}

#[test]
fn gateway_that_fails_twice_is_retried_until_it_captures_once() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place_until(&mut ada, "tok_flaky", "paid");
    let attempts = format!(
        "SELECT json_array(attempt, tries, outcome) FROM order_payment_attempt WHERE order_id = '{order}' ORDER BY attempt"
    );
    assert_eq!(market.rows(&attempts), [r#"[1,3,"captured"]"#]);
    assert_eq!(market.facts(&order), ["order.placed", "order.paid"]);

    let again = market.place(&mut ada, "tok_declined");
    market.until_payment(&again, "declined");
    let pending = ada.client.post(&format!("/orders/{again}/payment"), &payment("tok_flaky")).expect(200);
    assert_eq!(
        (&pending["status"], &pending["payment"]["payment_status"]),
        (&json!("reserved"), &json!("pending"))
    );
    market.until(&again, "paid");
    let attempts = attempts.replace(&order, &again);
    assert_eq!(market.rows(&attempts), [r#"[1,1,"declined"]"#, r#"[2,3,"captured"]"#]);
}

#[test]
fn new_payment_attempt_replaces_an_undecided_one_and_the_customer_is_charged_once() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place(&mut ada, "tok_declined");
    market.until_payment(&order, "declined");
    let path = format!("/orders/{order}/payment");
    ada.client.post(&path, &payment("tok_flaky")).expect(200);
    // The flaky one may have been captured by its timers meanwhile.
    let answer = ada.client.post(&path, &payment("tok_ok"));
    assert!(matches!(answer.status, 200 | 409), "{answer}");
    market.until(&order, "paid");
    // Late timers change nothing.
    let other = market.place_until(&mut ada, "tok_flaky", "paid");
    for order in [&order, &other] {
        let captured =
            format!("SELECT state FROM gateway_charge WHERE order_id = '{order}' AND state = 'captured'");
        assert_eq!(market.rows(&captured).len(), 1);
        assert_eq!(market.facts(order), ["order.placed", "order.paid"]);
    }
}

#[test]
fn an_order_has_at_most_20_payment_attempts() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place(&mut ada, "tok_declined");
    market.until_payment(&order, "declined");
    let path = format!("/orders/{order}/payment");
    for _ in 1..20 {
        ada.client.post(&path, &payment("tok_declined")).expect(200);
    }
    let problem = ada.client.post(&path, &payment("tok_ok")).problem(409, "too-many-payments");
    assert_eq!(problem["constraint"], "order_payment_attempt");
    assert_eq!(market.stands(&order), ["reserved", "declined", "pending"]);
    market.post(&order, "cancel", &Value::Null).expect(200);
    assert_eq!(market.stands(&order), ["cancelled", "voided", "cancelled"]);
}

#[test]
fn expired_order_cannot_be_paid_even_before_its_timer_fires() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place(&mut ada, "tok_declined");
    market.until_payment(&order, "declined");
    // The timer is set for another time, an hour from now.
    let mut market =
        market.with_db("order", "UPDATE \"order\" SET payment_due_at = '2017-01-01T00:00:00.000Z'");
    let refused = market.again(&ada).post(&format!("/orders/{order}/payment"), &payment("tok_ok"));
    let problem = refused.problem(409, "order-state");
    assert_eq!(
        (&problem["order_status"], &problem["constraint"]),
        (&json!("reserved"), &json!("order.status"))
    );
    assert_eq!(market.stands(&order), ["reserved", "declined", "pending"]);
    assert!(market.rows("SELECT order_id FROM gateway_charge WHERE state = 'captured'").is_empty());
}

#[test]
fn payment_token_is_deleted_after_use_and_is_in_no_event() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let declined = market.place(&mut ada, "tok_zanzibar");
    market.until_payment(&declined, "declined");
    let paid = market.place_until(&mut ada, "tok_ok", "paid");
    let rejected = {
        let body = bulkhead_tests::shop::order_body(&[(&market.products[0].clone(), 100)], "tok_zanzibar");
        bulkhead_tests::shop::id(&ada.client.post("/orders", &body).expect(201))
    };
    market.until(&rejected, "rejected");
    assert!(market.rows("SELECT token FROM order_payment WHERE token IS NOT NULL").is_empty());
    for order in [&declined, &paid, &rejected] {
        assert!(!market.order(order).to_string().contains("tok_"));
    }
    assert!(market.rows("SELECT data FROM _bulkhead_outbox WHERE data LIKE '%tok!_%' ESCAPE '!'").is_empty());
    assert!(!market.host.stderr().contains("tok_"));
}

#[test]
fn errors_of_a_payment_are_reported_without_repeating_its_values() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let order = market.place(&mut ada, "tok_declined");
    market.until_payment(&order, "declined");
    let wrong = json!({"method": "", "token": "tok zanzibar", "amount": "1.00"});
    let answer = ada.client.post(&format!("/orders/{order}/payment"), &wrong);
    let problem = answer.invalid(&["method", "token", "amount"]);
    assert!(!problem.to_string().contains("zanzibar"));
    assert_eq!(market.stands(&order), ["reserved", "declined", "pending"]);
}

/// The end of the time to pay, the attempts to pay and the customers all come together: whoever is first decides, whole, and what the
/// others would have done is gone, timers included.
#[test]
fn orders_that_expire_during_payment_are_paid_or_cancelled_and_leave_no_timer() {
    const CUSTOMERS: u64 = 3;
    const EACH: usize = 12;
    for payment_timeout in ["3ms", "10ms", "40ms"] {
        let mut market = Market::new(1, payment_timeout);
        let product = format!("/products/{}/stock", market.products[0]);
        market.admin.post(&product, &json!({"delta": 990})).expect(200);
        let body = market.body("tok_declined");
        let orders: Vec<String> = std::thread::scope(|scope| {
            let body = &body;
            let customers = (0..CUSTOMERS).map(|number| market.host.customer(&format!("Customer {number}")));
            let customers: Vec<_> = customers
                .map(|mut customer| {
                    scope.spawn(move || {
                        let mut place = |_| {
                            let order = id(&customer.client.post("/orders", body).expect(201));
                            let paid =
                                customer.client.post(&format!("/orders/{order}/payment"), &payment("tok_ok"));
                            assert!(matches!(paid.status, 200 | 409), "{paid}");
                            order
                        };
                        (0..EACH).map(&mut place).collect::<Vec<_>>()
                    })
                })
                .collect();
            customers.into_iter().flat_map(|customer| customer.join().unwrap()).collect()
        });
        let mut paid = 0;
        for order in &orders {
            let ended = |order: &Value| order["status"] == "paid" || order["status"] == "cancelled";
            let order = eventually(&mut market.admin, &format!("/orders/{order}"), ended);
            let is_paid = order["status"] == "paid";
            let payment = if is_paid { "captured" } else { "voided" };
            assert_eq!(order["payment"]["payment_status"], payment, "{order}");
            paid += i64::from(is_paid);
        }
        market.until_stock([1000 - paid, paid, 0]);
        assert_eq!(market.rows("SELECT id FROM _bulkhead_timer"), Vec::<String>::new(), "{payment_timeout}");
        assert_eq!(market.rows("SELECT id FROM _bulkhead_parked"), Vec::<String>::new(), "{payment_timeout}");
        assert_eq!(market.rows("SELECT timers || '' FROM _bulkhead_meta"), ["0"]);
    }
}
