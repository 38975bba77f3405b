//! A service's private SQLite database: the unit of work, the event log, the migrations.
//!
//! Invariants, each held in the file named:
//!
//! - SQLite is opened in `connection.rs` alone, and every statement of a guest runs in `statement.rs` alone, under the
//!   authorizer of `authorizer.rs`.
//! - One writer: all writes of a service go through its [`Writer`], whoever holds its lease (`writer/lease.rs`).
//! - What a unit of work writes is released into an open batch or rolled back, whole (`writer/unit.rs`); a member of a batch
//!   is told that it is durable only after COMMIT returned, or after looking (`writer/commit.rs`).
//! - Nobody is told that a failed COMMIT was undone, or was not, before a later commit has made it final (`settle.rs`).
//! - An aborted batch loses no member: each is run again or told (`writer/recover.rs`).
//!
//! This crate knows neither HTTP nor wasm: a member of a batch is whatever type the caller gives.

mod authorizer;
mod checkpoint;
mod connection;
mod error;
#[cfg(test)]
mod failing_sync;
mod folder;
mod idempotency;
mod inbox;
mod inspect;
mod migration_error;
mod migrations;
mod outbox;
mod replica;
mod replica_names;
mod settle;
mod snapshot;
mod snapshot_gate;
mod statement;
mod system;
mod time;
mod timeline;
mod timer;
mod tokens;
mod trial;
mod value;
mod versions;
mod writer;

pub use checkpoint::Checkpointer;
pub use connection::{Database, Settings, sqlite_version};
pub use error::{Constraint, ConstraintKind, PublishError, StatementError, StoreError};
pub use folder::{DataFolder, FileIdentity};
pub use idempotency::{KeptAnswer, Known, RequestKey};
pub use inbox::{Cursor, InboxReader, Parked, ParkedState};
pub use inspect::{Inspector, Reference};
pub use migrations::{
    Migration, MigrationError, Outcome as MigrationOutcome, Rehearsed, Seen, Step, Upgrade, Upgrader,
};
pub use outbox::{Damage, LogReader, Logged, NewEvent};
pub use replica::{
    ApplyError, ColumnType, Filled, FindOwner, Owner, Refill, ReplicaColumn, ReplicaSpec, RowSource,
    is_replica_name,
};
pub use snapshot::Reader;
pub use timer::Timers;
pub use value::{Outcome, ResultSet, Value};
pub use versions::{Activation, How};
pub use writer::{
    Abort, AfterCommit, Busy, Commit, CommitFault, CommitFaults, Ended, Fate, Happened, Lease, Recovered,
    UnitOfWork, Writer, WriterOptions, recover,
};
