//! Idempotency keys: the answer of a request, kept in the unit of work that the answer reports.
//!
//! An answer is recorded only if its unit of work is kept, and in that unit of work. So an answer exists for a key exactly when its effects
//! exist. Two units of work with the same key can't both be kept, because the key is the primary key. The header is that of the IETF draft
//! "The Idempotency-Key HTTP Header Field". What a client sent is kept as keyed hashes only.
//!
//! A body may have personal data, whoever requested it. So each answer is stored with the subjects that it is about. One statement then
//! finds all answers about a subject: those that the subject got, and those that others got.

use std::collections::BTreeSet;
use std::time::Duration;

use bulkhead_types::limits::IDEMPOTENCY_KEPT;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::{Connection, OptionalExtension as _};
use sha2::Sha256;

use crate::error::classify;
use crate::outbox::check_subject;
use crate::timeline::milliseconds;
use crate::{Database, Reader, StatementError, UnitOfWork};

/// The hashes that identify a request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    key: [u8; 32],
    request: [u8; 32],
    caller: [u8; 32],
}

impl RequestKey {
    /// `caller` is the owner of the key: the subject, and the service through which it sends the request. `key` is the key itself.
    /// `request` has the parts that must be the same when the key is used again.
    #[must_use]
    pub fn new(database: &Database, caller: (&str, &str), key: &str, request: &[&[u8]]) -> Self {
        Self::of(database.secret(), caller, key, request)
    }

    pub(crate) fn of(secret: &[u8], caller: (&str, &str), key: &str, request: &[&[u8]]) -> Self {
        let (subject, by_way_of) = caller;
        Self {
            key: keyed_hash(secret, &[b"key", subject.as_bytes(), by_way_of.as_bytes(), key.as_bytes()]),
            caller: subject_hash(secret, subject),
            request: keyed_hash(secret, request),
        }
    }
}

/// The hash that identifies a subject in kept answers. It ignores the case of ASCII letters, because an id in a path may be in upper
/// case. If one answer too many is forgotten, the only cost is a key that is free again.
fn subject_hash(secret: &[u8], subject: &str) -> [u8; 32] {
    keyed_hash(secret, &[b"subject", subject.to_ascii_lowercase().as_bytes()])
}

/// HMAC-SHA-256 over the parts, each preceded by its length.
fn keyed_hash(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
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
    pub position: u64,
    /// What it is about, in addition to its caller and to what its unit of work knows ([`UnitOfWork::about`]). It is stored as keyed
    /// hashes, so it is empty when it is read.
    pub about: Vec<String>,
}

impl KeptAnswer {
    /// A record that the key was used, without the answer, which nobody may keep. `about` is what the request created.
    #[must_use]
    pub fn none(position: u64, about: Vec<String>) -> Self {
        Self { status: 0, headers: String::new(), body: Vec::new(), position, about }
    }

    /// Whether the answer was not kept: a list of headers is never an empty text.
    fn is_none(&self) -> bool {
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

fn look_up(connection: &Connection, key: &RequestKey, now: Duration) -> rusqlite::Result<Known> {
    let oldest = milliseconds(now.saturating_sub(IDEMPOTENCY_KEPT));
    let row = connection
        .prepare_cached(
            "/*bulkhead*/SELECT request, status, headers, body, position FROM _bulkhead_idempotency
             WHERE key = ?1 AND created_ms > ?2",
        )?
        .query_row((key.key, oldest), |row| {
            let answer = KeptAnswer {
                status: row.get(1)?,
                headers: row.get(2)?,
                body: row.get(3)?,
                position: row.get::<_, i64>(4)?.unsigned_abs(),
                about: Vec::new(),
            };
            Ok((row.get::<_, Vec<u8>>(0)?, answer))
        })
        .optional()?;
    // Empty: a host that hashed requests differently kept the answer, so its request is not known.
    let is_same = |request: &[u8]| request.is_empty() || request == key.request;
    Ok(match row {
        None => Known::No,
        Some((request, answer)) if is_same(&request) && answer.is_none() => Known::Used,
        Some((request, answer)) if is_same(&request) => Known::Answer(answer),
        Some(_) => Known::OtherRequest,
    })
}

impl Reader {
    /// What is known about a key. Reads in its own snapshot, which begins and ends here.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn known(&mut self, key: &RequestKey, now: Duration) -> Result<Known, StatementError> {
        self.end();
        look_up(self.connection(), key, now).map_err(|error| classify(&error, None))
    }
}

impl<M> UnitOfWork<M> {
    /// Deletes answers that are a day old, the oldest first and a thousand at a time, because writers wait meanwhile. Returns false if
    /// there are none.
    ///
    /// # Errors
    ///
    /// SQLite's errors.
    pub fn forget_old_answers(&mut self, now: Duration) -> Result<bool, StatementError> {
        self.as_host(|connection| {
            let gone = connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_idempotency WHERE key IN (
                     SELECT key FROM _bulkhead_idempotency WHERE created_ms <= ?1 ORDER BY created_ms LIMIT 1000)",
                )?
                .execute([milliseconds(now.saturating_sub(IDEMPOTENCY_KEPT))])?;
            Ok(gone > 0)
        })
    }

    /// Deletes the kept answers about a subject, and returns how many.
    ///
    /// # Errors
    ///
    /// For a text that is not a subject; SQLite's errors.
    pub fn forget_answers(&mut self, subject: &str) -> Result<u64, StatementError> {
        check_subject(subject)?;
        let subject = subject_hash(&self.secret(), subject);
        self.as_host(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_idempotency WHERE key IN (
                     SELECT key FROM _bulkhead_idempotency_subject WHERE subject = ?1)",
                )?
                .execute([subject])
                .map(|count| count as u64)
        })
    }

    /// Keeps the answer of this unit of work. Returns false, and writes no answer, if the key has one already. Each call also deletes some
    /// of the answers that are a day old.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    pub fn remember(
        &mut self,
        key: &RequestKey,
        answer: &KeptAnswer,
        now: Duration,
    ) -> Result<bool, StatementError> {
        let secret = self.secret();
        let subjects = self.subjects().iter().chain(&answer.about);
        let mut about: BTreeSet<_> = subjects.map(|subject| subject_hash(&secret, subject)).collect();
        about.insert(key.caller);
        self.as_host(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_idempotency WHERE key IN (
                     SELECT key FROM _bulkhead_idempotency WHERE created_ms <= ?1 ORDER BY created_ms LIMIT 8) OR (key = ?2 AND created_ms <= ?1)",
                )?
                .execute((milliseconds(now.saturating_sub(IDEMPOTENCY_KEPT)), key.key))?;
            let inserted = connection
                .prepare_cached(
                    "/*bulkhead*/INSERT OR IGNORE INTO _bulkhead_idempotency
                     (key, request, created_ms, status, headers, body, position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute((
                    key.key,
                    key.request,
                    milliseconds(now),
                    answer.status,
                    &answer.headers,
                    &answer.body,
                    i64::try_from(answer.position).unwrap_or(i64::MAX),
                ))?;
            if inserted == 1 {
                let mut insert = connection.prepare_cached(
                    "/*bulkhead*/INSERT INTO _bulkhead_idempotency_subject (key, subject) VALUES (?1, ?2)",
                )?;
                for subject in &about {
                    insert.execute((key.key, subject))?;
                }
            }
            Ok(inserted == 1)
        })
    }
}
