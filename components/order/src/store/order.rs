//! Whole orders: the table `order` with what belongs to each.

use bulkhead_contracts::{Money, OrderId, UserId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{FromRow, Parameter, Read, Row, Timestamp, Transaction, params, reply};

use crate::rules::number::OrderNumber;
use crate::rules::payment::Token;
use crate::rules::status::Status;
use crate::store::item::{self, Item};
use crate::store::payment::{self, Payment};
use crate::store::shipping::{self, Shipping};

reply! {
    /// An order.
    pub struct Order {
        /// Its id.
        pub id: OrderId,
        /// The customer; null once their account is deleted.
        pub user_id_ref: Option<UserId>,
        /// The number that people use; unique.
        pub order_number: String,
        /// Where it stands.
        pub status: Status,
        /// The sum of the items.
        pub total_amount: Money,
        /// When it was ordered.
        pub created_at: Timestamp,
        /// When its state was last changed.
        pub updated_at: Timestamp,
        /// What is ordered.
        pub items: Vec<Item>,
        /// How it is paid.
        pub payment: Payment,
        /// Where it goes.
        pub shipping: Shipping,
    }
}

/// The columns of an order with its payment and shipping, which are one each.
macro_rules! select_order {
    () => {
        "SELECT \"order\".id AS id, user_id_ref, order_number, status, total_amount, created_at, updated_at, \
         order_payment.id AS payment_id, payment_method, payment_status, transaction_id, amount, paid_at, \
         order_shipping.id AS shipping_id, recipient_name, address_line1, address_line2, city, state, postal_code, \
         country, tracking_number, carrier, shipping_status \
         FROM \"order\" JOIN order_payment ON order_payment.order_id = \"order\".id \
         JOIN order_shipping ON order_shipping.order_id = \"order\".id "
    };
}
pub(super) use select_order;

/// Without the items, which are rows of their own.
impl FromRow for Order {
    fn from_row(row: &mut Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.take("id")?,
            user_id_ref: row.take("user_id_ref")?,
            order_number: row.take("order_number")?,
            status: row.take("status")?,
            total_amount: row.take("total_amount")?,
            created_at: row.take("created_at")?,
            updated_at: row.take("updated_at")?,
            items: Vec::new(),
            payment: Payment {
                id: row.take("payment_id")?,
                payment_method: row.take("payment_method")?,
                payment_status: row.take("payment_status")?,
                transaction_id: row.take("transaction_id")?,
                amount: row.take("amount")?,
                paid_at: row.take("paid_at")?,
            },
            shipping: Shipping {
                id: row.take("shipping_id")?,
                recipient_name: row.take("recipient_name")?,
                address_line1: row.take("address_line1")?,
                address_line2: row.take("address_line2")?,
                city: row.take("city")?,
                state: row.take("state")?,
                postal_code: row.take("postal_code")?,
                country: row.take("country")?,
                tracking_number: row.take("tracking_number")?,
                carrier: row.take("carrier")?,
                shipping_status: row.take("shipping_status")?,
            },
        })
    }
}

/// The order with this id.
pub fn by_id(read: &impl Read, id: OrderId) -> Result<Option<Order>, Error> {
    one(read, concat!(select_order!(), "WHERE \"order\".id = ?1"), &id)
}

/// The order with this number.
pub fn by_number(read: &impl Read, number: &OrderNumber) -> Result<Option<Order>, Error> {
    one(read, concat!(select_order!(), "WHERE order_number = ?1"), number)
}

fn one(read: &impl Read, statement: &str, key: &impl Parameter) -> Result<Option<Order>, Error> {
    let order: Option<Order> = read.query_optional(statement, &params![key])?;
    let Some(order) = order else { return Ok(None) };
    let items = item::of_order(read, order.id)?;
    Ok(Some(Order { items, ..order }))
}

/// Adds an order with all that belongs to it.
pub fn insert(
    transaction: &Transaction,
    order: &Order,
    token: &Token,
    payment_due_at: Timestamp,
) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO \"order\" (id, user_id_ref, order_number, total_amount, status, payment_due_at, created_at, \
         updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &params![
            order.id,
            order.user_id_ref,
            order.order_number,
            order.total_amount,
            order.status,
            payment_due_at,
            order.created_at,
            order.updated_at
        ],
    )?;
    item::insert(transaction, order.id, &order.items)?;
    payment::insert(transaction, order.id, &order.payment, token)?;
    shipping::insert(transaction, order.id, &order.shipping)
}
