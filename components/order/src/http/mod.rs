//! The handlers of requests, a file per resource. Each takes whom it answers as its first argument: an
//! [`Admin`](bulkhead_contracts::Admin) what the shop does, a customer or an admin everything else, of which a customer reaches
//! what is theirs.

mod address;
mod cancel;
mod history;
mod orders;
mod payment;
mod placing;
mod shipping;
#[cfg(test)]
mod tests;
mod who;

use bulkhead_contracts::v1::{
    OrderCancelled, OrderDelivered, OrderPaid, OrderPlaced, OrderRejected, OrderShipped,
};
use bulkhead_sdk::{Service, migration};

use crate::events::subscribe;
use crate::problems;
use crate::settings::settings;

/// The service.
///
/// # Panics
/// Where a setting of the manifest cannot be used: at load.
pub fn service() -> Service {
    settings();
    let service =
        Service::new("Orders: their items, payment and shipping, from being placed to being delivered.")
            .migration(migration!("../../migrations/V0001__create_orders.sql"))
            .migration(migration!(
                "../../migrations/V0002__forget_tracking_number.sql",
                "../../migrations/reverse/V0002__forget_tracking_number.sql"
            ))
            .publishes::<OrderPlaced>()
            .publishes::<OrderPaid>()
            .publishes::<OrderCancelled>()
            .publishes::<OrderRejected>()
            .publishes::<OrderShipped>()
            .publishes::<OrderDelivered>()
            .get("/orders", "Lists orders, the newest first.", orders::list)
            .post("/orders", "Places an order.", placing::place)
            .answers_with(&[
                problems::UNKNOWN_PRODUCT,
                problems::UNKNOWN_USER,
                problems::UNKNOWN_ADDRESS,
                problems::PRICE_CHANGED,
            ])
            .get("/orders/{id}", "Gives an order with its items, payment and shipping.", orders::by_id)
            .get("/orders/by-number/{order_number}", "Gives an order by its number.", orders::by_number)
            .get("/orders/{id}/history", "Says what happened to an order.", history::list)
            .post(
                "/orders/{id}/cancel",
                "Cancels an order that is not shipped, and refunds it.",
                cancel::cancel,
            )
            .answers_with(&[problems::ORDER_STATE])
            .post(
                "/orders/{id}/payment",
                "Pays again after a decline, within the time allowed.",
                payment::pay,
            )
            .answers_with(&[problems::ORDER_STATE, problems::TOO_MANY_PAYMENTS])
            .post("/orders/{id}/ship", "Gives a paid order to a carrier.", shipping::ship)
            .answers_with(&[problems::ORDER_STATE])
            .post("/orders/{id}/deliver", "Notes that an order has arrived.", shipping::deliver)
            .answers_with(&[problems::ORDER_STATE]);
    subscribe(service)
}
