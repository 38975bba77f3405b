//! What the service tells itself, later: its durable timers. Nobody else gets them, so they are not among the contracts; what is on its
//! way when a new version takes over must still be read by it.

use std::borrow::Cow;

use bulkhead_contracts::{OrderId, UserId};
use bulkhead_sdk::Event;
use bulkhead_sdk::serde::{Deserialize, Serialize};

/// The time to pay an order is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct PaymentDue {
    /// The order; the subject.
    pub order_id: OrderId,
}

/// An attempt to pay an order is to be tried, for the first time or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct PaymentAttempt {
    /// The order; the subject.
    pub order_id: OrderId,
    /// Which of its attempts.
    pub attempt: i64,
}

/// More orders of a deleted user are to be ended and forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct ForgetUser {
    /// The user; the subject.
    pub user_id: UserId,
}

macro_rules! timers {
    ($($name:ident $type:literal $subject:ident),+ $(,)?) => { $(
        impl Event for $name {
            const TYPE: &'static str = $type;

            fn subject(&self) -> Cow<'_, str> {
                Cow::Owned(self.$subject.to_string())
            }
        }
    )+ };
}

timers! {
    PaymentDue "order.payment-due" order_id,
    PaymentAttempt "order.payment-attempt" order_id,
    ForgetUser "order.forget-user" user_id,
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;
    use bulkhead_sdk::serde_json::{Value, from_value, json, to_value};

    use super::*;

    #[track_caller]
    fn is_kept_as<E: Event + PartialEq + std::fmt::Debug>(timer: &E, event_type: &str, data: Value) {
        assert_eq!(E::TYPE, event_type);
        assert_eq!(to_value(timer).expect("JSON"), data);
        assert_eq!(timer.subject(), Uuid::from_u128(7).to_string());
        assert_eq!(&from_value::<E>(data).expect("a timer"), timer);
    }

    #[test]
    fn timers_set_by_one_version_are_read_by_the_next() {
        let id = Uuid::from_u128(7);
        let (order_id, user_id) = (OrderId::from(id), UserId::from(id));
        is_kept_as(&PaymentDue { order_id }, "order.payment-due", json!({"order_id": id}));
        let attempt = PaymentAttempt { order_id, attempt: 2 };
        is_kept_as(&attempt, "order.payment-attempt", json!({"order_id": id, "attempt": 2}));
        is_kept_as(&ForgetUser { user_id }, "order.forget-user", json!({"user_id": id}));
    }
}
