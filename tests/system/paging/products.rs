//! The list of products: each sort, with filters and without.

use bulkhead_tests::shop::{category, id, product_body, read_all};
use bulkhead_tests::{Client, Host};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::{Key, List};

/// Few, so that pages end among equal ones. By code point they stand as they do here: the second begins with the first, and the last is the
/// longest that a name can be, in characters and in bytes.
const NAMES: [&str; 6] = ["Ape", "Ape \"2\"", "Zebra", "ape", "\u{c4}pfel", "\u{1F35E}"];
const LONGEST: usize = 200;
/// As numbers they stand as they do here, and as text they do not.
const PRICES: [&str; 5] = ["0.00", "9.90", "10.00", "10.01", "9999999.99"];
/// What is sought for, and nothing of a name.
const WORD: &str = "loaf";
/// The sorts, each with whether the last comes first; the first of them is the one without a word.
const SORTS: [(&str, bool); 6] = [
    ("", false),
    ("sort=created_at&", false),
    ("sort=-created_at&", true),
    ("sort=name&", false),
    ("sort=price&", false),
    ("sort=-price&", true),
];

/// What a product is made from. Numbers stand for the values above.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    name: usize,
    price: usize,
    /// 0 to 2: the upper category, the one below it, and one beside them.
    category: usize,
    has_word: bool,
    in_stock: bool,
}

/// How the list is asked for.
#[derive(Debug, Clone)]
pub(super) struct Query {
    sort: usize,
    category: Option<usize>,
    has_word: bool,
    min_price: Option<usize>,
    max_price: Option<usize>,
    in_stock: Option<bool>,
}

/// The list.
pub(super) struct Products {
    client: Client,
    categories: [String; 3],
    /// How many were made: no stock-keeping unit comes twice.
    made: usize,
}

impl Products {
    pub(super) fn new(host: &Host) -> Products {
        let mut client = host.admin();
        let upper = category(&mut client, "upper", None);
        let lower = category(&mut client, "lower", Some(&upper));
        let beside = category(&mut client, "beside", None);
        Products { client, categories: [upper, lower, beside], made: 0 }
    }

    fn fields(&self, draft: &Draft) -> Value {
        let name = NAMES[draft.name];
        json!({
            "category_id": self.categories[draft.category],
            "name": if draft.name == NAMES.len() - 1 { name.repeat(LONGEST) } else { name.to_owned() },
            "price": PRICES[draft.price],
            "description": if draft.has_word { format!("A {WORD}.") } else { "A brick.".to_owned() },
        })
    }
}

/// An amount in cents.
fn cents(text: &str) -> i64 {
    text.replace('.', "").parse().expect("an amount")
}

impl List for Products {
    type Draft = Draft;
    type Query = Query;

    fn drafts(&self) -> BoxedStrategy<Draft> {
        (0..NAMES.len(), 0..PRICES.len(), 0..3_usize, any::<bool>(), any::<bool>())
            .prop_map(|(name, price, category, has_word, in_stock)| Draft {
                name,
                price,
                category,
                has_word,
                in_stock,
            })
            .boxed()
    }

    fn queries(&self) -> BoxedStrategy<Query> {
        let price = || prop::option::weighted(0.2, 0..PRICES.len());
        let filters = (
            prop::option::weighted(0.3, 0..3_usize),
            prop::bool::weighted(0.2),
            price(),
            price(),
            prop::option::weighted(0.2, any::<bool>()),
        );
        let none = Just((None, false, None, None, None));
        (0..SORTS.len(), prop_oneof![1 => none, 2 => filters])
            .prop_map(|(sort, (category, has_word, min_price, max_price, in_stock))| Query {
                sort,
                category,
                has_word,
                min_price,
                max_price,
                in_stock,
            })
            .boxed()
    }

    fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn begin(&mut self) {
        for item in read_all(&mut self.client, "/products?", 200) {
            self.client.delete(&format!("/products/{}", id(&item))).expect(204);
        }
    }

    fn path(&self, query: &Query) -> String {
        let mut path = format!("/products?{}", SORTS[query.sort].0);
        let mut add = |name: &str, value: &str| path.push_str(&format!("{name}={value}&"));
        if let Some(category) = query.category {
            add("category", &self.categories[category]);
        }
        if query.has_word {
            add("q", WORD);
        }
        if let Some(price) = query.min_price {
            add("min_price", PRICES[price]);
        }
        if let Some(price) = query.max_price {
            add("max_price", PRICES[price]);
        }
        if let Some(in_stock) = query.in_stock {
            add("in_stock", &in_stock.to_string());
        }
        path
    }

    fn insert(&mut self, draft: &Draft) -> Option<Value> {
        self.made += 1;
        let mut body = product_body(&self.categories[draft.category], &format!("sku-{}", self.made));
        body.as_object_mut().unwrap().extend(self.fields(draft).as_object().unwrap().clone());
        body["stock_quantity"] = u8::from(draft.in_stock).into();
        Some(self.client.post("/products", &body).expect(201))
    }

    fn change(&mut self, item: &Value, draft: &Draft) -> Option<Value> {
        let path = format!("/products/{}", id(item));
        let delta = i64::from(draft.in_stock) - item["stock_quantity"].as_i64().unwrap();
        if delta != 0 {
            self.client.post(&format!("{path}/stock"), &json!({"delta": delta})).expect(200);
        }
        Some(self.client.patch(&path, &self.fields(draft)).expect(200))
    }

    fn delete(&mut self, item: &Value) -> bool {
        self.client.delete(&format!("/products/{}", id(item))).expect(204);
        true
    }

    fn takes(&self, query: &Query, item: &Value) -> bool {
        let price = cents(item["price"].as_str().unwrap());
        let in_category = |number: usize| item["category_id"] == *self.categories[number];
        query.category.is_none_or(|number| in_category(number) || (number == 0 && in_category(1)))
            && (!query.has_word || item["description"].as_str().unwrap().contains(WORD))
            && query.min_price.is_none_or(|least| price >= cents(PRICES[least]))
            && query.max_price.is_none_or(|most| price <= cents(PRICES[most]))
            && query.in_stock.is_none_or(|in_stock| (item["stock_quantity"] != 0) == in_stock)
    }

    fn key(&self, query: &Query, item: &Value) -> Key {
        let text = |field: &str| item[field].as_str().unwrap();
        let (number, text) = match SORTS[query.sort].0 {
            "sort=name&" => (0, text("name")),
            "sort=price&" | "sort=-price&" => (cents(text("price")), ""),
            _ => (0, text("created_at")),
        };
        Key { number, text: text.to_owned(), id: id(item) }
    }

    fn descends(&self, query: &Query) -> bool {
        SORTS[query.sort].1
    }
}
