//! Stock: it changes by differences, is never negative, and nothing of it is lost.

use std::thread;

use bulkhead_tests::Site;
use bulkhead_tests::shop::{category, id, product, product_body};
use serde_json::json;

#[test]
fn stock_changes_by_a_delta_and_its_totals_add_up() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    let stock = format!("{path}/stock");
    for (delta, available) in [(5, 15), (-15, 0), (10_000, 10_000), (-1, 9_999)] {
        let answer = client.post(&stock, &json!({"delta": delta}));
        assert!(matches!(answer.status, 200 | 201), "{answer}");
        let read = client.get(&stock).expect(200);
        assert_eq!(
            (&read["available"], &read["reserved"], &read["sold"]),
            (&json!(available), &json!(0), &json!(0))
        );
        assert_eq!(
            read["added"], available,
            "all that was ever added is available, reserved or sold: {read}"
        );
        assert_eq!(client.get(&path).expect(200)["stock_quantity"], available);
    }
}

#[test]
fn stock_never_goes_below_zero() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let stock = format!("/products/{}/stock", id(&product(&mut client, &category, "1")));
    let answer = client.post(&stock, &json!({"delta": -11}));
    answer.any_problem();
    assert_eq!(answer.status, 409, "{answer}");
    assert_eq!(client.get(&stock).expect(200)["available"], 10);
    for delta in [json!(1.5), json!("1"), json!(null), json!(i64::MAX)] {
        client.post(&stock, &json!({"delta": delta})).invalid(&["delta"]);
    }
    client.post(&stock, &json!({})).invalid(&["delta"]);
    client.post(&stock, &json!({"delta": 1, "reason": "gift"})).invalid(&["reason"]);
    assert_eq!(client.get(&stock).expect(200)["available"], 10);
}

#[test]
fn stock_has_a_maximum_that_no_change_exceeds() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let mut body = product_body(&category, "1");
    body["stock_quantity"] = json!(1_000_000_000);
    let stock = format!("/products/{}/stock", id(&client.post("/products", &body).expect(201)));
    let problem = client.post(&stock, &json!({"delta": 1})).problem(409, "too-much-stock");
    assert_eq!(problem["constraint"], "product.stock_quantity");
    client.post(&stock, &json!({"delta": -1})).expect(200);
    client.post(&stock, &json!({"delta": 1})).expect(200);
}

#[test]
fn concurrent_buyers_get_no_more_than_the_available_stock() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let stock = format!("/products/{}/stock", id(&product(&mut client, &category, "1")));
    let bought: usize = thread::scope(|scope| {
        let buyers: Vec<_> = (0..8)
            .map(|_| {
                let (mut client, stock) = (host.admin(), &stock);
                scope.spawn(move || {
                    (0..5)
                        .map(|_| client.post(stock, &json!({"delta": -1})))
                        .filter(|answer| match answer.status {
                            409 => false,
                            200 | 201 => true,
                            _ => panic!("{answer}"),
                        })
                        .count()
                })
            })
            .collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).sum()
    });
    assert_eq!(bought, 10);
    assert_eq!(client.get(&stock).expect(200)["available"], 0);
}
