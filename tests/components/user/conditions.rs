//! `ETag`, `If-Match` and `If-None-Match`.

use bulkhead_testing::{Service, Value, json};

use super::{As as _, added, everything, new_address, prefer, registered, start};

/// A user with one of everything: the service, the user's id, and for each single thing its path, a change of it, and the method.
fn things() -> (Service, String, Vec<(String, &'static str, Value)>) {
    let users = start();
    let ada = registered(&users, "Ada");
    let address = added(&users, &ada);
    prefer(&users, &ada, "theme");
    let mut other_address = new_address();
    other_address["city"] = "Bonn".into();
    let things = vec![
        (format!("/users/{ada}"), "PATCH", json!({"first_name": "Augusta"})),
        (format!("/users/{ada}/addresses/{address}"), "PUT", other_address),
        (format!("/users/{ada}/preferences/theme"), "PUT", json!({"value": "light"})),
    ];
    (users, ada, things)
}

#[test]
fn a_representation_the_client_has_is_not_sent_again() {
    let (users, ada, things) = things();
    let lists = ["/addresses", "/preferences"].map(|list| format!("/users/{ada}{list}"));
    for path in things.iter().map(|(path, ..)| path).chain(&lists) {
        let answer = users.get(path).user(&ada).send().status(200);
        let tag = answer.header_value("etag").unwrap_or_default();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "{path}: {tag}");
        let again = |tag: &str| users.get(path).header("if-none-match", tag).user(&ada).send();
        let _ = again(&tag).status(304).header("etag", &tag).empty();
        let _ = again(&format!("\"x\", W/{tag}")).status(304).empty();
        let _ = again("\"x\"").status(200).body(answer.json());
    }
}

#[test]
fn a_change_based_on_a_stale_representation_is_refused() {
    let (users, ada, things) = things();
    for (path, method, body) in &things {
        let old = users.get(path).user(&ada).send().header_value("etag").unwrap_or_default();
        let send =
            |tag: &str| users.request(method, path).json(body).header("if-match", tag).user(&ada).send();
        let new = send(&old).status(200).header("content-location", path).header_value("etag");
        let new = new.unwrap_or_default();
        assert_ne!(old, new, "{path}");
        let _ = users.get(path).user(&ada).send().status(200).header("etag", &new);
        let (before, _) = (everything(&users), users.published());
        for stale in [old.as_str(), "\"x\"", &format!("W/{new}"), "x", ""] {
            let _ = send(stale).problem(412, "precondition-failed");
            let delete = users.delete(path).header("if-match", stale).user(&ada).send();
            let _ = delete.problem(412, "precondition-failed");
        }
        assert_eq!(everything(&users), before);
        users.expect_published(json!([]));
        let _ = send("*").status(200);
    }
    for (path, ..) in things.iter().rev() {
        let tag = users.get(path).user(&ada).send().header_value("etag").unwrap_or_default();
        let _ = users.delete(path).header("if-match", tag).user(&ada).send().status(204);
        let _ = users.get(path).admin().send().problem(404, "not-found");
    }
}

#[test]
fn a_preference_is_created_conditionally_only_if_it_does_not_exist() {
    let (users, ada, _) = things();
    let put = |key: &str, header: &str, tag: &str| {
        let request = users.put(format!("/users/{ada}/preferences/{key}")).json(json!({"value": "v"}));
        request.header(header, tag).user(&ada).send()
    };
    let _ = put("theme", "if-none-match", "*").problem(412, "precondition-failed");
    let _ = put("colour", "if-match", "*").problem(412, "precondition-failed");
    let _ = put("colour", "if-match", "\"x\"").problem(412, "precondition-failed");
    let _ = users.get(format!("/users/{ada}/preferences/colour")).user(&ada).send().status(404);
    let _ = put("colour", "if-none-match", "*").status(201);
}

#[test]
fn a_password_has_no_etag_to_match() {
    let (users, ada, _) = things();
    let body = json!({"current_password": super::PASSWORD, "new_password": "battery staple"});
    let request = users.put(format!("/users/{ada}/password")).json(body).header("if-match", "*");
    let _ = request.user(&ada).send().problem(412, "precondition-failed");
    let _ = super::login(&users, &super::email_of("Ada"), super::PASSWORD).send().status(201);
}
