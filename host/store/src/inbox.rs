//! What a service has consumed of other services' event logs: its positions, and the events that it could not consume yet.
//!
//! Invariants:
//!
//! - A position moves in the unit of work of the event that was consumed. It moves only from the exact event at which the caller expects it
//!   ([`Inbox::move_cursor`]). So a caller with a stale position changes nothing. A position is stale if an aborted batch rolled it back,
//!   or if another caller moved it.
//! - If an event fails, one unit of work parks it and moves the position past it. So an event is consumed, parked, or still ahead.
//! - Of a subject's parked events only the first is tried. An event whose subject has a parked event is parked behind it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bulkhead_types::{Sequence, ServiceName, Subject, TraceId};

use crate::{Logged, StatementError};

/// Up to where an event log was consumed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The id of the event log.
    pub log: String,
    /// The sequence of the last event that was consumed or passed over; 0 before the first.
    pub sequence: Sequence,
    /// That event's id; empty before the first.
    pub event_id: String,
}

/// What becomes of a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// It is tried again.
    Parked,
    /// It is a dead letter.
    Dead,
}

impl ParkedState {
    /// Its name in the host's rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

/// An event that could not be consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The producer whose event log has the event; for a timer the service itself.
    pub producer: ServiceName,
    /// The event's sequence in that event log, or the sequence of the timer.
    pub sequence: Sequence,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its subject.
    pub subject: Subject,
    /// The trace that it was published under.
    pub trace_id: TraceId,
    /// Whether it is tried again.
    pub state: ParkedState,
    /// How many times it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next: Duration,
    /// When it was parked.
    pub since: Duration,
    /// Why the last attempt failed.
    pub reason: String,
}

/// Moves positions and parks events, in a unit of work.
pub trait Inbox {
    /// Moves the position in a producer's event log from `from` to the event `to`. Returns false, and does nothing, if the position is not
    /// at `from`.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    fn move_cursor(
        &mut self,
        producer: &ServiceName,
        from: &Cursor,
        to: (Sequence, &str),
    ) -> Result<bool, StatementError>;

    /// Whether an earlier event of the subject is parked.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn has_parked(&mut self, producer: &ServiceName, subject: &Subject) -> Result<bool, StatementError>;

    /// Parks an event, or dead-letters it. If the event has a row already, the row is updated to this state. The host's own rows have a
    /// reserve beyond the guests' quota.
    ///
    /// # Errors
    ///
    /// When the row could not be written.
    fn park(&mut self, parked: &Parked) -> Result<(), StatementError>;

    /// Removes an event from the parked ones. Returns false if the event is not there in this state with this number of attempts.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn unpark(&mut self, parked: &Parked) -> Result<bool, StatementError>;

    /// Makes a dead letter or a parked event due at once. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn retry_parked(&mut self, producer: &ServiceName, sequence: Sequence) -> Result<bool, StatementError>;

    /// Drops a dead letter for good. If it was a timer, drops the timer too. Returns false if there is no such dead letter.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn drop_dead(
        &mut self,
        service: &ServiceName,
        producer: &ServiceName,
        sequence: Sequence,
    ) -> Result<bool, StatementError>;
}

/// Reads the host's rows of a service's inbox. Each reader opens its own.
pub trait InboxReader: Send {
    /// The position in a producer's event log; none if nothing was ever consumed from it.
    ///
    /// # Errors
    ///
    /// The database's errors, as for all methods below.
    fn cursor(&self, producer: &ServiceName) -> Result<Option<Cursor>, StatementError>;

    /// The replicas that were filled directly from the owner of this event log, each with the event up to which it was filled. No event up
    /// to that one is applied to the replica.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn filled(&self, log: &str) -> Result<BTreeMap<String, Sequence>, StatementError>;

    /// The parked events and dead letters, the oldest first, at most [`bulkhead_types::limits::PARKED_LISTED_MAX`].
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn parked(&self) -> Result<Vec<Parked>, StatementError>;

    /// The parked events and dead letters after this producer and sequence, ordered by producer and sequence, at most `count`.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn parked_after(
        &self,
        after: (&ServiceName, Sequence),
        count: u32,
    ) -> Result<Vec<Parked>, StatementError>;

    /// The parked event or dead letter with this id.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn parked_with_id(&self, id: &str) -> Result<Option<Parked>, StatementError>;

    /// When the oldest of a producer's parked events and dead letters was parked.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn oldest_parked(&self, producer: &ServiceName) -> Result<Option<Duration>, StatementError>;

    /// Whether a producer has parked events or dead letters.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn has_any(&self, producer: &ServiceName) -> Result<bool, StatementError>;

    /// How many events of a producer are parked, and how many dead letters.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn counts(&self, producer: &ServiceName) -> Result<(u64, u64), StatementError>;

    /// The parked event or dead letter with this sequence in a producer's event log.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn parked_at(&self, producer: &ServiceName, sequence: Sequence)
    -> Result<Option<Parked>, StatementError>;

    /// The parked event that is due, the first of its subject. If none is due, when the next is due.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn next_parked(&self, now: Duration) -> Result<(Option<Parked>, Option<Duration>), StatementError>;

    /// At most `count` timers that are due, the earliest first; and when the first timer that is not due yet becomes due.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn due_timers(
        &self,
        now: Duration,
        count: u32,
    ) -> Result<(Vec<Logged>, Option<Duration>), StatementError>;

    /// All timers that are not parked, each with the time when it is due, the earliest first.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn timers(&self) -> Result<Vec<(Logged, Duration)>, StatementError>;

    /// The subjects that have parked events of a producer.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn parked_subjects(&self, producer: &ServiceName) -> Result<HashSet<Subject>, StatementError>;

    /// What keeps a service from having applied everything up to `sequence`: if that event is known, the parked event that holds up its
    /// subject at or before it; or an event, parked or dead, that was published at or before it under the same trace, and so by the same
    /// write. If there are both, the earlier one; if there is neither, the event at `sequence` itself, if it is parked or dead.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn held_up(
        &self,
        producer: &ServiceName,
        event: Option<(&Subject, TraceId)>,
        sequence: Sequence,
    ) -> Result<Option<Parked>, StatementError>;

    /// A timer, whether it is parked or not.
    ///
    /// # Errors
    ///
    /// The database's errors.
    fn timer(&self, sequence: Sequence) -> Result<Option<Logged>, StatementError>;
}
