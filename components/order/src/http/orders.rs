//! Reading `/orders`.

use bulkhead_contracts::{OrderId, UserId};
use bulkhead_sdk::{Cursor, Json, Limit, Page, Path, Query, Result, Snapshot, query};

use super::who::Asks;
use crate::rules::access::Who;
use crate::rules::number::OrderNumber;
use crate::rules::status::Status;
use crate::store::order::{self, Order};
use crate::store::order_list::{self, Filter};

query! {
    /// Which orders.
    pub struct OrdersQuery {
        /// Orders that stand so.
        pub status: Option<Status>,
        /// Orders of this customer. A customer sees none of another's.
        pub user_id: Option<UserId>,
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins: the `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

pub(super) fn list(
    Asks(who): Asks,
    Query(query): Query<OrdersQuery>,
    snapshot: Snapshot,
) -> Result<Json<Page<Order>>> {
    let user_id = match (who, query.user_id) {
        (Who::Admin, wanted) => wanted,
        (Who::Customer(user), None) => Some(user),
        (Who::Customer(user), Some(wanted)) if wanted == user => Some(user),
        (Who::Customer(_), Some(_)) => return Ok(Json(Page::empty())),
    };
    let filter = Filter { user_id, status: query.status };
    order_list::page(&snapshot, filter, query.cursor.as_ref(), query.limit).map(Json)
}

pub(super) fn by_id(asks: Asks, Path(id): Path<OrderId>, snapshot: Snapshot) -> Result<Json<Order>> {
    asks.see(order::by_id(&snapshot, id)?, |order| order.user_id_ref).map(Json)
}

pub(super) fn by_number(
    asks: Asks,
    Path(number): Path<OrderNumber>,
    snapshot: Snapshot,
) -> Result<Json<Order>> {
    asks.see(order::by_number(&snapshot, &number)?, |order| order.user_id_ref).map(Json)
}
