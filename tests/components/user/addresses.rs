//! `/users/{id}/addresses`. Which one is the default is in `default_address.rs`.

use bulkhead_testing::{Request, Value, json};

use super::{As as _, NOBODY, added, everything, new_address, registered, untraced, with_ada, wrong_fields};

#[test]
fn an_address_is_added_in_full_and_read_back() {
    let (users, ada) = with_ada();
    let path = format!("/users/{ada}/addresses");
    let new = json!({
        "address_line1": "12/3, Straße ä", "address_line2": "c/o O'Hara", "city": "北京", "state": "BJ",
        "postal_code": "100 000", "country": "CN", "is_default": true,
    });
    let answer = users.post(&path).json(&new).user(&ada).send().status(201);
    let id = answer.text_of("id");
    let mut address = new;
    address["id"] = id.as_str().into();
    address["user_id"] = ada.as_str().into();
    let one = format!("{path}/{id}");
    let tag = answer.header("location", &one).body(&address).header_value("etag").unwrap_or_default();
    let _ = users.get(&one).user(&ada).send().status(200).body(&address).header("etag", &tag);
    let list = json!({"items": [address], "next_cursor": null});
    let _ = users.get(&path).user(&ada).send().status(200).body(list);
    users.expect_published(json!([]));
}

#[test]
fn omitted_optional_fields_of_an_address_are_null() {
    let (users, ada) = with_ada();
    let path = format!("/users/{ada}/addresses");
    let mut with_nulls = new_address();
    for field in ["address_line2", "state", "is_default"] {
        with_nulls[field] = Value::Null;
    }
    for new in [new_address(), with_nulls] {
        let answer = users.post(&path).json(new).user(&ada).send().status(201);
        let _ = answer.includes(json!({"address_line2": null, "state": null}));
    }
}

#[test]
fn an_address_is_replaced_entirely_and_keeps_its_id() {
    let (users, ada) = with_ada();
    let path = format!("/users/{ada}/addresses/{}", added(&users, &ada));
    let full = json!({
        "address_line1": "Main St 2", "address_line2": "Back", "city": "Bonn", "state": "NW",
        "postal_code": "53111", "country": "AT",
    });
    let mut expected = users.get(&path).user(&ada).send().json();
    for (field, value) in full.as_object().into_iter().flatten() {
        expected[field] = value.clone();
    }
    let answer = users.put(&path).json(&full).user(&ada).send().status(200).body(&expected);
    let tag = answer.header("content-location", &path).header_value("etag").unwrap_or_default();
    let _ = users.get(&path).user(&ada).send().body(&expected).header("etag", &tag);
    // What is left out goes.
    let answer = users.put(&path).json(new_address()).user(&ada).send().status(200);
    let _ = answer.includes(json!({"address_line2": null, "state": null, "city": "Ulm"}));
    users.expect_published(json!([]));
}

#[test]
fn a_deleted_address_is_gone() {
    let (users, ada) = with_ada();
    let path = format!("/users/{ada}/addresses/{}", added(&users, &ada));
    let _ = users.delete(&path).user(&ada).send().status(204).empty();
    let _ = users.get(&path).user(&ada).send().problem(404, "not-found");
    let _ = users.put(&path).json(new_address()).user(&ada).send().problem(404, "not-found");
    let _ = users.delete(&path).user(&ada).send().problem(404, "not-found");
    let list = users.get(format!("/users/{ada}/addresses")).user(&ada).send().status(200);
    let _ = list.body(json!({"items": [], "next_cursor": null}));
    users.expect_published(json!([]));
}

#[test]
fn an_invalid_field_is_named() {
    let (users, ada) = with_ada();
    let one = format!("/users/{ada}/addresses/{}", added(&users, &ada));
    let before = everything(&users);
    for (field, longest) in
        [("address_line1", 200), ("address_line2", 200), ("city", 100), ("state", 100), ("postal_code", 20)]
    {
        let too_long = "ä".repeat(longest + 1);
        for text in ["", " ", " a", "a ", "a\nb", "a\tb", &too_long] {
            let mut wrong = new_address();
            wrong[field] = text.into();
            for request in [users.post(format!("/users/{ada}/addresses")), users.put(&one)] {
                assert_eq!(wrong_fields(request.json(&wrong).user(&ada).send()), [field], "{text:?}");
            }
        }
    }
    for (field, value) in [
        ("address_line1", json!(null)),
        ("city", json!(7)),
        ("postal_code", json!(89073)),
        ("country", json!("de")),
        ("country", json!("DEU")),
        ("country", json!("UK")),
        ("country", json!("XX")),
        ("country", json!("")),
        ("country", json!(null)),
        ("is_default", json!("true")),
        ("is_default", json!(1)),
        ("user_id", json!(NOBODY)),
    ] {
        let mut wrong = new_address();
        wrong[field] = value;
        for request in [users.post(format!("/users/{ada}/addresses")), users.put(&one)] {
            assert_eq!(wrong_fields(request.json(&wrong).user(&ada).send()), [field], "{wrong}");
        }
    }
    assert_eq!(everything(&users), before);
}

#[test]
fn all_errors_are_reported_at_once() {
    let (users, ada) = with_ada();
    let wrong = json!({"address_line2": "", "city": "Ulm\n", "state": 1, "country": "de", "is_default": 1, "zip": "89073"});
    let send = |request: Request| request.json(&wrong).user(&ada).send().problem(422, "invalid");
    let added = untraced(&send(users.post(format!("/users/{ada}/addresses"))));
    insta::assert_json_snapshot!(added);
    assert_eq!(untraced(&send(users.put(format!("/users/{ada}/addresses/{NOBODY}")))), added);
}

#[test]
fn texts_at_their_limits_are_accepted() {
    let (users, ada) = with_ada();
    let (line, name) = ("ä".repeat(200), "ä".repeat(100));
    let address = json!({
        "address_line1": line, "address_line2": line, "city": name, "state": name, "postal_code": "1".repeat(20),
        "country": "ZW",
    });
    let request = users.post(format!("/users/{ada}/addresses")).json(&address).user(&ada);
    let _ = request.send().status(201).includes(&address);
}

#[test]
fn a_user_has_at_most_50_addresses() {
    let (users, ada) = with_ada();
    let ids: Vec<String> = (0..50).map(|_| added(&users, &ada)).collect();
    let before = everything(&users);
    let path = format!("/users/{ada}/addresses");
    let add = || users.post(&path).json(new_address()).user(&ada).send();
    let _ = add().problem(409, "too-many-addresses").includes(json!({"constraint": "user_address.user_id"}));
    assert_eq!(everything(&users), before);
    // One that is there may be replaced, another user may have some, and one that goes makes room.
    let _ = users.put(format!("{path}/{}", ids[49])).json(new_address()).user(&ada).send().status(200);
    added(&users, &registered(&users, "Bo"));
    let _ = users.delete(format!("{path}/{}", ids[7])).user(&ada).send().status(204);
    let _ = add().status(201);
    let _ = add().problem(409, "too-many-addresses");
}

#[test]
fn the_list_is_sorted_from_oldest_to_newest_page_by_page() {
    let (users, ada) = with_ada();
    let ids: Vec<String> = (0..5).map(|_| added(&users, &ada)).collect();
    let bo = registered(&users, "Bo");
    added(&users, &bo);
    let path = format!("/users/{ada}/addresses");
    let page = |query: &str| {
        let page = users.get(format!("{path}?limit=2{query}")).user(&ada).send().status(200).json();
        let ids: Vec<Value> =
            page["items"].as_array().into_iter().flatten().map(|address| address["id"].clone()).collect();
        (json!(ids), page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = page("");
    assert_eq!(first, json!(ids[..2]));
    // What is added or goes meanwhile moves nothing.
    let sixth = added(&users, &ada);
    let _ = users.delete(format!("{path}/{}", ids[1])).user(&ada).send().status(204);
    let (second, cursor) = page(&format!("&cursor={}", cursor.unwrap_or_default()));
    assert_eq!(second, json!(ids[2..4]));
    let cursor = cursor.unwrap_or_default();
    assert_eq!(page(&format!("&cursor={cursor}")), (json!([ids[4], sixth]), None));
    // Another user's list is another list.
    let answer = users.get(format!("/users/{bo}/addresses?cursor={cursor}")).user(&bo).send();
    assert_eq!(wrong_fields(answer), ["cursor"]);
    let answer = users.get(format!("{path}?limit=201&cursor=x")).user(&ada).send();
    assert_eq!(wrong_fields(answer), ["limit", "cursor"]);
}

#[test]
fn an_address_sent_twice_with_one_key_is_added_once() {
    let (users, ada) = with_ada();
    let add = |address: &Value| {
        let request = users.post(format!("/users/{ada}/addresses")).idempotency_key("k");
        request.json(address).user(&ada).send()
    };
    let first = add(&new_address()).status(201).replayed(false);
    let _ = add(&new_address()).status(201).replayed(true).body(first.json());
    let _ = add(&json!({"city": "Bonn"})).problem(422, "idempotency-key-reused");
    assert_eq!(users.rows("SELECT count(*) AS addresses FROM user_address"), json!([{"addresses": 1}]));
}

#[test]
fn an_idempotency_key_belongs_to_its_caller() {
    let (users, ada) = with_ada();
    let bo = registered(&users, "Bo");
    for user in [&ada, &bo] {
        let request = users.post(format!("/users/{user}/addresses")).idempotency_key("k");
        let _ = request.json(new_address()).user(user).send().status(201).replayed(false);
    }
}
