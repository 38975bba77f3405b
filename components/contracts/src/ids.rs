//! Ids: a type each, so that one cannot stand for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdError;

impl fmt::Display for IdError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("must be a UUID")
    }
}

impl std::error::Error for IdError {}

macro_rules! ids {
    ($( $(#[$attribute:meta])* $name:ident )+) => { $(
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
        impl FromStr for $name {
            type Err = IdError;

            /// Takes the form with hyphens alone, in lower or upper case; it is written in lower case.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let id = if text.len() == 36 { Uuid::parse_str(text).ok() } else { None };
                id.map(Self).ok_or(IdError)
            }
        }
    )+ };
}

ids! {
    /// Of a user.
    UserId
    /// Of a user's address.
    AddressId
    /// Of a user's preference.
    PreferenceId
    /// Of a category.
    CategoryId
    /// Of a product.
    ProductId
    /// Of a product's image.
    ImageId
    /// Of a product's review.
    ReviewId
    /// Of an order.
    OrderId
    /// Of a line of an order.
    OrderItemId
    /// Of an order's payment.
    PaymentId
    /// Of an order's shipping.
    ShippingId
}

impl UserId {
    /// Stands in events for a customer whose account was deleted: of an order that is theirs nothing says any more whose it was. The
    /// nil UUID, which is nobody's.
    pub const DELETED: Self = Self(Uuid::nil());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text_form() {
        let text = "0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e60";
        let id: ProductId = text.parse().expect("an id");
        assert_eq!(id.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for other in ["", "7", "0198f3a17c3e7d528a072f3c1d9b4e60", "{0198f3a1-7c3e-7d52-8a07-2f3c1d9b4e6}"] {
            assert_eq!(other.parse::<ProductId>(), Err(IdError), "{other}");
        }
        assert_eq!(IdError.to_string(), "must be a UUID");
    }
}
