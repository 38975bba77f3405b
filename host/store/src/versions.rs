//! Which version of its component a service runs. Only the last activation in its database says so.
//!
//! It is written in the transaction that brings the schema to what its version needs (`migrations.rs`). So whenever a process ends, the
//! database names one version and has that version's schema.

use crate::StoreError;

/// How a version became the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The host found another component at the manifest's source when it started.
    Start,
    /// It was deployed.
    Deploy,
    /// Somebody went back to it, or forward again.
    Rollback,
    /// The version after it failed its probation.
    Return,
}

impl How {
    /// The name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Return => "return",
        }
    }

    /// The way that has this name in the table.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "deploy" => Self::Deploy,
            "rollback" => Self::Rollback,
            "return" => Self::Return,
            // The table has a CHECK, so this is `start`.
            _ => Self::Start,
        }
    }
}

/// A version becomes the active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The SHA-256 of the component at the manifest's source at that time; empty if there was none.
    pub source: String,
    /// How it became active.
    pub how: How,
    /// Who did it.
    pub author: String,
    /// Their note.
    pub note: String,
    /// When: RFC 3339, UTC.
    pub at: String,
}

/// The activations that a database records.
pub trait Versions {
    /// The active version; none before the first.
    ///
    /// # Errors
    ///
    /// When the database can't read it.
    fn active(&self) -> Result<Option<Activation>, StoreError>;

    /// The activations, the latest first, at most `count`.
    ///
    /// # Errors
    ///
    /// When the database can't read them.
    fn activations(&self, count: u32) -> Result<Vec<Activation>, StoreError>;

    /// Writes these rows, in this order, into a database that has none: for a database that replaces another.
    ///
    /// # Errors
    ///
    /// When the database can't write them.
    fn take_over_activations(&self, activations: &[Activation]) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_of_a_version_is_read_as_it_was_written() {
        for how in [How::Start, How::Deploy, How::Rollback, How::Return] {
            assert_eq!(How::of(how.name()), how);
        }
    }
}
