//! A guest for the system tests: it passes requests on to other services, tells what it is told about its caller, and serves the key
//! set that it was given.

use bulkhead_sdk::serde_json::json;
use bulkhead_sdk::{
    Call, CallError, NoContent, Path, Problem, Query, Read as _, Request, Response, Result, Service,
    Snapshot, Text, Transaction, migration, params, query,
};

query! {
    /// What to send.
    pub struct RelayQuery {
        /// The path, with the query behind a `?` if any.
        pub path: Text<1, 8192>,
        /// The method; that of the request where absent.
        pub method: Option<Text<1, 20>>,
    }
}

query! {
    /// What to send, and how.
    pub struct WritingRelayQuery {
        /// The path, with the query behind a `?` if any.
        pub path: Text<1, 8192>,
        /// The method; that of the request where absent.
        pub method: Option<Text<1, 20>>,
        /// Takes the writer lease first, so that the call is refused.
        pub lease: Option<bool>,
    }
}

fn report(body: &bulkhead_sdk::serde_json::Value) -> Response {
    Response::new(200).with_header("content-type", "application/json").with_body(body.to_string())
}

/// The name of an error's variant in WIT.
fn error_name(error: &CallError) -> &'static str {
    match error {
        CallError::NotAllowed(_) => "not-allowed",
        CallError::LeaseHeld => "lease-held",
        CallError::QueueFull => "queue-full",
        CallError::DeadlineExceeded => "deadline-exceeded",
        CallError::InvalidRequest(_) => "invalid-request",
        CallError::Unavailable(_) => "unavailable",
        CallError::Other(_) => "other",
    }
}

fn read(
    Path(service): Path<Text<0, 100>>,
    Query(query): Query<RelayQuery>,
    request: Request,
) -> Result<Response> {
    Ok(relay(&service, &query.path, query.method.as_deref(), request))
}

fn write(
    Path(service): Path<Text<0, 100>>,
    Query(query): Query<WritingRelayQuery>,
    request: Request,
    transaction: Transaction,
) -> Result<Response> {
    if query.lease == Some(true) {
        transaction.query("SELECT 1", &[])?;
    }
    Ok(relay(&service, &query.path, query.method.as_deref(), request))
}

fn relay(service: &str, target: &str, method: Option<&str>, request: Request) -> Response {
    let mut call = Call::new(method.unwrap_or(&request.method), "");
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    call.0.path = path.to_owned();
    call.0.query = query.map(str::to_owned);
    call.0.headers = request.headers;
    call.0.body = request.body;
    match call.send(service) {
        Ok(answer) => report(&json!({
            "status": answer.status(),
            "headers": answer.0.headers.iter().map(|header| header.name.as_str()).collect::<Vec<_>>(),
            "body": String::from_utf8_lossy(&answer.0.body),
        })),
        Err(error) => report(&json!({"error": error_name(&error), "detail": error.to_string()})),
    }
}

fn whoami(request: Request) -> Result<Response> {
    let principal = request.principal.map(|principal| {
        json!({"subject": principal.subject, "roles": principal.roles, "expires_at": principal.expires_at})
    });
    Ok(report(&json!({
        "method": request.method,
        "route": request.route,
        "principal": principal,
        "caller": request.caller,
        "peer": request.peer,
        "trace_id": request.trace_id,
        "headers": request.headers.iter().map(|header| header.name.as_str()).collect::<Vec<_>>(),
    })))
}

/// Keeps the body, whatever it is, as the key set.
fn set_keys(request: Request, transaction: Transaction) -> Result<NoContent> {
    let document = String::from_utf8_lossy(&request.body).into_owned();
    transaction.execute(
        "INSERT INTO key_set (id, document) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET document = excluded.document",
        &params![document],
    )?;
    Ok(NoContent)
}

/// Serves what was kept, and traps where that says so.
#[expect(clippy::panic, reason = "a service that is down, for a test")]
fn keys(snapshot: Snapshot) -> Result<Response> {
    let row: Option<(String,)> = snapshot.query_optional("SELECT document FROM key_set", &[])?;
    match row {
        Some((document,)) if document == "trap" => panic!("told to"),
        Some((document,)) => {
            Ok(Response::new(200).with_header("content-type", "application/json").with_body(document))
        }
        None => Err(Problem::not_found("there is no key set")),
    }
}

/// The service.
pub fn service() -> Service {
    Service::new("Passes requests on.")
        .migration(migration!("../migrations/V0001__create_key_set.sql"))
        .get("/relay/keys", "Serves a key set.", keys)
        .put("/relay/keys", "Takes a key set.", set_keys)
        .get("/relay/whoami", "Tells what it is told about its caller.", whoami)
        .get("/relay/{service}", "Passes a GET on.", read)
        .post("/relay/{service}", "Passes a request on.", write)
}

bulkhead_sdk::service!(service);
