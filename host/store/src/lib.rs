//! A service's private SQLite database: the unit of work, the event log, the migrations.
//!
//! Invariants, each held in the file named:
//!
//! - SQLite is opened in `connection.rs` alone, and every statement of a guest runs in `statement.rs` alone, under the
//!   authorizer of `authorizer.rs`.
//! - One writer: all writes of a service go through its [`Writer`], whoever holds its lease (`writer/lease.rs`).
//! - What a unit of work writes is released into an open batch or rolled back, whole (`writer/unit.rs`); a member of a batch
//!   is told that it is durable only after COMMIT returned, or after looking (`writer/commit.rs`).
//! - A lost batch loses no member: each is run again or told (`writer/recover.rs`).
//!
//! This crate knows neither HTTP nor wasm: a member of a batch is whatever type the caller gives.

mod authorizer;
mod checkpoint;
mod connection;
mod error;
mod folder;
mod migrations;
mod outbox;
mod snapshot;
mod statement;
mod system;
mod value;
mod writer;

pub use checkpoint::Checkpointer;
pub use connection::{Database, Settings};
pub use error::{Constraint, ConstraintKind, PublishError, StatementError, StoreError};
pub use folder::{DataFolder, FileIdentity};
pub use migrations::{Migration, MigrationError, Outcome as MigrationOutcome};
pub use outbox::{LogReader, NewEvent, Published};
pub use snapshot::Reader;
pub use value::{Outcome, ResultSet, Value};
pub use writer::{
    AfterPublish, Busy, Commit, Ended, Fate, Lease, Loss, Recovered, UnitOfWork, Writer, WriterOptions,
    recover,
};
