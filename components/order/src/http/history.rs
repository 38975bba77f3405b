//! `/orders/{id}/history`.

use bulkhead_contracts::OrderId;
use bulkhead_sdk::{
    Cursor, Json, Limit, Page, Path, Problem, Query, Result, Snapshot, Timestamp, query, reply,
};

use super::who::Asks;
use crate::rules::status::{Cause, Status, fold};
use crate::store::{head, order_event};

query! {
    /// The query of a list without filters.
    pub struct ListQuery {
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins: the `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

reply! {
    /// What an order became, when and why.
    pub struct Entry {
        /// Where it stood then.
        pub status: Status,
        /// When.
        pub at: Timestamp,
        /// What made it so.
        pub cause: Cause,
    }
}

pub(super) fn list(
    asks: Asks,
    Path(id): Path<OrderId>,
    Query(query): Query<ListQuery>,
    snapshot: Snapshot,
) -> Result<Json<Page<Entry>>> {
    asks.see(head::by_id(&snapshot, id)?, |order| order.user_id_ref)?;
    let scope = format!("history {id}");
    let behind: Option<i64> = query.cursor.map(|cursor| cursor.keys(&scope)).transpose()?;
    let events = order_event::all(&snapshot, id)?;
    // From the first on: what an order is rests on all that happened to it.
    let statuses = fold(events.iter().map(|event| event.cause)).ok_or_else(|| {
        Problem::internal(format!("what happened to the order {id} is no life of an order"))
    })?;
    let entries = events.iter().zip(statuses).skip_while(|(event, _)| Some(event.sequence) <= behind);
    let wanted = usize::try_from(query.limit.and_one_more()).unwrap_or(usize::MAX);
    let entries = entries.take(wanted).collect();
    Page::new(entries, query.limit, &scope, |(event, _)| event.sequence)
        .map(|page| Json(page.map(|(event, status)| Entry { status, at: event.at, cause: event.cause })))
}
