//! A guest for the system tests: it keeps notes honestly, and misbehaves on request.
//!
//! `POST /notes`, `GET /notes` and `GET /notes/{id}` are the honest part. `POST /hostile/{what}?id=ID` writes a note of that id
//! first, so that a test can see whether it stays, and then does what [`hostile`] has under that name. With the setting
//! `describe = "a route twice"` it panics when it is asked what it is.

pub mod hostile;

use std::borrow::Cow;

use bulkhead_sdk::{
    Body, Created, Cursor, Event, Json, Limit, Page, Path, Problem, Query, Read as _, Result, Service,
    Snapshot, Text, Transaction, body, migration, params, query, row,
};

row! {
    /// A note.
    pub struct Note {
        /// Chosen by the client.
        pub id: String,
        /// Any text.
        pub body: String,
    }
}

body! {
    /// A note to write.
    pub struct NoteInput {
        /// Chosen by the client; a second one of the same id is 409.
        pub id: Text<1, 100>,
        /// Any text.
        pub body: Text<0, 100_000>,
    }
}

query! {
    /// The query of the list.
    pub struct ListQuery {
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins.
        pub cursor: Option<Cursor>,
    }
}

/// `hostile.noted`: a note was written.
#[derive(Debug, Clone, bulkhead_sdk::serde::Serialize, bulkhead_sdk::serde::Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct Noted {
    /// The note; the subject.
    pub id: String,
}

impl Event for Noted {
    const TYPE: &'static str = "hostile.noted";

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// Writes a note and publishes that.
fn write(transaction: &Transaction, id: &str, body: &str) -> Result<Note> {
    transaction.execute("INSERT INTO note (id, body) VALUES (?1, ?2)", &params![id, body])?;
    transaction.publish(&Noted { id: id.to_owned() })?;
    Ok(Note { id: id.to_owned(), body: body.to_owned() })
}

fn create(Body(new): Body<NoteInput>, transaction: Transaction) -> Result<Created<Note>> {
    let note = write(&transaction, &new.id, &new.body)?;
    Ok(Created {
        location: format!("/notes/{}", bulkhead_sdk::encoding::percent_encode(&note.id)),
        body: note,
    })
}

fn list(Query(query): Query<ListQuery>, snapshot: Snapshot) -> Result<Json<Page<Note>>> {
    let behind = query.cursor.map(|cursor| cursor.keys::<String>("notes")).transpose()?.unwrap_or_default();
    let rows = snapshot.query_all(
        "SELECT id, body FROM note WHERE id > ?1 ORDER BY id LIMIT ?2",
        &params![behind, query.limit.and_one_more()],
    )?;
    Page::new(rows, query.limit, "notes", |note: &Note| note.id.clone()).map(Json)
}

fn one(Path(id): Path<Text<1, 100>>, snapshot: Snapshot) -> Result<Json<Note>> {
    let note = snapshot.query_optional("SELECT id, body FROM note WHERE id = ?1", &params![id])?;
    note.map(Json).ok_or_else(|| Problem::not_found("there is no such note"))
}

/// The service.
pub fn service() -> Service {
    let service = Service::new("Keeps notes, and misbehaves on request.")
        .migration(migration!("../migrations/V0001__create_note.sql"))
        .publishes::<Noted>()
        .post("/notes", "Writes a note.", create)
        .get("/notes", "Lists the notes.", list)
        .get("/notes/{id}", "Gives a note.", one)
        .post("/hostile/{what}", "Writes a note and then misbehaves.", hostile::misbehave);
    // A mistake that shows when the component is asked what it is.
    if bulkhead_sdk::config("describe").is_some_and(|how| how == "a route twice") {
        return service.get("/notes", "Lists the notes once more.", list);
    }
    service
}

bulkhead_sdk::service!(service);
