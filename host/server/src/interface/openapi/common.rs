//! The common parts of all documents: what the host and the SDK add to each operation.

use std::collections::BTreeMap;

use bulkhead_runtime::description::Problem;
use bulkhead_types::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use serde_json::{Value, json};

/// The name of the security scheme.
pub(super) const TOKEN: &str = "bearer";

/// For a reader who starts at the top of a document.
pub(super) const DESCRIPTION: &str = "\
Bodies are JSON; fields and query parameters that are not described here are refused.\n\
\n\
- **Errors** are problem documents (RFC 9457). `code` is stable and for programs, `detail` is for people, `trace_id` is what the log has \
the request under. [All codes](/.well-known/bulkhead/problems) are on one page.\n\
- **Versions**: what a GET gives has an `ETag`. Send it as `If-None-Match` to get the body only if it has changed, and as `If-Match` to \
change or delete only what you know.\n\
- **Again without harm**: a POST with an `Idempotency-Key` has its effects once, however often it is sent.\n\
- **Reading your writes**: an answer to a write has a `Bulkhead-Position`. Sent as `Bulkhead-After`, also to another service, it has \
the request wait until that service knows of the write.\n\
- **Compression**: answers that gain by it are sent with gzip to whoever accepts it.\n\
- Every path has OPTIONS, and every GET a HEAD.\n";

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

pub(super) fn parameter(name: &str) -> Value {
    reference("parameters", name)
}

pub(super) fn header(name: &str) -> Value {
    reference("headers", name)
}

pub(super) fn response(name: &str) -> Value {
    reference("responses", name)
}

/// The responses of the host and the SDK: the name, what happened, and the header that comes with it.
const RESPONSES: [(&str, &str, Option<&str>); 10] = [
    ("Malformed", "The body is no JSON, or a header of the request is malformed.", None),
    (
        "Unauthenticated",
        "There is no token, and the operation wants one; or the token is not good.",
        Some("WWW-Authenticate"),
    ),
    ("Forbidden", "The caller may not do this.", None),
    ("NotFound", "There is no such thing, or it is not for the one who asks.", None),
    ("Conflict", "A constraint of the data refused the change.", None),
    ("PreconditionFailed", "It is not what `If-Match` names, or is there in spite of `If-None-Match`.", None),
    ("TooLarge", "The body has more bytes than the service takes.", None),
    ("UnsupportedMediaType", "The body is not `application/json`.", Some("Accept")),
    ("Invalid", "Something in the body or the query can't be: `errors` lists all of it.", None),
    (
        "Failed",
        "- 500: the service failed, and nothing that it wrote was kept.\n\
         - 503: there is no room at present, or the change could not be committed. Nothing was done: try again after the seconds of \
         `Retry-After`. Or, with the code `outcome-unknown` and no `Retry-After`: nobody can say whether the change was made.\n\
         - 504: the deadline passed, and nothing was done.\n\
         - 507: the service's database is full, and nothing was written.\n",
        None,
    ),
];

/// An answer with a problem document of one of these codes, or of any code if the list is empty.
fn problem_response(description: &str, codes: &[&str], headers: &[&str]) -> Value {
    let schema = match codes {
        [] => reference("schemas", "Problem"),
        codes => json!({
            "allOf": [reference("schemas", "Problem"), {"properties": {"code": {"enum": codes}}}],
        }),
    };
    let headers: BTreeMap<&str, Value> = headers.iter().map(|name| (*name, header(name))).collect();
    let mut answer = json!({
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    });
    if let (false, Some(members)) = (headers.is_empty(), answer.as_object_mut()) {
        members.insert("headers".to_owned(), json!(headers));
    }
    answer
}

/// An answer with one of a service's own problems of the same status, and with the standard problems of that status.
pub(super) fn own_problems(kinds: &[&Problem], standard: Option<&str>) -> Value {
    let mut description = String::new();
    for kind in kinds {
        description.push_str(&format!("- `{}`: {}\n", kind.code, kind.description));
    }
    let any = standard.and_then(|name| RESPONSES.iter().find(|(known, ..)| *known == name));
    let mut codes: Vec<&str> = kinds.iter().map(|kind| kind.code.as_str()).collect();
    let mut headers = Vec::new();
    if let Some((_, meaning, header)) = any {
        description.push_str(&format!("- any other code: {meaning}\n"));
        headers.extend(*header);
        codes.clear();
    }
    if kinds.iter().any(|kind| matches!(kind.status, 429 | 503)) && !headers.contains(&"Retry-After") {
        headers.push("Retry-After");
    }
    problem_response(&description, &codes, &headers)
}

pub(super) fn components(has_tokens: bool, schemas: BTreeMap<String, Value>) -> Value {
    let mut responses: BTreeMap<&str, Value> = RESPONSES
        .iter()
        .map(|(name, meaning, header)| {
            let headers: Vec<&str> = header.iter().copied().collect();
            (*name, problem_response(meaning, &[], &headers))
        })
        .collect();
    responses.insert(
        "NotModified",
        json!({
            "description": "It is what `If-None-Match` names: there is no body.",
            "headers": {"ETag": header("ETag"), "Traceresponse": header("Traceresponse")},
        }),
    );
    let mut components = json!({
        "schemas": schemas,
        "responses": responses,
        "parameters": parameters(),
        "headers": headers(),
    });
    if let (true, Some(members)) = (has_tokens, components.as_object_mut()) {
        members.insert(
            "securitySchemes".to_owned(),
            json!({TOKEN: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}),
        );
    }
    components
}

/// The schema of problem documents.
pub(super) fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457). A kind of problem may have members of its own beside these.",
        "required": ["type", "title", "status", "detail", "code", "trace_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Where the code is described."},
            "title": {"type": "string"},
            "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "This case, and what to do; for people."},
            "code": {"type": "string", "description": "Stable; for programs."},
            "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "constraint": {"type": "string", "description": "Of 409: what refused the change."},
            "errors": {
                "type": "array",
                "description": "Of 422: all that is wrong.",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {
                        "field": {"type": "string", "description": "Such as `items[0].quantity`; empty for the body as a whole."},
                        "message": {"type": "string"},
                    },
                },
            },
        },
    })
}

fn parameters() -> Value {
    let given = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    json!({
        "After": given(
            "Bulkhead-After",
            "What a header `Bulkhead-Position` gave; several with commas between. The request waits until the service knows of all of them.",
            json!({"type": "string"}),
        ),
        "IdempotencyKey": given(
            "Idempotency-Key",
            "The same key with the same body gives the first answer again, for 24 hours.",
            json!({"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_BYTES_MAX, "pattern": "^[!-~]+$"}),
        ),
        "IfMatch": given(
            "If-Match",
            "An `ETag`, or several, or `*`. If what is there is none of them: 412, and nothing is changed.",
            json!({"type": "string", "format": "entity-tag", "pattern": r#"^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$"#}),
        ),
        "IfNoneMatch": given(
            "If-None-Match",
            "Of a GET an `ETag`, or several: if what is there is one of them, 304 without a body. Of a PUT `*`: if something is there, 412.",
            json!({"type": "string"}),
        ),
    })
}

fn headers() -> Value {
    let given = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    let always = |description: &str| json!({"description": description, "required": true, "schema": {"type": "string"}});
    json!({
        "Accept": given("What a body may be."),
        "Bulkhead-Position": given("The position of this write, for `Bulkhead-After`."),
        "Content-Location": given("The path that a GET of would give this body."),
        "ETag": given("Names this representation, for `If-Match` and `If-None-Match`."),
        "Idempotency-Replayed": given("`true`: this is the answer to an earlier request with the same `Idempotency-Key`."),
        "Location": always("The path of what was made."),
        "Retry-After": {"description": "Seconds to wait before trying again.", "required": true, "schema": {"type": "integer", "format": "int32", "minimum": 0}},
        "Traceresponse": always("The trace and the span of this answer (W3C Trace Context)."),
        "WWW-Authenticate": always("The scheme of the token that is wanted."),
    })
}
