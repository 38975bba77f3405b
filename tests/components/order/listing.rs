//! `GET /orders`: whose, which, in which order, and page by page.

use bulkhead_testing::{Service, Value, json};

use super::*;

/// The ids of a list.
fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|order| order["id"].as_str().expect("an id").to_owned()).collect()
}

/// The ids of a list as somebody gets it.
#[track_caller]
fn listed(request: Request) -> Vec<String> {
    let page = request.send().status(200).json();
    assert_eq!(page["next_cursor"], Value::Null);
    ids(&page)
}

/// An order of somebody's, placed by an admin at a time.
#[track_caller]
fn ordered_at(order: &Service, user: &str, time: &str) -> String {
    let body = body_with(&[(LEEKS, 1)], json!({"user_id": user, "ordered_at": time}));
    admin(order.post("/orders")).json(body).send().status(201).text_of("id")
}

#[test]
fn an_empty_list_is_a_page() {
    let order = start();
    for request in [customer(order.get("/orders"), ADA), admin(order.get("/orders"))] {
        let _ = request.send().status(200).body(json!({"items": [], "next_cursor": null}));
    }
}

#[test]
fn a_list_has_complete_orders() {
    let order = start();
    let id = standing(&order, "shipped");
    let expected = json!({"items": [read(&order, &id)], "next_cursor": null});
    let _ = customer(order.get("/orders"), ADA).send().status(200).body(&expected);
    let _ = admin(order.get("/orders")).send().status(200).body(&expected);
}

#[test]
fn each_order_of_a_list_has_its_own_items() {
    let order = start();
    // More than are read at once.
    for number in 0..60 {
        let items = [(POTATOES, number + 1), (LEEKS, 1)];
        let _ = ordering(&order, &body(&items[..1 + usize::from(number % 2 == 0)])).send().status(201);
    }
    let page = admin(order.get("/orders?limit=200")).send().status(200).json();
    let orders = page["items"].as_array().expect("items");
    assert_eq!(orders.len(), 60);
    for (found, number) in orders.iter().zip((0..60).rev()) {
        let items = found["items"].as_array().expect("items");
        assert_eq!(items.len(), if number % 2 == 0 { 2 } else { 1 });
        assert_eq!(items[0]["quantity"], number + 1);
    }
}

#[test]
fn a_customer_sees_their_own_orders_and_an_admin_sees_all_newest_first() {
    let order = start();
    let old = ordered_at(&order, ADA, "2017-01-01T00:00:00Z");
    let new = placed(&order);
    let middle = ordered_at(&order, BO, "2018-01-01T00:00:00Z");
    let same = ordered_at(&order, BO, "2018-01-01T00:00:00Z");
    assert_eq!(listed(customer(order.get("/orders"), ADA)), [new.clone(), old.clone()]);
    assert_eq!(listed(customer(order.get("/orders"), BO)), [same.clone(), middle.clone()]);
    assert_eq!(listed(admin(order.get("/orders"))), [new, same, middle, old]);
}

#[test]
fn the_user_id_filter_shows_a_customer_nothing_more() {
    let order = start();
    let adas = placed(&order);
    let bos = ordered_at(&order, BO, "2018-01-01T00:00:00Z");
    let of = |user: &str| format!("/orders?user_id={user}");
    assert_eq!(listed(admin(order.get(of(ADA)))), [adas.as_str()]);
    assert_eq!(listed(admin(order.get(of(BO)))), [bos]);
    assert_eq!(listed(customer(order.get(of(ADA)), ADA)), [adas]);
    assert!(listed(customer(order.get(of(BO)), ADA)).is_empty());
    assert!(listed(admin(order.get(of(UNKNOWN)))).is_empty());
}

#[test]
fn status_is_a_filter() {
    let order = start();
    let orders = STATUSES.map(|status| standing(&order, status));
    for (status, id) in STATUSES.into_iter().zip(&orders) {
        let path = format!("/orders?status={status}");
        assert_eq!(listed(admin(order.get(&path))), [id.as_str()], "{status}");
        assert_eq!(listed(customer(order.get(&path), ADA)), [id.as_str()], "{status}");
        assert!(listed(customer(order.get(&path), BO)).is_empty());
        assert_eq!(listed(admin(order.get(&path)).query("user_id", ADA)), [id.as_str()]);
        assert!(listed(admin(order.get(&path)).query("user_id", BO)).is_empty());
    }
}

/// All pages of so many, and what they have.
#[track_caller]
fn pages(order: &Service, path: &str, limit: usize) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let request = admin(order.get(path)).query("limit", limit);
        let request = match &cursor {
            Some(cursor) => request.query("cursor", cursor),
            None => request,
        };
        let page = request.send().status(200).json();
        pages.push(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return pages,
        }
    }
}

#[test]
fn all_pages_but_the_last_are_full_and_each_order_occurs_once() {
    let order = start();
    let times =
        ["2017-01-01T00:00:00Z", "2018-01-01T00:00:00Z", "2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"];
    let mut expected = times.map(|time| ordered_at(&order, ADA, time));
    expected.reverse();
    let sizes = |limit| pages(&order, "/orders", limit).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(1), [1, 1, 1, 1]);
    assert_eq!(sizes(2), [2, 2]);
    assert_eq!(sizes(3), [3, 1]);
    assert_eq!((sizes(4), sizes(5)), (vec![4], vec![4]));
    for limit in 1..=5 {
        assert_eq!(pages(&order, "/orders", limit).concat(), expected);
        assert_eq!(pages(&order, &format!("/orders?user_id={ADA}&status=pending"), limit).concat(), expected);
    }
}

#[test]
fn a_new_order_does_not_shift_the_pages() {
    let order = start();
    let [third, second, first] = ["2017-01-01T00:00:00Z", "2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"]
        .map(|time| ordered_at(&order, ADA, time));
    let page = admin(order.get("/orders?limit=2")).send().status(200).json();
    assert_eq!(ids(&page), [first, second]);
    placed(&order);
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    assert_eq!(listed(admin(order.get("/orders?limit=2")).query("cursor", cursor)), [third]);
}

#[test]
fn a_page_has_50_orders_by_default() {
    let order = start();
    (0..51).for_each(|_| drop(placed(&order)));
    let page = admin(order.get("/orders")).send().status(200).json();
    assert_eq!(ids(&page).len(), 50);
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    assert_eq!(listed(admin(order.get("/orders")).query("cursor", cursor)).len(), 1);
}

#[test]
fn a_cursor_is_valid_for_its_list_only() {
    let order = start();
    (0..2).for_each(|_| drop(placed(&order)));
    let page = admin(order.get("/orders?limit=1")).send().status(200).json();
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    for path in ["/orders?status=pending".to_owned(), format!("/orders?user_id={ADA}")] {
        let answer = admin(order.get(path)).query("cursor", cursor).send();
        let _ = answer.problem(422, "invalid").names_field("cursor");
    }
    let answer = customer(order.get("/orders"), ADA).query("cursor", cursor).send();
    let _ = answer.problem(422, "invalid").names_field("cursor");
}

#[test]
fn every_invalid_filter_is_reported() {
    let order = start();
    for (query, field) in [
        ("status=lost", "status"),
        ("status=Pending", "status"),
        ("user_id=me", "user_id"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=x", "cursor"),
        ("sort=age", "sort"),
    ] {
        for request in [
            admin(order.get(format!("/orders?{query}"))),
            customer(order.get(format!("/orders?{query}")), ADA),
        ] {
            let _ = request.send().problem(422, "invalid").names_field(field);
        }
    }
    let _ = admin(order.get("/orders?limit=200")).send().status(200);
}
