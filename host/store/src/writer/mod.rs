//! The one writer of a service: its lease, the unit of work, group commit, and what becomes of an aborted batch.
//!
//! ```text
//! Writer ──acquire──► Lease ──begin──► UnitOfWork ──finish──► Lease, and how it ended
//!                       │ push (the member's answer waits)          │
//!                       ├──────── commit ──► members, durable       │ aborted: the neighbours
//!                       └──────── release, with the batch open      └──► recover
//! ```
//!
//! A *batch* is one SQLite transaction. A *unit of work* is a savepoint in it. A *member* is what the caller keeps of a unit of work until
//! the batch is durable. The holder of the lease makes sure that the batch gets committed: it commits the batch itself, or passes the lease
//! on to a waiting thread.

mod abort;
mod commit;
mod crash;
mod faults;
mod lease;
mod recover;
mod session;
#[cfg(test)]
mod tests;
mod unit;

pub use abort::Abort;
pub use commit::Commit;
pub use faults::{CommitFault, CommitFaults};
pub use lease::{AfterCommit, Busy, Happened, Lease, Writer, WriterOptions};
pub use recover::{Fate, Recovered, recover};
pub use unit::{Ended, UnitOfWork};
