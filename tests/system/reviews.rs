//! Reviews: everyone reads them, a customer writes one of each product, and nobody does without saying who they are.

use bulkhead_tests::shop::{category, id, product, read_all, texts_of};
use bulkhead_tests::{Site, database};
use serde_json::json;

#[test]
fn a_customer_reviews_a_product_once_and_may_take_it_back() {
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
    assert_eq!(client.get(&location).expect(200), review);
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
fn what_is_wrong_with_a_review_is_said_field_by_field() {
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
fn nobody_reviews_without_saying_who_they_are() {
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
fn reviews_are_listed_from_the_newest_and_make_up_the_rating() {
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
