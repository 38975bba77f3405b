//! Reading one order: by its id and by its number, and only if it is another one by now.

use super::*;

#[test]
fn an_order_is_the_same_by_its_id_and_by_its_number() {
    let order = start();
    let placed = ordering(&order, &basket()).send().status(201);
    let (id, number) = (placed.text_of("id"), placed.text_of("order_number"));
    for path in [
        format!("/orders/{id}"),
        format!("/orders/{}", id.to_uppercase()),
        format!("/orders/by-number/{number}"),
    ] {
        for answer in [customer(order.get(&path), ADA).send(), admin(order.get(&path)).send()] {
            let _ = answer.status(200).body(placed.json());
        }
    }
}

#[test]
fn an_unknown_order_number_is_404() {
    let order = start();
    placed(&order);
    for number in ["2026-000002", "2025-000001", "2026-0000001"] {
        let _ = admin(order.get(format!("/orders/by-number/{number}"))).send().problem(404, "not-found");
    }
}

#[test]
fn a_delivered_order_shows_all_that_happened_to_it() {
    let order = start();
    let id = standing(&order, "delivered");
    insta::assert_json_snapshot!(admin(order.get(format!("/orders/{id}"))).send().status(200).snapshot());
}

#[test]
fn an_unchanged_order_is_304_and_a_changed_one_is_sent_again() {
    let order = start();
    let id = placed(&order);
    let number = read(&order, &id)["order_number"].as_str().expect("a number").to_owned();
    for path in [format!("/orders/{id}"), format!("/orders/by-number/{number}")] {
        let get = || customer(order.get(&path), ADA);
        let tag = get().send().status(200).header_value("etag").expect("a tag");
        let answer = get().header("if-none-match", &tag).send().status(304);
        let _ = answer.empty().header("etag", &tag);
        let _ = get().header("if-none-match", "\"other\"").send().status(200).header("etag", &tag);
        let _ = get().header("if-match", &tag).send().status(200);
        let _ = get().header("if-match", "\"other\"").send().problem(412, "precondition-failed");
    }
    let get = || customer(order.get(format!("/orders/{id}")), ADA);
    let tag = get().send().header_value("etag").expect("a tag");
    reserve(&order, &id);
    let answer = get().header("if-none-match", &tag).send().status(200);
    assert_ne!(answer.header_value("etag"), Some(tag));
}

#[test]
fn lists_have_etags_too() {
    let order = start();
    let id = placed(&order);
    for path in ["/orders".to_owned(), format!("/orders/{id}/history")] {
        let get = || customer(order.get(&path), ADA);
        let tag = get().send().status(200).header_value("etag").expect("a tag");
        let _ = get().header("if-none-match", &tag).send().status(304).empty();
    }
}

#[test]
fn head_is_answered_like_get() {
    let order = start();
    let id = placed(&order);
    let path = format!("/orders/{id}");
    let tag = customer(order.get(&path), ADA).send().status(200).header_value("etag").expect("a tag");
    let _ = customer(order.request("HEAD", &path), ADA).send().status(200).header("etag", &tag);
}
