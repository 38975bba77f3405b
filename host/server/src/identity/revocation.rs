//! Subjects whose tokens have ended before their time.
//!
//! The manifest names a type of event: one that is published ends the tokens of its subject. The events are the truth: the set in
//! memory is read from the log at the start, and again whenever events have become durable, before any answer that rests on them
//! leaves. So whoever was answered that a subject is gone finds its tokens refused, after a crash as well.
//!
//! Invariant: no token counts while there may be events that the set lacks. The unit of work is durable by then and its answer can't be
//! taken back, so where the log can't be read it is the tokens that stop counting: `unread` is set under the lock of `log` before the
//! answers leave, and cleared under that lock by a read that came to the end. Reads are serial, so one that clears it began after every
//! event was durable for which it was set; and it puts subjects into the set before it clears it. Requests with a token are answered 503
//! meanwhile, and have the log read again, every now and then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bulkhead_runtime::HostContext;
use bulkhead_store::{Database, LogReader, StatementError, StoreError};
use bulkhead_types::from_rfc3339;
use bulkhead_types::limits::{TOKEN_LEEWAY, TOKEN_LIFETIME_MAX};

/// The time from one attempt of a request to have the log read to the next.
const BETWEEN_READS: Duration = Duration::from_millis(100);
/// Subjects above which those are looked for that can be forgotten.
const PRUNE_FROM: usize = 4096;

/// The revoked subjects.
pub(crate) struct Revocations {
    /// The type of event.
    kind: String,
    host_context: Arc<HostContext>,
    log: Mutex<Log>,
    /// Each with when it may be forgotten, by the clock that nobody sets.
    subjects: RwLock<HashMap<String, Duration>>,
    any: AtomicBool,
    /// There may be events that `subjects` lacks.
    unread: AtomicBool,
    /// When a request last had the log read.
    tried: Mutex<Option<Instant>>,
}

/// Whether a subject's tokens have ended can't be told now.
pub(super) struct Unknown;

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
        host_context: Arc<HostContext>,
    ) -> Result<Arc<Self>, StoreError> {
        let log = Log { reader: LogReader::open(database)?, sequence: 0, prune_at: PRUNE_FROM };
        let revocations = Arc::new(Self {
            kind: kind.to_owned(),
            host_context,
            log: Mutex::new(log),
            subjects: RwLock::default(),
            any: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            tried: Mutex::default(),
        });
        revocations
            .read()
            .map_err(|error| StoreError::Log { path: database.path().to_owned(), source: error })?;
        Ok(revocations)
    }

    /// Takes in what was published since. Called before the answers that rest on it leave.
    pub(crate) fn follow(&self) {
        if let Err(error) = self.read() {
            tracing::error!(
                kind = self.kind, %error,
                "revoked subjects can't be read from the log: no token counts until they can"
            );
        }
    }

    fn read(&self) -> Result<(), StatementError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = Unread(&self.unread);
        let (mut found, mut newest) = (Vec::new(), None);
        log.reader.newest_first(log.sequence, |event| {
            newest.get_or_insert(event.sequence);
            // Whatever its time says: the clock may have been wrong when it was published.
            if event.kind == self.kind {
                found.push((event.subject, event.time));
            }
            true
        })?;
        // What is there at the start is as old as it says; what comes later was published now, whatever the wall clock said.
        let at_start = log.sequence == 0;
        log.sequence = newest.unwrap_or(log.sequence);
        if !found.is_empty() {
            let (wall, now) = (self.host_context.clock.now(), self.host_context.clock.steady());
            let age =
                |time: &str| from_rfc3339(time).map_or(Duration::ZERO, |time| wall.saturating_sub(time));
            let forgotten_at = |time: &str| {
                now + if at_start { remembered().saturating_sub(age(time)) } else { remembered() }
            };
            let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
            remember(&mut subjects, found.into_iter().map(|(subject, time)| (subject, forgotten_at(&time))));
            if subjects.len() > log.prune_at {
                subjects.retain(|_, forgotten_at| *forgotten_at > now);
                log.prune_at = PRUNE_FROM.max(subjects.len() * 2);
            }
            self.any.store(true, Ordering::Release);
        }
        unread.mark_read();
        Ok(())
    }

    /// Whether the tokens of a subject have ended.
    pub(super) async fn has(self: &Arc<Self>, subject: &str) -> Result<bool, Unknown> {
        if self.unread.load(Ordering::Acquire) {
            self.try_again().await?;
        }
        Ok(self.knows(subject))
    }

    /// Reads the log once more, unless that was tried just now.
    async fn try_again(self: &Arc<Self>) -> Result<(), Unknown> {
        {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            if tried.is_some_and(|at| at.elapsed() < BETWEEN_READS) {
                return Err(Unknown);
            }
            *tried = Some(Instant::now());
        }
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || this.read()).await {
            Ok(Ok(())) => {
                tracing::info!(kind = self.kind, "revoked subjects are read again: tokens count");
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Unknown),
        }
    }

    fn knows(&self, subject: &str) -> bool {
        self.any.load(Ordering::Acquire)
            && self.subjects.read().unwrap_or_else(PoisonError::into_inner).contains_key(subject)
    }
}

/// Sets what it refers to when it is dropped, and clears it when the log is read: so also a panic in between leaves it set.
struct Unread<'a>(&'a AtomicBool);

impl Unread<'_> {
    fn mark_read(self) {
        self.0.store(false, Ordering::Release);
        std::mem::forget(self);
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Keeps each subject until the last of its events may be forgotten, in whatever order they come.
fn remember(subjects: &mut HashMap<String, Duration>, found: impl IntoIterator<Item = (String, Duration)>) {
    for (subject, forgotten_at) in found {
        let known = subjects.entry(subject).or_default();
        *known = forgotten_at.max(*known);
    }
}

/// How long a revocation is remembered: as long as a token of before can last, on clocks that are apart.
fn remembered() -> Duration {
    TOKEN_LIFETIME_MAX + TOKEN_LEEWAY * 4
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::remember;

    #[test]
    fn of_two_events_about_a_subject_the_newer_decides_whichever_is_read_first() {
        let event = |seconds| ("ada".to_owned(), Duration::from_secs(seconds));
        for found in [[event(9), event(2)], [event(2), event(9)]] {
            let mut subjects = HashMap::new();
            remember(&mut subjects, found);
            remember(&mut subjects, [event(5)]);
            assert_eq!(subjects, HashMap::from([event(9)]));
        }
    }
}
