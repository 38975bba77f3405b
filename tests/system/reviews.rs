//! Reviews: everyone reads them, a customer writes one of each product, and nobody does without saying who they are.

use bulkhead_tests::shop::{category, has_version_7, id, product, read_all, texts_of};
use bulkhead_tests::{Site, database};
use serde_json::{Value, json};

use crate::ordering::until;

#[test]
fn customer_reviews_a_product_once_and_may_delete_the_review() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let path = format!("/products/{}", id(&product(&mut client, &category, "1")));
    let reviews = format!("{path}/reviews");
    let unrated = client.get(&path).expect(200);
    let customer = host.customer("Ada");
    let mut client = customer.client;
    let answer = client.post(&reviews, &json!({"rating": 4, "comment": "Good."}));
    let review = answer.expect(201);
    let location = format!("{reviews}/{}", id(&review));
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert_eq!((&review["rating"], &review["comment"]), (&json!(4), &json!("Good.")));
    assert_eq!(review["user_id_ref"], customer.id.as_str());
    assert_eq!(format!("/products/{}", review["product_id"].as_str().unwrap()), path);
    has_version_7(&review);
    let mut named = review.clone();
    named["first_name"] = "Ada".into();
    assert_eq!(until(&mut client, &location, |review| review["first_name"] == "Ada"), named);
    client.get(&format!("{reviews}/7")).problem(404, "not-found");
    client.post(&reviews, &json!({"rating": 5})).problem(409, "review-exists");
    let listed = read_all(&mut client, &format!("{reviews}?"), 50);
    assert_eq!(texts_of(&listed, "id"), [id(&review)]);
    assert_ne!(client.get(&path).expect(200)["rating"], unrated["rating"]);
    client.delete(&location).expect(204);
    client.delete(&location).problem(404, "not-found");
    client.get(&location).problem(404, "not-found");
    assert_eq!(client.get(&path).expect(200)["rating"], unrated["rating"]);
    client.post(&reviews, &json!({"rating": 5})).expect(201);
}

#[test]
fn errors_of_a_review_are_reported_field_by_field() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let reviews = format!("/products/{}/reviews", id(&product(&mut client, &category, "1")));
    let mut client = host.customer("Ada").client;
    for rating in [json!(0), json!(6), json!(4.5), json!("5"), json!(null)] {
        client.post(&reviews, &json!({"rating": rating})).invalid(&["rating"]);
    }
    client.post(&reviews, &json!({})).invalid(&["rating"]);
    let wrong = json!({"rating": 9, "comment": 7, "user_id_ref": "someone-else"});
    client.post(&reviews, &wrong).invalid(&["rating", "comment", "user_id_ref"]);
    let nowhere = "/products/01890000-0000-7000-8000-000000000000/reviews";
    client.post(nowhere, &json!({"rating": 5})).problem(404, "not-found");
    assert!(read_all(&mut client, &format!("{reviews}?"), 50).is_empty());
}

#[test]
fn review_requires_a_login() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let reviews = format!("/products/{}/reviews", id(&product(&mut client, &category, "1")));
    let before = database::row_counts(&site.database("product"));
    let mut client = host.client();
    client.post(&reviews, &json!({"rating": 5, "comment": "Good."})).problem(401, "unauthenticated");
    client.delete(&format!("{reviews}/01890000-0000-7000-8000-000000000000")).problem(401, "unauthenticated");
    assert!(read_all(&mut client, &format!("{reviews}?"), 50).is_empty());
    assert_eq!(database::row_counts(&site.database("product")), before);
}

#[test]
fn reviews_are_listed_newest_first_and_determine_the_rating() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    let [rated, other] = ["1", "2"].map(|sku| id(&product(&mut client, &category, sku)));
    for (name, rating) in [("Ada", 5), ("Bo", 4), ("Cy", 4)] {
        let mut customer = host.customer(name);
        let review = json!({"rating": rating, "comment": "Fine."});
        customer.client.post(&format!("/products/{rated}/reviews"), &review).expect(201);
    }
    for limit in [1, 2, 50] {
        let reviews = read_all(&mut client, &format!("/products/{rated}/reviews?"), limit);
        let times = texts_of(&reviews, "created_at");
        assert!(times.len() == 3 && times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
        assert_eq!(
            reviews.iter().map(|review| review["rating"].as_i64().unwrap()).collect::<Vec<_>>(),
            [4, 4, 5]
        );
    }
    assert!(read_all(&mut client, &format!("/products/{other}/reviews?"), 50).is_empty());
    let summary = client.get(&format!("/products/{rated}")).expect(200)["rating"].to_string();
    assert!(summary.contains("4.33") && summary.contains('3'), "{summary}");
}

#[test]
fn a_review_shows_the_current_first_name_of_its_author() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let [first, second] =
        ["1", "2"].map(|sku| format!("/products/{}/reviews", id(&product(&mut admin, &category, sku))));
    let mut author = host.customer("Ada");
    let review = format!("{first}/{}", id(&author.client.post(&first, &json!({"rating": 4})).expect(201)));
    until(&mut admin, &review, |review| review["first_name"] == "Ada");
    let listed = read_all(&mut admin, &format!("{first}?"), 50);
    assert_eq!(texts_of(&listed, "first_name"), ["Ada"]);
    // The name is known by now, so the answer has it at once.
    let answered = author.client.post(&second, &json!({"rating": 5})).expect(201);
    assert_eq!(answered["first_name"], "Ada");
    let user = format!("/users/{}", author.id);
    author.client.patch(&user, &json!({"first_name": "Grace"})).expect(200);
    until(&mut admin, &review, |review| review["first_name"] == "Grace");
    let listed = read_all(&mut admin, &format!("{second}?"), 50);
    assert_eq!(texts_of(&listed, "first_name"), ["Grace"]);
}

#[test]
fn a_review_outlives_its_author_without_naming_them() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let category = category(&mut admin, "food", None);
    let path = format!("/products/{}", id(&product(&mut admin, &category, "1")));
    let reviews = format!("{path}/reviews");
    let mut author = host.customer("Ada");
    let mut other = host.customer("Bo").client;
    let written = author.client.post(&reviews, &json!({"rating": 2, "comment": "Dry."})).expect(201);
    other.post(&reviews, &json!({"rating": 4})).expect(201);
    let rating = admin.get(&path).expect(200)["rating"].clone();
    let review = format!("{reviews}/{}", id(&written));
    author.client.delete(&format!("/users/{}", author.id)).expect(204);
    let left = until(&mut admin, &review, |review| review["user_id_ref"].is_null());
    assert_eq!(left["first_name"], Value::Null);
    assert_eq!((&left["rating"], &left["comment"]), (&json!(2), &json!("Dry.")));
    assert_eq!(admin.get(&path).expect(200)["rating"], rating);
    let listed = read_all(&mut admin, &format!("{reviews}?"), 50);
    assert_eq!(listed.iter().filter(|review| review["user_id_ref"].is_null()).count(), 1);
    let connection = database::open(&site.database("product"));
    let names = format!("SELECT count(*) FROM user WHERE id = '{}' OR first_name = 'Ada'", author.id);
    assert_eq!(database::number(&connection, &names), 0);
    other.delete(&review).problem(403, "forbidden");
    admin.delete(&review).expect(204);
}
