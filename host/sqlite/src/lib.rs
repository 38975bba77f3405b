//! A service's private database in SQLite: the engine behind `bulkhead_store`.
//!
//! Invariants, each enforced in the file named:
//!
//! - SQLite is opened in `connection.rs` only. Every statement of a guest runs in `statement.rs` only, under the authorizer of
//!   `authorizer.rs`.
//! - One writer: all writes of a service go through its `Writer`, under its lease (`writer/lease.rs`).
//! - What a unit of work writes is released into an open batch or rolled back, as a whole (`writer/unit.rs`). A member of a batch is
//!   reported durable only after COMMIT returned, or after the database was read again (`writer/commit.rs`).
//! - A failed COMMIT is reported as undone, or as durable, only after a later commit has made that final (`settle.rs`).
//! - An aborted batch loses no member: each is run again or gets an error (`bulkhead_store::recover`).

mod authorizer;
mod checkpoint;
mod connection;
mod database;
mod error;
mod event_log;
#[cfg(test)]
mod failing_sync;
mod idempotency;
mod inbox;
mod inspect;
mod limits;
mod migrations;
mod outbox;
mod replica;
mod replica_names;
mod row;
mod settle;
mod snapshot;
mod snapshot_gate;
mod statement;
mod system;
mod timeline;
mod timer;
mod tokens;
mod trial;
mod value;
mod versions;
mod writer;

use connection::Database;
use inbox::InboxReader;
use inspect::Inspector;
use snapshot::Reader;
use writer::{UnitOfWork, Writer};

pub use database::Sqlite;
