//! Categories: a tree without cycles, addressed by id and by slug.

use bulkhead_tests::shop::{category, has_version_7, id, product, read_all, texts_of};
use bulkhead_tests::{Site, database};
use serde_json::{Value, json};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

#[test]
fn category_is_read_back_by_id_and_by_slug_as_created() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let answer = client.post("/categories", &json!({"name": "Garden tools", "slug": "garden-tools"}));
    let made = answer.expect(201);
    assert_eq!(answer.header("location"), Some(format!("/categories/{}", id(&made)).as_str()));
    assert_eq!((&made["name"], &made["slug"]), (&json!("Garden tools"), &json!("garden-tools")));
    assert_eq!(made["parent_category_id"], Value::Null);
    has_version_7(&made);
    for path in [format!("/categories/{}", id(&made)), "/categories/by-slug/garden-tools".to_owned()] {
        let read = client.get(&path).expect(200);
        assert_eq!((&read["id"], &read["name"], &read["slug"]), (&made["id"], &made["name"], &made["slug"]));
    }
}

#[test]
fn a_category_shows_its_path_to_the_root_and_its_children() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let food = category(&mut client, "food", None);
    let bread = category(&mut client, "bread", Some(&food));
    let rye = category(&mut client, "rye", Some(&bread));
    let wheat = category(&mut client, "wheat", Some(&bread));
    let read = client.get(&format!("/categories/{bread}")).expect(200);
    assert_eq!(read["parent_category_id"], food.as_str());
    let path = texts_of(read["path"].as_array().unwrap(), "id");
    assert!(path == [food.clone()] || path == [food.clone(), bread.clone()], "{read}");
    let mut children = texts_of(read["children"].as_array().unwrap(), "id");
    children.sort();
    let mut expected = [rye.clone(), wheat];
    expected.sort();
    assert_eq!(children, expected, "{read}");
    let read = client.get("/categories/by-slug/rye").expect(200);
    assert_eq!(texts_of(read["path"].as_array().unwrap(), "slug")[..2], ["food", "bread"], "{read}");
}

#[test]
fn a_slug_belongs_to_one_category() {
    let host = Site::shop().start();
    let mut client = host.admin();
    category(&mut client, "food", None);
    let other = category(&mut client, "other", None);
    client.post("/categories", &json!({"name": "Food", "slug": "food"})).problem(409, "slug-taken");
    client.patch(&format!("/categories/{other}"), &json!({"slug": "food"})).problem(409, "slug-taken");
    client.patch(&format!("/categories/{other}"), &json!({"slug": "other"})).expect(200);
}

#[test]
fn a_category_moves_with_patch_but_never_below_itself() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let a = category(&mut client, "a", None);
    let b = category(&mut client, "b", Some(&a));
    let c = category(&mut client, "c", Some(&b));
    for below in [&a, &b, &c] {
        let answer = client.patch(&format!("/categories/{a}"), &json!({"parent_category_id": below}));
        answer.any_problem();
        assert_eq!(answer.status, 409, "{answer}");
    }
    assert_eq!(client.get(&format!("/categories/{a}")).expect(200)["parent_category_id"], Value::Null);
    let moved = client.patch(&format!("/categories/{c}"), &json!({"parent_category_id": a})).expect(200);
    assert_eq!(moved["parent_category_id"], a.as_str());
    let root = client.patch(&format!("/categories/{c}"), &json!({"parent_category_id": null})).expect(200);
    assert_eq!(root["parent_category_id"], Value::Null);
    let renamed = client.patch(&format!("/categories/{c}"), &json!({"name": "See"})).expect(200);
    assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("See"), &json!("c")));
}

#[test]
fn slug_derived_from_a_name_gets_a_number_if_it_is_already_in_use() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let mut slug_of = |name: &str| {
        let made = client.post("/categories", &json!({"name": name})).expect(201);
        made["slug"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        ["Rye bread", "RYE BREAD", "Rye, bread!"].map(&mut slug_of),
        ["rye-bread", "rye-bread-2", "rye-bread-3"]
    );
    let long = "x".repeat(200);
    assert_eq!(slug_of(&long), long);
    assert_eq!(slug_of(&long), format!("{}-2", "x".repeat(196)));
    for number in 4..=100 {
        assert_eq!(slug_of("Rye bread"), format!("rye-bread-{number}"));
    }
    client.post("/categories", &json!({"name": "Rye bread"})).problem(409, "slug-taken");
    // A slug that the client chose stays what it is.
    client.post("/categories", &json!({"name": "x", "slug": "rye-bread"})).problem(409, "slug-taken");
}

#[test]
fn depth_of_the_category_tree_is_limited() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let mut line: Vec<String> = Vec::new();
    for level in 1..=32 {
        line.push(category(&mut client, &format!("level-{level}"), line.last().map(String::as_str)));
    }
    let too_deep = json!({"name": "x", "slug": "x", "parent_category_id": line[31]});
    let problem = client.post("/categories", &too_deep).problem(409, "category-too-deep");
    assert_eq!(problem["constraint"], "category.parent_category_id");

    // A category brings what is below it along.
    let top = category(&mut client, "top", None);
    category(&mut client, "below", Some(&top));
    let mut move_to =
        |parent: &str| client.patch(&format!("/categories/{top}"), &json!({"parent_category_id": parent}));
    move_to(&line[31]).problem(409, "category-too-deep");
    move_to(&line[30]).problem(409, "category-too-deep");
    move_to(&line[29]).expect(200);
    let leaf = client.get("/categories/by-slug/below").expect(200);
    assert_eq!(leaf["path"].as_array().unwrap().len(), 31);
    client
        .patch(&format!("/categories/{}", line[0]), &json!({"parent_category_id": leaf["id"]}))
        .problem(409, "category-cycle");
    client.get(&format!("/products?category={}", line[0])).expect(200);
}

#[test]
fn number_of_children_of_a_category_is_limited() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let parent = category(&mut client, "parent", None);
    let other = category(&mut client, "other", None);
    let child = category(&mut client, "child", Some(&parent));
    host.stop();

    let connection = database::open_to_break(&site.database("product"));
    let insert = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
                  INSERT INTO category (id, name, slug, parent_category_id) \
                  SELECT printf('01890000-0000-7000-8000-%012d', i), 'c', 'c-' || i, ?1 FROM n";
    connection.execute(insert, [&parent]).unwrap();
    drop(connection);

    let host = site.start();
    let mut client = host.admin();
    let path = format!("/categories/{parent}");
    assert_eq!(client.get(&path).expect(200)["children"].as_array().unwrap().len(), 1_000);
    let below = json!({"parent_category_id": parent});
    let one_more = json!({"name": "x", "slug": "x", "parent_category_id": parent});
    let problem = client.post("/categories", &one_more).problem(409, "too-many-children");
    assert_eq!(problem["constraint"], "category.parent_category_id");
    client.patch(&format!("/categories/{other}"), &below).problem(409, "too-many-children");
    // It stands there already, and is not counted twice.
    client.patch(&format!("/categories/{child}"), &below).expect(200);
    client.delete(&format!("/categories/{child}")).expect(204);
    client.post("/categories", &one_more).expect(201);
}

#[test]
fn a_category_that_is_not_empty_is_not_deleted() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let parent = category(&mut client, "parent", None);
    let child = category(&mut client, "child", Some(&parent));
    let item = product(&mut client, &child, "1");
    for held in [&parent, &child] {
        let answer = client.delete(&format!("/categories/{held}"));
        answer.any_problem();
        assert_eq!(answer.status, 409, "{answer}");
    }
    client.delete(&format!("/products/{}", id(&item))).expect(204);
    for free in [&child, &parent] {
        let answer = client.delete(&format!("/categories/{free}"));
        assert!(answer.expect(204).is_null());
        client.get(&format!("/categories/{free}")).problem(404, "not-found");
        client.delete(&format!("/categories/{free}")).problem(404, "not-found");
    }
    assert!(read_all(&mut client, "/categories?", 50).is_empty());
}

#[test]
fn all_categories_are_listed_once_page_by_page() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let mut made: Vec<String> =
        (0..23).map(|number| category(&mut client, &format!("c{number}"), None)).collect();
    made.sort();
    for limit in [1, 7, 23, 200] {
        let mut listed = texts_of(&read_all(&mut client, "/categories?", limit), "id");
        listed.sort();
        assert_eq!(listed, made, "limit {limit}");
    }
}

#[test]
fn errors_of_a_category_are_reported_field_by_field() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let long = "x".repeat(1_000);
    let table: [(Value, &[&str]); 8] = [
        (json!({}), &["name"]),
        (json!({"name": "", "slug": ""}), &["name", "slug"]),
        (json!({"name": long, "slug": "ok"}), &["name"]),
        (json!({"name": "two\nlines", "slug": "ok"}), &["name"]),
        (json!({"name": "ok", "slug": "Not A Slug"}), &["slug"]),
        (json!({"name": 1, "slug": ["x"], "parent_category_id": 7}), &["name", "slug", "parent_category_id"]),
        (json!({"name": "ok", "slug": "ok", "colour": "blue", "id": "x"}), &["colour", "id"]),
        (json!({"name": null, "slug": "ok"}), &["name"]),
    ];
    for (body, fields) in table {
        client.post("/categories", &body).invalid(fields);
    }
    let answer =
        client.post("/categories", &json!({"name": "x", "slug": "x", "parent_category_id": UNKNOWN}));
    answer.any_problem();
    assert_eq!(answer.status, 409, "{answer}");
    assert!(read_all(&mut client, "/categories?", 50).is_empty());
}

#[test]
fn unknown_and_malformed_categories_are_404() {
    let host = Site::shop().start();
    let mut client = host.admin();
    for id in [UNKNOWN, "7", "not-a-uuid", "%00", "01890000-0000-7000-8000-00000000000g"] {
        client.get(&format!("/categories/{id}")).problem(404, "not-found");
        client.patch(&format!("/categories/{id}"), &json!({"name": "x"})).problem(404, "not-found");
        client.delete(&format!("/categories/{id}")).problem(404, "not-found");
    }
    client.get("/categories/by-slug/nowhere").problem(404, "not-found");
}
