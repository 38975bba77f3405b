//! The other lists of the shop: each has one order, and only that of the orders has filters.

use bulkhead_tests::shop::{category, id, order_body, product, product_body, read_all, settled, user_body};
use bulkhead_tests::{Client, Host};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::{Key, List};

/// Few, so that pages end among equal ones, and one that was deleted comes again.
const PLACES: usize = 9;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All categories, by their slugs.
    Categories,
    /// All users, the oldest first.
    Users,
    /// The addresses of a user, the oldest first.
    Addresses,
    /// The preferences of a user, by their keys.
    Preferences,
    /// The images of a product, in the order of display.
    Images,
    /// The reviews of a product, the newest first.
    Reviews,
    /// The orders of a user, the newest first.
    Orders,
}

/// A list, with what its items need.
pub(super) struct Other {
    which: Which,
    admin: Client,
    /// Where the list is: `/products/ID/images`.
    path: String,
    /// So many users were registered, and so many products made.
    made: usize,
    /// Whose orders these are.
    user: String,
    /// What products belong to, and what is ordered; none where there is no such list.
    category: String,
    ordered: String,
    /// Who writes reviews, one of each product.
    reviewers: Vec<Client>,
}

impl Other {
    pub(super) fn new(host: &Host, which: Which) -> Other {
        let mut admin = host.admin();
        let (mut shelf, mut ordered, mut reviewers) = (String::new(), String::new(), Vec::new());
        if matches!(which, Which::Images | Which::Reviews | Which::Orders) {
            shelf = category(&mut admin, &format!("{which:?}").to_lowercase(), None);
        }
        if which == Which::Orders {
            let mut body = product_body(&shelf, "ordered");
            body["stock_quantity"] = 1_000_000.into();
            let answer = admin.post("/products", &body);
            settled(&mut admin, &answer);
            ordered = id(&answer.expect(201));
        }
        if which == Which::Reviews {
            reviewers = (0..PLACES).map(|_| host.customer("Ada").client).collect();
        }
        let (path, user, category) = (String::new(), String::new(), shelf);
        Other { which, admin, path, made: 0, user, category, ordered, reviewers }
    }

    /// Registers a user.
    fn user(&mut self) -> Value {
        self.made += 1;
        let answer = self
            .admin
            .post("/users", &user_body(&format!("{:?}-{}@paging.example", self.which, self.made), "Ada"));
        if self.which == Which::Orders {
            settled(&mut self.admin, &answer);
        }
        answer.expect(201)
    }

    /// Adds an item, or answers that there is one in this place.
    fn post(&mut self, body: &Value) -> Option<Value> {
        let answer = self.admin.post(&self.path, body);
        (answer.status != 409).then(|| answer.expect(201))
    }
}

/// As text these do not stand as their numbers do.
fn slug(place: usize) -> String {
    format!("shelf-{}", place * 3)
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item[field].as_str().unwrap_or_else(|| panic!("no {field}: {item}"))
}

fn address(line: &str) -> Value {
    json!({"address_line1": line, "city": "Ulm", "postal_code": "89073", "country": "DE"})
}

impl List for Other {
    type Draft = usize;
    /// Of the orders, those that are cancelled.
    type Query = bool;

    fn drafts(&self) -> BoxedStrategy<usize> {
        (0..PLACES).boxed()
    }

    fn queries(&self) -> BoxedStrategy<bool> {
        if self.which == Which::Orders { any::<bool>().boxed() } else { Just(false).boxed() }
    }

    fn client(&mut self) -> &mut Client {
        &mut self.admin
    }

    fn begin(&mut self) {
        match self.which {
            Which::Categories | Which::Users => {
                self.path = format!("/{:?}", self.which).to_lowercase();
                for item in read_all(&mut self.admin, &format!("{}?", self.path), 200) {
                    self.delete(&item);
                }
            }
            Which::Addresses => self.path = format!("/users/{}/addresses", id(&self.user())),
            Which::Preferences => self.path = format!("/users/{}/preferences", id(&self.user())),
            Which::Images | Which::Reviews => {
                self.made += 1;
                let sku = format!("{:?}-{}", self.which, self.made);
                let product = id(&product(&mut self.admin, &self.category, &sku));
                self.path = format!("/products/{product}/{:?}", self.which).to_lowercase();
            }
            Which::Orders => {
                self.path = "/orders".to_owned();
                self.user = id(&self.user());
            }
        }
    }

    fn path(&self, query: &bool) -> String {
        match self.which {
            Which::Orders if *query => format!("/orders?status=cancelled&user_id={}&", self.user),
            Which::Orders => format!("/orders?user_id={}&", self.user),
            _ => format!("{}?", self.path),
        }
    }

    fn insert(&mut self, place: &usize) -> Option<Value> {
        match self.which {
            Which::Categories => self.post(&json!({"name": "Shelf", "slug": slug(*place)})),
            Which::Users => Some(self.user()),
            Which::Addresses => self.post(&address("1 Quay")),
            Which::Preferences => {
                let answer =
                    self.admin.put(&format!("{}/{}", self.path, slug(*place)), &json!({"value": "on"}));
                assert!(matches!(answer.status, 200 | 201), "{answer}");
                Some(answer.value())
            }
            // The first place stands for the last that there is.
            Which::Images if *place == 0 => self.post(&json!({"image_url": "https://paging.example/1"})),
            Which::Images => {
                self.post(&json!({"image_url": "https://paging.example/1", "display_order": place * 3}))
            }
            Which::Reviews => {
                let answer = self.reviewers[*place].post(&self.path, &json!({"rating": 4}));
                (answer.status != 409).then(|| answer.expect(201))
            }
            Which::Orders => {
                let mut body = order_body(&[(&self.ordered, 1)], "tok_ok");
                body["user_id"] = self.user.as_str().into();
                body["ordered_at"] = format!("2026-01-0{}T00:00:00Z", place / 2 + 1).into();
                self.post(&body)
            }
        }
    }

    fn change(&mut self, item: &Value, place: &usize) -> Option<Value> {
        let path = format!("{}/{}", self.path, id(item));
        match self.which {
            Which::Categories => {
                let answer = self.admin.patch(&path, &json!({"slug": slug(*place)}));
                (answer.status != 409).then(|| answer.expect(200))
            }
            Which::Users => Some(self.admin.patch(&path, &json!({"first_name": "Grace"})).expect(200)),
            Which::Addresses => Some(self.admin.put(&path, &address("2 Quay")).expect(200)),
            Which::Orders if item["status"] != "cancelled" => {
                Some(self.admin.post(&format!("{path}/cancel"), &json!({})).expect(200))
            }
            Which::Orders | Which::Preferences | Which::Images | Which::Reviews => None,
        }
    }

    fn delete(&mut self, item: &Value) -> bool {
        let name = match self.which {
            Which::Orders => return false,
            Which::Preferences => text(item, "preference_key").to_owned(),
            _ => id(item),
        };
        self.admin.delete(&format!("{}/{name}", self.path)).expect(204);
        true
    }

    fn takes(&self, query: &bool, item: &Value) -> bool {
        !query || item["status"] == "cancelled"
    }

    fn key(&self, _: &bool, item: &Value) -> Key {
        let (number, text, id) = match self.which {
            Which::Categories => (0, text(item, "slug"), ""),
            Which::Preferences => (0, text(item, "preference_key"), ""),
            Which::Addresses => (0, "", text(item, "id")),
            Which::Images => (item["display_order"].as_i64().unwrap(), "", text(item, "id")),
            Which::Users | Which::Reviews | Which::Orders => (0, text(item, "created_at"), text(item, "id")),
        };
        Key { number, text: text.to_owned(), id: id.to_owned() }
    }

    fn descends(&self, _: &bool) -> bool {
        matches!(self.which, Which::Reviews | Which::Orders)
    }
}
