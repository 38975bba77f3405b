//! Full-text search over the names and the descriptions of products.

use std::time::Duration;

use bulkhead_testing::{Fault, Service, Value, json};

use super::{Asks as _, NOBODY, category, make, order, place, product_body, read_all, texts};
use crate::chance::Chance;

/// A shop with products of these skus, names and descriptions.
#[track_caller]
fn with_products(products: &[(&str, &str, &str)]) -> Service {
    let service = Service::start("product");
    let all = category(&service, "all", None);
    for (sku, name, description) in products {
        let mut body = product_body(&all, sku);
        body["name"] = (*name).into();
        body["description"] = (*description).into();
        make(&service, &body);
    }
    service
}

#[track_caller]
fn bakery() -> Service {
    with_products(&[
        ("roll", "Bread roll", "White and small."),
        ("loaf", "Rye loaf", "Dark bread with crust."),
        ("crisp", "Crispbread", "Thin."),
        ("knife", "Bread-knife", "Sharp steel, not thin."),
    ])
}

/// The skus that are found, in the order in which they were made.
#[track_caller]
fn found(service: &Service, typed: &str) -> Vec<String> {
    let page = service.get("/products").query("q", typed).send().status(200).json();
    texts(page["items"].as_array().expect("items"), "sku")
}

#[test]
fn every_word_is_found_in_name_or_description_and_the_last_is_a_prefix() {
    let service = bakery();
    for (typed, expected) in [
        ("bread", &["roll", "loaf", "knife"][..]),
        ("BREAD", &["roll", "loaf", "knife"]),
        ("bre", &["roll", "loaf", "knife"]),
        ("rea", &[]),
        ("bread dark", &["loaf"]),
        ("dark bre", &["loaf"]),
        // Only the last one may.
        ("bre dark", &[]),
        ("thin", &["crisp", "knife"]),
        ("bread-knife", &["knife"]),
        ("bread cake", &[]),
        ("sku", &[]),
    ] {
        assert_eq!(found(&service, typed), expected, "{typed}");
    }
}

#[test]
fn typed_text_is_never_read_as_query_syntax() {
    let service = bakery();
    for (typed, expected) in [
        ("bread OR thin", &[][..]),
        ("NOT thin", &["knife"]),
        ("name:bread", &[]),
        ("bread*", &["roll", "loaf", "knife"]),
        ("-bread", &["roll", "loaf", "knife"]),
        ("\"bread", &["roll", "loaf", "knife"]),
        ("^bread", &["roll", "loaf", "knife"]),
        ("{bread}", &["roll", "loaf", "knife"]),
        ("NEAR(bread", &[]),
        ("'; DROP TABLE product", &[]),
        ("a\\b", &[]),
        ("\u{1F35E}", &[]),
    ] {
        assert_eq!(found(&service, typed), expected, "{typed}");
    }
    assert_eq!(service.rows("SELECT count(*) AS count FROM product"), json!([{"count": 4}]));
}

#[test]
fn a_blank_search_does_not_filter_and_one_without_words_finds_nothing() {
    let service = bakery();
    for blank in ["", "  ", "\t"] {
        assert_eq!(found(&service, blank).len(), 4, "{blank:?}");
    }
    for wordless in ["-", "\"*", "-- ;"] {
        let answer = service.get("/products").query("q", wordless).send();
        answer.status(200).body(json!({"items": [], "next_cursor": null}));
    }
}

#[test]
fn accented_text_is_found_in_each_unicode_form() {
    let service = with_products(&[
        ("composed", "Cr\u{e8}me br\u{fb}l\u{e9}e", ""),
        ("decomposed", "Cre\u{300}me bru\u{302}le\u{301}e", ""),
        ("plain", "Creme brulee", ""),
    ]);
    for typed in
        ["cr\u{e8}me br\u{fb}l\u{e9}e", "cre\u{300}me bru\u{302}le\u{301}e", "creme brulee", "BRU\u{302}"]
    {
        assert_eq!(found(&service, typed), ["composed", "decomposed", "plain"], "{typed}");
    }
}

#[test]
fn text_that_looks_or_means_the_same_is_found_both_ways() {
    let pairs = [
        ("north", "ΒΟΡΡΆΣ", "Βορράς", &["ΒΟΡΡΑΣ", "βορρασ", "βορράς"][..]),
        ("street", "Straße", "Eine STRASSE", &["strasse", "STRAẞE", "straße"]),
        ("memory", "４０ＧＢ", "40gb", &["40gb", "40GB", "４０ｇｂ", "40", "４"]),
        ("filter", "ﾃｨｰﾊﾞｯｸﾞ", "ティーバッグ", &["ティーバッグ", "ﾃｨｰ", "バッグ"]),
        ("lodz", "Łódź", "LODZ", &["łódź", "lodz", "Lo\u{301}dz\u{301}"]),
    ];
    let products: Vec<(String, &str, &str)> = pairs
        .iter()
        .flat_map(|(sku, one, other, _)| {
            [(format!("{sku}-1"), *one, ""), (format!("{sku}-2"), "Other", *other)]
        })
        .collect();
    let products: Vec<_> = products.iter().map(|(sku, name, text)| (sku.as_str(), *name, *text)).collect();
    let service = with_products(&products);
    for (sku, _, _, typed) in pairs {
        for typed in typed {
            assert_eq!(found(&service, typed), [format!("{sku}-1"), format!("{sku}-2")], "{typed}");
        }
    }
}

#[test]
fn in_scripts_without_spaces_every_part_of_a_text_is_found() {
    let service = with_products(&[
        ("tea", "日本緑茶ティーバッグ", "京都産の茶葉100%使用"),
        ("mug", "茶碗", "ティーカップではありません。"),
        ("kimchi", "배추김치찌개", ""),
        ("thai", "ชาเขียวมะลิ", ""),
        ("khmer", "តែបៃតង", ""),
        ("plain", "Green tea", "Ryokucha"),
    ]);
    for (typed, expected) in [
        ("緑茶", &["tea"][..]),
        ("茶", &["tea", "mug"]),
        ("碗", &["mug"]),
        ("緑茶テ", &["tea"]),
        ("ティー", &["tea", "mug"]),
        ("ティーバッグ", &["tea"]),
        ("ッグ", &["tea"]),
        ("グ", &["tea"]),
        ("緑 葉100", &["tea"]),
        ("葉100%使用", &["tea"]),
        ("茶緑", &[]),
        ("本茶", &[]),
        ("碗テ", &[]),
        ("김치", &["kimchi"]),
        ("찌개 배추", &["kimchi"]),
        ("개찌", &[]),
        ("เขียว", &["thai"]),
        ("มะลิ", &["thai"]),
        ("បៃតង", &["khmer"]),
        ("gre te", &[]),
        ("green te", &["plain"]),
    ] {
        assert_eq!(found(&service, typed), expected, "{typed}");
    }
}

/// Texts of one run in few characters, so that much of one is in others too: what holds a part is found by it, and nothing else is.
#[test]
#[expect(clippy::print_stdout, reason = "the seed belongs to the test's output")]
fn a_part_of_a_run_finds_exactly_the_texts_that_contain_it() {
    let seed = 20_261_128;
    println!("seed {seed}");
    let mut chance = Chance::new(seed);
    let mut text = |length: usize| -> String {
        (0..length).map(|_| ['緑', '茶', '日', 'ー'][chance.index(4)]).collect()
    };
    let texts: Vec<(String, String)> =
        (0..30).map(|number| (number.to_string(), text(1 + number % 7))).collect();
    let parts: Vec<String> = (0..60).map(|number| text(1 + number % 4)).collect();
    let products: Vec<_> = texts.iter().map(|(sku, text)| (sku.as_str(), text.as_str(), "")).collect();
    let service = with_products(&products);
    for part in parts.iter().chain(texts.iter().map(|(_, text)| text)) {
        let expected: Vec<&String> =
            texts.iter().filter(|(_, text)| text.contains(part.as_str())).map(|(sku, _)| sku).collect();
        assert_eq!(found(&service, part).iter().collect::<Vec<_>>(), expected, "{part}");
    }
}

#[test]
fn words_after_the_sixteenth_are_ignored() {
    let service = with_products(&[("a", "a", "")]);
    assert_eq!(found(&service, &"a ".repeat(16)), ["a"]);
    assert_eq!(found(&service, &format!("{}x", "a ".repeat(15))), Vec::<String>::new());
    assert_eq!(found(&service, &format!("{}x", "a ".repeat(16))), ["a"]);
}

#[test]
fn a_search_reflects_changes_and_deletions() {
    let service = bakery();
    let path = format!("/products/{}", service.get("/products/by-sku/roll").send().status(200).text_of("id"));
    let patch = |patch: bulkhead_testing::Value| service.patch(&path).admin().json(patch).send().status(200);
    patch(json!({"name": "Bun"}));
    assert_eq!(found(&service, "bun"), ["roll"]);
    assert_eq!(found(&service, "roll"), Vec::<String>::new());
    assert_eq!(found(&service, "white"), ["roll"]);
    patch(json!({"description": "Brown."}));
    assert_eq!(found(&service, "brown bun"), ["roll"]);
    assert_eq!(found(&service, "white"), Vec::<String>::new());
    patch(json!({"price": "0.01"}));
    assert_eq!(found(&service, "brown bun"), ["roll"]);
    service.delete(&path).admin().send().status(204);
    assert_eq!(found(&service, "bun"), Vec::<String>::new());
}

#[test]
fn a_search_combines_with_filters_sorting_and_pages() {
    let service = bakery();
    let listed = read_all(&service, "/products?q=bread&sort=name", 1);
    assert_eq!(texts(&listed, "sku"), ["roll", "knife", "loaf"]);
    let listed = read_all(&service, "/products?q=bread&max_price=19.98", 1);
    assert!(listed.is_empty());
    // A cursor is of one search.
    let page = service.get("/products?q=bread&limit=1").send().status(200).json();
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let other = service.get("/products?q=thin&limit=1").query("cursor", cursor).send();
    other.problem(422, "invalid").names_field("cursor");
}

/// Has the index of texts that are not all ASCII what migration 3 leaves of them: the texts as they were written, and that their words are due.
#[track_caller]
fn as_migration_3_leaves_it(service: &Service) {
    let rows = "SELECT search_rowid, name, description FROM product";
    service.write(&format!("INSERT INTO product_words (search_rowid, name, description) {rows}"));
    service.write(
        "INSERT INTO product_search_due (search_rowid) SELECT search_rowid FROM product \
         WHERE length(CAST(name || description AS BLOB)) > length(name || description)",
    );
}

/// The rows whose words are due.
#[track_caller]
fn due(service: &Service) -> Vec<i64> {
    let rows = service.rows("SELECT search_rowid FROM product_search_due ORDER BY search_rowid");
    rows.as_array().into_iter().flatten().filter_map(|row| row["search_rowid"].as_i64()).collect()
}

/// The rows that the timers which are set begin with.
#[track_caller]
fn set(service: &Service) -> Vec<Value> {
    let timers = service.timers().into_iter();
    timers
        .map(|timer| (timer.kind == "product.words-due").then(|| timer.data["first"].clone()).into())
        .collect()
}

#[test]
fn an_old_text_is_found_as_written_until_its_words_are_indexed() {
    let service = with_products(&[("brulee", "Cr\u{e8}me br\u{fb}l\u{e9}e", ""), ("tea", "緑茶", "")]);
    as_migration_3_leaves_it(&service);
    let typed = ["cr\u{e8}me", "br\u{fb}l", "緑", "creme", "茶"];
    let counts = || typed.map(|typed| found(&service, typed).len());
    assert_eq!(counts(), [1, 1, 1, 0, 0]);
    assert_eq!(found(&service, "cr\u{e8}me tea"), Vec::<String>::new());
    place(&service, &order(1), &[(NOBODY, 1)]).consumed();
    service.advance(Duration::ZERO);
    assert_eq!((counts(), due(&service)), ([1; 5], vec![]));
}

#[test]
fn a_write_while_words_are_due_sets_a_timer_and_indexes_no_words() {
    let service = with_products(&[("a", "Th\u{e9}", ""), ("b", "Tea", "Th\u{e9}"), ("c", "Tea", "")]);
    let id = service.get("/products/by-sku/c").send().status(200).text_of("id");
    let category = service.get("/products/by-sku/c").send().text_of("category_id");
    assert_eq!(set(&service), Vec::<Value>::new(), "nothing is due");
    as_migration_3_leaves_it(&service);
    let before = due(&service);
    assert_eq!(before.len(), 2);
    let patch = json!({"price": "0.01"});
    let _ = service.patch(format!("/products/{id}")).admin().json(patch).send().status(200);
    let _ = make(&service, &product_body(&category, "d"));
    place(&service, &order(1), &[(&id, 1)]).consumed();
    assert_eq!((due(&service), set(&service)), (before.clone(), vec![json!(before[0]); 3]));
    // The first of the three does it. Without the product that it begins with it is a fourth.
    let first = service.get("/products/by-sku/a").send().status(200).text_of("id");
    service.delete(format!("/products/{first}")).admin().send().status(204);
    assert_eq!((due(&service), set(&service).last()), (before[1..].to_vec(), Some(&json!(before[1]))));
    service.advance(Duration::ZERO);
    assert_eq!((due(&service), set(&service)), (vec![], vec![]));
    assert_eq!(found(&service, "the"), ["b"]);
    place(&service, &order(2), &[(&id, 1)]).consumed();
    assert_eq!(set(&service), Vec::<Value>::new(), "nothing is due any more");
}

/// A handler holds the writer lease for 100 ms at most, and a text takes time by its length.
#[test]
fn words_of_long_texts_are_indexed_a_few_texts_at_a_time_by_repeated_timers() {
    // 30,000 bytes each, the longest that there are.
    let long = "緑茶".repeat(5_000);
    let products = ["1", "2", "3", "4", "5"].map(|sku| (sku, "Tea", long.as_str()));
    let service = with_products(&products);
    as_migration_3_leaves_it(&service);
    let before = due(&service);
    place(&service, &order(1), &[(NOBODY, 1)]).consumed();
    // The first timer writes two texts, by a look at the table, two calls for each text, another look, and the timer that it sets. The second
    // fails.
    service.advance_failing(Duration::ZERO, Fault::Statement(8));
    assert_eq!(due(&service), before[2..]);
    service.advance(Duration::from_secs(60));
    assert_eq!((due(&service), service.parked()), (vec![], vec![]));
    assert_eq!(found(&service, "茶緑茶").len(), 5);
}

#[test]
fn a_hundred_short_texts_are_indexed_at_once() {
    let texts: Vec<String> = (0..101).map(|number| format!("Th\u{e9} {number}")).collect();
    let products: Vec<_> = texts.iter().map(|text| (text.as_str(), text.as_str(), "")).collect();
    let service = with_products(&products);
    as_migration_3_leaves_it(&service);
    let before = due(&service);
    place(&service, &order(1), &[(NOBODY, 1)]).consumed();
    service.advance_failing(Duration::ZERO, Fault::Statement(204));
    assert_eq!(due(&service), before[100..]);
    service.advance(Duration::from_secs(60));
    assert_eq!(due(&service), Vec::<i64>::new());
}
