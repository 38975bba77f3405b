//! What the reports count: pure functions, without a database or a clock.

pub mod amount;
pub mod day;
pub mod order;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
