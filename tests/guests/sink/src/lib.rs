//! A guest for the system tests: it takes events, each as the event itself says, and writes down which took effect.
//!
//! Two services can be made of it: what an event says holds for the one whose config has the name that the event has in `at`; the other
//! takes it.

pub mod behaviour;

use std::borrow::Cow;

use bulkhead_sdk::serde::{Deserialize, Serialize};
use bulkhead_sdk::serde_json::{Value, json};
use bulkhead_sdk::{
    Event, Json, NoContent, Path, Query, Read as _, Response, Result, Service, Snapshot, Text, Transaction,
    migration, params, query, row, sql,
};

row! {
    /// An event that took effect.
    pub struct Taken {
        /// Its place among those that did.
        pub arrival: i64,
        /// The event.
        pub event_id: String,
        /// What it is about.
        pub subject: String,
        /// Its number.
        pub n: i64,
        /// The attempt that took effect.
        pub attempt: i64,
        /// The trace that it was published under.
        pub trace: String,
        /// As whom the handler called another service.
        pub principal: Option<String>,
    }
}

query! {
    /// The query of the list.
    pub struct TakenQuery {
        /// Only what arrived behind this.
        pub after: Option<bulkhead_sdk::Integer<0, 1_000_000_000>>,
    }
}

query! {
    /// What to write.
    pub struct NoteQuery {
        /// The size of the note; 0 where absent.
        pub bytes: Option<bulkhead_sdk::Integer<0, 1_000_000>>,
    }
}

/// `source.happened`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct Happened {
    /// The subject.
    pub subject: String,
    /// Its number.
    pub n: i64,
    /// What the taker does: see [`behaviour`].
    #[serde(default)]
    pub act: String,
    /// Which taker.
    #[serde(default)]
    pub at: String,
    /// How many attempts fail.
    #[serde(default)]
    pub failures: u32,
}

impl Event for Happened {
    const TYPE: &'static str = "source.happened";

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.subject)
    }
}

fn report(status: u16, body: &Value) -> Response {
    Response::new(status).with_header("content-type", "application/json").with_body(body.to_string())
}

/// A result has at most 10,000 rows.
fn taken(_: Path<Text<1, 40>>, Query(query): Query<TakenQuery>, snapshot: Snapshot) -> Result<Response> {
    let items: Vec<Taken> = snapshot.query_all(
        "SELECT arrival, event_id, subject, n, attempt, trace, principal FROM taken
         WHERE arrival > ?1 ORDER BY arrival LIMIT 5000",
        &params![query.after.map_or(0, |after| after.get())],
    )?;
    Ok(report(200, &json!({"items": items})))
}

/// The replica, whatever columns the manifest gives it.
fn items(_: Path<Text<1, 40>>, snapshot: Snapshot) -> Result<Response> {
    let sql::ResultSet { columns, rows } = snapshot.query("SELECT * FROM item ORDER BY id", &[])?;
    let item = |row: Vec<sql::Value>| -> Value {
        columns
            .iter()
            .cloned()
            .zip(row.into_iter().map(shown))
            .collect::<bulkhead_sdk::serde_json::Map<_, _>>()
            .into()
    };
    Ok(report(200, &json!({"items": rows.into_iter().map(item).collect::<Vec<_>>()})))
}

fn shown(value: sql::Value) -> Value {
    match value {
        sql::Value::Null => Value::Null,
        sql::Value::Integer(number) => number.into(),
        sql::Value::Real(number) => number.into(),
        sql::Value::Text(text) => text.into(),
        sql::Value::Blob(bytes) => bytes.into(),
    }
}

/// Tries to write the replica, which it must not.
fn forge(_: Path<Text<1, 40>>, transaction: Transaction) -> Result<NoContent> {
    transaction.execute("DELETE FROM item", &[])?;
    Ok(NoContent)
}

fn note(
    Path((_, id)): Path<(Text<1, 40>, Text<1, 100>)>,
    Query(query): Query<NoteQuery>,
    transaction: Transaction,
) -> Result<Response> {
    let body = "x".repeat(query.bytes.and_then(|bytes| usize::try_from(bytes.get()).ok()).unwrap_or(0));
    transaction.execute("INSERT INTO note (id, body) VALUES (?1, ?2)", &params![id, body])?;
    Ok(report(201, &json!({"id": &*id})))
}

fn delete_notes(_: Path<Text<1, 40>>, transaction: Transaction) -> Result<NoContent> {
    transaction.execute("DELETE FROM note", &[])?;
    Ok(NoContent)
}

fn notes(_: Path<Text<1, 40>>, snapshot: Snapshot) -> Result<Response> {
    let ids: Vec<(String,)> = snapshot.query_all("SELECT id FROM note ORDER BY id", &[])?;
    Ok(report(200, &json!({"items": ids.into_iter().map(|(id,)| id).collect::<Vec<_>>()})))
}

fn break_subject(
    Path((_, subject)): Path<(Text<1, 40>, Text<1, 100>)>,
    transaction: Transaction,
) -> Result<NoContent> {
    transaction.execute("INSERT OR IGNORE INTO broken (subject) VALUES (?1)", &params![subject])?;
    Ok(NoContent)
}

fn mend_subject(
    Path((_, subject)): Path<(Text<1, 40>, Text<1, 100>)>,
    transaction: Transaction,
) -> Result<NoContent> {
    transaction.execute("DELETE FROM broken WHERE subject = ?1", &params![subject])?;
    Ok(NoContent)
}

fn ready(_: Path<Text<1, 40>>) -> Result<Json<bool>> {
    Ok(Json(true))
}

/// The service.
pub fn service() -> Service {
    Service::new("Takes events, each as it says.")
        .migration(migration!("../migrations/V0001__create_taken.sql"))
        .on(behaviour::take)
        .get("/{who}/taken", "Lists the events that took effect, in their order.", taken)
        .get("/{who}/items", "Lists the rows of the replica.", items)
        .delete("/{who}/items", "Tries to write the replica.", forge)
        .get("/{who}/notes", "Lists the notes.", notes)
        .post("/{who}/notes/{id}", "Writes a note.", note)
        .delete("/{who}/notes", "Deletes the notes.", delete_notes)
        .put("/{who}/broken/{subject}", "Has a subject's events fail.", break_subject)
        .delete("/{who}/broken/{subject}", "Has them fail no more.", mend_subject)
        .get("/{who}/ready", "Says that it serves.", ready)
}

bulkhead_sdk::service!(service);
