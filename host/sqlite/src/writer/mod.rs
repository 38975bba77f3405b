//! The one writer of a service: its lease, the unit of work, group commit, and what becomes of an aborted batch.
//!
//! A *batch* is one SQLite transaction. A *unit of work* is a savepoint in it. `bulkhead_store` says what the others are.

mod commit;
mod crash;
mod lease;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod unit;

pub(crate) use lease::Writer;
pub(crate) use unit::UnitOfWork;
