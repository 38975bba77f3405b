//! Conditional requests to a whole service, which keeps its things outside any database.

use std::sync::Mutex;

use serde_json::Value;

use super::*;
use crate::wit::bulkhead::service::types::Header;
use crate::{
    Body, Created, Json, NoContent, Path, Principal, Problem, Put, Reply, Service, Text, body, reply,
};

body! {
    struct NoteInput { text: Text<1, 20> }
}

reply! {
    struct Note { text: String }
}

/// What is there. Each test has its own path.
static NOTES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

fn find(name: &str) -> Option<String> {
    let notes = NOTES.lock().expect("not poisoned");
    notes.iter().find(|(key, _)| key == name).map(|(_, text)| text.clone())
}

fn keep(name: &str, text: Option<&str>) {
    let mut notes = NOTES.lock().expect("not poisoned");
    notes.retain(|(key, _)| key != name);
    notes.extend(text.map(|text| (name.to_owned(), text.to_owned())));
}

type Name = Path<Text<1, 20>>;

fn get(Path(name): Name) -> Result<Json<Note>> {
    find(&name).map(|text| Json(Note { text })).ok_or_else(|| Problem::not_found("no such note"))
}

fn put(Path(name): Name, Body(new): Body<NoteInput>) -> Result<Put<Note>> {
    let was = find(&name);
    keep(&name, Some(&new.text));
    let note = Note { text: new.text.into_string() };
    Ok(match was {
        Some(_) => Put::Replaced(Json(note)),
        None => Put::Created(Created { location: format!("/notes/{name}"), body: note }),
    })
}

fn delete(_: Principal, Path(name): Name) -> Result<NoContent> {
    let there = find(&name).is_some();
    keep(&name, None);
    if there { Ok(NoContent) } else { Err(Problem::not_found("no such note")) }
}

fn service() -> Service {
    Service::new("Notes.")
        .get("/notes/{name}", "", get)
        .put("/notes/{name}", "", put)
        .delete("/notes/{name}", "", delete)
        .put("/notes/{name}/archive", "", |Path(_): Name| Ok(NoContent))
        .post("/notes", "", || Ok(NoContent))
        .get("/secret", "", || {
            Ok(Response::new(200).with_body("s").with_header("cache-control", "private, No-Store"))
        })
        .get("/empty", "", || Ok(Response::new(200)))
}

#[derive(Clone, Copy)]
struct Sent<'s> {
    method: &'s str,
    path: &'s str,
    headers: &'s [(&'s str, &'s str)],
    body: &'s str,
    known: bool,
}

impl Default for Sent<'_> {
    fn default() -> Self {
        Self { method: "GET", path: "/", headers: &[], body: "", known: true }
    }
}

fn send(sent: &Sent<'_>) -> Response {
    let header =
        |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: value.as_bytes().to_vec() };
    let mut headers: Vec<Header> = sent.headers.iter().map(header).collect();
    headers.push(header(&("content-type", "application/json")));
    service().handle(&Request {
        method: sent.method.to_owned(),
        path: sent.path.to_owned(),
        query: None,
        route: "/...".to_owned(),
        headers,
        body: sent.body.as_bytes().to_vec(),
        principal: sent.known.then(|| Principal {
            subject: "s".to_owned(),
            roles: Vec::new(),
            expires_at: None,
        }),
        peer: "127.0.0.1".to_owned(),
        caller: None,
        trace_id: String::new(),
    })
}

fn tag(response: &Response) -> String {
    String::from_utf8(response.find("etag").expect("a tag").to_vec()).expect("text")
}

fn tag_at(path: &str) -> String {
    tag(&send(&Sent { path, ..Sent::default() }))
}

#[test]
fn an_etag_covers_the_whole_representation_and_a_put_returns_the_etag_of_the_get() {
    let created =
        send(&Sent { method: "PUT", path: "/notes/a", body: r#"{"text": "one"}"#, ..Sent::default() });
    assert_eq!((created.status, created.find("content-location")), (201, Some(&b"/notes/a"[..])));
    let one = tag_at("/notes/a");
    assert_eq!(tag(&created), one);
    assert!(one.len() > 20 && one.starts_with('"') && one.ends_with('"'), "{one}");
    let changed =
        send(&Sent { method: "PUT", path: "/notes/a", body: r#"{"text": "two"}"#, ..Sent::default() });
    assert_eq!((changed.status, changed.find("content-location")), (200, Some(&b"/notes/a"[..])));
    assert_eq!(tag(&changed), tag_at("/notes/a"));
    assert_ne!(tag(&changed), one);
    assert_eq!(tag(&send(&Sent { method: "HEAD", path: "/notes/a", ..Sent::default() })), tag(&changed));
}

#[test]
fn a_known_representation_is_not_sent_again() {
    keep("b", Some("one"));
    let known = tag_at("/notes/b");
    for (value, status) in [
        (known.clone(), 304),
        (format!("W/{known}"), 304),
        (format!("\"x\", {known}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (known.replace('"', ""), 200),
        (String::new(), 200),
    ] {
        for method in ["GET", "HEAD"] {
            let headers = [("if-none-match", value.as_str())];
            let answer = send(&Sent { method, path: "/notes/b", headers: &headers, ..Sent::default() });
            assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{method} {value}");
            assert_eq!(tag(&answer), known);
            assert_eq!(answer.find("content-type").is_none(), status == 304);
        }
    }
}

#[test]
fn if_match_requires_the_current_etag() {
    keep("c", Some("one"));
    let stale = tag_at("/notes/c");
    keep("c", Some("two"));
    let current = tag_at("/notes/c");
    for (value, status) in [
        (stale.clone(), 412),
        (format!("W/{current}"), 412),
        (current.replace('"', ""), 412),
        (String::new(), 412),
        (format!("{current} {current}"), 412),
        (current.clone(), 200),
        ("*".to_owned(), 200),
        (format!("{stale}, ,{current}"), 200),
    ] {
        let sent = Sent { method: "PUT", path: "/notes/c", body: r#"{"text": "three"}"#, ..Sent::default() };
        let answer = send(&Sent { headers: &[("if-match", &value)], ..sent });
        assert_eq!(answer.status, status, "{value}");
        let expected = if status == 412 { "two" } else { "three" };
        assert_eq!(find("c").as_deref(), Some(expected), "{value}");
        keep("c", Some("two"));
    }
    let lines = [("if-match", stale.as_str()), ("if-match", current.as_str())];
    let answer = send(&Sent { method: "DELETE", path: "/notes/c", headers: &lines, ..Sent::default() });
    assert_eq!((answer.status, find("c")), (204, None));
}

#[test]
fn a_request_refused_for_another_reason_is_refused_as_without_the_condition() {
    keep("d", Some("one"));
    let stale = [("if-match", "\"stale\"")];
    let put = Sent { method: "PUT", path: "/notes/d", headers: &stale, ..Sent::default() };
    for (sent, status) in [
        (Sent { body: "{}", ..put }, 422),
        (Sent { body: "{", ..put }, 400),
        (Sent { method: "DELETE", known: false, ..put }, 401),
        (Sent { method: "DELETE", path: "/notes/nothing", ..put }, 404),
        (Sent { method: "PATCH", ..put }, 405),
        (Sent { method: "GET", path: "/notes/nothing", ..put }, 404),
        (Sent { method: "GET", ..put }, 412),
        (Sent { method: "DELETE", ..put }, 412),
    ] {
        assert_eq!(send(&sent).status, status, "{} {}", sent.method, sent.path);
    }
    assert_eq!(find("d").as_deref(), Some("one"));
}

#[test]
fn if_match_never_creates_and_if_none_match_star_never_replaces() {
    let put = Sent { method: "PUT", path: "/notes/e", body: r#"{"text": "one"}"#, ..Sent::default() };
    // The unit of work ends with the answer. Here there is none, so only the status shows the result.
    for value in ["*", "\"x\""] {
        assert_eq!(send(&Sent { headers: &[("if-match", value)], ..put }).status, 412);
        keep("e", None);
    }
    assert_eq!(send(&Sent { headers: &[("if-none-match", "*")], ..put }).status, 201);
    assert_eq!(send(&Sent { headers: &[("if-none-match", "*")], ..put }).status, 412);
    let current = tag_at("/notes/e");
    assert_eq!(send(&Sent { headers: &[("if-none-match", &current)], ..put }).status, 412);
    assert_eq!(send(&Sent { headers: &[("if-none-match", "\"x\"")], ..put }).status, 200);
    for malformed in ["*, \"a\"", "x", ""] {
        assert_eq!(send(&Sent { headers: &[("if-none-match", malformed)], ..put }).status, 412);
    }
}

#[test]
fn if_match_fails_on_a_resource_without_get_and_is_ignored_on_a_post() {
    let archive = Sent { method: "PUT", path: "/notes/f/archive", ..Sent::default() };
    assert_eq!(send(&archive).status, 204);
    for value in ["*", "\"x\""] {
        let answer = send(&Sent { headers: &[("if-match", value)], ..archive });
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((answer.status, &problem["code"]), (412, &Value::from("precondition-failed")));
        let post =
            Sent { method: "POST", path: "/notes", headers: &[("if-match", value)], ..Sent::default() };
        assert_eq!(send(&post).status, 204);
    }
    assert_eq!(send(&Sent { headers: &[("if-none-match", "*")], ..archive }).status, 204);
}

#[test]
fn no_store_and_empty_responses_have_no_etag() {
    for path in ["/secret", "/empty", "/nothing"] {
        assert_eq!(send(&Sent { path, ..Sent::default() }).find("etag"), None, "{path}");
    }
}

#[test]
fn etags_are_parsed_as_the_standard_defines() {
    let request = |value: &str| {
        let header = Header { name: IF_MATCH.to_owned(), value: value.as_bytes().to_vec() };
        Request { headers: vec![header], ..empty() }
    };
    for (value, count) in [
        ("\"\"", Some(1)),
        ("\"a\"", Some(1)),
        (" \"a\" , W/\"b\",, \"c,d\"", Some(3)),
        ("\"\u{e4}!\\\"", Some(1)),
        ("a", None),
        ("\"a", None),
        ("\"a b\"", None),
        ("\"a\" \"b\"", None),
        ("w/\"a\"", None),
        ("W/a", None),
        ("*, \"a\"", None),
        (",", None),
    ] {
        let request = request(value);
        let found = match Condition::read(&request, IF_MATCH) {
            Some(Condition::Tags(tags)) => Some(tags.len()),
            _ => None,
        };
        assert_eq!(found, count, "{value:?}");
    }
    assert_eq!(Condition::read(&request(" * "), IF_MATCH), Some(Condition::Any));
    assert_eq!(Condition::read(&empty(), IF_MATCH), None);
}

fn empty() -> Request {
    Request {
        method: String::new(),
        path: String::new(),
        query: None,
        route: String::new(),
        headers: Vec::new(),
        body: Vec::new(),
        principal: None,
        peer: String::new(),
        caller: None,
        trace_id: String::new(),
    }
}

#[test]
fn a_put_describes_both_of_its_statuses() {
    let statuses: Vec<u16> = Put::<Note>::describe().iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 201]);
}
