//! A guest for the tests of deploys: it takes the events of `changing`, keeps each once and counts how often it took effect. There can be
//! many versions of it too ([`version`]), with these words of its own:
//!
//! | word | what is different |
//! | --- | --- |
//! | `traps` | its handler of events traps when it has written |
//! | `fails` | its handler of events fails when it has written, and wants to be tried again |
//! | `picky` | its handler of events traps when it has written of a note of version 7 |

#[path = "../../changing/src/version.rs"]
pub mod version;

use std::borrow::Cow;

use bulkhead_sdk::serde::{Deserialize, Serialize};
use bulkhead_sdk::{
    Event, HandleError, Integer, Json, Query, Read as _, Received, Result, Service, Snapshot, Transaction,
    migration, params, query, reply, row,
};

use crate::version::Version;

/// A list has at most so many events; a result may have 10,000 rows.
const EVENTS_LISTED_MAX: i64 = 5_000;

row! {
    /// An event that took effect.
    pub struct Seen {
        /// Its place among those that did.
        pub place: i64,
        /// The event.
        pub event_id: String,
        /// The note that it tells of.
        pub note_id: String,
        /// How often it took effect: more than once is wrong.
        pub arrivals: i64,
        /// The version that published it.
        pub written_by: i64,
        /// The version that took it first.
        pub taken_by: i64,
    }
}

row! {
    /// How many there are.
    pub struct Count {
        /// The events.
        pub events: i64,
        /// How often they took effect, all together.
        pub arrivals: i64,
    }
}

reply! {
    /// A list.
    pub struct Events {
        /// In the order in which they took effect.
        pub items: Vec<Seen>,
    }
}

reply! {
    /// Which version this is.
    pub struct Told {
        /// Its number.
        pub number: i64,
    }
}

query! {
    /// The query of the list.
    pub struct ListQuery {
        /// Only what stands behind this place.
        pub after: Option<Integer<0, 1_000_000_000>>,
    }
}

/// `changing.noted`, as far as it is needed here.
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

fn take(received: Received<Noted>, transaction: Transaction) -> core::result::Result<(), HandleError> {
    let version = Version::read();
    let Received { id, event, .. } = received;
    transaction.execute(
        "INSERT INTO seen (event_id, note_id, written_by, taken_by) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (event_id) DO UPDATE SET arrivals = arrivals + 1",
        &params![id, event.id, event.number, version.number],
    )?;
    if version.is("traps") || (version.is("picky") && event.number == 7) {
        version::trap();
    }
    if version.is("fails") {
        return Err(HandleError::Retry("this version fails".to_owned()));
    }
    Ok(())
}

fn list(Query(query): Query<ListQuery>, snapshot: Snapshot) -> Result<Json<Events>> {
    let items = snapshot.query_all(
        "SELECT place, event_id, note_id, arrivals, written_by, taken_by FROM seen \
         WHERE place > ?1 ORDER BY place LIMIT ?2",
        &params![query.after.map_or(0, Integer::get), EVENTS_LISTED_MAX],
    )?;
    Ok(Json(Events { items }))
}

fn count(snapshot: Snapshot) -> Result<Json<Count>> {
    let count = snapshot
        .query_one("SELECT count(*) AS events, coalesce(sum(arrivals), 0) AS arrivals FROM seen", &[])?;
    Ok(Json(count))
}

fn told() -> Result<Json<Told>> {
    Ok(Json(Told { number: Version::read().number }))
}

/// The service, in this version.
pub fn service() -> Service {
    Version::read().start(&["traps", "fails", "picky"]);
    Service::new("Takes what `changing` publishes, in one of many versions.")
        .migration(migration!("../migrations/V0001__create_seen.sql"))
        .on(take)
        .get("/watching/events", "Lists the events that took effect, in their order.", list)
        .get("/watching/count", "Counts them.", count)
        .get("/watching/version", "Tells the version.", told)
}

bulkhead_sdk::service!(service);
