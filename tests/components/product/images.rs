//! The images of a product, in the order in which they are shown.

use bulkhead_testing::{Service, json};

use super::{Asks as _, everything, id_of, product, read_all, texts, with_product};

/// Adds an image, and gives its path.
#[track_caller]
fn add(service: &Service, product: &str, name: &str, place: Option<i64>) -> String {
    let mut body = json!({"image_url": format!("https://a.example/{name}")});
    if let Some(place) = place {
        body["display_order"] = place.into();
    }
    let made = service.post(format!("{product}/images")).admin().json(body).send().status(201);
    made.header_value("location").expect("a location")
}

#[track_caller]
fn names(service: &Service, product: &str) -> Vec<String> {
    let urls = texts(&read_all(service, &format!("{product}/images"), 200), "image_url");
    urls.iter().map(|url| url.trim_start_matches("https://a.example/").to_owned()).collect()
}

#[test]
fn an_image_is_added_and_read_back() {
    let (service, path) = with_product();
    let body = json!({"image_url": "https://a.example/1", "display_order": 3});
    let made = service.post(format!("{path}/images")).admin().json(body).send().status(201);
    let id = made.text_of("id");
    let image = json!({
        "id": id,
        "product_id": id_of(&path),
        "image_url": "https://a.example/1",
        "display_order": 3,
    });
    let at = format!("{path}/images/{id}");
    made.header("location", &at).body(&image);
    service.get(&at).send().status(200).body(&image);
    service.get(format!("{path}/images")).send().status(200).body(json!({
        "items": [image],
        "next_cursor": null,
    }));
    assert_eq!(service.rows("SELECT * FROM product_image"), json!([image]));
    // Nobody else keeps images.
    service.expect_published(json!([]));
}

#[test]
fn images_are_listed_in_their_order_page_by_page() {
    let (service, path) = with_product();
    for (name, place) in [("d", 9), ("b", 2), ("c", 2), ("a", 0), ("e", 1_000_000)] {
        add(&service, &path, name, Some(place));
    }
    let all = ["a", "b", "c", "d", "e"];
    assert_eq!(names(&service, &path), all);
    for limit in 1..=5 {
        let listed = read_all(&service, &format!("{path}/images"), limit);
        let urls = all.map(|name| format!("https://a.example/{name}"));
        assert_eq!(texts(&listed, "image_url"), urls, "{limit}");
    }
}

#[test]
fn an_image_without_a_position_comes_after_the_last_one() {
    let (service, path) = with_product();
    let place = |at: &str| service.get(at).send().status(200).json()["display_order"].as_i64();
    let first = add(&service, &path, "first", None);
    let second = add(&service, &path, "second", None);
    assert_eq!((place(&first), place(&second)), (Some(0), Some(1)));
    add(&service, &path, "far", Some(999_999));
    let third = add(&service, &path, "third", None);
    // There is no place behind the last one: there the newest comes last.
    let fourth = add(&service, &path, "fourth", None);
    assert_eq!((place(&third), place(&fourth)), (Some(1_000_000), Some(1_000_000)));
    assert_eq!(names(&service, &path), ["first", "second", "far", "third", "fourth"]);
}

#[test]
fn a_product_has_at_most_100_images() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = format!("/products/{}", product(&service, &food, "2", 1));
    let images: Vec<_> = (1..=100).map(|number| add(&service, &path, &number.to_string(), None)).collect();
    let body = json!({"image_url": "https://a.example/101"});
    let one_more = || service.post(format!("{path}/images")).admin().json(&body).send();
    one_more().problem(409, "too-many-images").includes(json!({
        "detail": "a product has at most 100 images",
        "constraint": "product_image.product_id",
    }));
    assert_eq!(names(&service, &path).len(), 100);
    add(&service, &other, "1", None);
    service.delete(&images[0]).admin().send().status(204);
    one_more().status(201);
}

#[test]
fn deleting_an_image_keeps_the_others() {
    let (service, path) = with_product();
    let [first, _] = ["a", "b"].map(|name| add(&service, &path, name, None));
    service.delete(&first).admin().send().status(204).empty();
    service.get(&first).send().problem(404, "not-found");
    service.delete(&first).admin().send().problem(404, "not-found");
    assert_eq!(names(&service, &path), ["b"]);
    service.expect_published(json!([]));
}

#[test]
fn an_image_belongs_to_its_product() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = format!("/products/{}", product(&service, &food, "2", 1));
    let image = add(&service, &path, "a", None);
    let before = everything(&service);
    let elsewhere = format!("{other}/images/{}", id_of(&image));
    service.get(&elsewhere).send().problem(404, "not-found");
    service.delete(&elsewhere).admin().send().problem(404, "not-found");
    assert_eq!(names(&service, &other), Vec::<String>::new());
    assert_eq!(everything(&service), before);
}
