//! A guest for the system tests: it publishes every event that it is told to, and sets timers of its own.
//!
//! It says nothing of what it publishes: a test has it try types that the manifest does not grant.

use std::borrow::Cow;

use bulkhead_sdk::serde::{Deserialize, Serialize};
use bulkhead_sdk::serde_json::{self, Value, json};
use bulkhead_sdk::wit::bulkhead::service::outbox;
use bulkhead_sdk::{
    Event, HandleError, Json, Problem, PublishError, Read as _, Received, Request, Response, Result, Service,
    Snapshot, Transaction, migration, params, row,
};

row! {
    /// A timer that rang.
    pub struct Rang {
        /// Its place among those that rang.
        pub arrival: i64,
        /// The timer's id.
        pub event_id: String,
        /// What it is about.
        pub subject: String,
        /// Its number.
        pub n: i64,
        /// The attempt that took effect.
        pub attempt: i64,
        /// The trace that it was set under.
        pub trace: String,
        /// Who rang.
        pub source: String,
    }
}

/// `source.rung`: a timer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct Rung {
    /// The subject.
    pub subject: String,
    /// Its number.
    pub n: i64,
    /// So many attempts fail.
    #[serde(default)]
    pub failures: u32,
    /// The attempt that does not end by itself; 0 for none.
    #[serde(default)]
    pub endless: u32,
    /// Its handler cancels all timers of the subject, and this one by its id.
    #[serde(default)]
    pub cancels: bool,
}

impl Event for Rung {
    const TYPE: &'static str = "source.rung";

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.subject)
    }
}

/// What a body says, one or a list.
#[derive(Debug, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde", untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

#[derive(Debug, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde", deny_unknown_fields)]
struct NewEvent {
    #[serde(rename = "type")]
    event_type: String,
    subject: String,
    data: Value,
    /// Milliseconds from now, for a timer.
    #[serde(default)]
    in_ms: i64,
}

/// What becomes of an item: it is written, or deleted where a field is missing.
#[derive(Debug, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde", deny_unknown_fields)]
struct ItemChange {
    id: String,
    #[serde(default)]
    n: Option<i64>,
    #[serde(default)]
    note: Option<String>,
    /// The event says nothing of the note.
    #[serde(default)]
    in_old_form: bool,
}

fn read(request: &Request) -> Result<Vec<NewEvent>> {
    match serde_json::from_slice(&request.body) {
        Ok(OneOrMany::Many(events)) => Ok(events),
        Ok(OneOrMany::One(event)) => Ok(vec![event]),
        Err(error) => Err(Problem::malformed_json(error.to_string())),
    }
}

/// The name of an error's variant in WIT, with its text.
fn refused(error: outbox::Error) -> Problem {
    let text = error.to_string();
    let name = match &error {
        outbox::Error::NotAllowed(_) => "not-allowed",
        outbox::Error::Invalid(_) => "invalid",
        outbox::Error::StorageFull => "storage-full",
        outbox::Error::Busy => "busy",
        outbox::Error::Aborted(_) => "aborted",
        outbox::Error::Other(_) => "other",
    };
    Problem::from(PublishError::from(error)).with("error", name).with("why", text)
}

fn report(status: u16, body: &Value) -> Response {
    Response::new(status).with_header("content-type", "application/json").with_body(body.to_string())
}

fn publish(request: Request, _: Transaction) -> Result<Response> {
    let mut ids = Vec::new();
    for event in read(&request)? {
        let data = event.data.to_string();
        ids.push(outbox::publish(&event.event_type, &event.subject, &data).map_err(refused)?);
    }
    Ok(report(201, &json!({"ids": ids})))
}

/// An answer that nobody may keep.
fn publish_secretly(request: Request, transaction: Transaction) -> Result<Response> {
    Ok(publish(request, transaction)?.with_header("cache-control", "no-store"))
}

fn schedule(request: Request, _: Transaction) -> Result<Response> {
    let now = bulkhead_sdk::now();
    let mut ids = Vec::new();
    for event in read(&request)? {
        let (data, due) = (event.data.to_string(), now.plus_milliseconds(event.in_ms).to_string());
        ids.push(outbox::schedule(&event.event_type, &event.subject, &data, &due).map_err(refused)?);
    }
    Ok(report(201, &json!({"ids": ids})))
}

/// Which timers to cancel.
#[derive(Debug, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde", untagged, deny_unknown_fields)]
enum Cancellation {
    One {
        id: String,
    },
    All {
        #[serde(rename = "type")]
        event_type: String,
        subject: String,
    },
}

/// Cancels timers in one unit of work, which is discarded with `?discard`.
fn cancel(request: Request, _: Transaction) -> Result<Response> {
    let cancellations: Vec<Cancellation> =
        serde_json::from_slice(&request.body).map_err(|error| Problem::malformed_json(error.to_string()))?;
    let mut counts = Vec::new();
    for cancellation in cancellations {
        counts.push(match cancellation {
            Cancellation::One { id } => u64::from(outbox::cancel(&id).map_err(refused)?),
            Cancellation::All { event_type, subject } => {
                outbox::cancel_all(&event_type, &subject).map_err(refused)?
            }
        });
    }
    let status = if request.query.as_deref() == Some("discard") { 409 } else { 200 };
    Ok(report(status, &json!({"cancelled": counts})))
}

/// Erases the data of a subject's events. The body is the subject.
fn erase(request: Request, transaction: Transaction) -> Result<Response> {
    let subject = String::from_utf8_lossy(&request.body);
    let erased = transaction.erase(&subject)?;
    Ok(report(200, &json!({"erased": erased})))
}

/// Whom the answer to this request is about, and whose answers go.
#[derive(Debug, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde", deny_unknown_fields)]
struct Subjects {
    #[serde(default)]
    about: Vec<String>,
    #[serde(default)]
    forget: Vec<String>,
}

/// Says whom its own answer is about, and forgets those about others.
fn change_answers(request: Request, transaction: Transaction) -> Result<Response> {
    let subjects: Subjects =
        serde_json::from_slice(&request.body).map_err(|error| Problem::malformed_json(error.to_string()))?;
    for subject in &subjects.about {
        transaction.about(subject)?;
    }
    let forgotten: core::result::Result<Vec<u64>, _> =
        subjects.forget.iter().map(|subject| transaction.forget_answers(subject)).collect();
    Ok(report(200, &json!({"forgotten": forgotten?})))
}

/// Writes or deletes items, and tells of it, in one unit of work.
fn change_items(request: Request, transaction: Transaction) -> Result<Response> {
    let changes: Vec<ItemChange> =
        serde_json::from_slice(&request.body).map_err(|error| Problem::malformed_json(error.to_string()))?;
    for ItemChange { id, n, note, in_old_form } in &changes {
        let (kind, data) = match (n, note) {
            (Some(n), Some(note)) => {
                transaction.execute(
                    "INSERT INTO item (id, n, note) VALUES (?1, ?2, ?3)
                     ON CONFLICT (id) DO UPDATE SET n = excluded.n, note = excluded.note",
                    &params![id, n, note],
                )?;
                let data = if *in_old_form {
                    json!({"id": id, "n": n})
                } else {
                    json!({"id": id, "n": n, "note": note})
                };
                ("source.item-changed", data)
            }
            _ => {
                transaction.execute("DELETE FROM item WHERE id = ?1", &params![id])?;
                ("source.item-deleted", json!({"id": id}))
            }
        };
        outbox::publish(kind, id, &data.to_string()).map_err(refused)?;
    }
    Ok(report(201, &json!({"changed": changes.len()})))
}

fn rang(snapshot: Snapshot) -> Result<Response> {
    let all: Vec<Rang> = snapshot.query_all(
        "SELECT arrival, event_id, subject, n, attempt, trace, source FROM rung ORDER BY arrival",
        &[],
    )?;
    Ok(report(200, &json!({"items": all})))
}

fn whoami(request: Request) -> Result<Response> {
    Ok(report(
        200,
        &json!({
            "principal": request.principal.as_ref().map(|principal| &principal.subject),
            "roles": request.principal.as_ref().map(|principal| &principal.roles),
            "caller": request.caller,
            "trace_id": request.trace_id,
        }),
    ))
}

fn ring(received: Received<Rung>, transaction: Transaction) -> core::result::Result<(), HandleError> {
    let Received { id, source, trace_id, attempt, event, .. } = received;
    if attempt == event.endless {
        bulkhead_sdk::log::info("a timer does not end", &[("subject", &event.subject)]);
        // Nothing is written yet, so others can write meanwhile.
        spin();
    }
    transaction.execute(
        "INSERT INTO rung (event_id, subject, n, attempt, trace, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &params![id, event.subject, event.n, i64::from(attempt), trace_id, source],
    )?;
    if event.cancels {
        transaction.cancel_all::<Rung>(&event.subject)?;
        if transaction.cancel(&id)? {
            return Err(HandleError::Reject("a timer has cancelled itself".to_owned()));
        }
    }
    if attempt <= event.failures {
        return Err(HandleError::Retry(format!("told to fail at attempt {attempt}")));
    }
    Ok(())
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn ready() -> Result<Json<bool>> {
    Ok(Json(true))
}

/// The service.
pub fn service() -> Service {
    Service::new("Publishes what it is told to.")
        .migration(migration!("../migrations/V0001__create_rung.sql"))
        .migration(migration!("../migrations/V0002__create_item.sql"))
        .on(ring)
        .post("/source/events", "Publishes an event, or a list of them in one unit of work.", publish)
        .post("/source/secrets", "The same, and nobody may keep the answer.", publish_secretly)
        .post("/source/repeatable", "The same, and it may be repeated.", publish_secretly)
        .repeatable()
        .post("/source/timers", "Sets a timer, or a list of them in one unit of work.", schedule)
        .post("/source/items", "Writes or deletes items, and tells of it, in one unit of work.", change_items)
        .post("/source/erasures", "Erases the data of a subject's events.", erase)
        .post(
            "/source/answers",
            "Says whom its answer is about, and forgets those about others.",
            change_answers,
        )
        .post("/source/cancellations", "Cancels timers in one unit of work.", cancel)
        .get("/source/rung", "Lists the timers that rang.", rang)
        .get("/source/whoami", "Tells what it is told about its caller.", whoami)
        .get("/source/ready", "Says that it serves.", ready)
}

bulkhead_sdk::service!(service);
