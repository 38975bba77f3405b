//! What the services of the shop share: value types, and the payloads of their events by version.
//!
//! A payload's fields never change once they are released: what another service newly needs goes into a new version. Each has a
//! golden file under `golden/`, which a test compares both ways.
//!
//! With the feature `sdk` the types also are values and events of the guest SDK, and there are the roles of the shop; without it, nothing
//! of the guest side is built.

mod country;
mod ids;
mod line;
mod money;
#[cfg(feature = "sdk")]
mod sdk;
pub mod v1;

pub use country::Country;
pub use ids::{
    AddressId, CategoryId, IdError, ImageId, OrderId, OrderItemId, PaymentId, PreferenceId, ProductId,
    ReviewId, ShippingId, UserId,
};
pub use line::{AddressLine, City, Line, PERSON_NAME_MAX, PostalCode, State};
pub use money::{Money, MoneyError};
#[cfg(feature = "sdk")]
pub use sdk::{Admin, Customer, TypedMoney};
