//! `/orders/{id}/ship` and `/orders/{id}/deliver`.

use bulkhead_contracts::{Admin, Line, OrderId};
use bulkhead_sdk::{Body, Json, Path, Result, Transaction, body, now};

use super::who::no_such_order;
use crate::life::{Happening, advance, order_state};
use crate::store::head;
use crate::store::order::{self, Order};

body! {
    /// Who carries an order.
    pub struct ShipmentInput {
        /// Who carries it.
        pub carrier: Line<100>,
        /// The carrier's number for it.
        pub tracking_number: Line<100>,
    }
}

pub(super) fn ship(
    _: Admin,
    Path(id): Path<OrderId>,
    Body(new): Body<ShipmentInput>,
    transaction: Transaction,
) -> Result<Json<Order>> {
    let happening =
        Happening::Shipped { carrier: new.carrier.as_str(), tracking_number: new.tracking_number.as_str() };
    take_on(&transaction, id, happening, "an order is shipped when it is paid")
}

pub(super) fn deliver(_: Admin, Path(id): Path<OrderId>, transaction: Transaction) -> Result<Json<Order>> {
    take_on(&transaction, id, Happening::Delivered, "an order is delivered when it is shipped")
}

fn take_on(
    transaction: &Transaction,
    id: OrderId,
    happening: Happening<'_>,
    otherwise: &'static str,
) -> Result<Json<Order>> {
    let mut order = head::by_id(transaction, id)?.ok_or_else(no_such_order)?;
    if !order.status.takes(happening.cause()) {
        return Err(order_state(order.status, otherwise));
    }
    advance(transaction, &mut order, happening, now())?;
    order::by_id(transaction, id)?.map(Json).ok_or_else(no_such_order)
}
