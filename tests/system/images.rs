//! The images of a product.

use bulkhead_tests::Site;
use bulkhead_tests::shop::{category, has_version_7, id, product, texts_of};
use serde_json::json;

#[test]
fn images_are_listed_in_display_order() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    let images = format!("{path}/images");
    let product = path.rsplit('/').next().unwrap();
    for (name, order) in [("c", 3), ("a", 1), ("b", 2)] {
        let url = format!("https://example.com/{name}.png");
        let answer = client.post(&images, &json!({"image_url": url, "display_order": order}));
        let made = answer.expect(201);
        assert_eq!((&made["image_url"], &made["display_order"]), (&json!(url), &json!(order)));
        assert_eq!(made["product_id"], product);
        has_version_7(&made);
        let location = format!("{images}/{}", id(&made));
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert_eq!(client.get(&location).expect(200), made);
    }
    let expected = ["a", "b", "c"].map(|name| format!("https://example.com/{name}.png"));
    let listed = client.get(&images).expect(200);
    let listed = listed["items"].as_array().or(listed.as_array()).unwrap().clone();
    assert_eq!(texts_of(&listed, "image_url"), expected);
    let shown = client.get(&path).expect(200);
    assert_eq!(texts_of(shown["images"].as_array().unwrap(), "image_url"), expected);
    assert_eq!(client.get("/products/by-sku/1").expect(200), shown);

    let first = format!("{images}/{}", id(&listed[0]));
    client.delete(&first).expect(204);
    client.delete(&first).problem(404, "not-found");
    assert_eq!(client.get(&path).expect(200)["images"].as_array().unwrap().len(), 2);
}

#[test]
fn an_image_belongs_to_its_product() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let [one, two] =
        ["1", "2"].map(|sku| format!("/products/{}/images", id(&product(&mut client, &category, sku))));
    let image = id(&client.post(&one, &json!({"image_url": "https://example.com/1.png"})).expect(201));
    client.get(&format!("{two}/{image}")).problem(404, "not-found");
    client.get(&format!("{one}/7")).problem(404, "not-found");
    client.delete(&format!("{two}/{image}")).problem(404, "not-found");
    client.delete(&format!("{one}/{image}")).expect(204);
}

#[test]
fn image_without_display_order_comes_last_even_after_the_highest_order() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let images = format!("/products/{}/images", id(&product(&mut client, &category, "1")));
    let mut add = |place: serde_json::Value| {
        let mut body = json!({"image_url": "https://example.com/1.png"});
        if !place.is_null() {
            body["display_order"] = place;
        }
        client.post(&images, &body).expect(201)
    };
    assert_eq!(add(json!(null))["display_order"], 0);
    assert_eq!(add(json!(null))["display_order"], 1);
    assert_eq!(add(json!(1_000_000))["display_order"], 1_000_000);
    let last = add(json!(null));
    assert_eq!(last["display_order"], 1_000_000);
    let listed = client.get(&images).expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(texts_of(&listed, "id").last(), Some(&id(&last)));
}

#[test]
fn number_of_images_of_a_product_is_limited() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let images = format!("/products/{}/images", id(&product(&mut client, &category, "1")));
    let body = json!({"image_url": "https://example.com/1.png"});
    for _ in 0..100 {
        client.post(&images, &body).expect(201);
    }
    let problem = client.post(&images, &body).problem(409, "too-many-images");
    assert_eq!(problem["constraint"], "product_image.product_id");
}

#[test]
fn only_https_addresses_are_accepted() {
    let host = Site::shop().start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let images = format!("/products/{}/images", id(&product(&mut client, &category, "1")));
    for url in [
        "http://example.com/1.png",
        "ftp://example.com",
        "javascript:alert(1)",
        "/1.png",
        "https://",
        "",
        "https:// x",
    ] {
        client.post(&images, &json!({"image_url": url})).invalid(&["image_url"]);
    }
    client
        .post(&images, &json!({"image_url": 7, "display_order": "first"}))
        .invalid(&["image_url", "display_order"]);
    client.post(&images, &json!({})).invalid(&["image_url"]);
}
