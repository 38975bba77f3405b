//! The table `order_shipping`.

use bulkhead_contracts::{OrderId, ShippingId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Transaction, params, row};

use crate::rules::status::ShippingStatus;

row! {
    /// Where an order goes. Once the customer's account is deleted, whom it goes to, the address and the tracking number are null.
    pub struct Shipping {
        /// Its id.
        pub id: ShippingId,
        /// Whom it goes to.
        pub recipient_name: Option<String>,
        /// Street and number, or what stands for them.
        pub address_line1: Option<String>,
        /// More of it; null where there is none.
        pub address_line2: Option<String>,
        /// The city.
        pub city: Option<String>,
        /// The state or province; null where there is none.
        pub state: Option<String>,
        /// The postal code.
        pub postal_code: Option<String>,
        /// By its code of ISO 3166-1 alpha-2.
        pub country: Option<String>,
        /// The carrier's number for it, once it is shipped; null again once the customer's account is deleted.
        pub tracking_number: Option<String>,
        /// Who carries it, once it is shipped.
        pub carrier: Option<String>,
        /// How it stands.
        pub shipping_status: ShippingStatus,
    }
}

/// Adds the shipping of an order.
pub fn insert(transaction: &Transaction, order_id: OrderId, shipping: &Shipping) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO order_shipping (id, order_id, recipient_name, address_line1, address_line2, city, state, \
             postal_code, country, shipping_status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            &params![
                shipping.id,
                order_id,
                shipping.recipient_name,
                shipping.address_line1,
                shipping.address_line2,
                shipping.city,
                shipping.state,
                shipping.postal_code,
                shipping.country,
                shipping.shipping_status
            ],
        )
        .map(drop)
}

/// Sets how it stands.
pub fn set_status(transaction: &Transaction, order_id: OrderId, status: ShippingStatus) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_shipping SET shipping_status = ?2 WHERE order_id = ?1",
            &params![order_id, status],
        )
        .map(drop)
}

/// It was given to a carrier.
pub fn ship(
    transaction: &Transaction,
    order_id: OrderId,
    carrier: &str,
    tracking_number: &str,
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_shipping SET shipping_status = 'shipped', carrier = ?2, tracking_number = ?3 \
             WHERE order_id = ?1",
            &params![order_id, carrier, tracking_number],
        )
        .map(drop)
}

/// Forgets whom it goes to, and where, and the carrier's number for it, which leads there as well. Who carried it stays.
pub fn forget_recipient(transaction: &Transaction, order_id: OrderId) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE order_shipping SET recipient_name = NULL, address_line1 = NULL, address_line2 = NULL, city = NULL, \
             state = NULL, postal_code = NULL, country = NULL, tracking_number = NULL WHERE order_id = ?1",
            &params![order_id],
        )
        .map(drop)
}
