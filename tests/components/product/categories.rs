//! Categories: making, reading, changing and deleting them, and their list. How they stand to one another is in `category_tree`.

use bulkhead_testing::{Service, json};

use super::{Asks as _, NOBODY, PublishedKinds as _, category, everything, product, read_all, texts};

#[test]
fn a_category_is_created_published_and_read_back_by_id_and_by_slug() {
    let service = Service::start("product");
    let made = service
        .post("/categories")
        .admin()
        .json(json!({"name": "Garden Tools", "slug": "tools"}))
        .send()
        .status(201)
        .header("content-type", "application/json");
    let id = made.text_of("id");
    assert_eq!(&id[14..15], "7", "it is a UUID of version 7: {id}");
    let detail = json!({
        "id": id,
        "name": "Garden Tools",
        "slug": "tools",
        "parent_category_id": null,
        "path": [],
        "children": [],
    });
    let path = format!("/categories/{id}");
    let made = made.header("location", &path).body(&detail);
    let tag = made.header_value("etag").expect("a new category has a tag");
    for target in [path.as_str(), "/categories/by-slug/tools"] {
        service.get(target).send().status(200).header("etag", &tag).body(&detail);
    }
    service.expect_published(json!([{
        "type": "category.changed",
        "subject": id,
        "data": {"id": id, "name": "Garden Tools", "slug": "tools", "parent_category_id": null},
    }]));
    assert_eq!(
        service.rows("SELECT * FROM category"),
        json!([{"id": id, "name": "Garden Tools", "slug": "tools", "parent_category_id": null}])
    );
}

#[test]
fn a_category_is_created_below_another() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    service.expect_published_kinds(&["category.changed"]);
    let body = json!({"name": "Bread", "parent_category_id": food});
    let made = service.post("/categories").admin().json(body).send().status(201);
    let id = made.text_of("id");
    let above = json!({"id": food, "name": "food", "slug": "food", "parent_category_id": null});
    made.body(json!({
        "id": id,
        "name": "Bread",
        "slug": "bread",
        "parent_category_id": food,
        "path": [above],
        "children": [],
    }));
    service.expect_published(json!([{
        "type": "category.changed",
        "subject": id,
        "data": {"id": id, "name": "Bread", "slug": "bread", "parent_category_id": food},
    }]));
}

#[test]
fn a_category_is_not_created_below_a_missing_one() {
    let service = Service::start("product");
    let body = json!({"name": "Bread", "parent_category_id": NOBODY});
    let answer = service.post("/categories").admin().json(body).send().problem(409, "unknown-category");
    answer.includes(json!({
        "detail": "there is no category with this parent_category_id",
        "constraint": "category.parent_category_id",
    }));
    assert_eq!(service.rows("SELECT * FROM category"), json!([]));
    service.expect_published(json!([]));
}

#[test]
fn a_patch_changes_only_the_named_fields_of_a_category() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let bread = category(&service, "bread", Some(&food));
    service.expect_published_kinds(&["category.changed", "category.changed"]);
    let path = format!("/categories/{bread}");
    let row = |name: &str, slug: &str, parent: Option<&str>| json!({"id": bread, "name": name, "slug": slug, "parent_category_id": parent});
    for (patch, row) in [
        (json!({"name": "Loaves"}), row("Loaves", "bread", Some(&food))),
        (json!({"slug": "loaves"}), row("Loaves", "loaves", Some(&food))),
        (json!({"parent_category_id": null}), row("Loaves", "loaves", None)),
        (
            json!({"name": "Bread", "slug": "bread", "parent_category_id": food}),
            row("Bread", "bread", Some(&food)),
        ),
        // What it is already: somebody may wait to hear it.
        (json!({"slug": "bread"}), row("Bread", "bread", Some(&food))),
    ] {
        let answer = service.patch(&path).admin().json(&patch).send().status(200).includes(&row);
        answer.header("content-location", &path);
        service.get(&path).send().status(200).includes(&row);
        service.expect_published(json!([{"type": "category.changed", "subject": bread, "data": row}]));
    }
}

#[test]
fn an_empty_patch_of_a_category_changes_and_publishes_nothing() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    service.expect_published_kinds(&["category.changed"]);
    let before = everything(&service);
    let path = format!("/categories/{food}");
    let there = service.get(&path).send().status(200);
    let answer = service.patch(&path).admin().json(json!({})).send().status(200).body(there.json());
    assert_eq!(answer.header_value("etag"), there.header_value("etag"));
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn the_slug_of_another_category_is_refused() {
    let service = Service::start("product");
    category(&service, "food", None);
    let other = category(&service, "other", None);
    service.expect_published_kinds(&["category.changed", "category.changed"]);
    let before = everything(&service);
    let conflict = json!({"detail": "another category has this slug", "constraint": "category.slug"});
    let new = service.post("/categories").admin().json(json!({"name": "Food", "slug": "food"})).send();
    new.problem(409, "slug-taken").includes(&conflict);
    let path = format!("/categories/{other}");
    let changed = service.patch(&path).admin().json(json!({"name": "x", "slug": "food"})).send();
    changed.problem(409, "slug-taken").includes(&conflict);
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
}

#[test]
fn an_empty_category_is_deleted_and_its_slug_is_free() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    category(&service, "drink", None);
    service.expect_published_kinds(&["category.changed", "category.changed"]);
    let path = format!("/categories/{food}");
    service.delete(&path).admin().send().status(204).empty().no_header("etag");
    service.get(&path).send().problem(404, "not-found");
    service.delete(&path).admin().send().problem(404, "not-found");
    assert_eq!(service.rows("SELECT slug FROM category"), json!([{"slug": "drink"}]));
    // There is no event for it: nobody keeps categories.
    service.expect_published(json!([]));
    category(&service, "food", None);
}

#[test]
fn a_category_with_products_or_children_is_not_deleted() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let bread = category(&service, "bread", Some(&food));
    let loaf = product(&service, &bread, "1", 0);
    let before = everything(&service);
    for id in [&food, &bread] {
        let answer = service.delete(format!("/categories/{id}")).admin().send();
        answer.problem(409, "category-not-empty").includes(json!({
            "detail": "products or categories still belong to this category",
            "constraint": "category.id",
        }));
    }
    assert_eq!(everything(&service), before);
    for path in [format!("/products/{loaf}"), format!("/categories/{bread}"), format!("/categories/{food}")] {
        service.delete(path).admin().send().status(204);
    }
}

#[test]
fn categories_are_listed_by_slug_page_by_page() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    for slug in ["bread", "tea-2", "tea", "9-lives"] {
        category(&service, slug, Some(&food));
    }
    for limit in [1, 2, 4, 5, 200] {
        let listed = read_all(&service, "/categories", limit);
        assert_eq!(texts(&listed, "slug"), ["9-lives", "bread", "food", "tea", "tea-2"], "{limit}");
    }
    let listed = service.get("/categories?limit=3").send().status(200).json();
    let food = json!({"id": food, "name": "food", "slug": "food", "parent_category_id": null});
    assert_eq!(listed["items"][2], food);
    // What comes in between the pages is neither lost nor makes anything come twice.
    let cursor = listed["next_cursor"].as_str().expect("there is more").to_owned();
    for slug in ["bread-2", "soap", "zest"] {
        category(&service, slug, None);
    }
    let rest = service.get("/categories").query("cursor", cursor).send().status(200).json();
    let rest = rest["items"].as_array().expect("items");
    assert_eq!(texts(rest, "slug"), ["soap", "tea", "tea-2", "zest"]);
}

#[test]
fn a_list_without_a_limit_has_50_items() {
    let service = Service::start("product");
    let page = service.get("/categories").send().status(200);
    page.body(json!({"items": [], "next_cursor": null}));
    for number in 1..=50 {
        category(&service, &format!("c{number:02}"), None);
    }
    let page = service.get("/categories").send().status(200).json();
    assert_eq!((page["items"].as_array().map(Vec::len), &page["next_cursor"]), (Some(50), &json!(null)));
    category(&service, "c51", None);
    let page = service.get("/categories").send().status(200).json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(50));
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let next = service.get("/categories").query("cursor", cursor).send().status(200);
    next.includes(json!({"items": [{"slug": "c51"}], "next_cursor": null}));
}
