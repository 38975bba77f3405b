//! What the services do together: the way of an order through user, product, order and report.
//!
//! All four run, with the real subscriptions between them. Nothing is taken until a test has it taken: so each test says in which order
//! things come, and at its end what all of them hold must agree ([`Shop::agrees`]).

mod crossing;
mod deletion;
mod interleavings;
mod paths;
mod paying;
mod reports;
mod stock;
mod together;

use std::collections::BTreeMap;
use std::time::Duration;

use bulkhead_testing::{Answer, Application, Request, Service, Step, Value, json};

/// Runs the shop.
const ROOT: &str = "00000000-0000-7000-8000-000000000001";
/// How long a customer has to pay, as the manifest says.
const TIME_TO_PAY: Duration = Duration::from_secs(15 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The shop: a customer, and ten potatoes at 0.25 and five leeks at 19.99 in it.
struct Shop {
    app: Application,
    user: Service,
    product: Service,
    order: Service,
    report: Service,
    ada: String,
    potatoes: String,
    leeks: String,
}

fn admin(request: Request) -> Request {
    request.principal(ROOT).role("admin")
}

fn customer(request: Request, id: &str) -> Request {
    request.principal(id).role("customer")
}

/// What was taken, from whom, by whom.
fn deliveries(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| format!("{} > {}: {}", step.producer, step.consumer, step.kind)).collect()
}

#[track_caller]
fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().expect("items").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// An amount in cents.
fn cents(value: &Value) -> i64 {
    text(value).replace('.', "").parse().expect("an amount")
}

impl Shop {
    /// It is quiet: what the services tell one another of the catalogue and the customer is taken.
    #[track_caller]
    fn open() -> Self {
        let builder = Application::of(["user", "product", "order", "report"]);
        // Hashes that are cheap: nobody's password is at stake.
        let builder =
            builder.config("user", "argon2_memory_kib", "8").config("user", "argon2_iterations", "1");
        let app = builder.start();
        let [user, product, order, report] =
            ["user", "product", "order", "report"].map(|name| app.service(name));
        let mut shop = Self {
            app,
            user,
            product,
            order,
            report,
            ada: String::new(),
            potatoes: String::new(),
            leeks: String::new(),
        };
        shop.ada = shop.registers("Ada");
        let food = shop.category("Food", None);
        let vegetables = shop.category("Vegetables", Some(&food));
        shop.potatoes = shop.stocks(&vegetables, ("Potatoes", "0.25", 10));
        shop.leeks = shop.stocks(&vegetables, ("Leeks", "19.99", 5));
        let _ = shop.app.settle();
        shop
    }

    #[track_caller]
    fn registers(&self, name: &str) -> String {
        let email = format!("{name}@shop.test");
        let body =
            json!({"email": email, "password": "tests-only", "first_name": name, "last_name": "Tester"});
        self.user.post("/users").json(body).send().status(201).text_of("id")
    }

    #[track_caller]
    fn category(&self, name: &str, parent: Option<&str>) -> String {
        let body = json!({"name": name, "slug": name.to_lowercase(), "parent_category_id": parent});
        admin(self.product.post("/categories")).json(body).send().status(201).text_of("id")
    }

    #[track_caller]
    fn stocks(&self, category: &str, (name, price, stock): (&str, &str, i64)) -> String {
        let body = json!({
            "category_id": category, "name": name, "description": "", "price": price, "sku": name, "stock_quantity": stock,
        });
        admin(self.product.post("/products")).json(body).send().status(201).text_of("id")
    }

    /// Somebody orders so many of these.
    fn ordering(&self, who: &str, potatoes: i64, leeks: i64, token: &str) -> Request {
        let wanted = [(&self.potatoes, potatoes), (&self.leeks, leeks)];
        let wanted = wanted.into_iter().filter(|(_, quantity)| *quantity > 0);
        let items: Vec<Value> =
            wanted.map(|(id, quantity)| json!({"product_id": id, "quantity": quantity})).collect();
        let body = json!({
            "items": items,
            "shipping": {
                "recipient_name": "Ada Tester", "address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE",
            },
            "payment": {"method": "card", "token": token},
        });
        customer(self.order.post("/orders"), who).json(body)
    }

    /// Ada orders three potatoes and two leeks: 40.73.
    #[track_caller]
    fn places(&self, token: &str) -> String {
        self.ordering(&self.ada, 3, 2, token).send().status(201).text_of("id")
    }

    /// Ada's order which is paid, or not, when all is quiet.
    #[track_caller]
    fn placed_and_settled(&self, token: &str) -> String {
        let id = self.places(token);
        self.settles();
        id
    }

    /// Has all be taken, and what is due now be done, until it is quiet.
    #[track_caller]
    fn settles(&self) {
        loop {
            let consumed = self.app.settle().len();
            self.run_due_timers();
            if consumed == 0 && self.app.settle().is_empty() {
                return;
            }
        }
    }

    /// Has what is due now be done.
    #[track_caller]
    fn run_due_timers(&self) {
        self.app.advance(Duration::ZERO);
    }

    /// Has one event be taken.
    #[track_caller]
    fn consumes(&self, producer: &str, consumer: &str, kind: &str) {
        let step = self.app.step_subscription(producer, consumer).expect("an event is waiting");
        assert_eq!((step.kind.as_str(), step.not_consumed), (kind, None));
    }

    /// An admin does this to an order.
    fn doing(&self, id: &str, what: &str) -> Request {
        let request = admin(self.order.post(format!("/orders/{id}/{what}")));
        match what {
            "payment" => request.json(json!({"method": "card", "token": "tok_ok"})),
            "ship" => request.json(json!({"carrier": "Royal Mail", "tracking_number": "RM1"})),
            _ => request,
        }
    }

    #[track_caller]
    fn does(&self, id: &str, what: &str) {
        let _ = self.doing(id, what).send().status(200);
    }

    #[track_caller]
    fn read(&self, id: &str) -> Value {
        admin(self.order.get(format!("/orders/{id}"))).send().status(200).json()
    }

    /// How an order, its payment and its shipping stand.
    #[track_caller]
    fn stands(&self, id: &str) -> [String; 3] {
        let order = self.read(id);
        [&order["status"], &order["payment"]["payment_status"], &order["shipping"]["shipping_status"]]
            .map(|status| text(status).to_owned())
    }

    /// What happened to an order.
    #[track_caller]
    fn causes(&self, id: &str) -> Vec<String> {
        let answer = admin(self.order.get(format!("/orders/{id}/history"))).send().status(200);
        items(&answer).iter().map(|entry| text(&entry["cause"]).to_owned()).collect()
    }

    /// Available, reserved and sold of a product; together they are all that was ever added.
    #[track_caller]
    fn stock(&self, product: &str) -> [i64; 3] {
        let path = format!("/products/{product}/stock");
        let stock = admin(self.product.get(path)).send().status(200).json();
        let [available, reserved, sold, added] =
            ["available", "reserved", "sold", "added"].map(|name| stock[name].as_i64().expect("a number"));
        assert_eq!(available + reserved + sold, added, "{stock}");
        [available, reserved, sold]
    }

    /// Of potatoes, and of leeks.
    #[track_caller]
    fn stocks_are(&self, potatoes: [i64; 3], leeks: [i64; 3]) {
        assert_eq!([self.stock(&self.potatoes), self.stock(&self.leeks)], [potatoes, leeks]);
    }

    /// The types of the events about a subject that a service published since it was last asked.
    #[track_caller]
    fn published(&self, service: &Service, subject: &str) -> Vec<String> {
        let about = service.published().into_iter().filter(|event| event.subject == subject);
        about.map(|event| event.kind).collect()
    }

    #[track_caller]
    fn reports(&self, what: &str) -> Value {
        admin(self.report.get(format!("/reports/{what}"))).send().status(200).json()
    }

    /// At a quiet moment what the services hold agrees: stock is conserved, payments go with orders, amounts are the sums of items, the
    /// gateway has the money of what is sold, and the reports say the same.
    #[track_caller]
    fn agrees(&self) {
        assert!(self.app.step().is_none(), "it is not quiet");
        for service in [&self.user, &self.product, &self.order, &self.report] {
            assert_eq!((service.parked(), service.dead_letters()), (vec![], vec![]));
        }
        let orders = items(&admin(self.order.get("/orders?limit=200")).send().status(200));
        let (mut reserved, mut sold) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
        let (mut counts, mut units) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, (i64, i64)>::new());
        let mut captured_cents = 0;
        for order in &orders {
            let (status, payment) = (text(&order["status"]), text(&order["payment"]["payment_status"]));
            let held = matches!(status, "reserved" | "paid");
            let kept = matches!(status, "paid" | "shipped" | "delivered");
            let expected: &[&str] = match status {
                "pending" | "reserved" => &["pending", "declined"],
                "cancelled" => &["voided", "refunded"],
                "rejected" => &["voided"],
                _ => &["captured"],
            };
            assert!(expected.contains(&payment), "{order}");
            *counts.entry(status.to_owned()).or_default() += 1;
            let mut sum = 0;
            for item in order["items"].as_array().expect("items") {
                let (product, quantity) =
                    (text(&item["product_id_ref"]).to_owned(), item["quantity"].as_i64().expect("a number"));
                assert_eq!(cents(&item["subtotal"]), cents(&item["unit_price"]) * quantity, "{order}");
                sum += cents(&item["subtotal"]);
                if held {
                    *reserved.entry(product.clone()).or_default() += quantity;
                }
                if matches!(status, "shipped" | "delivered") {
                    *sold.entry(product.clone()).or_default() += quantity;
                }
                if kept {
                    let units = units.entry(product).or_default();
                    *units = (units.0 + quantity, units.1 + cents(&item["subtotal"]));
                }
            }
            assert_eq!(
                [&order["total_amount"], &order["payment"]["amount"]].map(cents),
                [sum, sum],
                "{order}"
            );
            captured_cents += if kept { sum } else { 0 };
        }
        // Who is paid, or has ended, waits for nothing.
        for timer in self.order.timers().iter().filter(|timer| timer.kind.starts_with("order.payment-")) {
            let of = orders.iter().find(|order| text(&order["id"]) == timer.subject).expect("its order");
            assert!(matches!(text(&of["status"]), "pending" | "reserved"), "{} of {of}", timer.kind);
        }
        for product in [&self.potatoes, &self.leeks] {
            let held = |held: &BTreeMap<String, i64>| held.get(product).copied().unwrap_or_default();
            assert_eq!(self.stock(product)[1..], [held(&reserved), held(&sold)], "{product}");
        }
        let captured =
            "SELECT coalesce(sum(amount), 0) AS cents FROM gateway_charge WHERE state = 'captured'";
        assert_eq!(self.order.rows(captured), json!([{"cents": captured_cents}]));
        for row in self.reports("orders-by-status")["items"].as_array().expect("items") {
            let count = counts.get(text(&row["status"])).copied().unwrap_or_default();
            assert_eq!(row["count"], count, "{row}");
        }
        assert_eq!(cents(&self.reports("revenue")["total"]), captured_cents);
        let best = self.reports("best-sellers")["items"].as_array().expect("items").clone();
        let found: BTreeMap<String, (i64, i64)> = best
            .iter()
            .map(|row| {
                let units = row["units"].as_i64().expect("a number");
                (text(&row["product_id"]).to_owned(), (units, cents(&row["revenue"])))
            })
            .collect();
        assert_eq!(found, units);
    }
}
