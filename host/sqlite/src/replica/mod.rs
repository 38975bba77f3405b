//! The tables of replicas: see `bulkhead_store::Replicas`.
//!
//! `refill.rs` says how a replica gets its rows if it is new, or if its declaration has changed.

mod apply;
mod refill;
pub(crate) mod sql;
mod stage;
