//! Stock, to the last piece, with several orders.

use super::*;

#[test]
fn the_whole_stock_can_be_ordered_and_not_one_unit_more() {
    let shop = Shop::open();
    let all = shop.ordering(&shop.ada, 10, 5, "tok_ok").send().status(201).text_of("id");
    let more = shop.ordering(&shop.ada, 1, 0, "tok_ok").send().status(201).text_of("id");
    shop.settles();
    assert_eq!([&all, &more].map(|id| shop.stands(id)[0].clone()), ["paid", "rejected"]);
    shop.stocks_are([0, 10, 0], [0, 5, 0]);
    shop.does(&all, "ship");
    shop.settles();
    shop.stocks_are([0, 0, 10], [0, 0, 5]);
    shop.agrees();
}

#[test]
fn an_order_for_one_unit_too_many_leaves_the_stock_unchanged() {
    for (potatoes, leeks) in [(11, 0), (0, 6), (11, 5), (10, 6)] {
        let shop = Shop::open();
        let id = shop.ordering(&shop.ada, potatoes, leeks, "tok_ok").send().status(201).text_of("id");
        shop.settles();
        assert_eq!(shop.stands(&id)[0], "rejected", "{potatoes} {leeks}");
        shop.stocks_are([10, 0, 0], [5, 0, 0]);
        shop.agrees();
    }
}

#[test]
fn the_first_of_two_orders_gets_the_last_stock() {
    let shop = Shop::open();
    let bo = shop.registers("Bo");
    let [first, second] =
        [&shop.ada, &bo].map(|who| shop.ordering(who, 0, 3, "tok_ok").send().status(201).text_of("id"));
    shop.settles();
    assert_eq!([&first, &second].map(|id| shop.stands(id)[0].clone()), ["paid", "rejected"]);
    shop.stocks_are([10, 0, 0], [2, 3, 0]);
    shop.agrees();
}

#[test]
fn released_stock_can_be_ordered_again() {
    let shop = Shop::open();
    let first = shop.ordering(&shop.ada, 0, 5, "tok_ok").send().status(201).text_of("id");
    shop.settles();
    shop.does(&first, "cancel");
    let second = shop.ordering(&shop.ada, 0, 5, "tok_ok").send().status(201).text_of("id");
    shop.settles();
    assert_eq!(shop.stands(&second)[0], "paid");
    shop.stocks_are([10, 0, 0], [0, 5, 0]);
    shop.agrees();
}

#[test]
fn a_cancellation_releases_the_reserved_stock_once() {
    let shop = Shop::open();
    let [kept, cancelled] =
        [(); 2].map(|()| shop.ordering(&shop.ada, 2, 1, "tok_ok").send().status(201).text_of("id"));
    shop.settles();
    shop.stocks_are([6, 4, 0], [3, 2, 0]);
    shop.does(&cancelled, "cancel");
    let _ = shop.doing(&cancelled, "cancel").send().problem(409, "order-state");
    shop.settles();
    shop.stocks_are([8, 2, 0], [4, 1, 0]);
    shop.does(&kept, "ship");
    shop.settles();
    shop.stocks_are([8, 0, 2], [4, 0, 1]);
    shop.agrees();
}

#[test]
fn stock_added_before_product_consumes_an_order_counts() {
    let shop = Shop::open();
    let id = shop.ordering(&shop.ada, 11, 0, "tok_ok").send().status(201).text_of("id");
    let change = admin(shop.product.post(format!("/products/{}/stock", shop.potatoes)));
    let _ = change.json(json!({"delta": 1})).send().status(200);
    shop.settles();
    assert_eq!(shop.stands(&id)[0], "paid");
    shop.stocks_are([0, 11, 0], [5, 0, 0]);
    shop.agrees();
}

#[test]
fn a_product_is_not_deleted_while_an_order_reserves_it() {
    let shop = Shop::open();
    let id = shop.placed_and_settled("tok_ok");
    let delete = || admin(shop.product.delete(format!("/products/{}", shop.leeks))).send();
    let _ = delete().problem(409, "product-reserved");
    shop.does(&id, "cancel");
    shop.settles();
    let _ = delete().status(204);
    shop.settles();
    let _ = shop.ordering(&shop.ada, 0, 1, "tok_ok").send().problem(409, "unknown-product");
    // The order is as it was.
    assert_eq!(shop.read(&id)["items"][1]["product_name"], "Leeks");
}

#[test]
fn a_product_deleted_before_product_consumes_its_order_is_missing() {
    let shop = Shop::open();
    let id = shop.places("tok_ok");
    let _ = admin(shop.product.delete(format!("/products/{}", shop.leeks))).send().status(204);
    shop.settles();
    assert_eq!(shop.stands(&id), ["rejected", "voided", "cancelled"]);
    assert_eq!(shop.stock(&shop.potatoes), [10, 0, 0]);
}
