//! A busy shop goes on while its product service goes two versions forth and back: one adds a column to the products, one makes their table
//! again, which has children.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bulkhead_tests::shop::{self, category, id, product, product_body, read_all, texts_of};
use bulkhead_tests::{Admin, Answer, Client, Customer, Host, Manifest, Site, database, paths, versions};
use http::Method;
use serde_json::{Value, json};

use super::busy::{Load, ROOM, Work, label, version_of};
use crate::ordering::{Written, place, ship, stocked, until_status};

const PRODUCTS: usize = 4;
const STOCK: u32 = 1_000_000;
/// Images that the products have together.
const IMAGES: usize = 100;
const READERS: usize = 4;
const CUSTOMERS: usize = 3;
const ROUNDS: usize = 2;
/// So many answers of a version, and so many orders, are awaited before the next takes its place.
const ANSWERS: usize = 100;
const ORDERS: usize = 2 * CUSTOMERS;

/// The shop with more time and room than any busy machine needs.
fn unhurried() -> Manifest {
    let manifest = shop::unhurried(Manifest::shop()).set("service.order.config.payment_timeout", "1h");
    ["order", "product", "report"].iter().fold(manifest, |manifest, service| {
        let limits = format!("service.{service}.limits");
        manifest
            .set(&format!("{limits}.request_timeout"), "30s")
            .set(&format!("{limits}.lease_hold"), "10s")
            .set(&format!("{limits}.queue"), ROOM)
    })
}

/// What was done, and was answered as it should be.
enum Done {
    /// The product service answered in this version.
    Answered { version: String },
    /// A product has this image from now on, or no more.
    Image { version: String, product: String, image: String, is_there: bool },
    /// A product has one review more.
    Review { version: String, product: String },
    /// An order was paid, and perhaps shipped; so many of these products.
    Order { items: Vec<(String, u32)>, shipped: bool },
}

impl Done {
    fn is_by(&self, of: &str) -> bool {
        match self {
            Done::Answered { version } | Done::Image { version, .. } | Done::Review { version, .. } => {
                version == of
            }
            Done::Order { .. } => false,
        }
    }
}

/// The product service answered as it should.
#[track_caller]
fn answered(answer: &Answer, status: u16) -> String {
    answer.expect_status(status);
    version_of(answer).to_owned()
}

/// Reads all that there is of a product.
fn reader(mut client: Client, products: Arc<Vec<Written>>) -> Work<Done> {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let id = &products[number % products.len()].id;
        let path = match number / products.len() % 5 {
            0 => format!("/products/{id}"),
            1 => format!("/products/{id}/images"),
            2 => format!("/products/{id}/reviews?limit=10"),
            3 => format!("/products/{id}/stock"),
            _ => "/products?q=Product&sort=name&limit=10".to_owned(),
        };
        Done::Answered { version: answered(&client.get(&path), 200) }
    })
}

/// Changes prices, which the orders' service hears of.
fn pricer(mut admin: Client, products: Arc<Vec<Written>>) -> Work<Done> {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let body = json!({"price": format!("{}.{:02}", number % 900 + 1, number % 100)});
        let path = format!("/products/{}", products[number % products.len()].id);
        Done::Answered { version: answered(&admin.patch(&path, &body), 200) }
    })
}

/// Gives products images, and takes the oldest away where there are many.
fn photographer(mut admin: Client, products: Arc<Vec<Written>>) -> Work<Done> {
    let (mut number, mut standing) = (0, VecDeque::new());
    Box::new(move || {
        if standing.len() == IMAGES {
            let (product, image): (String, String) = standing.pop_front().expect("there are some");
            let answer = admin.delete(&format!("/products/{product}/images/{image}"));
            return Done::Image { version: answered(&answer, 204), product, image, is_there: false };
        }
        number += 1;
        let product = products[number % products.len()].id.clone();
        let body = json!({"image_url": format!("https://images.example/{number}.png")});
        let answer = admin.post(&format!("/products/{product}/images"), &body);
        let (version, image) = (answered(&answer, 201), id(&answer.value()));
        standing.push_back((product.clone(), image.clone()));
        Done::Image { version, product, image, is_there: true }
    })
}

/// Has a product come and go, with what hangs on it.
fn passer(mut admin: Client, category: String) -> Work<Done> {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let passing = id(&product(&mut admin, &category, &format!("passing-{number}")));
        let body = json!({"image_url": "https://images.example/passing.png"});
        admin.post(&format!("/products/{passing}/images"), &body).expect(201);
        Done::Answered { version: answered(&admin.delete(&format!("/products/{passing}")), 204) }
    })
}

/// Registers, and reviews a product.
fn reviewer(mut client: Client, products: Arc<Vec<Written>>) -> Work<Done> {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let user = shop::register(&mut client, "Grace");
        let token = shop::log_in(&mut client, user["email"].as_str().expect("an email"), shop::PASSWORD);
        let product = products[number % products.len()].id.clone();
        let body = json!({"rating": number % 5 + 1, "comment": "As it was."}).to_string();
        let authorization = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let path = format!("/products/{product}/reviews");
        let answer = client.send(Method::POST, &path, &headers, body.into());
        Done::Review { version: answered(&answer, 201), product }
    })
}

/// Places an order of two products and waits until it is paid; every second one is shipped.
fn customer(customer: Customer, mut admin: Client, products: Arc<Vec<Written>>) -> Work<Done> {
    let Customer { mut client, .. } = customer;
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let [one, other] = [0, 1].map(|next| &products[(number + next) % products.len()]);
        let order = place(&mut client, &[(one, 1), (other, 2)], "tok_ok");
        until_status(&mut client, &order, "paid");
        let shipped = number % 2 == 1;
        if shipped {
            ship(&mut admin, &order);
        }
        Done::Order { items: vec![(one.id.clone(), 1), (other.id.clone(), 2)], shipped }
    })
}

struct BusyShop {
    site: Site,
    host: Host,
    admin: Client,
    operator: Admin,
    products: Arc<Vec<Written>>,
    load: Load<Done>,
}

impl BusyShop {
    fn open() -> BusyShop {
        let site = Site::new(&unhurried());
        let host = site.start();
        let mut admin = host.admin();
        let category = category(&mut admin, "all", None);
        let products: Vec<Written> = (0..PRODUCTS)
            .map(|number| stocked(&mut admin, &category, &format!("sku-{number}"), "1.00", STOCK))
            .collect();
        let products = Arc::new(products);
        let shared = || Arc::clone(&products);
        let mut works: Vec<Work<Done>> = (0..READERS).map(|_| reader(host.admin(), shared())).collect();
        works.extend((0..CUSTOMERS).map(|_| customer(host.customer("Ada"), host.admin(), shared())));
        works.push(pricer(host.admin(), shared()));
        works.push(photographer(host.admin(), shared()));
        works.push(passer(host.admin(), category));
        works.push(reviewer(host.client(), shared()));
        let operator = Admin::of(&site, &host);
        BusyShop { site, host, admin, operator, products, load: Load::start(works) }
    }

    /// The version serves, orders go through, and the check finds nothing amiss.
    #[track_caller]
    fn goes_on(&mut self, version: &str) {
        self.load.until(&format!("{version} answers"), ANSWERS, |done| done.is_by(version));
        self.load.until("an order is paid", ORDERS, |done| matches!(done, Done::Order { .. }));
        self.check();
    }

    #[track_caller]
    fn check(&mut self) {
        let report = self.operator.send(Method::POST, "/api/check").expect(200);
        assert_eq!(report["findings"], json!([]), "{report}");
    }

    /// After a swap: these migrations were applied, or undone, and this is where the first two products come from.
    #[track_caller]
    fn is_swapped(&mut self, deployed: &Value, migrations: &[(&str, bool)], origins: Option<[Value; 2]>) {
        let steps = deployed["migrations"].as_array().expect("migrations").iter();
        let steps: Vec<_> =
            steps.map(|step| (step["name"].as_str().unwrap(), step["undone"].as_bool().unwrap())).collect();
        assert_eq!(steps, migrations, "{deployed}");
        let version = label("product", deployed);
        for place in 0..2 {
            let path = format!("/products/{}/origin", self.products[place].id);
            let answer = self.admin.get(&path);
            assert_eq!(version_of(&answer), version);
            match &origins {
                Some(origins) => assert_eq!(answer.expect(200)["origin"], origins[place]),
                None => drop(answer.problem(404, "not-found")),
            }
        }
        self.goes_on(&version);
    }

    /// Forth to both versions, and back.
    #[track_caller]
    fn round(&mut self) {
        let first = self.operator.versions("product")[0].clone();
        let column = self.operator.deploy("product", &versions::product_column());
        self.is_swapped(&column, &[("add_origin", false)], Some([json!(null), json!(null)]));
        let path = format!("/products/{}/origin", self.products[0].id);
        self.admin.put(&path, &json!({"origin": "FR"})).expect(200);
        let rebuilt = self.operator.deploy("product", &versions::product_rebuilt());
        self.is_swapped(&rebuilt, &[("require_origin", false)], Some([json!("FR"), json!("ZZ")]));
        let back = self.operator.roll_back("product", None);
        assert_eq!(back["sha256"], column["sha256"]);
        self.is_swapped(&back, &[("require_origin", true)], Some([json!("FR"), json!(null)]));
        let back = self.operator.roll_back("product", first["sha256"].as_str());
        assert_eq!(back["sha256"], first["sha256"]);
        self.is_swapped(&back, &[("add_origin", true)], None);
    }
}

/// What there has to be of the products, by their ids.
#[derive(Default)]
struct Expected {
    images: BTreeMap<String, BTreeSet<String>>,
    reviews: BTreeMap<String, u64>,
    reserved: BTreeMap<String, u32>,
    sold: BTreeMap<String, u32>,
}

impl Expected {
    fn of(done: Vec<Done>) -> Expected {
        let mut expected = Expected::default();
        for done in done {
            match done {
                Done::Answered { .. } => {}
                Done::Image { product, image, is_there, .. } => {
                    let images = expected.images.entry(product).or_default();
                    let is_new = if is_there { images.insert(image) } else { images.remove(&image) };
                    assert!(is_new, "two images have the same id");
                }
                Done::Review { product, .. } => *expected.reviews.entry(product).or_default() += 1,
                Done::Order { items, shipped } => {
                    let all = if shipped { &mut expected.sold } else { &mut expected.reserved };
                    for (product, quantity) in items {
                        *all.entry(product).or_default() += quantity;
                    }
                }
            }
        }
        expected
    }

    /// All of it is there, and nothing else is.
    #[track_caller]
    fn is_there(&self, admin: &mut Client, product: &str) {
        let path = format!("/products/{product}");
        let images = texts_of(&read_all(admin, &format!("{path}/images?"), 50), "id");
        assert_eq!(images.into_iter().collect::<BTreeSet<_>>(), self.images[product]);
        assert_eq!(read_all(admin, &format!("{path}/reviews?"), 50).len() as u64, self.reviews[product]);
        let found = admin.get(&path).expect(200);
        assert_eq!(found["rating"]["count"], self.reviews[product], "{found}");
        let stock = admin.get(&format!("{path}/stock")).expect(200);
        let (reserved, sold) = (self.reserved[product], self.sold[product]);
        let expected = json!({"available": STOCK - reserved - sold, "reserved": reserved, "sold": sold});
        for part in ["available", "reserved", "sold"] {
            assert_eq!(stock[part], expected[part], "{part}: {stock}");
        }
    }
}

#[test]
fn busy_shop_continues_while_its_products_are_migrated_and_rolled_back() {
    let mut shop = BusyShop::open();
    let built = shop.operator.versions("product")[0].clone();
    shop.goes_on(&label("product", &built));
    for _ in 0..ROUNDS {
        shop.round();
    }
    let BusyShop { site, host, mut admin, mut operator, products, load } = shop;
    let expected = Expected::of(load.end());
    for (producer, consumer) in [("order", "product"), ("product", "order"), ("order", "report")] {
        operator.until_quiet(producer, consumer);
    }
    for service in ["user", "product", "order", "report"] {
        let dead = operator.dead_letters(service);
        assert!(dead.is_empty(), "{dead:?}");
    }
    for product in products.iter() {
        expected.is_there(&mut admin, &product.id);
    }
    let report = operator.send(Method::POST, "/api/check").expect(200);
    assert_eq!(report["findings"], json!([]), "{report}");
    // The schema is that of the first version: a new product needs nothing that later ones know.
    let category = category(&mut admin, "later", None);
    admin.post("/products", &product_body(&category, "later")).expect(201);
    let finished = host.stop();
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    database::check(&database::open(&site.database("product")));
    // It is found again by the next start.
    let host = site.start();
    let answer = host.client().get("/products?limit=1");
    answer.expect_status(200);
    assert_eq!(version_of(&answer), label("product", &built));
    assert!(paths::component("product").is_file());
    host.stop();
}
