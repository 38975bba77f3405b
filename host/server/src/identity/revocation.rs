//! Subjects whose tokens are revoked before they expire.
//!
//! The manifest names an event type. A published event of that type ends the tokens of its subject. The events are the truth. The set in
//! memory is read from the event log at the start. It is read again whenever events have become durable, before any answer that depends on
//! them is sent. So after a client got an answer that a subject is gone, the subject's tokens are refused, also after a crash.
//!
//! Invariant: no token is accepted while there may be events that the set lacks. At that point the unit of work is durable and its answer
//! can't be taken back. So if the event log can't be read, the tokens stop being valid: `unread` is set under the lock of `log` before the
//! answers are sent. It is cleared under the same lock by a read that reached the end. Reads are serial, so a read that clears it began
//! after every event for which it was set was durable. The read adds subjects to the set before it clears the flag. Meanwhile requests with
//! a token get 503, and from time to time one of them causes another read of the event log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bulkhead_runtime::HostContext;
use bulkhead_store::{Database, EventLog, StatementError, StoreError};
use bulkhead_types::limits::{TOKEN_LEEWAY, TOKEN_LIFETIME_MAX};
use bulkhead_types::{Sequence, Subject, from_rfc3339};

/// The minimum time between two attempts of requests to read the event log.
const BETWEEN_READS: Duration = Duration::from_millis(100);
/// Above this number of subjects, those that can be forgotten are searched for.
const PRUNE_FROM: usize = 4096;

/// The revoked subjects.
pub(crate) struct Revocations {
    /// The event type.
    kind: String,
    host_context: Arc<HostContext>,
    log: Mutex<Log>,
    /// Each subject with the time when it may be forgotten, on the clock that nobody sets
    /// ([`Clock::steady`](bulkhead_types::Clock::steady)).
    subjects: RwLock<HashMap<Subject, Duration>>,
    any: AtomicBool,
    /// There may be events that `subjects` lacks.
    unread: AtomicBool,
    /// When a request last caused a read of the event log.
    tried: Mutex<Option<Instant>>,
}

/// It is unknown now whether a subject's tokens are revoked.
pub(super) struct Unknown;

struct Log {
    events: Box<dyn EventLog>,
    /// The last event that was read.
    sequence: Sequence,
    prune_at: usize,
}

impl Revocations {
    /// Reads the event log of the service that publishes `kind`.
    ///
    /// # Errors
    ///
    /// When the event log can't be read.
    pub(crate) fn open(
        database: &dyn Database,
        kind: &str,
        host_context: Arc<HostContext>,
    ) -> Result<Arc<Self>, StoreError> {
        let log =
            Log { events: database.event_log()?, sequence: Sequence::BEFORE_FIRST, prune_at: PRUNE_FROM };
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

    /// Adds the events that were published since the last read. Called before the answers that depend on them are sent.
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
        let (mut found, mut last) = (Vec::new(), log.sequence);
        log.events.read_without_data(log.sequence, &mut |event| {
            last = event.sequence;
            // Whatever the event's time says: the clock may have been wrong when it was published.
            if event.kind == self.kind {
                found.push((event.subject, event.time));
            }
        })?;
        // At the start the age of an event is what its time says. A later event was published just now, whatever the wall clock said.
        let at_start = log.sequence == Sequence::BEFORE_FIRST;
        log.sequence = last;
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

    /// Whether the tokens of a subject are revoked.
    pub(super) async fn has(self: &Arc<Self>, subject: &Subject) -> Result<bool, Unknown> {
        if self.unread.load(Ordering::Acquire) {
            self.try_again().await?;
        }
        Ok(self.knows(subject))
    }

    /// Reads the event log once more, unless that was tried a moment ago.
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

    fn knows(&self, subject: &Subject) -> bool {
        self.any.load(Ordering::Acquire)
            && self.subjects.read().unwrap_or_else(PoisonError::into_inner).contains_key(subject)
    }
}

/// Sets the flag when it is dropped. [`Self::mark_read`] clears the flag instead. So a panic in between leaves it set.
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

/// Keeps each subject until the last of its events may be forgotten, in any order of the events.
fn remember(subjects: &mut HashMap<Subject, Duration>, found: impl IntoIterator<Item = (Subject, Duration)>) {
    for (subject, forgotten_at) in found {
        let known = subjects.entry(subject).or_default();
        *known = forgotten_at.max(*known);
    }
}

/// How long a revocation is remembered: as long as a token issued before it can last, with clocks that differ.
fn remembered() -> Duration {
    TOKEN_LIFETIME_MAX + TOKEN_LEEWAY * 4
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::remember;

    #[test]
    fn newer_of_two_events_about_a_subject_wins_whichever_is_read_first() {
        let event = |seconds| ("ada".into(), Duration::from_secs(seconds));
        for found in [[event(9), event(2)], [event(2), event(9)]] {
            let mut subjects = HashMap::new();
            remember(&mut subjects, found);
            remember(&mut subjects, [event(5)]);
            assert_eq!(subjects, HashMap::from([event(9)]));
        }
    }
}
