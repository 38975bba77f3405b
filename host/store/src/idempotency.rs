//! Idempotency keys: the answer of a request, kept in the unit of work that the answer reports.
//!
//! An answer is recorded only if its unit of work is kept, and in that unit of work. So an answer exists for a key exactly when its effects
//! exist. Two units of work with the same key can't both be kept. The header is that of the IETF draft "The Idempotency-Key HTTP Header
//! Field". What a client sent is kept as keyed hashes only.
//!
//! A body may have personal data, whoever requested it. So each answer is stored with the subjects that it is about: those that the subject
//! got, and those that others got.

use std::time::Duration;

use bulkhead_types::{Sequence, ServiceName, Subject};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::StatementError;

/// The hashes that identify a request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    key: [u8; 32],
    request: [u8; 32],
    caller: [u8; 32],
}

/// The secret of a database, with which idempotent requests are hashed.
#[derive(Clone, Copy)]
pub struct Secret<'s>(&'s [u8]);

impl<'s> Secret<'s> {
    /// These bytes, which the database keeps.
    #[must_use]
    pub fn of(bytes: &'s [u8]) -> Self {
        Self(bytes)
    }
}

impl RequestKey {
    /// `secret` is that of the database. `caller` is the owner of the key: the subject, and the service through which it sends the request.
    /// `key` is the key itself. `request` has the parts that must be the same when the key is used again.
    #[must_use]
    pub fn new(
        secret: Secret<'_>,
        caller: (&Subject, Option<&ServiceName>),
        key: &str,
        request: &[&[u8]],
    ) -> Self {
        let (subject, by_way_of) = caller;
        let by_way_of = by_way_of.map_or("", ServiceName::as_str);
        Self {
            key: keyed_hash(secret, &[b"key", subject.as_bytes(), by_way_of.as_bytes(), key.as_bytes()]),
            caller: subject_hash(secret, subject),
            request: keyed_hash(secret, request),
        }
    }

    /// The hash of the key and its owner.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        self.key
    }

    /// The hash of the request.
    #[must_use]
    pub fn request(&self) -> [u8; 32] {
        self.request
    }

    /// The hash of the subject that sends the request: see [`subject_hash`].
    #[must_use]
    pub fn caller(&self) -> [u8; 32] {
        self.caller
    }
}

/// The hash that identifies a subject in kept answers. It ignores the case of ASCII letters, because an id in a path may be in upper
/// case. If one answer too many is forgotten, the only cost is a key that is free again.
#[must_use]
pub fn subject_hash(secret: Secret<'_>, subject: &Subject) -> [u8; 32] {
    keyed_hash(secret, &[b"subject", subject.to_ascii_lowercase().as_bytes()])
}

/// HMAC-SHA-256 over the parts, each preceded by its length.
fn keyed_hash(secret: Secret<'_>, parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.0) else {
        // HMAC accepts keys of any length.
        return [0; 32];
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// An answer that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, as a JSON list of pairs.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
    /// The position of the event log after it.
    pub position: Sequence,
    /// What it is about, in addition to its caller and to what its unit of work knows ([`crate::UnitOfWork::about`]). It is stored as keyed
    /// hashes, so it is empty when it is read.
    pub about: Vec<Subject>,
}

impl KeptAnswer {
    /// A record that the key was used, without the answer, which nobody may keep. `about` is what the request created.
    #[must_use]
    pub fn none(position: Sequence, about: Vec<Subject>) -> Self {
        Self { status: 0, headers: String::new(), body: Vec::new(), position, about }
    }

    /// Whether the answer was not kept: a list of headers is never an empty text.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.headers.is_empty()
    }
}

/// What is known about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing, or nothing any more.
    No,
    /// The answer of the same request.
    Answer(KeptAnswer),
    /// The same request took effect, and its answer was not kept.
    Used,
    /// The key was used with another request.
    OtherRequest,
}

/// Keeps the answers of requests with a key, and forgets them, in a unit of work.
pub trait KeepAnswers {
    /// Deletes answers that are a day old, the oldest first and a thousand at a time, because writers wait meanwhile. Returns false if
    /// there are none.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn forget_old_answers(&mut self, now: Duration) -> Result<bool, StatementError>;

    /// Deletes the kept answers about a subject, and returns how many.
    ///
    /// # Errors
    ///
    /// For a text that is not a subject; the database's errors.
    fn forget_answers(&mut self, subject: &Subject) -> Result<u64, StatementError>;

    /// Keeps the answer of this unit of work. Returns false, and writes no answer, if the key has one already. Each call also deletes some
    /// of the answers that are a day old.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    fn remember(
        &mut self,
        key: &RequestKey,
        answer: &KeptAnswer,
        now: Duration,
    ) -> Result<bool, StatementError>;
}
