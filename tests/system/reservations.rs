//! Stock and orders: what an order asks for is set aside whole or not at all, given back once or sold, and nothing of it is lost.

use std::thread;

use bulkhead_tests::shop::{category, read_all, texts_of};
use bulkhead_tests::{Client, Site};
use serde_json::{Value, json};

use crate::ordering::{Written, place, ship, stocked, until, until_status};

/// Waits until a product's stock is so: available, reserved and sold.
#[track_caller]
fn until_stock(admin: &mut Client, product: &Written, stock: [i64; 3]) {
    let path = format!("/products/{}/stock", product.id);
    let found = until(admin, &path, |found| numbers(found) == stock);
    assert_eq!(found["added"], stock.iter().sum::<i64>(), "{found}");
}

fn numbers(stock: &Value) -> [i64; 3] {
    ["available", "reserved", "sold"].map(|name| stock[name].as_i64().unwrap())
}

#[test]
fn ordered_stock_is_reserved_and_counted_as_sold_when_shipped() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let [one, other] = ["1", "2"].map(|sku| stocked(&mut admin, &category, sku, "19.99", 10));
    let mut customer = host.customer("Ada").client;
    let order = place(&mut customer, &[(&one, 3), (&other, 10)], "tok_ok");
    until_status(&mut customer, &order, "paid");
    until_stock(&mut admin, &one, [7, 3, 0]);
    until_stock(&mut admin, &other, [0, 10, 0]);

    let path = format!("/products/{}", one.id);
    assert_eq!(admin.get(&path).expect(200)["stock_quantity"], 7);
    admin.delete(&path).problem(409, "product-reserved");
    admin.post(&format!("{path}/stock"), &json!({"delta": -8})).problem(409, "insufficient-stock");
    // All that there is of the other is set aside: it is out of stock.
    for (query, id) in [("in_stock=true", &one.id), ("in_stock=false", &other.id)] {
        let listed = read_all(&mut admin, &format!("/products?{query}&"), 50);
        assert_eq!(texts_of(&listed, "id"), std::slice::from_ref(id), "{query}");
    }

    ship(&mut admin, &order);
    until_stock(&mut admin, &one, [7, 0, 3]);
    until_stock(&mut admin, &other, [0, 0, 10]);
    admin.delete(&path).expect(204);
    assert_eq!(customer.get(&format!("/orders/{order}")).expect(200)["status"], "shipped");
}

#[test]
fn stock_of_a_cancelled_order_is_released_once() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let product = stocked(&mut admin, &category, "1", "19.99", 10);
    let mut customer = host.customer("Ada").client;
    for (token, status) in [("tok_ok", "paid"), ("tok_declined", "reserved")] {
        let order = place(&mut customer, &[(&product, 4)], token);
        until_status(&mut customer, &order, status);
        until_stock(&mut admin, &product, [6, 4, 0]);
        customer.post(&format!("/orders/{order}/cancel"), &json!({})).expect(200);
        until_stock(&mut admin, &product, [10, 0, 0]);
        customer.post(&format!("/orders/{order}/cancel"), &json!({})).problem(409, "order-state");
    }
    let order = place(&mut customer, &[(&product, 10)], "tok_ok");
    until_status(&mut customer, &order, "paid");
    until_stock(&mut admin, &product, [0, 10, 0]);
}

#[test]
fn order_beyond_the_stock_reserves_nothing() {
    let host = Site::shop().start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let [enough, short] = ["1", "2"].map(|sku| stocked(&mut admin, &category, sku, "19.99", 10));
    let mut customer = host.customer("Ada").client;
    let rejected = place(&mut customer, &[(&enough, 1), (&short, 11)], "tok_ok");
    until_status(&mut customer, &rejected, "rejected");
    // What comes behind it in the log is not held up, and finds all of the stock.
    let order = place(&mut customer, &[(&enough, 10), (&short, 10)], "tok_ok");
    until_status(&mut customer, &order, "paid");
    until_stock(&mut admin, &enough, [0, 10, 0]);
    until_stock(&mut admin, &short, [0, 10, 0]);
    customer.post(&format!("/orders/{rejected}/cancel"), &json!({})).problem(409, "order-state");
}

#[test]
fn concurrent_orders_reserve_exactly_the_available_stock() {
    const CUSTOMERS: usize = 4;
    const ORDERS: usize = 5;
    let host = Site::shop().start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let product = stocked(&mut admin, &category, "1", "19.99", 10);
    let paid: usize = thread::scope(|scope| {
        let customers: Vec<_> = (0..CUSTOMERS)
            .map(|_| {
                let (mut client, product) = (host.customer("Ada").client, &product);
                scope.spawn(move || {
                    let orders = [(); ORDERS].map(|()| place(&mut client, &[(product, 1)], "tok_ok"));
                    let settled = |order: &Value| order["status"] == "paid" || order["status"] == "rejected";
                    orders
                        .iter()
                        .map(|order| until(&mut client, &format!("/orders/{order}"), settled))
                        .filter(|order| order["status"] == "paid")
                        .count()
                })
            })
            .collect();
        customers.into_iter().map(|customer| customer.join().unwrap()).sum()
    });
    assert_eq!(paid, 10);
    until_stock(&mut admin, &product, [0, 10, 0]);
}
