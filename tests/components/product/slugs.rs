//! The names of categories in addresses.

use bulkhead_testing::{Service, json};

use super::{Asks as _, category};

#[track_caller]
fn slug_of(service: &Service, name: &str) -> String {
    service.post("/categories").admin().json(json!({"name": name})).send().status(201).text_of("slug")
}

#[test]
fn a_slug_is_generated_from_the_name() {
    let service = Service::start("product");
    for (name, slug) in [
        ("Potatoes", "potatoes"),
        ("BAKED BREAD/BUNS/ROLLS", "baked-bread-buns-rolls"),
        ("Crème -- Brûlée!", "creme-brulee"),
        ("Straße 7", "strasse-7"),
        ("-a-", "a"),
        ("北京 Beijing", "beijing"),
    ] {
        assert_eq!(slug_of(&service, name), slug, "{name}");
    }
}

#[test]
fn a_generated_slug_gets_the_first_free_number() {
    let service = Service::start("product");
    for slug in ["food", "food-2", "food-3", "food-4"] {
        assert_eq!(slug_of(&service, "Food"), slug);
    }
    let food_3 = service.get("/categories/by-slug/food-3").send().status(200).text_of("id");
    service.delete(format!("/categories/{food_3}")).admin().send().status(204);
    assert_eq!(slug_of(&service, "food"), "food-3");
    assert_eq!(slug_of(&service, "food 2"), "food-2-2");
    assert_eq!(slug_of(&service, "fóod"), "food-5");
}

#[test]
fn slug_numbers_are_tried_up_to_100() {
    let service = Service::start("product");
    category(&service, "food", None);
    for number in 2..=99 {
        category(&service, &format!("food-{number}"), None);
    }
    assert_eq!(slug_of(&service, "Food"), "food-100");
    let answer = service.post("/categories").admin().json(json!({"name": "Food"})).send();
    answer.problem(409, "slug-taken").includes(json!({"constraint": "category.slug"}));
    assert_eq!(service.rows("SELECT count(*) AS count FROM category"), json!([{"count": 100}]));
}

#[test]
fn a_long_slug_with_a_number_keeps_within_200_characters() {
    let service = Service::start("product");
    let name = "a".repeat(200);
    assert_eq!(slug_of(&service, &name), name);
    assert_eq!(slug_of(&service, &name), format!("{}-2", "a".repeat(196)));
}

#[test]
fn a_name_without_letters_needs_a_slug() {
    let service = Service::start("product");
    for name in ["北京", "!?"] {
        let answer = service.post("/categories").admin().json(json!({"name": name})).send();
        answer.problem(422, "invalid").includes(json!({"errors": [{
            "field": "slug",
            "message": "is missing, and the name has no letters that one could be made from",
        }]}));
    }
    let body = json!({"name": "北京", "slug": "beijing"});
    service.post("/categories").admin().json(body).send().status(201).includes(json!({"slug": "beijing"}));
}

#[test]
fn a_slug_does_not_change_with_the_name() {
    let service = Service::start("product");
    let food = category(&service, "food", None);
    let answer = service.patch(format!("/categories/{food}")).admin().json(json!({"name": "Drink"})).send();
    answer.status(200).includes(json!({"name": "Drink", "slug": "food"}));
    service.get("/categories/by-slug/drink").send().problem(404, "not-found");
}
