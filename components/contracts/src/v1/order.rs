//! Events of the order service. None carries the address or the payment's token. Of an order whose customer's account was deleted before
//! the event, the customer is [`UserId::DELETED`].

use serde::{Deserialize, Serialize};

use super::{Shortage, event};
use crate::{Money, OrderId, PaymentId, ProductId, UserId};

/// A line of an order, with its price frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// How many, 1 to 10000.
    pub quantity: u32,
    /// The price of one.
    pub unit_price: Money,
}

/// `order.placed`: a customer wants these items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The order; the subject.
    pub id: OrderId,
    /// The number that people use.
    pub order_number: String,
    /// The customer.
    pub user_id: UserId,
    /// What is ordered, each product once.
    pub items: Vec<OrderLine>,
    /// The sum of the items.
    pub total_amount: Money,
    /// When: RFC 3339, UTC.
    pub placed_at: String,
}

/// `order.paid`: the payment was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaid {
    /// The order; the subject.
    pub id: OrderId,
    /// The customer.
    pub user_id: UserId,
    /// The order's payment.
    pub payment_id: PaymentId,
    /// What was taken.
    pub amount: Money,
    /// When: RFC 3339, UTC.
    pub paid_at: String,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// The customer, or an admin for them.
    Customer,
    /// It was not paid in time, or the payment was declined for good.
    Payment,
    /// The customer's account was deleted.
    UserDeleted,
}

/// `order.cancelled`: the order will not be shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order; the subject.
    pub id: OrderId,
    /// The customer.
    pub user_id: UserId,
    /// Why.
    pub reason: CancelReason,
}

/// `order.rejected`: there was not enough stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// The order; the subject.
    pub id: OrderId,
    /// The customer.
    pub user_id: UserId,
    /// What was missing.
    pub shortages: Vec<Shortage>,
}

/// `order.shipped`: the order is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderShipped {
    /// The order; the subject.
    pub id: OrderId,
    /// The customer.
    pub user_id: UserId,
    /// Who carries it. The carrier's number for it is personal, and in no event.
    pub carrier: String,
}

/// `order.delivered`: the order has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDelivered {
    /// The order; the subject.
    pub id: OrderId,
    /// The customer.
    pub user_id: UserId,
}

event!(OrderPlaced, "order.placed", id);
event!(OrderPaid, "order.paid", id);
event!(OrderCancelled, "order.cancelled", id);
event!(OrderRejected, "order.rejected", id);
event!(OrderShipped, "order.shipped", id);
event!(OrderDelivered, "order.delivered", id);
