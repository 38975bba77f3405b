//! The rows of kept answers: see `bulkhead_store::KeepAnswers`.
//!
//! Each answer is stored with the hashes of the subjects that it is about, so one statement finds all answers about a subject.

use std::collections::BTreeSet;
use std::time::Duration;

use bulkhead_store::{
    KeepAnswers, KeptAnswer, Known, RequestKey, Secret, StatementError, check_subject, subject_hash,
};
use bulkhead_types::Subject;
use bulkhead_types::limits::IDEMPOTENCY_KEPT;
use rusqlite::{Connection, OptionalExtension as _};

use crate::UnitOfWork;
use crate::row;
use crate::timeline::milliseconds;

/// What is known about a key.
pub(crate) fn look_up(connection: &Connection, key: &RequestKey, now: Duration) -> rusqlite::Result<Known> {
    let oldest = milliseconds(now.saturating_sub(IDEMPOTENCY_KEPT));
    let row = connection
        .prepare_cached(
            "/*bulkhead*/SELECT request, status, headers, body, position FROM _bulkhead_idempotency
             WHERE key = ?1 AND created_ms > ?2",
        )?
        .query_row((key.key(), oldest), |row| {
            let answer = KeptAnswer {
                status: row.get(1)?,
                headers: row.get(2)?,
                body: row.get(3)?,
                position: row::sequence(row, 4)?,
                about: Vec::new(),
            };
            Ok((row.get::<_, Vec<u8>>(0)?, answer))
        })
        .optional()?;
    // Empty: a host that hashed requests differently kept the answer, so its request is not known.
    let is_same = |request: &[u8]| request.is_empty() || request == key.request();
    Ok(match row {
        None => Known::No,
        Some((request, answer)) if is_same(&request) && answer.is_none() => Known::Used,
        Some((request, answer)) if is_same(&request) => Known::Answer(answer),
        Some(_) => Known::OtherRequest,
    })
}

impl<M: Send + 'static> KeepAnswers for UnitOfWork<M> {
    fn forget_old_answers(&mut self, now: Duration) -> Result<bool, StatementError> {
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

    fn forget_answers(&mut self, subject: &Subject) -> Result<u64, StatementError> {
        check_subject(subject)?;
        let subject = subject_hash(Secret::of(&self.secret()), subject);
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

    fn remember(
        &mut self,
        key: &RequestKey,
        answer: &KeptAnswer,
        now: Duration,
    ) -> Result<bool, StatementError> {
        let secret = self.secret();
        let subjects = self.subjects().iter().chain(&answer.about);
        let mut about: BTreeSet<_> =
            subjects.map(|subject| subject_hash(Secret::of(&secret), subject)).collect();
        about.insert(key.caller());
        self.as_host(|connection| {
            connection
                .prepare_cached(
                    "/*bulkhead*/DELETE FROM _bulkhead_idempotency WHERE key IN (
                     SELECT key FROM _bulkhead_idempotency WHERE created_ms <= ?1 ORDER BY created_ms LIMIT 8) OR (key = ?2 AND created_ms <= ?1)",
                )?
                .execute((milliseconds(now.saturating_sub(IDEMPOTENCY_KEPT)), key.key()))?;
            let inserted = connection
                .prepare_cached(
                    "/*bulkhead*/INSERT OR IGNORE INTO _bulkhead_idempotency
                     (key, request, created_ms, status, headers, body, position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute((
                    key.key(),
                    key.request(),
                    milliseconds(now),
                    answer.status,
                    &answer.headers,
                    &answer.body,
                    answer.position.get(),
                ))?;
            if inserted == 1 {
                let mut insert = connection.prepare_cached(
                    "/*bulkhead*/INSERT INTO _bulkhead_idempotency_subject (key, subject) VALUES (?1, ?2)",
                )?;
                for subject in &about {
                    insert.execute((key.key(), subject))?;
                }
            }
            Ok(inserted == 1)
        })
    }
}
