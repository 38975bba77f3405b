//! The list of products: filters, sorts and pages. What a search finds is in `searching`.

use bulkhead_testing::{Service, Value, json};

use super::{Asks as _, NOBODY, category, make, order, place, product_body, read_all, texts};

/// A shop with a small tree and five products: their skus are those of [`ALL`], in that order.
#[track_caller]
fn small_shop() -> Service {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let bread = category(&service, "bread", Some(&food));
    let rye = category(&service, "rye", Some(&bread));
    let tools = category(&service, "tools", None);
    for (category, sku, name, price, stock) in [
        (&food, "apple", "Apple", "0.50", 10),
        (&bread, "roll", "Bread roll", "0.35", 1),
        (&rye, "loaf", "Rye loaf", "9.20", 10),
        (&rye, "crisp", "Crispbread", "2.00", 0),
        (&tools, "knife", "bread knife", "12.00", 10),
    ] {
        make(
            &service,
            &with(
                product_body(category, sku),
                &json!({"name": name, "price": price, "stock_quantity": stock}),
            ),
        );
    }
    service
}

const ALL: [&str; 5] = ["apple", "roll", "loaf", "crisp", "knife"];

fn with(mut body: Value, change: &Value) -> Value {
    for (field, value) in change.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
    body
}

/// The skus that a query finds, in the order in which they come.
#[track_caller]
fn skus(service: &Service, query: &str) -> Vec<String> {
    texts(&read_all(service, &format!("/products?{query}"), 200), "sku")
}

#[test]
fn a_listed_product_has_no_images_or_ratings() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let mut product = make(&service, &product_body(&food, "1")).json();
    let members = product.as_object_mut().expect("an object");
    members.remove("images");
    members.remove("rating");
    service.get("/products").send().status(200).no_header("link").body(json!({
        "items": [product],
        "next_cursor": null,
    }));
}

#[test]
fn filters_narrow_the_list_individually_and_combined() {
    let service = small_shop();
    let id_of =
        |slug: &str| service.get(format!("/categories/by-slug/{slug}")).send().status(200).text_of("id");
    let [food, bread, rye, tools] = ["food", "bread", "rye", "tools"].map(id_of);
    for (query, expected) in [
        (String::new(), &ALL[..]),
        (format!("category={food}"), &ALL[..4]),
        (format!("category={bread}"), &ALL[1..4]),
        (format!("category={rye}"), &["loaf", "crisp"]),
        (format!("category={tools}"), &["knife"]),
        (format!("category={NOBODY}"), &[]),
        ("min_price=2.00".to_owned(), &["loaf", "crisp", "knife"]),
        ("min_price=2.01".to_owned(), &["loaf", "knife"]),
        ("max_price=0.50".to_owned(), &["apple", "roll"]),
        ("max_price=0.49".to_owned(), &["roll"]),
        ("min_price=0.5&max_price=2".to_owned(), &["apple", "crisp"]),
        ("min_price=3&max_price=2".to_owned(), &[]),
        ("in_stock=true".to_owned(), &["apple", "roll", "loaf", "knife"]),
        ("in_stock=false".to_owned(), &["crisp"]),
        (format!("category={food}&in_stock=true&min_price=0.40"), &["apple", "loaf"]),
    ] {
        assert_eq!(skus(&service, &query), expected, "{query}");
    }
}

#[test]
fn reserved_units_are_not_in_stock() {
    let service = small_shop();
    let roll = service.get("/products/by-sku/roll").send().status(200).text_of("id");
    place(&service, &order(1), &[(&roll, 1)]).consumed();
    assert_eq!(skus(&service, "in_stock=false"), ["roll", "crisp"]);
    assert_eq!(skus(&service, "in_stock=true"), ["apple", "loaf", "knife"]);
    super::cancel(&service, &order(1)).consumed();
    assert_eq!(skus(&service, "in_stock=false"), ["crisp"]);
}

#[test]
fn a_list_follows_a_category_that_moves() {
    let service = small_shop();
    let id_of =
        |slug: &str| service.get(format!("/categories/by-slug/{slug}")).send().status(200).text_of("id");
    let [rye, tools] = ["rye", "tools"].map(id_of);
    let patch = json!({"parent_category_id": tools});
    service.patch(format!("/categories/{rye}")).admin().json(patch).send().status(200);
    assert_eq!(skus(&service, &format!("category={tools}")), ["loaf", "crisp", "knife"]);
}

#[test]
fn each_sort_has_its_order_page_by_page() {
    let service = small_shop();
    for (sort, expected) in [
        ("", ALL),
        ("sort=created_at", ALL),
        ("sort=-created_at", ["knife", "crisp", "loaf", "roll", "apple"]),
        // By code point: small letters come after all capitals.
        ("sort=name", ["apple", "roll", "crisp", "loaf", "knife"]),
        // As numbers, not as texts.
        ("sort=price", ["roll", "apple", "crisp", "loaf", "knife"]),
        ("sort=-price", ["knife", "loaf", "crisp", "apple", "roll"]),
    ] {
        for limit in 1..=6 {
            let listed = read_all(&service, &format!("/products?{sort}"), limit);
            assert_eq!(texts(&listed, "sku"), expected, "{sort} {limit}");
        }
    }
}

#[test]
fn equal_products_are_sorted_by_id() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let made =
        |sku: &str| make(&service, &with(product_body(&food, sku), &json!({"name": "Same"}))).text_of("id");
    let ids = ["c", "a", "d", "b"].map(made);
    for limit in 1..=4 {
        for sort in ["name", "price"] {
            let listed = read_all(&service, &format!("/products?sort={sort}"), limit);
            assert_eq!(texts(&listed, "id"), ids, "{sort}");
        }
        let mut listed = texts(&read_all(&service, "/products?sort=-price", limit), "id");
        listed.reverse();
        assert_eq!(listed, ids);
    }
}

#[test]
fn filters_stay_from_page_to_page() {
    let service = small_shop();
    for sort in ["created_at", "-created_at", "name", "price", "-price"] {
        let query = format!("/products?in_stock=true&min_price=0.40&sort={sort}");
        let mut found = texts(&read_all(&service, &query, 1), "sku");
        found.sort();
        assert_eq!(found, ["apple", "knife", "loaf"], "{sort}");
    }
}

#[test]
fn pages_neither_repeat_nor_miss_a_product_when_others_come_and_go() {
    let service = small_shop();
    for (sort, first, between, rest) in [
        (
            "price",
            ["roll", "apple"],
            [("cheap", "0.10"), ("mid", "1.00")],
            &["mid", "crisp", "loaf", "knife"][..],
        ),
        (
            "name",
            ["apple", "roll"],
            [("A", "5.00"), ("z", "5.00")],
            &["cheap", "mid", "crisp", "loaf", "knife", "z"],
        ),
    ] {
        let page = service.get(format!("/products?limit=2&sort={sort}")).send().status(200).json();
        assert_eq!(texts(page["items"].as_array().expect("items"), "sku"), first);
        let cursor = page["next_cursor"].as_str().expect("there is more");
        let food = service.get("/categories/by-slug/food").send().status(200).text_of("id");
        for (sku, price) in between {
            let name = if sort == "name" { sku } else { "C" };
            make(&service, &with(product_body(&food, sku), &json!({"name": name, "price": price})));
        }
        let next =
            service.get(format!("/products?sort={sort}")).query("cursor", cursor).send().status(200).json();
        assert_eq!(texts(next["items"].as_array().expect("items"), "sku"), rest, "{sort}");
    }
}

#[test]
fn a_cursor_still_works_when_the_product_it_follows_is_deleted() {
    let service = small_shop();
    let page = service.get("/products?limit=2").send().status(200).json();
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let roll = page["items"][1]["id"].as_str().expect("an id");
    service.delete(format!("/products/{roll}")).admin().send().status(204);
    let next = service.get("/products?limit=2").query("cursor", cursor).send().status(200).json();
    assert_eq!(texts(next["items"].as_array().expect("items"), "sku"), ALL[2..4]);
}

#[test]
fn a_cursor_is_valid_for_one_list_with_its_sort_and_filters() {
    let service = small_shop();
    let page = service.get("/products?limit=1&sort=price").send().status(200).json();
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let message = "is not a cursor of this list with this sort and these filters";
    for other in ["/products", "/products?sort=name", "/products?sort=price&in_stock=true", "/categories"] {
        service.get(other).query("cursor", cursor).send().problem(422, "invalid").includes(json!({
            "errors": [{"field": "cursor", "message": message}],
        }));
    }
    for number in 1..=2 {
        let roll = service.get("/products/by-sku/roll").send().status(200).text_of("id");
        let body = json!({"image_url": format!("https://a.example/{number}")});
        service.post(format!("/products/{roll}/images")).admin().json(body).send().status(201);
        let user = format!("0198f3a1-7c3e-7d52-8a07-00000000c{number:03}");
        let review =
            service.post(format!("/products/{roll}/reviews")).customer(&user).json(json!({"rating": 5}));
        review.send().status(201);
    }
    // Lists that belong to a product are each a list of its own.
    let [roll, loaf] = ["roll", "loaf"]
        .map(|sku| service.get(format!("/products/by-sku/{sku}")).send().status(200).text_of("id"));
    for list in ["images", "reviews"] {
        let page = service.get(format!("/products/{roll}/{list}?limit=1")).send().status(200).json();
        let cursor = page["next_cursor"].as_str().expect("there is more");
        let other = service.get(format!("/products/{loaf}/{list}")).query("cursor", cursor);
        other.send().problem(422, "invalid").names_field("cursor");
    }
    // The limit is no part of it.
    let next = service.get("/products?limit=3&sort=price").query("cursor", cursor).send().status(200).json();
    assert_eq!(texts(next["items"].as_array().expect("items"), "sku"), ["apple", "crisp", "loaf"]);
}

#[test]
fn every_list_has_1_to_200_items_per_page() {
    let service = small_shop();
    let roll = service.get("/products/by-sku/roll").send().status(200).text_of("id");
    let images = format!("/products/{roll}/images");
    let reviews = format!("/products/{roll}/reviews");
    for list in ["/products", "/categories", &images, &reviews] {
        for limit in ["0", "201", "-1", "1.5", "", "ten"] {
            let answer = service.get(list).query("limit", limit).send();
            answer.problem(422, "invalid").includes(json!({
                "errors": [{"field": "limit", "message": "must be a whole number from 1 to 200"}],
            }));
        }
        for limit in ["1", "200"] {
            service.get(list).query("limit", limit).send().status(200);
        }
        for cursor in ["", "x", "e30", "%"] {
            let answer = service.get(list).query("cursor", cursor).send();
            answer.problem(422, "invalid").includes(json!({
                "errors": [{"field": "cursor", "message": "is not a cursor"}],
            }));
        }
    }
}

#[test]
fn every_invalid_filter_is_named() {
    let service = small_shop();
    let query = "category=x&min_price=1.999&max_price=x&in_stock=yes&sort=age&limit=201&cursor=x&colour=red";
    let problem = service.get(format!("/products?{query}")).send().problem(422, "invalid").json();
    assert_eq!(
        texts(problem["errors"].as_array().expect("errors"), "field"),
        ["category", "min_price", "max_price", "in_stock", "sort", "limit", "cursor", "colour"]
    );
    for (query, field) in [
        ("min_price=-1", "min_price"),
        ("max_price=10000000", "max_price"),
        ("in_stock=1", "in_stock"),
        ("sort=Name", "sort"),
        ("sort=-name", "sort"),
        ("category=", "category"),
        ("sort=name&sort=price", "sort"),
    ] {
        let answer = service.get(format!("/products?{query}")).send();
        answer.problem(422, "invalid").names_field(field);
    }
    service.get("/products").query("q", "a".repeat(201)).send().problem(422, "invalid").names_field("q");
    service.get("/products").query("q", "a".repeat(200)).send().status(200);
}

#[test]
fn a_page_has_50_products_by_default() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    for number in 1..=51 {
        make(&service, &product_body(&food, &format!("{number:02}")));
    }
    let page = service.get("/products").send().status(200).json();
    let items = page["items"].as_array().expect("items");
    assert_eq!((items.len(), items[49]["sku"].as_str()), (50, Some("50")));
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let next = service.get("/products").query("cursor", cursor).send().status(200);
    next.includes(json!({"items": [{"sku": "51"}], "next_cursor": null}));
}
