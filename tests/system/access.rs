//! Who may do what: every route of the shop, asked by nobody, by the customer whose data it is, by another customer and by the
//! administrator; and every route with tokens that are not good.
//!
//! What the components say of their routes is the list that this table must exhaust.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_tests::shop::{self, id};
use bulkhead_tests::token::{Signer, encode, now, part};
use bulkhead_tests::{Answer, Client, Customer, Host, Site, database, host};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

/// A route with a request that nothing is wrong with, and the statuses for nobody, the owner, another customer and the administrator.
///
/// `{owner}` in a path is the customer who asks as the owner; other names in braces are made for each request, each of its own.
type Row = (&'static str, &'static str, &'static str, [u16; 4]);

const NOBODYS: &str = "";
const ADDRESS: &str =
    r#"{"address_line1": "1 Quay", "city": "Hamburg", "postal_code": "20095", "country": "DE"}"#;

/// Every route of the shop.
const TABLE: [Row; 52] = [
    // What changes the catalogue is the administrator's, and so is where the stock is; reading is everybody's.
    ("GET", "/categories", NOBODYS, [200, 200, 200, 200]),
    ("POST", "/categories", r#"{"name": "Fresh"}"#, [401, 403, 403, 201]),
    ("GET", "/categories/{category}", NOBODYS, [200, 200, 200, 200]),
    ("PATCH", "/categories/{category}", r#"{"name": "Other"}"#, [401, 403, 403, 200]),
    ("DELETE", "/categories/{category}", NOBODYS, [401, 403, 403, 204]),
    ("GET", "/categories/by-slug/{slug}", NOBODYS, [200, 200, 200, 200]),
    ("GET", "/products", NOBODYS, [200, 200, 200, 200]),
    ("POST", "/products", "NEW PRODUCT", [401, 403, 403, 201]),
    ("GET", "/products/{product}", NOBODYS, [200, 200, 200, 200]),
    ("PATCH", "/products/{product}", r#"{"price": "1.00"}"#, [401, 403, 403, 200]),
    ("DELETE", "/products/{product}", NOBODYS, [401, 403, 403, 204]),
    ("GET", "/products/by-sku/{sku}", NOBODYS, [200, 200, 200, 200]),
    ("GET", "/products/{product}/stock", NOBODYS, [401, 403, 403, 200]),
    ("POST", "/products/{product}/stock", r#"{"delta": 1}"#, [401, 403, 403, 200]),
    ("GET", "/products/{product}/images", NOBODYS, [200, 200, 200, 200]),
    (
        "POST",
        "/products/{product}/images",
        r#"{"image_url": "https://a.example/1.png"}"#,
        [401, 403, 403, 201],
    ),
    ("GET", "/products/{product}/images/{image}", NOBODYS, [200, 200, 200, 200]),
    ("DELETE", "/products/{product}/images/{image}", NOBODYS, [401, 403, 403, 204]),
    // A review is a customer's, once; its author or the administrator takes it back.
    ("GET", "/products/{product}/reviews", NOBODYS, [200, 200, 200, 200]),
    ("POST", "/products/{product}/reviews", r#"{"rating": 5}"#, [401, 201, 201, 403]),
    ("GET", "/products/{product}/reviews/{review}", NOBODYS, [200, 200, 200, 200]),
    ("DELETE", "/products/{product}/reviews/{review}", NOBODYS, [401, 204, 403, 204]),
    // What the shop earns is the administrator's to know.
    ("GET", "/reports/revenue", NOBODYS, [401, 403, 403, 200]),
    ("GET", "/reports/best-sellers", NOBODYS, [401, 403, 403, 200]),
    ("GET", "/reports/orders-by-status", NOBODYS, [401, 403, 403, 200]),
    // Registering, logging in and the keys are everybody's; what is a user's is theirs and the administrator's, and to anybody else
    // it is not there.
    ("GET", "/users", NOBODYS, [401, 403, 403, 200]),
    ("POST", "/users", "NEW USER", [201, 201, 201, 201]),
    ("GET", "/users/{owner}", NOBODYS, [401, 200, 404, 200]),
    ("PATCH", "/users/{owner}", r#"{"last_name": "Other"}"#, [401, 200, 404, 200]),
    ("DELETE", "/users/{owner}", NOBODYS, [401, 204, 404, 204]),
    ("PUT", "/users/{owner}/password", "NEW PASSWORD", [401, 204, 404, 204]),
    ("GET", "/users/{owner}/addresses", NOBODYS, [401, 200, 404, 200]),
    ("POST", "/users/{owner}/addresses", ADDRESS, [401, 201, 404, 201]),
    ("GET", "/users/{owner}/addresses/{address}", NOBODYS, [401, 200, 404, 200]),
    ("PUT", "/users/{owner}/addresses/{address}", ADDRESS, [401, 200, 404, 200]),
    ("DELETE", "/users/{owner}/addresses/{address}", NOBODYS, [401, 204, 404, 204]),
    ("GET", "/users/{owner}/preferences", NOBODYS, [401, 200, 404, 200]),
    ("GET", "/users/{owner}/preferences/{preference}", NOBODYS, [401, 200, 404, 200]),
    ("PUT", "/users/{owner}/preferences/{preference}", r#"{"value": "b"}"#, [401, 200, 404, 200]),
    ("DELETE", "/users/{owner}/preferences/{preference}", NOBODYS, [401, 204, 404, 204]),
    ("POST", "/sessions", "LOGIN", [201, 201, 201, 201]),
    ("GET", "/sessions/current", NOBODYS, [401, 200, 200, 200]),
    ("GET", "/.well-known/jwks.json", NOBODYS, [200, 200, 200, 200]),
    // An order is its customer's and the administrator's, and to anybody else it is not there; shipping is the administrator's, who
    // must also say whom an order is for.
    ("GET", "/orders", NOBODYS, [401, 200, 200, 200]),
    ("POST", "/orders", "NEW ORDER", [401, 201, 201, 422]),
    ("GET", "/orders/{order}", NOBODYS, [401, 200, 404, 200]),
    ("GET", "/orders/by-number/{order_number}", NOBODYS, [401, 200, 404, 200]),
    ("GET", "/orders/{order}/history", NOBODYS, [401, 200, 404, 200]),
    ("POST", "/orders/{order}/cancel", NOBODYS, [401, 200, 404, 200]),
    ("POST", "/orders/{declined}/payment", r#"{"method": "card", "token": "tok_ok"}"#, [401, 200, 404, 200]),
    ("POST", "/orders/{paid}/ship", r#"{"carrier": "Post", "tracking_number": "1"}"#, [401, 403, 403, 200]),
    ("POST", "/orders/{shipped}/deliver", NOBODYS, [401, 403, 403, 200]),
];

/// A shop with what requests need.
struct Shop {
    host: Host,
    admin: Client,
    other: Customer,
    category: String,
    /// How many things were made.
    made: u32,
}

impl Shop {
    fn new(site: &Site) -> Shop {
        let host = site.start();
        let (mut admin, other) = (host.admin(), host.customer("Other"));
        let category = shop::category(&mut admin, "all", None);
        Shop { host, admin, other, category, made: 0 }
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("made-{}", self.made)
    }

    fn product(&mut self) -> Value {
        let sku = self.name();
        shop::product(&mut self.admin, &self.category, &sku)
    }

    /// A product that the order service knows.
    fn known_product(&mut self) -> String {
        let sku = self.name();
        let answer = self.admin.post("/products", &shop::product_body(&self.category, &sku));
        shop::settled(&mut self.admin, &answer);
        id(&answer.expect(201))
    }

    /// A customer's order that is paid with this.
    fn order(&mut self, owner: &mut Customer, token: &str) -> Value {
        let product = self.known_product();
        owner.client.post("/orders", &shop::order_body(&[(&product, 1)], token)).expect(201)
    }

    /// The same, when its payment has come to this.
    fn order_with(&mut self, owner: &mut Customer, token: &str, payment_status: &str) -> String {
        let order = id(&self.order(owner, token));
        shop::eventually(&mut owner.client, &format!("/orders/{order}"), |order| {
            order["payment"]["payment_status"] == payment_status
        });
        order
    }

    /// The path with fresh things in the places of the names.
    fn fill(&mut self, path: &str, owner: &mut Customer) -> String {
        let mut filled = String::new();
        for part in path.split('/').skip(1) {
            let part = match part {
                "{owner}" => owner.id.clone(),
                "{category}" | "{slug}" => {
                    let slug = self.name();
                    let category = shop::category(&mut self.admin, &slug, None);
                    if part == "{slug}" { slug } else { category }
                }
                "{product}" => id(&self.product()),
                "{sku}" => self.product()["sku"].as_str().unwrap().to_owned(),
                "{image}" => {
                    let image = json!({"image_url": "https://a.example/1.png"});
                    id(&self.admin.post(&filled, &image).expect(201))
                }
                "{review}" => id(&owner.client.post(&filled, &json!({"rating": 4})).expect(201)),
                "{address}" => {
                    let address: Value = serde_json::from_str(ADDRESS).unwrap();
                    id(&owner.client.post(&filled, &address).expect(201))
                }
                "{preference}" => {
                    owner.client.put(&format!("{filled}/theme"), &json!({"value": "a"})).expect(201);
                    "theme".to_owned()
                }
                "{order}" => id(&self.order(owner, "tok_ok")),
                "{order_number}" => self.order(owner, "tok_ok")["order_number"].as_str().unwrap().to_owned(),
                "{declined}" => self.order_with(owner, "tok_declined", "declined"),
                "{paid}" => self.order_with(owner, "tok_ok", "captured"),
                "{shipped}" => {
                    let order = self.order_with(owner, "tok_ok", "captured");
                    let carriage = json!({"carrier": "Post", "tracking_number": "1"});
                    self.admin.post(&format!("/orders/{order}/ship"), &carriage).expect(200);
                    order
                }
                part => part.to_owned(),
            };
            filled = format!("{filled}/{part}");
        }
        filled
    }

    fn body(&mut self, body: &str, owner: &mut Customer) -> String {
        let name = self.name();
        match body {
            "NEW PRODUCT" => shop::product_body(&self.category, &name).to_string(),
            "NEW ORDER" => shop::order_body(&[(&self.known_product(), 1)], "tok_ok").to_string(),
            "NEW USER" => shop::user_body(&format!("{name}@tests.example"), "Ada").to_string(),
            "NEW PASSWORD" => {
                json!({"current_password": shop::PASSWORD, "new_password": "another password"}).to_string()
            }
            "LOGIN" => {
                let email = owner.client.get(&format!("/users/{}", owner.id)).expect(200)["email"].clone();
                json!({"email": email, "password": shop::PASSWORD}).to_string()
            }
            body => body.to_owned(),
        }
    }
}

fn send(client: &mut Client, method: &str, path: &str, body: String) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    client.send(method, path, &[("content-type", "application/json")], Bytes::from(body))
}

/// Every route that a component describes, as `METHOD /path` with its parameters without names, and whom it says that it answers.
fn described(site: &Site) -> BTreeMap<String, Value> {
    let (manifest, data) = (site.manifest(), site.data());
    let arguments =
        ["describe", "--json", "--manifest", manifest.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let printed = host::run(&arguments);
    printed.says(0, &[]);
    let services: Value = serde_json::from_str(&printed.stdout).unwrap();
    let services = services.as_object().unwrap().values();
    let routes = services.flat_map(|service| service["routes"].as_array().unwrap().clone());
    routes
        .map(|route| {
            let name = unnamed(route["method"].as_str().unwrap(), route["path"].as_str().unwrap());
            (name, route)
        })
        .collect()
}

fn unnamed(method: &str, path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

#[test]
fn table_has_exactly_the_routes_that_components_describe() {
    let site = Site::shop();
    let described: BTreeSet<String> = described(&site).into_keys().collect();
    let table: BTreeSet<String> = TABLE.iter().map(|(method, path, _, _)| unnamed(method, path)).collect();
    let missing: Vec<_> = described.difference(&table).collect();
    assert!(missing.is_empty(), "say in TABLE who may do this: {missing:?}");
    let gone: Vec<_> = table.difference(&described).collect();
    assert!(gone.is_empty(), "no component has these routes: {gone:?}");
}

#[test]
fn description_of_each_route_agrees_with_the_table() {
    let described = described(&Site::shop());
    for (method, path, _, [nobody, owner, other, admin]) in TABLE {
        let route = &described[&unnamed(method, path)];
        match route["access"].as_str().unwrap() {
            "public" => assert!(nobody < 400, "{method} {path}"),
            "authenticated" => assert!(nobody == 401 && owner < 400 && admin < 400, "{method} {path}"),
            "roles" => {
                let may = |role: &str| route["roles"].as_array().unwrap().contains(&json!(role));
                assert_eq!(nobody, 401, "{method} {path}");
                assert_eq!([owner == 403, other == 403], [!may("customer"); 2], "{method} {path}");
                assert_eq!(admin == 403, !may("admin"), "{method} {path}");
            }
            access => panic!("{method} {path}: {access}"),
        }
    }
}

#[test]
fn each_cell_of_the_access_table_holds() {
    let site = Site::shop();
    let mut shop = Shop::new(&site);
    let mut wrong = Vec::new();
    for (method, path, body, expected) in TABLE {
        for (who, expected) in
            ["nobody", "the owner", "another customer", "the administrator"].iter().zip(expected)
        {
            let mut owner = shop.host.customer("Owner");
            let (path, body) = (shop.fill(path, &mut owner), shop.body(body, &mut owner));
            let answer = match *who {
                "nobody" => send(&mut shop.host.client(), method, &path, body),
                "the owner" => send(&mut owner.client, method, &path, body),
                "another customer" => send(&mut shop.other.client, method, &path, body),
                _ => send(&mut shop.admin, method, &path, body),
            };
            if answer.status != expected {
                wrong.push(format!("{who}: not {expected}: {answer}"));
            }
            match answer.status {
                401 => drop(answer.problem(401, "unauthenticated")),
                403 => drop(answer.problem(403, "forbidden")),
                404 => drop(answer.problem(404, "not-found")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are not so:\n{}", wrong.len(), wrong.join("\n"));
    shop.host.stop();
}

/// The requests of the table once more, each by whom it is answered.
#[test]
fn every_route_reports_unknown_query_parameters_and_every_write_has_a_position() {
    let site = Site::shop();
    let mut shop = Shop::new(&site);
    for (method, path, body, [_, as_owner, _, as_admin]) in TABLE {
        let mut owner = shop.host.customer("Owner");
        let (path, body) = (shop.fill(path, &mut owner), shop.body(body, &mut owner));
        let (client, status) = match as_owner {
            ..400 => (&mut owner.client, as_owner),
            _ => (&mut shop.admin, as_admin),
        };
        send(client, method, &format!("{path}?colour=blue"), body.clone()).invalid(&["colour"]);
        // It was refused with no effect, or this would not be answered as at first.
        let answer = send(client, method, &path, body);
        answer.expect_status(status);
        // A login writes nothing but for the first one's key.
        if method != "GET" && path != "/sessions" {
            let service = match path.split('/').nth(1).unwrap() {
                "users" => "user:",
                "orders" => "order:",
                _ => "product:",
            };
            assert!(shop::position(&answer).starts_with(service), "{answer}");
        }
    }
    shop.host.stop();
}

/// The key that the shop signs with, taken out of its database.
fn signer_of(site: &Site) -> Signer {
    let connection = database::open(&site.database("user"));
    let key = "SELECT id, private_key FROM signing_key WHERE retired_at IS NULL";
    let (id, secret): (String, Vec<u8>) =
        connection.query_row(key, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    Signer::of(&id, &secret.try_into().unwrap())
}

#[test]
fn invalid_token_is_refused_on_every_route_even_a_public_one() {
    let site = Site::shop();
    let mut shop = Shop::new(&site);
    let mut owner = shop.host.customer("Owner");
    let good = owner.client.token().unwrap().to_owned();
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let signer = signer_of(&site);
    assert_eq!(signer.token_with(&header, &claims).split('.').count(), 3);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signer.token(&claims)
    };
    // Made by the shop's own key, and good but for what is tried.
    let mut admin = Client::new(shop.host.address()).with_token(&with("roles", json!(["admin"])));
    admin.get("/users").expect(200);

    let payload = encode(claims.to_string());
    let mut tampered = claims.clone();
    tampered["roles"] = json!(["admin"]);
    let signature = good.rsplit('.').next().unwrap();
    let mut none = header.clone();
    none["alg"] = json!("none");
    let deleted = shop.host.customer("Deleted");
    let deletion = shop.admin.delete(&format!("/users/{}", deleted.id));
    deletion.expect_status(204);
    // What follows of it is to be over before the rows are counted.
    let after = [("bulkhead-after", deletion.header("bulkhead-position").unwrap())];
    shop.admin.send(Method::GET, "/products", &after, Bytes::new()).expect(200);
    let foreign = Signer::new(header["kid"].as_str().unwrap()).token(&claims);
    let tokens = [
        ("tampered", format!("{}.{}.{signature}", encode(header.to_string()), encode(tampered.to_string()))),
        ("expired", with("exp", json!(now() - 60))),
        ("alg none", format!("{}.{payload}.", encode(none.to_string()))),
        ("a foreign key", foreign),
        ("another audience", with("aud", json!("elsewhere"))),
        ("another issuer", with("iss", json!("elsewhere"))),
        ("a deleted user", deleted.client.token().unwrap().to_owned()),
    ];
    let before = ["user", "product"].map(|service| database::row_counts(&site.database(service)));
    let anything = "01890000-0000-7000-8000-000000000000";
    for (method, path, _, _) in TABLE {
        let parts = path.split('/').map(|part| if part.starts_with('{') { anything } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for (what, token) in &tokens {
            let mut client = Client::new(shop.host.address()).with_token(token);
            let answer = send(&mut client, method, &path, "{}".to_owned());
            let problem = answer.problem(401, "invalid-token");
            assert!(!problem.to_string().contains(token), "{what}: {answer}");
        }
    }
    let after = ["user", "product"].map(|service| database::row_counts(&site.database(service)));
    assert_eq!(before, after);
    owner.client.get(&format!("/users/{}", owner.id)).expect(200);
    shop.host.stop();
}
