//! What the host needs from a database, whatever the engine: the unit of work, the event log, snapshots, migrations.
//!
//! Everything above this crate uses these traits and types, and no engine. An engine is a crate that implements [`Engine`]. The server
//! chooses it in one place.
//!
//! This crate knows neither HTTP nor wasm: the caller chooses the type of a batch's members.

mod commit_notifier;
mod database;
mod engine_error;
mod error;
mod event;
mod event_log;
mod folder;
mod idempotency;
mod inbox;
mod inspect;
mod migration_error;
mod migrations;
mod open_readers;
mod owner;
mod replica;
mod replicas;
mod snapshot;
mod timer;
mod value;
mod versions;
mod writer;

pub use commit_notifier::{CommitNotifier, Waker};
pub use database::{Checkpointer, Database, Engine, Settings, Writable};
pub use engine_error::EngineError;
pub use error::{Constraint, ConstraintKind, PublishError, StatementError, StoreError};
pub use event::{Damage, Logged, NewEvent, check_subject, digest};
pub use event_log::{AppendEvent, EventLog, MemoryLog, OpenLog};
pub use folder::{DataFolder, FileIdentity};
pub use idempotency::{KeepAnswers, KeptAnswer, Known, RequestKey, Secret, subject_hash};
pub use inbox::{Cursor, Inbox, InboxReader, Parked, ParkedState};
pub use inspect::{Inspector, Reference};
pub use migration_error::{MigrationError, Seen};
pub use migrations::{Migration, Migrations, Rehearsed, Step, Upgrade, Upgraded, Upgrader};
pub use open_readers::OpenReaders;
pub use owner::{FindOwner, OwnedRows, Owner, RowSource};
pub use replica::{ApplyError, ColumnType, NOT_MADE_FROM, ReplicaColumn, ReplicaSpec, is_replica_name};
pub use replicas::{ChangeReplicas, Filled, Refill, Replicas};
pub use snapshot::Reader;
pub use timer::{SetTimers, Timers};
pub use value::{ExecuteResult, ResultSet, Value};
pub use versions::{Activation, How, Versions};
pub use writer::{
    Abort, AfterCommit, Busy, Commit, CommitFault, CommitFaults, Ended, Fate, Happened, Lease, NotBegun,
    Recovered, UnitOfWork, Writer, WriterOptions, recover,
};
