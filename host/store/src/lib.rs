//! A service's private SQLite database: the unit of work, the event log, the migrations.
//!
//! Invariants, each enforced in the file named:
//!
//! - SQLite is opened in `connection.rs` only. Every statement of a guest runs in `statement.rs` only, under the authorizer of
//!   `authorizer.rs`.
//! - One writer: all writes of a service go through its [`Writer`], under its lease (`writer/lease.rs`).
//! - What a unit of work writes is released into an open batch or rolled back, as a whole (`writer/unit.rs`). A member of a batch is
//!   reported durable only after COMMIT returned, or after the database was read again (`writer/commit.rs`).
//! - A failed COMMIT is reported as undone, or as durable, only after a later commit has made that final (`settle.rs`).
//! - An aborted batch loses no member: each is run again or gets an error (`writer/recover.rs`).
//!
//! This crate knows neither HTTP nor wasm: the caller chooses the type of a batch's members.

mod authorizer;
mod checkpoint;
mod commit_notifier;
mod connection;
mod error;
mod event_log;
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
pub use commit_notifier::Waker;
pub use connection::{Database, Settings, sqlite_version};
pub use error::{Constraint, ConstraintKind, PublishError, StatementError, StoreError};
pub use event_log::{AppendEvent, EventLog, MemoryLog, OpenLog};
pub use folder::{DataFolder, FileIdentity};
pub use idempotency::{KeptAnswer, Known, RequestKey};
pub use inbox::{Cursor, InboxReader, Parked, ParkedState};
pub use inspect::{Inspector, Reference};
pub use migrations::{
    Migration, MigrationError, Outcome as MigrationOutcome, Rehearsed, Seen, Step, Upgrade, Upgrader,
};
pub use outbox::{Damage, Logged, NewEvent};
pub use replica::{
    ApplyError, ColumnType, Filled, FindOwner, OwnedRows, Owner, Refill, ReplicaColumn, ReplicaSpec,
    RowSource, is_replica_name,
};
pub use snapshot::Reader;
pub use timer::Timers;
pub use value::{Outcome, ResultSet, Value};
pub use versions::{Activation, How};
pub use writer::{
    Abort, AfterCommit, Busy, Commit, CommitFault, CommitFaults, Ended, Fate, Happened, Lease, Recovered,
    UnitOfWork, Writer, WriterOptions, recover,
};
