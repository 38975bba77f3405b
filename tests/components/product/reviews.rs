//! Reviews: one of each customer, with the first name that its author has now, and what they come to.

use bulkhead_testing::{Answer, Service, json};

use super::{
    ADA, Asks as _, BOB, NOBODY, everything, id_of, name_user, product, read_all, texts, with_product,
};

#[track_caller]
fn review(service: &Service, product: &str, user: &str, rating: i64) -> Answer {
    service
        .post(format!("{product}/reviews"))
        .customer(user)
        .json(json!({"rating": rating}))
        .send()
        .status(201)
}

#[track_caller]
fn location(made: &Answer) -> String {
    made.header_value("location").expect("a location")
}

/// A customer's id, by a number.
fn customer(number: i64) -> String {
    format!("0198f3a1-7c3e-7d52-8a07-00000000c{number:03}")
}

#[test]
fn a_review_is_written_and_read_back() {
    let (service, path) = with_product();
    name_user(&service, ADA, "Ada");
    let body = json!({"rating": 4, "comment": "Good,\nbut small."});
    let made = service.post(format!("{path}/reviews")).customer(ADA).json(body).send().status(201);
    let (id, now) = (made.text_of("id"), service.now());
    let review = json!({
        "id": id,
        "product_id": id_of(&path),
        "user_id_ref": ADA,
        "first_name": "Ada",
        "rating": 4,
        "comment": "Good,\nbut small.",
        "created_at": now,
    });
    let at = format!("{path}/reviews/{id}");
    made.header("location", &at).body(&review);
    service.get(&at).send().status(200).body(&review);
    let page = json!({"items": [review], "next_cursor": null});
    service.get(format!("{path}/reviews")).send().status(200).body(page);
    assert_eq!(
        service.rows("SELECT * FROM product_review"),
        json!([{
            "id": id,
            "product_id": id_of(&path),
            "user_id_ref": ADA,
            "rating": 4,
            "comment": "Good,\nbut small.",
            "created_at": now,
        }])
    );
    // Nobody else keeps reviews.
    service.expect_published(json!([]));
}

#[test]
fn a_comment_is_optional_and_may_be_long() {
    let (service, path) = with_product();
    for (number, body, comment) in [
        (1, json!({"rating": 1}), json!(null)),
        (2, json!({"rating": 5, "comment": null}), json!(null)),
        (3, json!({"rating": 5, "comment": "a"}), json!("a")),
        (4, json!({"rating": 5, "comment": "ä".repeat(5000)}), json!("ä".repeat(5000))),
    ] {
        let request = service.post(format!("{path}/reviews")).customer(&customer(number)).json(body);
        request.send().status(201).includes(json!({"comment": comment}));
    }
}

#[test]
fn a_customer_reviews_a_product_once() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = format!("/products/{}", product(&service, &food, "2", 1));
    let first = review(&service, &path, ADA, 4);
    let before = everything(&service);
    let again = service.post(format!("{path}/reviews")).customer(ADA).json(json!({"rating": 1})).send();
    again.problem(409, "review-exists").includes(json!({
        "detail": "you have reviewed this product already",
        "constraint": "product_review.product_id, product_review.user_id_ref",
    }));
    assert_eq!(everything(&service), before);
    review(&service, &other, ADA, 1);
    review(&service, &path, BOB, 5);
    // Who has taken theirs back may write another.
    service.delete(location(&first)).customer(ADA).send().status(204).empty();
    review(&service, &path, ADA, 2);
}

#[test]
fn only_a_user_can_review() {
    let (service, path) = with_product();
    for subject in ["ada", "", "0198f3a17c3e7d528a0700000000ada0"] {
        let request = service.post(format!("{path}/reviews")).customer(subject).json(json!({"rating": 5}));
        request
            .send()
            .problem(403, "forbidden")
            .includes(json!({"detail": "only a user can review a product"}));
    }
    assert_eq!(service.rows("SELECT * FROM product_review"), json!([]));
}

#[test]
fn a_review_shows_the_current_first_name_of_its_author() {
    let (service, path) = with_product();
    // So new that it is not known here yet.
    let made = review(&service, &path, ADA, 5).includes(json!({"user_id_ref": ADA, "first_name": null}));
    for name in ["Ada", "Augusta"] {
        name_user(&service, ADA, name);
        service.get(location(&made)).send().status(200).includes(json!({"first_name": name}));
        let listed = read_all(&service, &format!("{path}/reviews"), 10);
        assert_eq!(texts(&listed, "first_name"), [name]);
    }
    name_user(&service, BOB, "Bob");
    service.get(location(&made)).send().status(200).includes(json!({"first_name": "Augusta"}));
}

#[test]
fn reviews_are_listed_from_the_newest_page_by_page() {
    let (service, path) = with_product();
    let mut ids: Vec<String> =
        (1..=5).map(|number| review(&service, &path, &customer(number), 3).text_of("id")).collect();
    ids.reverse();
    for limit in 1..=5 {
        let listed = read_all(&service, &format!("{path}/reviews"), limit);
        assert_eq!(texts(&listed, "id"), ids, "{limit}");
    }
    // What is written meanwhile comes before the first page, and changes no later one.
    let page = service.get(format!("{path}/reviews?limit=2")).send().status(200).json();
    let cursor = page["next_cursor"].as_str().expect("there is more");
    review(&service, &path, ADA, 3);
    let next =
        service.get(format!("{path}/reviews?limit=2")).query("cursor", cursor).send().status(200).json();
    assert_eq!(texts(next["items"].as_array().expect("items"), "id"), ids[2..4]);
}

#[test]
fn ratings_come_to_an_average_that_is_rounded_half_up() {
    let (service, path) = with_product();
    let rating = |count: i64, average: Option<&str>| {
        let expected = json!({"rating": {"count": count, "average": average}});
        service.get(&path).send().status(200).includes(&expected);
    };
    rating(0, None);
    let mut made = Vec::new();
    for (number, (given, average)) in [
        (5, "5.00"),
        (4, "4.50"),
        (4, "4.33"),
        (1, "3.50"),
        (4, "3.60"),
        (5, "3.83"),
        (1, "3.43"),
        (1, "3.13"),
    ]
    .into_iter()
    .enumerate()
    {
        let count = i64::try_from(number).expect("a small number") + 1;
        made.push(location(&review(&service, &path, &customer(count), given)));
        rating(count, Some(average));
    }
    // 25/8 is 3.125. Without the first two it is 16/6, which is 2.666….
    service.delete(&made[0]).admin().send().status(204);
    rating(7, Some("2.86"));
    service.delete(&made[1]).admin().send().status(204);
    rating(6, Some("2.67"));
    for path in &made[2..] {
        service.delete(path).admin().send().status(204);
    }
    rating(0, None);
    assert_eq!(
        service.rows("SELECT rating_count, rating_sum FROM product"),
        json!([{"rating_count": 0, "rating_sum": 0}])
    );
}

#[test]
fn only_the_author_and_an_admin_can_delete_a_review() {
    let (service, path) = with_product();
    let made = location(&review(&service, &path, ADA, 5));
    let refused = json!({"detail": "a review is deleted by its author or an admin"});
    service.delete(&made).customer(BOB).send().problem(403, "forbidden").includes(&refused);
    service.delete(&made).principal("ada").send().problem(403, "forbidden").includes(&refused);
    service.delete(&made).send().problem(401, "unauthenticated");
    service.get(&made).send().status(200);
    service.delete(&made).customer(ADA).send().status(204).empty();
    service.get(&made).send().problem(404, "not-found");
    service.delete(&made).customer(ADA).send().problem(404, "not-found");

    let other = location(&review(&service, &path, BOB, 1));
    service.delete(&other).admin().send().status(204).empty();
    assert_eq!(service.rows("SELECT * FROM product_review"), json!([]));
    service.expect_published(json!([]));
}

#[test]
fn a_review_belongs_to_its_product() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    let other = format!("/products/{}", product(&service, &food, "2", 1));
    let made = location(&review(&service, &path, ADA, 5));
    let elsewhere = format!("{other}/reviews/{}", id_of(&made));
    service.get(&elsewhere).send().problem(404, "not-found");
    service.delete(&elsewhere).admin().send().problem(404, "not-found");
    assert!(read_all(&service, &format!("{other}/reviews"), 10).is_empty());
    service.get(&other).send().status(200).includes(json!({"rating": {"count": 0, "average": null}}));
    service
        .post(format!("/products/{NOBODY}/reviews"))
        .customer(ADA)
        .json(json!({"rating": 5}))
        .send()
        .problem(404, "not-found")
        .includes(json!({"detail": "there is no such product"}));
    service.get(&made).send().status(200);
}
