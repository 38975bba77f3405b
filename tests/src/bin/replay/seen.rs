//! The shop's answers, as far as the replay looks at them.

use std::fmt;

use serde::Deserialize;

use crate::cents::Cents;

/// An order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Reserved,
    Paid,
    Shipped,
    Delivered,
    Rejected,
    Cancelled,
}

/// A payment's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaymentStatus {
    Pending,
    Captured,
    Declined,
    Refunded,
    Voided,
}

/// A parcel's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShippingStatus {
    Pending,
    Shipped,
    Delivered,
    Cancelled,
}

/// An order.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) order_number: String,
    pub(crate) user_id_ref: Option<String>,
    pub(crate) status: Status,
    pub(crate) total_amount: Cents,
    pub(crate) items: Vec<Item>,
    pub(crate) payment: Payment,
    pub(crate) shipping: Shipping,
}

/// A line of an order.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Item {
    pub(crate) product_id_ref: Option<String>,
    pub(crate) quantity: i64,
    pub(crate) unit_price: Cents,
    pub(crate) subtotal: Cents,
}

/// An order's payment.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Payment {
    pub(crate) payment_status: PaymentStatus,
    pub(crate) amount: Cents,
}

/// An order's parcel.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Shipping {
    pub(crate) shipping_status: ShippingStatus,
}

impl Order {
    /// What decides what happens to it next.
    pub(crate) fn state(&self) -> State {
        State { status: self.status, payment: self.payment.payment_status }
    }
}

/// An order's state with that of its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) payment: PaymentStatus,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} with a payment that is {:?}", self.status, self.payment)
    }
}

/// A product.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) sku: String,
    pub(crate) price: Cents,
}

/// A product's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Stock {
    pub(crate) available: i64,
    pub(crate) reserved: i64,
    pub(crate) sold: i64,
    pub(crate) added: i64,
}

/// What has an id.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// The revenue of the report.
#[derive(Debug, Deserialize)]
pub(crate) struct Revenue {
    pub(crate) items: Vec<RevenueLine>,
    pub(crate) total: Cents,
    /// None where all lines are there.
    pub(crate) next_cursor: Option<String>,
}

/// A department's revenue of a day.
#[derive(Debug, Deserialize)]
pub(crate) struct RevenueLine {
    pub(crate) revenue: Cents,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_parsed_from_the_answer_of_the_shop() {
        let order: Order = serde_json::from_str(
            r#"{"id": "o", "order_number": "N-1", "user_id_ref": "u", "status": "reserved", "total_amount": "3.98",
                "created_at": "2017-01-01T11:53:26Z", "updated_at": "2017-01-01T11:53:26Z",
                "items": [{"id": "i", "product_id_ref": "p", "product_name": "Tea", "unit_price": "1.99", "quantity": 2,
                           "subtotal": "3.98"}],
                "payment": {"id": "y", "payment_method": "card", "payment_status": "declined", "transaction_id": null,
                            "amount": "3.98", "paid_at": null},
                "shipping": {"id": "s", "recipient_name": "A", "shipping_status": "pending"}}"#,
        )
        .unwrap();
        assert_eq!(order.state(), State { status: Status::Reserved, payment: PaymentStatus::Declined });
        assert_eq!(order.total_amount, Cents::new(398));
        assert_eq!(order.shipping.shipping_status, ShippingStatus::Pending);
    }
}
