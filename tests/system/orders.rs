//! Orders: placing, reading and listing them. What becomes of them is in the files of the folder.

mod deletion;
mod payment;
mod saga;

use bulkhead_tests::shop::{
    self, eventually, has_version_7, id, order_body, product_body, read_all, read_page, settled, texts_of,
};
use bulkhead_tests::{Answer, Client, Customer, Host, Manifest, Site, database};
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";
/// Longer than any test runs.
const UNHURRIED: &str = "1h";

/// A shop with products that the order service knows, ten of each at 19.99.
struct Market {
    site: Site,
    host: Host,
    admin: Client,
    category: String,
    products: Vec<String>,
}

impl Market {
    fn new(products: usize, payment_timeout: &str) -> Market {
        // More time than any busy machine needs: these tests are not about deadlines.
        let mut manifest =
            shop::unhurried(Manifest::shop()).set("service.order.config.payment_timeout", payment_timeout);
        for service in ["order", "product"] {
            manifest = manifest
                .set(&format!("service.{service}.limits.request_timeout"), "30s")
                .set(&format!("service.{service}.limits.lease_hold"), "10s");
        }
        let site = Site::new(&manifest);
        let host = site.start();
        let mut admin = host.admin();
        let category = shop::category(&mut admin, "all", None);
        let mut market = Market { site, host, admin, category, products: Vec::new() };
        for number in 0..products {
            let product = market.product(&format!("sku-{number}"));
            market.products.push(product);
        }
        market
    }

    /// Stops the host, changes a service's file, and starts another host on it.
    #[track_caller]
    fn with_db(self, service: &str, change: &str) -> Market {
        let Market { site, host, category, products, .. } = self;
        host.stop();
        let connection = database::open_to_break(&site.database(service));
        assert_eq!(connection.execute(change, ()).expect(change), 1, "{change}");
        drop(connection);
        let host = site.start();
        let admin = host.admin();
        Market { site, host, admin, category, products }
    }

    /// A customer of the host before, as a client of the present one.
    fn again(&self, customer: &Customer) -> Client {
        self.host.client().with_token(customer.client.token().unwrap())
    }

    /// A further product that the order service knows.
    fn product(&mut self, sku: &str) -> String {
        let answer = self.admin.post("/products", &product_body(&self.category, sku));
        settled(&mut self.admin, &answer);
        id(&answer.expect(201))
    }

    /// What places an order of one of each of the products.
    fn body(&self, token: &str) -> Value {
        let items: Vec<(&str, u32)> = self.products.iter().map(|product| (product.as_str(), 1)).collect();
        order_body(&items, token)
    }

    /// A customer's order of one of each of the products.
    #[track_caller]
    fn place(&self, customer: &mut Customer, token: &str) -> String {
        id(&customer.client.post("/orders", &self.body(token)).expect(201))
    }

    /// The same, when it stands so.
    #[track_caller]
    fn place_until(&mut self, customer: &mut Customer, token: &str, status: &str) -> String {
        let order = self.place(customer, token);
        self.until(&order, status);
        order
    }

    /// The order when it stands so.
    #[track_caller]
    fn until(&mut self, order: &str, status: &str) -> Value {
        eventually(&mut self.admin, &format!("/orders/{order}"), |order| order["status"] == status)
    }

    /// The order when its payment stands so.
    #[track_caller]
    fn until_payment(&mut self, order: &str, status: &str) -> Value {
        let wanted = |order: &Value| order["payment"]["payment_status"] == status;
        eventually(&mut self.admin, &format!("/orders/{order}"), wanted)
    }

    #[track_caller]
    fn order(&mut self, order: &str) -> Value {
        self.admin.get(&format!("/orders/{order}")).expect(200)
    }

    /// Status, payment status and shipping status.
    #[track_caller]
    fn stands(&mut self, order: &str) -> [String; 3] {
        let order = self.order(order);
        [&order["status"], &order["payment"]["payment_status"], &order["shipping"]["shipping_status"]]
            .map(|status| status.as_str().unwrap().to_owned())
    }

    fn post(&mut self, order: &str, what: &str, body: &Value) -> Answer {
        self.admin.post(&format!("/orders/{order}/{what}"), body)
    }

    #[track_caller]
    fn ship(&mut self, order: &str) -> Value {
        self.post(order, "ship", &json!({"carrier": "Post", "tracking_number": "P-1"})).expect(200)
    }

    /// What happened to an order: each with what the order was then.
    #[track_caller]
    fn history(&mut self, order: &str) -> Vec<String> {
        let entries = read_all(&mut self.admin, &format!("/orders/{order}/history?"), 2);
        let times = texts_of(&entries, "at");
        assert!(times.is_sorted(), "{times:?}");
        let (causes, statuses) = (texts_of(&entries, "cause"), texts_of(&entries, "status"));
        causes.iter().zip(statuses).map(|(cause, status)| format!("{cause}: {status}")).collect()
    }

    /// Waits until so many of the first product are available, reserved and sold.
    #[track_caller]
    fn until_stock(&mut self, [available, reserved, sold]: [i64; 3]) {
        let path = format!("/products/{}/stock", self.products[0]);
        let stock = eventually(&mut self.admin, &path, |stock| {
            stock["available"] == available && stock["reserved"] == reserved && stock["sold"] == sold
        });
        assert_eq!(stock["added"], available + reserved + sold);
    }

    /// The first column of all rows of the order service's database.
    #[track_caller]
    fn rows(&self, statement: &str) -> Vec<String> {
        database::texts(&database::open(&self.site.database("order")), statement)
    }

    /// The types of the facts about an order, in their order.
    #[track_caller]
    fn facts(&self, order: &str) -> Vec<String> {
        self.rows(&format!("SELECT type FROM _bulkhead_outbox WHERE subject = '{order}' ORDER BY sequence"))
    }
}

#[test]
fn an_order_has_names_prices_and_the_exact_sum() {
    let mut market = Market::new(2, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let [one, two] = [market.products[0].clone(), market.products[1].clone()];
    let answer = ada.client.post("/orders", &order_body(&[(&two, 3), (&one, 1)], "tok_ok"));
    let order = answer.expect(201);
    assert_eq!(answer.header("location"), Some(format!("/orders/{}", id(&order)).as_str()));
    assert_eq!((&order["status"], &order["total_amount"]), (&json!("pending"), &json!("79.96")));
    assert_eq!(order["user_id_ref"], ada.id.as_str());
    let items = order["items"].as_array().unwrap();
    let item = |item: &Value| {
        ["product_id_ref", "product_name", "unit_price", "quantity", "subtotal"]
            .map(|field| item[field].clone())
    };
    assert_eq!(
        items.iter().map(item).collect::<Vec<_>>(),
        [
            [json!(two), json!("Product sku-1"), json!("19.99"), json!(3), json!("59.97")],
            [json!(one), json!("Product sku-0"), json!("19.99"), json!(1), json!("19.99")],
        ]
    );
    let payment = &order["payment"];
    assert_eq!(
        ["payment_method", "payment_status", "transaction_id", "amount", "paid_at"]
            .map(|field| payment[field].clone()),
        [json!("card"), json!("pending"), json!(null), json!("79.96"), json!(null)]
    );
    assert!(payment.get("token").is_none(), "{payment}");
    for part in items.iter().chain([&order, payment, &order["shipping"]]) {
        has_version_7(part);
    }
    assert_eq!([&order["shipping"]["carrier"], &order["shipping"]["tracking_number"]], [&Value::Null; 2]);

    let read = market.until(&id(&order), "paid");
    for field in ["id", "order_number", "items", "created_at", "total_amount", "user_id_ref"] {
        assert_eq!(read[field], order[field], "{field}");
    }
    let number = order["order_number"].as_str().unwrap();
    assert_eq!(ada.client.get(&format!("/orders/by-number/{number}")).expect(200), read);
    assert_eq!(ada.client.get(&format!("/orders/{}", id(&order))).expect(200), read);
    assert_eq!(read_all(&mut ada.client, "/orders?", 10), [read]);
}

#[test]
fn prices_are_frozen_and_names_follow_the_product_until_the_order_is_shipped() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let shipped = market.place_until(&mut ada, "tok_ok", "paid");
    market.ship(&shipped);
    let open = market.place_until(&mut ada, "tok_ok", "paid");
    let path = format!("/products/{}", market.products[0]);
    let change = market.admin.patch(&path, &json!({"name": "Renamed", "price": "1.00"}));
    settled(&mut market.admin, &change);
    for (order, name) in [(&shipped, "Product sku-0"), (&open, "Renamed")] {
        let order = market.order(order);
        assert_eq!(
            (&order["items"][0]["product_name"], &order["total_amount"]),
            (&json!(name), &json!("19.99"))
        );
        assert_eq!(order["items"][0]["unit_price"], "19.99");
    }
    let new = ada.client.post("/orders", &market.body("tok_ok")).expect(201);
    assert_eq!((&new["items"][0]["product_name"], &new["total_amount"]), (&json!("Renamed"), &json!("1.00")));
}

#[test]
fn unknown_items_are_reported_by_name_and_nothing_is_ordered() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let other = UNKNOWN.replace("0000", "0001");
    let known = market.products[0].clone();
    let body = order_body(&[(UNKNOWN, 1), (&known, 1), (&other, 1)], "tok_ok");
    let problem = ada.client.post("/orders", &body).problem(409, "unknown-product");
    assert_eq!(problem["products"], json!([UNKNOWN, other]));

    let mut body = market.body("tok_ok");
    body["user_id"] = json!(UNKNOWN);
    let problem = market.admin.post("/orders", &body).problem(409, "unknown-user");
    assert_eq!((&problem["users"], &problem["products"]), (&json!([UNKNOWN]), &json!([])));
    let mut body = order_body(&[(UNKNOWN, 1), (&known, 1), (&other, 1)], "tok_ok");
    body["user_id"] = json!(UNKNOWN);
    let problem = market.admin.post("/orders", &body).problem(409, "unknown-user");
    assert_eq!((&problem["users"], &problem["products"]), (&json!([UNKNOWN]), &json!([UNKNOWN, other])));

    let mut body = market.body("tok_ok");
    body["shipping"] = json!({"address_id": UNKNOWN});
    ada.client.post("/orders", &body).problem(409, "unknown-address");

    let mut body = market.body("tok_ok");
    body["expected_total"] = json!("20.00");
    let problem = ada.client.post("/orders", &body).problem(409, "price-changed");
    assert_eq!(problem["total_amount"], "19.99");

    ada.client
        .post("/orders", &order_body(&[(&known, 1), (&known, 1)], "tok_ok"))
        .invalid(&["items[1].product_id"]);
    ada.client.post("/orders", &json!({"coupon": 1})).invalid(&["items", "shipping", "payment", "coupon"]);
    assert!(market.rows("SELECT id FROM \"order\"").is_empty());
    assert!(market.rows("SELECT id FROM _bulkhead_outbox").is_empty());
    body["expected_total"] = json!("19.99");
    ada.client.post("/orders", &body).expect(201);
}

#[test]
fn at_most_10000_of_a_product_can_be_ordered() {
    let market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let mut place =
        |quantity| ada.client.post("/orders", &order_body(&[(&market.products[0], quantity)], "t"));
    assert_eq!(place(10_000).expect(201)["total_amount"], "199900.00");
    for quantity in [10_001, 0] {
        place(quantity).invalid(&["items[0].quantity"]);
    }
}

#[test]
fn total_that_is_not_a_valid_amount_is_refused() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let path = format!("/products/{}", market.products[0]);
    let change = market.admin.patch(&path, &json!({"price": "9999999.99"}));
    settled(&mut market.admin, &change);
    let product = market.products[0].clone();
    ada.client.post("/orders", &order_body(&[(&product, 2)], "tok_ok")).invalid(&["items"]);
    ada.client.post("/orders", &order_body(&[(&product, 1)], "tok_ok")).expect(201);
}

#[test]
fn saved_address_of_the_customer_is_fetched_by_its_id() {
    let mut market = Market::new(1, UNHURRIED);
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| market.host.customer(name));
    let address = json!({
        "address_line1": "2 Quay", "address_line2": "Back yard", "city": "Hamburg", "state": "HH", "postal_code": "20095",
        "country": "DE",
    });
    let kept = id(&ada.client.post(&format!("/users/{}/addresses", ada.id), &address).expect(201));
    let mut body = market.body("tok_ok");
    for (name, shipping) in [
        ("Ada Tester", json!({"address_id": kept})),
        ("Cy Young", json!({"address_id": kept, "recipient_name": "Cy Young"})),
    ] {
        body["shipping"] = shipping;
        let order = ada.client.post("/orders", &body).expect(201);
        assert_eq!(order["shipping"]["recipient_name"], name);
        for (field, value) in address.as_object().unwrap() {
            assert_eq!(order["shipping"][field], *value, "{field}");
        }
    }
    // Another's address is not there, for a customer and for whom an admin orders.
    bo.client.post("/orders", &body).problem(409, "unknown-address");
    body["user_id"] = json!(bo.id);
    let registered = bo.client.patch(&format!("/users/{}", bo.id), &json!({"last_name": "Other"}));
    settled(&mut market.admin, &registered);
    market.admin.post("/orders", &body).problem(409, "unknown-address");
}

#[test]
fn admin_can_order_for_a_user_at_a_past_time() {
    let mut market = Market::new(1, UNHURRIED);
    let mut ada = market.host.customer("Ada");
    let registered = ada.client.patch(&format!("/users/{}", ada.id), &json!({"last_name": "Other"}));
    settled(&mut market.admin, &registered);
    let mut body = market.body("tok_ok");
    market.admin.post("/orders", &body).invalid(&["user_id"]);
    body["user_id"] = json!(ada.id);
    body["ordered_at"] = json!("2017-01-01T11:53:26Z");
    ada.client.post("/orders", &body).problem(403, "forbidden");
    for number in ["2017-000001", "2017-000002"] {
        let order = market.admin.post("/orders", &body).expect(201);
        assert_eq!((&order["order_number"], &order["user_id_ref"]), (&json!(number), &json!(ada.id)));
        assert_eq!(order["created_at"], "2017-01-01T11:53:26.000Z");
        // There is time to pay from now on, not from then.
        market.until(&id(&order), "paid");
    }
}

#[test]
fn list_has_complete_orders_newest_first_and_is_stable() {
    let mut market = Market::new(2, UNHURRIED);
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| market.host.customer(name));
    let mut hers: Vec<String> = (0..5).map(|_| market.place_until(&mut ada, "tok_ok", "paid")).collect();
    let his = market.place_until(&mut bo, "tok_ok", "paid");
    hers.reverse();
    for limit in [1, 2, 50] {
        let listed = read_all(&mut ada.client, "/orders?", limit);
        assert_eq!(texts_of(&listed, "id"), hers);
        for order in &listed {
            assert_eq!(*order, market.order(&id(order)));
        }
    }
    let all = [std::slice::from_ref(&his), &hers].concat();
    assert_eq!(texts_of(&read_all(&mut market.admin, "/orders?", 3), "id"), all);
    let of_ada = format!("/orders?user_id={}&", ada.id);
    for client in [&mut market.admin, &mut ada.client] {
        assert_eq!(texts_of(&read_all(client, &of_ada, 3), "id"), hers);
    }
    assert!(read_all(&mut bo.client, &of_ada, 3).is_empty());

    market.ship(&hers[1]);
    assert_eq!(texts_of(&read_all(&mut ada.client, "/orders?status=shipped&", 3), "id"), [hers[1].clone()]);
    let paid = read_all(&mut market.admin, &format!("/orders?status=paid&user_id={}&", ada.id), 2);
    assert_eq!(paid.len(), 4);
    // What is ordered between two pages moves nothing.
    let (first, next) = read_page(&mut ada.client, "/orders?limit=2");
    market.place(&mut ada, "tok_ok");
    let (second, _) = read_page(&mut ada.client, &format!("/orders?limit=2&cursor={}", next.unwrap()));
    assert_eq!(texts_of(&[first, second].concat(), "id"), hers[..4]);
}

#[test]
fn order_of_another_customer_looks_like_a_missing_order() {
    let market = Market::new(1, UNHURRIED);
    let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| market.host.customer(name));
    let order = ada.client.post("/orders", &market.body("tok_ok")).expect(201);
    let number = order["order_number"].as_str().unwrap();
    for (mine, nobodys) in [
        (format!("/orders/{}", id(&order)), format!("/orders/{UNKNOWN}")),
        (format!("/orders/{}/history", id(&order)), format!("/orders/{UNKNOWN}/history")),
        (format!("/orders/by-number/{number}"), "/orders/by-number/1999-000001".to_owned()),
    ] {
        ada.client.get(&mine).expect(200);
        let not_found = |answer: Answer| shop::untraced(answer.problem(404, "not-found"));
        assert_eq!(not_found(bo.client.get(&mine)), not_found(bo.client.get(&nobodys)));
    }
    for (what, body) in [("cancel", json!(null)), ("payment", json!({"method": "card", "token": "tok_ok"}))] {
        bo.client.post(&format!("/orders/{}/{what}", id(&order)), &body).problem(404, "not-found");
    }
}
