//! The handlers. Each is a function, and the types of its arguments say what it takes: what is wrong with a request is answered before
//! it runs. These answer everybody; one that takes a `Principal`, or a role that `bulkhead_sdk::roles!` defines, answers nobody else.

use bulkhead_sdk::{
    Body, Created, Cursor, Json, Limit, Page, Path, Problem, Query, Result, Service, Snapshot, Text,
    Transaction, Uuid, body, migration, new_id, now, query,
};

use crate::events::EntryCreated;
use crate::rules::tidied;
use crate::store::{self, Entry};

body! {
    /// What an entry is made from.
    pub struct EntryInput {
        /// What it says.
        pub text: Text<1, 500>,
    }
}

query! {
    /// Which page of the list.
    pub struct ListQuery {
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins: the `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

/// A [`Snapshot`] reads one state of the database, and can't write.
fn list(Query(query): Query<ListQuery>, snapshot: Snapshot) -> Result<Json<Page<Entry>>> {
    // Names the list, so that no other one takes its cursors.
    const SCOPE: &str = "entries";
    let behind = query.cursor.map(|cursor| cursor.keys(SCOPE)).transpose()?;
    let entries = store::list(&snapshot, behind.unwrap_or(Uuid::max()), query.limit)?;
    Page::new(entries, query.limit, SCOPE, |entry| entry.id).map(Json)
}

fn by_id(Path(id): Path<Uuid>, snapshot: Snapshot) -> Result<Json<Entry>> {
    let entry = store::by_id(&snapshot, id)?;
    entry.map(Json).ok_or_else(|| Problem::not_found("there is no such entry"))
}

/// The row and the event are in one unit of work: both are there after it, or neither is.
fn create(Body(new): Body<EntryInput>, transaction: Transaction) -> Result<Created<Entry>> {
    let entry = Entry { id: new_id(), text: tidied(&new.text), created_at: now() };
    store::insert(&transaction, &entry)?;
    transaction.publish(&EntryCreated { id: entry.id, text: entry.text.clone() })?;
    Ok(Created { location: format!("/{{name}}/{}", entry.id), body: entry })
}

/// The service.
pub fn service() -> Service {
    Service::new("Keeps entries, and tells of each new one.")
        .migration(migration!("../migrations/V0001__create_entry.sql"))
        .publishes::<EntryCreated>()
        .get("/{{name}}", "Lists the entries, the newest first.", list)
        .post("/{{name}}", "Keeps an entry.", create)
        .get("/{{name}}/{id}", "Gives an entry.", by_id)
}
