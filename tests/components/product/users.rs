//! What the service does when users change or go: their first names beside reviews, and reviews that outlive their author.

use bulkhead_testing::{Service, json};

use super::{ADA, Asks as _, BOB, delete_user, everything, id_of, name_user, read_all, with_product};

#[track_caller]
fn review(service: &Service, product: &str, user: &str) -> String {
    let request = service.post(format!("{product}/reviews")).customer(user);
    let made = request.json(json!({"rating": 5, "comment": "Good."})).send().status(201);
    made.header_value("location").expect("a location")
}

#[test]
fn first_names_are_replicated_from_the_user_service() {
    let (service, _) = with_product();
    name_user(&service, ADA, "Ada");
    name_user(&service, BOB, "Bob");
    name_user(&service, ADA, "Augusta");
    let kept = json!([{"id": ADA, "first_name": "Augusta"}, {"id": BOB, "first_name": "Bob"}]);
    assert_eq!(service.rows("SELECT id, first_name FROM user ORDER BY id"), kept);
    delete_user(&service, ADA).consumed();
    assert_eq!(service.rows("SELECT id, first_name FROM user"), json!([{"id": BOB, "first_name": "Bob"}]));
    service.expect_published(json!([]));
}

#[test]
fn a_review_outlives_its_author_without_naming_them() {
    let (service, path) = with_product();
    name_user(&service, ADA, "Ada");
    name_user(&service, BOB, "Bob");
    let [first, other] = [ADA, BOB].map(|user| review(&service, &path, user));
    let created_at = service.get(&first).send().status(200).text_of("created_at");
    delete_user(&service, ADA).consumed();
    let anonymous = json!({
        "id": id_of(&first),
        "product_id": id_of(&path),
        "user_id_ref": null,
        "first_name": null,
        "rating": 5,
        "comment": "Good.",
        "created_at": created_at,
    });
    service.get(&first).send().status(200).body(&anonymous);
    assert_eq!(read_all(&service, &format!("{path}/reviews"), 10)[1], anonymous);
    service.get(&other).send().status(200).includes(json!({"user_id_ref": BOB, "first_name": "Bob"}));
    service.get(&path).send().status(200).includes(json!({"rating": {"count": 2, "average": "5.00"}}));
    assert!(!everything(&service)["product_review"].to_string().contains(ADA));
    service.expect_published(json!([]));
    // It is nobody's: the administrator's to delete.
    service.delete(&first).customer(ADA).send().problem(403, "forbidden");
    service.delete(&first).admin().send().status(204);
}

#[test]
fn a_deleted_user_can_no_longer_review() {
    let (service, path) = with_product();
    name_user(&service, ADA, "Ada");
    delete_user(&service, ADA).consumed();
    assert_eq!(service.rows("SELECT * FROM deleted_user"), json!([{"user_id_ref": ADA}]));
    // By a token that was let in before.
    let request = service.post(format!("{path}/reviews")).customer(ADA).json(json!({"rating": 5}));
    request.send().problem(403, "forbidden").includes(json!({"detail": "this account was deleted"}));
    assert_eq!(service.rows("SELECT * FROM product_review"), json!([]));
    review(&service, &path, BOB);
}

#[test]
fn no_stored_answer_is_replayed_to_a_deleted_user() {
    let (service, path) = with_product();
    let send = |user: &str| {
        let request = service.post(format!("{path}/reviews")).customer(user).idempotency_key("one");
        request.json(json!({"rating": 5, "comment": "Mine."})).send()
    };
    for user in [ADA, BOB] {
        send(user).status(201).replayed(false);
        send(user).status(201).replayed(true);
    }
    delete_user(&service, ADA).consumed();
    send(ADA).replayed(false).problem(403, "forbidden");
    send(BOB).status(201).replayed(true);
}

#[test]
fn all_reviews_of_a_deleted_user_lose_their_author() {
    let (service, path) = with_product();
    let food = service.get(&path).send().status(200).text_of("category_id");
    review(&service, &path, ADA);
    for sku in ["2", "3"] {
        let other = super::product(&service, &food, sku, 1);
        review(&service, &format!("/products/{other}"), ADA);
    }
    delete_user(&service, ADA).consumed();
    assert_eq!(
        service.rows("SELECT count(*) AS count, count(user_id_ref) AS with_author FROM product_review"),
        json!([{"count": 3, "with_author": 0}])
    );
}

#[test]
fn a_duplicate_deletion_takes_effect_once() {
    let (service, path) = with_product();
    let made = review(&service, &path, ADA);
    let event = || service.event("user.deleted").subject(ADA).data(json!({"id": ADA}));
    event().deliver_twice().consumed();
    let after = everything(&service);
    // Published again, as another event.
    event().deliver().consumed();
    assert_eq!(everything(&service), after);
    assert_eq!(after["deleted_user"], json!([{"user_id_ref": ADA}]));
    service.get(&made).send().status(200).includes(json!({"user_id_ref": null}));
    service.expect_published(json!([]));
}

#[test]
fn a_deletion_of_an_unknown_user_is_recorded() {
    let (service, _) = with_product();
    delete_user(&service, BOB).consumed();
    assert_eq!(service.rows("SELECT * FROM deleted_user"), json!([{"user_id_ref": BOB}]));
    service.expect_published(json!([]));
}

#[test]
fn an_unreadable_deletion_is_dead_lettered() {
    let (service, path) = with_product();
    review(&service, &path, ADA);
    let before = everything(&service);
    for data in ["null", "[]", "{}", r#"{"id":"ada"}"#, r#"{"id":7}"#, "{"] {
        service.event("user.deleted").subject(ADA).raw(data).deliver().rejected("");
    }
    assert_eq!(everything(&service), before);
    assert_eq!(service.dead_letters().len(), 6);
}

#[test]
fn a_deletion_whose_data_was_erased_still_removes_the_name() {
    let (service, path) = with_product();
    name_user(&service, ADA, "Ada");
    let made = review(&service, &path, ADA);
    service.event("user.deleted").subject(ADA).raw("").deliver().consumed();
    assert_eq!(service.rows("SELECT * FROM user"), json!([]));
    service.get(&made).send().status(200).includes(json!({"first_name": null}));
    // The handler is not asked: there is nothing that it could read.
    assert_eq!(everything(&service)["deleted_user"], json!([]));
}
