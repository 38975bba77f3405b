//! Conditional requests: entity tags, `If-None-Match` and `If-Match`, on every single thing that there is.

use bulkhead_testing::{Service, Value, json};

use super::{ADA, Asks as _, everything, place, with_product};

/// One thing of each kind, made: its path, and what changes it, if anything may.
fn things(service: &Service, product: &str) -> Vec<(String, Option<Value>)> {
    let image = json!({"image_url": "https://a.example/1"});
    let image = service.post(format!("{product}/images")).admin().json(image).send().status(201);
    let review = json!({"rating": 5});
    let review = service.post(format!("{product}/reviews")).customer(ADA).json(review).send().status(201);
    let category = json!({"name": "Toys"});
    let category = service.post("/categories").admin().json(category).send().status(201);
    let path = |made: &bulkhead_testing::Answer| made.header_value("location").expect("a location");
    for made in [&image, &review, &category] {
        let there = service.get(path(made)).send().status(200).body(made.json());
        assert_eq!(there.header_value("etag"), made.header_value("etag"));
    }
    vec![
        (path(&image), None),
        (path(&review), None),
        (path(&category), Some(json!({"name": "Games"}))),
        (product.to_owned(), Some(json!({"price": "20.00"}))),
    ]
}

#[track_caller]
fn tag(service: &Service, path: &str) -> String {
    let tag = service.get(path).send().status(200).header_value("etag").expect("a tag");
    assert!(tag.starts_with('"'), "{path}: the tag is strong: {tag}");
    tag
}

#[test]
fn a_representation_the_client_has_is_not_sent_again() {
    let (service, product) = with_product();
    for (path, _) in things(&service, &product) {
        let tag = tag(&service, &path);
        let same = service.get(&path).header("if-none-match", &tag).send().status(304).empty();
        same.header("etag", &tag);
        service.get(&path).header("if-none-match", "\"x\"").send().status(200).header("etag", &tag);
    }
}

#[test]
fn a_resource_that_changed_meanwhile_is_neither_changed_nor_deleted() {
    let (service, product) = with_product();
    for (path, patch) in things(&service, &product) {
        let tag = tag(&service, &path);
        let _ = service.published();
        let before = everything(&service);
        for stale in ["\"x\"", &format!("W/{tag}"), "x"] {
            if let Some(patch) = &patch {
                let change = service.patch(&path).admin().header("if-match", stale).json(patch);
                change.send().problem(412, "precondition-failed");
            }
            service
                .delete(&path)
                .admin()
                .header("if-match", stale)
                .send()
                .problem(412, "precondition-failed");
        }
        assert_eq!(everything(&service), before);
        service.expect_published(json!([]));
        let mut tag = tag;
        if let Some(patch) = &patch {
            let changed =
                service.patch(&path).admin().header("if-match", &tag).json(patch).send().status(200);
            service.delete(&path).admin().header("if-match", &tag).send().problem(412, "precondition-failed");
            tag = changed.header_value("etag").expect("a tag");
        }
        service.delete(&path).admin().header("if-match", &tag).send().status(204);
    }
}

#[test]
fn every_visible_change_of_a_product_changes_its_etag() {
    let (service, path) = with_product();
    let id = super::id_of(&path);
    let mut tags = vec![tag(&service, &path)];
    let image =
        service.post(format!("{path}/images")).admin().json(json!({"image_url": "https://a.example/1"}));
    let image = image.send().status(201).header_value("location").expect("a location");
    tags.push(tag(&service, &path));
    service.post(format!("{path}/reviews")).customer(ADA).json(json!({"rating": 5})).send().status(201);
    tags.push(tag(&service, &path));
    service.post(format!("{path}/stock")).admin().json(json!({"delta": 1})).send().status(200);
    tags.push(tag(&service, &path));
    place(&service, &super::order(1), &[(id, 1)]).consumed();
    tags.push(tag(&service, &path));
    service.delete(image).admin().send().status(204);
    tags.push(tag(&service, &path));
    let count = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), count);
    // What it does not show does not.
    let before = tag(&service, &path);
    super::ship(&service, &super::order(1)).consumed();
    assert_eq!(tag(&service, &path), before);
}

#[test]
fn a_condition_on_a_missing_resource_is_404() {
    let (service, _) = with_product();
    for path in [format!("/products/{}", super::NOBODY), format!("/categories/{}", super::NOBODY)] {
        let change = service.patch(&path).admin().header("if-match", "*").json(json!({"name": "x"}));
        change.send().problem(404, "not-found");
        service.delete(&path).admin().header("if-match", "*").send().problem(404, "not-found");
    }
}
