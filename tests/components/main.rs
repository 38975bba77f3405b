//! The tests of the shop's components: a module for each service, and `saga` for what several do together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helper functions too"
)]

mod order;
mod report;
mod saga;
