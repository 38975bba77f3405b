//! What a guest can do wrong. Every function is called after a note was written in the same unit of work.

use bulkhead_sdk::serde_json::json;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::wit::bulkhead::service::{outbox, transaction as raw};
use bulkhead_sdk::{
    Call, CallError, Path, Problem, PublishError, Query, Read as _, Response, Result, Snapshot, Text,
    Transaction, params, query,
};

use crate::write;

query! {
    /// What the misbehaviour needs.
    pub struct HostileQuery {
        /// The id of the note that is written first.
        pub id: Text<1, 100>,
        /// For `forbidden`: any SQL.
        pub sql: Option<Text<1, 10_000>>,
        /// For `forbidden`: `snapshot` runs it there, anything else in the unit of work.
        pub within: Option<Text<1, 20>>,
        /// For `lease-then-call`: the service to call.
        pub service: Option<Text<1, 100>>,
    }
}

/// Writes a note, and misbehaves.
pub fn misbehave(
    Path(what): Path<Text<1, 40>>,
    Query(query): Query<HostileQuery>,
    snapshot: Snapshot,
    transaction: Transaction,
) -> Result<Response> {
    write(&transaction, &query.id, &what)?;
    match &*what {
        "trap" => trap(),
        "loop" => spin(),
        "panic" => panic_on_purpose(),
        "panic-loudly" => panic_loudly(),
        "deep-stack" => Ok(report(201, &json!({"depth": dig(1)}))),
        "grow-memory" => Ok(report(201, &json!({"bytes": grow()}))),
        "log-flood" => Ok(flood()),
        "endless-write" => endless_write(&transaction),
        "endless-read" => endless_read(&transaction),
        "sort-memory" => sort_memory(&transaction),
        "ignore-error" => Ok(ignore_error(&query.id)),
        "raise-rollback" => Ok(raise_rollback(&query.id)),
        "fill" => Ok(fill(&query.id)),
        "deferred-key" => deferred_key(&transaction, &query.id),
        "forbidden" => forbidden(&query, &snapshot, &transaction),
        "bad-utf8" => outcome(transaction.query("SELECT CAST(x'FF' AS TEXT)", &[]).map(drop)),
        "bad-response" => Ok(Response::new(42)),
        "many-headers" => Ok(many_headers()),
        "bad-header" => Ok(Response::new(201).with_header("x-note", "one\r\nx-injected: two")),
        "bad-header-name" => Ok(Response::new(201).with_header("x note\n", "one")),
        "own-position" => Ok(Response::new(201).with_header("bulkhead-position", "forged:1")),
        "lease-then-call" => lease_then_call(query.service.as_deref().unwrap_or("relay")),
        "publish-undeclared" => publish("hostile.undeclared", "{}"),
        "publish-malformed" => publish("hostile.noted", "{"),
        _ => Err(Problem::not_found("no misbehaviour has this name")),
    }
}

fn report(status: u16, body: &bulkhead_sdk::serde_json::Value) -> Response {
    Response::new(status).with_header("content-type", "application/json").with_body(body.to_string())
}

/// The name of an error's variant in WIT.
pub fn error_name(error: &Error) -> &'static str {
    match error {
        Error::ConstraintViolation(_) => "constraint-violation",
        Error::ReadOnly => "read-only",
        Error::LimitExceeded(_) => "limit-exceeded",
        Error::NotAllowed(_) => "not-allowed",
        Error::InvalidStatement(_) => "invalid-statement",
        Error::InvalidValue(_) => "invalid-value",
        Error::StorageFull => "storage-full",
        Error::Interrupted => "interrupted",
        Error::Busy => "busy",
        Error::Aborted(_) => "aborted",
        Error::Other(_) => "other",
    }
}

/// 200 where it was allowed; else the problem that the error is, with the name of its variant in `error`.
fn outcome(result: Result<(), Error>) -> Result<Response> {
    match result {
        Ok(()) => Ok(report(200, &json!({"error": null}))),
        Err(error) => {
            let name = error_name(&error);
            Err(Problem::from(error).with("error", name))
        }
    }
}

fn trap() -> Result<Response> {
    #[cfg(target_arch = "wasm32")]
    std::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

fn spin() -> Result<Response> {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn panic_on_purpose() -> Result<Response> {
    panic!("on purpose")
}

/// A message that is long, has many lines, and would clear the terminal of who reads it.
#[expect(clippy::panic, reason = "that is what it is for")]
fn panic_loudly() -> Result<Response> {
    panic!("first line\n2026-01-01T00:00:00Z ERROR a forged line \u{1b}[2J \u{202e}{}", "x".repeat(100_000))
}

/// Recursion that no optimiser can turn into a loop, and that ends only when the stack does.
fn dig(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 16]);
    let below = if std::hint::black_box(true) { dig(depth + 1) } else { depth };
    below + here.iter().copied().fold(0, u64::wrapping_add)
}

fn grow() -> usize {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        if kept.is_empty() {
            return kept.len();
        }
    }
}

fn flood() -> Response {
    let message = "x".repeat(20_000);
    for _ in 0..1_000 {
        bulkhead_sdk::log::info(&message, &[]);
    }
    Response::new(201)
}

/// Writes three rows and then looks for a fourth for ever.
fn endless_write(transaction: &Transaction) -> Result<Response> {
    transaction.execute(
        "INSERT INTO note (id, body) WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) \
         SELECT 'endless-' || n, '' FROM number WHERE n <= 3 OR n < 0",
        &[],
    )?;
    Ok(Response::new(201))
}

fn endless_read(transaction: &Transaction) -> Result<Response> {
    transaction.query(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT n FROM number WHERE n < 0",
        &[],
    )?;
    Ok(Response::new(201))
}

/// Sorts more and more text, which SQLite keeps in memory, without end.
fn sort_memory(transaction: &Transaction) -> Result<Response> {
    transaction.query(
        "SELECT i FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
         SELECT i, printf('%01000000d', i) AS t FROM n) ORDER BY t",
        &[],
    )?;
    Ok(Response::new(201))
}

/// Answers with more headers than any server takes.
fn many_headers() -> Response {
    (0..25_000).fold(Response::new(201), |response, _| response.with_header("a", "x"))
}

/// Aborts the batch by a conflict that rolls everything back, takes no notice, writes on and says that all is well.
fn ignore_error(id: &str) -> Response {
    let _ = raw::execute("INSERT OR ROLLBACK INTO note (id, body) VALUES (?1, 'again')", &params![id]);
    let _ = raw::execute("INSERT INTO note (id, body) VALUES (?1, 'after')", &params![format!("{id}-after")]);
    Response::new(201)
}

/// The same by a trigger.
fn raise_rollback(id: &str) -> Response {
    let _ = raw::execute(
        "INSERT INTO note (id, body) VALUES (?1, 'raise-rollback')",
        &params![format!("{id}-raise")],
    );
    let _ = raw::execute("INSERT INTO note (id, body) VALUES (?1, 'after')", &params![format!("{id}-after")]);
    Response::new(201)
}

/// Writes until nothing more goes in, and says that all is well.
fn fill(id: &str) -> Response {
    let body = "x".repeat(64 * 1024);
    let mut number = 0_u64;
    while raw::execute(
        "INSERT INTO note (id, body) VALUES (?1, ?2)",
        &params![format!("{id}-{number}"), body],
    )
    .is_ok()
    {
        number += 1;
    }
    Response::new(201)
}

fn deferred_key(transaction: &Transaction, id: &str) -> Result<Response> {
    transaction.execute(
        "INSERT INTO note_reference (id, note_id) VALUES (?1, ?2)",
        &params![id, format!("{id}-missing")],
    )?;
    Ok(Response::new(201))
}

fn forbidden(query: &HostileQuery, snapshot: &Snapshot, transaction: &Transaction) -> Result<Response> {
    let sql = query.sql.as_deref().unwrap_or("SELECT 1");
    outcome(if query.within.as_deref() == Some("snapshot") {
        snapshot.query(sql, &[]).map(drop)
    } else {
        transaction.query(sql, &[]).map(drop)
    })
}

fn lease_then_call(service: &str) -> Result<Response> {
    match Call::get("/relay/whoami").send(service) {
        Ok(answer) => Ok(report(200, &json!({"error": null, "status": answer.status()}))),
        Err(error) => {
            let name = call_error_name(&error);
            Err(Problem::from(error).with("error", name))
        }
    }
}

/// The name of an error's variant in WIT.
fn call_error_name(error: &CallError) -> &'static str {
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

fn publish(event_type: &str, data: &str) -> Result<Response> {
    let Err(error) = outbox::publish(event_type, "subject", data) else {
        return Ok(report(200, &json!({"error": null})));
    };
    let name = match &error {
        outbox::Error::NotAllowed(_) => "not-allowed",
        outbox::Error::Invalid(_) => "invalid",
        outbox::Error::StorageFull => "storage-full",
        outbox::Error::Busy => "busy",
        outbox::Error::Aborted(_) => "aborted",
        outbox::Error::Other(_) => "other",
    };
    Err(Problem::from(PublishError::from(error)).with("error", name))
}
