//! What the system tests, the benchmark and the shop replay stand on: the host as a process of its own, a small HTTP client, manifests and
//! a look into the databases.
//!
//! Nothing here links the host: it is run as a user runs it. Nothing sleeps: what must be waited for is an event (a line that
//! the host prints, an answer, the end of a process), and each wait has a bound. All that a test makes lies in a folder of its
//! own, and each host listens on a port that the system chose, so that tests run beside one another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails a test by panicking, with the reason in the message"
)]

pub mod admin;
pub mod client;
mod compiled;
pub mod copy;
pub mod database;
pub mod host;
pub mod manifest;
pub mod mutants;
pub mod paths;
pub mod random;
pub mod raw;
pub mod shop;
pub mod site;
pub mod token;
pub mod tutorial;
pub mod versions;

pub use admin::Admin;
pub use client::{Answer, Client};
pub use host::{Customer, Finished, Host};
pub use manifest::Manifest;
pub use random::Random;
pub use site::Site;
