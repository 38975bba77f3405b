//! Stock by hand: what comes in and goes out, within its bounds, and never what is reserved.

use bulkhead_testing::{Answer, Service, json};

use super::{Asks as _, category, everything, id_of, order, place, product, ship, with_product};

#[track_caller]
fn change(service: &Service, path: &str, delta: i64) -> Answer {
    service.post(format!("{path}/stock")).admin().json(json!({"delta": delta})).send()
}

#[test]
fn stock_changes_by_a_delta_and_its_totals_add_up() {
    let (service, path) = with_product();
    let made = service.get(&path).send().status(200).text_of("created_at");
    let mut available = 10;
    for delta in [5, -1, 1_000_000, -1_000_000, 1, -15] {
        available += delta;
        let stock = json!({
            "product_id": id_of(&path),
            "available": available,
            "reserved": 0,
            "sold": 0,
            "added": available,
        });
        change(&service, &path, delta).status(200).body(&stock);
        let now = service.now();
        service.get(format!("{path}/stock")).admin().send().status(200).body(&stock);
        service.get(&path).send().status(200).includes(json!({
            "stock_quantity": available,
            "created_at": made,
            "updated_at": now,
        }));
    }
    assert_eq!(available, 0);
    // Only orders make others keep stock.
    service.expect_published(json!([]));
}

#[test]
fn stock_never_goes_below_zero() {
    let (service, path) = with_product();
    let before = everything(&service);
    for delta in [-11, -1_000_000] {
        change(&service, &path, delta).problem(409, "insufficient-stock").includes(json!({
            "detail": "there is less stock than is to be taken out",
            "available": 10,
            "constraint": "product.stock_quantity",
        }));
    }
    assert_eq!(everything(&service), before);
    change(&service, &path, -10).status(200).includes(json!({"available": 0, "added": 0}));
    change(&service, &path, -1).problem(409, "insufficient-stock").includes(json!({"available": 0}));
}

#[test]
fn stock_never_exceeds_its_maximum() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let path = format!("/products/{}", product(&service, &food, "1", 999_999_999));
    change(&service, &path, 2).problem(409, "too-much-stock").includes(json!({
        "detail": "at most 1000000000 of a product can be available",
        "available": 999_999_999,
        "constraint": "product.stock_quantity",
    }));
    change(&service, &path, 1).status(200).includes(json!({"available": 1_000_000_000}));
    change(&service, &path, 1).problem(409, "too-much-stock").includes(json!({"available": 1_000_000_000}));
}

#[test]
fn reserved_or_sold_stock_cannot_be_removed() {
    let (service, path) = with_product();
    let id = id_of(&path);
    place(&service, &order(1), &[(id, 4)]).consumed();
    place(&service, &order(2), &[(id, 3)]).consumed();
    ship(&service, &order(2)).consumed();
    assert_eq!(super::stock(&service, id), [3, 4, 3, 10]);
    change(&service, &path, -4).problem(409, "insufficient-stock").includes(json!({"available": 3}));
    change(&service, &path, -3).status(200).body(json!({
        "product_id": id,
        "available": 0,
        "reserved": 4,
        "sold": 3,
        "added": 7,
    }));
    change(&service, &path, 2).status(200).body(json!({
        "product_id": id,
        "available": 2,
        "reserved": 4,
        "sold": 3,
        "added": 9,
    }));
}

#[test]
fn changing_the_stock_of_one_product_does_not_change_another() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = product(&service, &food, "2", 10);
    change(&service, &path, 5).status(200);
    assert_eq!(super::stock(&service, &other), [10, 0, 0, 10]);
}

#[test]
fn the_same_change_with_one_idempotency_key_is_applied_once() {
    let (service, path) = with_product();
    let change = || {
        let request = service.post(format!("{path}/stock")).admin().idempotency_key("one");
        request.json(json!({"delta": 5})).send().status(200)
    };
    let first = change().replayed(false);
    change().replayed(true).body(first.json());
    assert_eq!(super::stock(&service, id_of(&path)), [15, 0, 0, 15]);
}
