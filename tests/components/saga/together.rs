//! What else the services have of one another: addresses, names and prices, and customers.

use super::*;

/// Ada orders a leek to an address that she keeps.
fn to(shop: &Shop, who: &str, address: &str) -> Request {
    let body = json!({
        "items": [{"product_id": shop.leeks, "quantity": 1}],
        "shipping": {"address_id": address},
        "payment": {"method": "card", "token": "tok_ok"},
    });
    customer(shop.order.post("/orders"), who).json(body)
}

#[test]
fn an_order_uses_a_saved_address_of_the_customer() {
    let shop = Shop::open();
    let address = json!({
        "address_line1": "2 Quay", "address_line2": "Back yard", "city": "Hamburg", "state": "HH", "postal_code": "20095",
        "country": "DE",
    });
    let path = format!("/users/{}/addresses", shop.ada);
    let kept = customer(shop.user.post(&path), &shop.ada).json(&address).send().status(201).text_of("id");
    let answer = to(&shop, &shop.ada, &kept).send().status(201).includes(json!({"shipping": address}));
    let _ =
        answer.includes(json!({"shipping": {"recipient_name": "Ada Tester", "shipping_status": "pending"}}));
    assert_eq!(
        shop.order.calls(),
        [format!("user GET {path}/{kept}"), format!("user GET /users/{}", shop.ada)]
    );
    // Another's address is not there.
    let bo = shop.registers("Bo");
    let _ = to(&shop, &bo, &kept).send().problem(409, "unknown-address");
    // And what is gone is not there either, while the order keeps its own.
    let _ = customer(shop.user.delete(format!("{path}/{kept}")), &shop.ada).send().status(204);
    let _ = to(&shop, &shop.ada, &kept).send().problem(409, "unknown-address");
    shop.settles();
    shop.agrees();
}

#[test]
fn a_name_follows_the_product_and_a_price_is_frozen() {
    let shop = Shop::open();
    let [open, shipped] = [(); 2].map(|()| shop.placed_and_settled("tok_ok"));
    shop.does(&shipped, "ship");
    let change = admin(shop.product.patch(format!("/products/{}", shop.leeks)));
    let _ = change.json(json!({"name": "Onions", "price": "1.00"})).send().status(200);
    shop.settles();
    for (id, name) in [(&open, "Onions"), (&shipped, "Leeks")] {
        let item = &shop.read(id)["items"][1];
        assert_eq!((&item["product_name"], &item["unit_price"]), (&json!(name), &json!("19.99")));
    }
    let new = shop.ordering(&shop.ada, 0, 1, "tok_ok").send().status(201);
    let _ = new.includes(json!({"total_amount": "1.00", "items": [{"product_name": "Onions"}]}));
    shop.settles();
    shop.agrees();
}

#[test]
fn an_order_uses_the_price_that_the_order_service_knows() {
    let shop = Shop::open();
    let change = admin(shop.product.patch(format!("/products/{}", shop.leeks)));
    let _ = change.json(json!({"price": "1.00"})).send().status(200);
    let old = shop.ordering(&shop.ada, 0, 1, "tok_ok").send().status(201).text_of("total_amount");
    shop.consumes("product", "order", "product.changed");
    let new = shop.ordering(&shop.ada, 0, 1, "tok_ok").send().status(201).text_of("total_amount");
    assert_eq!((old.as_str(), new.as_str()), ("19.99", "1.00"));
    shop.settles();
    shop.agrees();
}

#[test]
fn an_admin_can_order_for_a_customer_once_the_order_service_knows_them() {
    let shop = Shop::open();
    let bo = shop.registers("Bo");
    let place = || {
        let body = json!({
            "items": [{"product_id": shop.leeks, "quantity": 1}],
            "shipping": {
                "recipient_name": "Bo", "address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE",
            },
            "payment": {"method": "card", "token": "tok_ok"},
            "user_id": bo,
        });
        admin(shop.order.post("/orders")).json(body).send()
    };
    let _ = place().problem(409, "unknown-user");
    shop.consumes("user", "order", "user.changed");
    let _ = place().status(201).includes(json!({"user_id_ref": bo}));
    shop.settles();
    shop.agrees();
}
