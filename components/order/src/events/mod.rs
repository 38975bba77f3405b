//! The handlers of events, a file per producer, and of the service's own timers.
//!
//! Events of different producers come in any order, and each may come when the order has gone on long since. So what cannot happen to
//! the order any more is passed over: whoever ended it has told the others.

mod products;
mod stock;
mod timers;
mod users;

use bulkhead_contracts::OrderId;
use bulkhead_sdk::{HandleError, Service, Transaction};

use crate::store::head::{self, Head};

/// Takes the events of the other services, and the timers.
pub(crate) fn subscribe(service: Service) -> Service {
    service
        .on(products::changed)
        .on(stock::reserved)
        .on(stock::rejected)
        .on(users::deleted)
        .on(timers::payment_due)
        .on(timers::payment_attempt)
        .on(timers::forget_user)
}

/// The order that an event is about. Orders are never deleted, so that of an event is there, or the event is wrong.
fn order_of(transaction: &Transaction, id: OrderId) -> Result<Head, HandleError> {
    head::by_id(transaction, id)?
        .ok_or_else(|| HandleError::Reject(format!("there is no order {id}: it is not this service's")))
}
