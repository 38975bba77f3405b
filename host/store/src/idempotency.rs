//! Idempotency keys: the answer of a request, kept in the unit of work that it tells of.
//!
//! Only the answer of a kept unit of work is recorded, and in it: so there is an answer for a key exactly when its effects are there.
//! Two units of work with one key can't both be kept (the key is the primary key). The header is that of the IETF draft
//! "The Idempotency-Key HTTP Header Field". What a client sent is kept as keyed hashes alone.
//!
//! A body may have personal data, whoever asked for it. So with each answer stands whom and what it is about, and one statement finds all
//! answers about a subject: those that it was given, and those that were given to others.

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

/// What a request with a key is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    key: [u8; 32],
    request: [u8; 32],
    caller: [u8; 32],
}

impl RequestKey {
    /// `caller` and `key` are whose key it is and which, the caller being a subject and the service that it asks by way of; `request` are
    /// the parts that must be the same when it is used again.
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

/// What a subject is known by in kept answers. An id in a path may be spelt in upper case: to forget one answer too many costs no more than
/// a key that is free again.
fn subject_hash(secret: &[u8], subject: &str) -> [u8; 32] {
    keyed_hash(secret, &[b"subject", subject.to_ascii_lowercase().as_bytes()])
}

/// HMAC-SHA-256 over the parts, each preceded by its length.
fn keyed_hash(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        // It takes keys of any length.
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
    /// Where the log stood after it.
    pub position: u64,
    /// What it is about, beside its caller and what its unit of work knows ([`UnitOfWork::about`]). Kept as keyed hashes, and read as none.
    pub about: Vec<String>,
}

impl KeptAnswer {
    /// That the key was used, without the answer, which nobody may keep. What it made is `about`.
    #[must_use]
    pub fn none(position: u64, about: Vec<String>) -> Self {
        Self { status: 0, headers: String::new(), body: Vec::new(), position, about }
    }

    /// The answer was not kept: a list of headers is never empty text.
    fn is_none(&self) -> bool {
        self.headers.is_empty()
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing, or nothing any more.
    No,
    /// The answer of the same request.
    Answer(KeptAnswer),
    /// The same request took effect, and its answer was not kept.
    Used,
    /// It was used with another request.
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
    // Empty: it was kept by a host that hashed requests otherwise, and which one it was is not known.
    let is_same = |request: &[u8]| request.is_empty() || request == key.request;
    Ok(match row {
        None => Known::No,
        Some((request, answer)) if is_same(&request) && answer.is_none() => Known::Used,
        Some((request, answer)) if is_same(&request) => Known::Answer(answer),
        Some(_) => Known::OtherRequest,
    })
}

impl Reader {
    /// What is known of a key. It is looked for in a snapshot of its own, which begins and ends here.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn known(&mut self, key: &RequestKey, now: Duration) -> Result<Known, StatementError> {
        self.end();
        look_up(self.connection(), key, now).map_err(|error| classify(&error, None))
    }
}

impl<M> UnitOfWork<M> {
    /// Takes out answers that are a day old, the oldest first and a thousand at a time, for writers wait meanwhile: false where there are
    /// none.
    ///
    /// # Errors
    ///
    /// SQLite's.
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

    /// Forgets the kept answers that are about a subject, and gives how many they were.
    ///
    /// # Errors
    ///
    /// For a text that is no subject; SQLite's.
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

    /// Keeps the answer of this unit of work: false, and nothing is written, where the key has one already. Answers that are a day
    /// old go meanwhile, some at a time.
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
