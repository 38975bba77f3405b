//! The tests of the shop's components: a module for each service, `saga` for what several do together, `harness` for the harness itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helper functions too"
)]

mod chance;
mod harness;
mod order;
mod product;
mod report;
mod saga;
mod user;
