//! How categories stand to one another: ways and children, no cycles, so deep and so broad and no further.

use bulkhead_testing::{Service, json};

use super::{Asks as _, NOBODY, PublishedKinds as _, category, everything};

/// Levels that the tree has at most.
const DEPTH_MAX: usize = 32;
/// Categories that belong to one at most.
const CHILDREN_MAX: usize = 1000;

/// Makes a category below another, and one below that, and so on: so many.
#[track_caller]
fn chain(service: &Service, prefix: &str, count: usize) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for level in 1..=count {
        ids.push(category(service, &format!("{prefix}{level}"), ids.last().map(String::as_str)));
    }
    ids
}

#[test]
fn a_category_shows_its_path_from_the_root_and_its_children_by_slug() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let bread = category(&service, "bread", Some(&food));
    let wheat = category(&service, "wheat", Some(&bread));
    let rye = category(&service, "rye", Some(&bread));
    let dark = category(&service, "dark", Some(&rye));
    let short = |id: &str, slug: &str, parent: Option<&str>| json!({"id": id, "name": slug, "slug": slug, "parent_category_id": parent});
    let detail = json!({
        "id": bread,
        "name": "bread",
        "slug": "bread",
        "parent_category_id": food,
        "path": [short(&food, "food", None)],
        "children": [short(&rye, "rye", Some(&bread)), short(&wheat, "wheat", Some(&bread))],
    });
    service.get(format!("/categories/{bread}")).send().status(200).body(&detail);
    service.get("/categories/by-slug/bread").send().status(200).body(&detail);
    service.get(format!("/categories/{dark}")).send().status(200).includes(json!({
        "path": [
            short(&food, "food", None),
            short(&bread, "bread", Some(&food)),
            short(&rye, "rye", Some(&bread)),
        ],
        "children": [],
    }));
    // Its way is that of today.
    let moved =
        service.patch(format!("/categories/{rye}")).admin().json(json!({"parent_category_id": null})).send();
    moved.status(200).includes(json!({"path": [], "children": [short(&dark, "dark", Some(&rye))]}));
    service.get(format!("/categories/{dark}")).send().status(200).includes(json!({
        "path": [short(&rye, "rye", None)],
    }));
}

#[test]
fn a_category_belongs_neither_to_itself_nor_to_a_descendant() {
    let service = Service::start("product");
    let ids = chain(&service, "c", 3);
    let _ = service.published();
    let before = everything(&service);
    for parent in &ids {
        let path = format!("/categories/{}", ids[0]);
        let patch = json!({"name": "Other", "parent_category_id": parent});
        let answer = service.patch(&path).admin().json(patch).send().problem(409, "category-cycle");
        answer.includes(json!({
            "detail": "a category cannot belong to itself or to one below it",
            "constraint": "category.parent_category_id",
        }));
    }
    assert_eq!(everything(&service), before);
    service.expect_published(json!([]));
    // Up is no cycle.
    let up =
        service.patch(format!("/categories/{}", ids[2])).admin().json(json!({"parent_category_id": ids[0]}));
    up.send().status(200).includes(json!({"parent_category_id": ids[0]}));
}

#[test]
fn a_category_does_not_move_below_a_missing_one() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    service.expect_published_kinds(&["category.changed"]);
    let patch = json!({"parent_category_id": NOBODY});
    let answer = service.patch(format!("/categories/{food}")).admin().json(patch).send();
    answer.problem(409, "unknown-category").includes(json!({"constraint": "category.parent_category_id"}));
    service.expect_published(json!([]));
}

#[test]
fn the_tree_is_at_most_32_levels_deep() {
    let service = Service::start("product");
    let ids = chain(&service, "c", DEPTH_MAX);
    let below_the_last = json!({"name": "Deeper", "parent_category_id": ids[DEPTH_MAX - 1]});
    let answer = service.post("/categories").admin().json(below_the_last).send();
    let too_deep = json!({
        "detail": "categories stand at most 32 levels deep, with all that is below them",
        "constraint": "category.parent_category_id",
    });
    answer.problem(409, "category-too-deep").includes(&too_deep);

    // Two levels fit below the 30th, and not below the 31st.
    let pair = chain(&service, "d", 2);
    let move_below = |parent: &str| {
        let patch = json!({"parent_category_id": parent});
        service.patch(format!("/categories/{}", pair[0])).admin().json(patch).send()
    };
    move_below(&ids[DEPTH_MAX - 2]).problem(409, "category-too-deep").includes(&too_deep);
    move_below(&ids[DEPTH_MAX - 3]).status(200);
    let deepest = service.get(format!("/categories/{}", pair[1])).send().status(200).json();
    assert_eq!(deepest["path"].as_array().map(Vec::len), Some(DEPTH_MAX - 1));
}

#[test]
fn a_category_has_at_most_1000_children() {
    let service = Service::start("product");
    let full = category(&service, "full", None);
    let other = category(&service, "other", None);
    let children: Vec<_> =
        (1..=CHILDREN_MAX).map(|number| category(&service, &format!("c{number}"), Some(&full))).collect();
    let too_many = json!({
        "detail": "at most 1000 categories belong to one category",
        "constraint": "category.parent_category_id",
    });
    let body = json!({"name": "One more", "parent_category_id": full});
    let answer = service.post("/categories").admin().json(body).send();
    answer.problem(409, "too-many-children").includes(&too_many);
    let move_there = |id: &str| {
        let patch = json!({"parent_category_id": full});
        service.patch(format!("/categories/{id}")).admin().json(patch).send()
    };
    move_there(&other).problem(409, "too-many-children").includes(&too_many);
    // One that is among them already may stay.
    move_there(&children[0]).status(200);
    service.delete(format!("/categories/{}", children[0])).admin().send().status(204);
    move_there(&other).status(200);
}
