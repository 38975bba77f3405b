//! A guest for the tests of deploys: it keeps notes and publishes each, and every answer tells which version gave it, which columns its
//! code expects and which the database has.
//!
//! Beside the words that every versioned guest knows ([`version`]), there are these:
//!
//! | word | what is different |
//! | --- | --- |
//! | `column` | V0002 adds the column `mood`, which the code then writes and reads; it can be undone |
//! | `irreversible` | the same, and it can't be undone |
//! | `slow` | the same as `column`, and the migration takes seconds |
//! | `endless` | the same, and the migration never ends |
//! | `half` | the same, and the migration fails after its first statement |
//! | `edited` | V0001 is not what it was |
//! | `traps` | every handler traps, those that write when they have written |
//! | `fails` | every handler answers 500, those that write when they have written |
//! | `fails-writes` | the same of those alone that write |
//! | `ungranted` | it says that it publishes a type that the manifest does not grant |
//! | `routes` | there is one more route, `GET /changing/new` |
//! | `computes` | there is one more route that computes, `GET /changing/computed` |

pub mod version;

use std::borrow::Cow;

use bulkhead_sdk::serde::{Deserialize, Serialize};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{
    Body, Compute, Created, Event, Integer, Json, Migration, Path, Problem, Query, Read, Result, Service,
    Snapshot, Text, Transaction, body, migration, new_id, now, params, query, reply, row,
};

use crate::version::Version;

/// The words of this service's own.
const WORDS: [&str; 12] = [
    "column",
    "irreversible",
    "slow",
    "endless",
    "half",
    "edited",
    "traps",
    "fails",
    "fails-writes",
    "ungranted",
    "routes",
    "computes",
];

/// A list has at most so many notes; a result may have 10,000 rows.
const NOTES_LISTED_MAX: i64 = 5_000;

row! {
    /// A note.
    pub struct Note {
        /// Its place among all notes.
        pub place: i64,
        /// Its id.
        pub id: String,
        /// What it says.
        pub text: String,
        /// The version that wrote it.
        pub number: i64,
        /// Null where the version that wrote it knew no moods, or the one that reads it knows none.
        pub mood: Option<String>,
    }
}

reply! {
    /// Whether code and schema belong together.
    pub struct Belonging {
        /// The version of the code.
        pub number: i64,
        /// The code writes and reads the column `mood`.
        pub expects_mood: bool,
        /// The columns of the notes' table as the database has them.
        pub columns: Vec<String>,
    }
}

reply! {
    /// A note that was written.
    pub struct Written {
        /// Its id.
        pub id: String,
        /// What it says.
        pub text: String,
        /// The version of the code.
        pub number: i64,
        /// The code writes and reads the column `mood`.
        pub expects_mood: bool,
        /// The columns of the notes' table, read in the unit of work.
        pub columns: Vec<String>,
    }
}

reply! {
    /// A list.
    pub struct Notes {
        /// In the order in which they were written.
        pub items: Vec<Note>,
    }
}

reply! {
    /// How many there are.
    pub struct Count {
        /// The notes.
        pub count: i64,
        /// The version that counted them.
        pub number: i64,
    }
}

body! {
    /// A note to write.
    pub struct NoteInput {
        /// What it says.
        pub text: Text<1, 1000>,
    }
}

query! {
    /// The query of the list.
    pub struct ListQuery {
        /// Only what stands behind this place.
        pub after: Option<Integer<0, 1_000_000_000>>,
    }
}

query! {
    /// For how long to be busy.
    pub struct SlowQuery {
        /// Milliseconds by the host's clock.
        pub milliseconds: Integer<0, 60_000>,
    }
}

/// `changing.noted`: a note was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct Noted {
    /// The note; the subject.
    pub id: String,
    /// The version that wrote it.
    pub number: i64,
}

impl Event for Noted {
    const TYPE: &'static str = "changing.noted";

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// `changing.forgotten`: no manifest grants it, and nothing publishes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct Forgotten {
    /// The subject.
    pub id: String,
}

impl Event for Forgotten {
    const TYPE: &'static str = "changing.forgotten";

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

impl Version {
    fn expects_mood(&self) -> bool {
        ["column", "irreversible", "slow", "endless", "half"].iter().any(|word| self.is(word))
    }

    /// An answer to a request that reads, or what becomes of it in this version.
    fn answer<T>(&self, answer: T) -> Result<T> {
        if self.is("traps") {
            version::trap();
        }
        if self.is("fails") {
            return Err(Problem::internal("this version fails"));
        }
        Ok(answer)
    }

    /// An answer to a request that has written, or what becomes of it in this version.
    fn answer_of_write<T>(&self, answer: T) -> Result<T> {
        if self.is("fails-writes") {
            return Err(Problem::internal("this version fails when it has written"));
        }
        self.answer(answer)
    }
}

fn columns(read: &impl Read) -> Result<Vec<String>, Error> {
    let columns: Vec<(String,)> =
        read.query_all("SELECT name FROM pragma_table_info('note') ORDER BY cid", &[])?;
    Ok(columns.into_iter().map(|(name,)| name).collect())
}

fn belonging(snapshot: Snapshot) -> Result<Json<Belonging>> {
    let version = Version::read();
    version.answer(Json(Belonging {
        number: version.number,
        expects_mood: version.expects_mood(),
        columns: columns(&snapshot)?,
    }))
}

/// Passes the time, as a handler does that computes.
fn be_busy(milliseconds: Integer<0, 60_000>) {
    let end = now().plus_milliseconds(milliseconds.get());
    while now() < end {}
}

fn slow(Query(query): Query<SlowQuery>, snapshot: Snapshot) -> Result<Json<Belonging>> {
    be_busy(query.milliseconds);
    belonging(snapshot)
}

fn write(Body(new): Body<NoteInput>, transaction: Transaction) -> Result<Created<Written>> {
    let version = Version::read();
    let (id, number, expects_mood) = (new_id().to_string(), version.number, version.expects_mood());
    let statement = if expects_mood {
        "INSERT INTO note (id, text, number, mood) VALUES (?1, ?2, ?3, 'glad')"
    } else {
        "INSERT INTO note (id, text, number) VALUES (?1, ?2, ?3)"
    };
    transaction.execute(statement, &params![id, new.text, number])?;
    transaction.publish(&Noted { id: id.clone(), number })?;
    let columns = columns(&transaction)?;
    version.answer_of_write(Created {
        location: format!("/changing/notes/{id}"),
        body: Written { id, text: new.text.into_string(), number, expects_mood, columns },
    })
}

/// Busy before it takes the writer lease, which it may not hold for long.
fn slow_write(
    Query(query): Query<SlowQuery>,
    new: Body<NoteInput>,
    transaction: Transaction,
) -> Result<Created<Written>> {
    be_busy(query.milliseconds);
    write(new, transaction)
}

/// The notes that `rest` says, as this version reads them.
fn select(version: &Version, rest: &str) -> String {
    let mood = if version.expects_mood() { "mood" } else { "NULL AS mood" };
    format!("SELECT place, id, text, number, {mood} FROM note {rest}")
}

fn list(Query(query): Query<ListQuery>, snapshot: Snapshot) -> Result<Json<Notes>> {
    let version = Version::read();
    let items = snapshot.query_all(
        &select(&version, "WHERE place > ?1 ORDER BY place LIMIT ?2"),
        &params![query.after.map_or(0, Integer::get), NOTES_LISTED_MAX],
    )?;
    version.answer(Json(Notes { items }))
}

fn one(Path(id): Path<Text<1, 100>>, snapshot: Snapshot) -> Result<Json<Note>> {
    let version = Version::read();
    let note = snapshot.query_optional(&select(&version, "WHERE id = ?1"), &params![id])?;
    version.answer(Json(note.ok_or_else(|| Problem::not_found("there is no such note"))?))
}

fn count(snapshot: Snapshot) -> Result<Json<Count>> {
    let version = Version::read();
    let (count,) = snapshot.query_one("SELECT count(*) FROM note", &[])?;
    version.answer(Json(Count { count, number: version.number }))
}

fn new_route(snapshot: Snapshot) -> Result<Json<Belonging>> {
    belonging(snapshot)
}

fn computed(_: Compute, snapshot: Snapshot) -> Result<Json<Belonging>> {
    belonging(snapshot)
}

fn first_migration(version: &Version) -> Migration {
    if version.is("edited") {
        migration!("../migrations/edited/V0001__create_note.sql")
    } else {
        migration!("../migrations/V0001__create_note.sql")
    }
}

/// The second one, if this version has any.
fn second_migration(version: &Version) -> Option<Migration> {
    let all = [
        (
            "column",
            migration!("../migrations/V0002__add_mood.sql", "../migrations/reverse/V0002__add_mood.sql"),
        ),
        ("irreversible", migration!("../migrations/V0002__add_mood.sql")),
        (
            "slow",
            migration!("../migrations/slow/V0002__add_mood.sql", "../migrations/reverse/V0002__add_mood.sql"),
        ),
        (
            "endless",
            migration!(
                "../migrations/endless/V0002__add_mood.sql",
                "../migrations/reverse/V0002__add_mood.sql"
            ),
        ),
        (
            "half",
            migration!("../migrations/half/V0002__add_mood.sql", "../migrations/reverse/V0002__add_mood.sql"),
        ),
    ];
    all.into_iter().find_map(|(word, migration)| version.is(word).then_some(migration))
}

/// The service, in this version.
pub fn service() -> Service {
    let version = Version::read();
    version.start(&WORDS);
    let mut service = Service::new("Keeps notes, in one of many versions.")
        .migration(first_migration(&version))
        .publishes::<Noted>()
        .get("/changing/version", "Tells the version, and what it finds in its database.", belonging)
        .get("/changing/slow", "Tells the same after a while.", slow)
        .get("/changing/notes", "Lists the notes.", list)
        .post("/changing/notes", "Writes a note.", write)
        .get("/changing/notes/{id}", "Gives a note.", one)
        .post("/changing/slow-write", "Writes a note after a while.", slow_write)
        .get("/changing/count", "Counts the notes.", count);
    if let Some(second) = second_migration(&version) {
        service = service.migration(second);
    }
    if version.is("ungranted") {
        service = service.publishes::<Forgotten>();
    }
    if version.is("routes") {
        service = service.get("/changing/new", "Tells the version, at a route of its own.", new_route);
    }
    if version.is("computes") {
        service = service.get("/changing/computed", "Tells the version, as what computes.", computed);
    }
    service
}

bulkhead_sdk::service!(service);
