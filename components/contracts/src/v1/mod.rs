//! The payloads of the events, version 1. State-carrying ones hold what other services keep of an entity; facts hold what
//! happened.

mod order;
mod product;
mod user;

pub use order::{
    CancelReason, OrderCancelled, OrderDelivered, OrderLine, OrderPaid, OrderPlaced, OrderRejected,
    OrderShipped,
};
pub use product::{
    CategoryChanged, ProductChanged, ProductDeleted, Shortage, StockLine, StockRejected, StockReleased,
    StockReserved,
};
pub use user::{UserChanged, UserDeleted};

/// Gives a payload its type and its subject.
macro_rules! event {
    ($name:ident, $type:literal, $subject:ident) => {
        impl $name {
            /// The event's type.
            pub const TYPE: &'static str = $type;

            /// The event's subject: the key that events are kept in order by.
            pub fn subject(&self) -> String {
                self.$subject.to_string()
            }
        }
    };
}
use event;

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::fs;
    use std::path::Path;

    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    /// The golden file reads as the payload, and the payload writes as the golden file: so no field is lost, added or renamed.
    fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(event_type: &str) -> T {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/v1/{event_type}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let payload: T =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{event_type}: {error}"));
        assert_eq!(serde_json::to_value(&payload).expect("JSON"), value, "{event_type}");
        payload
    }

    macro_rules! golden_tests {
        ($($test:ident: $name:ident),+ $(,)?) => {
            $(
                #[test]
                fn $test() {
                    let payload: $name = golden($name::TYPE);
                    assert!(!payload.subject().is_empty());
                }
            )+

            #[test]
            fn every_golden_file_has_a_test() {
                let mut files: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1"))
                    .expect("the folder")
                    .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                    .collect();
                files.sort();
                let mut expected = vec![$(format!("{}.json", $name::TYPE)),+];
                expected.sort();
                assert_eq!(files, expected);
            }
        };
    }

    /// The number was in it before the first release, and is still in logs from then.
    #[test]
    fn an_old_order_shipped_event_is_read_without_its_tracking_number() {
        let payload: OrderShipped = golden(OrderShipped::TYPE);
        let mut value = serde_json::to_value(&payload).expect("JSON");
        value["tracking_number"] = "TRK-1".into();
        assert_eq!(serde_json::from_value::<OrderShipped>(value).expect("a payload"), payload);
    }

    golden_tests! {
        category_changed_is_as_released: CategoryChanged,
        order_cancelled_is_as_released: OrderCancelled,
        order_delivered_is_as_released: OrderDelivered,
        order_paid_is_as_released: OrderPaid,
        order_placed_is_as_released: OrderPlaced,
        order_rejected_is_as_released: OrderRejected,
        order_shipped_is_as_released: OrderShipped,
        product_changed_is_as_released: ProductChanged,
        product_deleted_is_as_released: ProductDeleted,
        stock_rejected_is_as_released: StockRejected,
        stock_released_is_as_released: StockReleased,
        stock_reserved_is_as_released: StockReserved,
        user_changed_is_as_released: UserChanged,
        user_deleted_is_as_released: UserDeleted,
    }
}
