use bulkhead_runtime::Description;
use bulkhead_runtime::description::{Access, Answer, Parameter, Problem};

use super::*;

fn parameter(name: &str, schema: &str) -> Parameter {
    Parameter { name: name.to_owned(), required: true, schema: schema.to_owned(), description: String::new() }
}

fn route(method: &str, path: &str) -> Route {
    let names = operation::parameter_names(path).into_iter();
    Route {
        method: method.to_owned(),
        path: path.to_owned(),
        summary: "Does it.".to_owned(),
        path_parameters: names.map(|name| parameter(name, r#"{"type": "string"}"#)).collect(),
        query_parameters: Vec::new(),
        request_schema: None,
        answers: vec![Answer { status: 204, schema: None }],
        problems: Vec::new(),
        access: Access::Public,
        computes: false,
        repeatable: false,
    }
}

fn description(routes: Vec<Route>) -> Description {
    Description { summary: "Notes.".to_owned(), routes, subscribes: Vec::new(), publishes: Vec::new() }
}

fn service<'a>(name: &'a str, routes: &'a [Route]) -> Described<'a> {
    Described { name, summary: "Notes.", operations: routes.iter().collect() }
}

static VERSION: semver::Version = semver::Version::new(1, 2, 3);

fn about(has_tokens: bool) -> About<'static> {
    About { title: "test", version: &VERSION, has_tokens }
}

fn of(routes: Vec<Route>) -> Value {
    document(about(true), &[service("notes", &routes)])
}

const NOTE: &str = r#"{"type": "object", "title": "Note", "properties": {"id": {"type": "string"}}}"#;

#[test]
fn document_without_tokens_does_not_mention_them() {
    let document = document(about(false), &[service("notes", &[route("GET", "/notes/{id}")])]);
    assert_eq!(document["paths"]["/notes/{id}"]["get"]["operationId"], "getNotesById");
    assert_eq!(document["components"].get("securitySchemes"), None);
    assert_eq!(document["paths"]["/notes/{id}"]["get"].get("security"), None);
}

#[test]
fn named_type_appears_once_and_a_name_clash_is_prefixed_with_the_service() {
    let answers = |schema: &str| vec![Answer { status: 200, schema: Some(schema.to_owned()) }];
    let other = r#"{"type": "string", "title": "Note", "enum": ["a"]}"#;
    let list = format!(r#"{{"type": "array", "items": {NOTE}}}"#);
    let one = [
        Route { answers: answers(NOTE), ..route("GET", "/one") },
        Route { answers: answers(&list), ..route("GET", "/one/all") },
    ];
    let problem = r#"{"type": "object", "title": "Problem", "properties": {}}"#;
    let two = [
        Route { answers: answers(other), ..route("GET", "/two") },
        Route { answers: answers(problem), ..route("GET", "/three") },
    ];
    let document = document(about(true), &[service("one", &one), service("note-book", &two)]);
    let schema = |path: &str| {
        document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone()
    };
    assert_eq!(schema("/one"), json!({"$ref": "#/components/schemas/Note"}));
    assert_eq!(schema("/one/all"), json!({"type": "array", "items": {"$ref": "#/components/schemas/Note"}}));
    assert_eq!(schema("/two"), json!({"$ref": "#/components/schemas/NoteBookNote"}));
    assert_eq!(schema("/three"), json!({"$ref": "#/components/schemas/NoteBookProblem"}));
    assert_eq!(document["components"]["schemas"]["NoteBookNote"], json!({"type": "string", "enum": ["a"]}));
}

#[test]
fn reference_keeps_its_sibling_keywords_and_data_is_unchanged() {
    let body = format!(
        r#"{{"type": "object", "title": "Body", "properties": {{
            "note": {{"allOf": [{NOTE}], "description": "The note."}},
            "title": {{"type": "string", "default": {{"type": "x", "title": "y"}}}}
        }}}}"#
    );
    let document = of(vec![Route { request_schema: Some(body), ..route("POST", "/notes") }]);
    let properties = &document["components"]["schemas"]["Body"]["properties"];
    assert_eq!(properties["note"], json!({"$ref": "#/components/schemas/Note", "description": "The note."}));
    assert_eq!(properties["title"]["default"], json!({"type": "x", "title": "y"}));
}

#[test]
fn host_behaviour_common_to_all_operations_is_documented_on_each() {
    let statuses = |document: &Value, path: &str, method: &str| -> Vec<String> {
        document["paths"][path][method]["responses"].as_object().unwrap().keys().cloned().collect()
    };
    let answers = vec![Answer { status: 200, schema: Some(NOTE.to_owned()) }];
    let document = of(vec![
        Route { answers, ..route("GET", "/notes/{id}") },
        Route {
            request_schema: Some(NOTE.to_owned()),
            access: Access::Roles(vec!["admin".to_owned()]),
            ..route("POST", "/notes")
        },
    ]);
    let get = statuses(&document, "/notes/{id}", "get");
    assert_eq!(get, ["200", "304", "400", "401", "404", "422", "5XX"]);
    let post = statuses(&document, "/notes", "post");
    assert_eq!(post, ["204", "400", "401", "403", "409", "413", "415", "422", "5XX"]);
    assert_eq!(document["paths"]["/notes"]["post"]["security"], json!([{"bearer": ["admin"]}]));
    assert_eq!(document["paths"]["/notes/{id}"]["get"]["security"], json!([]));
    let parameters = document["paths"]["/notes"]["post"]["parameters"].to_string();
    assert!(parameters.contains("IdempotencyKey") && parameters.contains("After"), "{parameters}");
}

#[test]
fn every_reference_resolves() {
    let answers = vec![Answer { status: 201, schema: Some(NOTE.to_owned()) }];
    let problems =
        vec![Problem { status: 409, code: "taken".to_owned(), description: "It is taken.".to_owned() }];
    let document =
        of(vec![Route { answers, problems, ..route("POST", "/notes") }, route("GET", "/notes/{id}")]);
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[test]
fn problems_of_a_component_are_listed_by_status_with_their_codes() {
    let problem =
        |status, code: &str| Problem { status, code: code.to_owned(), description: format!("It is {code}.") };
    let problems = vec![problem(409, "taken"), problem(429, "too-many"), problem(409, "sold")];
    let document = of(vec![Route { problems, ..route("POST", "/notes") }]);
    let responses = &document["paths"]["/notes"]["post"]["responses"];
    let conflict = responses["409"]["description"].as_str().unwrap();
    for part in ["`taken`: It is taken.", "`sold`", "any other code"] {
        assert!(conflict.contains(part), "{conflict}");
    }
    let many = &responses["429"];
    assert_eq!(many["headers"]["Retry-After"], json!({"$ref": "#/components/headers/Retry-After"}));
    let schema = &many["content"]["application/problem+json"]["schema"];
    assert_eq!(schema["allOf"][1]["properties"]["code"]["enum"], json!(["too-many"]));
}

#[test]
fn answer_with_an_id_links_to_operations_that_accept_it() {
    let note = || Some(NOTE.to_owned());
    let page =
        format!(r#"{{"type": "object", "properties": {{"items": {{"type": "array", "items": {NOTE}}}}}}}"#);
    let document = of(vec![
        Route {
            answers: vec![Answer { status: 200, schema: Some(page) }],
            ..route("GET", "/books/{id}/notes")
        },
        Route { answers: vec![Answer { status: 201, schema: note() }], ..route("POST", "/books/{id}/notes") },
        route("DELETE", "/books/{id}/notes/{note_id}"),
        route("GET", "/books/{id}/notes/{note_id}/lines"),
        route("GET", "/books/{id}/notes/{note_id}/lines/{line}"),
        route("GET", "/books/{id}/notesheets"),
    ]);
    let links = |method: &str, status: &str| {
        document["paths"]["/books/{id}/notes"][method]["responses"][status]["links"].clone()
    };
    let created = links("post", "201");
    let targets: Vec<&String> = created.as_object().unwrap().keys().collect();
    assert_eq!(targets, ["deleteBooksByIdNotesByNoteId", "getBooksByIdNotesByNoteIdLines"]);
    assert_eq!(
        created["deleteBooksByIdNotesByNoteId"]["parameters"],
        json!({"id": "$request.path.id", "note_id": "$response.body#/id"})
    );
    assert_eq!(
        links("get", "200")["deleteBooksByIdNotesByNoteId"]["parameters"]["note_id"],
        "$response.body#/items/0/id"
    );
}

#[test]
fn the_digest_changes_exactly_when_the_interface_does() {
    let digest = |routes| of(routes)["info"][DIGEST].as_str().unwrap().to_owned();
    let one = digest(vec![route("GET", "/notes")]);
    assert_eq!(one.len(), DIGEST_DIGITS);
    assert_eq!(one, digest(vec![route("GET", "/notes")]));
    assert_ne!(one, digest(vec![route("GET", "/note")]));
    let version = semver::Version::new(2, 0, 0);
    let routes = [route("GET", "/notes")];
    let next = document(About { version: &version, ..about(true) }, &[service("notes", &routes)]);
    assert_eq!((&next["info"]["version"], &next["info"][DIGEST]), (&json!("2.0.0"), &json!(one)));
}

/// Package managers accept nothing else, and generators give a package the version of its document.
#[test]
fn the_version_is_the_semantic_version_of_the_manifest() {
    let document = of(vec![route("GET", "/notes")]);
    assert_eq!(document["info"]["version"], "1.2.3");
    assert_eq!(to_3_0(document.clone())["info"], document["info"]);
}

/// The names of the schemas in a document of services that answer with types of these names. Each list is one service.
fn names_of(services: &[(&str, &[&str])]) -> Vec<String> {
    let routes: Vec<Vec<Route>> = services
        .iter()
        .map(|(service, titles)| {
            let answer = |title: &&str| {
                let schema =
                    json!({"title": title, "properties": {"in": {"const": title}, "of": {"const": service}}});
                let answers = vec![Answer { status: 200, schema: Some(schema.to_string()) }];
                Route { answers, ..route("GET", &format!("/{service}/{title}")) }
            };
            titles.iter().map(answer).collect()
        })
        .collect();
    let described: Vec<Described<'_>> =
        services.iter().zip(&routes).map(|((name, _), routes)| service(name, routes)).collect();
    let document = document(about(true), &described);
    document["components"]["schemas"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn schema_names_that_a_generator_would_merge_are_made_distinct() {
    for (services, expected) in [
        (&[("shop", &["Note", "NewNote", "NoteInput"][..])][..], &["Note", "NoteInput", "ShopNewNote"][..]),
        (&[("shop", &["NewNote", "Note"])], &["NewNote", "ShopNote"]),
        (&[("a", &["Note"]), ("b", &["NewNote"])], &["BNewNote", "Note"]),
        (&[("shop", &["Note", "NullableNote"])], &["Note", "ShopNullableNote"]),
        (&[("shop", &["Note", "NoteToJSON"])], &["Note", "ShopNoteToJSON"]),
        (&[("shop", &["NoteItem", "note_item"])], &["NoteItem", "Shopnote_item"]),
        (&[("shop", &["Noteitem", "NoteItem"])], &["Noteitem", "ShopNoteItem"]),
        // Names that generated clients and their languages have.
        (&[("shop", &["Error", "Object", "APIClient"])], &["ShopAPIClient", "ShopError", "ShopObject"]),
        (&[("shop", &["NewConfiguration", "NullableInt64"])], &["ShopNewConfiguration", "ShopNullableInt64"]),
        // The classes of a tag and of an operation, which is `getShopShopApi` here.
        (&[("shop", &["ShopApi"])], &["ShopShopApi"]),
        (&[("shop", &["GetShopNoteRequest", "Note"])], &["Note", "ShopGetShopNoteRequest"]),
        // Nothing else is renamed.
        (&[("shop", &["News", "S", "Renew", "NewNote"])], &["NewNote", "News", "Renew", "S"]),
    ] {
        let mut expected: Vec<&str> = expected.iter().copied().chain(["Problem"]).collect();
        expected.sort_unstable();
        assert_eq!(names_of(services), expected, "{services:?}");
    }
}

#[test]
fn no_two_operation_ids_differ_only_in_case() {
    let document = of(vec![route("GET", "/notes/{a}"), route("GET", "/Notes/{a}")]);
    let ids = ["/notes/{a}", "/Notes/{a}"].map(|path| document["paths"][path]["get"]["operationId"].clone());
    assert_eq!(ids, ["getNotesByA", "getNotesByA2"]);
}

#[test]
fn preconditions_are_parameters_only_if_the_path_has_a_get() {
    let document =
        of(vec![route("GET", "/notes/{id}"), route("PUT", "/notes/{id}"), route("PUT", "/notes/{id}/lock")]);
    let parameters = |path: &str, method: &str| document["paths"][path][method]["parameters"].to_string();
    let put = parameters("/notes/{id}", "put");
    assert!(put.contains("/IfMatch") && put.contains("/IfNoneMatch"), "{put}");
    assert!(!parameters("/notes/{id}", "get").contains("/IfMatch"));
    assert!(!parameters("/notes/{id}/lock", "put").contains("/If"));
}

#[test]
fn paths_that_differ_only_in_punctuation_get_distinct_operation_ids_also_in_links() {
    let answers = vec![Answer { status: 201, schema: Some(NOTE.to_owned()) }];
    let document = of(vec![
        route("GET", "/notes/by-id"),
        Route { answers, ..route("POST", "/notes") },
        route("GET", "/notes/{id}"),
        route("HEAD", "/notes/{id}"),
    ]);
    let id = |path: &str| document["paths"][path]["get"]["operationId"].clone();
    assert_eq!((id("/notes/by-id"), id("/notes/{id}")), ("getNotesById".into(), "getNotesById2".into()));
    let links = document["paths"]["/notes"]["post"]["responses"]["201"]["links"].as_object().unwrap();
    assert_eq!(links.keys().collect::<Vec<_>>(), ["getNotesById2"]);
    assert_eq!(document["paths"]["/notes/{id}"].get("head"), None);
}

#[test]
fn interface_that_cannot_be_documented_is_refused_with_a_remedy() {
    let answer = |status, schema: &str| Answer { status, schema: Some(schema.to_owned()) };
    let with = |answers| Route { answers, ..route("GET", "/notes") };
    let problem = Problem { status: 200, code: "fine".to_owned(), description: String::new() };
    let twice = vec![parameter("q", "{}"), parameter("q", "{}")];
    for (routes, part) in [
        (vec![with(vec![answer(200, "[1]")])], "not JSON Schema"),
        (
            vec![with(vec![answer(200, r##"{"items": {"$ref": "#/$defs/Item"}}"##)])],
            "write out what it refers to",
        ),
        (vec![with(vec![answer(200, "{}"), answer(200, "{}")])], "each its own"),
        (vec![with(vec![answer(1000, "{}")])], "from 200 to 399"),
        (vec![Route { problems: vec![problem], ..route("GET", "/notes") }], "from 400 to 599"),
        (vec![Route { request_schema: Some("{".to_owned()), ..route("PUT", "/notes") }], "not JSON Schema"),
        (vec![Route { query_parameters: twice, ..route("GET", "/notes") }], "one name"),
        (vec![route("BREW", "/notes")], "use one of GET, HEAD, POST"),
        (vec![route("GET", "/notes"), route("GET", "/notes")], "describe it once"),
        (vec![route("GET", "/notes/{id}"), route("PUT", "/notes/{name}")], "call their parameters the same"),
        (vec![Route { path_parameters: Vec::new(), ..route("GET", "/notes/{id}") }], "in their order"),
        (vec![route("GET", "/notes/{id}.json")], "a whole part in braces"),
        (vec![route("GET", "notes")], "begin it with /"),
        (vec![route("GET", "/notes?x")], "which is no path"),
        (vec![route("GET", "/notes/{id}/{id}")], "one name"),
    ] {
        let found = mistakes(&description(routes));
        assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
    }
    let good = vec![route("GET", "/notes/{id}"), route("HEAD", "/notes/{id}"), route("GET", "/notes/by-id")];
    assert!(mistakes(&description(good)).is_empty());
}
