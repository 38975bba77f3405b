//! One operation of a document.

use std::collections::BTreeMap;

use bulkhead_runtime::description::{Access, Answer, Parameter, Problem, Route};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::common::{self, header, parameter, response};
use super::names::pascal_case;
use super::schemas::Schemas;

/// The names of a path's parameters, in their order.
pub(super) fn parameter_names(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// `getNotesByIdLines` is `GET /notes/{id}/lines`. Paths that differ only in punctuation get the same id.
pub(super) fn operation_id(method: &str, path: &str) -> String {
    let parts = path.split('/').map(|part| match part.strip_prefix('{') {
        Some(name) => format!("By{}", pascal_case(name)),
        None => pascal_case(part),
    });
    parts.fold(method.to_ascii_lowercase(), |id, part| id + &part)
}

/// The operation. `can_be_got` says whether its path has a GET.
pub(super) fn operation(
    id: &str,
    route: &Route,
    service: &str,
    can_be_got: bool,
    has_tokens: bool,
    schemas: &mut Schemas,
) -> Value {
    let mut operation = json!({
        "operationId": id,
        "summary": route.summary,
        "tags": [service],
        "parameters": parameters(route, service, can_be_got, schemas),
        "responses": responses(route, service, has_tokens, schemas),
    });
    let Some(members) = operation.as_object_mut() else { return operation };
    if let Some(schema) = &route.request_schema {
        let content = json!({"application/json": {"schema": schemas.place(service, schema)}});
        members.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    if has_tokens {
        let roles = match &route.access {
            Access::Public => None,
            Access::Authenticated => Some([].as_slice()),
            Access::Roles(roles) => Some(roles.as_slice()),
        };
        let security = match roles {
            None => json!([]),
            Some(roles) => json!([{common::TOKEN: roles}]),
        };
        members.insert("security".to_owned(), security);
    }
    operation
}

fn writes(route: &Route) -> bool {
    route.method != "GET"
}

fn parameters(route: &Route, service: &str, can_be_got: bool, schemas: &mut Schemas) -> Value {
    let mut described = |place: &str, given: &Parameter| {
        let mut described = json!({
            "name": given.name,
            "in": place,
            "required": given.required || place == "path",
            "schema": schemas.place(service, &given.schema),
        });
        if let (false, Some(members)) = (given.description.is_empty(), described.as_object_mut()) {
            members.insert("description".to_owned(), Value::from(given.description.as_str()));
        }
        described
    };
    let mut all: Vec<Value> = route.path_parameters.iter().map(|given| described("path", given)).collect();
    all.extend(route.query_parameters.iter().map(|given| described("query", given)));
    let own = match route.method.as_str() {
        "GET" => &["IfNoneMatch"][..],
        "POST" => &["IdempotencyKey"],
        "PUT" if can_be_got => &["IfMatch", "IfNoneMatch"],
        _ if can_be_got => &["IfMatch"],
        _ => &[],
    };
    all.extend(own.iter().chain(&["After"]).map(|name| parameter(name)));
    Value::Array(all)
}

fn responses(route: &Route, service: &str, has_tokens: bool, schemas: &mut Schemas) -> Value {
    let mut all = Map::new();
    for answer in &route.answers {
        all.insert(answer.status.to_string(), success(route, answer, service, schemas));
    }
    let has_tag = |answer: &Answer| answer.status == 200 && answer.schema.is_some();
    if !writes(route) && route.answers.iter().any(has_tag) {
        all.insert("304".to_owned(), response("NotModified"));
    }
    let mut own: BTreeMap<u16, Vec<&Problem>> = BTreeMap::new();
    for kind in &route.problems {
        own.entry(kind.status).or_default().push(kind);
    }
    let standard = standard(route, has_tokens);
    for (status, name) in &standard {
        if !own.contains_key(status) {
            all.insert(status.to_string(), response(name));
        }
    }
    for (status, kinds) in own {
        let standard = standard.iter().find(|(known, _)| *known == status).map(|(_, name)| *name);
        all.insert(status.to_string(), common::own_problems(&kinds, standard));
    }
    all.insert("5XX".to_owned(), response("Failed"));
    Value::Object(all)
}

/// The problems that the host and the SDK answer with, by status, with the names of their responses.
fn standard(route: &Route, has_tokens: bool) -> Vec<(u16, &'static str)> {
    // A body that no handler reads can be refused as well.
    let has_body = writes(route);
    let is_conditional = matches!(route.method.as_str(), "PUT" | "PATCH" | "DELETE");
    let restricted = !matches!(route.access, Access::Public);
    [
        (true, 400, "Malformed"),
        (has_tokens || restricted, 401, "Unauthenticated"),
        (restricted, 403, "Forbidden"),
        (!route.path_parameters.is_empty(), 404, "NotFound"),
        (writes(route), 409, "Conflict"),
        (is_conditional, 412, "PreconditionFailed"),
        (has_body, 413, "TooLarge"),
        (has_body, 415, "UnsupportedMediaType"),
        (true, 422, "Invalid"),
    ]
    .into_iter()
    .filter_map(|(applies, status, name)| applies.then_some((status, name)))
    .collect()
}

fn success(route: &Route, answer: &Answer, service: &str, schemas: &mut Schemas) -> Value {
    let reason = StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let mut names = vec!["Traceresponse"];
    let is_representation =
        matches!((route.method.as_str(), answer.status), ("GET" | "PUT" | "PATCH", 200) | (_, 201));
    if is_representation && answer.schema.is_some() {
        names.push("ETag");
        if matches!(route.method.as_str(), "PUT" | "PATCH") {
            names.push("Content-Location");
        }
    }
    if answer.status == 201 {
        names.push("Location");
    }
    if writes(route) {
        names.push("Bulkhead-Position");
    }
    if route.method == "POST" {
        names.push("Idempotency-Replayed");
    }
    let headers: Map<String, Value> = names.into_iter().map(|name| (name.to_owned(), header(name))).collect();
    let mut described = json!({"description": reason.unwrap_or("Done"), "headers": headers});
    if let (Some(schema), Some(members)) = (&answer.schema, described.as_object_mut()) {
        let content = json!({"application/json": {"schema": schemas.place(service, schema)}});
        members.insert("content".to_owned(), content);
    }
    described
}
