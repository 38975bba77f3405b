//! Why a migration was refused or failed.

use bulkhead_types::HOST_TABLE_PREFIX;

use crate::EngineError;

/// Why a migration was refused or failed. The database is as it was, except after [`MigrationError::OutcomeUnknown`].
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The versions are not 1, 2, 3, ….
    #[error(
        "the component's migrations are numbered 1, 2, 3, … without a gap, and number {place} is V{found:04}; renumber it"
    )]
    Gap {
        /// The place in the list, from 1.
        place: u32,
        /// The number at that place.
        found: u32,
    },
    /// The SQL of an applied migration has changed.
    #[error(
        "V{version:04}__{name} was applied as {recorded_name} with SHA-256 {recorded} and now has {found}; an applied \
         migration never changes: restore it, and put the change into a new one, V{next:04}"
    )]
    Edited {
        /// Its number.
        version: u32,
        /// Its name now.
        name: String,
        /// Its name then.
        recorded_name: String,
        /// Its checksum then.
        recorded: String,
        /// Its checksum now.
        found: String,
        /// The first free number.
        next: u32,
    },
    /// The database is newer than the component.
    #[error(
        "the database has V{recorded:04}, and the component's migrations end at V{known:04}; run the version of the \
         component that made it, or a later one"
    )]
    Newer {
        /// The last migration in the database.
        recorded: u32,
        /// The last that the component has.
        known: u32,
    },
    /// The component is an earlier version, and a step that it does not know can't be undone.
    #[error(
        "V{version:04}__{name} can't be undone: it has no reverse SQL; deploy a version that goes on from V{last:04}, with a migration \
         that takes back what is to be taken back"
    )]
    Irreversible {
        /// The step's number.
        version: u32,
        /// Its name.
        name: String,
        /// The last migration in the database.
        last: u32,
    },
    /// Its time was over, or the host was stopped.
    #[error("V{version:04}__{name} was ended: it took longer than it may, or the host was stopped")]
    TooLong {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
    },
    /// The time was over while the result of the steps was checked.
    #[error("looking whether every foreign key points to something took longer than it may")]
    ChecksTooLong,
    /// A statement does what a migration may not do.
    #[error("V{version:04}__{name} does what a migration may not do: {reason}")]
    Refused {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
        /// What the statement does.
        reason: String,
    },
    /// The reverse SQL of a step fails.
    #[error(
        "the reverse SQL of V{version:04}__{name} fails: {why}; correct it, or leave it out: then the step can't be undone"
    )]
    ReverseFailed {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The reverse SQL of a step leaves a schema that differs from the one before.
    #[error(
        "the reverse SQL of V{version:04}__{name} does not bring back the schema that was there before: {differences}; correct it, or leave \
         it out: then the step can't be undone"
    )]
    NotRestored {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
        /// What is missing, and what is there in addition.
        differences: String,
    },
    /// A statement failed.
    #[error("V{version:04}__{name}: {message}")]
    Failed {
        /// Its number.
        version: u32,
        /// Its name.
        name: String,
        /// The database's text.
        message: String,
    },
    /// Foreign keys point nowhere after the steps.
    #[error(
        "after the migrations {count} rows have foreign keys that point nowhere, the first in table {table}, to table \
         {parent}; move or delete those rows in the migration"
    )]
    DanglingKeys {
        /// How many rows.
        count: usize,
        /// The first one's table.
        table: String,
        /// The table that it points to.
        parent: String,
    },
    /// After the steps an object has, or points to, a name that is reserved for the host.
    #[error(
        "after the migrations there is {name}: names that begin with {HOST_TABLE_PREFIX} are the host's; choose another"
    )]
    HostName {
        /// The name.
        name: String,
    },
    /// After the steps a foreign key points to a replica.
    #[error(
        "after the migrations a foreign key of the table {table} points to the replica {replica}, whose rows come and go as their owner \
         says; leave the key out: `bulkhead check` looks at columns named {replica}_id_ref"
    )]
    KeyToReplica {
        /// The table that has the key.
        table: String,
        /// The replica.
        replica: String,
    },
    /// COMMIT failed. The database is as it was, and this is final.
    #[error("commit the migrations: {0}; the database is as it was")]
    Commit(EngineError),
    /// COMMIT failed, and so did the attempt to make the outcome final.
    #[error("commit the migrations: {reason}; {seen}")]
    OutcomeUnknown {
        /// The database's message.
        reason: String,
        /// What the database has now. After a crash this may be different.
        seen: Seen,
    },
    /// The host's own part failed.
    #[error("{0}")]
    Host(#[from] EngineError),
}

/// What a database has after a COMMIT whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Seen {
    /// What the transaction was to write.
    #[error("the database has the new schema and version now, and may lose them if the machine fails")]
    New,
    /// What it had before.
    #[error(
        "the database is as it was now; if the host ends before the service's next commit, it may start with the new schema and version"
    )]
    Before,
    /// It can't be read.
    #[error("the database can't be read: the next start finds out whether it has the new schema and version")]
    Unreadable,
}
