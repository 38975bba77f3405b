//! Events: what a unit of work appends to an event log, and what is read from it.

use bulkhead_types::limits::{EVENT_DATA_BYTES_MAX, EVENT_NAME_BYTES_MAX};
use bulkhead_types::{Sequence, Subject, TraceId};
use sha2::{Digest as _, Sha256};

use crate::{PublishError, StatementError};

/// An event to be published.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'e> {
    /// A UUIDv7.
    pub id: &'e str,
    /// For example `note.written`.
    pub kind: &'e str,
    /// The subject: the entity that the event is about.
    pub subject: &'e Subject,
    /// RFC 3339, UTC.
    pub time: &'e str,
    /// The trace that it was published under.
    pub trace_id: TraceId,
    /// JSON.
    pub data: &'e str,
}

impl NewEvent<'_> {
    /// Checks that the event can be published.
    ///
    /// # Errors
    ///
    /// Why it can't.
    pub fn check(&self) -> Result<(), PublishError> {
        for (what, text) in
            [("the type of an event", self.kind), ("the subject of an event", self.subject.as_str())]
        {
            check_length(what, text).map_err(PublishError::Invalid)?;
        }
        if self.data.len() > EVENT_DATA_BYTES_MAX {
            return Err(PublishError::Invalid(format!(
                "the data of an event have at most {EVENT_DATA_BYTES_MAX} bytes, and these {}",
                self.data.len()
            )));
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(self.data) {
            return Err(PublishError::Invalid(format!(
                "the data of an event are JSON, and these are not: {error}"
            )));
        }
        Ok(())
    }
}

/// Checks that a text has a valid length for an event's type or subject. The error message begins with `what`.
fn check_length(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > EVENT_NAME_BYTES_MAX {
        return Err(format!("{what} has 1 to {EVENT_NAME_BYTES_MAX} bytes, and this one {}", text.len()));
    }
    Ok(())
}

/// Checks that a guest may name this text as the subject of an answer. The rules are those for an event's subject. Each subject is kept
/// until the unit of work ends, and hashed.
///
/// # Errors
///
/// For a text that is not a subject.
pub fn check_subject(subject: &Subject) -> Result<(), StatementError> {
    check_length("a subject", subject).map_err(StatementError::InvalidValue)
}

/// First the hash of the columns that erasing keeps, then the hash of the data. `kept` has the texts of those columns as they stand in the
/// row: id, type, subject, time, trace id. The length of each part precedes it, so that no two events have the same bytes.
#[must_use]
pub fn digest(kept: [&str; 5], data: &str) -> [u8; 32] {
    let mut head = Sha256::new();
    for part in kept {
        head.update((part.len() as u64).to_le_bytes());
        head.update(part);
    }
    let (head, data) = (head.finalize(), Sha256::digest(data));
    let mut digest = [0; 32];
    for (byte, value) in digest.iter_mut().zip(head.iter().take(16).chain(data.iter().take(16))) {
        *byte = *value;
    }
    digest
}

/// An event of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the event log.
    pub sequence: Sequence,
    /// A UUIDv7.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its subject: the entity that it is about.
    pub subject: Subject,
    /// When it was published: RFC 3339, UTC.
    pub time: String,
    /// The trace that it was published under.
    pub trace_id: TraceId,
    /// JSON; empty if it was erased.
    pub data: String,
}

/// An event that is missing, or not as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The place in the event log.
    pub sequence: Sequence,
    /// The event's id as found there; empty if there is no event.
    pub id: String,
    /// What is wrong, as the end of a sentence that begins with the event's place.
    pub what: String,
}
