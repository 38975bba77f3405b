//! A guest for the system tests: it passes requests on to other services, and tells what it is told about its caller.

use bulkhead_sdk::serde_json::json;
use bulkhead_sdk::{
    Call, CallError, Path, Query, Read as _, Request, Response, Result, Service, Text, Transaction, query,
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
    let principal =
        request.principal.map(|principal| json!({"subject": principal.subject, "roles": principal.roles}));
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

/// The service.
pub fn service() -> Service {
    Service::new("Passes requests on.")
        .get("/relay/whoami", "Tells what it is told about its caller.", whoami)
        .get("/relay/{service}", "Passes a GET on.", read)
        .post("/relay/{service}", "Passes a request on.", write)
}

bulkhead_sdk::service!(service);
