//! Brings a database to the schema of its component. Each step is applied once and recorded with its checksum, all of them in one
//! transaction.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::{Activation, StoreError};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, … without a gap.
    pub version: u32,
    /// For example `create_note`.
    pub name: String,
    /// One or more statements.
    pub sql: String,
    /// The SQL that undoes the step; none if it can't be undone.
    pub reverse: Option<String>,
}

/// From the current schema to the one that a component needs.
#[derive(Clone, Copy, Default)]
pub struct Upgrade<'a> {
    /// The component's steps.
    pub migrations: &'a [Migration],
    /// The steps of the version that is replaced, to undo them: only the version that has a step can say what undoes it. Empty for an
    /// upgrade that only applies steps.
    pub leaving: &'a [Migration],
    /// Written in the same transaction.
    pub activation: Option<&'a Activation>,
    /// The time at which its statements are interrupted.
    pub until: Option<Instant>,
    /// Its statements are also interrupted as soon as this is set.
    pub stop: Option<&'a Arc<AtomicBool>>,
    /// Called when all is done except the COMMIT.
    pub before_commit: Option<&'a dyn Fn()>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// The steps that were undone, the last first.
    pub undone: Vec<Step>,
    /// The steps that were applied.
    pub applied: Vec<Step>,
    /// The version of the schema.
    pub version: u32,
}

impl Upgraded {
    /// The versions of the steps that were applied.
    #[must_use]
    pub fn applied_versions(&self) -> Vec<u32> {
        self.applied.iter().map(|step| step.version).collect()
    }
}

/// A step, with how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// How long its statements ran.
    pub took: Duration,
}

/// What a rehearsal showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// What was done.
    pub outcome: Upgraded,
    /// How long it took.
    pub took: Duration,
    /// The steps whose reverse SQL leaves the columns of a table in another order, each with its version, its name and the table.
    pub reordered: Vec<(u32, String, String)>,
}

/// Brings a database to the schema of a component.
pub trait Migrations {
    /// Applies those of `migrations` that are not applied yet, all or none. `now` is the time to record (RFC 3339).
    ///
    /// # Errors
    ///
    /// See [`crate::MigrationError`]. After an error the database is as it was, except after [`crate::MigrationError::OutcomeUnknown`].
    fn migrate(&self, migrations: &[Migration], now: &str) -> Result<Upgraded, StoreError>;

    /// The numbers of the steps that an upgrade would undo, and of those that it would apply.
    ///
    /// # Errors
    ///
    /// Why the upgrade can't be made, as far as that is known without trying it.
    fn plan(&self, upgrade: &Upgrade<'_>) -> Result<(Vec<u32>, Vec<u32>), StoreError>;

    /// Opens what an upgrade needs. A caller can do that early, so that nobody waits meanwhile.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn upgrader(&self) -> Result<Box<dyn Upgrader + '_>, StoreError>;

    /// Brings the schema to what a component needs and records its version, in one transaction.
    ///
    /// # Errors
    ///
    /// See [`crate::MigrationError`]. After an error the database is as it was, except after [`crate::MigrationError::OutcomeUnknown`].
    fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Upgraded, StoreError>;

    /// Makes an upgrade on this copy and measures how long it takes. Then undoes its steps, the last first, as far as they can be undone,
    /// and rolls the undoing back.
    ///
    /// # Errors
    ///
    /// See [`crate::MigrationError`].
    fn rehearse(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Rehearsed, StoreError>;

    /// The guest's statements that do not fit the schema, or that a guest may not run, each with the reason.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    fn unsuited<'s>(&self, statements: &'s [String]) -> Result<Vec<(&'s str, String)>, StoreError>;
}

/// What an upgrade needs, opened early.
pub trait Upgrader {
    /// See [`Migrations::upgrade`].
    ///
    /// # Errors
    ///
    /// See [`crate::MigrationError`]. After an error the database is as it was, except after [`crate::MigrationError::OutcomeUnknown`].
    fn upgrade(&self, upgrade: &Upgrade<'_>, now: &str) -> Result<Upgraded, StoreError>;
}
