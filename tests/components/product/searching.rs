//! Full-text search over the names and the descriptions of products.

use bulkhead_testing::{Service, json};

use super::{Asks as _, category, make, product_body, read_all, texts};
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
fn every_word_is_found_in_name_or_description_and_the_last_may_go_on() {
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
fn what_is_typed_is_never_a_query_language() {
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
fn a_blank_search_is_no_filter_and_one_without_words_finds_nothing() {
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
fn an_accent_is_found_however_it_is_written() {
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
fn what_looks_or_means_the_same_is_found_both_ways() {
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
fn a_part_of_a_run_finds_the_texts_that_have_it_and_no_other() {
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
fn words_behind_the_sixteenth_are_left_out() {
    let service = with_products(&[("a", "a", "")]);
    assert_eq!(found(&service, &"a ".repeat(16)), ["a"]);
    assert_eq!(found(&service, &format!("{}x", "a ".repeat(15))), Vec::<String>::new());
    assert_eq!(found(&service, &format!("{}x", "a ".repeat(16))), ["a"]);
}

#[test]
fn a_search_follows_what_changes_and_goes() {
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
fn a_search_goes_with_filters_sorts_and_pages() {
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
