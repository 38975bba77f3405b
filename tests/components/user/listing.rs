//! `GET /users`.

use bulkhead_testing::{Service, Value, json};

use super::{ADMIN, As as _, email_of, registered, start, wrong_fields};

/// A page of the list, as an admin gets it: the first names, and the next cursor.
#[track_caller]
fn page(users: &Service, query: &str) -> (Vec<String>, Value) {
    let page = users.get(format!("/users{query}")).admin().send().status(200).json();
    let items = page["items"].as_array().into_iter().flatten();
    let names = items.map(|user| user["first_name"].as_str().unwrap_or_default().to_owned()).collect();
    (names, page["next_cursor"].clone())
}

#[track_caller]
fn behind(users: &Service, limit: u32, cursor: &Value) -> (Vec<String>, Value) {
    page(users, &format!("?limit={limit}&cursor={}", cursor.as_str().expect("a cursor")))
}

#[test]
fn the_list_has_complete_users_and_no_hashes() {
    let users = start();
    assert_eq!(page(&users, ""), (vec![], Value::Null));
    let ada = registered(&users, "Ada");
    let now = users.now();
    let user = json!({
        "id": ada, "email": email_of("Ada"), "first_name": "Ada", "last_name": "Tester",
        "created_at": now, "updated_at": now,
    });
    let _ =
        users.get("/users").admin().send().status(200).body(json!({"items": [user], "next_cursor": null}));
}

#[test]
fn the_list_is_for_admins_only() {
    let users = start();
    let ada = registered(&users, "Ada");
    let _ = users.get("/users").send().problem(401, "unauthenticated");
    let _ = users.get("/users").user(&ada).send().problem(403, "forbidden");
    let _ = users.get("/users").principal(ADMIN).role("customer").send().problem(403, "forbidden");
    let _ = users.get("/users").principal("service:order").send().problem(403, "forbidden");
    let _ = users.get("/users").principal(&ada).role("customer").role("admin").send().status(200);
}

#[test]
fn the_list_is_sorted_from_oldest_to_newest_page_by_page() {
    let users = start();
    for name in ["Cy", "Ada", "Bo", "Eve", "Di"] {
        registered(&users, name);
    }
    assert_eq!(page(&users, ""), (["Cy", "Ada", "Bo", "Eve", "Di"].map(String::from).to_vec(), Value::Null));
    let (names, cursor) = page(&users, "?limit=2");
    assert_eq!(names, ["Cy", "Ada"]);
    let (names, cursor) = behind(&users, 2, &cursor);
    assert_eq!(names, ["Bo", "Eve"]);
    assert_eq!(behind(&users, 2, &cursor), (vec!["Di".to_owned()], Value::Null));
    // A page that ends with the list has no next one.
    assert_eq!(page(&users, "?limit=5").1, Value::Null);
    assert_eq!(behind(&users, 1, &cursor), (vec!["Di".to_owned()], Value::Null));
}

#[test]
fn a_page_starts_after_the_previous_one_despite_additions_and_deletions() {
    let users = start();
    let ids = ["Ada", "Bo", "Cy"].map(|name| registered(&users, name));
    let (_, cursor) = page(&users, "?limit=2");
    registered(&users, "Di");
    let _ = users.delete(format!("/users/{}", ids[1])).admin().send().status(204);
    assert_eq!(behind(&users, 50, &cursor), (vec!["Cy".to_owned(), "Di".to_owned()], Value::Null));
}

#[test]
fn a_page_has_50_users_by_default() {
    let users = start();
    for number in 0..51 {
        registered(&users, &format!("Ada{number}"));
    }
    let (names, cursor) = page(&users, "");
    assert_eq!((names.len(), names[49].as_str()), (50, "Ada49"));
    assert_eq!(behind(&users, 200, &cursor), (vec!["Ada50".to_owned()], Value::Null));
    assert_eq!(page(&users, "?limit=200").0.len(), 51);
}

#[test]
fn an_invalid_query_parameter_is_named() {
    let users = start();
    for limit in ["0", "201", "-1", "1.5", "", "ten"] {
        let answer = users.get("/users").query("limit", limit).admin().send();
        assert_eq!(wrong_fields(answer), ["limit"], "{limit}");
    }
    let answer = users.get("/users?limit=0&cursor=x&email=a").admin().send();
    assert_eq!(wrong_fields(answer), ["limit", "cursor", "email"]);
    assert_eq!(wrong_fields(users.get("/users?limit=1&limit=2").admin().send()), ["limit"]);
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let users = start();
    let ada = registered(&users, "Ada");
    for key in ["a", "b"] {
        super::prefer(&users, &ada, key);
    }
    let page = users.get(format!("/users/{ada}/preferences?limit=1")).user(&ada).send().status(200);
    let cursor = page.text_of("next_cursor");
    let answer = users.get("/users").query("cursor", cursor).admin().send();
    assert_eq!(wrong_fields(answer), ["cursor"]);
}
