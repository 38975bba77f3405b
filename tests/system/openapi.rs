//! The OpenAPI documents, the page that shows them, and what every path of theirs has: OPTIONS, and HEAD beside GET.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_tests::{Client, Site, host};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

/// The methods by path, as the components describe them.
fn described(site: &Site) -> BTreeMap<String, BTreeSet<String>> {
    let made = host::run(&["describe", "--json", "--manifest", site.manifest().to_str().unwrap()]);
    let all: BTreeMap<String, Value> = serde_json::from_str(&made.stdout).unwrap();
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in all.values().flat_map(|service| service["routes"].as_array().unwrap()) {
        let path = route["path"].as_str().unwrap().to_owned();
        methods.entry(path).or_default().insert(route["method"].as_str().unwrap().to_owned());
    }
    methods
}

fn operations(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |path: &Value| path.as_object().unwrap().keys().map(|key| key.to_uppercase()).collect();
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

#[test]
fn the_document_has_every_operation_that_the_components_describe() {
    let site = Site::shop();
    let host = site.start();
    let document = host.client().get("/openapi.json").expect(200);
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(operations(&document), described(&site));
    let printed = host::run(&["openapi", "--manifest", site.manifest().to_str().unwrap()]);
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), document);
}

#[test]
fn each_service_has_its_own_document_and_together_they_form_the_whole() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.client();
    let whole = client.get("/openapi.json").expect(200);
    let listed = client.get("/docs/documents.json").expect(200);
    let paths: Vec<&str> =
        listed["documents"].as_array().unwrap().iter().map(|entry| entry["url"].as_str().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "/openapi.json",
            "/openapi/order.json",
            "/openapi/product.json",
            "/openapi/report.json",
            "/openapi/user.json"
        ]
    );
    let mut parts = BTreeMap::new();
    for path in &paths[1..] {
        parts.extend(operations(&client.get(path).expect(200)));
    }
    assert_eq!(parts, operations(&whole));
    let printed = host::run(&["openapi", "user", "--manifest", site.manifest().to_str().unwrap()]);
    let user = client.get("/openapi/user.json").expect(200);
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), user);
    let unknown = host::run(&["openapi", "nobody", "--manifest", site.manifest().to_str().unwrap()]);
    unknown.says(1, &["find nobody", "order, product, report, user"]);
}

#[test]
fn every_reference_and_link_of_the_document_resolves() {
    let host = Site::shop().start();
    let document = host.client().get("/openapi.json").expect(200);
    let ids: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let (mut references, mut links) = (0, 0);
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    references += 1;
                    assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
                }
                if let Some(Value::Object(found)) = members.get("links") {
                    links += found.len();
                    assert!(found.keys().all(|id| ids.contains(id.as_str())), "{found:?}");
                }
                left.extend(members.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    assert!(references > 200 && links > 30, "{references} references, {links} links");
}

/// Programs are made from these documents: what their generators and package managers take is narrower than what OpenAPI allows.
#[test]
fn clients_can_be_generated_from_the_document() {
    let host = Site::shop().start();
    let document = host.client().get("/openapi.json").expect(200);
    assert_eq!(document["info"]["version"], "1.0.0");
    assert_eq!(document["info"]["x-bulkhead-document"].as_str().unwrap().len(), 12);
    let schemas: Vec<&str> =
        document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
    assert!(schemas.len() > 50, "{schemas:?}");
    // A component's author names its types so that the host need not put the service's name before them.
    for service in ["Order", "Product", "Report", "User"] {
        let renamed: Vec<&&str> = schemas
            .iter()
            .filter(|name| name.strip_prefix(service).is_some_and(|rest| schemas.contains(&rest)))
            .collect();
        assert!(renamed.is_empty(), "{renamed:?}");
    }
    for name in &schemas {
        for before in ["New", "Nullable"] {
            assert!(
                !schemas.contains(&format!("{before}{name}").as_str()),
                "{before}{name} is beside {name}"
            );
        }
    }
    // Without a format most generators take 32 bits. A parameter of a query is never null.
    let mut left = vec![&document["paths"], &document["components"]];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                if let Some("query" | "path") = members.get("in").and_then(Value::as_str) {
                    assert!(!members["schema"].to_string().contains("null"), "{value}");
                }
                if members.get("type").is_some_and(|kind| kind.to_string().contains("integer")) {
                    assert!(members.contains_key("format"), "{value}");
                }
                left.extend(members.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
}

#[test]
fn each_document_is_also_available_in_openapi_3_0() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.client();
    let manifest = site.manifest();
    for (path, path_3_0, service) in [
        ("/openapi.json", "/openapi-3.0.json", None),
        ("/openapi/user.json", "/openapi/3.0/user.json", Some("user")),
    ] {
        let newer = client.get(path).expect(200);
        let older = client.get(path_3_0).expect(200);
        assert_eq!(older["openapi"], "3.0.3");
        for same in ["/info", "/tags", "/components/securitySchemes"] {
            assert_eq!(older.pointer(same), newer.pointer(same), "{same}");
        }
        assert_eq!(operations(&older), operations(&newer));
        assert_eq!(names(&older), names(&newer));
        has_no_word_of_3_1(&older);
        let mut arguments = vec!["openapi", "--version", "3.0", "--manifest", manifest.to_str().unwrap()];
        arguments.extend(service);
        assert_eq!(serde_json::from_str::<Value>(&host::run(&arguments).stdout).unwrap(), older);
    }
    host::run(&["openapi", "--version", "2.0"]).says(2, &["3.0", "3.1"]);
}

/// The names of the schemas.
fn names(document: &Value) -> Vec<&String> {
    document["components"]["schemas"].as_object().unwrap().keys().collect()
}

fn has_no_word_of_3_1(document: &Value) {
    let mut schemas: Vec<&Value> = document["components"]["schemas"].as_object().unwrap().values().collect();
    let mut left =
        vec![&document["paths"], &document["components"]["parameters"], &document["components"]["responses"]];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                schemas.extend(members.get("schema").filter(|schema| schema.is_object()));
                left.extend(members.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    let mut seen = 0;
    while let Some(schema) = schemas.pop() {
        let members = schema.as_object().unwrap();
        seen += 1;
        for word in
            ["const", "examples", "patternProperties", "propertyNames", "prefixItems", "contentEncoding"]
        {
            assert!(!members.contains_key(word), "{schema}");
        }
        assert!(members.get("type").is_none_or(|kind| kind.is_string() && kind != "null"), "{schema}");
        assert!(members.len() == 1 || !members.contains_key("$ref"), "{schema}");
        schemas.extend(
            members.get("properties").and_then(Value::as_object).into_iter().flat_map(|all| all.values()),
        );
        schemas.extend(["items", "not"].iter().filter_map(|word| members.get(*word)));
        let choices = ["allOf", "anyOf", "oneOf"].iter().filter_map(|word| members.get(*word)?.as_array());
        schemas.extend(choices.flatten());
    }
    assert!(seen > 100, "{seen}");
}

/// A path of the shop for each path of the document: with ids that nothing has.
fn filled(path: &str) -> String {
    let id = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";
    let part = |part: &str| if part.starts_with('{') { id.to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn every_path_lists_its_methods_in_options_and_refuses_others_accordingly() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.client();
    for (path, mut methods) in described(&site) {
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        methods.insert("OPTIONS".to_owned());
        let allowed = methods.iter().cloned().collect::<Vec<_>>().join(", ");
        let answer = client.send(Method::OPTIONS, &filled(&path), &[], Bytes::new());
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allowed.as_str())), "{path}");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if !methods.contains(method) {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let answer = client.send(method, &filled(&path), &[], Bytes::new());
                answer.problem(405, "method-not-allowed");
                assert_eq!(answer.header("allow"), Some(allowed.as_str()), "{path}");
            }
        }
    }
    let answer = client.send(Method::OPTIONS, "*", &[], Bytes::new());
    assert_eq!((answer.status, answer.header("allow").is_some()), (204, true), "{answer}");
}

#[test]
fn head_is_get_without_its_body_on_every_path() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    for (path, methods) in described(&site) {
        if methods.contains("GET") {
            let [get, head] = [Method::GET, Method::HEAD]
                .map(|method| admin.send(method, &filled(&path), &[], Bytes::new()));
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            for header in ["content-type", "content-length", "etag", "cache-control"] {
                assert_eq!(head.header(header), get.header(header), "{path} {header}");
            }
        }
    }
}

#[track_caller]
fn page(client: &mut Client, path: &str, kind: &str) -> String {
    let answer = client.get(path);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let tag = answer.header("etag").unwrap().to_owned();
    let known = client.send(Method::GET, path, &[("if-none-match", &tag)], Bytes::new());
    assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[test]
fn api_viewer_page_and_all_its_resources_are_served_by_the_host() {
    let host = Site::shop().start();
    let mut client = host.client();
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let html = page(&mut client, "/docs", "text/html; charset=utf-8");
    assert_eq!(page(&mut client, "/docs/", "text/html; charset=utf-8"), html);
    let policy = client.get("/docs").header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let loaded: Vec<&str> = html
        .split('"')
        .skip_while(|text| !text.ends_with("href="))
        .filter(|text| text.starts_with("/docs/"))
        .collect();
    assert_eq!(loaded.len(), 4, "{loaded:?}");
    for path in loaded {
        let kind = if path.ends_with(".css") { "text/css; charset=utf-8" } else { SCRIPT };
        assert!(!page(&mut client, path, kind).is_empty(), "{path}");
    }
    assert!(!html.contains("//"), "the page loads something from elsewhere: {html}");
    for method in [Method::POST, Method::DELETE] {
        let answer = client.send(method, "/openapi.json", &[], Bytes::new());
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
    }
    let answer = client.send(Method::OPTIONS, "/docs", &[], Bytes::new());
    assert_eq!((answer.status, answer.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    client.get("/docs/nothing").problem(404, "not-found");
    client.get("/openapi/nobody.json").problem(404, "not-found");
}
