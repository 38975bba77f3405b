//! What the shop decides about its catalogue: pure functions, without a database or a clock.

pub mod category;
pub mod image;
pub mod line;
pub mod reservation;
pub mod review;
pub mod search;
pub mod stock;
pub mod words;
