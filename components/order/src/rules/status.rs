//! The life of an order: what it is, and what makes it something else.
//!
//! [`next`] is the one place that says so. An order is taken on by it, its history is folded by it, and what it does not allow is
//! 409 `order-state` to a client and no matter of an event's, which came too late.

use bulkhead_sdk::choice;

choice! {
    /// Where an order stands.
    pub enum Status {
        /// Placed; its stock is not reserved yet.
        Pending = "pending",
        /// Its stock is reserved; it is not paid yet.
        Reserved = "reserved",
        /// It is paid.
        Paid = "paid",
        /// It is on its way.
        Shipped = "shipped",
        /// It has arrived.
        Delivered = "delivered",
        /// There was not enough stock.
        Rejected = "rejected",
        /// It will not be shipped.
        Cancelled = "cancelled",
    }
}

choice! {
    /// What happened to an order.
    pub enum Cause {
        /// It was placed.
        Placed = "placed",
        /// Every item of it was set aside.
        StockReserved = "stock-reserved",
        /// There was too little of an item.
        StockRejected = "stock-rejected",
        /// The payment was taken.
        PaymentCaptured = "payment-captured",
        /// The payment was declined; another may follow within the time allowed.
        PaymentDeclined = "payment-declined",
        /// The time to pay is over.
        PaymentOverdue = "payment-overdue",
        /// The customer cancelled it, or an admin for them.
        Cancelled = "cancelled",
        /// The customer's account was deleted.
        UserDeleted = "user-deleted",
        /// It was given to a carrier.
        Shipped = "shipped",
        /// It arrived.
        Delivered = "delivered",
    }
}

choice! {
    /// How an order's payment stands.
    pub enum PaymentStatus {
        /// Not decided yet.
        Pending = "pending",
        /// Taken.
        Captured = "captured",
        /// Declined; another may follow within the time allowed.
        Declined = "declined",
        /// Taken, and given back.
        Refunded = "refunded",
        /// Never taken, and never will be.
        Voided = "voided",
    }
}

choice! {
    /// How an order's shipping stands.
    pub enum ShippingStatus {
        /// Not on its way.
        Pending = "pending",
        /// On its way.
        Shipped = "shipped",
        /// Arrived.
        Delivered = "delivered",
        /// Never to be shipped.
        Cancelled = "cancelled",
    }
}

/// What an order is after something happened to it; none before it is placed, and none where that cannot happen to it.
pub fn next(status: Option<Status>, cause: Cause) -> Option<Status> {
    use Status::{Cancelled, Delivered, Paid, Pending, Rejected, Reserved, Shipped};
    match (status, cause) {
        (None, Cause::Placed) => Some(Pending),
        (Some(Pending), Cause::StockReserved) => Some(Reserved),
        (Some(Pending), Cause::StockRejected) => Some(Rejected),
        (Some(Reserved), Cause::PaymentCaptured) => Some(Paid),
        (Some(Reserved), Cause::PaymentDeclined) => Some(Reserved),
        (Some(Pending | Reserved), Cause::PaymentOverdue) => Some(Cancelled),
        (Some(Pending | Reserved | Paid), Cause::Cancelled | Cause::UserDeleted) => Some(Cancelled),
        (Some(Paid), Cause::Shipped) => Some(Shipped),
        (Some(Shipped), Cause::Delivered) => Some(Delivered),
        _ => None,
    }
}

impl Status {
    /// This can happen to such an order.
    pub fn takes(self, cause: Cause) -> bool {
        next(Some(self), cause).is_some()
    }

    /// It may yet be shipped. Until then the names of its items follow those of the products.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Reserved | Self::Paid)
    }

    /// How its payment stands after this was what made the order so.
    pub fn payment(self, before: PaymentStatus, cause: Cause) -> PaymentStatus {
        match (self, before) {
            (Self::Rejected | Self::Cancelled, PaymentStatus::Captured) => PaymentStatus::Refunded,
            (Self::Rejected | Self::Cancelled, _) => PaymentStatus::Voided,
            (Self::Paid, _) => PaymentStatus::Captured,
            (Self::Reserved, _) if cause == Cause::PaymentDeclined => PaymentStatus::Declined,
            (Self::Pending | Self::Reserved | Self::Shipped | Self::Delivered, before) => before,
        }
    }

    /// How its shipping stands.
    pub fn shipping(self) -> ShippingStatus {
        match self {
            Self::Pending | Self::Reserved | Self::Paid => ShippingStatus::Pending,
            Self::Shipped => ShippingStatus::Shipped,
            Self::Delivered => ShippingStatus::Delivered,
            Self::Rejected | Self::Cancelled => ShippingStatus::Cancelled,
        }
    }
}

/// What an order was after each thing that happened to it, in their order; none where they are no life of an order.
pub fn fold(causes: impl IntoIterator<Item = Cause>) -> Option<Vec<Status>> {
    let mut status = None;
    causes
        .into_iter()
        .map(|cause| {
            status = next(status, cause);
            status
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [Status; 7] = [
        Status::Pending,
        Status::Reserved,
        Status::Paid,
        Status::Shipped,
        Status::Delivered,
        Status::Rejected,
        Status::Cancelled,
    ];
    const CAUSES: [Cause; 10] = [
        Cause::Placed,
        Cause::StockReserved,
        Cause::StockRejected,
        Cause::PaymentCaptured,
        Cause::PaymentDeclined,
        Cause::PaymentOverdue,
        Cause::Cancelled,
        Cause::UserDeleted,
        Cause::Shipped,
        Cause::Delivered,
    ];

    /// Every status with every cause: the columns are those of `CAUSES`, the rows none and those of `STATUSES`.
    const TABLE: &str = "\
        pending   -        -        -    -        -         -         -         -       -
        -         reserved rejected -    -        cancelled cancelled cancelled -       -
        -         -        -        paid reserved cancelled cancelled cancelled -       -
        -         -        -        -    -        -         cancelled cancelled shipped -
        -         -        -        -    -        -         -         -         -       delivered
        -         -        -        -    -        -         -         -         -       -
        -         -        -        -    -        -         -         -         -       -
        -         -        -        -    -        -         -         -         -       -";

    #[test]
    fn every_status_transition_matches_the_table() {
        let before = [None].into_iter().chain(STATUSES.map(Some));
        let rows: Vec<&str> = TABLE.lines().collect();
        assert_eq!(rows.len(), STATUSES.len() + 1);
        for (status, row) in before.zip(rows) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            assert_eq!(cells.len(), CAUSES.len());
            for (cause, expected) in CAUSES.into_iter().zip(cells) {
                let found = next(status, cause).map_or("-", Status::as_str);
                assert_eq!(found, expected, "{status:?} {cause}");
                if let Some(status) = status {
                    assert_eq!(status.takes(cause), expected != "-", "{status:?} {cause}");
                }
            }
        }
    }

    #[test]
    fn statuses_and_causes_round_trip_through_their_text() {
        for status in STATUSES {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for cause in CAUSES {
            assert_eq!(cause.as_str().parse(), Ok(cause));
        }
    }

    /// Every life of an order, as what happened to it.
    fn lives(so_far: &[Cause], found: &mut Vec<Vec<Cause>>) {
        let status = fold(so_far.iter().copied()).expect("a life").last().copied();
        for cause in CAUSES {
            let declines = so_far.iter().filter(|earlier| **earlier == Cause::PaymentDeclined).count();
            if next(status, cause).is_some() && declines < 3 {
                let mut longer = so_far.to_vec();
                longer.push(cause);
                lives(&longer, found);
                found.push(longer);
            }
        }
    }

    #[test]
    fn the_payment_is_settled_exactly_when_the_order_is_neither_pending_nor_reserved() {
        let mut found = Vec::new();
        lives(&[], &mut found);
        let ends: Vec<Status> = found.iter().filter_map(|life| fold(life.iter().copied())?.pop()).collect();
        assert!(STATUSES.iter().all(|status| ends.contains(status)), "{ends:?}");
        for life in found {
            let statuses = fold(life.iter().copied()).expect("a life");
            let mut payment = PaymentStatus::Pending;
            for (status, cause) in statuses.into_iter().zip(&life) {
                let before = payment;
                payment = status.payment(before, *cause);
                let settled = matches!(
                    payment,
                    PaymentStatus::Captured | PaymentStatus::Refunded | PaymentStatus::Voided
                );
                assert_eq!(settled, !matches!(status, Status::Pending | Status::Reserved), "{life:?}");
                // Money that was taken is kept or given back.
                let had = matches!(before, PaymentStatus::Captured | PaymentStatus::Refunded);
                let has = matches!(payment, PaymentStatus::Captured | PaymentStatus::Refunded);
                assert!(has || !had, "{life:?}");
                let ended = matches!(status, Status::Rejected | Status::Cancelled);
                assert_eq!(status.shipping() == ShippingStatus::Cancelled, ended, "{life:?}");
                assert_eq!(payment == PaymentStatus::Captured, !ended && has, "{life:?}");
            }
        }
    }

    #[test]
    fn an_order_is_open_until_it_is_shipped_or_ends() {
        let open: Vec<Status> = STATUSES.into_iter().filter(|status| status.is_open()).collect();
        assert_eq!(open, [Status::Pending, Status::Reserved, Status::Paid]);
    }

    #[test]
    fn a_declined_payment_stays_declined_until_it_is_retried_or_ends() {
        let payment = Status::Reserved.payment(PaymentStatus::Pending, Cause::PaymentDeclined);
        assert_eq!(payment, PaymentStatus::Declined);
        assert_eq!(
            Status::Reserved.payment(PaymentStatus::Pending, Cause::StockReserved),
            PaymentStatus::Pending
        );
        assert_eq!(Status::Cancelled.payment(payment, Cause::PaymentOverdue), PaymentStatus::Voided);
    }

    #[test]
    fn an_impossible_sequence_of_causes_has_no_history() {
        assert_eq!(fold([]), Some(vec![]));
        assert_eq!(fold([Cause::StockReserved]), None);
        assert_eq!(fold([Cause::Placed, Cause::Placed]), None);
        assert_eq!(
            fold([Cause::Placed, Cause::StockReserved, Cause::PaymentDeclined, Cause::PaymentOverdue]),
            Some(vec![Status::Pending, Status::Reserved, Status::Reserved, Status::Cancelled])
        );
    }
}
