//! Lists of products: filters, full-text search, orders, and pages that neither repeat nor miss an item while others insert.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bulkhead_tests::shop::{category, id, product_body, read_all, read_page, texts_of};
use bulkhead_tests::{Client, Host, Random, Site};
use serde_json::{Value, json};

/// Creates a product of these properties.
fn make(client: &mut Client, category: &str, sku: &str, change: &Value) -> String {
    let mut body = product_body(category, sku);
    for (field, value) in change.as_object().unwrap() {
        body[field] = value.clone();
    }
    id(&client.post("/products", &body).expect(201))
}

/// A shop with a small tree and five products.
fn small_shop() -> (Site, Host) {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let food = category(&mut client, "food", None);
    let bread = category(&mut client, "bread", Some(&food));
    let rye = category(&mut client, "rye", Some(&bread));
    let tools = category(&mut client, "tools", None);
    for (category, sku, change) in [
        (&food, "apple", json!({"name": "Apple", "description": "A red fruit.", "price": "0.50"})),
        (&bread, "roll", json!({"name": "Bread roll", "description": "White and small.", "price": "0.35"})),
        (&rye, "loaf", json!({"name": "Rye loaf", "description": "Dark bread with crust.", "price": "3.20"})),
        (
            &rye,
            "crisp",
            json!({"name": "Crispbread", "description": "Thin.", "price": "2.00", "stock_quantity": 0}),
        ),
        (&tools, "knife", json!({"name": "Bread knife", "description": "Sharp steel.", "price": "12.00"})),
    ] {
        make(&mut client, category, sku, &change);
    }
    (site, host)
}

/// The SKUs that a query finds, sorted.
#[track_caller]
fn skus(client: &mut Client, query: &str) -> Vec<String> {
    let mut skus = texts_of(&read_all(client, &format!("/products?{query}&"), 2), "sku");
    skus.sort();
    skus
}

#[test]
fn filters_narrow_the_list_individually_and_combined() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    let mut id_of = |slug: &str| id(&client.get(&format!("/categories/by-slug/{slug}")).expect(200));
    let [food, bread, rye, tools] = ["food", "bread", "rye", "tools"].map(&mut id_of);
    let table: [(String, &[&str]); 17] = [
        (format!("category={food}"), &["apple", "crisp", "loaf", "roll"]),
        (format!("category={bread}"), &["crisp", "loaf", "roll"]),
        (format!("category={rye}"), &["crisp", "loaf"]),
        (format!("category={tools}"), &["knife"]),
        ("min_price=2.00".into(), &["crisp", "knife", "loaf"]),
        ("max_price=2.00".into(), &["apple", "crisp", "roll"]),
        ("min_price=0.50&max_price=3.20".into(), &["apple", "crisp", "loaf"]),
        ("min_price=5.00&max_price=1.00".into(), &[]),
        ("in_stock=true".into(), &["apple", "knife", "loaf", "roll"]),
        ("in_stock=false".into(), &["crisp"]),
        ("q=bread".into(), &["knife", "loaf", "roll"]),
        ("q=BREAD".into(), &["knife", "loaf", "roll"]),
        ("q=bread%20knife".into(), &["knife"]),
        ("q=nothing-of-the-kind".into(), &[]),
        (format!("q=bread&category={food}"), &["loaf", "roll"]),
        (format!("q=bread&category={food}&max_price=1.00"), &["roll"]),
        (format!("category={rye}&in_stock=true&min_price=1.00&sort=-price"), &["loaf"]),
    ];
    for (query, expected) in table {
        assert_eq!(skus(&mut client, &query), expected, "{query}");
    }
}

#[test]
fn search_accepts_any_text_and_never_interprets_it_as_a_query_language() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    for text in [
        "\"",
        "\"bread",
        "bread AND",
        "NEAR(bread",
        "name:bread",
        "bread*",
        "-bread",
        "(",
        "^bread",
        "'; DROP TABLE product",
        "ä",
        "\u{1F35E}",
        "%",
        "\\",
        "a OR b",
        "{bread}",
    ] {
        let path = format!("/products?q={}", bulkhead_tests::shop::escape(text));
        let answer = client.get(&path);
        assert!(matches!(answer.status, 200 | 422), "{answer}");
    }
    assert_eq!(skus(&mut client, "q=bread").len(), 3);
}

#[test]
fn accented_text_is_found_in_each_unicode_form() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "all", None);
    make(&mut client, &category, "composed", &json!({"name": "Cr\u{e8}me br\u{fb}l\u{e9}e"}));
    make(&mut client, &category, "decomposed", &json!({"name": "Cre\u{300}me bru\u{302}le\u{301}e"}));
    make(&mut client, &category, "plain", &json!({"name": "Creme brulee"}));
    for typed in [
        "cr\u{e8}me br\u{fb}l\u{e9}e",
        "cre\u{300}me bru\u{302}le\u{301}e",
        "creme brulee",
        "br\u{fb}l",
        "bru\u{302}l",
        "BRU\u{302}",
    ] {
        let query = format!("q={}", bulkhead_tests::shop::escape(typed));
        assert_eq!(skus(&mut client, &query), ["composed", "decomposed", "plain"], "{typed}");
    }
}

#[test]
fn a_blank_search_does_not_filter_and_one_without_words_finds_nothing() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    for blank in ["q=", "q=%20%20", "q=%09&sort=name"] {
        assert_eq!(skus(&mut client, blank).len(), 5, "{blank}");
    }
    for wordless in ["q=-", "q=%22%2A"] {
        assert!(skus(&mut client, wordless).is_empty(), "{wordless}");
    }
}

#[test]
fn search_finds_a_changed_name() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    let apple = id(&client.get("/products/by-sku/apple").expect(200));
    client
        .patch(&format!("/products/{apple}"), &json!({"name": "Pear", "description": "Green."}))
        .expect(200);
    assert_eq!(skus(&mut client, "q=pear"), ["apple"]);
    assert!(skus(&mut client, "q=apple").is_empty());
    assert!(skus(&mut client, "q=red").is_empty());
}

#[test]
fn each_sort_gives_its_order() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    let table = [
        ("name", ["apple", "knife", "roll", "crisp", "loaf"]),
        ("price", ["roll", "apple", "crisp", "loaf", "knife"]),
        ("-price", ["knife", "loaf", "crisp", "apple", "roll"]),
    ];
    for (sort, expected) in table {
        for limit in [1, 2, 3, 200] {
            let items = read_all(&mut client, &format!("/products?sort={sort}&"), limit);
            assert_eq!(texts_of(&items, "sku"), expected, "sort={sort}, limit={limit}");
        }
    }
}

#[test]
fn sort_by_time_is_by_time_and_then_by_id() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    let keys = |items: &[Value]| -> Vec<(String, String)> {
        texts_of(items, "created_at").into_iter().zip(texts_of(items, "id")).collect()
    };
    for limit in [1, 2, 3, 200] {
        let oldest_first = keys(&read_all(&mut client, "/products?sort=created_at&", limit));
        assert!(oldest_first.is_sorted(), "{oldest_first:?}");
        assert_eq!(oldest_first.len(), 5);
        let mut newest_first = keys(&read_all(&mut client, "/products?sort=-created_at&", limit));
        newest_first.reverse();
        assert_eq!(newest_first, oldest_first, "limit={limit}");
    }
}

#[test]
fn prices_sort_as_numbers() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "all", None);
    for (sku, price) in [("c", "10.00"), ("a", "9.00"), ("d", "100.00"), ("b", "9.90")] {
        make(&mut client, &category, sku, &json!({"price": price}));
    }
    let items = read_all(&mut client, "/products?sort=price&", 3);
    assert_eq!(texts_of(&items, "sku"), ["a", "b", "c", "d"]);
}

#[test]
fn pages_neither_repeat_nor_miss_an_item_during_inserts() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "all", None);
    let mut random = Random::new();
    // Few different names and prices, so that the pages end among equal ones.
    let mut change = move || {
        let number = random.below(4);
        json!({"name": format!("Name {number}"), "price": format!("{number}.00")})
    };
    let early: BTreeSet<String> =
        (0..60).map(|number| make(&mut client, &category, &format!("early-{number}"), &change())).collect();
    let changes: Vec<Value> = (0..2_000).map(|_| change()).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut inserting = host.admin();
        let (done, category, changes) = (&done, &category, &changes);
        scope.spawn(move || {
            for (number, change) in changes.iter().enumerate() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                make(&mut inserting, category, &format!("late-{number}"), change);
            }
        });
        let check = |client: &mut Client| {
            for sort in
                ["", "sort=name&", "sort=price&", "sort=-price&", "sort=created_at&", "sort=-created_at&"]
            {
                let seen = texts_of(&read_all(client, &format!("/products?{sort}"), 7), "id");
                let different: BTreeSet<String> = seen.iter().cloned().collect();
                assert_eq!(seen.len(), different.len(), "{sort}: an item was listed twice");
                let missed: Vec<_> = early.difference(&different).collect();
                assert!(missed.is_empty(), "{sort}: missed {missed:?}");
            }
        };
        // The other thread must end also where a check fails.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&mut client)));
        done.store(true, Ordering::Relaxed);
        if let Err(reason) = outcome {
            std::panic::resume_unwind(reason);
        }
    });
}

#[test]
fn last_page_and_empty_list_have_no_cursor() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    assert_eq!(client.get("/products").expect(200), json!({"items": [], "next_cursor": null}));
    let category = category(&mut client, "all", None);
    for number in 0..4 {
        make(&mut client, &category, &number.to_string(), &json!({}));
    }
    let (first, next) = read_page(&mut client, "/products?limit=2");
    assert_eq!(first.len(), 2);
    let (second, end) = read_page(&mut client, &format!("/products?limit=2&cursor={}", next.unwrap()));
    assert_eq!((second.len(), end), (2, None));
}

#[test]
fn cursor_of_a_deleted_item_still_works() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "all", None);
    for number in 0..6 {
        make(&mut client, &category, &number.to_string(), &json!({"name": number.to_string()}));
    }
    let (first, next) = read_page(&mut client, "/products?limit=3&sort=name");
    for item in &first {
        client.delete(&format!("/products/{}", id(item))).expect(204);
    }
    let path = format!("/products?limit=3&sort=name&cursor={}", next.unwrap());
    assert_eq!(texts_of(&read_page(&mut client, &path).0, "sku"), ["3", "4", "5"]);
}

#[test]
fn invalid_query_parameters_are_reported_by_name() {
    let (_site, host) = small_shop();
    let mut client = host.admin();
    let table: [(&str, &[&str]); 13] = [
        ("limit=0", &["limit"]),
        ("limit=201", &["limit"]),
        ("limit=ten", &["limit"]),
        ("limit=-1", &["limit"]),
        ("sort=colour", &["sort"]),
        ("min_price=cheap", &["min_price"]),
        ("max_price=1.234", &["max_price"]),
        ("in_stock=perhaps", &["in_stock"]),
        ("category=not-an-id", &["category"]),
        ("cursor=not-a-cursor", &["cursor"]),
        ("colour=blue", &["colour"]),
        ("limit=0&sort=colour&colour=blue", &["limit", "sort", "colour"]),
        ("limit=1&limit=2", &["limit"]),
    ];
    for (query, fields) in table {
        client.get(&format!("/products?{query}")).invalid(fields);
    }
    client.get("/categories?colour=blue").invalid(&["colour"]);
    let one = id(&client.get("/products/by-sku/apple").expect(200));
    client.get(&format!("/products/{one}?colour=blue")).invalid(&["colour"]);
}
