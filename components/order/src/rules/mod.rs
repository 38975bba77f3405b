//! What the shop decides about its orders: pure functions, without a database, a clock or randomness.

pub mod access;
pub mod basket;
pub mod gateway;
pub mod number;
pub mod payment;
pub mod status;
pub mod timeout;
