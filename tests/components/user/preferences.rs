//! `/users/{id}/preferences`.

use bulkhead_testing::{Value, json};

use super::{As as _, everything, prefer, registered, with_ada, wrong_fields};

#[test]
fn a_preference_is_created_and_then_replaced_with_the_same_id() {
    let (users, ada) = with_ada();
    let path = format!("/users/{ada}/preferences/theme.dark-mode_2");
    let put = |value: &str| users.put(&path).json(json!({"value": value})).user(&ada).send();
    let created = put("dark").status(201).header("location", &path);
    let id = created.text_of("id");
    let is = |value: &str| {
        json!({
            "id": id, "user_id": ada, "preference_key": "theme.dark-mode_2", "preference_value": value,
        })
    };
    let tag = created.body(is("dark")).header_value("etag").unwrap_or_default();
    let _ = users.get(&path).user(&ada).send().status(200).body(is("dark")).header("etag", &tag);
    for value in ["light", "", "a\nb 🔑"] {
        let tag = put(value).status(200).body(is(value)).no_header("location").header_value("etag");
        let answer = users.get(&path).user(&ada).send().status(200).body(is(value));
        let _ = answer.header("etag", &tag.unwrap_or_default());
    }
    assert_eq!(
        users.rows("SELECT count(*) AS preferences FROM user_preference"),
        json!([{"preferences": 1}])
    );
    users.expect_published(json!([]));
}

#[test]
fn a_deleted_preference_is_gone() {
    let (users, ada) = with_ada();
    ["a", "b"].iter().for_each(|key| prefer(&users, &ada, key));
    let path = format!("/users/{ada}/preferences/a");
    let _ = users.delete(&path).user(&ada).send().status(204).empty();
    let _ = users.get(&path).user(&ada).send().problem(404, "not-found");
    let _ = users.delete(&path).user(&ada).send().problem(404, "not-found");
    assert_eq!(users.rows("SELECT preference_key FROM user_preference"), json!([{"preference_key": "b"}]));
    users.expect_published(json!([]));
}

#[test]
fn a_key_is_letters_digits_dots_hyphens_and_underscores() {
    let (users, ada) = with_ada();
    let (longest, too_long) = ("k".repeat(100), "k".repeat(101));
    for key in ["a", "A", "7", "...", "-", "_", "theme.dark-mode_2", &longest] {
        prefer(&users, &ada, key);
    }
    // A path with `.` or `..` comes to no service: see `tests/system/http_rules.rs`.
    for key in ["a%20b", "%C3%A4", "a%2Fb", "a%0A", "a+b", "a%25", &too_long] {
        let path = format!("/users/{ada}/preferences/{key}");
        let put = users.put(&path).json(json!({"value": "v"})).user(&ada).send();
        let _ = put.problem(404, "not-found");
        let _ = users.delete(&path).user(&ada).send().problem(404, "not-found");
    }
    assert_eq!(
        users.rows("SELECT count(*) AS preferences FROM user_preference"),
        json!([{"preferences": 8}])
    );
}

#[test]
fn keys_differ_by_case() {
    let (users, ada) = with_ada();
    prefer(&users, &ada, "theme");
    let _ = users.get(format!("/users/{ada}/preferences/Theme")).user(&ada).send().problem(404, "not-found");
    prefer(&users, &ada, "Theme");
}

#[test]
fn a_value_has_at_most_2000_characters() {
    let (users, ada) = with_ada();
    let path = format!("/users/{ada}/preferences/theme");
    let put = |body: Value| users.put(&path).json(body).user(&ada).send();
    let _ = put(json!({"value": "ä".repeat(2000)})).status(201);
    let before = everything(&users);
    for body in [
        json!({"value": "v".repeat(2001)}),
        json!({"value": null}),
        json!({"value": 7}),
        json!({"value": {"a": 1}}),
        json!({}),
    ] {
        assert_eq!(wrong_fields(put(body)), ["value"]);
    }
    assert_eq!(wrong_fields(put(json!({"value": 1, "key": "a"}))), ["value", "key"]);
    let _ = users.put(&path).user(&ada).send().problem(400, "malformed-json");
    assert_eq!(everything(&users), before);
}

#[test]
fn a_user_has_at_most_200_preferences() {
    let (users, ada) = with_ada();
    (0..200).for_each(|number| prefer(&users, &ada, &format!("key{number}")));
    let before = everything(&users);
    let put = |key: &str| {
        let request = users.put(format!("/users/{ada}/preferences/{key}")).json(json!({"value": "v"}));
        request.user(&ada).send()
    };
    let answer = put("another").problem(409, "too-many-preferences");
    let _ = answer.includes(json!({"constraint": "user_preference.user_id"}));
    assert_eq!(everything(&users), before);
    // One that is there may be replaced, another user may have some, and one that goes makes room.
    let _ = put("key199").status(200);
    prefer(&users, &registered(&users, "Bo"), "another");
    let _ = users.delete(format!("/users/{ada}/preferences/key7")).user(&ada).send().status(204);
    let _ = put("another").status(201);
    let _ = put("one-more").problem(409, "too-many-preferences");
    // All of them fit on the longest page, and no more than 50 on one of which nothing is said.
    for (query, count) in [("?limit=200", 200), ("?limit=199", 199), ("", 50)] {
        let page = users.get(format!("/users/{ada}/preferences{query}")).user(&ada).send().json();
        assert_eq!(page["items"].as_array().map(Vec::len), Some(count));
        assert_eq!(page["next_cursor"].is_null(), count == 200, "{query}");
    }
}

#[test]
fn the_list_is_sorted_by_key_page_by_page() {
    let (users, ada) = with_ada();
    ["b", "d", "a", "c", "B"].iter().for_each(|key| prefer(&users, &ada, key));
    let bo = registered(&users, "Bo");
    prefer(&users, &bo, "a");
    let path = format!("/users/{ada}/preferences");
    let page = |query: &str| {
        let page = users.get(format!("{path}?limit=2{query}")).user(&ada).send().status(200).json();
        let keys = page["items"].as_array().into_iter().flatten().map(|one| one["preference_key"].clone());
        (keys.collect::<Value>(), page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = page("");
    assert_eq!(first, json!(["B", "a"]));
    // What comes before the page moves nothing, and what comes behind is there.
    ["A", "bb"].iter().for_each(|key| prefer(&users, &ada, key));
    let (second, cursor) = page(&format!("&cursor={}", cursor.unwrap_or_default()));
    assert_eq!(second, json!(["b", "bb"]));
    let cursor = cursor.unwrap_or_default();
    assert_eq!(page(&format!("&cursor={cursor}")), (json!(["c", "d"]), None));
    let answer = users.get(format!("/users/{bo}/preferences?cursor={cursor}")).user(&bo).send();
    assert_eq!(wrong_fields(answer), ["cursor"]);
    assert_eq!(wrong_fields(users.get(format!("{path}?limit=0")).user(&ada).send()), ["limit"]);
}

#[test]
fn the_list_of_a_user_without_preferences_is_empty() {
    let (users, ada) = with_ada();
    let answer = users.get(format!("/users/{ada}/preferences")).user(&ada).send();
    let _ = answer.status(200).body(json!({"items": [], "next_cursor": null}));
}
