//! What the shop decides about its users: pure functions, without a database, a clock or randomness.

pub mod access;
pub mod address;
pub mod admin;
pub mod email;
pub mod login;
pub mod password;
pub mod preference;
pub mod signing;
