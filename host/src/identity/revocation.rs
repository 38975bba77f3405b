//! Subjects whose tokens have ended before their time.
//!
//! The manifest names a type of event: one that is published ends the tokens of its subject. The events are the truth: the set in
//! memory is read from the log at the start, and again whenever events have become durable, before any answer that rests on them
//! leaves. So whoever was answered that a subject is gone finds its tokens refused, after a crash as well.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bulkhead_runtime::Surroundings;
use bulkhead_store::{Database, LogReader, StatementError, StoreError};
use bulkhead_types::limits::{TOKEN_LEEWAY, TOKEN_LIFETIME_MAX};
use bulkhead_types::rfc3339;

/// Subjects above which those are looked for that can be forgotten.
const PRUNE_FROM: usize = 4096;

/// The revoked subjects.
pub(crate) struct Revocations {
    /// The type of event.
    kind: String,
    surroundings: Arc<Surroundings>,
    log: Mutex<Log>,
    /// Each with the time of its event, which sorts as text.
    subjects: RwLock<HashMap<String, String>>,
    any: AtomicBool,
}

struct Log {
    reader: LogReader,
    /// Up to which event it was read.
    sequence: i64,
    prune_at: usize,
}

impl Revocations {
    /// Reads the log of the service that publishes `kind`.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub(crate) fn open(
        database: &Database,
        kind: &str,
        surroundings: Arc<Surroundings>,
    ) -> Result<Arc<Self>, StoreError> {
        let log = Log { reader: LogReader::open(database)?, sequence: 0, prune_at: PRUNE_FROM };
        let revocations = Arc::new(Self {
            kind: kind.to_owned(),
            surroundings,
            log: Mutex::new(log),
            subjects: RwLock::default(),
            any: AtomicBool::new(false),
        });
        revocations
            .read()
            .map_err(|error| StoreError::Log { path: database.path().to_owned(), source: error })?;
        Ok(revocations)
    }

    /// Takes in what was published since. Called before the answers that rest on it leave.
    pub(crate) fn follow(&self) {
        if let Err(error) = self.read() {
            // With the next event it is tried again.
            tracing::error!(kind = self.kind, %error, "revoked subjects can't be read from the log");
        }
    }

    fn read(&self) -> Result<(), StatementError> {
        let forgotten = rfc3339(self.surroundings.clock.now().saturating_sub(remembered()));
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut newest) = (Vec::new(), None);
        log.reader.newest_first(log.sequence, |event| {
            newest.get_or_insert(event.sequence);
            // Whatever its time says: the clock may have been wrong when it was published.
            if event.kind == self.kind {
                found.push((event.subject, event.time));
            }
            true
        })?;
        log.sequence = newest.unwrap_or(log.sequence);
        if !found.is_empty() {
            let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
            subjects.extend(found);
            if subjects.len() > log.prune_at {
                subjects.retain(|_, time| *time >= forgotten);
                log.prune_at = PRUNE_FROM.max(subjects.len() * 2);
            }
            self.any.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether the tokens of a subject have ended.
    pub(super) fn has(&self, subject: &str) -> bool {
        self.any.load(Ordering::Acquire)
            && self.subjects.read().unwrap_or_else(PoisonError::into_inner).contains_key(subject)
    }
}

/// How long a revocation is remembered: as long as a token of before can last, on clocks that are apart.
fn remembered() -> Duration {
    TOKEN_LIFETIME_MAX + TOKEN_LEEWAY * 4
}
